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
    let mut table = NodeTable::default();
    table.reserve(nodes.min(bytes.len().saturating_mul(RESERVED_NODES_PER_BYTE)));
    let mut edges = Vec::new();
    // The parent, the edge to the node, how deep it is.
    let mut pending = vec![(NodeIx::ROOT, ROOT_EDGE, 0u16)];
    while let Some((parent, edge, depth)) = pending.pop() {
        let node = match edge {
            ROOT_EDGE => NodeIx::ROOT,
            _ => {
                let next = table.len();
                let node = table.child(parent, FrameIx(model.frame(edge)));
                (node.at() == next).then_some(node)?
            }
        };
        edges.clear();
        let limit = (nodes + 1).checked_sub(table.len() + pending.len())?;
        model.below(&mut coder, edge, &mut Unknown, (&mut edges, limit))?;
        let is_too_deep = depth == limits::MAX_STACK_DEPTH && !edges.is_empty();
        if coder.is_over() || is_too_deep || edges.len() > limit || model.frames() > frames {
            return None;
        }
        pending.extend(edges.iter().rev().map(|edge| (node, *edge, depth + 1)));
    }
    (coder.is_at_end() && table.len() == nodes + 1).then_some(table)
}

/// Memory for nodes is taken in advance for so many in a byte, which is more than real stacks have.
const RESERVED_NODES_PER_BYTE: usize = 16;
