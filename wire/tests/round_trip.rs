//! What goes over the wire comes back, across many batches of one stream; and no bytes whatever
//! make the decoder panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use prost::Message;
use stoker_dag::{
    BuildId, BuildIdKind, Definition, DefinitionSource, Frame, KernelImage, LabelSet, Location,
    Module, NodeId, ProfileType, SampleRow, SpecialFrame, StackInterner, UnixNanos,
};
use stoker_wire::{
    BatchBody, BrokenStacks, Decoder, Dictionary, Encoder, FileNames, HostFacts, LostSamples,
    Rebase, RowGroup, proto,
};

fn build(byte: u8) -> BuildId {
    let kinds = [BuildIdKind::Gnu, BuildIdKind::Go, BuildIdKind::Content];
    BuildId::new(kinds[usize::from(byte) % 3], &[byte; 20]).unwrap()
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (0u8..4, any::<u64>()).prop_map(|(b, offset)| Frame::Native { build_id: build(b), offset }),
        (0u8..4, 0u64..9)
            .prop_map(|(b, offset)| Frame::Kernel { image: KernelImage::Build(build(b)), offset }),
        ("[a-b]{1}", "[a-b]{0,1}", 0u64..9).prop_map(|(release, module, offset)| {
            let image = KernelImage::Release { release: release.into(), module: module.into() };
            Frame::Kernel { image, offset }
        }),
        ("[a-b]{0,1}", "[a-b]{0,1}", any::<u32>()).prop_map(|(module, function, line)| {
            let (module, function) = (module.into(), function.into());
            Frame::Interpreted { runtime: "jit".into(), module, function, line }
        }),
        Just(Frame::Special(SpecialFrame::Truncated)),
    ]
}

#[derive(Debug, Clone)]
struct Row {
    stack: Vec<Frame>,
    service: String,
    comm: String,
    count: u64,
    defined: bool,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row =
        (prop::collection::vec(frame(), 1..6), "[a-c]{1}", "[a-c]{0,1}", 1u64..9, any::<bool>());
    let row = row.prop_map(|(stack, service, comm, count, defined)| Row {
        stack,
        service,
        comm,
        count,
        defined,
    });
    prop::collection::vec(row, 0..12)
}

fn definition(of: &Frame) -> Definition {
    let location = |name: String| Location { function: name.into(), file: "a.c".into(), line: 3 };
    let locations = vec![location(format!("{of:?}")), location("inlined".into())];
    Definition { source: DefinitionSource::AgentDwarf, locations: locations.into() }
}

/// What a batch says, free of dense ids.
type Said = (Vec<(String, String, NodeId, u64, u64)>, Vec<(String, Definition)>);

fn said(dictionary: &Dictionary, body: &BatchBody) -> Said {
    let ids = dictionary.nodes.ids(&dictionary.frames);
    let labels = |ix| dictionary.labels.get(ix).to_string();
    let mut rows: Vec<_> = body
        .rows
        .iter()
        .flat_map(|group| &group.rows)
        .map(|row| {
            (labels(row.series), labels(row.attributes), ids[row.node.at()], row.value, row.count)
        })
        .collect();
    rows.sort();
    let mut definitions: Vec<_> = body
        .definitions
        .iter()
        .map(|(ix, d)| (dictionary.frames.id(*ix).to_string(), d.clone()))
        .collect();
    definitions.sort_by(|a, b| a.0.cmp(&b.0));
    definitions.dedup();
    (rows, definitions)
}

