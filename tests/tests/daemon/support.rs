//! What the tests of the daemon share.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stoker_tests::{Language, Running, binary, build_workload, free_port, get};

/// An agent with its HTTP side and nobody to send to.
pub struct Daemon {
    pub running: Running,
    pub http: SocketAddr,
    pub dir: tempfile::TempDir,
}

impl Daemon {
    pub fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, "http://127.0.0.1:1", Command::new(binary("stoker-agent")), options)
    }

    pub fn start_in(
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

    pub fn metrics(&self) -> HashMap<String, f64> {
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

    pub fn metric(&self, name: &str) -> f64 {
        *self.metrics().get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// CPU seconds that the agent and its worker used.
    pub fn cpu_seconds(&self) -> f64 {
        let metrics = self.metrics();
        ["agent", "worker"]
            .iter()
            .map(|of| metrics[&format!("cpu_seconds_total{{of=\"{of}\"}}")])
            .sum()
    }

    pub fn memory_bytes(&self) -> f64 {
        let metrics = self.metrics();
        metrics.iter().filter(|(name, _)| name.starts_with("memory_bytes")).map(|(_, v)| v).sum()
    }

    pub fn status_field(&self, field: &str) -> String {
        field_of(&format!("/proc/{}/status", self.running.pid()), field)
    }

    /// BPF programs that it holds.
    pub fn programs(&self) -> usize {
        let folder = fs::read_dir(format!("/proc/{}/fdinfo", self.running.pid()));
        let texts = folder.into_iter().flatten().flatten();
        let texts = texts.filter_map(|entry| fs::read_to_string(entry.path()).ok());
        texts.filter(|text| text.contains("prog_id:")).count()
    }

    /// Perf events that it holds.
    pub fn perf_events(&self) -> usize {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.running.pid()));
        let links = folder.into_iter().flatten().flatten();
        let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.filter(|link| link.to_string_lossy().contains("perf_event")).count()
    }

    /// Ends it, and checks that every sample was accounted for.
    pub fn end(self) -> String {
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

pub fn field_of(path: &str, field: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_default().trim().to_owned()
}

/// A burner on every CPU.
pub fn saturate(dir: &Path) -> Vec<Running> {
    burn(dir, std::thread::available_parallelism().unwrap().get())
}

pub fn burn(dir: &Path, count: usize) -> Vec<Running> {
    let program = dir.join("burn");
    build_workload(Language::C, &program).expect("gcc is there where Rust links");
    let burner =
        |at| Running::start(Command::new(&program).arg("600"), &dir.join(format!("burn-{at}.log")));
    (0..count).map(burner).collect()
}

/// Starts short-lived processes at a rate, from two threads, until dropped.
pub struct ForkBomb {
    stop: std::sync::Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u64>>,
}

impl ForkBomb {
    pub fn start(per_second: u32) -> Self {
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

    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }
}
