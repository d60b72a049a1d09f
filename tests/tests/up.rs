//! `stoker up`: stops within two seconds, loses nothing that was taken, shows the old data again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use stoker_tests::{Server, can_sample, wait_for};

fn samples(server: &Server) -> u64 {
    server.flamegraph("cpu")["samples"].as_u64().unwrap()
}

#[test]
fn stopping_is_quick_and_keeps_everything() {
    if !can_sample("stopping_is_quick_and_keeps_everything") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let up = server.start_up(99);
    wait_for("the first samples", || (samples(&server) > 0).then_some(()));
    std::thread::sleep(Duration::from_secs(5));
    let asked = Instant::now();
    let output = up.interrupt();
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(2), "stopping took {took:?}");
    let line = output.lines().find(|line| line.starts_with("Stopped: ")).unwrap();
    let mut numbers = line.split(' ').filter_map(|word| word.parse::<u64>().ok());
    let (taken, lost) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(taken > 0 && lost == 0, "{line}");
    assert!(!line.contains("wait in the spool"), "{line}");

    let again = server.start_up(1);
    let stored = samples(&server);
    let new = 2 * 5; // at 1 Hz on each CPU, in the moments since the start
    assert!((taken..=taken + new).contains(&stored), "taken {taken}, stored {stored}");
    again.interrupt();
}
