//! Measures durable ingest: batches of known stacks, and of stacks never seen before, through the
//! wire's decoder into a store on a real disk.
//!
//! `cargo run --release -p stoker-server --example ingest_rate [FOLDER]`; without a folder it works
//! in a temporary one. Rates are per second of wall time, with the CPU time of the whole process
//! beside it, acknowledgement included; making and encoding batches is left out.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark ends when something fails")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use stoker_dag::{
    BuildId, BuildIdKind, Frame, FrameIx, LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos,
    WINDOW_NS,
};
use stoker_server::store::{
    BatchSource, SpoolId, Store, StoreConfig, StoreError, StreamRebase, TenantId,
};
use stoker_wire::{BatchBody, Decoder, Dictionary, Encoder, Rebase, RowGroup, proto};

const BATCHES: u64 = 200;
const ROWS: u32 = 20_000;
const DEPTH: u32 = 30;
const HOSTS: u32 = 4;
const IN_LINE: usize = 16;

/// A dictionary of `stacks` stacks of [`DEPTH`] frames that share their first half in bundles.
fn stacks(stacks: u32, salt: u32) -> (Dictionary, Vec<NodeIx>) {
    let mut dictionary = Dictionary::default();
    let build_id = BuildId::new(BuildIdKind::Gnu, &salt.to_le_bytes()).expect("four bytes");
    let frames: Vec<FrameIx> = (0..24_000u32)
        .map(|n| Frame::Native { build_id: build_id.clone(), offset: u64::from(n) * 64 })
        .map(|frame| dictionary.frames.intern(&frame))
        .collect();
    let mut leaves = Vec::new();
    let mut random = u64::from(salt) + 1;
    for stack in 0..stacks {
        let mut node = NodeIx::ROOT;
        for depth in 0..DEPTH {
            let seed = if depth < DEPTH / 2 { stack / 64 * 131 + depth } else { next(&mut random) };
            node = dictionary.nodes.child(node, frames[seed as usize % frames.len()]);
        }
        leaves.push(node);
    }
    (dictionary, leaves)
}

fn next(random: &mut u64) -> u32 {
    *random =
        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    u32::try_from(*random >> 33).unwrap_or(0)
}

fn batch(dictionary: &mut Dictionary, leaves: &[NodeIx], sequence: u64) -> BatchBody {
    let mut rows: Vec<SampleRow> = Vec::new();
    for (row, leaf) in (0..ROWS).zip(leaves) {
        let host = LabelSet::new([("host", format!("h{}", row % HOSTS)), ("zone", "a".into())]);
        let series = dictionary.labels.intern(&host);
        let count = u64::from(row % 7) + 1;
        let attributes = Default::default();
        rows.push(SampleRow { series, attributes, node: *leaf, value: count * 1000, count });
    }
    rows.sort_by_key(|row| (row.series, row.node));
    let group = RowGroup { profile_type: ProfileType::cpu(), period: 1000, rows };
    let start = UnixNanos(1_700_000_000_000_000_000 + sequence / 20 * WINDOW_NS).window_start();
    BatchBody { sequence, start, duration_ns: 1, rows: vec![group], ..BatchBody::default() }
}

/// Batches as they come off the wire.
fn wire_batches(known: bool) -> Vec<proto::Batch> {
    let mut encoder = Encoder::default();
    let (mut dictionary, leaves) = stacks(ROWS, 0);
    let batches = (1..=if known { BATCHES } else { BATCHES / 10 }).map(|sequence| {
        if known {
            let body = batch(&mut dictionary, &leaves, sequence);
            return encoder.encode(&dictionary, &body, &mut Rebase::default()).batch;
        }
        let salt = u32::try_from(sequence).unwrap_or(0);
        let (mut dictionary, leaves) = stacks(ROWS, salt);
        let body = batch(&mut dictionary, &leaves, sequence);
        encoder.encode(&dictionary, &body, &mut Rebase::default()).batch
    });
    batches.collect()
}

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

async fn measure(store: &Store, what: &str, spool: u8, batches: &[proto::Batch]) {
    let tenant = TenantId::default_tenant();
    let source = BatchSource {
        spool_id: SpoolId([spool; 16]),
        host_id: [spool; 16],
        host_name: "bench".into(),
    };
    let (mut decoder, mut rebase) = (Decoder::default(), StreamRebase::default());
    let (started, used, before) = (Instant::now(), cpu(), store.metrics());
    let mut waiting = std::collections::VecDeque::new();
    let mut acks = Vec::new();
    for batch in batches {
        let body = decoder.decode(batch).expect("a sound batch");
        let sent = Instant::now();
        let dictionary = decoder.dictionary();
        let in_line = store.put_in_line(&tenant, &source, dictionary, &body, &mut rebase).await;
        waiting.push_back((sent, in_line.expect("in line")));
        while waiting.len() >= IN_LINE {
            let Some((sent, in_line)) = waiting.pop_front() else { break };
            in_line.await.expect("durable");
            acks.push(sent.elapsed());
        }
    }
    for (sent, in_line) in waiting {
        in_line.await.expect("durable");
        acks.push(sent.elapsed());
    }
    let (wall, used, after) = (started.elapsed(), cpu() - used, store.metrics());
    acks.sort();
    let rows = f64::from(u32::try_from(after.rows - before.rows).unwrap_or(u32::MAX));
    println!(
        "{what}: {rows} rows, {:.2} M rows/s wall, {:.2} M rows per second of CPU, ack p50 {:?} \
         p99 {:?}, {:.2} log bytes per row, {} syncs",
        rows / wall.as_secs_f64() / 1e6,
        rows / used.as_secs_f64() / 1e6,
        acks[acks.len() / 2],
        acks[acks.len() * 99 / 100],
        f64::from(u32::try_from(after.log_bytes - before.log_bytes).unwrap_or(u32::MAX)) / rows,
        after.log_syncs - before.log_syncs,
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), StoreError> {
    let temporary;
    let dir = match std::env::args().nth(1) {
        Some(dir) => PathBuf::from(dir),
        None => {
            temporary = tempfile::tempdir().map_err(|source| StoreError::Io {
                doing: "make a temporary folder",
                path: PathBuf::new(),
                source,
            })?;
            temporary.path().to_owned()
        }
    };
    let known = wire_batches(true);
    let cold = wire_batches(false);
    let store = Store::open(StoreConfig { dir: dir.clone(), ..StoreConfig::default() })?;
    measure(&store, "known stacks (the first batch teaches them)", 1, &known).await;
    measure(&store, "cold: every stack is new", 2, &cold).await;
    let started = Instant::now();
    store.flush_and_close().await?;
    println!("sealing what was left took {:?}", started.elapsed());
    let started = Instant::now();
    let store = Store::open(StoreConfig { dir, ..StoreConfig::default() })?;
    let metrics = store.metrics();
    println!(
        "opened in {:?}: {} segments, {} rows, {:.2} bytes per row at rest",
        started.elapsed(),
        metrics.segments,
        metrics.segment_rows,
        f64::from(u32::try_from(metrics.segment_bytes).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(metrics.segment_rows).unwrap_or(u32::MAX)),
    );
    Ok(())
}
