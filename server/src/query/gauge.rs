//! What was there at a moment, such as memory in use: stored as value × seconds, so that sums over
//! hosts and windows stay sums, and divided here, by the seconds of the windows in which anything was
//! there. So an answer is the mean over those windows of the sum over series.

use rustc_hash::FxHashSet;
use stoker_dag::{Profile, ProfileType, UnixNanos, WINDOW_SECONDS};

/// The windows in which a gauge was there; of other types it keeps nothing.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    is_gauge: bool,
    last: Option<UnixNanos>,
    windows: FxHashSet<UnixNanos>,
}

impl Gauge {
    pub(super) fn new(profile_type: Option<&ProfileType>) -> Self {
        let is_gauge = profile_type.is_some_and(ProfileType::is_gauge);
        Self { is_gauge, ..Self::default() }
    }

    /// Whether it is one.
    pub(super) fn is_gauge(&self) -> bool {
        self.is_gauge
    }

    /// Notes the window of a selected row.
    pub(super) fn see(&mut self, window: UnixNanos) {
        if self.is_gauge && self.last != Some(window) {
            self.last = Some(window);
            self.windows.insert(window);
        }
    }

    /// The mean of all windows that were seen, stack by stack. What is left of one division goes into
    /// the next, so that the total is that of the sums.
    pub(super) fn divide_profile(&self, profile: &mut Profile) {
        if let Some(windows) = self.windows_in(0, u64::MAX) {
            profile.divide(windows * WINDOW_SECONDS, windows);
        }
    }

    /// As [`Self::divide_profile`], for a column of values and one sum of samples.
    pub(super) fn divide_columns(&self, values: &mut [u64], samples: &mut u64) {
        if let Some(windows) = self.windows_in(0, u64::MAX) {
            let mut left = 0;
            for value in values {
                *value = divided(*value, windows * WINDOW_SECONDS, &mut left);
            }
            *samples /= windows;
        }
    }

    /// By what a sum over the windows that start within these nanoseconds is to be divided; `None`
    /// where it is what it is.
    pub(super) fn divisor(&self, from_ns: u64, until_ns: u64) -> Option<u64> {
        Some(self.windows_in(from_ns, until_ns)? * WINDOW_SECONDS)
    }

    fn windows_in(&self, from_ns: u64, until_ns: u64) -> Option<u64> {
        let within = |window: &&UnixNanos| (from_ns..until_ns).contains(&window.0);
        let count = self.windows.iter().filter(within).count() as u64;
        (self.is_gauge && count > 0).then_some(count)
    }
}

fn divided(value: u64, by: u64, left: &mut u64) -> u64 {
    let whole = u128::from(value) + u128::from(*left);
    *left = u64::try_from(whole % u128::from(by)).unwrap_or(0);
    u64::try_from(whole / u128::from(by)).unwrap_or(u64::MAX)
}
