//! The kernel stamps events with the monotonic clock; rows carry Unix time.

use rustix::time::{ClockId, Timespec, clock_gettime};
use stoker_dag::UnixNanos;

/// The distance between the two clocks, read anew at each flush: wall clocks are set now and then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    unix_minus_monotonic_ns: i128,
}

impl Clock {
    /// Reads both clocks.
    pub(super) fn read() -> Self {
        let monotonic = ns(clock_gettime(ClockId::Monotonic));
        let unix = ns(clock_gettime(ClockId::Realtime));
        Self { unix_minus_monotonic_ns: unix - monotonic }
    }

    /// The Unix time of a monotonic stamp.
    pub(super) fn unix(self, monotonic_ns: u64) -> UnixNanos {
        let unix = i128::from(monotonic_ns) + self.unix_minus_monotonic_ns;
        UnixNanos(u64::try_from(unix).unwrap_or(0))
    }

    /// The moment of this call.
    pub(super) fn now(self) -> UnixNanos {
        let monotonic = u64::try_from(ns(clock_gettime(ClockId::Monotonic)));
        self.unix(monotonic.unwrap_or(0))
    }
}

fn ns(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}
