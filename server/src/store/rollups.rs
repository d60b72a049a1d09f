//! What a range holds that is not raw any more: queries must know, for a rollup has whole hours and
//! fewer labels.

use std::collections::BTreeSet;
use std::sync::Arc;

use stoker_dag::UnixNanos;

use super::api::{TenantId, TimeRange};
use super::handle::Store;
use super::late::LateNames;
use super::level::HOUR_NS;
use super::messages::BlockEntry;
use super::segment::{BlockKind, Segment};

/// Rollups that a range touches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollups {
    /// The range, widened to whole hours where it cuts an hour that is a rollup.
    pub range: TimeRange,
    /// Labels and attributes that rows had and have no more.
    pub dropped: BTreeSet<String>,
    /// The end of the last hour that is a rollup, in the range or not.
    pub until: UnixNanos,
}

impl Default for TimeRange {
    fn default() -> Self {
        Self::ALL
    }
}

impl Store {
    /// Function tables that are made from now on take names from here too. Only the first counts.
    pub fn name_by(&self, names: Arc<dyn LateNames>) {
        let _ = self.shared().late_names.set(names);
    }

    /// The rollups that have rows in a range; nothing where all of it is raw.
    #[must_use]
    pub fn rollups(&self, tenant: &TenantId, range: TimeRange) -> Option<Rollups> {
        let sealed = self.shared().find(tenant)?.parts().sealed;
        Rollups::among(sealed.iter().map(|segment| &**segment), range)
    }
}

impl Rollups {
    /// As [`Store::rollups`], of some segments.
    pub(super) fn among<'a>(
        segments: impl Iterator<Item = &'a Segment>,
        range: TimeRange,
    ) -> Option<Self> {
        let hour = |at: u64| at / HOUR_NS * HOUR_NS;
        let (from, last) = (hour(range.from().0), hour(range.until().0.saturating_sub(1)));
        let (mut found, mut is_touched, mut ends_in_one) = (Rollups::default(), false, false);
        for segment in segments {
            if segment.footer.level == 0 || segment.footer.rows == 0 {
                continue;
            }
            let mut of_segment = false;
            let blocks = segment.footer.blocks.iter();
            for block in blocks.filter(|block| block.kind == BlockKind::Rows.code()) {
                let BlockEntry { first_window, last_window, .. } = block;
                let (first, end) = (hour(*first_window), hour(*last_window));
                found.until = found.until.max(UnixNanos(end.saturating_add(HOUR_NS)));
                of_segment |= first <= last && from <= end;
                ends_in_one |= (first..=end).contains(&last);
            }
            if of_segment {
                is_touched = true;
                found.dropped.extend(segment.footer.dropped_labels.iter().cloned());
            }
        }
        let until = match ends_in_one {
            true => UnixNanos(last.saturating_add(HOUR_NS)),
            false => range.until(),
        };
        found.range = TimeRange::new(UnixNanos(from), until);
        is_touched.then_some(found)
    }
}
