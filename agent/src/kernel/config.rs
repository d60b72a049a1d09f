//! What a sampler can be told.

use std::time::Duration;

use super::event::Target;

/// Memory for the pages of unwinding tables unless told otherwise: some seven million rows.
pub const DEFAULT_UNWIND_BYTES: u64 = 32 << 20;

/// What to sample and how.
#[derive(Clone, Debug)]
pub struct SamplerConfig {
    /// Samples per second on each CPU.
    pub frequency_hz: u32,
    /// Whom to sample.
    pub target: Target,
    /// With a pid target: sample the children of its processes too, and theirs. A child's samples
    /// from before the next drain are not taken.
    pub follow_children: bool,
    /// Memory for samples between two drains, rounded up to a power of two; `None` for 256 KiB per
    /// CPU, between 1 and 16 MiB.
    pub ring_bytes: Option<u32>,
    /// Memory for the pages of unwinding tables, in the kernel; 0 for unwinding by frame pointers
    /// only.
    pub unwind_bytes: u64,
    /// How long an event is held back, so that older ones can still go before it.
    pub merge_delay: Duration,
    /// Count stacks in the kernel instead of sending them; needs a measuring build.
    #[doc(hidden)]
    pub count_in_kernel: bool,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self {
            frequency_hz: 19,
            target: Target::All,
            follow_children: true,
            ring_bytes: None,
            unwind_bytes: DEFAULT_UNWIND_BYTES,
            merge_delay: Duration::from_millis(10),
            count_in_kernel: false,
        }
    }
}

/// Size of the sample ring: as asked or by the number of CPUs, a power of two within the bounds.
pub(super) fn ring_bytes(asked: Option<u32>, cpus: usize) -> u32 {
    const PER_CPU: u32 = 256 << 10;
    const MIN: u32 = 1 << 20;
    const MAX: u32 = 16 << 20;
    const ASKED_MIN: u32 = 64 << 10;
    const ASKED_MAX: u32 = 256 << 20;
    match asked {
        Some(bytes) => bytes.clamp(ASKED_MIN, ASKED_MAX).next_power_of_two(),
        None => {
            let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
            PER_CPU.saturating_mul(cpus).clamp(MIN, MAX).next_power_of_two()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_sizes_are_powers_of_two_within_bounds() {
        assert_eq!(ring_bytes(None, 1), 1 << 20);
        assert_eq!(ring_bytes(None, 12), 4 << 20);
        assert_eq!(ring_bytes(None, 4096), 16 << 20);
        assert_eq!(ring_bytes(Some(1), 1), 64 << 10);
        assert_eq!(ring_bytes(Some(3 << 20), 1), 4 << 20);
        assert_eq!(ring_bytes(Some(u32::MAX), 1), 256 << 20);
    }
}
