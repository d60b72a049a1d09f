//! Dense tables of frames and nodes: small integers for work in memory, on the wire and on disk,
//! with parents before children, so that one pass forward or backward does every sum.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use crate::frame::Frame;
use crate::ids::{FrameId, NodeId};

/// Index of a frame in one [`FrameTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameIx(pub u32);

/// Index of a node in one [`NodeTable`]. The root is [`NodeIx::ROOT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIx(pub u32);

impl FrameIx {
    /// As an array index.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

impl NodeIx {
    /// The empty stack, always the first node.
    pub const ROOT: Self = Self(0);

    /// As an array index.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// A column that does not put parents before children, or names what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The parent is not an earlier node.
    #[error("node {node} names parent {parent}, which does not stand before it")]
    Parent {
        /// The node at fault.
        node: u32,
        /// What it names.
        parent: u32,
    },
    /// The frame is not in the table.
    #[error("node {node} names frame {frame}, but there are only {frames}")]
    Frame {
        /// The node at fault.
        node: u32,
        /// What it names.
        frame: u32,
        /// How many there are.
        frames: u32,
    },
}

fn next_index(len: usize) -> u32 {
    u32::try_from(len).expect("a table holds fewer than 2^32 entries: its memory bound comes first")
}

/// Makes room for `more` entries, and for a quarter of those that there are, so that many small steps cost no
/// more copies than a few large ones.
pub fn reserve_quarter<T>(column: &mut Vec<T>, more: usize) {
    if column.capacity() - column.len() < more {
        column.reserve_exact(more.max(column.len() / 4));
    }
}

/// Distinct frames, each with its id.
#[derive(Debug, Clone, Default)]
pub struct FrameTable {
    frames: Vec<Frame>,
    /// Of a frame that was appended without one, once somebody asked.
    ids: Vec<OnceLock<FrameId>>,
    by_id: FxHashMap<FrameId, FrameIx>,
}

impl FrameTable {
    /// Makes room for `more` frames.
    pub fn reserve(&mut self, more: usize) {
        self.frames.reserve(more);
        self.ids.reserve(more);
        self.by_id.reserve(more);
    }

    /// The index of `frame`, which is added when it is new.
    pub fn intern(&mut self, frame: &Frame) -> FrameIx {
        self.intern_with_id(frame.id(), frame)
    }

    /// As [`Self::intern`] for a frame whose id the caller has already computed with [`Frame::id`].
    pub fn intern_with_id(&mut self, id: FrameId, frame: &Frame) -> FrameIx {
        let ix = self.claim(id);
        if ix.at() == self.frames.len() {
            self.frames.push(frame.clone());
        }
        ix
    }

    /// As [`Self::intern_with_id`] for a frame that the caller gives away.
    pub fn intern_owned(&mut self, id: FrameId, frame: Frame) -> FrameIx {
        let ix = self.claim(id);
        if ix.at() == self.frames.len() {
            self.frames.push(frame);
        }
        ix
    }

    /// Makes room to append `more` frames, and for a quarter more than there are: half of what doubling
    /// takes.
    pub fn reserve_appended(&mut self, more: usize) {
        reserve_quarter(&mut self.frames, more);
        reserve_quarter(&mut self.ids, more);
    }

    /// Adds a frame without looking whether it is there: no look-up by id finds it, and it is told apart
    /// from an equal one. For tables that are only read by index, which so cost a third.
    pub fn append(&mut self, frame: Frame) -> FrameIx {
        self.append_with_id(frame.id(), frame)
    }

    /// As [`Self::append`] for a frame whose id the caller has already computed.
    pub fn append_with_id(&mut self, id: FrameId, frame: Frame) -> FrameIx {
        self.push(OnceLock::from(id), frame)
    }

    /// As [`Self::append`], with an id that is computed when it is asked for: to hash a frame costs ten times
    /// as much as to read it, and of a table that is read few ids may be wanted.
    pub fn append_without_id(&mut self, frame: Frame) -> FrameIx {
        self.push(OnceLock::new(), frame)
    }

    fn push(&mut self, id: OnceLock<FrameId>, frame: Frame) -> FrameIx {
        let ix = FrameIx(next_index(self.ids.len()));
        self.ids.push(id);
        self.frames.push(frame);
        ix
    }

    /// The index of the frame with this id; where it is the next, the frame is to be added.
    fn claim(&mut self, id: FrameId) -> FrameIx {
        let next = FrameIx(next_index(self.ids.len()));
        let ix = *self.by_id.entry(id).or_insert(next);
        if ix == next {
            self.ids.push(OnceLock::from(id));
        }
        ix
    }

