//! Stacks as columns: depth first, so that a node mostly stands below the one before it, and each
//! frame by its rank among the frames that were seen above the same caller. A program calls few
//! functions from one place, so both are small numbers.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use stoker_dag::{FrameIx, NodeIx, NodeTable};
use stoker_wire::limits;

use super::columns::{Reader, put};

/// What stands for "not written".
const NONE: u32 = u32::MAX;

/// The order in which nodes and frames are written.
#[derive(Debug)]
pub struct StackOrder {
    /// New index of each node of the old table; meaningless for those that are left out.
    nodes: Vec<u32>,
    /// Old nodes in new order, without the root.
    order: Vec<NodeIx>,
    /// New index of each frame.
    frames: Vec<u32>,
    /// Old frames in new order.
    pub frame_order: Vec<FrameIx>,
}

impl StackOrder {
    /// Depth-first order of the nodes that `used` marks (closed upwards by this), and the order in
    /// which that meets frames.
    pub fn new(table: &NodeTable, frame_count: usize, mut used: Vec<bool>) -> Self {
        for (node, parent, _) in table.iter().rev() {
            if used[node.at()] {
                used[parent.at()] = true;
            }
        }
        // Lists of children, in order of node.
        let (mut child, mut sibling) = (vec![NONE; table.len()], vec![NONE; table.len()]);
        for (node, parent, _) in table.iter().rev() {
            if used[node.at()] {
                sibling[node.at()] = child[parent.at()];
                child[parent.at()] = node.0;
            }
        }
        let mut order = Self {
            nodes: vec![0; table.len()],
            order: Vec::new(),
            frames: vec![NONE; frame_count],
            frame_order: Vec::new(),
        };
        let mut pending = vec![child[0]];
        while let Some(at) = pending.pop() {
            if at == NONE {
                continue;
            }
            order.visit(table, NodeIx(at));
            pending.push(sibling[at as usize]);
            pending.push(child[at as usize]);
        }
        order
    }

    fn visit(&mut self, table: &NodeTable, node: NodeIx) {
        self.order.push(node);
        self.nodes[node.at()] = index(self.order.len());
        if let Some(frame) = table.frame(node) {
            self.add_frame(frame);
        }
    }

    /// The frame is written too; frames of nodes are already.
    pub fn add_frame(&mut self, frame: FrameIx) {
        if self.frames[frame.at()] == NONE {
            self.frames[frame.at()] = index(self.frame_order.len());
            self.frame_order.push(frame);
        }
    }

    /// Where a node is written.
    pub fn node(&self, old: NodeIx) -> NodeIx {
        NodeIx(self.nodes[old.at()])
    }

    /// Where a frame is written.
    pub fn frame(&self, old: FrameIx) -> FrameIx {
        FrameIx(self.frames[old.at()])
    }

    /// How many nodes are written, the root left out.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The columns: levels up from the node before, rank of the frame above its caller (0 is a new
    /// one, which the third column gives: 0 is a frame that no node had before).
    pub fn columns(&self, table: &NodeTable) -> [Vec<u8>; 3] {
        let [mut ups, mut ranks, mut news] = [const { Vec::new() }; 3];
        let mut known: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        let mut seen = vec![0u32; self.frame_order.len() + 1];
        let mut frames_met = 0;
        let mut path: Vec<NodeIx> = vec![NodeIx::ROOT];
        for &node in &self.order {
            let parent = table.parent(node);
            let before = path.len();
            while path.last().is_some_and(|last| *last != parent) {
                path.pop();
            }
            put(&mut ups, (before - path.len()) as u64);
            path.push(node);
            let frame = table.frame(node).map_or(NONE, |frame| self.frames[frame.at()]);
            let caller = table.frame(parent).map_or(0, |frame| self.frames[frame.at()] + 1);
            let next = &mut seen[caller as usize];
            if let Some(rank) = known.get(&(caller, frame)) {
                put(&mut ranks, u64::from(*rank));
                continue;
            }
            *next += 1;
            known.insert((caller, frame), *next);
            put(&mut ranks, 0);
            if frame == frames_met {
                frames_met += 1;
                put(&mut news, 0);
            } else {
                put(&mut news, u64::from(frame) + 1);
            }
        }
        [ups, ranks, news]
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a table holds fewer than 2^32 entries: its memory bound comes first")
}

/// The nodes that the columns tell of, over so many frames; nothing where they contradict
/// themselves or a limit.
pub fn read_stacks([ups, ranks, news]: &[Vec<u8>; 3], frames: usize) -> Option<NodeTable> {
    if ups.len() > limits::MAX_STREAM_NODES * 2 {
        return None;
    }
    let (mut ups, mut ranks, mut news) = (Reader::new(ups), Reader::new(ranks), Reader::new(news));
    let mut table = NodeTable::default();
    table.reserve(ups.remaining());
    let mut callees: Vec<SmallVec<[u32; 3]>> = vec![SmallVec::new(); frames + 1];
    let mut frames_met = 0u32;
    let mut path: Vec<(NodeIx, u32)> = vec![(NodeIx::ROOT, 0)];
    while !ups.is_at_end() {
        let up = ups.get32()? as usize;
        path.truncate(path.len().checked_sub(up).filter(|left| *left > 0)?);
        let &(parent, caller) = path.last()?;
        let callees = &mut callees[caller as usize];
        let frame = match ranks.get32()? {
            0 => {
                let frame = match news.get32()? {
                    0 => {
                        frames_met += 1;
                        frames_met - 1
                    }
                    other => other - 1,
                };
                callees.push(frame);
                frame
            }
            rank => *callees.get(rank as usize - 1)?,
        };
        if frame as usize >= frames || path.len() > usize::from(limits::MAX_STACK_DEPTH) {
            return None;
        }
        let expected = table.len();
        let node = table.child(parent, FrameIx(frame));
        if node.at() != expected || expected > limits::MAX_STREAM_NODES {
            return None;
        }
        path.push((node, frame + 1));
    }
    (ranks.is_at_end() && news.is_at_end()).then_some(table)
}

#[cfg(test)]
mod tests {
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
        let columns = order.columns(&table);
        let read = read_stacks(&columns, order.frame_order.len()).unwrap();
        assert_eq!(read.len(), order.len() + 1);
        for (node, _, _) in table.iter().filter(|(node, ..)| used[node.at()]) {
            let stack = table.stack(node);
            let wanted: Vec<FrameIx> = stack.iter().map(|frame| order.frame(*frame)).collect();
            assert_eq!(read.stack(order.node(node)), wanted);
        }
    }

    #[test]
    fn columns_that_contradict_themselves_are_refused() {
        let refused = |ups: &[u8], ranks: &[u8], news: &[u8], frames| {
            read_stacks(&[ups.to_vec(), ranks.to_vec(), news.to_vec()], frames).is_none()
        };
        assert!(!refused(&[0, 0], &[0, 0], &[0, 0], 2));
        assert!(refused(&[0, 0], &[0, 0], &[0, 0], 1), "a frame that is not there");
        assert!(refused(&[1], &[0], &[0], 1), "above the root");
        assert!(refused(&[0, 1], &[0, 1], &[0], 1), "one node twice");
        assert!(refused(&[0], &[1], &[], 1), "a rank that nobody has");
        assert!(refused(&[0], &[0, 0], &[0], 1), "columns of different length");
    }

    fn fastrand_like() -> impl FnMut() -> usize {
        let mut state = 7u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 40).unwrap()
        }
    }
}
