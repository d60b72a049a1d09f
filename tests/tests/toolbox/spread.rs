//! Where pushed profiles stand in time, and what was there at a moment.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use stoker_tests::Server;

use crate::push::{push, with_server};
use crate::support::{done, stoker, text};

const IN_USE: &str = "memory:inuse_space:bytes:space:bytes";
const SAMPLES: &str = "process_cpu:samples:count:cpu:nanoseconds";

/// The second that lies some minutes after a full window, an hour ago, as the API takes it.
fn at(minutes: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    ((now - 3600) / 600 * 600 + minutes * 60).to_string()
}

fn json(server: &Server, arguments: &[&str]) -> Value {
    let (printed, _) = done(&mut with_server(server, &[arguments, &["--json"]].concat()));
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn a_long_profile_is_spread_over_its_range_and_its_total_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _server = server.start();
    let file = dir.path().join("a.collapsed");
    fs::write(&file, "main;hot 599\nmain;cold 1\nmain;rare 1\n").unwrap();
    let (start, middle, end) = (at(0), (at(0).parse::<u64>().unwrap() + 30).to_string(), at(1));
    let range = ["--from", &start, "--until", &end];
    let pushed = push(&server, &[&[text(&file)], &range[..]].concat());
    assert_eq!(pushed["samples"], 601, "{pushed}");
    let query = ["query", SAMPLES, "timeline", "--step", "10s"];
    let timeline = json(&server, &[&query[..], &range[..]].concat());
    let values = timeline["groups"][0]["values"].as_array().unwrap();
    assert_eq!((values.len(), timeline["total"].as_u64()), (6, Some(601)));
    for value in values {
        assert!((98..=102).contains(&value.as_u64().unwrap()), "{values:?}");
    }
    // Part of the range is part of the profile, and again counts once.
    assert_eq!(push(&server, &[&[text(&file)], &range[..]].concat())["duplicates"], 1);
    let half = ["--from", &middle, "--until", &end];
    let top = json(&server, &[&["top", SAMPLES], &half[..]].concat());
    assert!((296..=304).contains(&top["total"].as_u64().unwrap()), "{top}");
}

#[test]
fn memory_in_use_is_a_mean_over_time_and_a_sum_over_services() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _server = server.start();
    let file = dir.path().join("heap.pb.gz");
    heap(&file, 1000, 3001);
    let (table, _) = done(&mut stoker(&["top", text(&file), "--json"]));
    let table: Value = serde_json::from_str(&table).unwrap();
    assert_eq!((&table["profile_type"], &table["total"]), (&IN_USE.into(), &4001.into()));
    assert_eq!(table["rows"][0]["self"], 3001, "{table}");

    let (start, middle, end) = (at(0), at(1), at(2));
    let minute = ["--from", &start, "--until", &middle];
    let later = ["--from", &middle, "--until", &end];
    let with = |service: &'static str| ["--label", service];
    push(&server, &[&[text(&file)], &with("service_name=a")[..], &minute].concat());
    push(&server, &[&[text(&file)], &with("service_name=b")[..], &minute].concat());
    let larger = dir.path().join("larger.pb.gz");
    heap(&larger, 3000, 9003);
    push(&server, &[&[text(&larger)], &with("service_name=a")[..], &later].concat());

    let total = |selector: &str, range: &[&str]| {
        json(&server, &[&["top", selector], range].concat())["total"].as_u64().unwrap()
    };
    let both = ["--from", &start, "--until", &end];
    let of_a = format!("{IN_USE}{{service_name=\"a\"}}");
    assert_eq!(total(&of_a, &minute), 4001);
    assert_eq!(total(&of_a, &later), 12_003);
    assert_eq!(total(&of_a, &both), (4001 + 12_003) / 2);
    assert_eq!(total(IN_USE, &minute), 8002);
    let by_service = json(&server, &[&["top", IN_USE, "--by", "service"], &minute[..]].concat());
    assert_eq!(by_service["rows"][1]["self"], 4001, "{by_service}");
    let query = ["query", &of_a, "timeline", "--step", "60s"];
    let timeline = json(&server, &[&query[..], &both[..]].concat());
    assert_eq!(timeline["groups"][0]["values"], serde_json::json!([4001, 12_003]));
    assert_eq!(timeline["total"], 8002, "the mean");
    let (lines, _) = done(&mut with_server(
        &server,
        &[&["export", &of_a, "-o", "-", "--format", "collapsed"], &later[..]].concat(),
    ));
    assert_eq!(lines, "main;alloc 3000\nmain;cache 9003\n");
}

#[test]
fn counts_since_the_start_of_a_process_are_named_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _server = server.start();
    let file = dir.path().join("heap.pb.gz");
    heap(&file, 1, 2);
    let (_, said) = done(&mut with_server(&server, &["push", text(&file)]));
    assert!(said.contains("memory:alloc_space:bytes:space:bytes is left out"), "{said}");
    assert!(!said.contains("inuse_space"), "{said}");
}

/// A heap profile as Go writes them: four types of values on two stacks.
fn heap(path: &Path, alloc_in_use: u64, cache_in_use: u64) {
    let kinds = [("alloc_objects", "count"), ("alloc_space", "bytes")];
    let kinds = kinds.into_iter().chain([("inuse_objects", "count"), ("inuse_space", "bytes")]);
    let mut strings = vec![String::new()];
    let mut message = Vec::new();
    let mut string = |text: &str| {
        strings.push(text.to_owned());
        strings.len() as u64 - 1
    };
    for (kind, unit) in kinds {
        let value_type = [number(1, string(kind)), number(2, string(unit))].concat();
        message.extend(bytes(1, &value_type));
    }
    for (id, name) in [(1, "main"), (2, "alloc"), (3, "cache")] {
        let line = bytes(4, &number(1, id));
        message.extend(bytes(4, &[number(1, id), line].concat()));
        message.extend(bytes(5, &[number(1, id), number(2, string(name))].concat()));
    }
    for (leaf, values) in [(2, [50, 5000, 1, alloc_in_use]), (3, [9, 9000, 3, cache_in_use])] {
        let values: Vec<u8> = values.into_iter().flat_map(varint).collect();
        let stack = [varint(leaf), varint(1)].concat();
        message.extend(bytes(2, &[bytes(1, &stack), bytes(2, &values)].concat()));
    }
    let period = [number(1, string("space")), number(2, string("bytes"))].concat();
    message.extend([bytes(11, &period), number(12, 524_288)].concat());
    message.extend(strings.iter().flat_map(|text| bytes(6, text.as_bytes())));
    fs::File::create(path).unwrap().write_all(&message).unwrap();
}

/// Protobuf's wire format: numbers as varints, the rest with its length in front.
fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 127 {
        out.push(u8::try_from(value & 127).unwrap() | 128);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}
