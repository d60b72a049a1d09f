//! Broken and hostile input: refused with what and where, or harmless.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use stoker_analysis::call_tree;
use stoker_dag::{Frame, ModuleMap, Profile, ProfileType};
use stoker_formats::{
    Format, Limits, ReadError, ReadOptions, collapsed, detect, html, pprof, read, speedscope,
};

use crate::pprof_rules::Draft;
use crate::support::read_as;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn draft() -> Draft {
    let mut draft = Draft::cpu();
    let mapping = draft.mapping(0, "api", "aabb");
    let outer = draft.location(mapping, 7, &["inner", "outer"]);
    let leaf = draft.location(0, 0, &["leaf"]);
    draft.sample(&[leaf, outer]);
    draft
}

#[test]
fn every_cut_and_every_flipped_bit_is_read_or_refused() {
    let bytes = draft().bytes();
    for end in 0..bytes.len() {
        let _ = pprof::read(&bytes[..end], &ReadOptions::default());
        let _ = read_as(&gzip(&bytes)[..end.min(gzip(&bytes).len())], "");
    }
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = pprof::read(&flipped, &ReadOptions::default());
    }
}

#[test]
fn errors_say_what_and_where() {
    let text = |draft: &Draft| {
        pprof::read(&draft.bytes(), &ReadOptions::default()).unwrap_err().to_string()
    };
    let mut unknown = draft();
    unknown.message.sample[0].location_id[0] = 99;
    assert!(text(&unknown).contains("sample 0 (byte "), "{}", text(&unknown));
    assert!(text(&unknown).contains("it names location 99, which is not there"));
    let mut negative = draft();
    negative.message.sample[0].value[1] = -5;
    assert!(text(&negative).contains("a value is -5: a difference of two profiles"));
    let mut short = draft();
    short.message.sample[0].value.pop();
    assert!(text(&short).contains("it has 1 values for 2 value types"));
    let mut lost = draft();
    lost.message.function[0].name = 1000;
    assert!(text(&lost).contains("location 0") && text(&lost).contains("it names string 1000"));
    let mut huge = draft();
    huge.sample(&[1]);
    huge.sample(&[1]);
    huge.message.sample.iter_mut().for_each(|sample| sample.value[1] = i64::MAX);
    assert!(text(&huge).contains("exceed 2^64"), "{}", text(&huge));
    let cut = &draft().bytes()[..40];
    let error = pprof::read(cut, &ReadOptions::default()).unwrap_err().to_string();
    assert!(
        error.starts_with("broken pprof input at byte ") && error.contains("ends within"),
        "{error}"
    );
}

#[test]
fn envelopes_are_opened_once_and_within_bounds() {
    let bytes = draft().bytes();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let members = [gzip(first), gzip(second)].concat();
    assert_eq!(read_as(&members, "").unwrap().profiles[1].total(), 10);
    let twice = read_as(&gzip(&gzip(&bytes)), "x.pb.gz");
    assert!(twice.is_err());
    let bomb = gzip(&vec![0x0a; 8 << 20]);
    assert!(bomb.len() < 256 << 10);
    let limits = Limits { decompressed_bytes: 1 << 20, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let error = pprof::read(&bomb, &options).unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { limit: 1_048_576, .. }), "{error}");
    let broken = &gzip(&bytes)[..30];
    assert!(matches!(pprof::read(broken, &options), Err(ReadError::Gzip { .. })));
    assert!(matches!(read(b"\x1f\x8b", &options), Err(ReadError::Gzip { .. })));
    // Cut anywhere, it is broken gzip, whatever the part that comes out of it looks like.
    let whole = gzip(&bytes);
    for end in 2..whole.len() {
        let error = read(&whole[..end], &ReadOptions::default()).unwrap_err();
        assert!(matches!(error, ReadError::Gzip { at, .. } if at <= end), "{end}: {error}");
    }
    let said = read(&whole[..40], &ReadOptions::default()).unwrap_err().to_string();
    assert!(said.starts_with("broken gzip at byte 40: "), "{said}");
}

