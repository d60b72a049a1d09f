//! The programs that run in the kernel.
//!
//! Why so little happens here: this code runs in an interrupt, on every CPU, up to thousands of
//! times a second, beside somebody's production load. It decides whether the interrupted task is
//! wanted, walks its two stacks, and hands one record to a ring buffer. Names, mappings and
//! counting belong to the agent.
//!
//! Promises: nothing is pinned, so everything goes when the agent's file descriptors close, however
//! it dies. No per-sample wake-up. Each firing ends in exactly one counter (`maps::count`).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

#[cfg(feature = "measure")]
mod cost;
mod maps;
mod sample;
mod target;
mod unwind;

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{perf_event, raw_tracepoint},
    programs::{PerfEventContext, RawTracePointContext},
};

/// Takes one sample into the ring buffer. The value returned says to the kernel that no record is
/// to be written to the perf event's own buffer, of which there is none.
#[perf_event]
pub fn stoker_sample(ctx: PerfEventContext) -> u32 {
    #[cfg(feature = "measure")]
    let started_ns = cost::now_ns();
    maps::count(|counters| &mut counters.fired);
    let _sent = sample::take(&ctx);
    #[cfg(feature = "measure")]
    if _sent {
        cost::record(started_ns);
    }
    0
}

/// Forgets what is loaded for a process that now runs another program, at once: until the agent has
/// heard of it, its stacks would be walked by the tables of the program before.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn stoker_exec(_ctx: RawTracePointContext) -> i32 {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let _not_loaded = maps::PROCESSES.remove(tgid);
    0
}

/// Counts one sample in the kernel instead of sending it, to compare costs.
#[cfg(feature = "measure")]
#[perf_event]
pub fn stoker_count(ctx: PerfEventContext) -> u32 {
    let started_ns = cost::now_ns();
    maps::count(|counters| &mut counters.fired);
    if cost::count_in_kernel(&ctx) {
        cost::record(started_ns);
    }
    0
}

/// The kernel refuses a program that could panic, so this is never linked in.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Helpers such as `bpf_get_stack` are open to programs under the GPL only; Apache-2.0 is none of
/// the strings that the kernel counts as such. This crate, and no other here, is therefore offered
/// under GPL-2.0 as well (see its Cargo.toml).
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
