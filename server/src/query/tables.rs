//! Rows and nodes as tables, for programs that compute on their own. What is told apart is told apart
//! by content, never by where it lies: equal data give equal tables, whatever is merged or summed up.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{LabelSet, NodeId, NodeIx, ProfileType, SampleRow, UnixNanos};
use stoker_wire::Dictionary;

use super::error::QueryError;
use super::fold::{Folded, StackSink};
use super::gauge::Gauge;
use super::scan::scan;
use super::sink::Sink;
use super::top::required_type;
use super::{Engine, Query};
use crate::store::{GROUP_LABEL, Level, WindowRows};

/// Labels that a table has columns for.
const MAX_LABELS: usize = 64;

/// One sample row: value and samples of a stack in a window, with all its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// When the window starts.
    pub window: UnixNanos,
    /// How finely it was kept.
    pub level: Level,
    /// Index into [`Rows::labels`].
    pub labels: usize,
    /// The stack, which [`Rows::folded`] has.
    pub node: NodeId,
    /// Its value, in the profile type's unit; of gauges value × seconds.
    pub value: u64,
    /// How many samples.
    pub samples: u64,
}

/// The sample rows of a query, and their stacks.
#[derive(Debug)]
pub struct Rows {
    /// What values count.
    pub profile_type: ProfileType,
    /// Names of all labels and attributes, in order.
    pub names: Vec<Arc<str>>,
    /// Sets of labels and attributes together, in order.
    pub labels: Vec<LabelSet>,
    /// In order of window, labels, stack.
    pub rows: Vec<TableRow>,
    /// Every stack, with names.
    pub folded: Folded,
    /// Ids of the nodes of `folded`.
    pub ids: Vec<NodeId>,
}

/// The sample rows that `query` selects.
///
/// # Errors
/// When the selector names no profile type, rows have too many labels, a limit bites, the query is
/// cancelled, or the store cannot be read.
pub fn rows(engine: Engine<'_>, query: &Query) -> Result<Rows, QueryError> {
    let profile_type = required_type(query)?.clone();
    let mut stacks = StackSink::new(None, engine.limits.max_nodes, Gauge::default());
    stacks.add_root();
    let mut sink = RowSink {
        stacks,
        level: Level::Raw,
        classes: Vec::new(),
        sets: FxHashMap::default(),
        cells: FxHashMap::default(),
    };
    let stats = scan(engine, query, &mut sink)?;
    let RowSink { stacks, sets, cells, .. } = sink;
    let mut folded = Folded::named(stacks.profile, stats, engine);
    folded.warnings = engine.parts.missing(query.range);
    let ids = folded.profile.nodes.ids(&folded.profile.frames);
    let all = sets.keys().flat_map(LabelSet::iter).map(|(name, _)| Arc::clone(name));
    let names: BTreeSet<Arc<str>> = all.collect();
    if names.len() > MAX_LABELS {
        return Err(QueryError::too_large("labels", MAX_LABELS, "selects rows of too many labels"));
    }
    // Sets are numbered anew, so that their order does not hang on how rows came.
    let mut labels: Vec<(&LabelSet, u32)> = sets.iter().map(|(set, at)| (set, *at)).collect();
    labels.sort();
    let mut order = vec![0; labels.len()];
    for (new, (_, old)) in labels.iter().enumerate() {
        order[*old as usize] = new;
    }
    let of = |((window, level, set, node), (value, samples)): (Cell, (u64, u64))| TableRow {
        window,
        level,
        labels: order[set as usize],
        node: ids[node.at()],
        value,
        samples,
    };
    let mut rows: Vec<TableRow> = cells.into_iter().map(of).collect();
    rows.sort_unstable_by(|a, b| {
        let key = |row: &TableRow| (row.window, row.level, row.labels, *row.node.as_bytes());
        key(a).cmp(&key(b))
    });
    let labels = labels.into_iter().map(|(set, _)| set.clone()).collect();
    Ok(Rows { profile_type, names: names.into_iter().collect(), labels, rows, folded, ids })
}

type Cell = (UnixNanos, Level, u32, NodeIx);

struct RowSink {
    stacks: StackSink,
    level: Level,
    classes: Vec<u32>,
    sets: FxHashMap<LabelSet, u32>,
    cells: FxHashMap<Cell, (u64, u64)>,
}

impl Sink for RowSink {
    fn enter(&mut self, dictionary: &Dictionary) {
        self.stacks.enter(dictionary);
        self.classes.clear();
    }

    fn level(&mut self, level: Level) {
        self.level = level;
    }

    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        // A series' own label counts more than an attribute of its name.
        let pairs = attributes.iter().chain(series.iter());
        let set = LabelSet::new(pairs.map(|(name, value)| (Arc::clone(name), Arc::clone(value))));
        let next = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        let set = *self.sets.entry(set).or_insert(next);
        let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        self.classes.push(set);
        Ok(class)
    }

    fn row(&mut self, part: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32) {
        let node = self.stacks.node(part, row.node, 0);
        let key = (window.window, self.level, self.classes[class as usize], node);
        let held = self.cells.entry(key).or_default();
        *held = (held.0.saturating_add(row.value), held.1.saturating_add(row.count));
    }

    fn bytes(&self) -> usize {
        // As a map at least seven sixteenths full, as a row, and as columns.
        let cell = size_of::<(Cell, (u64, u64))>() * 16 / 7 + 2 * size_of::<TableRow>();
        self.stacks.bytes() + self.cells.len() * cell
    }

    fn check(&self) -> Result<(), QueryError> {
        self.stacks.check()
    }
}

/// What a table calls the label of this name.
#[must_use]
pub fn column_name(label: &str) -> String {
    match label {
        GROUP_LABEL => GROUP_LABEL.to_owned(),
        label => format!("label.{label}"),
    }
}
