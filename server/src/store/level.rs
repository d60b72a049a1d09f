//! Levels: how finely data are kept, and for how long. Every row is at one level at any time, and
//! goes to the next when its time at the finer one is over; so a sum over all segments never counts
//! a row twice, and no answer has to choose between two copies.

use std::time::Duration;

use stoker_dag::{UnixNanos, WINDOW_NS};

use super::api::StoreConfig;

/// An hour, the window of rollups, in nanoseconds.
pub const HOUR_NS: u64 = 3600 * 1_000_000_000;

/// How finely a segment has its rows. The numbers are in files and never reused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// As they came: 10 s windows, all labels and attributes.
    #[default]
    Raw = 0,
    /// Stacks by the hour, with the labels that rollups keep and a replicate group for the host.
    Hourly = 1,
    /// Functions by the hour, with self and total values; labels as at [`Level::Hourly`].
    Functions = 2,
}

impl Level {
    /// From the finest to the coarsest.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Hourly, Self::Functions];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The level of this number.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.code() == code)
    }

    /// The word for it, as answers have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Hourly => "hourly",
            Self::Functions => "functions",
        }
    }

    /// How long one of its windows is. Gauges keep windows of 10 s at every level, for their mean is
    /// over the windows in which they were there.
    #[must_use]
    pub const fn window_ns(self) -> u64 {
        match self {
            Self::Raw => WINDOW_NS,
            Self::Hourly | Self::Functions => HOUR_NS,
        }
    }

    /// Segments that end within one such span are merged.
    #[must_use]
    pub const fn merge_span_ns(self) -> u64 {
        match self {
            Self::Raw => HOUR_NS,
            Self::Hourly => 24 * HOUR_NS,
            Self::Functions => 30 * 24 * HOUR_NS,
        }
    }

    /// How long data stay at this level, counted from when they were taken; nothing is for ever.
    #[must_use]
    pub const fn retention(self, config: &StoreConfig) -> Option<Duration> {
        match self {
            Self::Raw => config.retain_raw,
            Self::Hourly => config.retain_hourly,
            Self::Functions => config.retain_functions,
        }
    }

    fn keeps(self, config: &StoreConfig, end: u64, now: UnixNanos) -> bool {
        let Some(retain) = self.retention(config) else { return true };
        let retain = u64::try_from(retain.as_nanos()).unwrap_or(u64::MAX);
        now.0.checked_sub(retain).is_none_or(|oldest| end > oldest)
    }

    /// The level from this one on at which data belong that ended at `end` (nanoseconds); none where
    /// their time is over at every level.
    #[must_use]
    pub fn due(self, config: &StoreConfig, end: u64, now: UnixNanos) -> Option<Self> {
        Self::ALL.into_iter().filter(|level| *level >= self).find(|l| l.keeps(config, end, now))
    }

    /// The next coarser level that is kept at all.
    #[must_use]
    pub fn next(self, config: &StoreConfig) -> Option<Self> {
        let is_kept = |level: &Self| level.retention(config) != Some(Duration::ZERO);
        Self::ALL.into_iter().filter(|level| *level > self).find(is_kept)
    }
}

/// The longest that data are kept at any level; nothing is for ever.
#[must_use]
pub fn longest_retention(config: &StoreConfig) -> Option<Duration> {
    let all = Level::ALL.map(|level| level.retention(config));
    all.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn data_go_from_level_to_level_and_then_away() {
        let config = StoreConfig {
            retain_raw: Some(HOUR),
            retain_hourly: Some(3 * HOUR),
            retain_functions: Some(10 * HOUR),
            ..StoreConfig::default()
        };
        let due = |from: Level, age: u64| from.due(&config, 0, UnixNanos(age * HOUR_NS));
        assert_eq!(due(Level::Raw, 0), Some(Level::Raw));
        assert_eq!(due(Level::Raw, 1), Some(Level::Hourly));
        assert_eq!(due(Level::Raw, 5), Some(Level::Functions));
        assert_eq!(due(Level::Hourly, 0), Some(Level::Hourly), "never finer again");
        assert_eq!(due(Level::Functions, 9), Some(Level::Functions));
        assert_eq!(due(Level::Raw, 10), None);
        assert_eq!(longest_retention(&config), Some(10 * HOUR));
        let off = StoreConfig { retain_hourly: Some(Duration::ZERO), ..config };
        assert_eq!(Level::Raw.due(&off, 0, UnixNanos(2 * HOUR_NS)), Some(Level::Functions));
        assert_eq!(Level::Raw.next(&off), Some(Level::Functions));
        let forever = StoreConfig { retain_functions: None, ..off };
        assert_eq!(longest_retention(&forever), None);
    }

    #[test]
    fn codes_come_back() {
        for level in Level::ALL {
            assert_eq!(Level::from_code(level.code()), Some(level));
        }
        assert_eq!(Level::from_code(3), None);
    }
}