    /// The frame at `ix`.
    #[must_use]
    pub fn frame(&self, ix: FrameIx) -> &Frame {
        &self.frames[ix.at()]
    }

    /// The id of the frame at `ix`.
    #[must_use]
    pub fn id(&self, ix: FrameIx) -> FrameId {
        *self.ids[ix.at()].get_or_init(|| self.frames[ix.at()].id())
    }

    /// Where the frame with this id stands.
    #[must_use]
    pub fn find(&self, id: &FrameId) -> Option<FrameIx> {
        self.by_id.get(id).copied()
    }

    /// Frames with their ids, in order of index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (FrameId, &Frame)> {
        self.ids.iter().zip(&self.frames).map(|(id, frame)| (*id.get_or_init(|| frame.id()), frame))
    }

    /// The frames from `first` on. What stands before it costs nothing.
    #[must_use]
    pub fn frames_from(&self, first: FrameIx) -> &[Frame] {
        self.frames.get(first.at()..).unwrap_or_default()
    }

    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// Distinct nodes as two columns, hash-consed: one (parent, frame) has one index.
///
/// Most nodes of a stack DAG have one child, and a new stack's nodes stand one after the other. So a
/// node keeps its first child in a column and only further children are hashed: walking a stack
/// reads memory in order, and adding one costs three pushes per frame.
#[derive(Debug, Clone)]
pub struct NodeTable {
    parents: Vec<NodeIx>,
    frames: Vec<FrameIx>,
    /// The root, which is nobody's child, where there is none. Shorter than the others where nodes were
    /// appended.
    first_child: Vec<NodeIx>,
    further: FxHashMap<(NodeIx, FrameIx), NodeIx>,
}

/// What stands in the root's frame column; the root has no frame.
const NO_FRAME: FrameIx = FrameIx(u32::MAX);

impl Default for NodeTable {
    fn default() -> Self {
        Self {
            parents: vec![NodeIx::ROOT],
            frames: vec![NO_FRAME],
            first_child: vec![NodeIx::ROOT],
            further: FxHashMap::default(),
        }
    }
}

impl NodeTable {
    /// Checks and takes columns that came from outside, without the root: entry `i` is node `i + 1`.
    /// Repeated (parent, frame) pairs are allowed there; lookups then find the first.
    ///
    /// # Errors
    /// When a parent does not stand before its child, or a frame is out of range.
    pub fn from_columns(
        parents: &[u32],
        frames: &[u32],
        frame_count: usize,
    ) -> Result<Self, OrderError> {
        let mut table = Self::default();
        table.reserve(parents.len());
        for (node, (&parent, &frame)) in (1u32..).zip(parents.iter().zip(frames)) {
            table.check(node, parent, frame, frame_count)?;
            let (parent, frame) = (NodeIx(parent), FrameIx(frame));
            if table.claim(parent, frame, NodeIx(node)) != NodeIx(node) {
                table.push(parent, frame);
            }
        }
        Ok(table)
    }

    fn check(&self, node: u32, parent: u32, frame: u32, frames: usize) -> Result<(), OrderError> {
        if parent >= node {
            return Err(OrderError::Parent { node, parent });
        }
        if frame as usize >= frames {
            return Err(OrderError::Frame { node, frame, frames: next_index(frames) });
        }
        Ok(())
    }

    /// Makes room to append `more` nodes, and for a quarter more than there are: half of what doubling takes.
    pub fn reserve_appended(&mut self, more: usize) {
        reserve_quarter(&mut self.parents, more);
        reserve_quarter(&mut self.frames, more);
    }

    /// Adds a node without looking whether it is there: [`Self::child`] does not find it, and it is told
    /// apart from an equal one. For tables that are only read by index, which so cost eight bytes a node.
    pub fn append(&mut self, parent: NodeIx, frame: FrameIx) -> NodeIx {
        let ix = NodeIx(next_index(self.parents.len()));
        self.parents.push(parent);
        self.frames.push(frame);
        ix
    }

    /// The node below `parent` with `frame` on top, which is added when it is new.
    pub fn child(&mut self, parent: NodeIx, frame: FrameIx) -> NodeIx {
        if self.first_child.len() < self.parents.len() {
            self.first_child.resize(self.parents.len(), NodeIx::ROOT);
        }
        self.claim(parent, frame, NodeIx(next_index(self.parents.len())))
    }

