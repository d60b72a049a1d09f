//! Detailed recordings, end to end: what a program does in the first tenth of each second is a stripe in
//! the heatmap, now and after a restart, and a span shows that stripe alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use stoker_tests::{Running, Server, can_sample, skipped, wait_for};

/// Rows of the heatmaps: 20 ms each.
const ROWS: usize = 50;
/// Rows of the first tenth of a second, and one more for a scheduler that is late.
const STRIPE: usize = 6;

/// A program that works in the first tenth of each second.
fn pulse(dir: &Path) -> Option<Running> {
    let program = dir.join("pulse");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/pulse.c");
    let flags = ["-O2", "-g", "-fno-omit-frame-pointer", "-o"];
    let built = Command::new("gcc").args(flags).arg(&program).arg(source).output().ok()?;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(Running::start(&mut Command::new(program), &dir.join("pulse.log")))
}

fn number(answer: &Value, name: &str) -> u64 {
    answer[name].as_u64().unwrap_or_else(|| panic!("no {name}"))
}

fn heatmap(server: &Server, selector: &str, range: (&str, &str)) -> Value {
    let query = [("query", selector), ("from", range.0), ("until", range.1)];
    server.json("/api/v1/heatmap", &query)
}

/// Samples of each row, over all columns.
fn by_row(map: &Value) -> Vec<u64> {
    let counts = map["counts"].as_array().unwrap();
    let mut rows = vec![0; ROWS];
    for (at, count) in counts.iter().enumerate() {
        rows[at % ROWS] += count.as_u64().unwrap();
    }
    rows
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

const PULSE: &str = "cpu{comm=\"pulse\"}";

#[test]
fn what_comes_at_the_start_of_each_second_is_a_stripe() {
    let name = "what_comes_at_the_start_of_each_second_is_a_stripe";
    if !can_sample(name) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let running = server.start();
    let Some(_pulse) = pulse(dir.path()) else { return skipped(name, "needs gcc") };
    let began = unix_now().to_string();
    let options = ["--detailed", "--frequency", "199"];
    let agent = server.start_agent("detailed", &options);
    // Another host counts samples and does not tell when.
    let counting = server.start_agent("counting", &["--frequency", "19"]);
    let selector = "cpu{comm=\"pulse\",host=\"detailed\"}";
    wait_for("ten pulses", || {
        let map = heatmap(&server, selector, (&began, "now"));
        (number(&map, "with_time") > 150).then_some(())
    });
    agent.interrupt();
    counting.interrupt();
    let until = (unix_now() + 1).to_string();
    let map = heatmap(&server, selector, (&began, &until));
    let rows = by_row(&map);
    let (all, stripe) = (rows.iter().sum::<u64>(), rows[..STRIPE].iter().sum::<u64>());
    assert_eq!(all, number(&map, "with_time"));
    assert_eq!(number(&map, "without_time"), 0);
    assert!(stripe * 10 >= all * 9, "{stripe} of {all} in the first tenth of a second: {rows:?}");
    let columns = map["counts"].as_array().unwrap().chunks(ROWS);
    let seconds = columns.filter(|column| column.iter().any(|count| *count != 0)).count();
    assert!(seconds >= 5, "the stripe goes across {seconds} seconds");
    // The other host's samples are counted and in no cell.
    let both = heatmap(&server, PULSE, (&began, &until));
    let samples = number(&flamegraph(&server, PULSE, (&began, &until)), "samples");
    assert_eq!(number(&both, "with_time") + number(&both, "without_time"), samples);
    assert!(number(&both, "without_time") > 0);
    check_span(&server, selector, &map);
    // Sealed, and read from a segment.
    running.interrupt();
    let running = server.start();
    assert_eq!(heatmap(&server, selector, (&began, &until)), map);
    check_span(&server, selector, &map);
    running.interrupt();
}

fn flamegraph(server: &Server, selector: &str, range: (&str, &str)) -> Value {
    let query = [("query", selector), ("from", range.0), ("until", range.1)];
    server.json("/api/v1/flamegraph", &query)
}

/// A span over the fullest cell has as many samples as the cell.
fn check_span(server: &Server, selector: &str, map: &Value) {
    let counts = map["counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap());
    let (at, most) = counts.enumerate().max_by_key(|(_, count)| *count).unwrap();
    assert_eq!(most, number(map, "max"));
    let column_ms = number(map, "column_ms");
    assert_eq!(column_ms, 1000, "the test is short");
    let row_ms = column_ms / ROWS as u64;
    let from_ms = number(map, "from_ms") + (at as u64) * row_ms;
    let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let span = format!("{}..{}", seconds(from_ms), seconds(from_ms + row_ms));
    let query = [("query", selector), ("span", span.as_str())];
    let found = server.json("/api/v1/flamegraph", &query);
    assert_eq!(number(&found, "samples"), most, "{span}");
    let query = [("query", selector), ("span", span.as_str()), ("by", "service")];
    assert_eq!(number(&server.json("/api/v1/top", &query), "samples"), most, "{span} by service");
    assert!(found["modules"].as_array().unwrap().iter().any(|name| name == "pulse"), "{found}");
}

#[test]
fn up_is_detailed_when_asked() {
    let name = "up_is_detailed_when_asked";
    if !can_sample(name) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let mut command = Command::new(stoker_tests::binary("stoker"));
    command.args(["up", "--detailed", "--frequency", "99", "--data-dir"]);
    command.arg(dir.path().join("data"));
    command.args(["--http", &server.http.to_string(), "--grpc", &server.grpc.to_string()]);
    let up = Running::start(&mut command, &dir.path().join("up.log"));
    wait_for("the server", || {
        stoker_tests::get(server.http, "/readyz").filter(|a| a.status == 200)
    });
    wait_for("samples with moments", || {
        let map = heatmap(&server, "cpu", ("now-1h", "now"));
        let is_there = number(&map, "with_time") > 0;
        assert!(!is_there || number(&map, "without_time") == 0, "{}", map["without_time"]);
        is_there.then_some(())
    });
    std::thread::sleep(Duration::from_millis(100));
    up.interrupt();
}
