//! From a weighted DAG to the call tree: each frame becomes the functions that it means, outermost
//! first, and siblings of one meaning become one box.

use std::ops::Range;
use std::sync::Arc;

use stoker_dag::{
    BoxIx, BoxLabel, CallTree, CallTreeBuilder, Frame, ModuleMap, NameIx, NameTable, NodeIx,
    Profile,
};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::naming::Naming;

/// The call tree of `profile`, with names from its definitions and from `modules`. All but the first
/// function of a frame are marked as inlined. Totals are exact; the order of boxes and what they say
/// do not depend on the order in which the profile was filled.
#[must_use]
pub fn call_tree(profile: &Profile, modules: &ModuleMap) -> CallTree {
    grow(profile, modules).finish()
}

/// As [`call_tree`], pruned to `max_boxes` as [`stoker_dag::prune`] does it, and how many boxes there were.
#[must_use]
pub fn call_tree_pruned(
    profile: &Profile,
    modules: &ModuleMap,
    max_boxes: usize,
) -> (CallTree, usize) {
    grow(profile, modules).finish_pruned(max_boxes)
}

/// As [`call_tree`], and the box in which the stack of each node of the profile ends. A node without
/// samples of its own or above them has none; the root stands there.
#[must_use]
pub fn call_tree_placed(profile: &Profile, modules: &ModuleMap) -> (CallTree, Vec<BoxIx>) {
    let (builder, boxes) = grow_placed(profile, modules);
    let (tree, places) = builder.finish_placed();
    (tree, boxes.iter().map(|at| places[at.at()]).collect())
}

/// The tree before it is summed and sorted.
pub(crate) fn grow(profile: &Profile, modules: &ModuleMap) -> CallTreeBuilder {
    grow_placed(profile, modules).0
}

/// The same, and the box of each node.
fn grow_placed(profile: &Profile, modules: &ModuleMap) -> (CallTreeBuilder, Vec<BoxIx>) {
    let naming = Naming { definitions: &profile.definitions, modules };
    let mut builder = CallTreeBuilder::default();
    let labels = FrameLabels::new(profile, naming, builder.names());
    let wanted = nodes_with_samples(profile);
    builder.reserve(profile.nodes.len());
    let mut boxes = vec![BoxIx::ROOT; profile.nodes.len()];
    for (node, parent, frame) in profile.nodes.iter() {
        if wanted[node.at()] {
            boxes[node.at()] = labels
                .of(frame.at())
                .iter()
                .fold(boxes[parent.at()], |at, label| builder.child(at, *label));
        }
    }
    for (node, value, _) in profile.rows() {
        builder.add(boxes[node.at()], value);
    }
    (builder, boxes)
}

/// Which nodes have samples of their own or above them.
fn nodes_with_samples(profile: &Profile) -> Vec<bool> {
    let mut wanted = vec![false; profile.nodes.len()];
    for (node, _, _) in profile.rows() {
        let mut at = node;
        while at != NodeIx::ROOT && !wanted[at.at()] {
            wanted[at.at()] = true;
            at = profile.nodes.parent(at);
        }
    }
    wanted
}

/// The boxes that each frame becomes, worked out once per frame.
pub(crate) struct FrameLabels {
    labels: Vec<BoxLabel>,
    ranges: Vec<Range<usize>>,
}

impl FrameLabels {
    pub(crate) fn new(profile: &Profile, naming: Naming<'_>, names: &mut NameTable) -> Self {
        let mut all = Self {
            labels: Vec::with_capacity(profile.frames.len()),
            ranges: Vec::with_capacity(profile.frames.len()),
        };
        names.reserve(profile.frames.len());
        let mut files = Shared::default();
        for (id, frame) in profile.frames.iter() {
            let start = all.labels.len();
            let definition = naming.definitions.get(&id);
            let locations = definition.map_or(&[][..], |definition| &definition.locations);
            let bare = bare_label(naming, frame, names);
            if locations.is_empty() {
                let name = names.intern(&Naming::fallback(frame));
                all.labels.push(BoxLabel { name, ..bare });
            }
            for (depth, location) in locations.iter().enumerate() {
                let name = match &*location.function {
                    "" => names.intern(&Naming::fallback(frame)),
                    _ => names.intern_shared(&location.function),
                };
                all.labels.push(BoxLabel {
                    name,
                    file: files.intern(names, &location.file),
                    line: location.line,
                    inlined: depth > 0,
                    ..bare
                });
            }
            all.ranges.push(start..all.labels.len());
        }
        all
    }

    /// Whether each frame is one box, and no two of them the same.
    pub(crate) fn are_apart(&self) -> bool {
        let mut seen = FxHashSet::default();
        let key = |of: &BoxLabel| (of.name, of.module, of.kind, of.inlined);
        self.ranges.iter().all(|range| range.len() == 1)
            && self.labels.iter().all(|label| seen.insert(key(label)))
    }

