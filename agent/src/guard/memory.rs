//! What to do about memory: first what is only convenient goes, then sampling.

use super::Budget;

/// Caches are dropped again after this time at the earliest: the kernel needs a moment to show it.
const RELIEF_EVERY_NS: u64 = 10_000_000_000;
/// After so many reliefs in a row that did not help, sampling rests.
const RELIEFS_MOST: u32 = 3;
/// Within the budget for so long, the agent is taken to be well again.
const WELL_AFTER_NS: u64 = 60_000_000_000;

/// What memory calls for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MemoryVerdict {
    /// Drop caches now.
    pub(super) relieve: bool,
    /// Make no names.
    pub(super) tight: bool,
    /// Dropping caches does not help.
    pub(super) hopeless: bool,
}

/// How memory was lately.
#[derive(Debug, Default)]
pub(super) struct MemoryWatch {
    relieved_ns: Option<u64>,
    reliefs: u32,
    over_ns: Option<u64>,
}

impl MemoryWatch {
    /// Takes in a reading.
    pub(super) fn read(&mut self, budget: &Budget, now_ns: u64, bytes: u64) -> MemoryVerdict {
        let since = |then: Option<u64>| then.map(|then| now_ns.saturating_sub(then));
        if budget.memory_bytes.is_none_or(|most| bytes <= most) {
            if since(self.over_ns).is_none_or(|calm_ns| calm_ns >= WELL_AFTER_NS) {
                *self = Self::default();
            }
            return MemoryVerdict { tight: self.over_ns.is_some(), ..MemoryVerdict::default() };
        }
        self.over_ns = Some(now_ns);
        let relieve = since(self.relieved_ns).is_none_or(|ns| ns >= RELIEF_EVERY_NS);
        let hopeless = relieve && self.reliefs >= RELIEFS_MOST;
        if relieve {
            self.relieved_ns = Some(now_ns);
            self.reliefs = if hopeless { 0 } else { self.reliefs + 1 };
        }
        MemoryVerdict { relieve, tight: true, hopeless }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relief_comes_first_and_rest_when_it_does_not_help() {
        let budget = Budget { memory_bytes: Some(100), ..Budget::default() };
        let mut watch = MemoryWatch::default();
        let second = |at: u64| at * 1_000_000_000;
        assert_eq!(watch.read(&budget, second(0), 100), MemoryVerdict::default());
        let reliefs: Vec<u64> =
            (1..=40).filter(|&at| watch.read(&budget, second(at), 101).relieve).collect();
        assert_eq!(reliefs, [1, 11, 21, 31]);
        let mut again = MemoryWatch::default();
        let hopeless: Vec<u64> =
            (1..=40).filter(|&at| again.read(&budget, second(at), 101).hopeless).collect();
        assert_eq!(hopeless, [31]);
        assert!(again.read(&budget, second(41), 50).tight);
        assert!(!again.read(&budget, second(100), 50).tight);
    }
}
