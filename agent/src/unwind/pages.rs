//! Which pages are in use: ranges that follow one another, first fit, neighbours joined when freed.

use std::ops::Range;

/// Free pages among a fixed number.
#[derive(Debug)]
pub(super) struct Pages {
    /// Sorted, not adjacent to one another.
    free: Vec<Range<u32>>,
    total: u32,
}

impl Pages {
    /// So many pages, all free.
    pub(super) fn new(total: u32) -> Self {
        Self { free: std::iter::once(0..total).collect(), total }
    }

    /// How many there are in all.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// How many are in use.
    pub(super) fn used(&self) -> u32 {
        self.total - self.free.iter().map(|range| range.end - range.start).sum::<u32>()
    }

    /// `count` pages in a row; `None` where no gap is as large. None at all are a range at 0.
    pub(super) fn take(&mut self, count: u32) -> Option<Range<u32>> {
        if count == 0 {
            return Some(0..0);
        }
        let fits = |range: &Range<u32>| range.end - range.start >= count;
        let at = self.free.iter().position(fits)?;
        let start = self.free[at].start;
        self.free[at].start += count;
        if self.free[at].is_empty() {
            self.free.remove(at);
        }
        Some(start..start + count)
    }

    /// Gives back what [`Self::take`] gave.
    pub(super) fn give(&mut self, pages: Range<u32>) {
        if pages.is_empty() {
            return;
        }
        let at = self.free.partition_point(|range| range.start < pages.start);
        self.free.insert(at, pages);
        if self.free.get(at + 1).is_some_and(|next| next.start == self.free[at].end) {
            self.free[at].end = self.free.remove(at + 1).end;
        }
        if at > 0 && self.free[at - 1].end == self.free[at].start {
            self.free[at - 1].end = self.free.remove(at).end;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_given_twice_and_all_comes_back(
            steps in prop::collection::vec((any::<bool>(), 0..40u32), 1..200),
        ) {
            let mut pages = Pages::new(256);
            let mut taken: Vec<Range<u32>> = Vec::new();
            for (give, number) in steps {
                if give && !taken.is_empty() {
                    let at = number as usize % taken.len();
                    pages.give(taken.swap_remove(at));
                } else if let Some(range) = pages.take(number) {
                    prop_assert!(range.end <= 256 && range.end - range.start == number);
                    let meets = |other: &Range<u32>| {
                        other.start < range.end && range.start < other.end
                    };
                    prop_assert!(number == 0 || !taken.iter().any(meets));
                    taken.push(range);
                }
                let sum: u32 = taken.iter().map(|range| range.end - range.start).sum();
                prop_assert_eq!(pages.used(), sum);
            }
            taken.into_iter().for_each(|range| pages.give(range));
            prop_assert_eq!(pages.take(256), Some(0..256));
        }
    }
}
