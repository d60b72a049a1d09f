//! Rows of both sides, summed by stack and replicate over one set of nodes.

use rustc_hash::{FxHashMap, FxHashSet};
use stoker_analysis::compare::Side;
use stoker_dag::{LabelSet, SampleRow, UnixNanos};
use stoker_wire::Dictionary;

use crate::query::error::QueryError;
use crate::query::fold::StackSink;
use crate::query::gauge::Gauge;
use crate::query::groups::Groups;
use crate::query::scan::{Sink, scan};
use crate::query::selector::value_of;
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
    /// By node and column: value and samples.
    pub(super) cells: FxHashMap<(u32, u32), (u64, u64)>,
    /// Which rows the base and the new side hold, by series, attributes and window.
    seen: [FxHashSet<(LabelSet, LabelSet, UnixNanos)>; 2],
    /// What classes of the side at hand stand for.
    classes: Vec<(u32, LabelSet, LabelSet)>,
    last: Option<(u32, UnixNanos)>,
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
            cells: FxHashMap::default(),
            seen: Default::default(),
            classes: Vec::new(),
            last: None,
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
        self.classes.clear();
        self.last = None;
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
    pub(super) fn check_sides(&self) -> Result<(), QueryError> {
        for (side, name) in [(Side::Base, "base"), (Side::New, "new")] {
            let is_of_side = |at: u32| self.columns[at as usize].side == side;
            let has_value =
                self.cells.iter().any(|((_, at), (value, _))| *value > 0 && is_of_side(*at));
            if !has_value {
                let message = format!("the {name} side has no samples");
                let hint = "widen its range, or look at its labels with `stoker query`";
                return Err(QueryError::input("empty_side", message, hint));
            }
        }
        let twice = self.seen[0].iter().filter(|row| self.seen[1].contains(*row)).count();
        if twice > 0 {
            let message = format!(
                "both sides select the same data: {twice} of {} rows' series and windows of the \
                 base are in the new side too",
                self.seen[0].len()
            );
            let hint = "choose labels or ranges that select each sample once";
            return Err(QueryError::input("same_data", message, hint));
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
        self.last = None;
    }

    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        let name = match &self.groups {
            Some(groups) => group_name(groups.of_row(series, attributes)),
            None => value_of(&self.label, series, attributes).to_owned(),
        };
        let column = self.column(&name)?;
        let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        self.classes.push((column, series.clone(), attributes.clone()));
        Ok(class)
    }

    fn row(&mut self, part: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32) {
        let (column, series, attributes) = &self.classes[class as usize];
        let (side, placebo) = self.at;
        if placebo == 0 && self.last != Some((class, window.window)) {
            self.last = Some((class, window.window));
            let row = (series.clone(), attributes.clone(), window.window);
            self.seen[usize::from(side == Side::New)].insert(row);
        }
        let node = self.stacks.node(part, row.node, 0);
        let held = self.cells.entry((node.0, *column)).or_default();
        let (value, over) = held.0.overflowing_add(row.value);
        self.has_overflowed |= over;
        *held = (value, held.1.saturating_add(row.count));
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
        // A hash map is at least seven sixteenths full.
        let cells = self.cells.len() * size_of::<((u32, u32), (u64, u64))>() * 16 / 7;
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
