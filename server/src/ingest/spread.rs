//! Where the samples of a file stand in time.
//!
//! A file says how long it is and not when each of its samples was taken. Putting all of them into
//! one window would show a peak that never was; so each sample is given a moment by a sequence that
//! fills the duration evenly (multiples of the golden ratio, modulo 1), which keeps every row's values
//! and counts exact, gives every window its share to within a few samples, and has nothing to do with
//! the order of stacks. It depends on the file and its length alone, never on the time of the push,
//! so that a push that is repeated is cut the same way.
//!
//! What was there at a moment (memory in use) is taken to have been there for the whole length, and is
//! stored as value × seconds of each window; the query divides by the seconds that there are.

use stoker_dag::{SampleRow, UnixNanos, WINDOW_NS, WINDOW_SECONDS};

/// Windows that a file is spread over at most: an hour of them. A longer file stands in every n-th.
const MAX_PARTS: u64 = 360;
/// Rows that a file may become; with more there are fewer parts.
const MAX_ROWS: u64 = 4 << 20;
/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// The largest sum of values that can be stored as value × seconds of a window.
pub(super) const MAX_HELD: u64 = u64::MAX / WINDOW_SECONDS;

/// The windows that a file is spread over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    first: UnixNanos,
    count: u64,
    step_ns: u64,
}

impl Parts {
    /// For a file of this length with this many rows.
    pub(super) fn of(start: UnixNanos, length_ns: u64, rows: usize) -> Self {
        let windows = length_ns.div_ceil(WINDOW_NS).max(1);
        let most = (MAX_ROWS / (rows as u64).max(1)).clamp(1, MAX_PARTS);
        let step = windows.div_ceil(most);
        Self {
            first: start.window_start(),
            count: windows.div_ceil(step),
            step_ns: step.saturating_mul(WINDOW_NS),
        }
    }

    /// The rows of each window, in order of time; windows without rows are left out.
    pub(super) fn spread(
        self,
        rows: Vec<SampleRow>,
        is_gauge: bool,
    ) -> Vec<(UnixNanos, Vec<SampleRow>)> {
        let parts = usize::try_from(self.count).unwrap_or(1);
        let mut spread: Vec<Vec<SampleRow>> = match (parts, is_gauge) {
            (_, true) => vec![held(&rows); parts],
            (1, false) => vec![rows],
            (_, false) => over_time(&rows, parts),
        };
        spread.iter_mut().for_each(Vec::shrink_to_fit);
        let windows = (0u64..).zip(spread).filter(|(_, rows)| !rows.is_empty());
        let at = |part: u64| UnixNanos(self.first.0.saturating_add(part * self.step_ns));
        windows.map(|(part, rows)| (at(part), rows)).collect()
    }
}

/// What was there for the whole of a window.
fn held(rows: &[SampleRow]) -> Vec<SampleRow> {
    let times = |row: &SampleRow| SampleRow { value: row.value * WINDOW_SECONDS, ..*row };
    rows.iter().map(times).collect()
}

fn over_time(rows: &[SampleRow], parts: usize) -> Vec<Vec<SampleRow>> {
    let mut spread = vec![Vec::new(); parts];
    let (mut counts, mut sample) = (vec![0u64; parts], 0u64);
    for row in rows {
        // A value that no sample counts is one sample's.
        let samples = row.count.max(1);
        counts.fill(samples / parts as u64);
        for _ in 0..samples % parts as u64 {
            sample = sample.wrapping_add(1);
            let moment = u128::from(sample.wrapping_mul(GOLDEN)) * parts as u128;
            counts[usize::try_from(moment >> 64).unwrap_or(0)] += 1;
        }
        let mut before = (0, 0);
        for (rows, &count) in spread.iter_mut().zip(&counts).filter(|(_, count)| **count > 0) {
            let taken = before.0 + count;
            let value = share(row.value, taken, samples);
            let count = if row.count == 0 { 0 } else { count };
            rows.push(SampleRow { value: value - before.1, count, ..*row });
            before = (taken, value);
        }
    }
    spread
}

/// `value` × `part` / `all`, rounded down; all of it where the part is the whole.
fn share(value: u64, part: u64, all: u64) -> u64 {
    let share = u128::from(value) * u128::from(part) / u128::from(all);
    u64::try_from(share).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stoker_dag::{LabelIx, NodeIx};

    use super::*;

    fn row(node: u32, value: u64, count: u64) -> SampleRow {
        let none = LabelIx::default();
        SampleRow { series: none, attributes: none, node: NodeIx(node), value, count }
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn windows_follow_the_length_and_long_files_take_larger_steps() {
        let of = |seconds: u64, rows| {
            let parts = Parts::of(UnixNanos(13 * SECOND), seconds * SECOND, rows);
            (parts.first.0 / SECOND, parts.count, parts.step_ns / SECOND)
        };
        assert_eq!(of(0, 1), (10, 1, 10));
        assert_eq!(of(10, 1), (10, 1, 10));
        assert_eq!(of(30, 1), (10, 3, 10));
        assert_eq!(of(3600, 1), (10, 360, 10));
        assert_eq!(of(7200, 1), (10, 360, 20));
        assert_eq!(of(3600, 1 << 20), (10, 4, 900));
        assert_eq!(of(u64::MAX / SECOND, usize::MAX).1, 1);
    }

    #[test]
    fn a_rate_is_even_and_stacks_are_everywhere() {
        let rows: Vec<SampleRow> = (1..=1000).map(|node| row(node, 10, 1)).collect();
        let spread = Parts::of(UnixNanos(0), 60 * SECOND, rows.len()).spread(rows, false);
        assert_eq!(spread.len(), 6);
        for (window, rows) in &spread {
            assert!(rows.len().abs_diff(1000 / 6) <= 4, "{window:?}: {}", rows.len());
            let early = rows.iter().filter(|row| row.node.0 <= 500).count();
            assert!(early.abs_diff(rows.len() / 2) <= 4, "no stack belongs to one end");
        }
    }

    #[test]
    fn what_was_there_at_a_moment_is_stored_times_seconds() {
        let spread = Parts::of(UnixNanos(0), 20 * SECOND, 1).spread(vec![row(1, 7, 2)], true);
        assert_eq!(spread, [0, 10].map(|at| (UnixNanos(at * SECOND), vec![row(1, 70, 2)])));
    }

    proptest! {
        #[test]
        fn every_row_keeps_its_value_and_count(
            rows in prop::collection::vec((any::<u32>(), any::<u64>()), 1..40),
            seconds in 0u64..100_000,
        ) {
            let rows: Vec<SampleRow> =
                (1..).zip(rows).map(|(node, (count, value))| row(node, value, count.into())).collect();
            let spread = Parts::of(UnixNanos(0), seconds * SECOND, rows.len())
                .spread(rows.clone(), false);
            for row in rows {
                let parts = || spread.iter().flat_map(|(_, rows)| rows).filter(|r| r.node == row.node);
                prop_assert_eq!(parts().map(|part| part.value).sum::<u64>(), row.value);
                prop_assert_eq!(parts().map(|part| part.count).sum::<u64>(), row.count);
            }
        }
    }
}
