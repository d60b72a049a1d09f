//! Stacks, depth first, as decisions that `stack_model` expects and `range_coder` writes: what is below a
//! node follows from its frame and its caller's more often than not.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use stoker_dag::{FrameIx, NodeIx};

use super::range_coder::RangeEncoder;
use super::stack_model::{Below, ROOT_EDGE, StackModel};
use super::stack_order::{FrameOrder, Tree};

/// Writes the nodes of a tree; `numbers` gets the new number of each. Gives how many they are, the root left
/// out.
pub fn write_stacks(
    tree: &Tree<'_>,
    frames: &mut FrameOrder,
    numbers: &mut [u32],
) -> (Vec<u8>, u32) {
    let (mut coder, mut model) = (RangeEncoder::default(), StackModel::default());
    let (mut known, mut edges) = (FxHashMap::default(), Vec::new());
    let (mut pending, mut next) = (vec![(NodeIx::ROOT, ROOT_EDGE)], 0);
    while let Some((node, edge)) = pending.pop() {
        numbers[node.at()] = next;
        next += 1;
        let mut children = Children::of(tree, node, frames, &mut known);
        edges.clear();
        let said = model.below(&mut coder, edge, &mut children, (&mut edges, usize::MAX));
        debug_assert!(said.is_some(), "only what is read can contradict itself");
        // The first is the next to be visited.
        pending.extend(children.taken.iter().copied().zip(edges.iter().copied()).rev());
    }
    (coder.finish(), next - 1)
}

/// The children of a node, on their way into the model.
struct Children<'a> {
    /// With their frames as the old table has them.
    left: SmallVec<[(NodeIx, FrameIx); 4]>,
    next: usize,
    /// In the order in which they are said.
    taken: SmallVec<[NodeIx; 4]>,
    frames: &'a mut FrameOrder,
    edges: &'a mut FxHashMap<(u32, u32), u32>,
}

impl<'a> Children<'a> {
    fn of(
        tree: &Tree<'_>,
        node: NodeIx,
        frames: &'a mut FrameOrder,
        edges: &'a mut FxHashMap<(u32, u32), u32>,
    ) -> Self {
        let children = std::iter::successors(tree.child(node), |child| tree.sibling(*child));
        let left = children.filter_map(|child| Some((child, tree.frame(child)?))).collect();
        Self { left, next: 0, taken: SmallVec::new(), frames, edges }
    }
}

impl Below for Children<'_> {
    fn take(&mut self, frame: u32) -> bool {
        let old = self.frames.old(frame);
        let found = self.left.iter().position(|(_, held)| *held == old);
        // Their order is kept: it is part of what the bytes depend on.
        self.taken.extend(found.map(|at| self.left.remove(at).0));
        found.is_some()
    }

    fn next(&mut self) -> Option<u32> {
        let (node, frame) = *self.left.get(self.next)?;
        self.next += 1;
        self.taken.push(node);
        Some(self.frames.add(frame))
    }

    fn edge(&self, caller: u32, frame: u32) -> Option<u32> {
        self.edges.get(&(caller, frame)).copied()
    }

    fn learn(&mut self, caller: u32, frame: u32, edge: u32) {
        self.edges.insert((caller, frame), edge);
    }
}

#[cfg(test)]
mod tests {
    use stoker_dag::NodeTable;
    use stoker_wire::limits;

    use super::super::effort::Effort;
    use super::super::read_stacks::read_stacks;
    use super::super::stack_order::tests::random_table;
    use super::super::stack_order::{StackOrder, WrittenStacks};
    use super::*;

    /// The order and the bytes of all of a table's nodes that are used.
    fn coded(table: &NodeTable, frames: usize, used: Vec<bool>) -> (StackOrder, Vec<u8>) {
        let mut order = StackOrder::new(table, frames, used, Effort::Thorough);
        let none = WrittenStacks::Coded(Vec::new());
        match std::mem::replace(&mut order.stacks, none) {
            WrittenStacks::Coded(bytes) => (order, bytes),
            WrittenStacks::Columns(_) => panic!("columns"),
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let table = random_table(500, 20);
        let (order, bytes) = coded(&table, 20, vec![true; table.len()]);
        let (bytes, count) = (&bytes, order.len() as u64);
        assert!(read_stacks(bytes, count, 20).is_some());
        assert!(read_stacks(bytes, count + 1, 20).is_none(), "more nodes than there are");
        assert!(read_stacks(bytes, count - 1, 20).is_none(), "fewer");
        assert!(read_stacks(bytes, count, 19).is_none(), "a frame that is not there");
        assert!(read_stacks(bytes, u64::MAX, 20).is_none(), "more than bytes can say");
        for length in 0..bytes.len() {
            assert!(read_stacks(&bytes[..length], count, 20).is_none(), "cut at {length}");
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1 << (at % 8);
            // What it says then, if anything, is within bounds.
            if let Some(read) = read_stacks(&other, count, 20) {
                assert!(read.iter().all(|(_, _, frame)| frame.at() < 20));
            }
        }
        let (_, none) = coded(&NodeTable::default(), 0, vec![false]);
        assert!(read_stacks(&none, 0, 0).unwrap().is_empty());
    }

    #[test]
    fn stacks_deeper_than_the_limit_are_refused() {
        let mut table = NodeTable::default();
        let mut node = NodeIx::ROOT;
        for _ in 0..limits::MAX_STACK_DEPTH {
            node = table.child(node, FrameIx(0));
        }
        let read = |table: &NodeTable| {
            let (order, bytes) = coded(table, 1, vec![true; table.len()]);
            read_stacks(&bytes, order.len() as u64, 1)
        };
        assert!(read(&table).is_some());
        table.child(node, FrameIx(0));
        assert!(read(&table).is_none());
    }
}
