//! `top`, `export`, `query` and `diff` on files: what they say, and what they refuse.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use stoker_tests::skipped;

use crate::support::{done, refused, stoker, text};

const STACKS: &str = "main;work;hot 70\nmain;work;cold 10\nmain;idle 20\n";

fn file(dir: &Path, name: &str, content: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    path
}

/// A file of others, or nothing and a word in the count of skipped tests.
fn outside(test: &str, name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata");
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    skipped(test, &format!("{name} is not there"));
    None
}

fn json(arguments: &[&str]) -> Value {
    let (printed, _) = done(&mut stoker(arguments));
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn the_top_of_files_and_globs_is_their_sum() {
    let dir = tempfile::tempdir().unwrap();
    let a = file(dir.path(), "a.collapsed", STACKS);
    file(dir.path(), "b.collapsed", "main;work;hot 30\nmain;new 5\n");
    let (printed, _) = done(&mut stoker(&["top", text(&a)]));
    let wanted = [
        "SELF   SELF%  TOTAL   TOTAL%  FUNCTION  MODULE",
        "  70  70.00%     70   70.00%  hot",
        "  20  20.00%     20   20.00%  idle",
        "  10  10.00%     10   10.00%  cold",
        "   0   0.00%    100  100.00%  main",
        "   0   0.00%     80   80.00%  work",
        "100 in 100 samples\n",
    ];
    assert_eq!(printed, wanted.join("\n"));
    let glob = dir.path().join("*.collapsed");
    for sources in [vec![text(&glob)], vec![text(&a), text(&dir.path().join("b.collapsed"))]] {
        let top = json(&[&["top", "--json"], &sources[..]].concat());
        assert_eq!(top["total"], 135, "{sources:?}");
        assert_eq!(
            (&top["rows"][0]["name"], &top["rows"][0]["self"]),
            (&"hot".into(), &100.into())
        );
    }
    let answer = json(&["query", text(&glob), "timeline", "--group-by", "file", "--json"]);
    assert_eq!(answer["groups"].as_array().unwrap().len(), 2);
}

#[test]
fn standard_input_is_a_file() {
    let mut command = stoker(&["top", "-", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(STACKS.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let top: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(top["total"], 100);
}

#[test]
fn every_format_that_is_written_is_read_again_with_the_same_total() {
    let dir = tempfile::tempdir().unwrap();
    let a = file(dir.path(), "a.collapsed", STACKS);
    for name in ["b.pb.gz", "b.collapsed", "b.speedscope.json"] {
        let out = dir.path().join(name);
        done(&mut stoker(&["export", text(&a), "-o", text(&out)]));
        let top = json(&["top", text(&out), "--json"]);
        assert_eq!(top["total"], 100, "{name}");
        assert_eq!(top["rows"][0]["name"], "hot", "{name}");
    }
    for name in ["b.svg", "b.html", "b.json"] {
        let out = dir.path().join(name);
        done(&mut stoker(&["export", text(&a), "-o", text(&out)]));
        assert!(fs::read_to_string(&out).unwrap().contains("hot"), "{name}");
    }
}

#[test]
fn a_large_profile_of_others_keeps_its_total() {
    let test = "a_large_profile_of_others_keeps_its_total";
    let Some(large) = outside(test, "pprof/large.cpu.pb.gz") else { return };
    let top = json(&["top", text(&large), "--json"]);
    assert_eq!((&top["total"], &top["samples"]), (&240_290_000_000u64.into(), &24_029.into()));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("again.pb.gz");
    done(&mut stoker(&["export", text(&large), "-o", text(&out)]));
    let again = json(&["top", text(&out), "--json", "-n", "0"]);
    assert_eq!((&again["total"], &again["samples"]), (&top["total"], &top["samples"]));
}

#[test]
fn what_cannot_be_read_is_said_with_what_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let good = file(dir.path(), "good.collapsed", STACKS);
    let packed = dir.path().join("good.pb.gz");
    done(&mut stoker(&["export", text(&good), "-o", text(&packed)]));
    let bytes = fs::read(&packed).unwrap();
    let truncated = dir.path().join("truncated.pb.gz");
    fs::write(&truncated, &bytes[..bytes.len() - 9]).unwrap();
    let elf = dir.path().join("elf");
    fs::write(&elf, b"\x7fELF\x02\x01\x01").unwrap();
    let none = file(dir.path(), "none", "");
    for (path, words) in [
        (&truncated, &["truncated.pb.gz: "][..]),
        (&elf, &["elf: ", "ELF binary"]),
        (&none, &["none: ", "empty"]),
        (&dir.path().join("missing.pb.gz"), &["there is no file", "missing.pb.gz"]),
        (&dir.path().to_path_buf(), &["is a folder", "*"]),
    ] {
        refused(&mut stoker(&["top", text(path)]), words);
        let out = dir.path().join("out.svg");
        refused(&mut stoker(&["export", text(path), "-o", text(&out)]), words);
        assert!(!out.exists());
        refused(&mut stoker(&["diff", text(&good), text(path)]), words);
    }
    refused(&mut stoker(&["top", text(&good), "cpu"]), &["files only"]);
    refused(&mut stoker(&["top", text(&good), "--type", "cpu"]), &["no values of type cpu"]);
    refused(&mut stoker(&["top", text(&good), "--from", "now-1h"]), &["--from"]);
}

#[test]
fn names_that_a_terminal_would_obey_are_harmless_and_colour_is_for_terminals() {
    let dir = tempfile::tempdir().unwrap();
    let stacks = "main;\u{1b}]0;owned\u{7}\u{1b}[31mred 5\n";
    let bad = file(dir.path(), "bad.collapsed", stacks);
    let other = file(dir.path(), "other.collapsed", stacks);
    for arguments in [
        vec!["top", text(&bad)],
        vec!["query", text(&bad), "flamegraph"],
        vec!["diff", text(&bad), text(&other)],
        vec!["diff", text(&bad), text(&other), "--format", "markdown"],
        vec!["export", text(&bad), "-o", "-", "--format", "collapsed"],
    ] {
        for colour in [None, Some("1")] {
            let mut command = stoker(&arguments);
            if let Some(value) = colour {
                command.env("NO_COLOR", value);
            }
            let (printed, said) = done(&mut command);
            let escapes = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
            assert!(!escapes(&printed) && !escapes(&said), "{arguments:?}: {printed:?}");
        }
    }
}

/// What a command prints to a terminal, which `script` makes.
fn on_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> Option<String> {
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("'{}' {}", text(&stoker_tests::binary("stoker")), words.join(" "));
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm");
    command.env_remove("NO_COLOR").env_remove("COLUMNS").envs(variables.iter().copied());
    let output = command.output().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_terminal_gets_colour_unless_it_asks_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let a = file(dir.path(), "a.collapsed", STACKS);
    let Some(coloured) = on_a_terminal(&["top", text(&a)], &[]) else {
        skipped("a_terminal_gets_colour_unless_it_asks_for_none", "needs script (bsdutils)");
        return;
    };
    assert!(coloured.contains("\u{1b}[1m"), "{coloured:?}");
    for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let plain = on_a_terminal(&["top", text(&a)], &variables).unwrap();
        assert!(!plain.contains('\u{1b}') && plain.contains("hot"), "{variables:?}: {plain:?}");
    }
}

#[test]
fn tables_follow_the_width_that_they_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let name = "a_function_with_a_very_long_name_that_no_terminal_of_sixty_columns_has_room_for";
    let a = file(dir.path(), "a.collapsed", &format!("main;{name} 5\n"));
    let mut narrow = stoker(&["top", text(&a)]);
    let (printed, _) = done(narrow.env("COLUMNS", "60"));
    assert!(printed.lines().all(|line| line.chars().count() <= 60), "{printed}");
    assert!(done(&mut stoker(&["top", text(&a)])).0.contains(name));
}
