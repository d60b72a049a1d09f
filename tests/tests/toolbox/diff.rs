//! `stoker diff` on files: what it finds, what it says of what it cannot know, and its gate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::{done, refused, stoker, text};

const STACKS: &str = "main;work;hot 70\nmain;work;cold 10\nmain;idle 20\n";

fn file(dir: &Path, name: &str, content: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    path
}

/// Runs of a program, with noise that repeats: `of` says by run what each stack has.
fn runs(dir: &Path, name: &str, count: u64, of: impl Fn(u64) -> Vec<(String, u64)>) -> String {
    for run in 0..count {
        let lines: Vec<String> = of(run)
            .into_iter()
            .enumerate()
            .map(|(at, (stack, value))| {
                let noise = (run * 7919 + at as u64 * 104_729 + value * 31) % 21;
                format!("{stack} {}\n", value * (990 + noise) / 1000)
            })
            .collect();
        file(dir, &format!("{name}-{run}.collapsed"), &lines.concat());
    }
    dir.join(format!("{name}-*.collapsed")).to_str().unwrap().to_owned()
}

fn stacks(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter().map(|(stack, value)| ((*stack).to_owned(), *value)).collect()
}

/// Work with a helper that nine callers have.
fn with_helper(helper: u64) -> Vec<(String, u64)> {
    let mut all = stacks(&[("main;idle", 40_000), ("main;work", 30_000)]);
    all.extend((0..9).map(|at| (format!("main;caller_{at};helper"), helper)));
    all.extend((0..9).map(|at| (format!("main;caller_{at}"), 2_000)));
    all
}

fn json(arguments: &[&str]) -> Value {
    let (printed, _) = done(&mut stoker(arguments));
    serde_json::from_str(&printed).unwrap()
}

/// Exit code and both outputs.
fn exit(arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = stoker(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code().unwrap(), said)
}

#[test]
fn two_files_have_no_error_bars_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let base = file(dir.path(), "base.collapsed", STACKS);
    let new = file(dir.path(), "new.collapsed", "main;work;hot 50\nmain;fresh 30\nmain;idle 20\n");
    let sides = [text(&base), text(&new)];
    let (printed, _) = done(&mut stoker(&["diff", sides[0], sides[1]]));
    for word in ["fresh", "+30.00pp", "hot", "-20.00pp", "nothing can be concluded"] {
        assert!(printed.contains(word), "{word:?} is missing: {printed}");
    }
    let diff = json(&["diff", sides[0], sides[1], "--json"]);
    assert_eq!((&diff["base"]["total"], &diff["new"]["total"]), (&100.into(), &100.into()));
    assert_eq!(diff["has_error_bars"], false);
    let rows = diff["rows"].as_array().unwrap();
    assert_eq!(rows[0]["name"], "fresh");
    assert_eq!(rows[0]["self_change"], 30);
    assert_eq!(rows[0]["self_share"]["margin"], Value::Null);
    let sum: i64 = rows.iter().map(|row| row["self_change"].as_i64().unwrap()).sum();
    assert_eq!(sum, 0, "self changes sum to the change of the total");
    let (markdown, _) = done(&mut stoker(&["diff", sides[0], sides[1], "--format", "markdown"]));
    assert!(markdown.contains("| ---") && markdown.contains("`fresh`"), "{markdown}");
    for by in ["stack", "module"] {
        done(&mut stoker(&["diff", sides[0], sides[1], "--by", by]));
    }
    let gate = ["diff", sides[0], sides[1], "--per", "run", "--fail-on", "total > 1%", "--explain"];
    let (code, said) = exit(&gate);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("not enough data"), "{said}");
}

#[test]
fn a_helper_that_nine_callers_have_is_one_finding_with_nine_places() {
    let dir = tempfile::tempdir().unwrap();
    let base = runs(dir.path(), "base", 6, |_| with_helper(1_000));
    let new = runs(dir.path(), "new", 6, |_| with_helper(1_500));
    let diff = json(&["diff", &base, &new, "--per", "run", "--json"]);
    let findings = diff["findings"].as_array().unwrap();
    let names: Vec<&Value> = findings.iter().map(|found| &found["name"]).collect();
    assert_eq!(names, ["helper"], "no caller and no other is accused: {findings:#?}");
    assert_eq!((&findings[0]["places_total"], &findings[0]["what"]), (&9.into(), &"self".into()));
    let total = diff["total_change"]["change"].as_f64().unwrap();
    assert!((0.03..0.06).contains(&total), "4,500 of 97,000 more: {total}");
    let gate = |gate: &str| exit(&["diff", &base, &new, "--per", "run", "--fail-on", gate]);
    for (expression, code) in [
        ("function > 2%", 1),
        ("function > 20% and total > 50%", 0),
        ("rel(function(\"helper\")) > 30%", 1),
        ("function(\"idle\") > 5%", 0),
        ("total > 3% or function > 50%", 1),
    ] {
        let (got, said) = gate(expression);
        assert_eq!(got, code, "{expression}: {said}");
        assert!(said.contains("gate: "), "{said}");
    }
}

