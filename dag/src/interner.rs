//! Interns whole stacks. The hash of the whole stack is looked up first and frames are walked only
//! on a miss: a known 30-frame stack costs one look-up, not thirty.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHashMap;

use crate::tables::{FrameIx, NodeIx, NodeTable};

/// A cache of whole stacks over a [`NodeTable`].
#[derive(Debug, Clone, Default)]
pub struct StackInterner {
    /// Whole-stack hash to leaf. A hit is verified against the table, so that two stacks with one
    /// hash cost time and never a wrong answer.
    leaves: FxHashMap<u64, NodeIx>,
}

impl StackInterner {
    /// The leaf of `stack` (outermost frame first) in `nodes`, which grows by what is new.
    pub fn intern(&mut self, nodes: &mut NodeTable, stack: &[FrameIx]) -> NodeIx {
        let hash = hash_of(stack);
        if let Some(&leaf) = self.leaves.get(&hash)
            && is_stack(nodes, leaf, stack)
        {
            return leaf;
        }
        let leaf = stack.iter().fold(NodeIx::ROOT, |node, &frame| nodes.child(node, frame));
        self.leaves.insert(hash, leaf);
        leaf
    }
}

fn hash_of(stack: &[FrameIx]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    stack.hash(&mut hasher);
    hasher.finish()
}

fn is_stack(nodes: &NodeTable, leaf: NodeIx, stack: &[FrameIx]) -> bool {
    let mut at = leaf;
    for &frame in stack.iter().rev() {
        if nodes.frame(at) != Some(frame) {
            return false;
        }
        at = nodes.parent(at);
    }
    at == NodeIx::ROOT
}
