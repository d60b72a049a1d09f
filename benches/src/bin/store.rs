//! What rows cost at rest, and how long a flame graph over them takes: no socket, no kernel, one
//! thread that asks. `cargo run --release -p stoker-benches --bin store`.
//!
//! The fleet is made up, from a fixed seed: services are programs whose functions call a few others
//! each (the first far more often than the last), so stacks share callers as real ones do; a window
//! draws its samples from the service's hot stacks by 1/rank, and one in ten from a fresh walk.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the result is for the person who asked")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stoker_dag::{
    BuildId, BuildIdKind, Frame, FrameIx, LabelIx, LabelSet, NodeIx, ProfileType, SampleRow,
    UnixNanos, WINDOW_NS,
};
use stoker_server::query::{
    Engine, Limits, Progress, Query, Selector, TenantParts, flamegraph, fold,
};
use stoker_server::store::{
    BatchSource, SpoolId, Store, StoreConfig, StreamRebase, TenantId, TimeRange, check,
};
use stoker_wire::{BatchBody, Dictionary, HostFacts, RowGroup};

const PERIOD_NS: u64 = 52_631_578;
const FUNCTIONS: u64 = 20_000;
const EPOCH: u64 = 1_700_000_000_000_000_000 / 3_600_000_000_000 * 3_600_000_000_000;

/// One kind of load.
struct Load {
    name: &'static str,
    hosts: u64,
    services: u64,
    /// Services on each host.
    on_each: u64,
    windows: u64,
    /// Samples of one service on one host in one window.
    samples: u64,
    hot_stacks: usize,
}

const LOADS: [Load; 2] = [
    Load {
        name: "an hour of 20 hosts, 2 services on each, 19 Hz, one busy CPU for each service",
        hosts: 20,
        services: 10,
        on_each: 2,
        windows: 360,
        samples: 190,
        hot_stacks: 2_000,
    },
    Load {
        name: "1,000 one-minute profiles of about 1,000 rows",
        hosts: 50,
        services: 10,
        on_each: 2,
        windows: 10,
        samples: 5_600,
        hot_stacks: 1_500,
    },
];

struct Fleet {
    random: fastrand::Rng,
    dictionary: Dictionary,
    frames: Vec<FrameIx>,
    hot: Vec<Vec<NodeIx>>,
}

impl Fleet {
    fn new(load: &Load) -> Self {
        let mut dictionary = Dictionary::default();
        let mut random = fastrand::Rng::with_seed(11);
        let frames = (0..FUNCTIONS).map(|n| {
            let build = BuildId::new(BuildIdKind::Gnu, &[u8::try_from(n % 40).unwrap_or(0); 20]);
            let build_id = build.unwrap_or_else(|_| unreachable!("20 bytes are a build id"));
            let offset = (n / 40) * 200 + random.u64(..100);
            dictionary.frames.intern(&Frame::Native { build_id, offset })
        });
        let frames = frames.collect();
        let mut fleet = Self { random, dictionary, frames, hot: Vec::new() };
        for service in 0..load.services {
            let stacks = (0..load.hot_stacks).map(|_| fleet.walk(service)).collect();
            fleet.hot.push(stacks);
        }
        fleet
    }

    /// A stack: from the service's main function, each time to one of the few that are called there.
    fn walk(&mut self, service: u64) -> NodeIx {
        let (mut node, mut at) = (NodeIx::ROOT, service);
        // 5 to 120 frames, 30 on average.
        let depth = 5 + (0..5).map(|_| self.random.u64(..11)).sum::<u64>();
        let depth = if self.random.u8(..50) == 0 { depth * 3 } else { depth };
        for _ in 0..depth.min(120) {
            let frame = self.frames[usize::try_from(at % FUNCTIONS).unwrap_or(0)];
            node = self.dictionary.nodes.child(node, frame);
            let callees = 1 + at % 6;
            let choice = self.random.u64(..=callees).min(self.random.u64(..=callees));
            at = at.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(choice * 7919) >> 7;
        }
        node
    }

    /// Counts by stack of one service's samples in one window.
    fn window(&mut self, service: u64, samples: u64) -> BTreeMap<NodeIx, u64> {
        let mut counts = BTreeMap::new();
        for _ in 0..samples {
            let node = if self.random.u8(..10) == 0 {
                self.walk(service)
            } else {
                let hot = &self.hot[usize::try_from(service).unwrap_or(0)];
                // Each halving of the bound is as likely: weights fall off like 1/rank.
                let bound = (hot.len() >> self.random.u32(..11)).max(1);
                hot[self.random.usize(..bound)]
            };
            *counts.entry(node).or_insert(0) += 1;
        }
        counts
    }
}

