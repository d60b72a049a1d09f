//! Samples one by one: they come back beside their rows, cost what is promised, and are refused where
//! they say what rows do not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use prost::Message;
use stoker_dag::{Frame, LabelIx, LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos};
use stoker_wire::{
    BatchBody, CpuId, Decoder, DetailedSample, Details, Dictionary, Encoder, Rebase, RowGroup,
    ThreadId, WINDOW_US, proto,
};

const PERIOD_NS: u64 = 10_101_010;

/// Samples of rows over a dictionary in which rows do not stand in the order of the encoder's.
fn batch(dictionary: &mut Dictionary, samples: &[(u32, u32, u32, u32)]) -> BatchBody {
    let rows = 1 + samples.iter().map(|(.., row)| *row).max().unwrap_or(0);
    let mut group =
        RowGroup { profile_type: ProfileType::cpu(), period: PERIOD_NS, rows: Vec::new() };
    for row in 0..rows {
        let frame = Frame::Interpreted {
            runtime: "test".into(),
            module: "app".into(),
            function: format!("f{}", rows - row).into(),
            line: 0,
        };
        let frame = dictionary.frames.intern(&frame);
        let series = LabelSet::new([("service_name", format!("s{}", (rows - row) % 3))]);
        // One more than are told of.
        let count = 1 + samples.iter().filter(|(.., of)| *of == row).count() as u64;
        group.rows.push(SampleRow {
            series: dictionary.labels.intern(&series),
            attributes: LabelIx::default(),
            node: dictionary.nodes.child(NodeIx::ROOT, frame),
            value: count * PERIOD_NS,
            count,
        });
    }
    let of = |&(cpu, offset_us, thread, row): &(u32, u32, u32, u32)| DetailedSample {
        cpu: CpuId(cpu),
        offset_us,
        thread: ThreadId(thread),
        row,
    };
    let mut samples: Vec<DetailedSample> = samples.iter().map(of).collect();
    samples.sort_unstable();
    BatchBody {
        sequence: 1,
        start: UnixNanos(20_000_000_123),
        rows: vec![group],
        details: vec![Details { group: 0, samples }],
        ..BatchBody::default()
    }
}

/// Samples, free of dense ids.
fn said(dictionary: &Dictionary, body: &BatchBody) -> Vec<(u32, u32, u32, String, String)> {
    let mut said = Vec::new();
    for details in &body.details {
        for sample in &details.samples {
            let row = &body.rows[details.group].rows[sample.row as usize];
            let frame = dictionary.nodes.frame(row.node).unwrap();
            let frame = dictionary.frames.frame(frame).clone();
            let series = dictionary.labels.get(row.series).to_string();
            let Frame::Interpreted { function, .. } = frame else { panic!() };
            let (cpu, thread) = (sample.cpu.0, sample.thread.0);
            said.push((cpu, sample.offset_us, thread, function.to_string(), series));
        }
    }
    said.sort();
    said
}

fn encoded(samples: &[(u32, u32, u32, u32)]) -> (Dictionary, BatchBody, proto::Batch) {
    let mut source = Dictionary::default();
    let body = batch(&mut source, samples);
    let encoded = Encoder::default().encode(&source, &body, &mut Rebase::default());
    (source, body, encoded.batch)
}

fn samples() -> impl Strategy<Value = Vec<(u32, u32, u32, u32)>> {
    let thread = prop_oneof![0u32..5, any::<u32>()];
    prop::collection::vec((0u32..4, 0u32..WINDOW_US, thread, 0u32..9), 0..60)
}

proptest! {
    #[test]
    fn samples_come_back_with_their_rows(samples in samples()) {
        let (source, body, batch) = encoded(&samples);
        let batch = proto::Batch::decode(&*batch.encode_to_vec()).unwrap();
        let mut decoder = Decoder::default();
        let back = decoder.decode(&batch).unwrap();
        prop_assert_eq!(said(decoder.dictionary(), &back), said(&source, &body));
        prop_assert_eq!(back.detailed_samples(), samples.len());
    }

    #[test]
    fn whatever_is_taken_agrees_with_the_rows(
        samples in samples(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        let (.., mut batch) = encoded(&samples);
        // Only details are hurt: what else can go wrong is tried in `round_trip.rs`.
        let mut bytes = batch.details[0].encode_to_vec();
        for (at, flip) in flips {
            let at = at.index(bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= flip;
            }
        }
        let Ok(details) = proto::Details::decode(&*bytes) else { return Ok(()) };
        batch.details = vec![details];
        let Ok(body) = Decoder::default().decode(&batch) else { return Ok(()) };
        let mut left: Vec<u64> = body.rows[0].rows.iter().map(|row| row.count).collect();
        for sample in &body.details[0].samples {
            prop_assert!(sample.offset_us < WINDOW_US);
            left[sample.row as usize] = left[sample.row as usize].checked_sub(1).unwrap();
        }
        prop_assert!(body.details[0].samples.is_sorted_by_key(|s| (s.cpu, s.offset_us)));
    }
}

#[test]
fn contradictions_are_named() {
    type Change = fn(&mut proto::Batch);
    let cases: [(Change, &str); 12] = [
        (|b| b.details[0].group = 1, "that has none"),
        (|b| b.details.push(b.details[0].clone()), "in two places"),
        (|b| b.details[0].row_delta[0] = 9, "more samples of a row"),
        (|b| b.details[0].row_delta = vec![1, 1, 0], "more samples of a row"),
        (|b| b.details[0].time_delta[0] = -896, "out of order"),
        (|b| b.details[0].time_delta[1] = i32::MIN, "out of order"),
        (|b| b.details[0].interval_us = u32::MAX, "outside the batch's window"),
        (|b| b.details[0].thread_place[0] = 0, "no thread"),
        (|b| b.details[0].thread_place[0] = 7, "no thread"),
        (|b| b.details[0].thread[0] = u32::MAX, "beyond 32 bits"),
        (|b| b.details[0].run_cpu = vec![3, 3], "order of CPU"),
        (|b| b.details[0].run_length[0] = u32::MAX, "differ in length"),
    ];
    for (change, what) in cases {
        let (.., mut batch) = encoded(&[(3, 5, 70, 0), (3, 900, 71, 1), (4, 7, 70, 0)]);
        change(&mut batch);
        let error = Decoder::default().decode(&batch).expect_err(what).to_string();
        assert!(error.contains(what), "{what}: {error}");
    }
    let (.., mut batch) = encoded(&[(3, 5, 70, 0)]);
    batch.rows[0].period = 0;
    batch.rows[0].count = batch.rows[0].value.clone();
    let error = Decoder::default().decode(&batch).unwrap_err().to_string();
    assert!(error.contains("that has none"), "{error}");
}

/// The bytes of version 1, minor 1: later versions read them.
#[test]
fn the_bytes_are_those_that_were_agreed_on() {
    let (.., batch) = encoded(&[(0, 10, 4, 0), (0, 10_111, 4, 1), (0, 20_213, 9, 1), (2, 5, 9, 0)]);
    let hex: String = batch.details[0].encode_to_vec().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    let details = proto::Details::decode(&*batch.details[0].encode_to_vec()).unwrap();
    assert_eq!(details, batch.details[0]);
}

const GOLDEN: &str = "10f64e1a020405220200022a0203013208d79d010100e19d013a0401000202420400020201";
