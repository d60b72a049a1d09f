//! Measuring builds only: what a sample costs, and what the same sample costs when the kernel
//! counts stacks itself.
//!
//! The clock is read on entry and again just before the program ends, so the histogram leaves out
//! what the kernel spends on the timer interrupt and on entering the program.

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_F_USER_STACK,
    btf_maps::{HashMap, PerCpuArray, StackTrace},
    helpers::generated::{bpf_get_stackid, bpf_ktime_get_ns},
    macros::btf_map,
    programs::PerfEventContext,
};
use stoker_ebpf_abi::{COST_BUCKETS, COUNTED_STACKS_MAX, cost_bucket};

use crate::{maps::count, sample};

#[btf_map]
static COST: PerCpuArray<u64, COST_BUCKETS> = PerCpuArray::new();

/// Stacks by their id, filled by the kernel's own hash.
#[btf_map]
static STACKS: StackTrace<{ COUNTED_STACKS_MAX as usize }> = StackTrace::new();

/// How often each stack was seen.
#[btf_map]
static COUNTED: HashMap<Key, u64, { COUNTED_STACKS_MAX as usize }> = HashMap::new();

#[repr(C)]
#[derive(Clone, Copy)]
struct Key {
    tgid: u32,
    user: i32,
    kernel: i32,
}

#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: the helper reads a clock.
    unsafe { bpf_ktime_get_ns() }
}

/// Adds the time since `started_ns` to the histogram.
#[inline(always)]
pub fn record(started_ns: u64) {
    let bucket = cost_bucket(now_ns().wrapping_sub(started_ns));
    if let Some(cell) = COST.get_ptr_mut(bucket) {
        // SAFETY: this CPU's slot, used by this program alone (see `maps::count`).
        let cell = unsafe { &mut *cell };
        *cell = cell.wrapping_add(1);
    }
}

/// The sample as `sample::take` takes it, but counted by stack id; true where it was counted.
#[inline(always)]
pub fn count_in_kernel(ctx: &PerfEventContext) -> bool {
    let Some((_config, task)) = sample::admit() else { return false };
    let key = Key {
        tgid: task.tgid,
        user: stack_id(ctx, u64::from(BPF_F_USER_STACK)),
        kernel: stack_id(ctx, 0),
    };
    let counted = increment(&key);
    if counted {
        count(|counters| &mut counters.taken);
    } else {
        count(|counters| &mut counters.lost);
    }
    counted
}

#[inline(always)]
fn stack_id(ctx: &PerfEventContext, flags: u64) -> i32 {
    let map = core::ptr::from_ref(&STACKS).cast_mut().cast();
    // SAFETY: the context is the program's own and the map a stack trace map.
    unsafe { bpf_get_stackid(ctx.as_ptr(), map, flags) as i32 }
}

#[inline(always)]
fn increment(key: &Key) -> bool {
    if let Some(value) = COUNTED.get_ptr_mut(key) {
        // SAFETY: the kernel gave the pointer for the program's duration. Two CPUs that count the
        // same stack at one moment may lose one count: good enough to measure time.
        unsafe { *value += 1 };
        return true;
    }
    COUNTED.insert(key, 1, 0).is_ok()
}
