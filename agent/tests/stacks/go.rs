//! Stacks of Go, named by its own function table, with and without symbols.

use std::process::Command;

use crate::harness::{can_sample, skip, source};
use crate::{Verdict, check, run};

const EDGES: &[(&str, &[&str])] = &[
    ("runtime.goexit", &["runtime.main", "main.worker", "main.pinger", "*"]),
    ("runtime.main", &["main.main", "*"]),
    ("main.main", &["main.once", "main.worker", "*"]),
    (
        "main.once",
        &[
            "main.recurse",
            "main.sorting",
            "main.leaves",
            "main.copying",
            "main.grow",
            "main.reading",
            "main.talking",
            "*",
        ],
    ),
    ("main.recurse", &["main.recurse", "main.inner", "*"]),
    ("main.inner", &["main.burn", "*"]),
    ("main.burn", &["*"]),
    ("main.sorting", &["*"]),
    ("main.sorting.func1", &["main.less", "*"]),
    ("main.less", &["main.inner", "*"]),
    ("main.leaves", &["main.leaf", "*"]),
    ("main.leaf", &["*"]),
    ("main.copying", &["*"]),
    ("main.grow", &["main.grow", "*"]),
    ("main.reading", &["*"]),
    ("main.talking", &["*"]),
    ("main.worker", &["main.recurse", "*"]),
    ("main.pinger", &["main.inner", "*"]),
];

const MODES: [&str; 9] =
    ["recurse", "deep", "sort", "leaves", "copy", "allocate", "syscalls", "channels", "goroutines"];

#[test]
fn stacks_of_go_reach_their_start_without_impossible_edges() {
    const NAME: &str = "stacks_of_go_reach_their_start_without_impossible_edges";
    if !can_sample(NAME) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut verdicts: Vec<(String, Verdict)> = Vec::new();
    for (options, modes) in [
        (&[][..], &MODES[..]),
        (&["-ldflags=-s -w"], &["recurse", "leaves", "goroutines"]),
        (&["-gcflags=-N -l"], &["recurse", "sort"]),
        (&["-buildmode=pie"], &["recurse", "copy"]),
    ] {
        let program = folder.path().join(format!("truth{}", verdicts.len()));
        let built = Command::new("go")
            .arg("build")
            .args(options)
            .arg("-o")
            .args([&program, &source("truth.go")])
            .env("GO111MODULE", "off")
            .env("GOFLAGS", "-buildvcs=false")
            .env("GOCACHE", folder.path().join("cache"))
            .output();
        let Ok(built) = built else { return skip(NAME, "Go is not installed") };
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        for mode in modes {
            let title = format!("Go {} {mode}", options.join(" "));
            let verdict = run(&title, Command::new(&program).arg(mode), EDGES, false);
            verdicts.push((title, verdict));
        }
    }
    for (title, verdict) in &verdicts {
        check(title, verdict);
    }
}