    pub(crate) fn of(&self, frame: usize) -> &[BoxLabel] {
        &self.labels[self.ranges[frame].clone()]
    }
}

/// Texts that many share, by where they lie: hundreds of functions are in one file, and its long name is
/// hashed once.
#[derive(Default)]
struct Shared(FxHashMap<(usize, usize), NameIx>);

impl Shared {
    /// The index of a text that lives as long as this does.
    fn intern(&mut self, names: &mut NameTable, text: &Arc<str>) -> NameIx {
        let at = (text.as_ptr().addr(), text.len());
        *self.0.entry(at).or_insert_with(|| names.intern_shared(text))
    }
}

/// All but the name.
fn bare_label(naming: Naming<'_>, frame: &Frame, names: &mut NameTable) -> BoxLabel {
    let line = match frame {
        Frame::Interpreted { line, .. } => *line,
        _ => 0,
    };
    BoxLabel {
        name: NameIx::default(),
        module: names.intern(&naming.module(frame)),
        file: NameIx::default(),
        line,
        kind: Naming::kind(frame),
        inlined: false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use stoker_dag::BoxKind;

    use crate::fixtures::{self, define, location};

    fn native(offset: u64) -> Frame {
        fixtures::native("aabb", offset)
    }

    fn shown(tree: &CallTree) -> Vec<(u32, String, u64, u64, bool)> {
        (0..tree.len())
            .map(|at| {
                let (parent, label) = (tree.parent[at].0, tree.label[at]);
                let name = tree.names.get(label.name).to_owned();
                (parent, name, tree.self_value[at], tree.total[at], label.inlined)
            })
            .collect()
    }

    #[test]
    fn a_frame_becomes_its_functions_outermost_first() {
        let mut profile = Profile::default();
        let (main, hot) = (native(1), native(0x20));
        profile.add_stack(&[main.clone(), hot.clone()], 30, 3);
        profile.add_stack(&[main.clone(), native(0x30)], 5, 1);
        define(&mut profile, &main, vec![location("main", 7)]);
        define(&mut profile, &hot, vec![location("work", 9), location("push", 2)]);
        let tree = call_tree(&profile, &ModuleMap::default());
        assert_eq!(
            shown(&tree),
            [
                (0, "all".into(), 0, 35, false),
                (0, "main".into(), 0, 35, false),
                (1, "0x30".into(), 5, 5, false),
                (1, "work".into(), 0, 30, false),
                (3, "push".into(), 30, 30, true),
            ]
        );
        assert_eq!(tree.label[1].kind, BoxKind::Native);
        assert_eq!(tree.label[1].line, 7);
        let (placed, boxes) = call_tree_placed(&profile, &ModuleMap::default());
        assert_eq!(shown(&placed), shown(&tree));
        // A stack ends in the innermost function of its last frame.
        let ends: Vec<u32> = profile.rows().map(|(node, ..)| boxes[node.at()].0).collect();
        assert_eq!(ends, [4, 2]);
    }

    proptest! {
        #[test]
        fn pruning_before_sorting_gives_the_tree_that_pruning_after_it_gives(
            stacks in prop::collection::vec(
                (prop::collection::vec(0u64..5, 0..6), prop_oneof![0u64..4, Just(u64::MAX / 2)]), 0..40),
            max_boxes in 0usize..20,
        ) {
            let mut profile = Profile::default();
            for (stack, value) in &stacks {
                let frames: Vec<Frame> = stack.iter().map(|at| native(*at)).collect();
                profile.add_stack(&frames, *value, 1);
            }
            define(&mut profile, &native(1), vec![location("f", 7), location("g", 9)]);
            define(&mut profile, &native(2), vec![location("f", 8)]);
            let modules = ModuleMap::default();
            let whole = call_tree(&profile, &modules);
            let wanted = stoker_dag::prune(&whole, max_boxes);
            let (pruned, boxes) = call_tree_pruned(&profile, &modules, max_boxes);
            prop_assert_eq!(shown(&pruned), shown(&wanted));
            prop_assert_eq!(boxes, whole.len());
        }
    }

    #[test]
    fn frames_of_one_function_are_one_box_and_nodes_without_samples_are_none() {
        let mut profile = Profile::default();
        for (offset, line) in [(1, 7), (2, 8)] {
            define(&mut profile, &native(offset), vec![location("main", line)]);
            profile.add_stack(&[native(offset)], 10, 1);
        }
        profile.add_stack(&[native(9)], 0, 0);
        let tree = call_tree(&profile, &ModuleMap::default());
        assert_eq!(tree.len(), 2);
        assert_eq!((tree.total[1], tree.label[1].line), (20, 0));
    }
}
