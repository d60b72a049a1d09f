//! `stoker record` into speedscope's format: threads and moments are as they were.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;
use stoker_tests::can_sample;

use crate::support::{done, stoker, text};

const HZ: &str = "499";
const PERIOD_NS: u64 = 1_000_000_000 / 499;

/// A program of two threads, `early` and `late`, which burn by turns for half a second each.
fn halves(dir: &Path) -> PathBuf {
    let program = dir.join("halves");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/halves.c");
    let flags = ["-O2", "-g", "-pthread", "-fno-omit-frame-pointer", "-o"];
    let built = Command::new("gcc").args(flags).arg(&program).arg(source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().unwrap_or_else(|| panic!("no {name}: {of}"))
}

/// Stacks of one profile as lists of names, each with its beginning and its weight; gaps left out.
fn samples(file: &Value, profile: &Value) -> Vec<(Vec<String>, u64, u64)> {
    let frames = list(&file["shared"], "frames");
    let (stacks, weights) = (list(profile, "samples"), list(profile, "weights"));
    assert_eq!(stacks.len(), weights.len());
    let name = |ix: &Value| {
        frames[usize::try_from(ix.as_u64().unwrap()).unwrap()]["name"].as_str().unwrap().to_owned()
    };
    let mut at = 0;
    let mut found = Vec::new();
    for (stack, weight) in stacks.iter().zip(weights) {
        let (stack, weight) = (stack.as_array().unwrap(), weight.as_u64().unwrap());
        if !stack.is_empty() {
            found.push((stack.iter().map(name).collect(), at, weight));
        }
        at += weight;
    }
    assert!(profile["endValue"].as_u64().unwrap() >= at);
    found
}

/// Where samples of the function begin and end in the profile of the thread of that name.
fn span(file: &Value, thread: &str, function: &str) -> (u64, u64) {
    let is_it = |profile: &&Value| {
        let (name, id) = profile["name"].as_str().unwrap().rsplit_once(' ').unwrap();
        name == thread && id.parse::<u32>().is_ok()
    };
    let profile = list(file, "profiles").iter().find(is_it).unwrap();
    let all = samples(file, profile);
    let hot: Vec<_> =
        all.iter().filter(|(stack, ..)| stack.iter().any(|f| f == function)).collect();
    assert!(hot.len() * 10 >= all.len() * 8, "{} of {} samples", hot.len(), all.len());
    let ns: u64 = hot.iter().map(|(.., weight)| weight).sum();
    assert!(ns > 50_000_000, "{thread} got {ns} ns of its half second");
    assert!(hot.iter().all(|(.., weight)| *weight == PERIOD_NS));
    let (_, last, weight) = hot[hot.len() - 1];
    (hot[0].1, last + weight)
}

#[test]
fn each_thread_s_samples_stand_where_they_were_taken() {
    if !can_sample("each_thread_s_samples_stand_where_they_were_taken") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = halves(dir.path());
    let out = dir.path().join("a.speedscope.json");
    let (_, said) =
        done(&mut stoker(&["record", "-F", HZ, "-o", text(&out), "--", text(&program)]));
    assert!(!said.contains("without thread and time"), "{said}");
    let file: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let early = span(&file, "early", "burn_early");
    let late = span(&file, "late", "burn_late");
    // Half a second each, from one beginning on; a scheduler may be late, no sample comes early.
    let ms = |ns: u64| ns / 1_000_000;
    let slack = 100;
    assert!(ms(early.1) <= 500 + slack && ms(early.0) < 400, "{early:?}");
    assert!(ms(late.0) >= 490 && ms(late.1) <= 1000 + 2 * slack, "{late:?}");
    assert!(early.1 < late.0 + slack * 1_000_000, "{early:?} {late:?}");
    let whole = &list(&file, "profiles")[0]["stoker"];
    let start_s = whole["startUnixNs"].as_u64().unwrap() / 1_000_000_000;
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!((now_s - 60..=now_s).contains(&start_s), "{whole}");
    assert!(ms(whole["durationNs"].as_u64().unwrap()) >= 1000, "{whole}");
    // Nothing is lost and nothing is counted twice: in the file, and when it is read again.
    let taken: u64 = said.split(' ').next().unwrap().parse().unwrap();
    let all = list(&file, "profiles").iter().flat_map(|profile| samples(&file, profile));
    let sum: u64 = all.map(|(.., weight)| weight).sum();
    assert_eq!(sum, taken * PERIOD_NS, "{said}");
    let (printed, _) =
        done(&mut stoker(&["export", text(&out), "-o", "-", "--format", "collapsed"]));
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(printed.lines().map(value).sum::<u64>(), sum);
}
