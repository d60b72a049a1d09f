//! The part of a call tree that a picture can show.
//!
//! A large profile has hundreds of thousands of boxes and a picture shows some thousands. Where every
//! frame is a box of its own, as in collapsed stacks, what is too narrow is known before boxes are
//! made; elsewhere frames of one function become one box, and only then is its width known.

use stoker_dag::{
    BoxIx, BoxKind, BoxLabel, CallTree, CallTreeBuilder, ModuleMap, NameIx, NodeIx, OTHER, Profile,
};

use crate::expand::{FrameLabels, grow};
use crate::naming::Naming;

/// As [`call_tree`](crate::call_tree), for pictures: boxes with less than this share of the whole are
/// summed as `(other)` below their parents.
#[must_use]
pub fn visible_tree(profile: &Profile, modules: &ModuleMap, parts_per_million: u32) -> CallTree {
    let naming = Naming { definitions: &profile.definitions, modules };
    let mut builder = CallTreeBuilder::default();
    let labels = FrameLabels::new(profile, naming, builder.names());
    if labels.are_apart() {
        pick(profile, &labels, builder, parts_per_million)
    } else {
        grow(profile, modules).finish_visible(parts_per_million)
    }
}

fn pick(
    profile: &Profile,
    labels: &FrameLabels,
    mut builder: CallTreeBuilder,
    parts_per_million: u32,
) -> CallTree {
    let mut totals = vec![0; profile.nodes.len()];
    for (node, value, _) in profile.rows() {
        totals[node.at()] = value;
    }
    profile.nodes.accumulate(&mut totals);
    let root = NodeIx::ROOT.at();
    let least = least_visible(totals.get(root).copied().unwrap_or(0), parts_per_million);
    let (name, none) = (builder.names().intern(OTHER), NameIx::default());
    let kind = BoxKind::Other;
    let other = BoxLabel { name, module: none, file: none, line: 0, kind, inlined: false };
    let mut boxes = vec![None; profile.nodes.len()];
    if let Some(root) = boxes.get_mut(root) {
        *root = Some(BoxIx::ROOT);
    }
    builder.add(BoxIx::ROOT, profile.value(NodeIx::ROOT));
    for (node, parent, frame) in profile.nodes.iter() {
        // A total is at least that of any part, so what stands on a box that is left out is too.
        let Some(below) = boxes[parent.at()] else { continue };
        let total = totals[node.at()];
        if total >= least {
            let at = labels.of(frame.at()).iter().fold(below, |at, l| builder.child(at, *l));
            builder.add(at, profile.value(node));
            boxes[node.at()] = Some(at);
        } else if total > 0 {
            let rest = builder.child(below, other);
            builder.add(rest, total);
        }
    }
    builder.finish()
}

/// A box without any width is never visible.
fn least_visible(total: u64, parts_per_million: u32) -> u64 {
    let least = u128::from(total) * u128::from(parts_per_million) / 1_000_000;
    u64::try_from(least).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stoker_dag::Frame;

    use super::*;

    fn frame(name: u8) -> Frame {
        Frame::Interpreted {
            runtime: "import".into(),
            module: "".into(),
            function: format!("f{name}").into(),
            line: 0,
        }
    }

    proptest! {
        #[test]
        fn picking_first_or_last_gives_one_tree_with_the_exact_total(
            stacks in prop::collection::vec(
                (prop::collection::vec(0u8..4, 0..5), 0u64..1000), 0..40),
            parts in prop_oneof![Just(0u32), Just(100), Just(50_000), Just(1_000_000)],
        ) {
            let mut profile = Profile::default();
            for (stack, value) in &stacks {
                let frames: Vec<Frame> = stack.iter().map(|name| frame(*name)).collect();
                profile.add_stack(&frames, *value, 1);
            }
            let modules = ModuleMap::default();
            let picked = visible_tree(&profile, &modules, parts);
            let grown = grow(&profile, &modules).finish_visible(parts);
            let boxes = |tree: &CallTree| -> Vec<(u32, String, u64, u64)> {
                (0u32..)
                    .take(tree.len())
                    .map(|at| {
                        let (ix, name) = (BoxIx(at), tree.name(BoxIx(at)).to_owned());
                        (tree.parent[ix.at()].0, name, tree.self_value[ix.at()], tree.total[ix.at()])
                    })
                    .collect()
            };
            prop_assert_eq!(boxes(&picked), boxes(&grown));
            prop_assert_eq!(picked.total[0], profile.total());
        }
    }
}
