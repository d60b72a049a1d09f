//! The algebra that aggregation rests on, as properties.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use stoker_dag::{
    BoxIx, BuildId, BuildIdKind, CallTree, CallTreeBuilder, Definition, DefinitionMap,
    DefinitionSource, Frame, FrameId, Location, NodeId, Profile, SpecialFrame, normalise, prune,
    prune_around,
};
use stoker_dag::{BoxKind, BoxLabel};

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (0u8..3, 0u64..6).prop_map(|(build, offset)| Frame::Native {
            build_id: BuildId::new(BuildIdKind::Gnu, &[build; 20]).unwrap(),
            offset,
        }),
        "[a-c]{1,2}".prop_map(|function| Frame::Interpreted {
            runtime: "jit".into(),
            module: "".into(),
            function: function.into(),
            line: 0,
        }),
        Just(Frame::Special(SpecialFrame::Truncated)),
    ]
}

type Sample = (Vec<Frame>, u64, u64);

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (prop::collection::vec(frame(), 0..6), 0u64..1000, 0u64..10);
    prop::collection::vec(sample, 0..30)
}

fn profile(samples: &[Sample]) -> Profile {
    let mut profile = Profile::default();
    for (frames, value, count) in samples {
        profile.add_stack(frames, *value, *count);
    }
    profile
}

fn merged(parts: &[&Profile]) -> Profile {
    let mut sum = Profile::default();
    parts.iter().for_each(|part| sum.merge(part));
    sum
}

/// What a profile says, free of the order in which it learned it.
fn content(profile: &Profile) -> Vec<(NodeId, u64, u64)> {
    let ids = profile.nodes.ids(&profile.frames);
    let mut rows: Vec<_> = profile.rows().map(|(node, v, c)| (ids[node.at()], v, c)).collect();
    rows.sort();
    rows
}

fn definition() -> impl Strategy<Value = Definition> {
    let location = ("[a-b]{0,1}", "[x-y]{0,1}", 0u32..3).prop_map(|(function, file, line)| {
        Location { function: function.into(), file: file.into(), line }
    });
    (0usize..4, prop::collection::vec(location, 0..3)).prop_map(|(source, locations)| Definition {
        source: DefinitionSource::ALL[source],
        locations: locations.into(),
    })
}

fn learned(facts: &[(u8, Definition)]) -> DefinitionMap {
    let mut map = DefinitionMap::default();
    for (frame, definition) in facts {
        map.learn(FrameId::from_bytes([*frame; 16]), definition.clone());
    }
    map
}

/// A tree by frames' text, enough to look at folding and pruning.
fn tree(profile: &Profile) -> CallTree {
    let mut builder = CallTreeBuilder::default();
    let mut boxes = vec![BoxIx::ROOT; profile.nodes.len()];
    for (node, parent, frame) in profile.nodes.iter() {
        let name = builder.names().intern(&format!("{:?}", profile.frames.frame(frame)));
        let empty = builder.names().intern("");
        let label = BoxLabel {
            name,
            module: empty,
            file: empty,
            line: 0,
            kind: BoxKind::Native,
            inlined: false,
        };
        boxes[node.at()] = builder.child(boxes[parent.at()], label);
    }
    for (node, value, _) in profile.rows() {
        builder.add(boxes[node.at()], value);
    }
    builder.finish()
}

fn self_sum(tree: &CallTree) -> u64 {
    tree.self_value.iter().sum()
}

