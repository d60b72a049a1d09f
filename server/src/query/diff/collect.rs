//! Rows of both sides, summed by stack and replicate over one set of nodes.
//!
//! Whether both sides hold the same rows is asked only where it can be: where they have a time and a pair
//! of series and attributes in common. Then both are read again, window by window.

use rustc_hash::{FxHashMap, FxHashSet};
use stoker_analysis::compare::Side;
use stoker_dag::{LabelSet, NodeIx, SampleRow};
use stoker_wire::Dictionary;

use super::same_data;
use crate::query::error::QueryError;
use crate::query::fold::StackSink;
use crate::query::gauge::Gauge;
use crate::query::groups::Groups;
use crate::query::scan::scan;
use crate::query::selector::value_of;
use crate::query::sink::{Sink, SummedStacks};
use crate::query::{Engine, Query};
use crate::store::{Level, ReplicateGroup, WindowFacts, WindowRows};

/// Replicates of both sides and all placebos together.
const MAX_COLUMNS: usize = 20_000;

/// One replicate of one side.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) side: Side,
    pub(super) placebo: u32,
    /// How long the host of this name was observed.
    pub(super) observed_ns: u64,
}

/// What was read of all sides.
pub(super) struct Collector {
    pub(super) stacks: StackSink,
    label: String,
    /// Where hosts are replicates and a side has rollups: groups of hosts take their place.
    groups: Option<Groups>,
    pub(super) columns: Vec<Column>,
    index: FxHashMap<(Side, u32, String), u32>,
    /// By column and node: value and samples.
    pub(super) cells: Vec<FxHashMap<NodeIx, (u64, u64)>>,
    /// Series and attributes that the base and the new side hold.
    pairs: [FxHashSet<(LabelSet, LabelSet)>; 2],
    at: (Side, u32),
    observed: FxHashMap<String, u64>,
    pub(super) lost_samples: [u64; 2],
    has_overflowed: bool,
}

impl Collector {
    pub(super) fn new(label: &str, groups: Option<Groups>, max_nodes: usize) -> Self {
        let mut stacks = StackSink::new(None, max_nodes, Gauge::default());
        stacks.add_root();
        Self {
            stacks,
            label: label.to_owned(),
            groups,
            columns: Vec::new(),
            index: FxHashMap::default(),
            cells: Vec::new(),
            pairs: Default::default(),
            at: (Side::Base, 0),
            observed: FxHashMap::default(),
            lost_samples: [0; 2],
            has_overflowed: false,
        }
    }

    /// Reads one side, of the comparison (0) or of a placebo.
    pub(super) fn side(
        &mut self,
        engine: Engine<'_>,
        query: &Query,
        side: Side,
        placebo: u32,
    ) -> Result<(), QueryError> {
        self.at = (side, placebo);
        self.observed.clear();
        let query = &query.clone().widened(engine.parts);
        let stats = scan(engine, query, self)?;
        if placebo == 0 {
            self.lost_samples[usize::from(side == Side::New)] = stats.lost_samples;
        }
        let here = |column: &&mut Column| (column.side, column.placebo) == (side, placebo);
        for column in self.columns.iter_mut().filter(here) {
            column.observed_ns = self.observed.get(&column.name).copied().unwrap_or(0);
        }
        Ok(())
    }

