//! Folding: all selected rows, summed by stack into one profile.
//!
//! Each part numbers its own nodes. A node is carried into the query-wide profile once, when the
//! first of its rows comes; after that a row costs a look-up in an array and an addition.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_analysis::LABEL_RUNTIME;
use stoker_dag::{Frame, FrameIx, LabelSet, ModuleMap, NodeIx, Profile, SampleRow};
use stoker_wire::Dictionary;

use super::error::QueryError;
use super::frames::CarriedFrames;
use super::gauge::Gauge;
use super::sampling::{Hosts, Sampling};
use super::scan::{ScanStats, scan};
use super::selector::value_of;
use super::sink::{Sink, SummedStacks};
use super::{Engine, Query};
use crate::store::{Level, Names, WindowFacts, WindowRows};

/// A folded profile with the names of its frames.
#[derive(Debug, Default)]
pub struct Folded {
    /// Stacks, values and counts; its definitions are those of its frames.
    pub profile: Profile,
    /// What is known of the builds of its frames.
    pub modules: ModuleMap,
    /// What was read.
    pub stats: ScanStats,
    /// What could not be read, a sentence for each.
    pub warnings: Vec<String>,
    /// Self and total value of functions whose stacks are no longer kept, by their node below the
    /// root; the self values are in the profile too.
    pub(super) functions: FxHashMap<NodeIx, (u128, u128)>,
    /// How its samples were taken.
    pub sampling: Vec<Sampling>,
    /// What is left of the memory that the query may take once its call tree is made.
    left_bytes: Option<usize>,
    limit_bytes: usize,
}

/// Sums what `query` selects by stack. With `group_by` each stack stands below a frame for its value
/// of that label.
///
/// # Errors
/// When a limit bites, the query is cancelled, or the store cannot be read.
pub fn fold(
    engine: Engine<'_>,
    query: &Query,
    group_by: Option<&str>,
) -> Result<Folded, QueryError> {
    let gauge = Gauge::new(query.selector.profile_type.as_ref());
    let mut sink = StackSink::new(group_by, engine.limits.max_nodes, gauge);
    let stats = scan(engine, query, &mut sink)?;
    sink.gauge.divide_profile(&mut sink.profile);
    let sampling = sink.hosts.sampling();
    let mut folded = Folded::named(sink.profile, stats, engine);
    folded.functions = sink.functions;
    folded.sampling = sampling;
    folded.warnings = engine.parts.missing(query.range);
    folded.warnings.extend(stats.levels.warning());
    engine.progress.check()?;
    folded.charge(engine.limits.max_memory_bytes)?;
    Ok(folded)
}

impl Folded {
    /// Counts boxes, which are more than nodes where functions were inlined, against a query's memory.
    fn charge(&mut self, limit: usize) -> Result<(), QueryError> {
        let Profile { frames, nodes, definitions, .. } = &self.profile;
        let of_frame = |(id, _)| definitions.get(&id).map_or(1, |held| held.locations.len().max(1));
        let boxes: Vec<usize> = frames.iter().map(of_frame).collect();
        let boxes: usize = nodes.iter().map(|(_, _, frame)| boxes[frame.at()]).sum();
        let held = self.profile.memory_bytes() + frames.len() * BYTES_PER_FRAME;
        let left = limit.checked_sub(held + boxes * BYTES_PER_BOX);
        self.left_bytes = Some(left.ok_or_else(|| QueryError::memory(limit))?);
        self.limit_bytes = limit;
        Ok(())
    }

    /// An error where so many boxes cannot all be shown within the query's memory.
    pub(super) fn check_shown(&self, boxes: usize) -> Result<(), QueryError> {
        match self.left_bytes {
            Some(left) if boxes.saturating_mul(BYTES_PER_SHOWN_BOX) > left => {
                Err(QueryError::memory(self.limit_bytes))
            }
            _ => Ok(()),
        }
    }

    /// A profile with all that is known of its frames.
    pub(super) fn named(profile: Profile, stats: ScanStats, engine: Engine<'_>) -> Self {
        let mut folded = Self { profile, stats, ..Self::default() };
        engine.parts.names(&mut |names| folded.learn(names));
        folded.learn_late(engine);
        folded
    }