proptest! {
    #[test]
    fn merging_commutes_and_associates(a in samples(), b in samples(), c in samples()) {
        let (a, b, c) = (profile(&a), profile(&b), profile(&c));
        let left = merged(&[&merged(&[&a, &b]), &c]);
        let right = merged(&[&a, &merged(&[&b, &c])]);
        prop_assert_eq!(content(&left), content(&right));
        prop_assert_eq!(content(&merged(&[&a, &b])), content(&merged(&[&b, &a])));
    }

    #[test]
    fn merging_loses_nothing(a in samples(), b in samples()) {
        let sum = merged(&[&profile(&a), &profile(&b)]);
        let all = || a.iter().chain(&b);
        prop_assert_eq!(sum.total(), all().map(|(_, value, _)| value).sum::<u64>());
        prop_assert_eq!(sum.samples(), all().map(|(_, _, count)| count).sum::<u64>());
    }

    #[test]
    fn ids_do_not_depend_on_what_came_before(stack in prop::collection::vec(frame(), 0..6), noise in samples()) {
        let mut alone = Profile::default();
        let leaf = alone.add_stack(&stack, 1, 1);
        let mut among = profile(&noise);
        let other_leaf = among.add_stack(&stack, 1, 1);
        let id = alone.nodes.ids(&alone.frames)[leaf.at()];
        prop_assert_eq!(id, among.nodes.ids(&among.frames)[other_leaf.at()]);
        prop_assert_eq!(id, NodeId::of_stack(stack.iter().map(Frame::id)));
    }

    #[test]
    fn definitions_do_not_depend_on_order(facts in prop::collection::vec((0u8..4, definition()), 0..12)) {
        let forward = learned(&facts);
        let backward = learned(&facts.iter().rev().cloned().collect::<Vec<_>>());
        prop_assert_eq!(&forward, &backward);
        let mut twice = forward.clone();
        twice.merge(&backward);
        prop_assert_eq!(&forward, &twice);
    }

    #[test]
    fn folding_and_pruning_keep_totals(samples in samples(), keep in 1usize..12) {
        let profile = profile(&samples);
        let whole = tree(&profile);
        prop_assert_eq!(whole.total[0], profile.total());
        prop_assert_eq!(self_sum(&whole), profile.total());
        let pruned = prune(&whole, keep);
        prop_assert_eq!(pruned.total[0], profile.total());
        prop_assert_eq!(self_sum(&pruned), profile.total());
        let boxes = pruned.label.iter().filter(|label| label.kind != BoxKind::Other).count();
        prop_assert!(boxes <= keep);
        for at in 1..pruned.len() {
            prop_assert!(pruned.parent[at].at() < at);
        }
    }

    #[test]
    fn pruning_around_a_box_keeps_totals_and_more_of_what_lies_below(
        samples in samples(), keep in 1usize..12, at in any::<prop::sample::Index>()
    ) {
        let profile = profile(&samples);
        let whole = tree(&profile);
        let focus = BoxIx(u32::try_from(at.index(whole.len())).unwrap());
        let pruned = prune_around(&whole, keep, focus);
        prop_assert_eq!(pruned.total[0], profile.total());
        prop_assert_eq!(self_sum(&pruned), profile.total());
        let boxes = |tree: &CallTree| tree.label.iter().filter(|label| label.kind != BoxKind::Other).count();
        prop_assert!(boxes(&pruned) >= boxes(&prune(&whole, keep)));
        prop_assert_eq!(boxes(&prune_around(&whole, whole.len(), focus)), whole.len());
        for at in 1..pruned.len() {
            prop_assert!(pruned.parent[at].at() < at);
        }
    }

    #[test]
    fn a_tree_does_not_depend_on_order(samples in samples()) {
        let backward: Vec<Sample> = samples.iter().rev().cloned().collect();
        let (a, b) = (tree(&profile(&samples)), tree(&profile(&backward)));
        let shown = |tree: &CallTree| -> Vec<(BoxIx, String, u64)> {
            (0u32..).zip(&tree.parent).map(|(at, parent)| {
                (*parent, tree.name(BoxIx(at)).to_owned(), tree.total[at as usize])
            }).collect()
        };
        prop_assert_eq!(shown(&a), shown(&b));
    }
}

proptest! {
    #[test]
    fn normalising_once_is_enough(
        parts in prop::collection::vec(
            prop_oneof![
                "[a-z]{1,3}",
                Just("::".to_owned()),
                Just(".cold".to_owned()),
                Just(".isra.0".to_owned()),
                Just(" [clone .part.0]".to_owned()),
                Just("[0123456789abcdef]".to_owned()),
                Just("[go.shape.int]".to_owned()),
                Just("{{closure}}".to_owned()),
                Just("{closure#1}".to_owned()),
                Just("::h0123456789abcdef".to_owned()),
                Just("·".to_owned()),
                "\\PC{0,4}",
            ],
            0..8,
        ),
    ) {
        let name = parts.concat();
        let once = normalise(&name).into_owned();
        prop_assert_eq!(&*normalise(&once), &*once, "{:?}", name);
    }
}
