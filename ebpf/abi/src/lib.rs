//! What the kernel-side programs and the agent must agree on, written once.
//!
//! Both sides compile this crate, so a layout cannot drift between them: the sizes are asserted at
//! compile time, and the agent decodes records with the functions here and no pointer cast.
//!
//! Promises: `no_std`, no dependency, no `unsafe`, no padding inside any type. Numbers are in the
//! machine's own byte order, because both sides are the same machine.
#![no_std]
#![forbid(unsafe_code)]

mod counters;
mod sample;
mod unwind;

pub use counters::{Counters, cost_bucket};
pub use sample::{SampleHeader, flags};
pub use unwind::{
    MAPPING_PAGE_LEN, Mapping, PAGES_DEFAULT, Process, RULES_MAX, TABLE_PAGE_WORDS, TABLES_MAX,
    TableSpan, UNWIND_MAPPINGS_MAX, UNWIND_PROCESSES_MAX,
};

/// Most frames kept of each of the two stacks of a sample, user and kernel.
///
/// The kernel's own limit for `bpf_get_stack` is the sysctl `kernel.perf_event_max_stack`, 127 by
/// default; the later of the two bites and sets a flag.
pub const FRAMES_MAX: usize = 127;

/// Length of a task's command name in the kernel, its closing zero included (`TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;

/// Most processes that a pid target can name at one time.
pub const TARGET_PIDS_MAX: u32 = 16_384;

/// Deepest cgroup, counted from the root, whose ancestors a cgroup target looks through.
///
/// A task below this depth whose matching ancestor is deeper still is not found.
pub const CGROUP_DEPTH_MAX: u32 = 32;

/// Bytes of the ring buffer as compiled; the agent sets the real size before it loads.
pub const RING_BYTES_DEFAULT: usize = 1 << 20;

/// Width of one bucket of the cost histogram, as a power of two of nanoseconds: 32 ns.
pub const COST_BUCKET_SHIFT: u32 = 5;

/// Buckets of the cost histogram; the last also holds everything above it (32.7 µs and more).
pub const COST_BUCKETS: usize = 1024;

/// Distinct stacks that the counting program of a measuring build can hold.
pub const COUNTED_STACKS_MAX: u32 = 16_384;

/// Names of maps and programs, as the agent looks them up in the object.
pub mod names {
    /// The perf event program that takes samples into the ring buffer.
    pub const SAMPLE: &str = "stoker_sample";
    /// Measuring builds only: the same sample, counted in the kernel instead of sent.
    pub const SAMPLE_COUNTED: &str = "stoker_count";
    /// Ring buffer of sample records.
    pub const SAMPLES: &str = "SAMPLES";
    /// One [`Config`](crate::Config).
    pub const CONFIG: &str = "CONFIG";
    /// Hash map of process ids that a pid target names.
    pub const TARGET_PIDS: &str = "TARGET_PIDS";
    /// Per-CPU [`Counters`](crate::Counters).
    pub const COUNTERS: &str = "COUNTERS";
    /// Pages of indexes and rows.
    pub const TABLE_PAGES: &str = "TABLE_PAGES";
    /// [`TableSpan`](crate::TableSpan) by number of table.
    pub const TABLES: &str = "TABLES";
    /// The machine's unwinding rules.
    pub const RULES: &str = "RULES";
    /// Pages of [`Mapping`](crate::Mapping)s.
    pub const MAPPING_PAGES: &str = "MAPPING_PAGES";
    /// [`Process`](crate::Process) by process id.
    pub const PROCESSES: &str = "PROCESSES";
    /// The raw tracepoint program that forgets a process which runs another program.
    pub const EXEC: &str = "stoker_exec";
    /// Measuring builds only: per-CPU histogram of nanoseconds per sample.
    pub const COST: &str = "COST";
}

/// Whom to sample. The idle task never is.
pub mod target {
    /// Every process.
    pub const ALL: u32 = 0;
    /// The processes in the map `TARGET_PIDS`.
    pub const PIDS: u32 = 1;
    /// The cgroup (version 2) with [`Config::cgroup_id`](crate::Config::cgroup_id), and all below it.
    pub const CGROUP: u32 = 2;
}

/// What the agent tells the programs; read afresh for every sample.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// One of the constants in [`target`].
    pub target: u32,
    /// Stacks with this many frames may have had more: the kernel's limit or [`FRAMES_MAX`].
    pub frames_limit: u32,
    /// The cgroup's id (the inode number of its folder), for [`target::CGROUP`].
    pub cgroup_id: u64,
    /// 0: user stacks by frame pointers only, whatever is loaded.
    pub unwind: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Config>() == 24);
const _: () = assert!(align_of::<Config>() <= 8);
const _: () = assert!(FRAMES_MAX < u16::MAX as usize);
// The programs mask a frame count with FRAMES_MAX, which must therefore be all ones.
const _: () = assert!((FRAMES_MAX + 1).is_power_of_two());
const _: () = assert!(COST_BUCKETS.is_power_of_two());
// One record must fit many times into the smallest ring.
const _: () = assert!(sample::RECORD_BYTES_MAX * 64 < RING_BYTES_DEFAULT);
