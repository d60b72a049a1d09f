//! Which blocks have rows of series that are wanted.

use stoker_dag::{LabelIx, LabelSet, LabelTable};

use super::super::messages::BlockEntry;
use super::BlockKind;
use super::read::Wanted;

/// Which series may be wanted, each asked about once.
pub(super) struct Series<'a> {
    labels: &'a LabelTable,
    wanted: Option<&'a (dyn Fn(&LabelSet) -> bool + Sync)>,
    known: Vec<bool>,
}

impl<'a> Series<'a> {
    pub(super) fn new(labels: &'a LabelTable, wanted: Wanted<'a>) -> Self {
        Self { labels, wanted: wanted.series, known: Vec::new() }
    }

    pub(super) fn may_be_in(&mut self, entry: &BlockEntry) -> bool {
        let Some(wanted) = self.wanted else { return true };
        if entry.kind == BlockKind::WireRows.code() {
            return true;
        }
        if self.known.is_empty() {
            // Rows stand in order of series, so blocks ask about indexes that begin with the first.
            self.known = self.labels.iter().map(wanted).collect();
        }
        let (first, last) = (LabelIx(entry.first_series), LabelIx(entry.last_series));
        let range = self.known.get(first.at()..=last.at().max(first.at()));
        range.is_none_or(|series| series.contains(&true))
    }
}
