//! Ground truth: programs that know where their CPU time went, against what comes back through
//! kernel, agent, wire, store and query.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and shows numbers"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use stoker_tests::{Language, Server, build_workload, can_sample, skipped, wait_for};

const FREQUENCY_HZ: u32 = 99;
/// The two-sided normal quantile for a family of 9 intervals (3 programs of 3 functions) that holds
/// at 99.9 % as a whole: 1 - 0.001 / 9 / 2.
const Z: f64 = 3.87;

struct Workload {
    comm: &'static str,
    path: PathBuf,
}

fn workloads(dir: &Path) -> Vec<Workload> {
    let all = [(Language::C, "burn-c"), (Language::Rust, "burn-rust"), (Language::Go, "burn-go")];
    let built = all.into_iter().filter_map(|(language, comm)| {
        let path = dir.join(comm);
        let built = build_workload(language, &path);
        if built.is_none() {
            skipped(&format!("shares of {comm}"), "its compiler is not installed");
        }
        built.map(|()| Workload { comm, path })
    });
    built.collect()
}

/// CPU nanoseconds by function, as the program itself counted.
fn run(workloads: &[Workload], seconds: &str) -> Vec<BTreeMap<String, f64>> {
    let start = |w: &Workload| Command::new(&w.path).arg(seconds).stdout(Stdio::piped()).spawn();
    let children: Vec<_> = workloads.iter().map(|w| start(w).unwrap()).collect();
    let truth = |child: std::process::Child| {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |line: &str| {
            let (name, ns) = line.split_once(' ').unwrap();
            (name.to_owned(), ns.parse().unwrap())
        };
        text.lines().map(line).collect()
    };
    children.into_iter().map(truth).collect()
}

#[test]
fn shares_lie_within_the_binomial_interval() {
    if !can_sample("shares_lie_within_the_binomial_interval") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _running = server.start();
    let agent = server.start_agent("truth", &["--frequency", &FREQUENCY_HZ.to_string()]);
    let workloads = workloads(dir.path());
    let truths = run(&workloads, "10");
    wait_for("all samples with their names", || {
        let all = workloads.iter().zip(&truths).all(|(workload, truth)| {
            let total = total_of(&server, workload.comm);
            let top = server.top(&format!("cpu{{comm=\"{}\"}}", workload.comm));
            total > 9e9 && truth.keys().all(|name| share(&top, name) > 0.0)
        });
        all.then_some(())
    });
    agent.interrupt();
    for (workload, truth) in workloads.iter().zip(&truths) {
        check_shares(&server, workload, truth);
    }
}

fn total_of(server: &Server, comm: &str) -> f64 {
    server.flamegraph(&format!("cpu{{comm=\"{comm}\"}}"))["total"].as_f64().unwrap()
}

fn share(top: &serde_json::Value, function: &str) -> f64 {
    let rows = top["rows"].as_array().unwrap().iter();
    let of: f64 = rows
        .filter(|row| row["name"].as_str().unwrap().ends_with(function))
        .map(|row| row["total"].as_f64().unwrap())
        .sum();
    of / top["total"].as_f64().unwrap()
}

fn check_shares(server: &Server, workload: &Workload, truth: &BTreeMap<String, f64>) {
    let top = server.top(&format!("cpu{{comm=\"{}\"}}", workload.comm));
    let samples = top["samples"].as_f64().unwrap();
    let spent: f64 = truth.values().sum();
    for (name, ns) in truth {
        let (wanted, got) = (ns / spent, share(&top, name));
        let allowed = Z * (wanted * (1.0 - wanted) / samples).sqrt();
        println!("{} {name}: {got:.4}, truth {wanted:.4} ± {allowed:.4}", workload.comm);
        assert!((got - wanted).abs() <= allowed, "{} {name}: {got} is not {wanted}", workload.comm);
    }
}

#[test]
fn total_cpu_agrees_with_the_scheduler() {
    if !can_sample("total_cpu_agrees_with_the_scheduler") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _running = server.start();
    let program = dir.path().join("saturate");
    build_workload(Language::C, &program).expect("gcc is there where Rust links");
    let agent = server.start_agent("truth", &["--frequency", &FREQUENCY_HZ.to_string()]);
    let mut child = Command::new("taskset")
        .args(["-c", "0"])
        .arg(&program)
        .arg("1000")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(20));
    let schedstat = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    agent.interrupt();
    let truth: f64 = schedstat.split(' ').next().unwrap().parse().unwrap();
    let got = total_of(&server, "saturate");
    println!("scheduler {truth:.0} ns, profile {got:.0} ns, ratio {:.4}", got / truth);
    assert!((got / truth - 1.0).abs() < 0.03, "profile {got} ns, scheduler {truth} ns");
}
