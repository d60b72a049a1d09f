//! The share of a core over the last seconds.

use std::collections::VecDeque;

/// How many seconds a share is judged by: long enough that one expensive second is no verdict.
pub(super) const JUDGED_SECONDS: u64 = 5;
const JUDGED_NS: u64 = JUDGED_SECONDS * 1_000_000_000;

/// Readings of CPU time that only grows.
#[derive(Debug, Default)]
pub(super) struct CpuShare {
    /// (moment, CPU time), both in nanoseconds.
    readings: VecDeque<(u64, u64)>,
}

impl CpuShare {
    /// Takes in a reading and gives nanoseconds of CPU per second over the judged time; `None`
    /// until that much time was seen.
    pub(super) fn read(&mut self, now_ns: u64, used_ns: u64) -> Option<u64> {
        self.readings.push_back((now_ns, used_ns));
        while self.readings.get(1).is_some_and(|(at, _)| now_ns.saturating_sub(*at) >= JUDGED_NS) {
            self.readings.pop_front();
        }
        let &(since_ns, before_ns) = self.readings.front()?;
        let elapsed_ns = now_ns.saturating_sub(since_ns);
        if elapsed_ns < JUDGED_NS {
            return None;
        }
        let used_ns = u128::from(used_ns.saturating_sub(before_ns));
        let share = used_ns * 1_000_000_000 / u128::from(elapsed_ns);
        Some(u64::try_from(share).unwrap_or(u64::MAX))
    }

    /// Forgets what was, because something has changed that makes it no guide.
    pub(super) fn restart(&mut self) {
        self.readings.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_share_needs_time_and_follows_it() {
        let mut share = CpuShare::default();
        for second in 0..JUDGED_SECONDS {
            assert_eq!(share.read(second * SECOND, second * SECOND / 10), None);
        }
        let at = |second: u64| second * SECOND;
        assert_eq!(share.read(at(5), at(5) / 10), Some(SECOND / 10));
        for second in 6..=10 {
            share.read(at(second), at(5) / 10);
        }
        assert_eq!(share.read(at(11), at(5) / 10), Some(0));
        share.restart();
        assert_eq!(share.read(at(12), 0), None);
    }
}
