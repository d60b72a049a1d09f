//! Batches, folded into one profile.

use stoker_dag::{FrameIx, ModuleMap, NodeIx, Profile};
use stoker_wire::{BatchBody, Dictionary};

use super::moments::{Moments, ThreadMoments};

/// The root's place in a map of nodes stands for "not carried over yet": the root never is.
const UNKNOWN: NodeIx = NodeIx::ROOT;

/// A profile that batches are added to.
#[derive(Debug, Default)]
pub(super) struct Folding {
    profile: Profile,
    modules: ModuleMap,
    epoch: u64,
    /// Where the dictionary's nodes stand in the profile.
    nodes: Vec<NodeIx>,
    moments: Moments,
}

impl Folding {
    /// The next batches are over the dictionary of this epoch.
    pub(super) fn begin(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.nodes.clear();
        }
    }

    /// Adds a batch: its rows, samples that it tells one by one, and what it says of frames and builds.
    pub(super) fn add(&mut self, dictionary: &Dictionary, body: &BatchBody) {
        self.nodes.resize(dictionary.nodes.len(), UNKNOWN);
        for row in body.rows.iter().flat_map(|group| &group.rows) {
            let node = self.carry(dictionary, row.node);
            self.profile.add(node, row.value, row.count);
        }
        // Each is of a row, so all are carried over.
        self.moments.add(dictionary, body, |node| self.nodes[node.at()]);
        for (frame, definition) in &body.definitions {
            self.profile.definitions.learn(dictionary.frames.id(*frame), definition.clone());
        }
        self.modules.merge(&dictionary.modules);
    }

    pub(super) fn finish(self) -> (Profile, ModuleMap, Vec<ThreadMoments>) {
        (self.profile, self.modules, self.moments.finish())
    }

    fn carry(&mut self, dictionary: &Dictionary, node: NodeIx) -> NodeIx {
        let mut missing: Vec<(NodeIx, FrameIx)> = Vec::new();
        let mut at = node;
        let mut to = loop {
            let Some(frame) = dictionary.nodes.frame(at) else { break NodeIx::ROOT };
            match self.nodes[at.at()] {
                UNKNOWN => missing.push((at, frame)),
                known => break known,
            }
            at = dictionary.nodes.parent(at);
        };
        for (node, frame) in missing.into_iter().rev() {
            let (id, frame) = (dictionary.frames.id(frame), dictionary.frames.frame(frame));
            let frame = self.profile.frames.intern_with_id(id, frame);
            to = self.profile.nodes.child(to, frame);
            self.nodes[node.at()] = to;
        }
        to
    }
}

#[cfg(test)]
mod tests {
    use stoker_dag::{Frame, LabelIx, ProfileType, SampleRow};
    use stoker_wire::RowGroup;

    use super::*;

    fn batch(dictionary: &mut Dictionary, stacks: &[&[&str]]) -> BatchBody {
        let row = |stack: &&[&str]| {
            let node = stack.iter().fold(NodeIx::ROOT, |node, name| {
                let frame = dictionary.frames.intern(&Frame::Interpreted {
                    runtime: "test".into(),
                    module: "app".into(),
                    function: (*name).into(),
                    line: 0,
                });
                dictionary.nodes.child(node, frame)
            });
            let none = LabelIx::default();
            SampleRow { series: none, attributes: none, node, value: 10, count: 1 }
        };
        let rows = stacks.iter().map(row).collect();
        let group = RowGroup { profile_type: ProfileType::cpu(), period: 10, rows };
        BatchBody { rows: vec![group], ..BatchBody::default() }
    }

    #[test]
    fn one_stack_is_one_row_whatever_dictionary_it_came_with() {
        let mut folding = Folding::default();
        let mut first = Dictionary::default();
        let body = batch(&mut first, &[&["main", "a"], &["main", "b"], &[]]);
        folding.add(&first, &body);
        let body = batch(&mut first, &[&["main", "a", "c"]]);
        folding.add(&first, &body);
        let mut second = Dictionary::default();
        let body = batch(&mut second, &[&["main", "b"]]);
        folding.begin(1);
        folding.add(&second, &body);
        let (profile, ..) = folding.finish();
        assert_eq!((profile.total(), profile.samples()), (50, 5));
        let mut counts: Vec<u64> = profile.rows().map(|(_, _, count)| count).collect();
        counts.sort_unstable();
        assert_eq!(counts, [1, 1, 1, 2]);
    }
}
