//! How long to wait before the next attempt: doubling, bounded, and with full jitter, so that a
//! fleet does not return to a restarted server in one moment.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const MAX: Duration = Duration::from_secs(10);

/// The pauses between attempts.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// After a success the next pause is short again.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// A pause between half and all of the current bound.
    pub(super) fn next_pause(&mut self) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.attempt.min(10)).min(MAX);
        self.attempt = self.attempt.saturating_add(1);
        bound.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_again() {
        let mut backoff = Backoff::default();
        assert!(backoff.next_pause() <= FIRST);
        let last = (0..40).map(|_| backoff.next_pause()).last().unwrap();
        assert!(last >= MAX / 2 && last <= MAX);
        backoff.reset();
        assert!(backoff.next_pause() <= FIRST);
    }
}