    /// What was pushed of builds says what frames mean, late and without a change to what is stored.
    fn learn_late(&mut self, engine: Engine<'_>) {
        let Profile { frames, definitions, .. } = &mut self.profile;
        let deadline = engine.progress.deadline();
        for (frame, definition) in engine.parts.late_definitions(&mut frames.iter(), deadline) {
            definitions.learn(frame, definition);
        }
    }

    pub(super) fn learn(&mut self, names: &Names) {
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

/// What a box of the call tree costs while the tree is grown and sorted, with its index: its columns twice
/// (44 bytes each), its place in the index (21 bytes, at least seven sixteenths full), and the order.
pub(super) const BYTES_PER_BOX: usize = 120;
/// What a box costs that is shown: in the columns of the answer, and as text.
pub(super) const BYTES_PER_SHOWN_BOX: usize = 100;
/// What a frame costs, with its definition and its name.
const BYTES_PER_FRAME: usize = 500;
/// Values of a label by which a flame graph can be grouped.
const MAX_GROUPS: usize = 1000;
/// What stands in a map for "not carried over yet": the root, which is never looked up there.
const UNKNOWN: NodeIx = NodeIx::ROOT;

pub(super) struct StackSink {
    pub(super) profile: Profile,
    group_by: Option<Arc<str>>,
    /// Below which node the stacks of each class stand: the root, or the frame of a label's value.
    roots: Vec<NodeIx>,
    classes: FxHashMap<String, u32>,
    /// Where the part's nodes stand in the profile, by class.
    nodes: Vec<Vec<NodeIx>>,
    /// Where the part's frames stand in the profile.
    frames: Vec<Option<FrameIx>>,
    carried: CarriedFrames,
    /// Room for the nodes of one stack.
    missing: Vec<(NodeIx, FrameIx)>,
    max_nodes: usize,
    gauge: Gauge,
    is_by_function: bool,
    /// Of functions without stacks, self and total value.
    pub(super) functions: FxHashMap<NodeIx, (u128, u128)>,
    hosts: Hosts,
}

impl StackSink {
    pub(super) fn new(group_by: Option<&str>, max_nodes: usize, gauge: Gauge) -> Self {
        Self {
            profile: Profile::default(),
            group_by: group_by.map(Into::into),
            roots: Vec::new(),
            classes: FxHashMap::default(),
            nodes: Vec::new(),
            frames: Vec::new(),
            carried: CarriedFrames::default(),
            missing: Vec::new(),
            max_nodes,
            gauge,
            is_by_function: false,
            functions: FxHashMap::default(),
            hosts: Hosts::default(),
        }
    }

    /// Makes 0 the class of stacks that stand below no label.
    pub(super) fn add_root(&mut self) {
        self.roots.push(NodeIx::ROOT);
    }

    /// Where a part's node stands in the profile.
    pub(super) fn node(&mut self, part: &Dictionary, node: NodeIx, class: usize) -> NodeIx {
        if node == NodeIx::ROOT {
            return self.roots[class];
        }
        if self.nodes.len() <= class {
            self.nodes.resize(class + 1, Vec::new());
        }
        if self.nodes[class].is_empty() {
            self.nodes[class] = vec![UNKNOWN; part.nodes.len()];
        }
        match self.nodes[class][node.at()] {
            UNKNOWN => self.carry(part, node, class),
            known => known,
        }
    }

    fn carry(&mut self, part: &Dictionary, node: NodeIx, class: usize) -> NodeIx {
        let mut missing = std::mem::take(&mut self.missing);
        let mut at = node;
        let mut to = loop {
            let Some(frame) = part.nodes.frame(at) else {
                break self.roots[class];
            };
            match self.nodes[class][at.at()] {
                UNKNOWN => missing.push((at, frame)),
                known => break known,
            }
            at = part.nodes.parent(at);
        };
        for (node, frame) in missing.drain(..).rev() {
            let frame = self.frame(part, frame);
            to = self.profile.nodes.child(to, frame);
            self.nodes[class][node.at()] = to;
        }
        self.missing = missing;
        to
    }

    /// The node below which stacks with this value of the label stand.
    fn root(&mut self, label: &Arc<str>, value: &str) -> NodeIx {
        let function = if value.is_empty() { format!("(no {label})") } else { value.to_owned() };
        let frame = Frame::Interpreted {
            runtime: LABEL_RUNTIME.into(),
            module: Arc::clone(label),
            function: function.into(),
            line: 0,
        };
        let frame = self.carried.other(&mut self.profile.frames, &frame, || frame.id());
        self.profile.nodes.child(NodeIx::ROOT, frame)
    }

    fn frame(&mut self, part: &Dictionary, ix: FrameIx) -> FrameIx {
        let (frames, carried) = (&mut self.profile.frames, &mut self.carried);
        *self.frames[ix.at()].get_or_insert_with(|| carried.carry(frames, &part.frames, ix))
    }
}

impl Sink for StackSink {
    fn enter(&mut self, dictionary: &Dictionary) {
        self.nodes.iter_mut().for_each(Vec::clear);
        self.carried.enter();
        self.frames = vec![None; dictionary.frames.len()];
        // Untouched memory costs nothing; to grow by doubling copies all of it each time.
        self.profile.reserve(dictionary.nodes.len());
    }

    fn class(&mut self, series: &LabelSet, attributes: &LabelSet) -> Result<u32, QueryError> {
        let label = self.group_by.clone();
        let value = label.as_deref().map_or("", |label| value_of(label, series, attributes));
        if let Some(&class) = self.classes.get(value) {
            return Ok(class);
        }
        let class = u32::try_from(self.roots.len()).unwrap_or(u32::MAX);
        if self.roots.len() >= MAX_GROUPS {
            let what = "groups by a label with too many values";
            return Err(QueryError::too_large("group_by", MAX_GROUPS, what));
        }
        let root = label.map_or(NodeIx::ROOT, |label| self.root(&label, value));
        self.roots.push(root);
        self.classes.insert(value.to_owned(), class);
        Ok(class)
    }

    fn labels(&self) -> Vec<&str> {
        self.group_by.as_deref().into_iter().collect()
    }

    fn level(&mut self, level: Level) {
        self.is_by_function = level == Level::Functions;
    }

    fn takes_sums(&self) -> bool {
        // What was there at a moment is divided by the windows that it was there in.
        !self.gauge.is_gauge()
    }

    fn summed(&mut self, part: &Dictionary, stacks: SummedStacks<'_>, class: u32) {
        let SummedStacks { nodes, values, counts, .. } = stacks;
        for ((&node, &value), &count) in nodes.iter().zip(values).zip(counts) {
            let node = self.node(part, node, class as usize);
            self.profile.add(node, value, count);
            if self.is_by_function {
                self.functions.entry(node).or_default().0 += u128::from(value);
            }
        }
    }

    fn row(&mut self, part: &Dictionary, window: &WindowRows, row: &SampleRow, class: u32) {
        self.gauge.see(window.window);
        let node = self.node(part, row.node, class as usize);
        self.profile.add(node, row.value, row.count);
        if self.is_by_function {
            self.functions.entry(node).or_default().0 += u128::from(row.value);
        }
    }

    fn total(&mut self, part: &Dictionary, _: &WindowRows, row: &SampleRow, class: u32) {
        let node = self.node(part, row.node, class as usize);
        self.functions.entry(node).or_default().1 += u128::from(row.value);
    }

    fn bytes(&self) -> usize {
        let Profile { nodes, frames, .. } = &self.profile;
        let remap: usize = self.nodes.iter().map(|nodes| size_of_val(nodes.as_slice())).sum();
        // Each node becomes a box at least.
        self.profile.memory_bytes()
            + nodes.len() * BYTES_PER_BOX
            + frames.len() * BYTES_PER_FRAME
            + remap
            + size_of_val(self.frames.as_slice())
    }

    fn fact(&mut self, facts: &WindowFacts) {
        self.hosts.see(facts);
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