fn batch(dictionary: &mut Dictionary, rows: &[Row], period: u64) -> BatchBody {
    let mut interner = StackInterner::default();
    let mut body = BatchBody {
        start: UnixNanos(20_000_000_000),
        duration_ns: 1_000,
        facts: HostFacts {
            samples_taken: 7,
            lost: vec![LostSamples { reason: "ring full".into(), samples: 2 }],
            frames_named: 9,
            frames_nameless: 3,
            broken: vec![BrokenStacks { file: "libx.so".into(), reason: "gap".into(), stacks: 4 }],
            nameless: vec![FileNames {
                file: "libx.so".into(),
                build_id: "0abc".into(),
                named: 1,
                nameless: 3,
            }],
            ..HostFacts::default()
        },
        ..BatchBody::default()
    };
    let mut group = RowGroup { profile_type: ProfileType::cpu(), period, rows: vec![] };
    for row in rows {
        let stack: Vec<_> = row.stack.iter().map(|f| dictionary.frames.intern(f)).collect();
        for frame in row.stack.iter().filter(|_| row.defined) {
            body.definitions.push((dictionary.frames.intern(frame), definition(frame)));
        }
        group.rows.push(SampleRow {
            series: dictionary
                .labels
                .intern(&LabelSet::new([("service_name", row.service.as_str())])),
            attributes: dictionary.labels.intern(&LabelSet::new([("comm", row.comm.as_str())])),
            node: interner.intern(&mut dictionary.nodes, &stack),
            value: row.count * period.max(3),
            count: row.count,
        });
    }
    body.rows.push(group);
    body
}

proptest! {
    #[test]
    fn batches_come_back(parts in prop::collection::vec(rows(), 1..5), period in 0u64..4) {
        let mut source = Dictionary::default();
        source.modules.learn(&build(1), Module { main_executable: true, name: "app".into() });
        let (mut encoder, mut decoder, mut rebase) =
            (Encoder::default(), Decoder::default(), Rebase::default());
        let mut told = std::collections::BTreeSet::new();
        for rows in &parts {
            let body = batch(&mut source, rows, period);
            let encoded = encoder.encode(&source, &body, &mut rebase);
            let bytes = encoded.batch.encode_to_vec();
            let batch = proto::Batch::decode(&*bytes).unwrap();
            let back = decoder.decode(&batch).unwrap();
            let (rows, definitions) = said(&source, &body);
            let news: Vec<_> = definitions.into_iter().filter(|(frame, _)| told.insert(frame.clone())).collect();
            prop_assert_eq!(said(decoder.dictionary(), &back), (rows.clone(), news.clone()));
            prop_assert_eq!(said(encoder.dictionary(), &encoded.body), (rows, news));
            prop_assert_eq!(back.facts, body.facts);
        }
        let known = decoder.dictionary().modules.get(&build(1));
        let frames = decoder.dictionary().frames.iter();
        let used = frames.filter(|(_, frame)| frame.build_id() == Some(&build(1))).count();
        prop_assert_eq!(known.is_some(), used > 0);
    }

    #[test]
    fn any_bytes_are_refused_or_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(batch) = proto::Batch::decode(&*bytes) {
            let _ = Decoder::default().decode(&batch);
        }
    }

    #[test]
    fn flipped_bytes_are_refused_or_taken(rows in rows(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut source = Dictionary::default();
        let body = batch(&mut source, &rows, 1);
        let encoded = Encoder::default().encode(&source, &body, &mut Rebase::default());
        let mut bytes = encoded.batch.encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(batch) = proto::Batch::decode(&*bytes) {
            let _ = Decoder::default().decode(&batch);
        }
    }
}

#[test]
fn known_stacks_cost_few_bytes() {
    let mut source = Dictionary::default();
    let rows: Vec<Row> = (0..1000u64)
        .map(|leaf| Row {
            stack: (0..30)
                .map(|depth| Frame::Native { build_id: build(1), offset: depth * leaf })
                .collect(),
            service: "api".into(),
            comm: "worker".into(),
            count: 1,
            defined: false,
        })
        .collect();
    let body = batch(&mut source, &rows, 3);
    let (mut encoder, mut rebase) = (Encoder::default(), Rebase::default());
    let cold = encoder.encode(&source, &body, &mut rebase).batch.encoded_len();
    let warm = encoder.encode(&source, &body, &mut rebase).batch.encoded_len();
    assert!(warm < 3 * 1000, "{warm} bytes for 1000 rows");
    assert!(warm * 5 < cold, "{warm} warm, {cold} cold");
}
