//! Visiting the rows that a query selects: the part that all queries share.
//!
//! Labels are matched once per pair of (series, attributes) and part, never per row. A query that
//! selects nothing although there are rows is told when that is because a label does not exist.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashSet;
use stoker_dag::{LabelSet, SampleRow};
use stoker_wire::Dictionary;

use super::error::QueryError;
use super::levels::{self, Levels};
use super::pairs::{Kept, Pair, Pairs, pair};
use super::selector::MatchOp;
use super::sink::{Sink, SummedStacks};
use super::stack::StackFilter;
use super::{Engine, Query};
use crate::store::{DictionaryId, Level, PartView, Sums, Wanted, WindowFacts, WindowRows};

/// The label that host facts can be selected by.
const HOST: &str = "host";
/// How many rows are summed between two looks at the clock.
const ROWS_BETWEEN_CHECKS: usize = 1 << 16;

/// What a scan saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Rows of the range and type.
    pub rows_read: u64,
    /// Rows that the selector accepts; where sums were read and it has matchers on the stack, their
    /// stacks.
    pub rows_selected: u64,
    /// Groups of rows.
    pub windows: usize,
    /// Samples that the hosts lost, of all hosts that the selector's matchers on `host` accept.
    pub lost_samples: u64,
    /// How finely the data were kept that had selected rows.
    pub levels: Levels,
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
    let takes_sums = sink.takes_sums();
    let mut failure = None;
    let profile_type = query.selector.profile_type.as_ref();
    // Names of series that are left out count as known all the same.
    let left_out = Mutex::new(BTreeSet::new());
    let may_be_wanted = |series: &LabelSet| {
        let accepted = query.selector.may_accept(series);
        if !accepted {
            let mut names = left_out.lock().unwrap_or_else(PoisonError::into_inner);
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
    let (range, series) =
        (query.range, Some(&may_be_wanted as &(dyn Fn(&LabelSet) -> bool + Sync)));
    engine.parts.visit(Wanted { range, profile_type, series, sums: takes_sums }, visit)?;
    scan.names.extend(left_out.into_inner().unwrap_or_else(PoisonError::into_inner));
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
    dictionary_id: Option<DictionaryId>,
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
            && (part.sums.is_some() || part.windows.iter().any(|w| self.query.selects(w)))
        {
            return Err(levels::stacks_not_kept());
        }
        let mut pairs = std::mem::take(&mut self.pairs);
        if let Some(sums) = part.sums {
            self.sums((&part, sums), &mut pairs, sink)?;
        }
        for window in part.windows.iter().filter(|window| self.query.selects(window)) {
            self.count_window()?;
            for rows in window.rows.chunks(ROWS_BETWEEN_CHECKS) {
                self.engine.progress.check()?;
                let selected = self.stats.rows_selected;
                self.rows(part.dictionary, (window, rows), &mut pairs, sink)?;
                if self.stats.rows_selected > selected {
                    self.stats.levels.add(part.level);
                }
                self.check(sink)?;
            }
        }
        for window in part.totals.iter().filter(|window| self.query.selects(window)) {
            self.engine.progress.check()?;
            self.totals(part.dictionary, window, &mut pairs, sink)?;
        }
        self.pairs = pairs;
        Ok(())
    }

    fn count_window(&mut self) -> Result<(), QueryError> {
        self.stats.windows += 1;
        let limit = self.engine.limits.max_windows;
        match self.stats.windows > limit {
            true => Err(QueryError::too_large("max_windows", limit, "reads too many windows")),
            false => Ok(()),
        }
    }

    fn check(&self, sink: &dyn Sink) -> Result<(), QueryError> {
        sink.check()?;
        let limit = self.engine.limits.max_memory_bytes;
        match sink.bytes() > limit {
            true => Err(QueryError::memory(limit)),
            false => Ok(()),
        }
    }

    /// A block that lies in the range, as sums over its windows.
    fn sums(
        &mut self,
        (part, sums): (&PartView<'_>, &Sums),
        pairs: &mut Pairs,
        sink: &mut dyn Sink,
    ) -> Result<(), QueryError> {
        let wanted = self.query.selector.profile_type.as_ref();
        if wanted.is_some_and(|wanted| *wanted != sums.profile_type) {
            return Ok(());
        }
        self.count_window()?;
        for run in &sums.runs {
            self.engine.progress.check()?;
            self.stats.rows_read += run.rows;
            self.engine.progress.add_rows(run.rows);
            let pair = (run.series, run.attributes);
            let Some(class) = self.class_of(part.dictionary, pair, pairs, sink)? else { continue };
            let all = SummedStacks {
                window: sums.first_window,
                profile_type: &sums.profile_type,
                nodes: &sums.nodes[run.stacks.clone()],
                values: &sums.values[run.stacks.clone()],
                counts: &sums.counts[run.stacks.clone()],
            };
            let selected = if let Some(accepted) = &self.nodes {
                let kept = Kept::of(all, accepted);
                sink.summed(part.dictionary, kept.stacks(all), class);
                kept.nodes.len() as u64
            } else {
                sink.summed(part.dictionary, all, class);
                run.rows
            };
            self.stats.rows_selected += selected;
            if selected > 0 {
                self.stats.levels.add(part.level);
            }
        }
        self.check(sink)
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
            if let Some(class) = self.class_of(part, pair(row), pairs, sink)? {
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
            if let Some(class) = self.class_of(part, pair(row), pairs, sink)? {
                sink.total(part, window, row, class);
            }
        }
        Ok(())
    }

    /// The class of a pair: from memory, or worked out.
    #[inline]
    fn class_of(
        &mut self,
        part: &Dictionary,
        pair: Pair,
        pairs: &mut Pairs,
        sink: &mut dyn Sink,
    ) -> Result<Option<u32>, QueryError> {
        if let Some(class) = pairs.known(pair) {
            return Ok(class);
        }
        let class = self.classify(part, pair, sink)?;
        pairs.learn(pair, class);
        Ok(class)
    }

    fn classify(
        &mut self,
        part: &Dictionary,
        pair: Pair,
        sink: &mut dyn Sink,
    ) -> Result<Option<u32>, QueryError> {
        let (series, attributes) = (part.labels.get(pair.0), part.labels.get(pair.1));
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
