//! What the made-up fleet's stacks are like beside real ones, and what both cost at rest: `cargo run
//! --release -p stoker-benches --bin shape -- FILE…`, each file a pprof, collapsed or `perf script` one
//! (`stoker record -d 300 -o machine.pb.gz` makes one). A table in Markdown.
//!
//! Each profile is stored as one batch of one window in a store of its own and merged as merged segments
//! are, so that its stacks take what they take at rest.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the result is for the person who asked")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stoker_benches::generator::{Fleet, Shape};
use stoker_benches::shape::Stacks;
use stoker_dag::{FrameIx, LabelSet, ProfileType, SampleRow, UnixNanos, WINDOW_NS};
use stoker_server::store::{
    BatchSource, CheckReport, SpoolId, Store, StoreConfig, StreamRebase, TenantId, check,
};
use stoker_wire::{BatchBody, Dictionary, HostFacts, RowGroup};

/// Samples of one service of the made-up fleet, on a host with less to do than most (0.4 of it): about as many
/// as the largest of the outside files has, and an eighth.
const SERVICE_SAMPLES: [u64; 2] = [60_000, 7_500];
/// Hosts and windows of the made-up fleet.
const HOSTS: u64 = 50;
const WINDOWS: u64 = 6;

fn main() -> Result<()> {
    println!(
        "| profile | samples | stacks | in 190 samples | met once | depth mean, max | nodes | nodes/stack | \
         nodes/edge | stacks B/node | names B/frame | all B/stack |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for samples in SERVICE_SAMPLES {
        let mut fleet = Fleet::new(Shape { samples, on_each: 1, ..Shape::FLEET }, 0);
        let body = fleet.batch(0, 0, 0);
        row("one made-up service", &fleet.dictionary, vec![body])?;
    }
    let mut fleet = Fleet::new(Shape::FLEET, 0);
    let all = (0..WINDOWS).flat_map(|window| (0..HOSTS).map(move |host| (host, window)));
    let bodies = all.map(|(host, window)| fleet.batch(host, window, 0)).collect();
    row(&format!("made-up fleet, {HOSTS} hosts, {WINDOWS} windows"), &fleet.dictionary, bodies)?;
    for file in std::env::args().skip(1) {
        let bytes = std::fs::read(&file).with_context(|| file.clone())?;
        let options = stoker_formats::ReadOptions { file_name: file.clone(), ..Default::default() };
        let read = stoker_formats::read(&bytes, &options).with_context(|| file.clone())?;
        let (dictionary, body) = imported(read);
        let name = Path::new(&file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        row(&name, &dictionary, vec![body])?;
    }
    Ok(())
}

/// A file's default profile as one batch.
fn imported(mut read: stoker_formats::Imported) -> (Dictionary, BatchBody) {
    let profile = read.profiles.swap_remove(read.default);
    let mut dictionary = Dictionary {
        frames: read.frames,
        nodes: read.nodes,
        modules: read.modules,
        ..Dictionary::default()
    };
    let series = dictionary.labels.intern(&LabelSet::new([("service_name", "file")]));
    let rows = profile.rows.iter().map(|row| SampleRow {
        series,
        attributes: Default::default(),
        node: row.node,
        value: row.value,
        // Formats without a count have a sample for each row.
        count: row.count.max(1),
    });
    let mut rows: Vec<SampleRow> = rows.collect();
    rows.sort_by_key(|row| row.node);
    let frames = (0..).map(FrameIx).zip(dictionary.frames.iter());
    let known = frames.filter_map(|(ix, (id, _))| Some((ix, read.definitions.get(&id)?.clone())));
    let body = BatchBody {
        sequence: 1,
        start: UnixNanos(0),
        duration_ns: WINDOW_NS,
        definitions: known.collect(),
        rows: vec![RowGroup { profile_type: ProfileType::cpu(), period: 0, rows }],
        facts: HostFacts::default(),
        ..BatchBody::default()
    };
    (dictionary, body)
}

fn row(name: &str, dictionary: &Dictionary, bodies: Vec<BatchBody>) -> Result<()> {
    let rows = bodies.iter().flat_map(|body| &body.rows).flat_map(|group| &group.rows);
    let found = Stacks::of(&dictionary.nodes, rows.map(|row| (row.node, row.count)));
    let report = stored(dictionary, bodies)?;
    let per = |bytes: u64, of: u64| bytes as f64 / of.max(1) as f64;
    println!(
        "| {name} | {} | {} | {:.0} | {:.1} % | {:.1}, {} | {} | {:.2} | {:.2} | {:.3} | {:.1} | {:.2} |",
        found.samples,
        found.stacks,
        found.in_window,
        found.met_once * 100.0,
        found.mean_depth,
        found.max_depth,
        found.nodes,
        per(found.nodes, found.stacks),
        per(found.nodes, found.edges),
        per(report.held.stacks, report.nodes),
        per(report.held.names, found.frames),
        per(report.bytes, report.rows),
    );
    Ok(())
}

/// What a store of nothing else takes.
fn stored(dictionary: &Dictionary, bodies: Vec<BatchBody>) -> Result<CheckReport> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let config = || StoreConfig {
        dir: dir.path().to_owned(),
        retain_raw: None,
        maintain_every: Duration::ZERO,
        ..StoreConfig::default()
    };
    let source = |id: u8| BatchSource {
        spool_id: SpoolId([id; 16]),
        host_id: [id; 16],
        host_name: format!("host-{id}").into(),
    };
    // Only segments of which there are several are merged: the second has next to nothing.
    let more = bodies.first().map(|body| BatchBody {
        sequence: 1,
        rows: body
            .rows
            .iter()
            .map(|group| RowGroup { rows: vec![group.rows[0]], ..group.clone() })
            .collect(),
        definitions: Vec::new(),
        ..body.clone()
    });
    for (id, bodies) in [(1, bodies), (2, more.into_iter().collect())] {
        let store = Store::open(config())?;
        let (mut rebase, tenant) = (StreamRebase::default(), TenantId::default_tenant());
        for (sequence, body) in (1..).zip(bodies) {
            let body = BatchBody { sequence, ..body };
            runtime.block_on(store.append(&tenant, &source(id), dictionary, &body, &mut rebase))?;
        }
        runtime.block_on(store.flush_and_close())?;
    }
    let store = Store::open(config())?;
    while store.maintain(UnixNanos(u64::MAX)) {}
    runtime.block_on(store.flush_and_close())?;
    drop(store);
    Ok(check(dir.path())?)
}
