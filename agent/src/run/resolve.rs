//! From one sample's addresses to a stack, with what is wrong with it as frames of its own.

use stoker_dag::{Frame, SpecialFrame, UnwindFailure};
use stoker_unwind::Outcome;

use crate::aggregate::{ResolvedStack, StackQuality};
use crate::kernel::Sample;
use crate::process::ProcessTable;

/// What of a sample's flags the resolved stack depends on.
pub(super) fn stack_flags(sample: &Sample<'_>) -> u32 {
    let flags = &sample.flags;
    let all = [
        flags.user_failed(),
        flags.user_truncated(),
        flags.kernel_failed(),
        flags.kernel_truncated(),
    ];
    let outcome = u32::from(sample.outcome.code());
    all.iter().fold(outcome, |bits, &flag| bits << 1 | u32::from(flag))
}

/// Why a user stack ends before its thread's start, if it is known to.
fn failure(outcome: Outcome) -> Option<UnwindFailure> {
    Some(match outcome {
        // By frame pointers nobody can tell where a stack should end.
        Outcome::FramePointers | Outcome::Complete | Outcome::TooDeep => return None,
        Outcome::NoMapping => UnwindFailure::UnknownMapping,
        Outcome::NoTable => UnwindFailure::NoTable,
        Outcome::Gap => UnwindFailure::NoInformation,
        Outcome::Unsupported => UnwindFailure::Unsupported,
        Outcome::Broken => UnwindFailure::Damaged,
        Outcome::Unreadable => UnwindFailure::UnreadableStack,
        Outcome::NotAscending => UnwindFailure::NotAscending,
        Outcome::NoRegisters => UnwindFailure::NoUserStack,
    })
}

/// The sample's frames, outermost first: user stack, then kernel stack.
pub(super) fn resolve(processes: &mut ProcessTable, sample: &Sample<'_>) -> ResolvedStack {
    let mut frames = Vec::with_capacity(sample.user.len() + sample.kernel.len() + 1);
    if sample.flags.user_failed() {
        let failure = UnwindFailure::NoUserStack;
        frames.push(Frame::Special(SpecialFrame::UnwindFailed(failure)));
    }
    if let Some(failure) = failure(sample.outcome) {
        push(&mut frames, Frame::Special(SpecialFrame::UnwindFailed(failure)));
    }
    if sample.flags.user_truncated() {
        frames.push(Frame::Special(SpecialFrame::Truncated));
    }
    for (at, &address) in sample.user.iter().enumerate().rev() {
        push(&mut frames, processes.resolve_user(sample.pid, address, at == 0));
    }
    if sample.flags.kernel_truncated() {
        frames.push(Frame::Special(SpecialFrame::Truncated));
    }
    for (at, &address) in sample.kernel.iter().enumerate().rev() {
        push(&mut frames, processes.resolve_kernel(address, at == 0));
    }
    let quality = quality(&frames);
    ResolvedStack { frames, quality }
}

/// A run of frames that failed for one reason says no more than one of them.
fn push(frames: &mut Vec<Frame>, frame: Frame) {
    let repeats = matches!(frame, Frame::Special(_)) && frames.last() == Some(&frame);
    if !repeats {
        frames.push(frame);
    }
}

fn quality(frames: &[Frame]) -> StackQuality {
    let has = |wanted: fn(SpecialFrame) -> bool| {
        frames.iter().any(|frame| matches!(frame, Frame::Special(special) if wanted(*special)))
    };
    if has(|special| special != SpecialFrame::Truncated) || frames.is_empty() {
        StackQuality::Failed
    } else if has(|special| special == SpecialFrame::Truncated) {
        StackQuality::Truncated
    } else {
        StackQuality::Complete
    }
}
