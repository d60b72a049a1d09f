//! What processes do, from every CPU.
//!
//! Perf's own process events rather than tracepoints or polling `/proc`: they carry the time, and
//! which file it is (device and inode) that is being mapped, so that a process that is gone before
//! anybody looks keeps its names.

use std::io;

use super::{
    error::KernelError,
    merge::Merger,
    perf::PerfEvent,
    record::{self, Decoded, ProcessEvent},
    ring::Ring,
};

/// Memory for all rings together.
const RINGS_BYTES: usize = 8 << 20;
/// Bounds of one ring, powers of two.
const RING_BYTES_MIN: usize = 64 << 10;
const RING_BYTES_MAX: usize = 512 << 10;

/// The rings of all CPUs.
pub struct ProcessEvents {
    rings: Vec<Ring>,
    ring_bytes: u64,
    lost: u64,
    malformed: u64,
}

impl ProcessEvents {
    /// Opens a ring on each CPU, switched off.
    pub fn open(cpus: &[u32]) -> Result<Self, KernelError> {
        let bytes = ring_bytes(cpus.len());
        let rings = cpus.iter().map(|&cpu| open_ring(cpu, bytes)).collect::<Result<_, _>>()?;
        let ring_bytes = bytes as u64 * cpus.len() as u64;
        Ok(Self { rings, ring_bytes, lost: 0, malformed: 0 })
    }

    /// Starts the flow.
    pub fn enable(&self) -> io::Result<()> {
        self.rings.iter().try_for_each(|ring| ring.event().enable())
    }

    /// Ends the flow; what is in the rings stays there to be read.
    pub fn disable(&self) -> io::Result<()> {
        self.rings.iter().try_for_each(|ring| ring.event().disable())
    }

    /// Moves what is in the rings to `merger`.
    pub fn drain(&mut self, merger: &mut Merger) {
        let Self { rings, lost, malformed, .. } = self;
        for ring in rings {
            let skipped = ring.drain(&mut |bytes| match record::decode(bytes) {
                Decoded::Event { time_ns, event } => {
                    if let ProcessEvent::Lost { count } = event {
                        *lost += count;
                    }
                    merger.push_process(time_ns, event);
                }
                Decoded::Other => {}
                Decoded::Malformed => *malformed += 1,
            });
            *malformed += u64::from(skipped > 0);
        }
    }

    /// Memory of all rings.
    pub fn ring_bytes(&self) -> u64 {
        self.ring_bytes
    }

    /// Events that found a ring full.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Records that made no sense.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

/// An equal share of the memory, within the bounds, rounded down to a power of two.
fn ring_bytes(cpus: usize) -> usize {
    let share = RINGS_BYTES / cpus.max(1);
    let power = share.checked_ilog2().map_or(RING_BYTES_MIN, |log| 1 << log);
    power.clamp(RING_BYTES_MIN, RING_BYTES_MAX)
}

fn open_ring(cpu: u32, bytes: usize) -> Result<Ring, KernelError> {
    let failed = |doing| move |source| KernelError::Perf { doing, cpu, source };
    let event = PerfEvent::process_events(cpu).map_err(failed("watch processes"))?;
    let mapped = Ring::new(event, bytes).map_err(|(_event, error)| error);
    mapped.map_err(failed("map the ring of process events"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_share_the_memory() {
        let expected = [(1, 512 << 10), (16, 512 << 10), (17, 256 << 10), (64, 128 << 10)];
        for (cpus, bytes) in expected {
            assert_eq!(ring_bytes(cpus), bytes, "{cpus} CPUs");
        }
        assert_eq!(ring_bytes(8192), RING_BYTES_MIN);
    }
}
