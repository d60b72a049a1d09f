//! Host facts: how much CPU time the host and its cgroups used.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// CPUs and their use since the host started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCpu {
    /// CPUs that are online.
    pub cpus: u32,
    /// CPU time that was not idle, over all CPUs. `/proc/stat` counts in ticks of 10 ms.
    pub busy: Duration,
}

/// Reads [`HostCpu`] from `/proc/stat`; `None` where that cannot be read.
#[must_use]
pub fn host_cpu() -> Option<HostCpu> {
    parse_stat(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// Ticks per second in `/proc/stat`: `USER_HZ`, 100 on every architecture that we run on.
const USER_HZ: u64 = 100;

fn parse_stat(text: &str) -> Option<HostCpu> {
    let mut lines = text.lines().take_while(|line| line.starts_with("cpu"));
    let total = lines.next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = total.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is part of user's.
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|&at| ticks.get(at)).sum();
    let cpus = u32::try_from(lines.count()).ok()?;
    Some(HostCpu { cpus, busy: Duration::from_millis(busy * (1000 / USER_HZ)) })
}

/// Where the cgroup hierarchies that count CPU time are mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupMounts {
    unified: Option<PathBuf>,
    cpuacct: Option<PathBuf>,
}

impl CgroupMounts {
    /// As this process sees them.
    #[must_use]
    pub fn read() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    /// Reads the text of `/proc/PID/mountinfo` (proc_pid_mountinfo(5)).
    fn parse(text: &str) -> Self {
        let mut mounts = Self::default();
        for line in text.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let Some(point) = before.split(' ').nth(4).map(PathBuf::from) else { continue };
            let fields: Vec<&str> = after.split(' ').collect();
            let is_cpuacct = || fields.last().is_some_and(|o| o.split(',').any(|o| o == "cpuacct"));
            match fields[0] {
                "cgroup2" => mounts.unified = mounts.unified.or(Some(point)),
                "cgroup" if is_cpuacct() => mounts.cpuacct = mounts.cpuacct.or(Some(point)),
                _ => {}
            }
        }
        mounts
    }

    /// CPU time in microseconds that the cgroup at `path` (below its hierarchy's root, as in
    /// [`ProcessMeta::cgroup`](super::ProcessMeta::cgroup)) and those below it used since it was
    /// made: `usage_usec` of version 2, `cpuacct.usage` of version 1. `None` when neither has it.
    #[must_use]
    pub fn cpu_usage_usec(&self, path: &str) -> Option<u64> {
        let below = Path::new(path.trim_start_matches('/'));
        if below.components().any(|part| !matches!(part, Component::Normal(_))) {
            return None;
        }
        let read = |mount: &Option<PathBuf>, name| {
            std::fs::read_to_string(mount.as_ref()?.join(below).join(name)).ok()
        };
        let unified = || parse_cpu_stat(&read(&self.unified, "cpu.stat")?);
        let cpuacct =
            || Some(read(&self.cpuacct, "cpuacct.usage")?.trim().parse::<u64>().ok()? / 1000);
        unified().or_else(cpuacct)
    }
}

fn parse_cpu_stat(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_leaves_out_idle_and_guest() {
        let text = "cpu  100 1 10 5000 50 2 3 4 70 1\ncpu0 1 2\ncpu1 1 2\nintr 5\n";
        let wanted = HostCpu { cpus: 2, busy: Duration::from_millis(1200) };
        assert_eq!(parse_stat(text), Some(wanted));
        assert_eq!(parse_stat("intr 5\n"), None);
    }

    #[test]
    fn both_hierarchies_are_found() {
        let text = "\
28 25 0:25 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
29 25 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
35 25 0:30 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        let mounts = CgroupMounts::parse(text);
        assert_eq!(mounts.unified, Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mounts.cpuacct, Some("/sys/fs/cgroup/cpuacct".into()));
        assert_eq!(mounts.cpu_usage_usec("/../etc"), None);
    }

    #[test]
    fn usage_is_read() {
        assert_eq!(parse_cpu_stat("usage_usec 12345\nuser_usec 1\n"), Some(12345));
        assert_eq!(parse_cpu_stat("user_usec 1\n"), None);
    }
}
