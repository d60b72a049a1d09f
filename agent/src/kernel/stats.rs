//! What became of the samples.

/// What became of the samples since the start.
///
/// `fired = taken + lost + filtered + idle`, and `taken = delivered + pending + malformed` once the
/// rings have been drained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplerStats {
    /// Samples that the CPUs' running time called for: CPUs × seconds × frequency. More than fired
    /// where a CPU's timer came late, or stood still while idle (hardware cycles).
    pub expected: u64,
    /// Times that the program ran.
    pub fired: u64,
    /// Samples put into the ring.
    pub taken: u64,
    /// Samples that found the ring full.
    pub lost: u64,
    /// Samples of tasks outside the target.
    pub filtered: u64,
    /// Samples of the idle task.
    pub idle: u64,
    /// Of taken and lost: samples whose user stack could not be read.
    pub user_stack_failed: u64,
    /// Samples handed to the sink of [`Sampler::drain`].
    pub delivered: u64,
    /// Samples held back until the next drain.
    pub pending: u64,
    /// Sample records that made no sense.
    pub malformed: u64,
    /// Process events that found a ring full.
    pub process_events_lost: u64,
    /// Process event records that made no sense.
    pub process_events_malformed: u64,
    /// Events delivered after younger ones.
    pub late: u64,
    /// Children of a pid target that could not be added because it was full.
    pub children_missed: u64,
}

impl SamplerStats {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            expected: self.expected + other.expected,
            fired: self.fired + other.fired,
            taken: self.taken + other.taken,
            lost: self.lost + other.lost,
            filtered: self.filtered + other.filtered,
            idle: self.idle + other.idle,
            user_stack_failed: self.user_stack_failed + other.user_stack_failed,
            delivered: self.delivered + other.delivered,
            pending: self.pending + other.pending,
            malformed: self.malformed + other.malformed,
            process_events_lost: self.process_events_lost + other.process_events_lost,
            process_events_malformed: self.process_events_malformed
                + other.process_events_malformed,
            late: self.late + other.late,
            children_missed: self.children_missed + other.children_missed,
        }
    }
}
