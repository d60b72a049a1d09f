//! Capacity: how much CPU services, functions and modules used, per hour or day, how far the numbers
//! can be trusted, and what they cost.
//!
//! Sums are exact: the rows of a window add up to the profile's total. Errors come from replicate
//! groups, which are the same over raw data and rollups; coverage from the CPU time that hosts report.

mod answer;
mod collect;
mod coverage;

use std::sync::Arc;

use stoker_dag::UnixNanos;

pub use answer::{CapacityAnswer, CapacityRow, CoverageRow, Window};

use self::collect::Collector;
use self::coverage::Coverage;
use super::error::QueryError;
use super::prices::Prices;
use super::scan::scan;
use super::selector::Selector;
use super::top::required_type;
use super::{Engine, Query};
use crate::store::{HOUR_NS, Level};

/// Labels that rows may be told apart by.
const MAX_LABELS: usize = 8;

/// What rows are, beside values of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapacityOf {
    /// All CPU time.
    Services,
    /// Functions, each counted once per sample.
    Functions,
    /// Modules, likewise.
    Modules,
}

/// How time is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapacityStep {
    /// The whole range at once.
    All,
    /// Hours of UTC.
    Hour,
    /// Days of UTC.
    Day,
}

impl CapacityStep {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    const fn ns(self) -> Option<u64> {
        match self {
            Self::All => None,
            Self::Hour => Some(HOUR_NS),
            Self::Day => Some(24 * HOUR_NS),
        }
    }

    /// The start of the step that a moment lies in; of the whole range it is 0.
    fn bucket(self, at: UnixNanos) -> u64 {
        self.ns().map_or(0, |step| at.0 / step * step)
    }
}

/// What is asked beside selector and range.
#[derive(Debug, Clone)]
pub struct CapacityOptions {
    /// What rows are.
    pub of: CapacityOf,
    /// Labels by whose values they are told apart.
    pub by: Vec<Arc<str>>,
    /// How time is cut.
    pub step: CapacityStep,
    /// The largest rows of each step; 0 gives all.
    pub limit: usize,
    /// What CPU costs.
    pub prices: Arc<Prices>,
}

/// How much CPU `query` selects.
///
/// # Errors
/// When the selector names no profile type of nanoseconds, a label is not kept as long as the range
/// asks for, a limit bites, the query is cancelled, or the store cannot be read.
pub fn capacity(
    engine: Engine<'_>,
    query: &Query,
    options: &CapacityOptions,
) -> Result<CapacityAnswer, QueryError> {
    let profile_type = required_type(query)?;
    if profile_type.unit() != "nanoseconds" || profile_type.is_gauge() {
        let message = format!("{} does not count time", profile_type.short());
        return Err(QueryError::input("no_time", message, "ask for cpu"));
    }
    if options.by.len() > MAX_LABELS {
        return Err(QueryError::too_large("by", MAX_LABELS, "is by too many labels"));
    }
    let mut collector = Collector::new(engine, options);
    let stats = scan(engine, query, &mut collector)?;
    let mut coverage = Coverage::new(engine, options.step);
    scan(engine, &of_hosts(query), &mut coverage)?;
    let sums = collector.finish(engine)?;
    let mut warnings = engine.parts.missing(query.range);
    if options.of == CapacityOf::Modules && stats.levels.has(Level::Functions) {
        warnings.push(
            "a part of the range is kept by function only (level functions): there the total of a \
             module is what ended in it"
                .to_owned(),
        );
    }
    Ok(answer::answer(query, options, (&sums, &coverage), stats, warnings))
}

/// The same hosts and time, with all that ran there.
fn of_hosts(query: &Query) -> Query {
    let mut selector = Selector::clone(&query.selector);
    selector.matchers.retain(|matcher| matcher.name() == super::groups::HOST);
    Query { selector, range: query.range }
}
