//! What the host says of itself with each flush.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stoker_wire::CgroupUsage;

use crate::process::{CgroupMounts, host_cpu};

/// Control groups whose CPU time is reported; more than a host should have, and counted beyond.
const MAX_CGROUPS: usize = 4096;

/// Reads counters that only grow and gives their growth.
#[derive(Debug)]
pub(super) struct HostCounters {
    mounts: CgroupMounts,
    busy: Duration,
    usage_usec: BTreeMap<Arc<str>, u64>,
}

impl HostCounters {
    pub(super) fn read() -> Self {
        let busy = host_cpu().map_or(Duration::ZERO, |cpu| cpu.busy);
        Self { mounts: CgroupMounts::read(), busy, usage_usec: BTreeMap::new() }
    }

    /// CPUs that are online, and CPU time that the host spent since the last call, in nanoseconds.
    pub(super) fn host(&mut self) -> (u32, u64) {
        let Some(cpu) = host_cpu() else { return (0, 0) };
        let spent = cpu.busy.saturating_sub(self.busy);
        self.busy = cpu.busy;
        (cpu.cpus, u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX))
    }

    /// From now on the CPU time of this control group is reported.
    pub(super) fn watch(&mut self, path: &Arc<str>) {
        if path.is_empty() || self.usage_usec.len() >= MAX_CGROUPS {
            return;
        }
        if !self.usage_usec.contains_key(path)
            && let Some(usage) = self.mounts.cpu_usage_usec(path)
        {
            self.usage_usec.insert(Arc::clone(path), usage);
        }
    }

    /// CPU time that each watched control group used since the last call; those that are gone are
    /// forgotten.
    pub(super) fn cgroups(&mut self) -> Vec<CgroupUsage> {
        let mounts = &self.mounts;
        let mut used = Vec::new();
        self.usage_usec.retain(|path, before| {
            let Some(now) = mounts.cpu_usage_usec(path) else { return false };
            let usage_usec = now.saturating_sub(*before);
            *before = now;
            if usage_usec > 0 {
                used.push(CgroupUsage { path: Arc::clone(path), usage_usec });
            }
            true
        });
        used
    }
}
