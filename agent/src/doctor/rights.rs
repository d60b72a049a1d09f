//! Capabilities and limits of whoever runs this.

use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use super::{Finding, number, read};
use crate::privileges::{KEPT, names};

/// Open files: the rings and programs, the worker, 128 binaries, 192 images that wait, sockets.
const OPEN_FILES_WANTED: u64 = 512;
/// KiB that a user may lock per CPU for the rings of process events: 512 and a page.
const RING_KIB_PER_CPU: u64 = 516;

/// What does not work without one of them.
const CONSEQUENCES: [(CapabilitySet, &str); 4] = [
    (CapabilitySet::SYS_PTRACE, "other users' processes will have no mappings and no labels"),
    (CapabilitySet::CHECKPOINT_RESTORE, "files that were deleted or replaced will have no names"),
    (CapabilitySet::DAC_READ_SEARCH, "programs that only their users may read will have no names"),
    (CapabilitySet::SYSLOG, "kernel frames may have no place and no name"),
];

pub(super) fn examine() -> Vec<Finding> {
    let mut findings = vec![user()];
    findings.extend(missing_capabilities());
    findings.push(paranoid());
    findings.push(locked_memory());
    findings.push(open_files());
    findings
}

fn user() -> Finding {
    let held = capabilities(None).map_or(CapabilitySet::empty(), |held| held.effective);
    let names = match names(held) {
        names if names.is_empty() => "none of the capabilities that it uses".to_owned(),
        names => names,
    };
    Finding::info("user", format!("{} with {names}", rustix::process::geteuid().as_raw()))
}

/// BPF and PERFMON are among the things without which nothing runs; these can be done without.
fn missing_capabilities() -> Vec<Finding> {
    let Ok(held) = capabilities(None) else { return Vec::new() };
    let missing = CONSEQUENCES.iter().filter(|(one, _)| !held.effective.contains(*one));
    let findings = missing.map(|(one, consequence)| {
        let name = names(*one);
        let purpose = KEPT.iter().find(|(kept, _)| kept == one).map_or("", |(_, purpose)| purpose);
        let found = format!("missing: needed to {purpose}");
        Finding::degraded(&name, found, format!("{consequence}: grant it, or run as root"))
    });
    findings.collect()
}

fn paranoid() -> Finding {
    let level = read("/proc/sys/kernel/perf_event_paranoid").unwrap_or_else(|| "unknown".into());
    Finding::info("perf_event_paranoid", format!("{level} (of no matter with CAP_PERFMON)"))
}

fn locked_memory() -> Finding {
    const NAME: &str = "locked memory";
    let limit = getrlimit(Resource::Memlock).current;
    let shown = limit.map_or("unlimited".to_owned(), |bytes| format!("{} KiB", bytes >> 10));
    let per_cpu = number::<u64>("/proc/sys/kernel/perf_event_mlock_kb").unwrap_or(0);
    let held = capabilities(None).map_or(CapabilitySet::empty(), |held| held.effective);
    let found = format!("{shown}, and {per_cpu} KiB per CPU for perf events");
    let enough = per_cpu >= RING_KIB_PER_CPU
        || limit.is_none_or(|bytes| bytes >= RING_KIB_PER_CPU << 10)
        || held.contains(CapabilitySet::IPC_LOCK);
    if enough {
        return Finding::fine(NAME, found);
    }
    let mend = "process events may not get their rings: set kernel.perf_event_mlock_kb to 516";
    Finding::degraded(NAME, found, mend)
}

fn open_files() -> Finding {
    const NAME: &str = "open files";
    match getrlimit(Resource::Nofile).current {
        Some(most) if most < OPEN_FILES_WANTED => Finding::degraded(
            NAME,
            most.to_string(),
            format!(
                "some binaries will have no names: raise the limit (ulimit -n, LimitNOFILE) to {OPEN_FILES_WANTED}"
            ),
        ),
        Some(most) => Finding::fine(NAME, most.to_string()),
        None => Finding::fine(NAME, "unlimited"),
    }
}
