//! Rows, summed by step, labels, replicate group and price; for functions by stack too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_analysis::{FunctionName, Naming, function_names};
use stoker_dag::{LabelSet, NodeIx, SampleRow, UnixNanos};
use stoker_wire::Dictionary;

use super::{CapacityOf, CapacityOptions};
use crate::query::Engine;
use crate::query::error::QueryError;
use crate::query::fold::{Folded, StackSink};
use crate::query::gauge::Gauge;
use crate::query::groups::Groups;
use crate::query::scan::ScanStats;
use crate::query::selector::value_of;
use crate::query::sink::{Sink, SummedStacks};
use crate::store::{Level, ReplicateGroup, WindowFacts, WindowRows};

/// What a place of the answer takes while it is made, about.
const BYTES_PER_PLACE: usize = 300;

/// What rows are told apart by while they are summed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    step: u64,
    /// Values of the labels.
    key: Arc<[String]>,
    group: ReplicateGroup,
    price: Option<usize>,
}

/// What a row of the answer is about: start of its step, values of its labels, and its function.
pub(super) type Place = (u64, Arc<[String]>, Option<FunctionName>);

/// CPU time of one place.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) own_ns: u128,
    pub(super) total_ns: u128,
    /// Of `total_ns`.
    pub(super) samples: u64,
    /// `total_ns` by replicate group.
    pub(super) groups: BTreeMap<ReplicateGroup, u128>,
    /// Self and total by price.
    pub(super) prices: BTreeMap<Option<usize>, (u128, u128)>,
}

/// All places, in order.
pub(super) type Sums = BTreeMap<Place, Sum>;

impl Sum {
    fn add(&mut self, cell: &Cell, own: u128, total: u128, samples: u64) {
        self.own_ns += own;
        self.total_ns += total;
        self.samples = self.samples.saturating_add(samples);
        *self.groups.entry(cell.group).or_default() += total;
        let held = self.prices.entry(cell.price).or_default();
        (held.0, held.1) = (held.0 + own, held.1 + total);
    }
}

pub(super) struct Collector<'a> {
    options: &'a CapacityOptions,
    groups: Groups,
    stacks: StackSink,
    level: Level,
    max_cells: usize,
    /// What classes of the dictionary at hand stand for.
    classes: Vec<(Arc<[String]>, ReplicateGroup, Option<usize>)>,
    keys: BTreeSet<Arc<[String]>>,
    cells: FxHashMap<Cell, u32>,
    last: Option<(u32, u64, u32)>,
    /// By stack and cell: value and samples. Without functions every stack is the root.
    rows: FxHashMap<(NodeIx, u32), (u128, u64)>,
    /// Self values of functions whose stacks are not kept, and what they have a part in.
    functions: FxHashMap<(NodeIx, u32), (u128, u128, u64)>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(engine: Engine<'_>, options: &'a CapacityOptions) -> Self {
        let mut stacks = StackSink::new(None, engine.limits.max_nodes, Gauge::default());
        stacks.add_root();
        Self {
            options,
            groups: Groups::new(engine.parts.tenant()),
            stacks,
            level: Level::Raw,
            max_cells: engine.limits.max_cells,
            classes: Vec::new(),
            keys: BTreeSet::new(),
            cells: FxHashMap::default(),
            last: None,
            rows: FxHashMap::default(),
            functions: FxHashMap::default(),
        }
    }

    fn cell(&mut self, window: UnixNanos, class: u32) -> u32 {
        let step = self.options.step.bucket(window);
        if let Some((last_class, last_step, cell)) = self.last
            && (last_class, last_step) == (class, step)
        {
            return cell;
        }
        let (key, group, price) = &self.classes[class as usize];
        let cell = Cell { step, key: Arc::clone(key), group: *group, price: *price };
        let next = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let cell = *self.cells.entry(cell).or_insert(next);
        self.last = Some((class, step, cell));
        cell
    }

    fn add(&mut self, part: &Dictionary, node: NodeIx, cell: u32, (value, count): (u64, u64)) {
        let of_services = self.options.of == CapacityOf::Services;
        let node = if of_services { NodeIx::ROOT } else { self.stacks.node(part, node, 0) };
        if self.level == Level::Functions && !of_services {
            let held = self.functions.entry((node, cell)).or_default();
            held.0 += u128::from(value);
            if self.options.of == CapacityOf::Modules || node == NodeIx::ROOT {
                // Of modules, and of what has no stack, nothing else is known.
                held.1 += u128::from(value);
                held.2 = held.2.saturating_add(count);
            }
            return;
        }
        let held = self.rows.entry((node, cell)).or_default();
        held.0 += u128::from(value);
        held.1 = held.1.saturating_add(count);
    }

    /// The sums of all places, with functions named by all that is known.
    pub(super) fn finish(self, engine: Engine<'_>) -> Result<Sums, QueryError> {
        let mut cells: Vec<(&Cell, u32)> =
            self.cells.iter().map(|(cell, ix)| (cell, *ix)).collect();
        cells.sort_by_key(|(_, ix)| *ix);
        let cells: Vec<&Cell> = cells.into_iter().map(|(cell, _)| cell).collect();
        let mut sums = Sums::default();
        if self.options.of == CapacityOf::Services {
            for ((_, at), (value, count)) in &self.rows {
                let cell = cells[*at as usize];
                let place = (cell.step, Arc::clone(&cell.key), None);
                sums.entry(place).or_default().add(cell, *value, *value, *count);
            }
            return Ok(sums);
        }
        let folded = Folded::named(self.stacks.profile, ScanStats::default(), engine);
        let mut paths = Paths::new(&folded, self.options.of);
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        rows.sort_unstable_by_key(|((node, at), _)| (*node, *at));
        for of_node in rows.chunk_by(|a, b| a.0.0 == b.0.0) {
            engine.progress.check()?;
            let (own, all) = paths.of(of_node[0].0.0);
            for ((_, at), (value, count)) in of_node {
                let cell = cells[*at as usize];
                for function in &all {
                    let place = (cell.step, Arc::clone(&cell.key), Some(function.clone()));
                    let own = if *function == own { *value } else { 0 };
                    sums.entry(place).or_default().add(cell, own, *value, *count);
                }
            }
        }
        for ((node, at), (own, total, count)) in self.functions {
            let cell = cells[at as usize];
            let (function, _) = paths.of(node);
            let total = if self.options.of == CapacityOf::Modules { own } else { total };
            let place = (cell.step, Arc::clone(&cell.key), Some(function));
            sums.entry(place).or_default().add(cell, own, total, count);
        }
        Ok(sums)
    }
}

