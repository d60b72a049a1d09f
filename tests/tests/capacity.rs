//! Capacity and rollups, end to end: what this machine does is sampled, adds up, covers what the
//! kernel says that it did, costs what the prices say, and stays the same when it is summed up.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use stoker_tests::{Server, binary, can_sample, wait_for};

/// The hour before and the hour after hold all of a test.
const RANGE: [(&str, &str); 2] = [("from", "now-2h"), ("until", "now")];

fn capacity(server: &Server, what: &str, more: &[(&str, &str)]) -> Value {
    server.json(&format!("/api/v1/capacity/{what}"), &[&RANGE, more].concat())
}

fn sum(answer: &Value, of: &str) -> f64 {
    answer["rows"].as_array().unwrap().iter().map(|row| row[of].as_f64().unwrap()).sum()
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-4 * a.abs().max(b.abs())
}

#[test]
fn what_a_machine_does_adds_up_is_covered_and_costs_the_same_at_every_level() {
    let test = "what_a_machine_does_adds_up_is_covered_and_costs_the_same_at_every_level";
    if !can_sample(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let up = server.start_up(99);
    let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(14));
    busy.kill().unwrap();
    busy.wait().unwrap();
    up.interrupt();

    let prices = dir.path().join("prices.toml");
    std::fs::write(&prices, "currency = 'EUR'\n[[price]]\ncpu_core_hour = 0.36\n").unwrap();
    let prices = ["--prices", prices.to_str().unwrap()];
    let running = server.start_with(&prices);
    let raw = capacity(&server, "services", &[]);
    assert_eq!(raw["level"], "raw");
    let covered = raw["coverage"][0]["coverage"].as_f64().unwrap();
    println!("coverage {covered} of {} CPU-seconds", raw["coverage"][0]["host_cpu_seconds"]);
    assert!((0.5..1.5).contains(&covered), "{raw:#}");
    let total = raw["cpu_seconds"].as_f64().unwrap();
    assert!(total > 5.0 && is_near(sum(&raw, "cpu_seconds"), total), "{raw:#}");
    assert!(is_near(sum(&raw, "cpu_cost"), total / 3600.0 * 0.36), "{raw:#}");
    let functions = capacity(&server, "functions", &[("limit", "0")]);
    assert!(is_near(sum(&functions, "self_cpu_seconds"), total));
    running.interrupt();

    // Everything is older than a second by now.
    let [data, kept] = ["data", "kept"].map(|name| server.dir.join(name));
    std::fs::rename(&data, &kept).unwrap();
    for (hourly, level) in [("90d", "hourly"), ("0", "functions")] {
        let _ = std::fs::remove_dir_all(&data);
        let copied = Command::new("cp").arg("-r").args([&kept, &data]).status().unwrap();
        assert!(copied.success());
        let short = ["--retain-raw", "1s", "--retain-hourly", hourly];
        let running = server.start_with(&[&prices[..], &short].concat());
        let rolled = wait_for("the rollup", || {
            let answer = capacity(&server, "services", &[]);
            (answer["level"] == level).then_some(answer)
        });
        assert!(is_near(rolled["cpu_seconds"].as_f64().unwrap(), total), "{level}: {rolled:#}");
        let (a, b) = (&rolled["coverage"][0], &raw["coverage"][0]);
        assert_eq!(a["host_cpu_seconds"], b["host_cpu_seconds"], "{level}");
        let again = capacity(&server, "functions", &[("limit", "0")]);
        assert_eq!(again["rows_total"], functions["rows_total"], "{level}");
        for of in ["self_cpu_seconds", "cpu_seconds", "cpu_cost", "samples"] {
            assert!(is_near(sum(&again, of), sum(&functions, of)), "{level}: {of}");
        }
        let command = ["top", "cpu@now-2h..now", "--by", "service", "--cost", "-n", "5"];
        let mut stoker = Command::new(binary("stoker"));
        let server_url = format!("http://{}", server.http);
        let output = stoker.args(command).env("STOKER_SERVER", server_url).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let wanted = format!("costs in EUR; kept as {level}");
        assert!(text.starts_with("CORES") && text.contains(&wanted), "{text}");
        running.interrupt();
    }
}
