//! What is written comes back: totals to the last unit, the same stacks.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stoker_analysis::{call_tree, call_tree_placed};
use stoker_dag::{
    BoxIx, BuildId, Definition, DefinitionSource, Frame, KernelImage, LabelSet, Location, Module,
    Profile, ProfileType, SpecialFrame, UnixNanos,
};
use stoker_formats::speedscope::{self, SpeedscopeSource, TimedSample, TimedSource, TimedThread};
use stoker_formats::text::{collapsed_frame, harmless};
use stoker_formats::{
    Imported, ImportedProfile, ImportedRow, ProfileKind, ReadOptions, collapsed, pprof,
};

use crate::support::{contents, read_as, to_pprof, tree};

/// A name that every writer keeps as it is.
fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]", "[a-zA-Zäß][a-zA-Z0-9_:<>&\"'()]{0,12}"]
}

fn build() -> impl Strategy<Value = BuildId> {
    prop::sample::select(vec!["aabb", "00112233445566778899", "go:6162"])
        .prop_map(|text| text.parse().unwrap())
}

/// A frame as pprof can hold it, and what it means.
fn frame() -> impl Strategy<Value = (Frame, Vec<Location>)> {
    let location = (word(), word(), 0u32..100).prop_map(|(function, file, line)| Location {
        function: function.into(),
        file: file.into(),
        line,
    });
    let meaning = prop::collection::vec(location, 0..3);
    let address = (build(), 1u64..1 << 40, any::<bool>()).prop_map(|(build_id, offset, kernel)| {
        if kernel {
            Frame::Kernel { image: KernelImage::Build(build_id), offset }
        } else {
            Frame::Native { build_id, offset }
        }
    });
    let named = (word(), word(), prop::option::of(word()), 0u32..9).prop_map(
        |(module, function, file, line)| {
            let frame = Frame::Interpreted {
                runtime: "import".into(),
                module: module.into(),
                function: function.clone().into(),
                line,
            };
            let meant =
                file.map(|file| Location { function: function.into(), file: file.into(), line });
            (frame, meant.into_iter().collect())
        },
    );
    prop_oneof![
        (address, meaning),
        named,
        prop::sample::select(SpecialFrame::ALL.to_vec()).prop_map(|s| (Frame::Special(s), vec![])),
    ]
}

fn labels() -> impl Strategy<Value = LabelSet> {
    let value =
        prop_oneof![word(), (-9i64..99).prop_map(|n| n.to_string()), Just("5 bytes".into())];
    prop::collection::vec(("[a-c]", value), 0..3).prop_map(LabelSet::new)
}

type Sample = (Vec<(Frame, Vec<Location>)>, LabelSet, [u32; 3]);

fn imported() -> impl Strategy<Value = Imported> {
    let values = prop::array::uniform3(0u32..1000);
    let sample = (prop::collection::vec(frame(), 0..6), labels(), values);
    prop::collection::vec(sample, 1..12).prop_map(|samples| build_import(&samples))
}

