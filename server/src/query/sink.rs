//! What takes the rows that a scan selects.

use stoker_dag::{LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos};
use stoker_wire::Dictionary;

use super::error::QueryError;
use crate::store::{Level, WindowFacts, WindowRows};

/// What is done with selected rows.
pub(super) trait Sink {
    /// Another dictionary begins: nothing that was remembered of the last one holds.
    fn enter(&mut self, _dictionary: &Dictionary) {}

    /// Sorts a pair of series and attributes, once per dictionary; rows of the pair come with the number.
    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError>;

    /// Takes a row.
    fn row(&mut self, part: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32);

    /// Whether sums over windows, of an hour at most, do in the place of rows.
    fn takes_sums(&self) -> bool {
        false
    }

    /// Takes what stacks come to, summed over windows: as rows of which the time does not matter.
    fn summed(&mut self, _: &Dictionary, _: SummedStacks<'_>, _class: u32) {}

    /// What comes next was kept as finely as this.
    fn level(&mut self, _level: Level) {}

    /// Takes what a function has a part in, as [`Level::Functions`] has it.
    fn total(&mut self, _: &Dictionary, _: &WindowRows, _: &SampleRow, _class: u32) {}

    /// Labels by which rows are told apart, beside those of the selector.
    fn labels(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Takes what a selected host said of a window.
    fn fact(&mut self, _facts: &WindowFacts) {}

    /// About how much memory the answer will have taken when it is written, if no more rows come.
    fn bytes(&self) -> usize {
        0
    }

    /// Whether it may go on after some rows.
    fn check(&self) -> Result<(), QueryError> {
        Ok(())
    }
}

/// Stacks of one class, each with the sums of its values and counts, as parallel columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct SummedStacks<'a> {
    /// A window of the one hour that all of it is of.
    pub(super) window: UnixNanos,
    pub(super) profile_type: &'a ProfileType,
    pub(super) nodes: &'a [NodeIx],
    pub(super) values: &'a [u64],
    pub(super) counts: &'a [u64],
}