    /// The child that is there, or else `next`, which must be the next index and is added.
    fn claim(&mut self, parent: NodeIx, frame: FrameIx, next: NodeIx) -> NodeIx {
        let first = self.first_child[parent.at()];
        if first == NodeIx::ROOT {
            self.first_child[parent.at()] = next;
            self.push(parent, frame);
            return next;
        }
        if self.frames[first.at()] == frame {
            return first;
        }
        let ix = *self.further.entry((parent, frame)).or_insert(next);
        if ix == next {
            self.push(parent, frame);
        }
        ix
    }

    fn push(&mut self, parent: NodeIx, frame: FrameIx) {
        self.parents.push(parent);
        self.frames.push(frame);
        self.first_child.push(NodeIx::ROOT);
    }

    /// Makes room for `more` nodes, `stacks` of them where a stack leaves those that are known.
    pub fn reserve_stacks(&mut self, more: usize, stacks: usize) {
        self.reserve(more);
        self.further.reserve(stacks);
    }

    /// Makes room for `more` nodes.
    pub fn reserve(&mut self, more: usize) {
        self.parents.reserve(more);
        self.frames.reserve(more);
        self.first_child.reserve(more);
    }

    /// About how much memory it takes, room that is not used left out.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let columns = size_of::<(NodeIx, FrameIx, NodeIx)>();
        // A hash table is at most seven eighths full and has a byte of its own for each place.
        let place = size_of::<((NodeIx, FrameIx), NodeIx)>() + 1;
        self.len() * columns + self.further.capacity() * place * 8 / 7
    }

    /// The parent of `node`; the root's is the root.
    #[must_use]
    pub fn parent(&self, node: NodeIx) -> NodeIx {
        self.parents[node.at()]
    }

    /// The frame on top of `node`; the root has none.
    #[must_use]
    pub fn frame(&self, node: NodeIx) -> Option<FrameIx> {
        (node != NodeIx::ROOT).then(|| self.frames[node.at()])
    }

    /// Every node but the root as (node, parent, frame), parents before children.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeIx, NodeIx, FrameIx)> {
        self.iter_from(NodeIx(1))
    }

    /// As [`Self::iter`] from `first` on, which is not the root. What stands before it costs nothing.
    pub fn iter_from(
        &self,
        first: NodeIx,
    ) -> impl DoubleEndedIterator<Item = (NodeIx, NodeIx, FrameIx)> {
        let parents = self.parents.get(first.at()..).unwrap_or_default();
        let frames = self.frames.get(first.at()..).unwrap_or_default();
        let columns = parents.iter().zip(frames).enumerate();
        columns.map(move |(at, (&parent, &frame))| {
            (NodeIx(next_index(first.at() + at)), parent, frame)
        })
    }

    /// How many nodes there are, the root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Whether there is nothing but the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parents.len() == 1
    }

    /// The frames of the stack that ends at `node`, outermost first.
    #[must_use]
    pub fn stack(&self, node: NodeIx) -> Vec<FrameIx> {
        let mut frames = Vec::new();
        let mut at = node;
        while let Some(frame) = self.frame(at) {
            frames.push(frame);
            at = self.parent(at);
        }
        frames.reverse();
        frames
    }

    /// The identity of every node, in order of index.
    #[must_use]
    pub fn ids(&self, frames: &FrameTable) -> Vec<NodeId> {
        let mut ids = Vec::with_capacity(self.len());
        ids.push(NodeId::ROOT);
        for (_, parent, frame) in self.iter() {
            let parent: NodeId = ids[parent.at()];
            ids.push(parent.child(frames.id(frame)));
        }
        ids
    }

    /// Sums `values` (one per node) from the leaves to the root: inclusive totals from self values.
    pub fn accumulate(&self, values: &mut [u64]) {
        for (node, parent, _) in self.iter().rev() {
            let value = values[node.at()];
            values[parent.at()] = values[parent.at()].saturating_add(value);
        }
    }

    /// Adds every node of `other` and says where each went. `frame_map` says the same of frames.
    pub fn merge(&mut self, other: &Self, frame_map: &[FrameIx]) -> Vec<NodeIx> {
        let mut map = Vec::with_capacity(other.len());
        map.push(NodeIx::ROOT);
        for (_, parent, frame) in other.iter() {
            let parent: NodeIx = map[parent.at()];
            map.push(self.child(parent, frame_map[frame.at()]));
        }
        map
    }
}
