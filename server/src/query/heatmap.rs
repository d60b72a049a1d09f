//! Heatmaps: how many samples were taken when, second by second and within the second. A column is a
//! second, or a few of them over a long range; a row is an equal part of a column's length. So a stripe
//! across shows what happens at the same moment of each second, and every cell is one stretch of time,
//! which a span can ask about. The idea is FlameScope's.

use serde::Serialize;
use stoker_wire::Dictionary;

use super::details::{DetailSink, coverage, scan_details};
use super::error::QueryError;
use super::top::required_type;
use super::{Engine, Query};
use crate::store::{DetailedRow, WindowDetails};

/// Rows unless asked otherwise: 20 ms each.
pub const DEFAULT_ROWS: usize = 50;
/// Rows at most.
pub const MAX_ROWS: usize = 200;
/// Columns at most, unless fewer are asked for: an hour of seconds.
pub const MAX_COLUMNS: usize = 3600;
/// Columns unless asked otherwise: a quarter of an hour of seconds, and what widening to windows adds.
pub const DEFAULT_COLUMNS: usize = 960;

const SECOND_US: u64 = 1_000_000;

/// How a heatmap is cut.
#[derive(Debug, Clone, Copy)]
pub struct HeatmapOptions {
    /// Columns at most.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

/// A heatmap, as `docs/api.md` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heatmap {
    /// The selector, as it was understood.
    pub query: String,
    /// What kind of samples.
    pub profile_type: String,
    /// Start of the first column.
    pub from_ms: u64,
    /// End of the range, which may lie within the last column.
    pub until_ms: u64,
    /// Length of a column: whole seconds.
    pub column_ms: u64,
    /// Columns.
    pub columns: usize,
    /// Rows of each column: equal parts of its length, the earliest first.
    pub rows: usize,
    /// Selected samples that are kept one by one: the sum of `counts`.
    pub with_time: u64,
    /// Selected samples that are not, and so are in no cell.
    pub without_time: u64,
    /// Samples that the selected hosts lost.
    pub lost_samples: u64,
    /// The largest of `counts`.
    pub max: u64,
    /// What is missing from the answer, a sentence for each; absent where nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Samples of each cell, column after column.
    pub counts: Vec<u64>,
}

/// The heatmap of what `query` selects.
///
/// # Errors
/// When the selector names no profile type, there are more rows or columns than can be, the query is
/// cancelled, or the store cannot be read.
pub fn heatmap(
    engine: Engine<'_>,
    query: &Query,
    options: HeatmapOptions,
) -> Result<Heatmap, QueryError> {
    let profile_type = required_type(query)?;
    let HeatmapOptions { columns, rows } = options;
    for (what, got, max) in [("columns", columns, MAX_COLUMNS), ("rows", rows, MAX_ROWS)] {
        if !(1..=max).contains(&got) {
            let message = format!("a heatmap of {got} {what} is none");
            return Err(QueryError::input("bad_parameter", message, format!("ask for 1 to {max}")));
        }
    }
    let start_us = query.range.from().0 / 1000;
    let seconds = (query.range.until().0 / 1000 - start_us).div_ceil(SECOND_US);
    let column_seconds = seconds.div_ceil(columns as u64).max(1);
    let columns = usize::try_from(seconds.div_ceil(column_seconds)).unwrap_or(columns);
    let column_us = column_seconds * SECOND_US;
    let mut grid = Grid { start_us, column_us, rows, counts: vec![0; columns * rows] };
    scan_details(engine, query, &mut grid)?;
    let with_time = grid.counts.iter().sum();
    let coverage = coverage(engine, query, with_time)?;
    Ok(Heatmap {
        query: query.selector.to_string(),
        profile_type: profile_type.to_string(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
        column_ms: column_us / 1000,
        columns,
        rows,
        with_time,
        without_time: coverage.without_time,
        lost_samples: coverage.lost,
        max: grid.counts.iter().copied().max().unwrap_or(0),
        warnings: engine.parts.missing(query.range),
        counts: grid.counts,
    })
}

struct Grid {
    start_us: u64,
    column_us: u64,
    rows: usize,
    counts: Vec<u64>,
}

impl DetailSink for Grid {
    fn take(
        &mut self,
        _: &Dictionary,
        window: &WindowDetails,
        sample: &DetailedRow,
    ) -> Result<(), QueryError> {
        let since_us = sample.at(window.window).0 / 1000 - self.start_us;
        let (column, within) = (since_us / self.column_us, since_us % self.column_us);
        let row = within * self.rows as u64 / self.column_us;
        let cell = column * self.rows as u64 + row;
        let cell = usize::try_from(cell).ok().and_then(|cell| self.counts.get_mut(cell));
        // The window lies in the range, and so does the sample.
        *cell.expect("a cell of the range") += 1;
        Ok(())
    }
}
