//! What happened to every sample that fired, so that none goes missing unseen.

use crate::{COST_BUCKET_SHIFT, COST_BUCKETS};

/// Counters of one CPU, kept by the programs.
///
/// `fired = taken + lost + filtered + idle`: each firing raises `fired` when the program is entered
/// and exactly one of the four when it is left.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Times that the program ran.
    pub fired: u64,
    /// Samples handed to the ring buffer.
    pub taken: u64,
    /// Samples that found the ring buffer full.
    pub lost: u64,
    /// Samples of a task outside the target.
    pub filtered: u64,
    /// Samples of the idle task.
    pub idle: u64,
    /// Of the samples taken or lost: those whose user stack could not be read.
    pub user_failed: u64,
}

const _: () = assert!(size_of::<Counters>() == 48);

impl Counters {
    /// The sum over two CPUs.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            fired: self.fired.wrapping_add(other.fired),
            taken: self.taken.wrapping_add(other.taken),
            lost: self.lost.wrapping_add(other.lost),
            filtered: self.filtered.wrapping_add(other.filtered),
            idle: self.idle.wrapping_add(other.idle),
            user_failed: self.user_failed.wrapping_add(other.user_failed),
        }
    }
}

/// The bucket of the cost histogram for a duration.
#[must_use]
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call in the measured program would be measured too")]
#[expect(clippy::cast_possible_truncation, reason = "bounded by the mask")]
pub const fn cost_bucket(duration_ns: u64) -> u32 {
    let bucket = duration_ns >> COST_BUCKET_SHIFT;
    let last = COST_BUCKETS as u64 - 1;
    let bucket = if bucket > last { last } else { bucket };
    // The mask repeats the bound in a form that the kernel's verifier follows.
    (bucket & last) as u32
}
