//! A long time under churn.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use stoker_tests::{Server, binary, can_sample};

use crate::support::{Daemon, ForkBomb, saturate};

#[test]
#[ignore = "takes ten minutes"]
fn soak_with_churn_does_not_grow() {
    if !can_sample("soak_with_churn_does_not_grow") {
        return;
    }
    let seconds = std::env::var("STOKER_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(600);
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _server = server.start();
    let own = tempfile::tempdir().unwrap();
    let url = format!("http://{}", server.grpc);
    let daemon = Daemon::start_in(own, &url, Command::new(binary("stoker-agent")), &[]);
    let _burners = saturate(dir.path());
    let bomb = ForkBomb::start(100);
    let agent = "memory_bytes{of=\"agent\"}";
    let mut peaks = Vec::new();
    let start = Instant::now();
    for quarter in 1..=4 {
        let mut peak: f64 = 0.0;
        while start.elapsed() < Duration::from_secs(seconds * quarter / 4) {
            peak = peak.max(daemon.metric(agent));
            std::thread::sleep(Duration::from_secs(1));
        }
        peaks.push(peak / f64::from(1 << 20));
    }
    let cpu = daemon.cpu_seconds() * 100.0 / start.elapsed().as_secs_f64();
    let started = bomb.end();
    println!(
        "agent's memory by quarter: {peaks:.1?} MiB, {cpu:.2} % of a core, {started} processes"
    );
    assert!(peaks[3] <= peaks[1] * 1.1 + 1.0, "it grows: {peaks:.1?} MiB");
    assert!(peaks.iter().all(|peak| *peak < 100.0));
    let files = fs::read_dir(format!("/proc/{}/fd", daemon.running.pid())).unwrap().count();
    assert!(files < 300, "{files} open files");
    daemon.end();
}
