//! Stacks that nobody has seen: 30 frames, half of them shared by bundles of 64.

use stoker_dag::{BuildId, BuildIdKind, Frame, FrameIx, LabelSet, NodeIx, ProfileType, SampleRow};
use stoker_wire::{BatchBody, Dictionary, RowGroup};

use super::load::Made;

const DEPTH: u32 = 30;
const BUNDLE: u32 = 64;
const FRAMES: u32 = 24_000;
const ROWS: u32 = 2_000;
/// Batches of one stream; the next stream has other builds, so that its stacks are others.
const BATCHES: u32 = 20;
const PERIOD: u64 = 52_631_578;

/// What one stream sends.
pub fn made(stream: u64) -> Made {
    let mut dictionary = Dictionary::default();
    let build_id = BuildId::new(BuildIdKind::Gnu, &[7; 20]);
    let build_id = build_id.unwrap_or_else(|_| unreachable!("20 bytes are a build id"));
    let frames: Vec<FrameIx> = (0..FRAMES)
        .map(|n| Frame::Native { build_id: build_id.clone(), offset: u64::from(n) * 64 })
        .map(|frame| dictionary.frames.intern(&frame))
        .collect();
    let series = dictionary.labels.intern(&LabelSet::new([
        ("host", format!("host-{stream}")),
        ("service_name", "cold".to_owned()),
    ]));
    let mut random = fastrand::Rng::with_seed(stream + 1);
    let mut bodies = Vec::new();
    for batch in 0..BATCHES {
        let stacks = batch * ROWS..(batch + 1) * ROWS;
        let rows = stacks.map(|stack| {
            let node = (0..DEPTH).fold(NodeIx::ROOT, |node, depth| {
                let shared = stack / BUNDLE * 131 + depth;
                let frame = if depth < DEPTH / 2 { shared } else { random.u32(..) };
                dictionary.nodes.child(node, frames[(frame % FRAMES) as usize])
            });
            let attributes = Default::default();
            SampleRow { series, attributes, node, value: PERIOD, count: 1 }
        });
        let mut rows: Vec<SampleRow> = rows.collect();
        rows.sort_by_key(|row| row.node);
        let group = RowGroup { profile_type: ProfileType::cpu(), period: PERIOD, rows };
        bodies.push(BatchBody { rows: vec![group], ..BatchBody::default() });
    }
    Made::cold(&dictionary, &bodies)
}
