//! What is known of pairs of series and attributes, and the stacks of one that are wanted.

use rustc_hash::FxHashMap;
use stoker_dag::{LabelIx, NodeIx, SampleRow};

use super::sink::SummedStacks;

/// Series and attributes of a row.
pub(super) type Pair = (LabelIx, LabelIx);

pub(super) fn pair(row: &SampleRow) -> Pair {
    (row.series, row.attributes)
}

/// The stacks of a run that matchers on the stack accept.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) nodes: Vec<NodeIx>,
    values: Vec<u64>,
    counts: Vec<u64>,
}

impl Kept {
    pub(super) fn of(all: SummedStacks<'_>, accepted: &[bool]) -> Self {
        let mut kept = Self::default();
        for (at, node) in all.nodes.iter().enumerate().filter(|(_, node)| accepted[node.at()]) {
            kept.nodes.push(*node);
            kept.values.push(all.values[at]);
            kept.counts.push(all.counts[at]);
        }
        kept
    }

    pub(super) fn stacks<'a>(&'a self, of: SummedStacks<'a>) -> SummedStacks<'a> {
        SummedStacks { nodes: &self.nodes, values: &self.values, counts: &self.counts, ..of }
    }
}

/// What is known of the pairs of one part: a class where the pair is selected.
#[derive(Default)]
pub(super) struct Pairs {
    last: Option<(Pair, Option<u32>)>,
    all: FxHashMap<Pair, Option<u32>>,
}

impl Pairs {
    pub(super) fn known(&mut self, pair: Pair) -> Option<Option<u32>> {
        match self.last {
            Some((last, class)) if last == pair => return Some(class),
            _ => {}
        }
        let class = *self.all.get(&pair)?;
        self.last = Some((pair, class));
        Some(class)
    }

    pub(super) fn learn(&mut self, pair: Pair, class: Option<u32>) {
        self.last = Some((pair, class));
        self.all.insert(pair, class);
    }
}
