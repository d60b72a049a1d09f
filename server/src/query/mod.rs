//! Queries: from a selector and a range to flame graphs, tables, timelines and lists of labels.
//!
//! A query visits the parts of the store that its range touches, sums rows by each part's dense
//! nodes, carries every node once into a query-wide profile, and only then gives names to frames.
//! So an answer does not depend on how rows are spread over parts or in which order they came, and
//! totals are exact. Nothing here knows of HTTP; everything runs on the caller's thread, bounded by
//! [`Limits`], until it is done or [`Progress`] says stop.

mod capacity;
mod catalogue;
mod compare;
mod copy;
mod details;
pub mod diff;
mod error;
mod flamegraph;
mod fold;
mod frames;
mod gauge;
mod groups;
mod heatmap;
mod levels;
mod limits;
mod memory;
mod pairs;
mod parts;
mod prices;
mod sampling;
mod sandwich;
mod scan;
mod search;
pub mod selector;
mod sink;
mod span;
mod stack;
mod tables;
pub mod time;
mod timeline;
mod top;

use stoker_dag::UnixNanos;

use crate::store::{TimeRange, WindowRows};

pub use capacity::{
    CapacityAnswer, CapacityOf, CapacityOptions, CapacityRow, CapacityStep, CoverageRow, Window,
    capacity,
};
pub use catalogue::{
    Labels, ProfileTypes, SeriesList, Values, labels, profile_types, series, values,
};
pub use compare::{
    Comparison, FileSide, Side, SidedColumns, SidedFunction, compare, compare_with_file,
};
pub use copy::{Copied, CopiedLevel, copy};
pub use error::{ErrorKind, QueryError};
pub use flamegraph::{Columns, FlameColumns, FlameGraph, flamegraph, flamegraph_around};
pub use fold::{Folded, fold};
pub use heatmap::{DEFAULT_COLUMNS, DEFAULT_ROWS, Heatmap, HeatmapOptions, heatmap};
pub use levels::Levels;
pub use limits::{CancelOnDrop, Limits, Progress};
pub use memory::{MemoryPart, MemoryParts};
pub use parts::{Parts, TenantParts};
pub use prices::Prices;
pub use sampling::Sampling;
pub use sandwich::{SandwichAnswer, sandwich};
pub use scan::ScanStats;
pub use search::{SearchAnswer, SearchFor, search};
pub use selector::Selector;
pub use span::{Span, spanned};
pub use tables::{Rows, TableRow, column_name, rows};
pub use timeline::{Timeline, TimelineGroup, TimelineOptions, timeline};
pub use top::{Top, TopBy, TopEntry, top};

/// What is asked of which time.
#[derive(Debug, Clone)]
pub struct Query {
    /// Which rows.
    pub selector: Selector,
    /// Whole windows.
    pub range: TimeRange,
}

impl Query {
    /// The query for `selector` over `[from, until)`, widened to windows.
    ///
    /// # Errors
    /// When the range is empty or upside down.
    pub fn new(selector: Selector, from: UnixNanos, until: UnixNanos) -> Result<Self, QueryError> {
        let (from, until) = time::widened(from, until)?;
        let range = TimeRange::new(from, until);
        Ok(Self { selector, range })
    }

    /// Whether rows of this window and type may be selected.
    fn selects(&self, held: &WindowRows) -> bool {
        let wanted = self.selector.profile_type.as_ref();
        self.range.holds(held.window) && wanted.is_none_or(|wanted| *wanted == held.profile_type)
    }

    /// The query over a range that cuts no hour of which only a rollup is there.
    #[must_use]
    pub fn widened(self, parts: &dyn Parts) -> Self {
        let range = parts.rollups(self.range).map_or(self.range, |rollups| rollups.range);
        Self { range, ..self }
    }

    /// The start, in Unix milliseconds.
    #[must_use]
    pub fn from_ms(&self) -> u64 {
        self.range.from().0 / 1_000_000
    }

    /// The end, in Unix milliseconds.
    #[must_use]
    pub fn until_ms(&self) -> u64 {
        self.range.until().0 / 1_000_000
    }
}

/// What a query runs on and how far it may go.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    /// Where the rows are.
    pub parts: &'a dyn Parts,
    /// What a query may take.
    pub limits: &'a Limits,
    /// When to stop early, and how far it came.
    pub progress: &'a Progress,
}