#[test]
fn depth_names_and_labels_are_cut_and_counted() {
    let mut deep = Draft::cpu();
    let ids: Vec<u64> = (0..2000).map(|at| deep.location(0, 0, &[&format!("f{at}")])).collect();
    deep.sample(&ids);
    let imported = read_as(&deep.bytes(), "").unwrap();
    assert_eq!(imported.notes.truncated_stacks, 1);
    let stack = imported.nodes.stack(imported.profiles[1].rows[0].node);
    assert_eq!(stack.len(), Limits::default().stack_depth);
    assert!(matches!(imported.frames.frame(stack[0]), Frame::Special(_)));
    assert!(
        matches!(imported.frames.frame(stack[1023]), Frame::Interpreted { function, .. } if &**function == "f0")
    );

    let line = format!("{};b 3", "ä".repeat(20_000));
    let imported = read_as(line.as_bytes(), "").unwrap();
    assert_eq!((imported.notes.cut_names, imported.default_profile().total()), (1, 3));

    let mut many = draft();
    let key = many.text("k");
    let limits = Limits { attribute_sets: 3, ..Limits::default() };
    for value in 0..10 {
        many.sample(&[1]);
        let str = many.text(&value.to_string());
        many.message.sample.last_mut().unwrap().label =
            vec![pprof::proto::Label { key, str, num: 0, num_unit: 0 }];
    }
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let imported = read(&many.bytes(), &options).unwrap();
    assert_eq!((imported.notes.lost_labels, imported.profiles[1].total()), (7, 110));
}