fn main() -> Result<()> {
    for load in &LOADS {
        let dir = tempfile::tempdir()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let config = |maintain_every| StoreConfig {
            dir: dir.path().to_owned(),
            retain_raw: None,
            maintain_every,
            seal_rows: 200_000,
            ..StoreConfig::default()
        };
        let store = Store::open(config(Duration::ZERO))?;
        let start = Instant::now();
        runtime.block_on(ingest(&store, load))?;
        runtime.block_on(store.flush_and_close())?;
        drop(store);
        println!("\n{}: made and stored in {:.1} s", load.name, start.elapsed().as_secs_f64());
        show("sealed", dir.path())?;
        let store = Store::open(config(Duration::ZERO))?;
        let start = Instant::now();
        while store.maintain(UnixNanos(u64::MAX)) {}
        println!("merged in {:.2} s", start.elapsed().as_secs_f64());
        runtime.block_on(store.flush_and_close())?;
        drop(store);
        show("merged", dir.path())?;
        ask(|| Store::open(config(Duration::ZERO)))?;
    }
    Ok(())
}

async fn ingest(store: &Store, load: &Load) -> Result<()> {
    let mut fleet = Fleet::new(load);
    let mut rebases: Vec<StreamRebase> = (0..load.hosts).map(|_| StreamRebase::default()).collect();
    for window in 0..load.windows {
        for (host, rebase) in (0..load.hosts).zip(&mut rebases) {
            let mut rows = Vec::new();
            for n in 0..load.on_each {
                let service = (host + n * 3) % load.services;
                let set = LabelSet::new([
                    ("host", format!("host-{host}")),
                    ("service_name", format!("service-{service}")),
                ]);
                let series = fleet.dictionary.labels.intern(&set);
                for (node, count) in fleet.window(service, load.samples) {
                    let value = count * PERIOD_NS;
                    let attributes = LabelIx::default();
                    rows.push(SampleRow { series, attributes, node, value, count });
                }
            }
            rows.sort_by_key(|row| (row.series, row.node));
            let samples_taken = rows.iter().map(|row| row.count).sum();
            let body = BatchBody {
                sequence: window + 1,
                start: UnixNanos(EPOCH + window * WINDOW_NS),
                duration_ns: WINDOW_NS,
                rows: vec![RowGroup { profile_type: ProfileType::cpu(), period: PERIOD_NS, rows }],
                facts: HostFacts { samples_taken, cpus: 4, ..HostFacts::default() },
                ..BatchBody::default()
            };
            let id = [u8::try_from(host).unwrap_or(0) + 1; 16];
            let host_name = format!("host-{host}").into();
            let source = BatchSource { spool_id: SpoolId(id), host_id: id, host_name };
            let tenant = TenantId::default_tenant();
            store.append(&tenant, &source, &fleet.dictionary, &body, rebase).await?;
        }
    }
    Ok(())
}

fn show(what: &str, dir: &std::path::Path) -> Result<()> {
    let report = check(dir)?;
    let per = |bytes: u64, of: u64| bytes as f64 / of.max(1) as f64;
    let held = report.held;
    println!(
        "{what}: {} segments, {} rows, {} nodes, {} bytes: {:.2} bytes per row in all; \
         {:.2} per row in rows, {:.2} per node in stacks; names {}, stacks {}, rows {}, facts {}",
        report.segments,
        report.rows,
        report.nodes,
        report.bytes,
        per(report.bytes, report.rows),
        per(held.rows, report.rows),
        per(held.stacks, report.nodes),
        held.names,
        held.stacks,
        held.rows,
        held.facts,
    );
    Ok(())
}

/// Flame graphs of all of it, as JSON: the first after opening, then warm ones.
fn ask<E: std::error::Error + Send + Sync + 'static>(
    open: impl Fn() -> Result<Store, E>,
) -> Result<()> {
    let selector = Selector::parse("cpu").context("the selector")?;
    let query = Query { selector, range: TimeRange::ALL };
    let limits = Limits::default();
    let (mut cold, mut warm, mut folds, mut boxes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..5 {
        let store = open()?;
        let parts = TenantParts { store, tenant: TenantId::default_tenant() };
        for turn in 0..20 {
            let progress = Progress::after(limits.timeout);
            let engine = Engine { parts: &parts, limits: &limits, progress: &progress };
            let start = Instant::now();
            let folded = fold(engine, &query, None)?;
            let folded_in = start.elapsed();
            let graph = flamegraph(&query, &folded, 8_192)?;
            let json = serde_json::to_vec(&graph)?;
            anyhow::ensure!(!json.is_empty());
            boxes = graph.nodes_before_pruning;
            if turn == 0 {
                cold.push(start.elapsed());
            } else {
                warm.push(start.elapsed());
                folds.push(folded_in);
            }
        }
    }
    for times in [&mut cold, &mut warm, &mut folds] {
        times.sort_unstable();
    }
    let ms = |times: &[Duration], percent: usize| {
        times
            .get((times.len() * percent / 100).min(times.len() - 1))
            .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    println!(
        "flame graph of {boxes} boxes, pruned to 8,192, as JSON: cold p50 {:.0} ms, max {:.0} ms; \
         warm p50 {:.1} ms, p99 {:.1} ms, of that folding p50 {:.1} ms",
        ms(&cold, 50),
        ms(&cold, 100),
        ms(&warm, 50),
        ms(&warm, 99),
        ms(&folds, 50),
    );
    Ok(())
}