#[test]
fn an_improvement_accuses_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let work = |hot: u64| {
        stacks(&[("main;hot", hot), ("main;a", 20_000), ("main;b", 15_000), ("main;c;d", 9_000)])
    };
    let base = runs(dir.path(), "base", 8, |_| work(50_000));
    let new = runs(dir.path(), "new", 8, |_| work(10_000));
    let (code, said) = exit(&["diff", &base, &new, "--fail-on", "function > 5%"]);
    assert_eq!(code, 0, "the others' shares grew only because hot shrank: {said}");
    let diff = json(&["diff", &base, &new, "--json"]);
    let findings = diff["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0]["name"], "hot");
    let codes: Vec<&Value> =
        diff["warnings"].as_array().unwrap().iter().map(|w| &w["code"]).collect();
    assert!(codes.contains(&&"composition".into()), "{codes:?}");
}

#[test]
fn cost_that_moved_is_no_regression() {
    let dir = tempfile::tempdir().unwrap();
    let rest = [("main;idle", 40_000), ("main;work", 30_000)];
    let with = |more: &[(&str, u64)]| stacks(&[&rest[..], more].concat());
    let base = runs(dir.path(), "base", 6, |_| {
        with(&[("main;parse_old;scan", 5_000), ("main;parse_old", 6_000)])
    });
    for (name, more, kind) in [
        ("renamed", vec![("main;parse_new;scan", 5_000), ("main;parse_new", 6_000)], "renamed"),
        ("inlined", vec![("main;scan", 5_000), ("main", 6_000)], "inlined"),
    ] {
        let new = runs(dir.path(), name, 6, |_| with(&more));
        let diff = json(&["diff", &base, &new, "--per", "run", "--json"]);
        assert_eq!(diff["moves"][0]["kind"], kind, "{diff:#}");
        assert_eq!(diff["moves"][0]["from"]["name"], "parse_old");
        assert_eq!(diff["findings"].as_array().unwrap().len(), 0, "{:#}", diff["findings"]);
        let (code, said) = exit(&["diff", &base, &new, "--fail-on", "function > 4%"]);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn the_same_on_both_sides_raises_nothing_and_undecided_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let base = runs(dir.path(), "base", 6, |_| with_helper(1_000));
    let new = runs(dir.path(), "new", 6, |_| with_helper(1_000));
    let noisy = ["diff", &base, &new, "--per", "run", "--fail-on", "total > 0%", "--explain"];
    let (code, said) = exit(&noisy);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("cannot be decided") && said.contains("No function changed"), "{said}");
    for (undecided, wanted) in [("pass", 0), ("fail", 1)] {
        let (code, said) = exit(&[&noisy[..], &["--undecided", undecided]].concat());
        assert_eq!(code, wanted, "{said}");
    }
    let (code, said) = exit(&["diff", &base, &new, "--fail-on", "total > 5%", "--explain"]);
    assert_eq!(code, 3, "without --per nobody knows what a total stands for: {said}");
    assert!(said.contains("--per run"), "{said}");
}

#[test]
fn pictures_are_self_contained() {
    let dir = tempfile::tempdir().unwrap();
    let base = runs(dir.path(), "base", 6, |_| with_helper(1_000));
    let new = runs(dir.path(), "new", 6, |_| with_helper(1_500));
    let (svg, _) = done(&mut stoker(&["diff", &base, &new, "--format", "svg"]));
    assert!(svg.contains("<svg") && svg.contains("helper"), "{svg:.200}");
    let (html, _) = done(&mut stoker(&["diff", &base, &new, "--per", "run", "--format", "html"]));
    assert!(html.contains("<svg") && html.contains("helper itself"), "{html:.800}");
    for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = file(dir.path(), "base.collapsed", STACKS);
    let new = file(dir.path(), "new.collapsed", "main;other 5\n");
    let (base, new) = (text(&base), text(&new));
    let most = format!("main;a {}\n", u64::MAX);
    let huge = ["1", "2"].map(|n| file(dir.path(), &format!("huge-{n}.collapsed"), &most));
    let over = file(dir.path(), "over.collapsed", &format!("{most}main;b 5\n"));
    let negative = file(dir.path(), "negative.collapsed", "main;a -5\n");
    let empty = file(dir.path(), "empty.collapsed", "");
    let perf = file(dir.path(), "other.perf", PERF_SCRIPT);
    let zero = file(dir.path(), "zero.collapsed", "main;a 0\n");
    for (arguments, words) in [
        (vec![base, text(&perf)], vec!["type", "other.perf"]),
        (vec![base, base], vec!["same file"]),
        (vec!["--base", base, base, "--new", new], vec!["same file"]),
        (vec![base, text(&over)], vec!["exceed 2^64"]),
        (vec!["--base", base, "--new", text(&huge[0]), text(&huge[1])], vec!["64 bits"]),
        (vec![base, text(&negative)], vec!["negative.collapsed"]),
        (vec![base, text(&empty)], vec![""]),
        (vec![base, text(&zero)], vec!["no samples"]),
        (vec![base], vec![""]),
        (vec![base, new, "--per", "second"], vec!["does not say how long"]),
        (vec![base, new, "--fail-on", "total > "], vec!["number of percent"]),
        (vec![base, new, "--explain"], vec!["--fail-on"]),
        (vec![base, new, "--min-share", "x"], vec!["percentage"]),
        (vec![base, new, "--rates", "1"], vec!["two rates"]),
    ] {
        refused(&mut stoker(&[&["diff"], &arguments[..]].concat()), &words);
    }
}

/// A sample of a clock in nanoseconds, as `perf script` prints it.
const PERF_SCRIPT: &str = "\
app 10/10 1.000000:   10101010 cpu-clock:
\t    4005d0 hot+0x10 (/usr/bin/app)
\t    400500 main+0x20 (/usr/bin/app)

";
