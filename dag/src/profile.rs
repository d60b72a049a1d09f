//! A weighted DAG: stacks with a value and a number of samples each. What files are read into, what
//! a query folds segments into, and what merges in any order.

use crate::definition::DefinitionMap;
use crate::frame::Frame;
use crate::interner::StackInterner;
use crate::tables::{FrameIx, FrameTable, NodeIx, NodeTable};

/// Stacks with their values (in the profile type's unit) and sample counts.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// The distinct frames.
    pub frames: FrameTable,
    /// The distinct stacks and their prefixes.
    pub nodes: NodeTable,
    /// What frames mean.
    pub definitions: DefinitionMap,
    interner: StackInterner,
    /// Self value of each node; as long as the highest node that has one.
    values: Vec<u64>,
    counts: Vec<u64>,
}

impl Profile {
    /// Adds `value` and `count` samples to the stack of `frames`, outermost first.
    pub fn add_stack(&mut self, frames: &[Frame], value: u64, count: u64) -> NodeIx {
        let stack: Vec<FrameIx> = frames.iter().map(|frame| self.frames.intern(frame)).collect();
        let leaf = self.interner.intern(&mut self.nodes, &stack);
        self.add(leaf, value, count);
        leaf
    }

    /// Makes room for `more` nodes.
    pub fn reserve(&mut self, more: usize) {
        self.nodes.reserve(more);
        let nodes = self.nodes.len() + more;
        self.values.reserve(nodes.saturating_sub(self.values.len()));
        self.counts.reserve(nodes.saturating_sub(self.counts.len()));
    }

    /// About how much memory its stacks and values take, room that is not used left out; frames and
    /// definitions apart.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.nodes.memory_bytes() + (self.values.len() + self.counts.len()) * size_of::<u64>()
    }

    /// Adds to a node that is already there.
    pub fn add(&mut self, node: NodeIx, value: u64, count: u64) {
        if self.values.len() <= node.at() {
            self.values.resize(node.at() + 1, 0);
            self.counts.resize(node.at() + 1, 0);
        }
        self.values[node.at()] = self.values[node.at()].saturating_add(value);
        self.counts[node.at()] = self.counts[node.at()].saturating_add(count);
    }

    /// The self value of `node`.
    #[must_use]
    pub fn value(&self, node: NodeIx) -> u64 {
        self.values.get(node.at()).copied().unwrap_or(0)
    }

    /// How many samples ended at `node`.
    #[must_use]
    pub fn count(&self, node: NodeIx) -> u64 {
        self.counts.get(node.at()).copied().unwrap_or(0)
    }

    /// The sum of all values.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.values.iter().fold(0, |sum, value| sum.saturating_add(*value))
    }

    /// The number of all samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Nodes that have a value or samples of their own, with both.
    pub fn rows(&self) -> impl Iterator<Item = (NodeIx, u64, u64)> {
        let columns = (0u32..).zip(self.values.iter().zip(&self.counts));
        columns
            .filter(|(_, (value, count))| **value != 0 || **count != 0)
            .map(|(node, (value, count))| (NodeIx(node), *value, *count))
    }

    /// Divides all values by one number and all counts by another, neither of them 0. What is left
    /// over in one stack goes into the next, so that the totals are divided exactly, rounded down.
    ///
    /// # Panics
    /// When a divisor is 0.
    pub fn divide(&mut self, values_by: u64, counts_by: u64) {
        for (column, by) in [(&mut self.values, values_by), (&mut self.counts, counts_by)] {
            let mut left = 0u128;
            for held in column {
                let whole = u128::from(*held) + left;
                left = whole % u128::from(by);
                // No larger than what it was made from, or by 1 where that was not the largest.
                *held = u64::try_from(whole / u128::from(by)).unwrap_or(u64::MAX);
            }
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        let frame_map: Vec<FrameIx> =
            other.frames.iter().map(|(id, f)| self.frames.intern_with_id(id, f)).collect();
        let node_map = self.nodes.merge(&other.nodes, &frame_map);
        for (node, value, count) in other.rows() {
            self.add(node_map[node.at()], value, count);
        }
        self.definitions.merge(&other.definitions);
    }
}
