//! perf script: events are counted by other means, and stacks are inferno's.

use std::collections::BTreeMap;

use inferno::collapse::Collapse as _;
use inferno::collapse::perf::{Folder, Options};
use stoker_formats::{Format, ReadOptions, perf_script};

use crate::support::{named_stacks, read_as, shared};

const FILES: [&str; 5] = ["forks", "one-sample", "rust-mangled", "simple", "simple-with-header"];

/// inferno's answer for one type of event.
fn inferno(text: &[u8], event: Option<&str>) -> BTreeMap<String, u64> {
    let mut options = Options::default();
    options.nthreads = 1;
    options.event_filter = event.map(str::to_owned);
    let mut out = Vec::new();
    Folder::from(options).collapse(text, &mut out).unwrap();
    let lines = String::from_utf8(out).unwrap();
    let split = |line: &str| {
        let (stack, value) = line.rsplit_once(' ').unwrap();
        (stack.to_owned(), value.parse().unwrap())
    };
    lines.lines().map(split).collect()
}

#[test]
fn events_are_as_many_as_their_headers() {
    for name in FILES {
        let Some(bytes) = shared("perf script", &format!("perf-script/{name}.txt")) else { return };
        let imported = read_as(&bytes, "").unwrap();
        assert_eq!(imported.format, Format::PerfScript, "{name}");
        // Frames are indented and comments start with `#`: what is left are headers.
        let text = String::from_utf8(bytes).unwrap();
        let headers: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(['#', ' ', '\t']))
            .collect();
        // The period stands before the event's name.
        let period = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words[words.len() - 2].parse::<u64>().unwrap_or(1)
        };
        let profile = imported.default_profile();
        assert_eq!(profile.samples(), headers.len() as u64, "{name}");
        let periods: u64 = headers.iter().map(period).sum();
        let wanted =
            if name == "simple" || name == "one-sample" { periods.max(1) } else { periods };
        assert_eq!(profile.total(), wanted, "{name}");
        assert_eq!(imported.notes.invalid_lines, 0, "{name}");
    }
}

#[test]
fn stacks_are_those_of_inferno() {
    for name in FILES {
        let Some(bytes) = shared("perf script", &format!("perf-script/{name}.txt")) else { return };
        let imported = read_as(&bytes, "").unwrap();
        assert_eq!(named_stacks(&imported), inferno(&bytes, None), "{name}");
    }
}

const SEVERAL: &str = "\
java 24636/25607 [000] 4794564.109216:     100 cycles:u:
\tffffffff8103ce3b native_safe_halt+0x1 ([kernel.kallsyms])
\t7f533952bc77 Lio/netty/A;::run->Lio/netty/B;::call+0x597 (/tmp/perf-24636.map)
\t7f53389994d0 [unknown] (/usr/lib/jvm/libjvm.so)

V8 WorkerThread 7 [001] 94.1:          7 instructions:  ffffffff9aa3c8de f(int) (/usr/bin/node)

java 24636/25608 [000] 4794565.109216:     50 cycles:k:
\tffffffff8103ce3b native_safe_halt+0x9 ([kernel.kallsyms])
this line is nothing
\t7f53389994d0 [unknown] ([unknown])
";

#[test]
fn every_event_type_is_a_profile_of_its_own() {
    let imported = perf_script::read(SEVERAL.as_bytes(), &ReadOptions::default()).unwrap();
    let totals: Vec<_> = imported
        .profiles
        .iter()
        .map(|p| (p.profile_type.as_str(), p.total(), p.samples()))
        .collect();
    let wanted = [
        ("perf:cycles:count:cycles:count", 150, 2),
        ("perf:instructions:count:instructions:count", 7, 1),
    ];
    assert_eq!(totals, wanted);
    assert_eq!(named_stacks(&imported), inferno(SEVERAL.as_bytes(), Some("cycles")));
    assert_eq!(imported.notes.invalid_lines, 1);
    assert_eq!(imported.notes.first_invalid[0].line, 10);
    assert_eq!(imported.profiles[0].duration_ns, 1_000_000_000);
    let labels: Vec<_> = imported.attributes.iter().map(ToString::to_string).collect();
    assert!(labels.contains(&r#"{comm="java",pid="24636",tid="25607"}"#.to_owned()), "{labels:?}");
    assert!(labels.contains(&r#"{comm="V8 WorkerThread",tid="7"}"#.to_owned()), "{labels:?}");
}

/// inferno's own reader panics on these.
#[test]
fn lines_that_look_like_numbers_are_only_counted() {
    let text = format!("{SEVERAL}\n1 2 3\n\n\t\t\n7 8 9.1: 10\n");
    let imported = perf_script::read(text.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(imported.notes.invalid_lines, 3);
    assert_eq!(imported.profiles[0].total(), 150);
}
