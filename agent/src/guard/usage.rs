//! What the agent uses, read each second.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// What the agent used since its start, and holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of the agent's own threads, in nanoseconds.
    pub agent_ns: u64,
    /// CPU time of its workers, past and present, in nanoseconds.
    pub worker_ns: u64,
    /// Time that its programs ran in the kernel, where the kernel counts that, in nanoseconds.
    pub kernel_ns: u64,
    /// Memory that the agent has resident.
    pub resident_bytes: u64,
    /// The worker's own memory, without the files that it has mapped: those are the page cache's.
    pub worker_bytes: u64,
    /// Rings that the kernel writes to.
    pub ring_bytes: u64,
}

impl Usage {
    /// All CPU time.
    #[must_use]
    pub fn cpu_ns(&self) -> u64 {
        self.sampling_ns().saturating_add(self.worker_ns)
    }

    /// CPU time without names: what a lower frequency may change.
    #[must_use]
    pub fn sampling_ns(&self) -> u64 {
        self.agent_ns.saturating_add(self.kernel_ns)
    }

    /// All memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.resident_bytes.saturating_add(self.worker_bytes).saturating_add(self.ring_bytes)
    }
}

/// Reads [`Usage`]; remembers what a worker had used before it went.
#[derive(Debug, Default)]
pub struct Meter {
    worker: Option<(u32, u64)>,
    workers_gone_ns: u64,
    programs_gone_ns: u64,
    programs_ns: u64,
}

impl Meter {
    /// Reads all. `programs_ns` and `ring_bytes` are the kernel side's own accounts.
    pub fn read(
        &mut self,
        worker: Option<u32>,
        programs_ns: Option<u64>,
        ring_bytes: u64,
    ) -> Usage {
        self.meet_worker(worker);
        let programs_ns = programs_ns.unwrap_or(0);
        if programs_ns < self.programs_ns {
            self.programs_gone_ns += self.programs_ns;
        }
        self.programs_ns = programs_ns;
        // The ring of samples is mapped by us too and would count twice.
        let resident = memory("self", "VmRSS:").saturating_sub(memory("self", "RssShmem:"));
        Usage {
            agent_ns: own_cpu_ns(),
            worker_ns: self.workers_gone_ns + self.worker.map_or(0, |(_, ns)| ns),
            kernel_ns: self.programs_gone_ns + programs_ns,
            resident_bytes: resident,
            worker_bytes: worker.map_or(0, |pid| memory(&pid.to_string(), "RssAnon:")),
            ring_bytes,
        }
    }

    /// A worker that is gone keeps what it had used when it was last seen: at most a second less
    /// than the truth.
    fn meet_worker(&mut self, worker: Option<u32>) {
        let before = self.worker.take();
        let gone = before.filter(|(pid, _)| worker != Some(*pid));
        self.workers_gone_ns += gone.map_or(0, |(_, ns)| ns);
        let known = before.filter(|(pid, _)| worker == Some(*pid)).map_or(0, |(_, ns)| ns);
        self.worker = worker.map(|pid| (pid, cpu_ns(pid).unwrap_or(0).max(known)));
    }
}

fn own_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// CPU time of another process, whose one thread has its number: the first field of
/// `/proc/PID/schedstat` (Documentation/scheduler/sched-stats.rst), else of `/proc/PID/stat`.
fn cpu_ns(pid: u32) -> Option<u64> {
    let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok();
    let first = schedstat.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    first.filter(|&ns| ns > 0).or_else(|| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        ticks(&stat).map(|ticks| ticks * 10_000_000)
    })
}

/// `utime` + `stime`, in ticks of 10 ms (proc_pid_stat(5)); the name before may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// A field of `/proc/PID/status`, in bytes; 0 where it cannot be read.
fn memory(process: &str, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(42));
    }

    #[test]
    fn a_worker_that_is_gone_still_counts() {
        let mut meter = Meter { worker: Some((u32::MAX, 700)), ..Meter::default() };
        assert_eq!(meter.read(None, Some(50), 0).worker_ns, 700);
        let later = meter.read(None, Some(20), 10);
        assert_eq!((later.worker_ns, later.kernel_ns, later.ring_bytes), (700, 70, 10));
        assert!(later.agent_ns > 0 && later.resident_bytes > 0);
    }
}
