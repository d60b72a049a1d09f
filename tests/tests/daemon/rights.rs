//! The rights that a running agent keeps, and those that are enough to start it.

use std::fs;
use std::process::{Command, Stdio};

use stoker_tests::{binary, can_sample, get, skipped, wait_for};

use crate::support::{Daemon, burn, field_of};

/// Bits of `/proc/PID/status`: BPF, PERFMON, SYS_PTRACE, CHECKPOINT_RESTORE, DAC_READ_SEARCH,
/// SYSLOG.
const KEPT: u64 = 1 << 39 | 1 << 38 | 1 << 19 | 1 << 40 | 1 << 2 | 1 << 34;

#[test]
fn rights_that_are_not_needed_are_gone_from_every_thread() {
    if !can_sample("rights_that_are_not_needed_are_gone_from_every_thread") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _burner = burn(dir.path(), 1);
    let daemon = Daemon::start(&["-F", "99"]);
    let name = "names_total{result=\"named\"}";
    wait_for("names, so there is a worker", || (daemon.metric(name) > 0.0).then_some(()));
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.running.pid())).unwrap();
    let mut paths: Vec<String> =
        tasks.flatten().map(|task| format!("{}/status", task.path().display())).collect();
    assert!(paths.len() >= 3, "{paths:?}");
    let children = format!("/proc/{0}/task", daemon.running.pid());
    for task in fs::read_dir(children).unwrap().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        paths.extend(text.split_whitespace().map(|pid| format!("/proc/{pid}/status")));
    }
    for path in paths {
        let bits = |field| u64::from_str_radix(&field_of(&path, field), 16).unwrap();
        assert_eq!(bits("CapPrm:") & !KEPT, 0, "{path}");
        assert_eq!(bits("CapBnd:") & !KEPT, 0, "{path}");
        assert_eq!(field_of(&path, "NoNewPrivs:"), "1", "{path}");
        assert_eq!(field_of(&path, "Seccomp:"), "2", "{path}");
    }
    // Its own profile is within what is left.
    let profile = get(daemon.http, "/debug/pprof/profile?seconds=1").unwrap();
    assert_eq!(profile.status, 200, "{}", String::from_utf8_lossy(&profile.body));
    assert!(profile.body.windows(11).any(|text| text == b"nanoseconds"));
    daemon.end();
    let open = Daemon::start(&["--seccomp", "false"]);
    assert_eq!(open.status_field("Seccomp:"), "0");
    open.end();
}

#[test]
fn without_root_six_capabilities_are_enough() {
    const TEST: &str = "without_root_six_capabilities_are_enough";
    if !can_sample(TEST) {
        return;
    }
    if Command::new("setpriv").arg("--version").stdout(Stdio::null()).status().is_err() {
        skipped(TEST, "needs setpriv (util-linux)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _burner = burn(dir.path(), 1);
    let nobody = tempfile::tempdir().unwrap();
    // What nobody may read and write: a copy of the agent, and a folder.
    let agent = nobody.path().join("stoker-agent");
    fs::copy(binary("stoker-agent"), &agent).unwrap();
    for path in [nobody.path(), &nobody.path().join("state")] {
        let _ = fs::create_dir(path);
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    let set = "-all,+bpf,+perfmon,+sys_ptrace,+checkpoint_restore,+dac_read_search,+syslog";
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args([format!("--inh-caps={set}"), format!("--ambient-caps={set}")]).arg(&agent);
    let daemon = Daemon::start_in(nobody, "http://127.0.0.1:1", command, &["-F", "99"]);
    let uid = daemon.status_field("Uid:");
    assert!(uid.starts_with("65534"), "{uid}");
    wait_for("named samples", || {
        let metrics = daemon.metrics();
        let (named, complete) =
            ("names_total{result=\"named\"}", "stacks_total{result=\"complete\"}");
        (metrics[named] > 10.0 && metrics[complete] > 100.0).then_some(())
    });
    assert_eq!(daemon.metric("frames_failed_total{reason=\"unreadable file\"}"), 0.0);
    assert_eq!(daemon.metric("frames_failed_total{reason=\"unknown kernel address\"}"), 0.0);
    daemon.end();
}