/// The functions (or modules) of stacks.
struct Paths<'a> {
    folded: &'a Folded,
    naming: Naming<'a>,
    of: CapacityOf,
    frames: Vec<Option<Arc<[FunctionName]>>>,
}

impl<'a> Paths<'a> {
    fn new(folded: &'a Folded, of: CapacityOf) -> Self {
        let naming = Naming { definitions: &folded.profile.definitions, modules: &folded.modules };
        Self { folded, naming, of, frames: vec![None; folded.profile.frames.len()] }
    }

    /// What a stack ends in, and all that it goes through, each once.
    fn of(&mut self, leaf: NodeIx) -> (FunctionName, BTreeSet<FunctionName>) {
        let nodes = &self.folded.profile.nodes;
        let (mut own, mut all, mut at) = (None, BTreeSet::new(), leaf);
        while let Some(frame) = nodes.frame(at) {
            let functions = self.frames[frame.at()].get_or_insert_with(|| {
                let frame = self.folded.profile.frames.frame(frame);
                let names = function_names(self.naming, frame).into_iter();
                names.map(|name| in_table(name, self.of)).collect()
            });
            own = own.or_else(|| functions.last().cloned());
            all.extend(functions.iter().cloned());
            at = nodes.parent(at);
        }
        let own = own
            .unwrap_or_else(|| FunctionName { module: Arc::default(), name: "(no stack)".into() });
        all.insert(own.clone());
        (own, all)
    }
}

/// What lies in no module is called by its own name.
fn in_table(name: FunctionName, of: CapacityOf) -> FunctionName {
    match of {
        CapacityOf::Modules if !name.module.is_empty() => {
            FunctionName { name: name.module, module: Arc::default() }
        }
        _ => name,
    }
}

impl Sink for Collector<'_> {
    fn enter(&mut self, dictionary: &Dictionary) {
        self.stacks.enter(dictionary);
        self.classes.clear();
        self.last = None;
    }

    fn labels(&self) -> Vec<&str> {
        self.options.by.iter().map(|label| &**label).chain(self.options.prices.labels()).collect()
    }

    fn level(&mut self, level: Level) {
        self.level = level;
        self.groups.level(level);
    }

    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        let value = |label: &Arc<str>| value_of(label, series, attributes).to_owned();
        let key: Arc<[String]> = self.options.by.iter().map(value).collect();
        let key = match self.keys.get(&key) {
            Some(known) => Arc::clone(known),
            None => {
                self.keys.insert(Arc::clone(&key));
                key
            }
        };
        let group = self.groups.of_row(series, attributes);
        let price = self.options.prices.of(series, attributes);
        let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        self.classes.push((key, group, price));
        Ok(class)
    }

    fn takes_sums(&self) -> bool {
        // Steps are whole hours.
        true
    }

    fn summed(&mut self, part: &Dictionary, stacks: SummedStacks<'_>, class: u32) {
        let cell = self.cell(stacks.window, class);
        let sums = stacks.nodes.iter().zip(stacks.values).zip(stacks.counts);
        for ((&node, &value), &count) in sums {
            self.add(part, node, cell, (value, count));
        }
    }

    fn row(&mut self, part: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32) {
        let cell = self.cell(window.window, class);
        self.add(part, row.node, cell, (row.value, row.count));
    }

    fn total(&mut self, part: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32) {
        if self.options.of != CapacityOf::Functions {
            return;
        }
        let cell = self.cell(window.window, class);
        let node = self.stacks.node(part, row.node, 0);
        let held = self.functions.entry((node, cell)).or_default();
        held.1 += u128::from(row.value);
        held.2 = held.2.saturating_add(row.count);
    }

    fn fact(&mut self, facts: &WindowFacts) {
        self.groups.of_facts(facts);
    }

    fn bytes(&self) -> usize {
        // A hash map is at least seven sixteenths full; what is summed becomes a place at most.
        let rows = size_of::<((NodeIx, u32), (u128, u128, u64))>() * 16 / 7 + BYTES_PER_PLACE;
        self.stacks.bytes() + (self.rows.len() + self.functions.len()) * rows
    }

    fn check(&self) -> Result<(), QueryError> {
        let cells = self.rows.len() + self.functions.len();
        if cells > self.max_cells {
            let what = "sums too many stacks of too many groups";
            return Err(QueryError::too_large("max_cells", self.max_cells, what));
        }
        self.stacks.check()
    }
}
