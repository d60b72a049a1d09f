//! The maps, and the few ways in which the programs touch them.

use aya_ebpf::{
    btf_maps::{Array, HashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use stoker_ebpf_abi::{
    Config, Counters, MAPPING_PAGE_LEN, Mapping, PAGES_DEFAULT, Process, RING_BYTES_DEFAULT,
    RULES_MAX, TABLE_PAGE_WORDS, TABLES_MAX, TARGET_PIDS_MAX, TableSpan, UNWIND_PROCESSES_MAX,
};
use stoker_unwind::Rule;

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

/// Indexes and rows of unwinding tables. The agent sets the number of pages.
#[btf_map]
pub static TABLE_PAGES: Array<[u32; TABLE_PAGE_WORDS], PAGES_DEFAULT> = Array::new();

/// Where each table lies in the pages; number 0 stays empty.
#[btf_map]
pub static TABLES: Array<TableSpan, { TABLES_MAX as usize }> = Array::new();

/// The unwinding rules of all tables.
#[btf_map]
pub static RULES: Array<Rule, { RULES_MAX as usize }> = Array::new();

/// Mappings of all processes. The agent sets the number of pages.
#[btf_map]
pub static MAPPING_PAGES: Array<[Mapping; MAPPING_PAGE_LEN], PAGES_DEFAULT> = Array::new();

/// Where each process's mappings lie in the pages.
#[btf_map]
pub static PROCESSES: HashMap<u32, Process, { UNWIND_PROCESSES_MAX as usize }> = HashMap::new();

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
