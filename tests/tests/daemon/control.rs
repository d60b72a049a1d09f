//! Kill switch, reload, the end, and what `doctor` says.

use std::fs;
use std::path::Path;
use std::process::Command;

use stoker_tests::{binary, can_sample, get, wait_for};

use crate::support::{Daemon, burn, field_of, saturate};

#[test]
fn the_kill_switch_detaches_and_reload_changes_what_it_can() {
    if !can_sample("the_kill_switch_detaches_and_reload_changes_what_it_can") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("agent.toml");
    fs::write(&config, "frequency = 49\n[labels]\nzone = \"a\"\n").unwrap();
    let path = config.to_str().unwrap().to_owned();
    let daemon = Daemon::start(&["--config", &path]);
    assert_eq!(daemon.metric("frequency_hertz"), 49.0);
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert_eq!((daemon.programs() > 0, daemon.perf_events()), (true, 2 * cpus));

    daemon.running.signal("USR1");
    wait_for("sampling to be off", || {
        (daemon.metric("off{reason=\"kill switch\"}") == 1.0).then_some(())
    });
    assert!(daemon.dir.path().join("state/off").exists());
    assert_eq!((daemon.programs(), daemon.perf_events()), (0, 0), "detached");
    assert_eq!(daemon.metric("frequency_hertz"), 0.0);
    let health = get(daemon.http, "/healthz").unwrap();
    assert_eq!(
        (health.status, health.body.as_slice()),
        (200, &b"sampling is off: kill switch\n"[..])
    );
    fs::remove_file(daemon.dir.path().join("state/off")).unwrap();
    wait_for("sampling to be on", || (daemon.metric("frequency_hertz") == 49.0).then_some(()));
    assert_eq!(daemon.perf_events(), 2 * cpus);
    let before = daemon.metric("samples_total{result=\"counted\"}");
    let _burners = saturate(dir.path());
    wait_for("samples after it", || {
        (daemon.metric("samples_total{result=\"counted\"}") > before + 20.0).then_some(())
    });

    fs::write(&config, "frequency = 7\nspool_bytes = 1000000\n").unwrap();
    daemon.running.signal("HUP");
    wait_for("the new frequency", || (daemon.metric("frequency_hertz") == 7.0).then_some(()));
    fs::write(&config, "frequency = \n").unwrap();
    daemon.running.signal("HUP");
    wait_for("the refusal", || {
        daemon.running.output().contains("the settings stay as they were").then_some(())
    });
    assert_eq!(daemon.metric("frequency_hertz"), 7.0);
    let output = daemon.end();
    assert!(
        output.contains("these count only after a restart settings=\"spool_bytes\""),
        "{output}"
    );
}

#[test]
fn after_kill_9_neither_worker_nor_program_stays() {
    if !can_sample("after_kill_9_neither_worker_nor_program_stays") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _burner = burn(dir.path(), 1);
    let daemon = Daemon::start(&["-F", "99"]);
    let pid = daemon.running.pid();
    let name = "names_total{result=\"named\"}";
    wait_for("names, so there is a worker", || (daemon.metric(name) > 0.0).then_some(()));
    let workers = workers_of(pid);
    assert!(!workers.is_empty());
    daemon.running.kill();
    wait_for("its worker to end", || {
        workers.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
}

fn workers_of(pid: u32) -> Vec<u32> {
    let is_worker = |entry: &u32| {
        let of = |field| field_of(&format!("/proc/{entry}/status"), field);
        of("PPid:") == pid.to_string()
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_worker).collect()
}

#[test]
fn doctor_tells_how_stacks_and_names_of_the_running_agent_fare() {
    if !can_sample("doctor_tells_how_stacks_and_names_of_the_running_agent_fare") {
        return;
    }
    let daemon = Daemon::start(&["--frequency", "199"]);
    let dir = tempfile::tempdir().unwrap();
    let _burner = burn(dir.path(), 1);
    wait_for("stacks by tables and names", || {
        let stacks = daemon.metric("unwind_total{result=\"complete\"}");
        (stacks > 200.0 && daemon.metric("names_total{result=\"named\"}") > 0.0).then_some(())
    });
    let mut doctor = Command::new(binary("stoker-agent"));
    doctor.args(["doctor", "--json", "--http", &daemon.http.to_string(), "--state-dir"]);
    let output = doctor.arg(dir.path()).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut sections = report["sections"].as_array().unwrap().iter();
    let section = sections.find(|section| section["title"] == "Stacks and names").unwrap();
    let found = |name: &str| {
        let mut findings = section["findings"].as_array().unwrap().iter();
        findings.find(|finding| finding["name"] == name).unwrap()["found"].as_str().unwrap()
    };
    let stacks = found("whole stacks");
    assert!(stacks.contains(&format!("the agent at {}", daemon.http)), "{stacks}");
    let all = stacks.split_once(" % of ").unwrap().1.split(' ').next().unwrap();
    assert!(all.parse::<u64>().unwrap() >= 200, "{stacks}");
    assert!(found("names").contains("frames have one"), "{section}");
    daemon.end();
}

#[test]
fn doctor_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let run = |options: &[&str]| {
        let mut command = Command::new(binary("stoker-agent"));
        command.arg("doctor").args(options).arg("--state-dir").arg(dir.path());
        command.output().unwrap()
    };
    let output = run(&["--json", "--server", "http://127.0.0.1:1"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["sections"].as_array().unwrap().iter();
    let findings: Vec<_> =
        findings.flat_map(|section| section["findings"].as_array().unwrap()).collect();
    let server = findings.iter().find(|finding| finding["name"] == "server").unwrap();
    assert_eq!(server["level"], "degraded", "{server}");
    assert!(server["mend"].as_str().unwrap().contains("--server"));
    let code = output.status.code().unwrap();
    assert!(code == 1 || !can_sample("doctor_says_what_is_wrong") && code == 2, "{code}");
    let text = String::from_utf8(run(&[]).stdout).unwrap();
    assert!(text.contains("kernel release") && !text.contains('\u{1b}'), "{text}");
    let wrong = run(&["--config", "/nowhere.toml"]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.starts_with("error: cannot read the configuration /nowhere.toml"), "{said}");
}
