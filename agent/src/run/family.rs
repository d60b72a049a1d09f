//! A family: some processes and all that descends from them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::kernel::KernelEvent;

/// Processes that are recorded, by id. Events must come in the order of time.
#[derive(Debug, Default)]
pub(super) struct Family {
    members: HashSet<u32>,
    /// Members that are not recorded before they run another program.
    before_exec: HashSet<u32>,
    /// Members whose first thread has ended; other threads of theirs may still run.
    ended: Vec<u32>,
}

impl Family {
    /// These processes and, of those that run now, all that descend from them. Call it after events
    /// have started to flow, so that nobody is born unseen.
    pub(super) fn of(pids: &[u32]) -> Self {
        let members = with_descendants(pids.iter().copied().collect(), &parents());
        let mut family = Self { members, ..Self::default() };
        family.ended = family.members.iter().copied().filter(|pid| !is_alive(*pid)).collect();
        family.forget_gone();
        family
    }

    /// The same, and what these processes do before they run another program is left out: it is not
    /// the command's.
    pub(super) fn of_commands(pids: &[u32]) -> Self {
        Self { before_exec: pids.iter().copied().collect(), ..Self::of(pids) }
    }

    /// Whether what this process does is recorded.
    pub(super) fn records(&self, pid: u32) -> bool {
        self.members.contains(&pid) && !self.before_exec.contains(&pid)
    }

    pub(super) fn members(&self) -> Vec<u32> {
        let mut members: Vec<u32> = self.members.iter().copied().collect();
        members.sort_unstable();
        members
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Learns of births and ends. A process that is born has no past: what is known of its id is of
    /// another.
    pub(super) fn watch(&mut self, event: &KernelEvent<'_>) {
        match *event {
            KernelEvent::Fork { pid, parent_pid, .. } if pid != parent_pid => {
                self.born(pid, parent_pid);
            }
            KernelEvent::Exec { pid, .. } => {
                self.before_exec.remove(&pid);
            }
            KernelEvent::Exit { pid, tid, .. } if pid == tid && self.members.contains(&pid) => {
                self.ended.push(pid);
            }
            _ => {}
        }
    }

    fn born(&mut self, pid: u32, parent: u32) {
        self.ended.retain(|&ended| ended != pid);
        if self.members.contains(&parent) {
            self.members.insert(pid);
        } else {
            self.members.remove(&pid);
        }
    }

    /// Forgets members that have ended with all their threads.
    pub(super) fn forget_gone(&mut self) {
        let members = &mut self.members;
        self.ended.retain(|pid| {
            let alive = is_alive(*pid);
            if !alive {
                members.remove(pid);
            }
            alive
        });
    }
}

/// Whether a process runs; one that only waits for its parent to look at it does not.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| !matches!(fields(&stat), Some(("Z" | "X", _)) | None))
}

/// State and parent in the text of `/proc/PID/stat`; the name before them may hold anything
/// (proc_pid_stat(5)).
fn fields(stat: &str) -> Option<(&str, u32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?;
    Some((state, words.next()?.parse().ok()?))
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, fields(&stat)?.1))
    })
    .collect()
}

fn with_descendants(mut members: HashSet<u32>, parents: &[(u32, u32)]) -> HashSet<u32> {
    loop {
        let children = parents
            .iter()
            .filter(|(pid, parent)| members.contains(parent) && !members.contains(pid));
        let found: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        if found.is_empty() {
            return members;
        }
        members.extend(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_do_not_hide_the_parent() {
        assert_eq!(fields("7 (a) S 1) R 4 7 7"), Some(("R", 4)));
        assert_eq!(fields("nonsense"), None);
    }

    #[test]
    fn descendants_are_found_in_any_order_and_ids_that_come_back_are_others() {
        let parents = [(5, 4), (4, 2), (2, 1), (3, 1)];
        let found = with_descendants([2].into(), &parents);
        assert_eq!(found, [2, 4, 5].into());
        let mut family = Family { members: found, ..Family::default() };
        family.born(9, 5);
        assert!(family.records(9));
        family.born(9, 3);
        assert!(!family.records(9));
    }

    #[test]
    fn a_command_is_recorded_from_its_program_on() {
        let own = std::process::id();
        let mut family = Family::of_commands(&[own]);
        assert!(!family.records(own));
        let comm = crate::kernel::Comm::default();
        family.watch(&KernelEvent::Exec { time_ns: 1, pid: own, tid: own, comm });
        assert!(family.records(own));
    }

    #[test]
    fn this_process_runs_and_one_that_never_was_does_not() {
        assert!(is_alive(std::process::id()));
        assert!(Family::of(&[u32::MAX]).is_empty());
    }
}
