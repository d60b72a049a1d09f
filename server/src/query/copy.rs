//! Copying: the rows, facts and names that queries select, over a dictionary of their own. What a
//! short link is made from.

use std::collections::{BTreeMap, BTreeSet};

use stoker_dag::{
    Definition, DefinitionSource, FrameIx, LabelIx, LabelSet, LabelTable, ProfileType, SampleRow,
    UnixNanos,
};
use stoker_wire::Dictionary;

use super::details::{DetailSink, scan_details};
use super::error::QueryError;
use super::fold::StackSink;
use super::gauge::Gauge;
use super::scan::{ScanStats, scan};
use super::sink::Sink;
use super::stack::StackFilter;
use super::{Engine, Folded, Query};
use crate::store::{DetailedRow, Level, WindowDetails, WindowFacts, WindowRows};

/// Samples that are copied one by one between two looks at the limits.
const CHECK_EVERY: usize = 1 << 14;
/// The label that host facts can be selected by.
const HOST: &str = "host";

/// Rows that stand by themselves.
#[derive(Debug, Default)]
pub struct Copied {
    /// What rows refer to; its modules are those of its frames.
    pub dictionary: Dictionary,
    /// What its frames mean, as far as it is known now, in order of frame.
    pub definitions: Vec<(FrameIx, Definition)>,
    /// By [`Level`], the finest first.
    pub levels: [CopiedLevel; 3],
}

/// What was kept as finely as one level.
#[derive(Debug, Default)]
pub struct CopiedLevel {
    /// In order of profile type, then window.
    pub windows: Vec<WindowRows>,
    /// What functions have a part in, likewise; at [`Level::Functions`] only.
    pub totals: Vec<WindowRows>,
    /// Samples one by one, likewise; at [`Level::Raw`] only.
    pub details: Vec<WindowDetails>,
    /// In order of window.
    pub facts: Vec<WindowFacts>,
    /// Labels that its rows had and have no more.
    pub dropped: Vec<String>,
}

impl Copied {
    /// Rows and samples.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        let rows = || self.levels.iter().flat_map(|level| &level.windows).flat_map(|w| &w.rows);
        (rows().count() as u64, rows().fold(0, |sum, row| row.count.saturating_add(sum)))
    }
}

/// All that any of `queries` selects, each row once, as finely as it is kept. Their ranges cut no
/// hour of which only a rollup is there ([`Query::widened`]).
///
/// # Errors
/// When there are more than `max_rows`, another limit bites, the query is cancelled, or the store
/// cannot be read.
pub fn copy(engine: Engine<'_>, queries: &[Query], max_rows: usize) -> Result<Copied, QueryError> {
    let mut stacks = StackSink::new(None, engine.limits.max_nodes, Gauge::default());
    stacks.add_root();
    let mut copier = Copier {
        engine,
        stacks,
        labels: LabelTable::default(),
        levels: Default::default(),
        level: Level::Raw,
        classes: Vec::new(),
        before: Vec::new(),
        rows: 0,
        max_rows,
    };
    let mut dropped = BTreeSet::new();
    for (at, query) in queries.iter().enumerate() {
        let before = queries[..at].iter();
        copier.before = before.map(Before::new).collect();
        copier.classes.clear();
        scan(engine, query, &mut copier)?;
        scan_details(engine, query, &mut copier)?;
        copier.check()?;
        dropped.extend(engine.parts.rollups(query.range).into_iter().flat_map(|r| r.dropped));
    }
    let named = Folded::named(copier.stacks.profile, ScanStats::default(), engine);
    engine.progress.check()?;
    let profile = named.profile;
    let ids = (0u32..).map(FrameIx).zip(profile.frames.iter());
    let definitions = ids.filter_map(|(ix, (id, _))| {
        profile.definitions.get(&id).map(|definition| (ix, as_told_by_an_agent(definition)))
    });
    let definitions = definitions.collect();
    let mut levels = copier.levels.map(Gathered::finish);
    for rollup in &mut levels[1..] {
        rollup.dropped = dropped.iter().cloned().collect();
    }
    let dictionary = Dictionary {
        frames: profile.frames,
        nodes: profile.nodes,
        labels: copier.labels,
        modules: named.modules,
    };
    Ok(Copied { dictionary, definitions, levels })
}

