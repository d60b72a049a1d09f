//! The agent as a daemon one can trust: budgets, kill switch, rights, reloads, the end.
//!
//! Everything here runs the real binary on the real kernel. The soak test is long and runs with
//! `cargo test -p stoker-tests --test daemon -- --ignored soak` (`STOKER_SOAK_SECONDS`, 600 unless
//! it is set).

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stoker_tests::{
    Language, Running, Server, binary, build_workload, can_sample, free_port, get, skipped,
    wait_for,
};

/// An agent with its HTTP side and nobody to send to.
struct Daemon {
    running: Running,
    http: SocketAddr,
    dir: tempfile::TempDir,
}

impl Daemon {
    fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, "http://127.0.0.1:1", Command::new(binary("stoker-agent")), options)
    }

    fn start_in(
        dir: tempfile::TempDir,
        server: &str,
        mut command: Command,
        options: &[&str],
    ) -> Self {
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        command.args(["--server", server, "--host", "daemon", "--flush-seconds", "1"]);
        command.arg("--state-dir").arg(dir.path().join("state"));
        command.args(["--http", &http.to_string()]).args(options);
        let running = Running::start(&mut command, &dir.path().join("agent.log"));
        let ready = || running.output().contains("metrics on http").then_some(());
        let end = Instant::now() + Duration::from_secs(20);
        while ready().is_none() {
            assert!(Instant::now() < end, "it does not start: {}", running.output());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { running, http, dir }
    }

    fn metrics(&self) -> HashMap<String, f64> {
        let answer = get(self.http, "/metrics").expect("metrics");
        let text = String::from_utf8(answer.body).unwrap();
        let values = text.lines().filter(|line| !line.starts_with('#'));
        let pair = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            let name = name.strip_prefix("stoker_agent_")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        values.filter_map(pair).collect()
    }

    fn metric(&self, name: &str) -> f64 {
        *self.metrics().get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// CPU seconds that the agent and its worker used.
    fn cpu_seconds(&self) -> f64 {
        let metrics = self.metrics();
        ["agent", "worker"]
            .iter()
            .map(|of| metrics[&format!("cpu_seconds_total{{of=\"{of}\"}}")])
            .sum()
    }

    fn memory_bytes(&self) -> f64 {
        let metrics = self.metrics();
        metrics.iter().filter(|(name, _)| name.starts_with("memory_bytes")).map(|(_, v)| v).sum()
    }

    fn status_field(&self, field: &str) -> String {
        field_of(&format!("/proc/{}/status", self.running.pid()), field)
    }

    /// BPF programs that it holds.
    fn programs(&self) -> usize {
        let folder = fs::read_dir(format!("/proc/{}/fdinfo", self.running.pid()));
        let texts = folder.into_iter().flatten().flatten();
        let texts = texts.filter_map(|entry| fs::read_to_string(entry.path()).ok());
        texts.filter(|text| text.contains("prog_id:")).count()
    }

    /// Perf events that it holds.
    fn perf_events(&self) -> usize {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.running.pid()));
        let links = folder.into_iter().flatten().flatten();
        let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.filter(|link| link.to_string_lossy().contains("perf_event")).count()
    }

    /// Ends it, and checks that every sample was accounted for.
    fn end(self) -> String {
        let output = self.running.interrupt();
        let number = |name: &str| {
            let line = output.lines().rfind(|line| line.contains("stopped")).expect("its report");
            let found = line.split(' ').find_map(|word| word.strip_prefix(&format!("{name}=")));
            found.expect(name).parse::<u64>().unwrap()
        };
        assert_eq!(number("taken"), number("counted") + number("lost"), "{output}");
        output
    }
}

fn field_of(path: &str, field: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_default().trim().to_owned()
}

/// A burner on every CPU.
fn saturate(dir: &Path) -> Vec<Running> {
    burn(dir, std::thread::available_parallelism().unwrap().get())
}

fn burn(dir: &Path, count: usize) -> Vec<Running> {
    let program = dir.join("burn");
    build_workload(Language::C, &program).expect("gcc is there where Rust links");
    let burner =
        |at| Running::start(Command::new(&program).arg("600"), &dir.join(format!("burn-{at}.log")));
    (0..count).map(burner).collect()
}

/// Starts short-lived processes at a rate, from two threads, until dropped.
struct ForkBomb {
    stop: std::sync::Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u64>>,
}

impl ForkBomb {
    fn start(per_second: u32) -> Self {
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let pause = Duration::from_secs(1) * 2 / per_second;
        let bomb = |stop: std::sync::Arc<AtomicBool>| {
            move || {
                let (mut count, start) = (0, Instant::now());
                while !stop.load(Ordering::Relaxed) {
                    let _ = Command::new("true").stdin(Stdio::null()).status();
                    count += 1;
                    let due = start + pause * u32::try_from(count).unwrap();
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                count
            }
        };
        let threads = (0..2).map(|_| std::thread::spawn(bomb(stop.clone()))).collect();
        Self { stop, threads }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }
}

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
            ("names_total{result=\"named\"}", "unwind_total{result=\"complete\"}");
        (metrics[named] > 10.0 && metrics[complete] > 100.0).then_some(())
    });
    assert_eq!(daemon.metric("frames_failed_total{reason=\"unreadable file\"}"), 0.0);
    assert_eq!(daemon.metric("frames_failed_total{reason=\"unknown kernel address\"}"), 0.0);
    daemon.end();
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
