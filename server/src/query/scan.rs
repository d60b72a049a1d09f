//! Visiting the rows that a query selects: the part that all queries share.
//!
//! Labels are matched once per pair of (series, attributes) and part, never per row. A query that
//! selects nothing although there are rows is told when that is because a label does not exist.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use stoker_dag::{LabelIx, LabelSet, SampleRow};
use stoker_wire::Dictionary;

use super::error::QueryError;
use super::levels::{self, Levels};
use super::selector::MatchOp;
use super::stack::StackFilter;
use super::{Engine, Query};
use crate::store::{Level, PartView, WindowFacts, WindowRows};

/// The label that host facts can be selected by.
const HOST: &str = "host";
/// How many rows are summed between two looks at the clock.
const ROWS_BETWEEN_CHECKS: usize = 1 << 16;

/// What a scan saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Rows of the range and type.
    pub rows_read: u64,
    /// Rows that the selector accepts.
    pub rows_selected: u64,
    /// Groups of rows.
    pub windows: usize,
    /// Samples that the hosts lost, of all hosts that the selector's matchers on `host` accept.
    pub lost_samples: u64,
    /// How finely the data were kept that had selected rows.
    pub levels: Levels,
}

/// What is done with selected rows.
pub(super) trait Sink {
    /// Another dictionary begins: nothing that was remembered of the last one holds.
    fn enter(&mut self, _dictionary: &Dictionary) {}

    /// Sorts a pair of series and attributes, once per dictionary; rows of the pair come with the number.
    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError>;

    /// Takes a row.
    fn row(&mut self, part: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32);

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

/// Brings every selected row to `sink`.
pub(super) fn scan(
    engine: Engine<'_>,
    query: &Query,
    sink: &mut dyn Sink,
) -> Result<ScanStats, QueryError> {
    let mut scan = Scan {
        engine,
        query,
        stats: ScanStats::default(),
        dictionary_id: None,
        pairs: Pairs::default(),
        stacks: StackFilter::new(&query.selector),
        nodes: None,
        series: FxHashSet::default(),
        names: BTreeSet::new(),
    };
    levels::check(engine, query, &sink.labels())?;
    let mut failure = None;
    let profile_type = query.selector.profile_type.as_ref();
    // Names of series that are left out count as known all the same.
    let left_out = RefCell::new(BTreeSet::new());
    let may_be_wanted = |series: &LabelSet| {
        let accepted = query.selector.may_accept(series);
        if !accepted {
            let mut names = left_out.borrow_mut();
            names.extend(series.iter().map(|(name, _)| Arc::clone(name)));
        }
        accepted
    };
    let visit = &mut |part: PartView<'_>| match scan.part(part, sink) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    };
    engine.parts.visit_series(query.range, profile_type, &may_be_wanted, visit)?;
    scan.names.extend(left_out.into_inner());
    match failure {
        Some(error) => Err(error),
        None => {
            // What was raw may have become a rollup while it was read.
            levels::check(engine, query, &[])?;
            scan.finish()
        }
    }
}

struct Scan<'a> {
    engine: Engine<'a>,
    query: &'a Query,
    stats: ScanStats,
    /// The dictionary of the last part, and what is known of its pairs.
    dictionary_id: Option<u64>,
    pairs: Pairs,
    /// Matchers on the stack, and which nodes of the dictionary they accept.
    stacks: Option<StackFilter<'a>>,
    nodes: Option<Vec<bool>>,
    series: FxHashSet<LabelSet>,
    /// Names of labels and attributes of all rows that were read.
    names: BTreeSet<Arc<str>>,
}