/// What was given to a server is said by that server alone and stands in no batch or segment. A copy
/// has one definition for each frame, so that what it says here decides nothing but who wins later.
fn as_told_by_an_agent(definition: &Definition) -> Definition {
    let source = match definition.source {
        DefinitionSource::ServerSymbolTable => DefinitionSource::SymbolTable,
        DefinitionSource::ServerDebugInfo => DefinitionSource::AgentDwarf,
        told => told,
    };
    Definition { source, locations: definition.locations.clone() }
}

/// Rows by profile type and window.
#[derive(Debug, Default)]
struct Windows {
    held: Vec<WindowRows>,
    index: BTreeMap<(ProfileType, UnixNanos), usize>,
    /// The window that the last row went to.
    last: Option<usize>,
}

impl Windows {
    fn push(&mut self, of: &WindowRows, row: SampleRow) {
        let at = self.at(of);
        self.held[at].rows.push(row);
    }

    fn at(&mut self, of: &WindowRows) -> usize {
        let is_of =
            |held: &WindowRows| held.window == of.window && held.profile_type == of.profile_type;
        if let Some(last) = self.last.filter(|last| is_of(&self.held[*last])) {
            return last;
        }
        let next = self.held.len();
        let at = *self.index.entry((of.profile_type.clone(), of.window)).or_insert(next);
        if at == next {
            let (window, profile_type) = (of.window, of.profile_type.clone());
            self.held.push(WindowRows { window, profile_type, rows: Vec::new() });
        }
        self.last = Some(at);
        at
    }

    fn finish(mut self) -> Vec<WindowRows> {
        self.held.sort_by(|a, b| (&a.profile_type, a.window).cmp(&(&b.profile_type, b.window)));
        self.held
    }
}

#[derive(Debug, Default)]
struct Gathered {
    windows: Windows,
    totals: Windows,
    details: Vec<WindowDetails>,
    facts: Vec<WindowFacts>,
}

impl Gathered {
    fn finish(mut self) -> CopiedLevel {
        self.facts.sort_by_key(|held| held.window);
        let (windows, totals) = (self.windows.finish(), self.totals.finish());
        CopiedLevel {
            windows,
            totals,
            details: self.details,
            facts: self.facts,
            dropped: Vec::new(),
        }
    }
}

/// A query whose rows are copied already.
struct Before<'a> {
    query: &'a Query,
    stacks: Option<StackFilter<'a>>,
    /// Which nodes of the dictionary at hand its matchers on the stack accept.
    nodes: Option<Vec<bool>>,
}

impl<'a> Before<'a> {
    fn new(query: &'a Query) -> Self {
        Self { query, stacks: StackFilter::new(&query.selector), nodes: None }
    }

    fn has(&self, window: &WindowRows, row: &SampleRow) -> bool {
        let accepts = self.nodes.as_ref().is_none_or(|accepted| accepted[row.node.at()]);
        accepts && self.query.selects(window)
    }
}

struct Copier<'a> {
    engine: Engine<'a>,
    stacks: StackSink,
    labels: LabelTable,
    levels: [Gathered; 3],
    level: Level,
    /// Series, attributes, and which of the queries before would have selected their rows, were it
    /// not for time and stack.
    classes: Vec<(LabelIx, LabelIx, Vec<bool>)>,
    before: Vec<Before<'a>>,
    rows: usize,
    max_rows: usize,
}