/// Three columns over one table of stacks, as a heap profile has them.
fn build_import(samples: &[Sample]) -> Imported {
    let mut imported = collapsed::read(b"seed 1", &ReadOptions::default()).unwrap();
    imported.profiles.clear();
    let mut rows = [const { Vec::<ImportedRow>::new() }; 3];
    for (stack, labels, values) in samples {
        let mut node = stoker_dag::NodeIx::ROOT;
        for (frame, meaning) in stack {
            let ix = imported.frames.intern(frame);
            node = imported.nodes.child(node, ix);
            if !meaning.is_empty() {
                let source = DefinitionSource::PerfMap;
                let definition = Definition { source, locations: meaning.clone().into() };
                imported.definitions.learn(frame.id(), definition);
            }
        }
        let attributes = imported.attributes.intern(labels);
        for (column, rows) in rows.iter_mut().enumerate() {
            let value = u64::from(values[column]);
            // Objects count objects and space counts objects; samples count themselves.
            let count = u64::from(values[[0, 1, 1][column]]);
            if value != 0 || count != 0 {
                rows.push(ImportedRow { node, attributes, value, count });
            }
        }
    }
    let name = |build_id: &BuildId| if build_id.to_string() == "aabb" { "api" } else { "libc.so" };
    for (_, frame) in imported.frames.iter() {
        if let Frame::Native { build_id, .. }
        | Frame::Kernel { image: KernelImage::Build(build_id), .. } = frame
        {
            let module = Module { main_executable: false, name: name(build_id).into() };
            imported.modules.learn(build_id, module);
        }
    }
    for (rows, kind) in rows.into_iter().zip([
        "custom:samples:count:space:bytes",
        "memory:alloc_objects:count:space:bytes",
        "memory:alloc_space:bytes:space:bytes",
    ]) {
        imported.profiles.push(ImportedProfile {
            profile_type: ProfileType::parse(&kind.replace("custom", "memory")).unwrap(),
            kind: ProfileKind::Cumulative,
            period: 512,
            start: None,
            duration_ns: 0,
            rows,
        });
    }
    imported.default = 1;
    imported
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn pprof_comes_back_with_its_ids_labels_and_columns(imported in imported()) {
        let bytes = to_pprof(&imported);
        let again = read_as(&bytes, "x").unwrap();
        prop_assert_eq!(contents(&again), contents(&imported));
        prop_assert_eq!(again.default, imported.default);
        for (profile, held) in again.profiles.iter().zip(&imported.profiles) {
            prop_assert_eq!(&profile.profile_type, &held.profile_type);
            prop_assert_eq!((profile.kind, profile.period), (held.kind, held.period));
        }
        let used: std::collections::BTreeSet<_> = again.frames.iter().map(|(id, _)| id).collect();
        for (id, definition) in imported.definitions.iter().filter(|(id, _)| used.contains(id)) {
            prop_assert_eq!(again.definitions.get(id), Some(definition));
        }
        // What was written again is the same to the byte: the order of arrival does not matter.
        prop_assert_eq!(to_pprof(&again), bytes);
    }

    #[test]
    fn a_pprof_read_twice_counts_twice_and_adds_no_stack(imported in imported()) {
        let bytes = to_pprof(&imported);
        let mut both = read_as(&bytes, "").unwrap();
        let (frames, nodes) = (both.frames.len(), both.nodes.len());
        let totals: Vec<u64> = both.profiles.iter().map(ImportedProfile::total).collect();
        pprof::read_into(&bytes, &ReadOptions::default(), &mut both).unwrap();
        prop_assert_eq!((both.frames.len(), both.nodes.len()), (frames, nodes));
        let twice: Vec<u64> = both.profiles.iter().map(ImportedProfile::total).collect();
        prop_assert_eq!(twice, totals.iter().map(|total| 2 * total).collect::<Vec<_>>());
    }

    #[test]
    fn collapsed_comes_back(imported in imported()) {
        let shown = tree(&imported);
        let mut text = Vec::new();
        collapsed::write(&shown, &mut text).unwrap();
        let total = shown.total[0];
        match collapsed::read(&text, &ReadOptions::default()) {
            Err(error) => prop_assert!(total == 0, "{}", error),
            Ok(again) => {
                prop_assert_eq!(again.default_profile().total(), total);
                prop_assert_eq!(again.notes.invalid_lines, 0);
                let mut rewritten = Vec::new();
                collapsed::write(&tree(&again), &mut rewritten).unwrap();
                prop_assert_eq!(summed(&rewritten), summed(&text));
            }
        }
    }

    #[test]
    fn speedscope_comes_back(imported in imported()) {
        let profiles: Vec<(ProfileType, Profile)> = imported.profiles.iter().enumerate()
            .map(|(at, profile)| (profile.profile_type.clone(), imported.profile(at))).collect();
        let trees: Vec<_> = profiles.iter().map(|(_, p)| call_tree(p, &imported.modules)).collect();
        let sources: Vec<_> = profiles.iter().zip(&trees)
            .map(|((profile_type, _), tree)| SpeedscopeSource { profile_type, tree }).collect();
        let mut json = Vec::new();
        speedscope::write(&sources, "a </script> name", &mut json).unwrap();
        let again = read_as(&json, "").unwrap();
        prop_assert_eq!(again.profiles.len(), imported.profiles.len());
        for (at, (profile_type, profile)) in profiles.iter().enumerate() {
            let held = again.find(profile_type).unwrap();
            prop_assert_eq!(again.profiles[held].total(), profile.total());
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            collapsed::write(&trees[at], &mut ours).unwrap();
            collapsed::write(&call_tree(&again.profile(held), &again.modules), &mut theirs).unwrap();
            prop_assert_eq!(summed(&theirs), summed(&ours));
        }
    }

    #[test]
    fn speedscope_over_time_comes_back_by_thread(
        imported in imported(),
        moments in prop::collection::vec((any::<prop::sample::Index>(), 0u64..2000, 0usize..3), 0..30),
        worth in 1u64..50,
    ) {
        let profile = imported.profile(0);
        let (tree, boxes) = call_tree_placed(&profile, &imported.modules);
        let mut left: Vec<(BoxIx, u64)> =
            profile.rows().map(|(node, value, _)| (boxes[node.at()], value)).collect();
        let mut threads: Vec<TimedThread> = (0..3)
            .map(|at| TimedThread { name: format!("worker {at}"), samples: vec![] }).collect();
        for (row, at, thread) in moments {
            if left.is_empty() { break }
            let row = row.index(left.len());
            let (stack, value) = &mut left[row];
            if let Some(less) = value.checked_sub(worth) {
                *value = less;
                threads[thread].samples.push(TimedSample { at, weight: worth, stack: *stack });
            }
        }
        threads.retain(|thread| !thread.samples.is_empty());
        let by_thread: BTreeMap<String, u64> = threads.iter()
            .map(|thread| (thread.name.clone(), worth * thread.samples.len() as u64)).collect();
        // Of a type that the reader would not guess.
        let profile_type = ProfileType::cpu();
        let start = UnixNanos(1_700_000_000_123_456_789);
        let source =
            TimedSource { profile_type: &profile_type, tree: &tree, start, duration_ns: 2000, threads };
        let mut json = Vec::new();
        speedscope::write_timed(source, "name", &mut json).unwrap();
        let again = read_as(&json, "").unwrap();
        let back = again.default_profile();
        prop_assert_eq!(&back.profile_type, &profile_type);
        prop_assert_eq!(back.total(), profile.total());
        prop_assert_eq!((back.start, back.duration_ns), (Some(start), 2000));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        collapsed::write(&tree, &mut ours).unwrap();
        collapsed::write(&call_tree(&again.profile(0), &again.modules), &mut theirs).unwrap();
        prop_assert_eq!(summed(&theirs), summed(&ours));
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for row in &back.rows {
            let thread = again.attributes.get(row.attributes).get("thread").to_owned();
            *found.entry(thread).or_default() += row.value;
        }
        found.retain(|thread, _| thread.starts_with("worker"));
        // A thread that is alone in its file is not told apart.
        if !found.is_empty() {
            prop_assert_eq!(found, by_thread);
        }
    }

    #[test]
    fn any_name_comes_back_harmless(names in prop::collection::vec(any::<String>(), 1..5)) {
        let mut profile = Profile::default();
        let named = |name: &String| Frame::Interpreted {
            runtime: "import".into(), module: "m".into(), function: name.as_str().into(), line: 0,
        };
        let stack: Vec<Frame> = names.iter().map(named).collect();
        profile.add_stack(&stack, 7, 1);
        let shown = call_tree(&profile, &stoker_dag::ModuleMap::default());
        let mut text = Vec::new();
        collapsed::write(&shown, &mut text).unwrap();
        let wanted: Vec<String> = names.iter().map(|name| collapsed_frame(name).into_owned()).collect();
        prop_assert_eq!(String::from_utf8(text).unwrap(), format!("{} 7\n", wanted.join(";")));
        let cpu = ProfileType::cpu();
        let mut json = Vec::new();
        speedscope::write(&[SpeedscopeSource { profile_type: &cpu, tree: &shown }], "", &mut json).unwrap();
        let again = read_as(&json, "").unwrap();
        let back: Vec<String> = again.nodes.stack(again.default_profile().rows[0].node).iter()
            .map(|frame| match again.frames.frame(*frame) {
                Frame::Interpreted { function, .. } => function.to_string(),
                other => panic!("{other:?}"),
            }).collect();
        prop_assert_eq!(back, names.iter().map(|name| harmless(name).into_owned()).collect::<Vec<_>>());
    }
}

/// Lines with their values, equal stacks summed.
fn summed(text: &[u8]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for line in String::from_utf8_lossy(text).lines() {
        let (stack, value) = line.rsplit_once(' ').unwrap();
        *sums.entry(stack.to_owned()).or_default() += value.parse::<u64>().unwrap();
    }
    sums
}
