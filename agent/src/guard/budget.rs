//! What the agent may use.

/// CPU time that the agent may use unless told otherwise, in percent of one core. At the default
/// frequency it needs less than a fifth of this; the rest is for bad days.
pub const DEFAULT_MAX_CPU_PERCENT: u32 = 5;
/// Memory that the agent may use unless told otherwise, in MiB.
pub const DEFAULT_MAX_MEMORY_MIB: u64 = 256;

/// What the agent may use; `None` is without a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// CPU time in percent of one core.
    pub cpu_percent: Option<u32>,
    /// Memory in bytes: what the agent has resident, its worker's own memory, and the rings that
    /// the kernel writes to.
    pub memory_bytes: Option<u64>,
}

impl Budget {
    /// What a daemon may use unless told otherwise.
    #[must_use]
    pub const fn of_a_daemon() -> Self {
        Self {
            cpu_percent: Some(DEFAULT_MAX_CPU_PERCENT),
            memory_bytes: Some(DEFAULT_MAX_MEMORY_MIB << 20),
        }
    }

    /// CPU time in nanoseconds that may be used in each second.
    pub(super) fn cpu_ns_per_second(&self) -> Option<u64> {
        self.cpu_percent.map(|percent| u64::from(percent) * 10_000_000)
    }
}
