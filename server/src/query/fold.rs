//! Folding: all selected rows, summed by stack into one profile.
//!
//! Each part numbers its own nodes. A node is carried into the query-wide profile once, when the
//! first of its rows comes; after that a row costs a look-up in an array and an addition.

use stoker_dag::{FrameIx, LabelSet, ModuleMap, NodeIx, Profile, SampleRow};
use stoker_wire::Dictionary;

use super::error::QueryError;
use super::scan::{ScanStats, Sink, scan};
use super::{Engine, Query};
use crate::store::{Names, WindowRows};

/// A folded profile with the names of its frames.
#[derive(Debug, Default)]
pub struct Folded {
    /// Stacks, values and counts; its definitions are those of its frames.
    pub profile: Profile,
    /// What is known of the builds of its frames.
    pub modules: ModuleMap,
    /// What was read.
    pub stats: ScanStats,
}

/// Sums what `query` selects by stack.
///
/// # Errors
/// When a limit bites, the query is cancelled, or the store cannot be read.
pub fn fold(engine: Engine<'_>, query: &Query) -> Result<Folded, QueryError> {
    let mut sink = StackSink {
        profile: Profile::default(),
        nodes: Vec::new(),
        frames: Vec::new(),
        max_nodes: engine.limits.max_nodes,
    };
    let stats = scan(engine, query, &mut sink)?;
    let mut folded = Folded { profile: sink.profile, modules: ModuleMap::default(), stats };
    engine.parts.names(&mut |names| folded.learn(names));
    engine.progress.check()?;
    Ok(folded)
}

impl Folded {
    fn learn(&mut self, names: &Names) {
        let profile = &mut self.profile;
        for (id, frame) in profile.frames.iter() {
            if let Some(definition) = names.definitions.get(&id) {
                profile.definitions.learn(id, definition.clone());
            }
            let Some(build_id) = frame.build_id() else {
                continue;
            };
            if self.modules.get(build_id).is_none()
                && let Some(module) = names.modules.get(build_id)
            {
                self.modules.learn(build_id, module.clone());
            }
        }
    }
}

/// What stands in a map for "not carried over yet": the root, which is never looked up there.
const UNKNOWN: NodeIx = NodeIx::ROOT;

struct StackSink {
    profile: Profile,
    /// Where the part's nodes and frames stand in the profile.
    nodes: Vec<NodeIx>,
    frames: Vec<Option<FrameIx>>,
    max_nodes: usize,
}

impl StackSink {
    fn node(&mut self, part: &Dictionary, node: NodeIx) -> NodeIx {
        if node == NodeIx::ROOT {
            return node;
        }
        match self.nodes[node.at()] {
            UNKNOWN => self.carry(part, node),
            known => known,
        }
    }

    fn carry(&mut self, part: &Dictionary, node: NodeIx) -> NodeIx {
        let mut missing = Vec::new();
        let mut at = node;
        let mut to = loop {
            let Some(frame) = part.nodes.frame(at) else {
                break NodeIx::ROOT;
            };
            match self.nodes[at.at()] {
                UNKNOWN => missing.push((at, frame)),
                known => break known,
            }
            at = part.nodes.parent(at);
        };
        for (node, frame) in missing.into_iter().rev() {
            let frame = self.frame(part, frame);
            to = self.profile.nodes.child(to, frame);
            self.nodes[node.at()] = to;
        }
        to
    }

    fn frame(&mut self, part: &Dictionary, ix: FrameIx) -> FrameIx {
        let frames = &mut self.profile.frames;
        *self.frames[ix.at()]
            .get_or_insert_with(|| frames.intern_with_id(part.frames.id(ix), part.frames.frame(ix)))
    }
}

impl Sink for StackSink {
    fn enter(&mut self, dictionary: &Dictionary) {
        self.nodes = vec![UNKNOWN; dictionary.nodes.len()];
        self.frames = vec![None; dictionary.frames.len()];
    }

    fn class(&mut self, _: &LabelSet, _: &LabelSet) -> Result<u32, QueryError> {
        Ok(0)
    }

    fn row(&mut self, part: &Dictionary, _: &WindowRows, row: &SampleRow, _: u32) {
        let node = self.node(part, row.node);
        self.profile.add(node, row.value, row.count);
    }

    fn check(&self) -> Result<(), QueryError> {
        match self.profile.nodes.len() > self.max_nodes {
            true => {
                let what = "selects too many distinct stacks";
                Err(QueryError::too_large("max_nodes", self.max_nodes, what))
            }
            false => Ok(()),
        }
    }
}
