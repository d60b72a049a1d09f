//! Budgets of CPU and memory, and what gives way to hold them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use stoker_tests::{Running, Server, binary, can_sample, wait_for};

use crate::support::{Daemon, ForkBomb, saturate};

#[test]
fn over_budget_the_frequency_falls_and_every_sample_keeps_its_worth() {
    if !can_sample("over_budget_the_frequency_falls_and_every_sample_keeps_its_worth") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _server = server.start();
    let own = tempfile::tempdir().unwrap();
    let url = format!("http://{}", server.grpc);
    let command = Command::new(binary("stoker-agent"));
    let daemon = Daemon::start_in(own, &url, command, &["-F", "1999", "--max-cpu", "1"]);
    let start = Instant::now();
    let burners = saturate(dir.path());
    wait_for("a lower frequency", || (daemon.metric("frequency_hertz") < 1999.0).then_some(()));
    std::thread::sleep(Duration::from_secs(6));
    // What the burners used, by the kernel's account, and what the samples say of it.
    let used: f64 = burners.iter().map(|burner| cpu_seconds(burner.pid())).sum();
    let wall = start.elapsed().as_secs_f64();
    drop(burners);
    let lowered = daemon.metric("guard_total{action=\"frequency lowered\"}");
    let asked = daemon.metric("frequency_asked_hertz");
    let output = daemon.end();
    assert!(output.contains("the sampling frequency changes"), "{output}");
    assert!(lowered >= 1.0 && (asked - 1999.0).abs() < 0.1);
    let agents = server.json("/api/v1/agents", &[]);
    let shown = agents.to_string();
    assert!(shown.contains("frequency_hz") && !shown.contains("\"frequency_hz\":1999"), "{shown}");
    let sampled = server.flamegraph("cpu{comm=\"burn\"}")["total"].as_u64().unwrap();
    let sampled = Duration::from_nanos(sampled).as_secs_f64();
    println!("{used:.1} s used, {sampled:.1} s sampled, lowered {lowered} times in {wall:.0} s");
    assert!((sampled / used - 1.0).abs() < 0.15, "{sampled} s sampled of {used} s used");
}

fn cpu_seconds(pid: u32) -> f64 {
    let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    schedstat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
fn a_fork_bomb_and_five_thousand_mappings_stay_within_budget() {
    if !can_sample("a_fork_bomb_and_five_thousand_mappings_stay_within_budget") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("mappings");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/mappings.c");
    let built = Command::new("gcc").arg("-O1").arg("-o").arg(&program).arg(source).status();
    assert!(built.unwrap().success());
    let mappings =
        Running::start(Command::new(&program).arg("5000"), &dir.path().join("mappings.log"));
    wait_for("its mappings", || mappings.output().contains("mapped").then_some(()));
    let daemon = Daemon::start(&["--max-cpu", "10", "--max-memory", "128"]);
    let bomb = ForkBomb::start(300);
    // Twice the time that a verdict takes.
    std::thread::sleep(Duration::from_secs(11));
    let (start, before) = (Instant::now(), daemon.metrics());
    let cpu_before = before["cpu_seconds_total{of=\"agent\"}"];
    std::thread::sleep(Duration::from_secs(6));
    let cpu = daemon.metric("cpu_seconds_total{of=\"agent\"}") - cpu_before;
    let share = cpu * 100.0 / start.elapsed().as_secs_f64();
    let memory_mib = daemon.memory_bytes() / f64::from(1 << 20);
    let hz = daemon.metric("frequency_hertz");
    let started = bomb.end();
    println!("{share:.1} % of a core at {hz} Hz, {memory_mib:.0} MiB, {started} processes");
    assert!(share <= 10.0, "{share} % of a core");
    assert!(memory_mib <= 128.0, "{memory_mib} MiB");
    assert!(started > 2000, "{started} processes");
    assert!(daemon.metric("samples_total{result=\"counted\"}") > 0.0 || hz == 0.0);
    daemon.end();
}
