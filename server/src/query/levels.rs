//! Levels: a query answers from data as finely as they are kept. Rollups have whole hours and fewer
//! labels; a query that needs more than that is told since when there is more, and never gets an
//! answer that is wrong in silence.

use super::error::QueryError;
use super::selector::Matcher;
use super::{Engine, Query, time};
use crate::store::{Level, Rollups};

/// The levels that an answer was made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Levels(u8);

impl Levels {
    /// Adds one.
    pub fn add(&mut self, level: Level) {
        self.0 |= 1 << level.code();
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(self, level: Level) -> bool {
        self.0 & (1 << level.code()) != 0
    }

    /// As answers have it: the finest first. What has no rows is as good as raw.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let [raw, hourly, functions] = Level::ALL.map(|level| self.has(level));
        match (raw, hourly, functions) {
            (_, false, false) => "raw",
            (false, true, false) => "hourly",
            (false, false, true) => "functions",
            (true, true, false) => "raw+hourly",
            (true, false, true) => "raw+functions",
            (false, true, true) => "hourly+functions",
            (true, true, true) => "raw+hourly+functions",
        }
    }

    /// What an answer about stacks says where some are no longer kept.
    #[must_use]
    pub fn warning(self) -> Option<String> {
        self.has(Level::Functions).then(|| {
            "a part of the range is kept by function only (level functions): there each function \
             stands below the root with what ended in it, and callers are not known"
                .to_owned()
        })
    }
}

/// Whether the data of the range can answer: no hour is cut of which only a rollup is there, and no
/// label is asked for that rollups do not have.
///
/// # Errors
/// When not; says since when there are raw data.
pub(super) fn check(engine: Engine<'_>, query: &Query, labels: &[&str]) -> Result<(), QueryError> {
    let Some(rollups) = engine.parts.rollups(query.range) else { return Ok(()) };
    if rollups.range != query.range {
        let message = "data of the range were summed up by the hour while they were read";
        return Err(QueryError::unavailable("rolled_up", message, "ask again"));
    }
    let matchers = query.selector.matchers.iter().map(Matcher::name);
    let mut wanted = matchers.chain(labels.iter().copied());
    match wanted.find(|name| rollups.dropped.contains(*name)) {
        Some(label) => Err(beyond_raw(label, &rollups)),
        None => Ok(()),
    }
}

/// The error for a question about stacks where none are kept.
pub(super) fn stacks_not_kept() -> QueryError {
    let message = "a part of the range is kept by function only, without stacks";
    let hint = "leave __frame__, __under__ and __module__ out, begin later, or keep stacks for longer: \
                --retain-hourly";
    QueryError::input("stacks_not_kept", message, hint)
}

fn beyond_raw(label: &str, rollups: &Rollups) -> QueryError {
    let since = time::rfc(rollups.until);
    let message = format!(
        "the label {label:?} is kept as long as raw data are, and before {since} data are summed up \
         without it"
    );
    let hint = format!(
        "begin at {since} or later, leave {label} out, or keep more: --retain-raw, --rollup-labels"
    );
    QueryError::input("beyond_raw_retention", message, hint)
}
