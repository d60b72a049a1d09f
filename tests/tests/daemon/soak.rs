//! A long time under churn.
//!
//! The agent samples the test's own cgroup where there are cgroups of version 2: what else the
//! machine runs meanwhile brings new programs and new names, and they need memory rightly. Process
//! events come from the whole machine either way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use stoker_tests::{Server, binary, can_sample};

use crate::support::{Daemon, ForkBomb, saturate};

/// A cgroup of version 2 that lives as long as the test.
struct Cgroup {
    root: PathBuf,
    path: PathBuf,
}

impl Cgroup {
    /// None where there is no such hierarchy.
    fn new() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let mut fields = mounts.lines().map(|line| line.split(' '));
        let root = fields.find_map(|mut fields| {
            let (_, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(path))
        })?;
        let path = root.join(format!("stoker-soak-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        Some(Self { root, path })
    }

    fn enter(&self) {
        join(&self.path);
    }
}

fn join(folder: &Path) {
    fs::write(folder.join("cgroup.procs"), std::process::id().to_string()).unwrap();
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its other members are dropped before it, or it stays for the next boot to remove.
        join(&self.root);
        let _ = fs::remove_dir(&self.path);
    }
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
    let cgroup = Cgroup::new();
    let target = cgroup.as_ref().map(|cgroup| ["--cgroup", cgroup.path.to_str().unwrap()]);
    let target = target.as_ref().map_or(&[][..], |target| &target[..]);
    let daemon = Daemon::start_in(own, &url, Command::new(binary("stoker-agent")), target);
    // Agent and server are outside, all that is started from here on is inside.
    cgroup.iter().for_each(Cgroup::enter);
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
