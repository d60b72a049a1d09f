//! Files that others wrote: totals agree with what is known of them by other means.

use stoker_dag::{Frame, UnixNanos};
use stoker_formats::{Format, Imported};

use crate::support::{contents, read_as, shared, shared_path, to_pprof};

fn totals(imported: &Imported) -> Vec<(&str, u64, u64)> {
    imported.profiles.iter().map(|p| (p.profile_type.as_str(), p.total(), p.samples())).collect()
}

#[test]
fn the_large_go_profile_has_its_known_totals() {
    let Some(bytes) = shared("large.cpu", "pprof/large.cpu.pb.gz") else { return };
    let imported = read_as(&bytes, "large.cpu.pb.gz").unwrap();
    assert_eq!(imported.format, Format::Pprof);
    assert_eq!(imported.notes.records, 20_430);
    assert_eq!(
        totals(&imported),
        [
            ("process_cpu:samples:count:cpu:nanoseconds", 24_029, 24_029),
            ("process_cpu:cpu:nanoseconds:cpu:nanoseconds", 240_290_000_000, 24_029),
        ]
    );
    let cpu = imported.default_profile();
    assert_eq!((cpu.period, cpu.duration_ns), (10_000_000, 240_359_136_496));
    assert_eq!(cpu.start, Some(UnixNanos(1_666_107_597_086_748_038)));
    let again = read_as(&to_pprof(&imported), "").unwrap();
    assert_eq!(contents(&again), contents(&imported));
    assert_eq!(again.definitions, imported.definitions);
}

#[test]
fn the_small_go_profile_has_its_known_totals() {
    let Some(bytes) = shared("simple.prof", "pprof/simple.prof") else { return };
    let imported = read_as(&bytes, "simple.prof").unwrap();
    assert_eq!(imported.default_profile().total(), 1_500_000_000);
    assert_eq!(imported.default_profile().samples(), 150);
    let leaf = imported.default_profile().rows[0].node;
    let names: Vec<_> = imported
        .nodes
        .stack(leaf)
        .into_iter()
        .map(|frame| match imported.frames.frame(frame) {
            Frame::Interpreted { function, line, .. } => (function.to_string(), *line),
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted = [("runtime.main", 198), ("main.main", 50), ("main.delta", 29), ("main.beta", 18)];
    assert_eq!(names, wanted.map(|(name, line)| (name.to_owned(), line)));
}

#[test]
fn collapsed_files_sum_to_their_last_column() {
    for name in
        ["alternating", "recursion", "simple", "simple-crlf", "simple-with-invalids", "tall"]
    {
        let Some(bytes) = shared("collapsed", &format!("collapsed/{name}.txt")) else { return };
        let text = String::from_utf8(bytes.clone()).unwrap();
        let last =
            text.lines().filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok());
        let imported = read_as(&bytes, "").unwrap();
        assert_eq!(imported.format, Format::Collapsed, "{name}");
        assert_eq!(imported.default_profile().total(), last.sum::<u64>(), "{name}");
        let invalid = imported.notes.first_invalid.iter().map(|line| line.line);
        let wanted: &[usize] = if name.ends_with("invalids") { &[2, 8] } else { &[] };
        assert_eq!(invalid.collect::<Vec<_>>(), wanted, "{name}");
    }
}

/// Every file of the folder is read, or refused with a sentence that says what it is.
#[test]
fn no_file_is_a_surprise() {
    let mut seen = 0;
    for folder in ["pprof", "collapsed", "perf-script", "otlp", "."] {
        for entry in std::fs::read_dir(shared_path(folder)).into_iter().flatten().flatten() {
            if !entry.path().is_file() {
                continue;
            }
            seen += 1;
            let bytes = std::fs::read(entry.path()).unwrap();
            match read_as(&bytes, "") {
                Ok(imported) => assert!(imported.default_profile().total() > 0),
                Err(error) => assert!(error.to_string().contains("no profile that Stoker reads")),
            }
        }
    }
    if seen == 0 {
        stoker_tests::skipped("no_file_is_a_surprise", "needs ../shared/testdata");
    }
}
