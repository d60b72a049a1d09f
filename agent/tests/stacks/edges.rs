//! Who calls whom among a program's own functions. `*` is any function of another file.

pub const C_EDGES: &[(&str, &[&str])] = &[
    ("_start", &["*"]),
    ("main", &["once", "*", "recurse", "prepare_signal"]),
    ("once", &["recurse", "sorting", "interrupted", "edges", "syscalls", "plugged", "*"]),
    ("recurse", &["recurse", "variable", "inner"]),
    ("variable", &["inner"]),
    ("inner", &["burn"]),
    ("sorting", &["*"]),
    ("compare", &["inner"]),
    ("interrupted", &["inner"]),
    ("handler", &["inner"]),
    ("edges", &["small"]),
    ("syscalls", &["*"]),
    ("plugged", &["plugin"]),
    ("plugin", &["nested"]),
    ("nested", &["called_back"]),
    ("called_back", &["inner"]),
    ("thread", &["recurse"]),
];

pub const CPP_EDGES: &[(&str, &[&str])] = &[
    ("_start", &["*"]),
    ("main", &["sorting", "visit", "catching", "*"]),
    ("sorting", &["*"]),
    ("visit", &["_ZN6Nested4areaEl"]),
    ("_ZN6Nested4areaEl", &["visit", "burn"]),
    ("throwing", &["throwing", "burn", "*"]),
    ("catching", &["throwing", "burn", "*"]),
    ("compare", &["burn"]),
];

pub const RUST_EDGES: &[(&str, &[&str])] =
    &[("recurse", &["recurse", "burn", "*"]), ("compare", &["burn", "*"]), ("burn", &["*"])];