    /// Whether both sides can be compared at all.
    pub(super) fn check_sides(&self, sides: [(Engine<'_>, &Query); 2]) -> Result<(), QueryError> {
        for (side, name) in [(Side::Base, "base"), (Side::New, "new")] {
            let mut of_side = self.columns.iter().zip(&self.cells).filter(|(c, _)| c.side == side);
            if !of_side.any(|(_, cells)| cells.values().any(|(value, _)| *value > 0)) {
                let message = format!("the {name} side has no samples");
                let hint = "widen its range, or look at its labels with `stoker query`";
                return Err(QueryError::input("empty_side", message, hint));
            }
        }
        if self.pairs[0].iter().any(|pair| self.pairs[1].contains(pair)) {
            same_data::check(sides)?;
        }
        if self.has_overflowed {
            let message = "the values of a side do not fit into 64 bits when they are summed";
            return Err(QueryError::input("overflow", message, "select less"));
        }
        Ok(())
    }

    /// Whether both sides are replicates of the same names, more than one.
    pub(super) fn has_same_names(&self) -> bool {
        let names = |side: Side| {
            let of_side = self.columns.iter().filter(|c| c.placebo == 0 && c.side == side);
            let mut names: Vec<&str> = of_side.map(|column| &*column.name).collect();
            names.sort_unstable();
            names
        };
        let base = names(Side::Base);
        base.len() > 1 && base == names(Side::New)
    }

    fn add(&mut self, part: &Dictionary, node: NodeIx, column: u32, added: (u64, u64)) {
        let node = self.stacks.node(part, node, 0);
        let held = self.cells[column as usize].entry(node).or_default();
        let (value, over) = held.0.overflowing_add(added.0);
        self.has_overflowed |= over;
        *held = (value, held.1.saturating_add(added.1));
    }

    fn column(&mut self, name: &str) -> Result<u32, QueryError> {
        let (side, placebo) = self.at;
        let key = (side, placebo, name.to_owned());
        if let Some(&known) = self.index.get(&key) {
            return Ok(known);
        }
        if self.columns.len() >= MAX_COLUMNS {
            let what = "compares too many replicates";
            return Err(QueryError::too_large("replicates", MAX_COLUMNS, what));
        }
        let next = u32::try_from(self.columns.len()).expect("a bound");
        let name = name.to_owned();
        self.columns.push(Column { name, side, placebo, observed_ns: 0 });
        self.cells.push(FxHashMap::default());
        self.index.insert(key, next);
        Ok(next)
    }
}

impl Sink for Collector {
    fn labels(&self) -> Vec<&str> {
        match self.groups {
            Some(_) => Vec::new(),
            None => vec![&self.label],
        }
    }

    fn level(&mut self, level: Level) {
        self.groups.iter_mut().for_each(|groups| groups.level(level));
    }

    fn enter(&mut self, dictionary: &Dictionary) {
        self.stacks.enter(dictionary);
    }

    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        let name = match &self.groups {
            Some(groups) => group_name(groups.of_row(series, attributes)),
            None => value_of(&self.label, series, attributes).to_owned(),
        };
        let (side, placebo) = self.at;
        if placebo == 0 {
            self.pairs[usize::from(side == Side::New)].insert((series.clone(), attributes.clone()));
        }
        self.column(&name)
    }

    fn takes_sums(&self) -> bool {
        true
    }

    fn summed(&mut self, part: &Dictionary, stacks: SummedStacks<'_>, column: u32) {
        let SummedStacks { nodes, values, counts, .. } = stacks;
        for ((&node, &value), &count) in nodes.iter().zip(values).zip(counts) {
            self.add(part, node, column, (value, count));
        }
    }

    fn row(&mut self, part: &Dictionary, _: &WindowRows, row: &SampleRow, column: u32) {
        self.add(part, row.node, column, (row.value, row.count));
    }

    fn fact(&mut self, facts: &WindowFacts) {
        let name = match &mut self.groups {
            Some(groups) => group_name(groups.of_facts(facts)),
            None => facts.host_name.to_string(),
        };
        let held = self.observed.entry(name).or_default();
        *held = held.saturating_add(facts.facts.observed_ns);
    }

    fn bytes(&self) -> usize {
        let capacity: usize = self.cells.iter().map(FxHashMap::capacity).sum();
        // A hash map is never more than seven eighths full, and has a byte for each place.
        let cells = capacity * (size_of::<(NodeIx, (u64, u64))>() + 1) * 8 / 7;
        self.stacks.bytes() + cells
    }

    fn check(&self) -> Result<(), QueryError> {
        self.stacks.check()
    }
}

fn group_name(group: ReplicateGroup) -> String {
    format!("group {:02}", group.at())
}

/// Columns in order of placebo, side and name: the k-th of both sides belong together where they
/// have the same names.
pub(super) fn by_name(columns: &[Column]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|&at| {
        let column = &columns[at];
        (column.placebo, column.side, &column.name)
    });
    order
}
