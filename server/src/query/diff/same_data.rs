//! Whether two sides select the same rows: by series, attributes and window.

use rustc_hash::FxHashSet;
use stoker_dag::{LabelSet, SampleRow, UnixNanos};
use stoker_wire::Dictionary;

use crate::query::error::QueryError;
use crate::query::scan::scan;
use crate::query::sink::Sink;
use crate::query::{Engine, Query};
use crate::store::WindowRows;

/// What one side holds.
#[derive(Default)]
struct Seen {
    rows: FxHashSet<(LabelSet, LabelSet, UnixNanos)>,
    /// What classes stand for.
    classes: Vec<(LabelSet, LabelSet)>,
    last: Option<(u32, UnixNanos)>,
}

/// Reads both sides.
///
/// # Errors
/// When they have something in common, or cannot be read.
pub(super) fn check([base, new]: [(Engine<'_>, &Query); 2]) -> Result<(), QueryError> {
    let (one, other) = (base.1.range, new.1.range);
    if one.until() <= other.from() || other.until() <= one.from() {
        return Ok(());
    }
    let seen = |(engine, query)| {
        let mut seen = Seen::default();
        scan(engine, query, &mut seen).map(|_| seen.rows)
    };
    let (base, new) = (seen(base)?, seen(new)?);
    let twice = base.iter().filter(|row| new.contains(*row)).count();
    if twice == 0 {
        return Ok(());
    }
    let message = format!(
        "both sides select the same data: {twice} of {} rows' series and windows of the base are in the \
         new side too",
        base.len()
    );
    let hint = "choose labels or ranges that select each sample once";
    Err(QueryError::input("same_data", message, hint))
}

impl Sink for Seen {
    fn enter(&mut self, _: &Dictionary) {
        self.classes.clear();
        self.last = None;
    }

    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        self.classes.push((series.clone(), attributes.clone()));
        Ok(u32::try_from(self.classes.len() - 1).unwrap_or(u32::MAX))
    }

    fn row(&mut self, _: &Dictionary, window: &WindowRows, _: &SampleRow, class: u32) {
        if self.last == Some((class, window.window)) {
            return;
        }
        self.last = Some((class, window.window));
        let (series, attributes) = &self.classes[class as usize];
        self.rows.insert((series.clone(), attributes.clone(), window.window));
    }
}
