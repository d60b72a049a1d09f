//! Man pages and completions: one for each command, and readable.

use std::fs;

use crate::support::{done, refused, stoker, text};

const COMMANDS: [&str; 9] =
    ["up", "record", "top", "diff", "query", "export", "push", "completions", "man"];

#[test]
fn every_command_has_a_page_and_completes() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("man");
    done(&mut stoker(&["man", "--out", text(&out)]));
    let (help, _) = done(&mut stoker(&["--help"]));
    let (bash, _) = done(&mut stoker(&["completions", "bash"]));
    for name in COMMANDS {
        let page = fs::read_to_string(out.join(format!("stoker-{name}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains("Examples:"), "{name}: {page}");
        assert!(help.contains(name) && bash.contains(name), "{name} is missing");
        let (long, _) = done(&mut stoker(&[name, "--help"]));
        assert!(long.contains("Examples:"), "{name}");
    }
    assert!(out.join("stoker.1").exists());
    for shell in ["zsh", "fish"] {
        assert!(done(&mut stoker(&["completions", shell])).0.contains("record"));
    }
    refused(&mut stoker(&["man", "--out", "/proc/nowhere"]), &["cannot write man pages"]);
}
