//! Keeping a pid target true while processes come and go.
//!
//! A process that is forked by a sampled one joins the target; a process id that comes back in
//! other hands leaves it. Both are seen in the process events, so with the delay of a drain.

use std::path::Path;

use stoker_ebpf_abi::TARGET_PIDS_MAX;

use super::{error::KernelError, event::KernelEvent, maps::Maps};

/// What is known about a pid target beside the programs' own map.
pub struct Children {
    follow: bool,
    /// Processes whose first thread has ended; they stay in the target until they are gone.
    ended: Vec<u32>,
    missed: u64,
}

impl Children {
    /// Of a target whose children are followed or not.
    pub fn new(follow: bool) -> Self {
        Self { follow, ended: Vec::new(), missed: 0 }
    }

    /// Adds a process to the target.
    pub fn add(&mut self, pid: u32, maps: &mut Maps) -> Result<(), KernelError> {
        maps.add_pid(pid).map_err(|_| KernelError::TooManyPids { max: TARGET_PIDS_MAX })
    }

    /// Learns from an event; they must come in the order of time, parents before children.
    pub fn watch(&mut self, event: &KernelEvent<'_>, maps: &mut Maps) {
        match *event {
            KernelEvent::Fork { pid, parent_pid, .. } if pid != parent_pid => {
                self.forked(pid, parent_pid, maps);
            }
            KernelEvent::Exit { pid, tid, .. } if pid == tid && maps.has_pid(pid) => {
                self.ended.push(pid);
            }
            _ => {}
        }
    }

    /// Takes processes that are gone from the target.
    pub fn forget_gone(&mut self, maps: &mut Maps) {
        self.ended.retain(|&pid| {
            let alive = Path::new("/proc").join(pid.to_string()).exists();
            if !alive {
                maps.remove_pid(pid);
            }
            alive
        });
    }

    /// Children that found the target full.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn forked(&mut self, pid: u32, parent_pid: u32, maps: &mut Maps) {
        // A process that is being born has no past: an entry under its id is another's.
        self.ended.retain(|&ended| ended != pid);
        if self.follow && maps.has_pid(parent_pid) {
            self.missed += u64::from(maps.add_pid(pid).is_err());
        } else {
            maps.remove_pid(pid);
        }
    }
}
