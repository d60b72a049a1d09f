//! The order in which nodes and frames are written, and the nodes themselves, in the way that fits the effort.

use stoker_dag::{FrameIx, NodeIx, NodeTable};

use super::effort::Effort;
use super::stack_columns::write_columns;
use super::stacks::write_stacks;

/// What stands for "not written".
pub const NONE: u32 = u32::MAX;

/// The order in which nodes and frames are written, and the nodes themselves.
#[derive(Debug)]
pub struct StackOrder {
    /// New index of each node of the old table; meaningless for those that are left out.
    nodes: Vec<u32>,
    /// How many nodes are written, the root left out.
    written: u32,
    frames: FrameOrder,
    /// The nodes.
    pub stacks: WrittenStacks,
}

/// Nodes as they are written.
#[derive(Debug)]
pub enum WrittenStacks {
    /// With little effort: columns, to be compressed.
    Columns([Vec<u8>; 3]),
    /// With more.
    Coded(Vec<u8>),
}

/// The order of frames.
#[derive(Debug)]
pub struct FrameOrder {
    /// New index of each frame.
    new: Vec<u32>,
    /// Old frames in new order.
    old: Vec<FrameIx>,
}

impl FrameOrder {
    /// The new index of a frame, which is the next one where it has none.
    pub fn add(&mut self, frame: FrameIx) -> u32 {
        let held = &mut self.new[frame.at()];
        if *held == NONE {
            *held = index(self.old.len());
            self.old.push(frame);
        }
        *held
    }

    /// The frame of a new index.
    pub fn old(&self, new: u32) -> FrameIx {
        self.old[new as usize]
    }
}

impl StackOrder {
    /// The nodes that `used` marks (closed upwards by this), in an order that is cheap to write; frames in
    /// the order in which that meets them.
    pub fn new(table: &NodeTable, frame_count: usize, mut used: Vec<bool>, effort: Effort) -> Self {
        for (node, parent, _) in table.iter().rev() {
            if used[node.at()] {
                used[parent.at()] = true;
            }
        }
        let tree = Tree::new(table, &used);
        let mut nodes = vec![0; table.len()];
        let mut frames = FrameOrder { new: vec![NONE; frame_count], old: Vec::new() };
        let (stacks, written) = match effort {
            Effort::Quick => {
                let (columns, written) = write_columns(&tree, &mut frames, &mut nodes);
                (WrittenStacks::Columns(columns), written)
            }
            Effort::Thorough => {
                let (bytes, written) = write_stacks(&tree, &mut frames, &mut nodes);
                (WrittenStacks::Coded(bytes), written)
            }
        };
        Self { nodes, written, frames, stacks }
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
pub struct Tree<'a> {
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

    /// The first child, or nothing.
    pub fn child(&self, node: NodeIx) -> Option<NodeIx> {
        Some(self.child[node.at()]).filter(|at| *at != NONE).map(NodeIx)
    }

    /// The next child of the same parent, or nothing.
    pub fn sibling(&self, node: NodeIx) -> Option<NodeIx> {
        Some(self.sibling[node.at()]).filter(|at| *at != NONE).map(NodeIx)
    }

    /// The node's frame, as the old table has it; the root has none.
    pub fn frame(&self, node: NodeIx) -> Option<FrameIx> {
        self.table.frame(node)
    }
}

/// A place in a table as an index.
pub fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a table holds fewer than 2^32 entries: its memory bound comes first")
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::read_stacks::read_stacks;
    use super::super::stack_columns::read_columns;
    use super::*;

    /// Stacks of so many nodes at most and of so many frames.
    pub fn random_table(nodes: usize, frames: usize) -> NodeTable {
        let mut state = 7u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 40).unwrap()
        };
        let (mut table, mut known) = (NodeTable::default(), vec![NodeIx::ROOT]);
        for _ in 0..nodes {
            let parent = known[random() % known.len()];
            let frame = FrameIx(u32::try_from(random() % frames).unwrap());
            known.push(table.child(parent, frame));
        }
        table
    }

    #[test]
    fn stacks_are_read_back_whatever_their_order() {
        let table = random_table(3000, 50);
        let used: Vec<bool> = (0..table.len()).map(|at| at % 3 == 0).collect();
        for effort in [Effort::Quick, Effort::Thorough] {
            let order = StackOrder::new(&table, 50, used.clone(), effort);
            let (frames, nodes) = (order.frame_order().len(), order.len() as u64);
            let read = match (&order.stacks, effort) {
                (WrittenStacks::Columns(columns), Effort::Quick) => read_columns(columns, frames),
                (WrittenStacks::Coded(bytes), Effort::Thorough) => {
                    read_stacks(bytes, nodes, frames)
                }
                _ => panic!("written in the other way"),
            };
            let read = read.unwrap();
            assert_eq!(read.len(), order.len() + 1);
            for (node, _, _) in table.iter().filter(|(node, ..)| used[node.at()]) {
                let stack = table.stack(node);
                let wanted: Vec<FrameIx> = stack.iter().map(|frame| order.frame(*frame)).collect();
                assert_eq!(read.stack(order.node(node)), wanted);
            }
        }
    }
}