#[test]
fn what_is_known_and_not_read_is_called_by_name() {
    for (bytes, wanted) in [
        (&b"heap profile: 1: 2 [ 3: 4 ] @ heapprofile\n"[..], "a legacy heap profile"),
        (b"--- contentionz 1 ---\n", "a legacy contention profile"),
        (b"goroutine profile: total 7\n", "debug=1"),
        (b"PERFILE2\0\0", "perf script"),
        (b"FLR\0\0\x02", "Flight Recorder"),
        (b"<?xml version=\"1.0\"?><svg>", "SVG"),
        (br#"{"traceEvents":[]}"#, "a Chrome trace"),
        (br#"{"nodes":[],"timeDeltas":[]}"#, "V8"),
        (b"\x28\xb5\x2f\xfd1234", "zstd -d"),
        (br#"{"a":1}"#, "JSON of another kind"),
        (b"\x00\x01\x02\x03", "binary data"),
        (b"Dear all,\nhello\n", "other text"),
        (b"", "empty"),
    ] {
        let error = detect(bytes, "").unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        let error = read_as(&gzip(bytes), "").unwrap_err().to_string();
        assert!(error.contains(wanted), "gzipped: {error}");
    }
    let legacy: Vec<u8> =
        [0u64, 3, 0, 10_000, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(detect(&legacy, "cpu.prof").unwrap_err().to_string().contains("gperftools"));
    assert_eq!(detect(b"nothing here", "x.collapsed"), Ok(Format::Collapsed));
    // A stack may begin with what begins JSON or HTML, and what is JSON or HTML stays that.
    for stack in [
        "[unwind failed: unknown mapping];main 3\n",
        "[truncated];main 3",
        "[kernel];main 3",
        "{closure};main 3",
        "<T as Trait>::f;main 3\n",
    ] {
        assert_eq!(detect(stack.as_bytes(), ""), Ok(Format::Collapsed), "{stack}");
    }
    for json in ["[1]", "[ {\"a\": 1} ]", "{}", "{ \"a\": [\n1", "[]", "[true, 1", "[null]"] {
        let error = detect(json.as_bytes(), "").unwrap_err().to_string();
        assert!(error.contains("JSON of another kind"), "{json}: {error}");
    }
    assert!(detect(b"<html><body>5", "").unwrap_err().to_string().contains("HTML"));
    let nothing = read_as(b"nothing here\nnor here\n", "x.collapsed").unwrap_err().to_string();
    assert!(nothing.contains("line 1"), "{nothing}");
}

#[test]
fn speedscope_files_that_lie_are_refused_with_the_place() {
    let file = |profile: &str| {
        format!(
            r#"{{"shared":{{"frames":[{{"name":"a"}},{{"name":"b"}}]}},"profiles":[{profile}]}}"#
        )
    };
    for (profile, wanted) in [
        (
            r#"{"type":"sampled","unit":"none","samples":[[0,9]],"weights":[1]}"#,
            "sample 0: it names frame 9",
        ),
        (
            r#"{"type":"sampled","unit":"none","samples":[[0]],"weights":[1,2]}"#,
            "1 samples have 2 weights",
        ),
        (r#"{"type":"sampled","unit":"none","samples":[[0]],"weights":[-1]}"#, "negative"),
        (r#"{"type":"sampled","unit":"seconds","samples":[[0]],"weights":[1e300]}"#, "above 2^64"),
        (r#"{"type":"odd","unit":"none"}"#, "neither sampled nor evented"),
        (
            r#"{"type":"evented","unit":"none","events":[{"type":"C","frame":0,"at":1}]}"#,
            "none is open",
        ),
        (
            r#"{"type":"evented","unit":"none","events":[{"type":"O","frame":0,"at":5},{"type":"C","frame":0,"at":4}]}"#,
            "event 1: it goes back in time",
        ),
        (
            r#"{"type":"evented","unit":"none","events":[{"type":"O","frame":0,"at":5},{"type":"C","frame":1,"at":6}]}"#,
            "not the innermost",
        ),
        (r#"{"type":7}"#, "at byte "),
    ] {
        let error =
            speedscope::read(file(profile).as_bytes(), &ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
    let nested = "[".repeat(100_000);
    assert!(read_as(format!("{{\"shared\":{nested}").as_bytes(), "x.speedscope.json").is_err());
}

#[test]
fn speedscope_events_and_threads_are_summed() {
    let text = r#"{"$schema":"https://www.speedscope.app/file-format-schema.json","activeProfileIndex":1,
      "profiles":[
        {"type":"evented","name":"main","unit":"milliseconds","startValue":0,"endValue":10,"events":[
          {"type":"O","frame":0,"at":1},{"type":"O","frame":1,"at":2.5},{"type":"C","frame":1,"at":4},
          {"type":"C","frame":0,"at":6},{"type":"O","frame":1,"at":8}]},
        {"type":"sampled","name":"worker","unit":"seconds","startValue":0,"endValue":1,
          "samples":[[0],[0,1],[]],"weights":[0.1,0.2,0.3]}],
      "shared":{"frames":[{"name":"a","file":"a.py","line":3},{"name":"b"}]}}"#;
    let imported = read_as(text.as_bytes(), "").unwrap();
    assert_eq!(imported.profiles.len(), 1);
    let wall = imported.default_profile();
    assert_eq!(wall.profile_type.as_str(), "wall:wall:nanoseconds:wall:nanoseconds");
    assert_eq!(wall.total(), 7_000_000 + 600_000_000);
    let of_thread = |thread: &str| {
        let rows = wall.rows.iter();
        rows.filter(|row| imported.attributes.get(row.attributes).get("thread") == thread)
            .map(|row| row.value)
            .sum::<u64>()
    };
    assert_eq!((of_thread("main"), of_thread("worker")), (7_000_000, 600_000_000));
}

/// Names that try to be something else, in each output that people open.
#[test]
fn hostile_names_are_harmless_in_every_output() {
    let long = "n".repeat(10_000);
    let names = [
        "<script>alert(1)</script>",
        "</script><script>alert(2)",
        "\"><img src=x onerror=alert(3)>",
        "\u{1b}]0;title\u{7}\u{1b}[2J",
        "evil\u{202e}txt.exe",
        "a;b;c 9",
        "two\nlines 7",
        "]]>--><!--",
        "",
        &long,
    ];
    let mut profile = Profile::default();
    for name in names {
        let (runtime, module) = ("import".into(), name.into());
        let frame = Frame::Interpreted { runtime, module, function: name.into(), line: 1 };
        profile.add_stack(&[frame], 5, 1);
    }
    let tree = call_tree(&profile, &ModuleMap::default());
    let cpu = ProfileType::cpu();
    let mut page = Vec::new();
    html::write(&tree, &cpu, (names[0], names[3]), &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<img") && !page.contains("<!--") && !page.contains("://"));
    assert!(!page.contains(|c: char| c.is_control() && c != '\n'));
    assert!(!page.contains('\u{202e}') && page.contains("Content-Security-Policy"));
    let mut lines = Vec::new();
    collapsed::write(&tree, &mut lines).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    assert_eq!(lines.lines().count(), names.len());
    assert!(lines.lines().all(|line| line.ends_with(" 5") && !line.contains(';')), "{lines}");
    let source = speedscope::SpeedscopeSource { profile_type: &cpu, tree: &tree };
    let mut json = Vec::new();
    speedscope::write(&[source], names[3], &mut json).unwrap();
    let json = String::from_utf8(json).unwrap();
    assert!(
        !json.contains("\\u001b") && !json.contains('\u{202e}') && !json.trim_end().contains('\n')
    );
    let again = read_as(json.as_bytes(), "").unwrap();
    assert_eq!(again.default_profile().total(), 50);
}
