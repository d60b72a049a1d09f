//! The house: dependency directions, and a map that is true.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Our crates and the crates of ours that each names outside of tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let named = |package: &serde_json::Value| -> BTreeSet<String> {
        let all = package["dependencies"].as_array().unwrap();
        all.iter().filter(|d| d["kind"] != "dev").map(name).filter(|n| ours.contains(n)).collect()
    };
    packages.iter().map(|package| (name(package), named(package))).collect()
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let libraries =
        ["stoker-dag", "stoker-analysis", "stoker-formats", "stoker-wire", "stoker-symbols"];
    let all = ["stoker-agent", "stoker-server", "stoker-ebpf-abi", "stoker-unwind"];
    let may = |name: &str| -> Vec<&str> {
        match name {
            "stoker-dag" | "stoker-ebpf-abi" | "stoker-unwind" | "xtask" => vec![],
            "stoker-analysis" | "stoker-formats" | "stoker-wire" | "stoker-symbols" => {
                vec!["stoker-dag"]
            }
            "stoker-agent" => {
                vec![
                    "stoker-ebpf-abi",
                    "stoker-unwind",
                    "stoker-dag",
                    "stoker-wire",
                    "stoker-symbols",
                ]
            }
            "stoker-server" => libraries.to_vec(),
            "stoker-cli" | "stoker-tests" => [&libraries[..], &all].concat(),
            "stoker-benches" => [&libraries[..], &all, &["stoker-tests"]].concat(),
            other => panic!("{other} is new: say here and in docs/architecture.md what it may use"),
        }
    };
    for (name, named) in dependencies() {
        let allowed = may(&name);
        for dependency in named {
            assert!(allowed.contains(&&*dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_map_names_every_crate_and_only_what_exists() {
    let map = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for name in dependencies().keys() {
        assert!(map.contains(&format!("`{name}`")), "docs/architecture.md does not name {name}");
    }
    let quoted = map.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|text| text.contains('/') && !text.contains(char::is_whitespace));
    for path in paths {
        assert!(
            root().join(path).exists(),
            "docs/architecture.md names {path}, which is not there"
        );
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let skipped = ["target", ".git", ".tools", "node_modules", "stoker-data"];
        if path.is_dir() && !skipped.iter().any(|skip| name == *skip) {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn only_its_own_folder_names_aya_and_blazesym() {
    let mut files = Vec::new();
    sources(&root().join("agent/src"), &mut files);
    sources(&root().join("server/src"), &mut files);
    sources(&root().join("symbols/src"), &mut files);
    sources(&root().join("cli/src"), &mut files);
    assert!(files.len() > 20);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (library, home) in [("aya", "agent/src/kernel"), ("blazesym", "symbols/src")] {
            let uses = text.contains(&format!("{library}::"));
            assert!(
                !uses || file.starts_with(root().join(home)),
                "{} names {library}",
                file.display()
            );
        }
    }
}
