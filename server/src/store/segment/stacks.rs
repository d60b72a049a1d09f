//! Stacks, depth first, as decisions that `stack_model` expects and `range_coder` writes: what is below a
//! node follows from its frame and its caller's more often than not.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use stoker_dag::{FrameIx, NodeIx, NodeTable};

use super::range_coder::RangeEncoder;
use super::stack_model::{Below, ROOT_EDGE, StackModel};

/// What stands for "not written".
const NONE: u32 = u32::MAX;

/// The order in which nodes and frames are written, and the nodes themselves.
#[derive(Debug)]
pub struct StackOrder {
    /// New index of each node of the old table; meaningless for those that are left out.
    nodes: Vec<u32>,
    /// How many nodes are written, the root left out.
    written: u32,
    frames: FrameOrder,
    /// The nodes.
    pub bytes: Vec<u8>,
}

/// The order of frames.
#[derive(Debug)]
struct FrameOrder {
    /// New index of each frame.
    new: Vec<u32>,
    /// Old frames in new order.
    old: Vec<FrameIx>,
}

impl FrameOrder {
    fn add(&mut self, frame: FrameIx) -> u32 {
        let held = &mut self.new[frame.at()];
        if *held == NONE {
            *held = index(self.old.len());
            self.old.push(frame);
        }
        *held
    }
}

impl StackOrder {
    /// The nodes that `used` marks (closed upwards by this), in an order that is cheap to write; frames in
    /// the order in which that meets them.
    pub fn new(table: &NodeTable, frame_count: usize, mut used: Vec<bool>) -> Self {
        for (node, parent, _) in table.iter().rev() {
            if used[node.at()] {
                used[parent.at()] = true;
            }
        }
        let tree = Tree::new(table, &used);
        let mut order = Self {
            nodes: vec![0; table.len()],
            written: 0,
            frames: FrameOrder { new: vec![NONE; frame_count], old: Vec::new() },
            bytes: Vec::new(),
        };
        order.write(&tree);
        order
    }

    fn write(&mut self, tree: &Tree<'_>) {
        let (mut coder, mut model) = (RangeEncoder::default(), StackModel::default());
        let (mut known, mut edges) = (FxHashMap::default(), Vec::new());
        let mut pending = vec![(NodeIx::ROOT, ROOT_EDGE)];
        while let Some((node, edge)) = pending.pop() {
            self.nodes[node.at()] = self.written;
            self.written += 1;
            let mut children = Children::of(tree, node, &mut self.frames, &mut known);
            edges.clear();
            let said = model.below(&mut coder, edge, &mut children, (&mut edges, usize::MAX));
            debug_assert!(said.is_some(), "only what is read can contradict itself");
            // The first is the next to be visited.
            pending.extend(children.taken.iter().copied().zip(edges.iter().copied()).rev());
        }
        self.written -= 1;
        self.bytes = coder.finish();
    }

    /// The frame is written too; frames of nodes are already.
    pub fn add_frame(&mut self, frame: FrameIx) {
        self.frames.add(frame);
    }

    /// Old frames in new order.
    pub fn frame_order(&self) -> &[FrameIx] {
        &self.frames.old
    }

    /// Where a node is written.
    pub fn node(&self, old: NodeIx) -> NodeIx {
        NodeIx(self.nodes[old.at()])
    }

    /// Where a frame is written.
    pub fn frame(&self, old: FrameIx) -> FrameIx {
        FrameIx(self.frames.new[old.at()])
    }

    /// How many nodes are written, the root left out.
    pub fn len(&self) -> usize {
        self.written as usize
    }
}

/// Lists of the children that are written, in order of node.
struct Tree<'a> {
    table: &'a NodeTable,
    child: Vec<u32>,
    sibling: Vec<u32>,
}

impl<'a> Tree<'a> {
    fn new(table: &'a NodeTable, used: &[bool]) -> Self {
        let (mut child, mut sibling) = (vec![NONE; table.len()], vec![NONE; table.len()]);
        for (node, parent, _) in table.iter().rev() {
            if used[node.at()] {
                sibling[node.at()] = child[parent.at()];
                child[parent.at()] = node.0;
            }
        }
        Self { table, child, sibling }
    }
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
        let mut left = SmallVec::new();
        let mut at = tree.child[node.at()];
        while at != NONE {
            left.extend(tree.table.frame(NodeIx(at)).map(|frame| (NodeIx(at), frame)));
            at = tree.sibling[at as usize];
        }
        Self { left, next: 0, taken: SmallVec::new(), frames, edges }
    }
}

impl Below for Children<'_> {
    fn take(&mut self, frame: u32) -> bool {
        let old = self.frames.old[frame as usize];
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

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a table holds fewer than 2^32 entries: its memory bound comes first")
}

#[cfg(test)]
mod tests {
    use stoker_wire::limits;

    use super::super::read_stacks::read_stacks;
    use super::*;

    #[test]
    fn stacks_are_read_back_whatever_their_order() {
        let mut table = NodeTable::default();
        let mut random = fastrand_like();
        let mut nodes = vec![NodeIx::ROOT];
        for _ in 0..3000 {
            let parent = nodes[random() % nodes.len()];
            let frame = FrameIx(u32::try_from(random() % 50).unwrap());
            nodes.push(table.child(parent, frame));
        }
        let used: Vec<bool> = (0..table.len()).map(|at| at % 3 == 0).collect();
        let order = StackOrder::new(&table, 50, used.clone());
        let (frames, nodes) = (order.frame_order().len(), order.len() as u64);
        let read = read_stacks(&order.bytes, nodes, frames).unwrap();
        assert_eq!(read.len(), order.len() + 1);
        for (node, _, _) in table.iter().filter(|(node, ..)| used[node.at()]) {
            let stack = table.stack(node);
            let wanted: Vec<FrameIx> = stack.iter().map(|frame| order.frame(*frame)).collect();
            assert_eq!(read.stack(order.node(node)), wanted);
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let mut table = NodeTable::default();
        let mut random = fastrand_like();
        let mut nodes = vec![NodeIx::ROOT];
        for _ in 0..500 {
            let parent = nodes[random() % nodes.len()];
            nodes.push(table.child(parent, FrameIx(u32::try_from(random() % 20).unwrap())));
        }
        let order = StackOrder::new(&table, 20, vec![true; table.len()]);
        let (bytes, count) = (&order.bytes, order.len() as u64);
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
        let none = StackOrder::new(&NodeTable::default(), 0, vec![false]);
        assert!(read_stacks(&none.bytes, 0, 0).unwrap().is_empty());
    }

    #[test]
    fn stacks_deeper_than_the_limit_are_refused() {
        let mut table = NodeTable::default();
        let mut node = NodeIx::ROOT;
        for _ in 0..limits::MAX_STACK_DEPTH {
            node = table.child(node, FrameIx(0));
        }
        let read = |table: &NodeTable| {
            let order = StackOrder::new(table, 1, vec![true; table.len()]);
            read_stacks(&order.bytes, order.len() as u64, 1)
        };
        assert!(read(&table).is_some());
        table.child(node, FrameIx(0));
        assert!(read(&table).is_none());
    }

    fn fastrand_like() -> impl FnMut() -> usize {
        let mut state = 7u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 40).unwrap()
        }
    }
}
