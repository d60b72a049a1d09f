//! The maps, and the few ways in which the programs touch them.

use aya_ebpf::{
    btf_maps::{Array, HashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use stoker_ebpf_abi::{Config, Counters, RING_BYTES_DEFAULT, TARGET_PIDS_MAX};

use crate::sample::Scratch;

/// Sample records, on their way to the agent. The agent sets the size.
#[btf_map]
pub static SAMPLES: RingBuf<[u64; 0], RING_BYTES_DEFAULT> = RingBuf::new();

/// What the agent asks for.
#[btf_map]
pub static CONFIG: Array<Config, 1> = Array::new();

/// The processes of a pid target; the value means nothing.
#[btf_map]
pub static TARGET_PIDS: HashMap<u32, u8, { TARGET_PIDS_MAX as usize }> = HashMap::new();

/// What became of the samples.
#[btf_map]
pub static COUNTERS: PerCpuArray<Counters, 1> = PerCpuArray::new();

/// Where a record is put together: the program's own stack holds 512 bytes only.
#[btf_map]
pub static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();

/// Adds one to a counter of this CPU.
///
/// A plain addition suffices: the kernel lets no perf event program interrupt another BPF program
/// on its CPU (`bpf_prog_active` in kernel/events/core.c).
#[inline(always)]
pub fn count(field: impl FnOnce(&mut Counters) -> &mut u64) {
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: the map's slot for this CPU is valid while the program runs, and nothing else
        // that runs on this CPU refers to it.
        let counters = unsafe { &mut *counters };
        let counter = field(counters);
        *counter = counter.wrapping_add(1);
    }
}
