//! `go tool pprof` as a second opinion: what it reads of our output agrees with what we read.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use stoker_dag::CallTree;
use stoker_formats::text::box_name;

use crate::support::{read_as, shared, to_pprof, tree};

/// Flat and cumulative nanoseconds by function, as `-top` prints them; `None` without Go.
fn top(path: &Path) -> Option<BTreeMap<String, (u64, u64)>> {
    let output = Command::new("go")
        .args(["tool", "pprof", "-top", "-nodecount=100000", "-nodefraction=0", "-edgefraction=0"])
        .args(["-unit=ns", "-symbolize=none"])
        .arg(path)
        .env("PPROF_TMPDIR", path.parent()?)
        .output()
        .ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows = text.lines().skip_while(|line| !line.trim_start().starts_with("flat ")).skip(1);
    let nanos = |word: &str| word.trim_end_matches("ns").parse::<u64>().ok();
    let mut functions = BTreeMap::new();
    for row in rows {
        let words: Vec<&str> = row.split_whitespace().collect();
        let (flat, total) = (nanos(words[0]).unwrap(), nanos(words[3]).unwrap());
        let name = words[5..].join(" ");
        functions.insert(name.trim_end_matches(" (inline)").to_owned(), (flat, total));
    }
    Some(functions)
}

fn ours(tree: &CallTree) -> BTreeMap<String, (u64, u64)> {
    let mut functions: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for at in 1..tree.len() {
        while path.last().is_some_and(|(above, _)| *above != tree.parent[at].at()) {
            path.pop();
        }
        let name = box_name(tree, stoker_dag::BoxIx(u32::try_from(at).unwrap())).into_owned();
        let sums = functions.entry(name.clone()).or_default();
        sums.0 += tree.self_value[at];
        if !path.iter().any(|(_, above)| *above == name) {
            sums.1 += tree.total[at];
        }
        path.push((at, name));
    }
    functions
}

#[test]
fn go_tool_pprof_finds_the_same_functions_with_the_same_costs() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["pprof/simple.prof", "pprof/large.cpu.pb.gz", "perf-script/forks.txt"] {
        let Some(bytes) = shared("go tool pprof", name) else { return };
        let imported = read_as(&bytes, name).unwrap();
        let path = folder.path().join("written.pb.gz");
        std::fs::write(&path, to_pprof(&imported)).unwrap();
        let Some(theirs) = top(&path) else {
            stoker_tests::skipped("go tool pprof", "there is no go command here");
            return;
        };
        let ours = ours(&tree(&imported));
        assert_eq!(theirs.len(), ours.len(), "{name}");
        for (function, costs) in &ours {
            assert_eq!(theirs.get(function), Some(costs), "{name}: {function}");
        }
        // And of the file as it was.
        if name.starts_with("pprof") {
            let original = folder.path().join("original.pb.gz");
            std::fs::write(&original, &bytes).unwrap();
            assert_eq!(top(&original).unwrap(), theirs, "{name}");
        }
    }
}
