//! Reads stacks: the decisions of `stacks`, whatever bytes they are in.

use stoker_dag::{FrameIx, NodeIx, NodeTable};
use stoker_wire::limits;

use super::range_coder::{MOST_DECISIONS_PER_BYTE, RangeDecoder};
use super::stack_model::{Below, ROOT_EDGE, StackModel};

/// Where stacks are read, what is below a node is what is being asked.
struct Unknown;

impl Below for Unknown {
    fn take(&mut self, _: u32) -> bool {
        false
    }

    fn next(&mut self) -> Option<u32> {
        None
    }

    fn edge(&self, _: u32, _: u32) -> Option<u32> {
        None
    }

    fn learn(&mut self, _: u32, _: u32, _: u32) {}
}

/// So many nodes over so many frames; nothing where the bytes contradict themselves, that or a limit.
pub fn read_stacks(bytes: &[u8], nodes: u64, frames: usize) -> Option<NodeTable> {
    // Each node costs a decision at least.
    let most = (bytes.len() as u64).saturating_mul(MOST_DECISIONS_PER_BYTE);
    if nodes > most.min(limits::MAX_STREAM_NODES as u64) {
        return None;
    }
    let nodes = usize::try_from(nodes).ok()?;
    let (mut coder, mut model) = (RangeDecoder::new(bytes), StackModel::default());
    let likely = nodes.min(bytes.len().saturating_mul(RESERVED_NODES_PER_BYTE));
    model.reserve(likely / NODES_PER_EDGE, frames);
    let mut table = NodeTable::default();
    table.reserve_appended(likely);
    let (mut edges, mut callees) = (Vec::new(), Callees::default());
    // The parent, the edge to the node, how deep it is.
    let mut pending = vec![(NodeIx::ROOT, ROOT_EDGE, 0u16)];
    while let Some((parent, edge, depth)) = pending.pop() {
        let node = match edge {
            ROOT_EDGE => NodeIx::ROOT,
            _ => table.append(parent, FrameIx(model.frame(edge))),
        };
        edges.clear();
        let limit = (nodes + 1).checked_sub(table.len() + pending.len())?;
        model.below(&mut coder, edge, &mut Unknown, (&mut edges, limit))?;
        let is_too_deep = depth == limits::MAX_STACK_DEPTH && !edges.is_empty();
        if coder.is_over() || is_too_deep || edges.len() > limit || model.frames() > frames {
            return None;
        }
        if !callees.are_distinct(node, edges.iter().map(|edge| model.frame(*edge))) {
            return None;
        }
        pending.extend(edges.iter().rev().map(|edge| (node, *edge, depth + 1)));
    }
    (coder.is_at_end() && table.len() == nodes + 1).then_some(table)
}

/// Tells whether a node has one callee twice. Nodes are not looked up by frame when they are read, so a table
/// with the look-ups of one that grows would take three times the memory.
#[derive(Default)]
struct Callees {
    /// Below which node a frame was a callee last, by frame.
    last: Vec<NodeIx>,
}

impl Callees {
    fn are_distinct(
        &mut self,
        node: NodeIx,
        mut frames: impl ExactSizeIterator<Item = u32>,
    ) -> bool {
        // Most nodes have one.
        if frames.len() < 2 {
            return true;
        }
        frames.all(|frame| {
            let frame = frame as usize;
            if self.last.len() <= frame {
                self.last.resize(frame + 1, NOWHERE);
            }
            std::mem::replace(&mut self.last[frame], node) != node
        })
    }
}

/// No node.
const NOWHERE: NodeIx = NodeIx(u32::MAX);

/// Memory for edges is taken in advance for one in so many nodes, which is what real stacks have.
const NODES_PER_EDGE: usize = 4;
/// Memory for nodes is taken in advance for so many in a byte, which is more than real stacks have.
const RESERVED_NODES_PER_BYTE: usize = 16;