impl Copier<'_> {
    /// The row over the copy's dictionary; none where it was copied for a query before.
    fn carried(
        &mut self,
        part: &Dictionary,
        window: &WindowRows,
        row: &SampleRow,
        class: u32,
    ) -> Option<SampleRow> {
        let (series, attributes, before) = &self.classes[class as usize];
        let (series, attributes) = (*series, *attributes);
        let is_there = |(of, accepts): (&Before<'_>, &bool)| *accepts && of.has(window, row);
        if self.before.iter().zip(before).any(is_there) {
            return None;
        }
        let node = self.stacks.node(part, row.node, 0);
        self.rows += 1;
        Some(SampleRow { series, attributes, node, ..*row })
    }

    fn here(&mut self) -> &mut Gathered {
        let at = Level::ALL.iter().position(|level| *level == self.level).unwrap_or(0);
        &mut self.levels[at]
    }
}

impl DetailSink for Copier<'_> {
    fn enter(&mut self, dictionary: &Dictionary) {
        Sink::enter(self, dictionary);
    }

    fn take(
        &mut self,
        part: &Dictionary,
        window: &WindowDetails,
        sample: &DetailedRow,
    ) -> Result<(), QueryError> {
        let (series, attributes) =
            (part.labels.get(sample.series), part.labels.get(sample.attributes));
        let was_copied = self.before.iter().any(|of| {
            let on_stack = of.nodes.as_ref().is_none_or(|accepted| accepted[sample.node.at()]);
            let wanted = of.query.selector.profile_type.as_ref();
            on_stack
                && of.query.range.holds(window.window)
                && wanted.is_none_or(|wanted| *wanted == window.profile_type)
                && of.query.selector.accepts(series, attributes)
        });
        if was_copied {
            return Ok(());
        }
        let (series, attributes) = (self.labels.intern(series), self.labels.intern(attributes));
        let node = self.stacks.node(part, sample.node, 0);
        self.rows += 1;
        let samples = vec![DetailedRow { series, attributes, node, ..*sample }];
        let (at, profile_type) = (window.window, window.profile_type.clone());
        let more = WindowDetails { window: at, profile_type, samples };
        crate::store::insert_details(&mut self.levels[0].details, more);
        match self.rows.is_multiple_of(CHECK_EVERY) {
            true => self.check(),
            false => Ok(()),
        }
    }
}

impl Sink for Copier<'_> {
    fn enter(&mut self, dictionary: &Dictionary) {
        self.stacks.enter(dictionary);
        for before in &mut self.before {
            let stacks = before.stacks.as_mut();
            before.nodes = stacks.map(|stacks| stacks.nodes(self.engine, dictionary));
        }
    }

    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        let before = self.before.iter().map(|of| of.query.selector.accepts(series, attributes));
        let before = before.collect();
        let sets = (self.labels.intern(series), self.labels.intern(attributes));
        self.classes.push((sets.0, sets.1, before));
        Ok(class)
    }

    fn level(&mut self, level: Level) {
        self.level = level;
    }

    fn row(&mut self, part: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32) {
        if let Some(row) = self.carried(part, window, row, class) {
            self.here().windows.push(window, row);
        }
    }

    fn total(&mut self, part: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32) {
        if let Some(row) = self.carried(part, window, row, class) {
            self.here().totals.push(window, row);
        }
    }

    fn fact(&mut self, facts: &WindowFacts) {
        let is_there = |of: &Before<'_>| {
            let mut of_host = of.query.selector.matchers.iter().filter(|m| m.name() == HOST);
            of.query.range.holds(facts.window) && of_host.all(|m| m.accepts(&facts.host_name))
        };
        if !self.before.iter().any(is_there) {
            self.here().facts.push(facts.clone());
        }
    }

    fn bytes(&self) -> usize {
        self.stacks.bytes() + self.rows * size_of::<SampleRow>()
    }

    fn check(&self) -> Result<(), QueryError> {
        if self.rows > self.max_rows {
            return Err(QueryError::too_large("rows", self.max_rows, "selects too much to copy"));
        }
        self.stacks.check()
    }
}
