//! One sample: two stacks and who ran them.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_F_USER_STACK, BPF_RB_NO_WAKEUP},
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid,
        generated::{
            bpf_get_current_cgroup_id, bpf_get_smp_processor_id, bpf_get_stack, bpf_ktime_get_ns,
        },
    },
    programs::PerfEventContext,
};
use stoker_ebpf_abi::{Config, FRAMES_MAX, SampleHeader, flags};
use stoker_unwind::Outcome;

use crate::{
    maps::{CONFIG, SAMPLES, SCRATCH, count},
    target,
    unwind::{self, Walked},
};

const STACK_BYTES: u32 = (FRAMES_MAX * 8) as u32;
const HEADER_WORDS: usize = SampleHeader::BYTES / 8;
const RECORD_WORDS_MAX: usize = HEADER_WORDS + 2 * FRAMES_MAX;

/// Frames of a record under construction. Two more than a record holds, so that the bounds which
/// the verifier derives from masks lie inside.
pub type Frames = [u64; 2 * (FRAMES_MAX + 1)];

/// A record under construction, and what the unwinder needs beside it.
#[repr(C)]
pub struct Scratch {
    header: SampleHeader,
    pub frames: Frames,
    pub walk: unwind::Walk,
}

/// Who is running.
pub struct Task {
    pub tgid: u32,
    pub tid: u32,
}

/// Takes the sample and counts what became of it; true where it was sent.
#[inline(always)]
pub fn take(ctx: &PerfEventContext) -> bool {
    let Some((config, task)) = admit() else { return false };
    // Before anything here refers to the scratch memory, which the walk writes to as well.
    let walked = if config.unwind == 0 { None } else { unwind::user_stack(task.tgid) };
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        count(|counters| &mut counters.lost);
        return false;
    };
    // SAFETY: this CPU's slot, used by this program alone (see `maps::count`).
    let scratch = unsafe { &mut *scratch };
    let words = fill(ctx, config, &task, walked, scratch);
    let sent = send(scratch, words);
    if sent {
        count(|counters| &mut counters.taken);
    } else {
        count(|counters| &mut counters.lost);
    }
    sent
}

/// The task to sample; `None`, and counted, where it is idle or not wanted.
#[inline(always)]
pub fn admit() -> Option<(&'static Config, Task)> {
    let ids = bpf_get_current_pid_tgid();
    let task = Task { tgid: (ids >> 32) as u32, tid: ids as u32 };
    if task.tid == 0 {
        count(|counters| &mut counters.idle);
        return None;
    }
    let Some(config) = CONFIG.get(0) else {
        count(|counters| &mut counters.lost);
        return None;
    };
    if !target::wanted(config, task.tgid) {
        count(|counters| &mut counters.filtered);
        return None;
    }
    Some((config, task))
}

/// Writes the record and returns its length in words.
#[inline(always)]
fn fill(
    ctx: &PerfEventContext,
    config: &Config,
    task: &Task,
    walked: Option<Walked>,
    scratch: &mut Scratch,
) -> usize {
    // SAFETY: the helper reads a clock.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let (user, user_flags, unwind) = match walked {
        Some(walked) => walked.described(),
        None => by_frame_pointers(ctx, config, &mut scratch.frames),
    };
    let (kernel, kernel_flags) = if in_user_mode(ctx) {
        (0, 0)
    } else {
        stack(ctx, config, &mut scratch.frames, user, Side::Kernel)
    };
    if user_flags & flags::USER_FAILED != 0 {
        count(|counters| &mut counters.user_failed);
    }
    scratch.header = SampleHeader {
        time_ns,
        // SAFETY: the helper reads the current task.
        cgroup_id: unsafe { bpf_get_current_cgroup_id() },
        tgid: task.tgid,
        tid: task.tid,
        // SAFETY: the helper reads the number of this CPU.
        cpu: unsafe { bpf_get_smp_processor_id() },
        user_frames: user as u16,
        kernel_frames: kernel as u16,
        flags: user_flags | kernel_flags,
        unwind,
        comm: bpf_get_current_comm().unwrap_or_default(),
    };
    HEADER_WORDS + user + kernel
}

/// The user stack by frame pointers: number of frames, flags to set, what became of it.
#[inline(always)]
fn by_frame_pointers(
    ctx: &PerfEventContext,
    config: &Config,
    frames: &mut Frames,
) -> (usize, u32, u32) {
    let (user, user_flags) = stack(ctx, config, frames, 0, Side::User);
    (user, user_flags, SampleHeader::unwind_word(Outcome::FramePointers.code(), 0))
}

/// True where the interrupt caught the task in user mode, which makes its kernel stack empty.
///
/// Asking the helper would give the same answer, a tenth of a microsecond later.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn in_user_mode(ctx: &PerfEventContext) -> bool {
    /// The privilege level in the code segment selector: 3 is user mode (`user_mode` in
    /// arch/x86/include/asm/ptrace.h).
    const PRIVILEGE: u64 = 3;
    // SAFETY: the context starts with the registers; the verifier checks the load.
    let cs = unsafe { (*ctx.ctx).regs.cs };
    cs & PRIVILEGE == PRIVILEGE
}

#[derive(Clone, Copy)]
enum Side {
    User,
    Kernel,
}

impl Side {
    /// Flags for the helper, for a failure, and for a full stack.
    #[inline(always)]
    const fn flags(self) -> (u64, u32, u32) {
        match self {
            Self::User => (BPF_F_USER_STACK as u64, flags::USER_FAILED, flags::USER_TRUNCATED),
            Self::Kernel => (0, flags::KERNEL_FAILED, flags::KERNEL_TRUNCATED),
        }
    }
}

/// Copies one stack to `frames[at..]`; returns the number of frames and the flags to set.
#[inline(always)]
fn stack(
    ctx: &PerfEventContext,
    config: &Config,
    frames: &mut Frames,
    at: usize,
    side: Side,
) -> (usize, u32) {
    let (helper_flags, failed, truncated) = side.flags();
    let Some(room) = frames.get_mut(at & FRAMES_MAX..) else { return (0, failed) };
    // SAFETY: at most STACK_BYTES are written from `at`, which is at most FRAMES_MAX frames into
    // an array of twice that.
    let bytes =
        unsafe { bpf_get_stack(ctx.as_ptr(), room.as_mut_ptr().cast(), STACK_BYTES, helper_flags) };
    if bytes < 0 {
        return (0, failed);
    }
    let count = (bytes as usize / 8) & FRAMES_MAX;
    let full = count as u32 >= config.frames_limit;
    (count, if full { truncated } else { 0 })
}

/// Hands the record to the ring buffer; false where there is no room.
#[inline(always)]
fn send(scratch: &Scratch, words: usize) -> bool {
    if words > RECORD_WORDS_MAX {
        return false;
    }
    let start = core::ptr::from_ref(scratch).cast::<u64>();
    // SAFETY: `words` covers the header and the frames written behind it, inside `Scratch`.
    let record = unsafe { core::slice::from_raw_parts(start, words) };
    SAMPLES.output_untyped::<[u64]>(record, u64::from(BPF_RB_NO_WAKEUP)).is_ok()
}
