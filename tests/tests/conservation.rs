//! Conservation: taken = stored + counted as lost, across a restart and a `kill -9` of the server
//! in the middle of a run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and shows numbers"
)]

use std::time::Duration;

use stoker_tests::{Server, can_sample, wait_for};

/// The numbers of the agent's last line: `stopped taken=… counted=… lost=… …`.
fn report(output: &str, name: &str) -> u64 {
    let line = output.lines().rfind(|line| line.contains("stopped")).expect(output);
    let found = line.split(' ').find_map(|word| word.strip_prefix(&format!("{name}=")));
    found.unwrap_or_else(|| panic!("{line} has no {name}")).parse().unwrap()
}

#[test]
fn nothing_is_lost_when_the_server_dies_and_restarts() {
    if !can_sample("nothing_is_lost_when_the_server_dies_and_restarts") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let pause = || std::thread::sleep(Duration::from_secs(4));
    let first = server.start();
    let agent = server.start_agent("kept", &["--frequency", "199"]);
    pause();
    first.interrupt();
    pause();
    let second = server.start();
    pause();
    second.kill();
    pause();
    let _third = server.start();
    let before = server.samples("cpu{host=\"kept\"}");
    wait_for("the agent finds the third server", || {
        (server.samples("cpu{host=\"kept\"}") > before).then_some(())
    });
    let output = agent.interrupt();
    let (taken, counted, lost) =
        (report(&output, "taken"), report(&output, "counted"), report(&output, "lost"));
    assert_eq!(taken, counted + lost);
    assert_eq!(report(&output, "waiting_batches"), 0, "{output}");
    let stored = server.samples("cpu{host=\"kept\"}");
    println!("taken {taken} = stored {stored} + lost {lost}");
    assert!(taken > 0);
    assert_eq!(stored + lost, taken);
}

#[test]
fn an_agent_that_was_killed_ships_its_spool_when_it_starts_again() {
    if !can_sample("an_agent_that_was_killed_ships_its_spool_when_it_starts_again") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let agent = server.start_agent("killed", &["--frequency", "199"]);
    std::thread::sleep(Duration::from_secs(4));
    agent.kill();
    let spool = dir.path().join("agent-killed/spool");
    let batches = std::fs::read_dir(&spool).unwrap().flatten();
    let waiting = batches.filter(|f| f.path().extension().is_some_and(|e| e == "batch")).count();
    assert!(waiting >= 2, "{waiting} batches wait");
    let _running = server.start();
    let again = server.start_agent("killed", &["--frequency", "1"]);
    let output = again.interrupt();
    assert_eq!(report(&output, "waiting_batches"), 0, "{output}");
    let stored = server.samples("cpu{host=\"killed\"}");
    assert!(stored > report(&output, "counted"), "{stored}");
}
