//! Which threads there are, and why one of them cannot be sampled.

use std::{fs, io, os::unix::fs::MetadataExt as _};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::super::{error::KernelError, preflight};

/// Threads of these processes; of one that has ended, none.
pub(super) fn of(pids: &[u32]) -> Vec<u32> {
    let of_one = |pid: &u32| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        tasks.filter_map(|task| task.file_name().to_str()?.parse().ok())
    };
    pids.iter().flat_map(of_one).collect()
}

/// Every thread needs an open file per CPU: takes as many as may be had without a privilege.
pub(super) fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it cannot be raised, opening the events will say so.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Why the events of a thread could not be opened.
pub(super) fn refused(tid: u32, source: io::Error) -> KernelError {
    const EMFILE: Option<i32> = Some(libc::EMFILE);
    match source.raw_os_error() {
        EMFILE => KernelError::TooManyThreads,
        Some(libc::EACCES | libc::EPERM) if is_foreign(tid) => {
            KernelError::NotOwn { pid: process_of(tid) }
        }
        _ => match preflight::explain(source, "perf events of one's own processes") {
            KernelError::PerfParanoid { level } => KernelError::OwnRefused { level },
            other => other,
        },
    }
}

fn is_foreign(tid: u32) -> bool {
    let own = fs::metadata("/proc/self").map(|folder| folder.uid());
    let its = fs::metadata(format!("/proc/{tid}")).map(|folder| folder.uid());
    matches!((own, its), (Ok(own), Ok(its)) if own != its)
}

fn process_of(tid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|text| text.trim().parse().ok()).unwrap_or(tid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_threads_of_its_own() {
        let own = std::process::id();
        assert!(of(&[own]).contains(&own));
        assert!(of(&[u32::MAX]).is_empty());
        assert_eq!((is_foreign(own), process_of(own)), (false, own));
    }
}