impl Scan<'_> {
    fn part(&mut self, part: PartView<'_>, sink: &mut dyn Sink) -> Result<(), QueryError> {
        self.engine.progress.check()?;
        sink.level(part.level);
        self.facts(part.facts, sink);
        if self.dictionary_id != Some(part.dictionary_id) {
            self.dictionary_id = Some(part.dictionary_id);
            sink.enter(part.dictionary);
            self.pairs = Pairs::default();
            let stacks = self.stacks.as_mut();
            self.nodes = stacks.map(|stacks| stacks.nodes(self.engine, part.dictionary));
        }
        if self.nodes.is_some()
            && part.level == Level::Functions
            && part.windows.iter().any(|window| self.query.selects(window))
        {
            return Err(levels::stacks_not_kept());
        }
        let mut pairs = std::mem::take(&mut self.pairs);
        for window in part.windows.iter().filter(|window| self.query.selects(window)) {
            self.stats.windows += 1;
            let limit = self.engine.limits.max_windows;
            if self.stats.windows > limit {
                return Err(QueryError::too_large("max_windows", limit, "reads too many windows"));
            }
            for rows in window.rows.chunks(ROWS_BETWEEN_CHECKS) {
                self.engine.progress.check()?;
                let selected = self.stats.rows_selected;
                self.rows(part.dictionary, (window, rows), &mut pairs, sink)?;
                if self.stats.rows_selected > selected {
                    self.stats.levels.add(part.level);
                }
                sink.check()?;
                let limit = self.engine.limits.max_memory_bytes;
                if sink.bytes() > limit {
                    return Err(QueryError::memory(limit));
                }
            }
        }
        for window in part.totals.iter().filter(|window| self.query.selects(window)) {
            self.engine.progress.check()?;
            self.totals(part.dictionary, window, &mut pairs, sink)?;
        }
        self.pairs = pairs;
        Ok(())
    }

    fn rows(
        &mut self,
        part: &Dictionary,
        (window, rows): (&WindowRows, &[SampleRow]),
        pairs: &mut Pairs,
        sink: &mut dyn Sink,
    ) -> Result<(), QueryError> {
        self.stats.rows_read += rows.len() as u64;
        self.engine.progress.add_rows(rows.len() as u64);
        for row in rows {
            if self.nodes.as_ref().is_some_and(|accepted| !accepted[row.node.at()]) {
                continue;
            }
            if let Some(class) = self.class_of(part, row, pairs, sink)? {
                self.stats.rows_selected += 1;
                sink.row(part, window, row, class);
            }
        }
        Ok(())
    }

    /// As rows, which they are not: they count nothing that rows of the same window do not.
    fn totals(
        &mut self,
        part: &Dictionary,
        window: &WindowRows,
        pairs: &mut Pairs,
        sink: &mut dyn Sink,
    ) -> Result<(), QueryError> {
        for row in &window.rows {
            if let Some(class) = self.class_of(part, row, pairs, sink)? {
                sink.total(part, window, row, class);
            }
        }
        Ok(())
    }

    /// The class of a row: from memory, or worked out.
    #[inline]
    fn class_of(
        &mut self,
        part: &Dictionary,
        row: &SampleRow,
        pairs: &mut Pairs,
        sink: &mut dyn Sink,
    ) -> Result<Option<u32>, QueryError> {
        if let Some(class) = pairs.known(row) {
            return Ok(class);
        }
        let class = self.classify(part, row, sink)?;
        pairs.learn(row, class);
        Ok(class)
    }

    fn classify(
        &mut self,
        part: &Dictionary,
        row: &SampleRow,
        sink: &mut dyn Sink,
    ) -> Result<Option<u32>, QueryError> {
        let (series, attributes) = (part.labels.get(row.series), part.labels.get(row.attributes));
        for (name, _) in series.iter().chain(attributes.iter()) {
            if !self.names.contains(name) {
                self.names.insert(Arc::clone(name));
            }
        }
        if !self.query.selector.accepts(series, attributes) {
            return Ok(None);
        }
        if !self.series.contains(series) {
            self.series.insert(series.clone());
            let limit = self.engine.limits.max_series;
            if self.series.len() > limit {
                return Err(QueryError::too_large("max_series", limit, "selects too many series"));
            }
        }
        sink.class(series, attributes).map(Some)
    }

    fn facts(&mut self, facts: &[WindowFacts], sink: &mut dyn Sink) {
        let matchers = &self.query.selector.matchers;
        for facts in facts.iter().filter(|f| self.query.range.holds(f.window)) {
            let mut of_host = matchers.iter().filter(|m| m.name() == HOST);
            if of_host.all(|matcher| matcher.accepts(&facts.host_name)) {
                sink.fact(facts);
                for lost in &facts.facts.lost {
                    let sum = self.stats.lost_samples.saturating_add(lost.samples);
                    self.stats.lost_samples = sum;
                }
            }
        }
    }

    fn finish(self) -> Result<ScanStats, QueryError> {
        let saw_nothing = self.stats.rows_read == 0 && self.names.is_empty();
        if saw_nothing || self.stats.rows_selected > 0 {
            return Ok(self.stats);
        }
        let wants_a_value = |op| matches!(op, MatchOp::Equal | MatchOp::Regex);
        let matchers = self.query.selector.on_labels();
        let mut unknown = matchers
            .filter(|m| wants_a_value(m.op()) && !m.accepts(""))
            .filter(|m| !self.names.contains(m.name()));
        match unknown.next() {
            Some(matcher) => Err(unknown_label(matcher.name(), &self.names)),
            None => Ok(self.stats),
        }
    }
}

/// The error for a label that no row has.
pub(super) fn unknown_label(name: &str, known: &BTreeSet<Arc<str>>) -> QueryError {
    let message = format!("nothing in this range has a label {name:?}");
    let hint = if known.is_empty() {
        "there are no samples in this range: widen it".to_owned()
    } else {
        let known: Vec<&str> = known.iter().map(|name| &**name).take(20).collect();
        format!("labels in this range: {}", known.join(", "))
    };
    QueryError::not_found("unknown_label", message, hint)
}

/// What is known of the pairs of one part: a class where the pair is selected.
#[derive(Default)]
struct Pairs {
    last: Option<((LabelIx, LabelIx), Option<u32>)>,
    all: FxHashMap<(LabelIx, LabelIx), Option<u32>>,
}

impl Pairs {
    fn known(&mut self, row: &SampleRow) -> Option<Option<u32>> {
        let pair = (row.series, row.attributes);
        match self.last {
            Some((last, class)) if last == pair => return Some(class),
            _ => {}
        }
        let class = *self.all.get(&pair)?;
        self.last = Some((pair, class));
        Some(class)
    }

    fn learn(&mut self, row: &SampleRow, class: Option<u32>) {
        let pair = (row.series, row.attributes);
        self.last = Some((pair, class));
        self.all.insert(pair, class);
    }
}
