//! Stores to be asked: made once, merged, and closed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stoker_benches::generator::{Fleet, Shape};
use stoker_benches::store::config;
use stoker_dag::{SampleRow, UnixNanos};
use stoker_server::store::{
    BatchSource, SpoolId, Store, StoreConfig, StreamRebase, TenantId, check,
};

/// When loads begin: at a full hour.
pub(crate) const EPOCH: u64 = 1_700_000_000_000_000_000 / HOUR_NS * HOUR_NS;
const HOUR_NS: u64 = 3_600_000_000_000;
const WINDOWS_A_MINUTE: u64 = 6;
/// Windows that are made at a time.
const AT_A_TIME: usize = 4;
/// Windows after which all agents begin new streams, as they do when the server was away: else each
/// keeps where all stacks of all hosts stand.
const STREAM_WINDOWS: u64 = 360;

/// A fleet for some time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) hosts: u64,
    pub(crate) minutes: u64,
    /// Whether each host sends a profile each minute, not each 10 s.
    pub(crate) by_minute: bool,
    /// Rows on nodes beyond so many are left out: the generator never ceases to make new stacks.
    pub(crate) nodes: u32,
    pub(crate) shape: Shape,
}

/// 1,000 profiles of about 1,000 rows each.
pub(crate) const PROFILES: Load = Load {
    hosts: 50,
    minutes: 20,
    by_minute: true,
    nodes: 100_000,
    shape: Shape { services: 2, on_each: 1, samples: 40_000 },
};

/// 200 hosts for 24 hours, four services on each, 40 services in all, a profile of each each minute.
pub(crate) const DAY: Load = Load {
    hosts: 200,
    minutes: 24 * 60,
    by_minute: true,
    nodes: 200_000,
    shape: Shape { services: 40, on_each: 4, samples: 24 },
};

/// The store of a load, which is made unless it is there.
pub(crate) fn store(load: &Load, dir: &Path) -> Result<PathBuf> {
    if !dir.exists() {
        let start = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let store = Store::open(config(dir))?;
        runtime.block_on(ingest(&store, load))?;
        runtime.block_on(store.flush_and_close())?;
        println!("made and stored in {:.1} s", start.elapsed().as_secs_f64());
        maintained(config(dir), u64::MAX)?;
    }
    describe(dir)?;
    Ok(dir.to_owned())
}

/// The store of a load with its rows summed up by the hour, made from that with raw rows.
pub(crate) fn hourly(load: &Load, raw: &Path, dir: &Path) -> Result<PathBuf> {
    if !dir.exists() {
        copy(raw, dir)?;
        let config = StoreConfig {
            retain_raw: Some(Duration::from_secs(3600)),
            retain_hourly: None,
            ..config(dir)
        };
        maintained(config, EPOCH + (load.minutes / 60 + 3) * HOUR_NS)?;
    }
    describe(dir)?;
    Ok(dir.to_owned())
}

fn maintained(config: StoreConfig, now: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (store, start) = (Store::open(config)?, Instant::now());
    while store.maintain(UnixNanos(now)) {}
    runtime.block_on(store.flush_and_close())?;
    println!("merged in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let (entry, target) = (entry?, to.to_owned());
        let target = target.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

fn describe(dir: &Path) -> Result<()> {
    let report = check(dir)?;
    println!(
        "{}: {} segments, {} rows, {} nodes, {} bytes",
        dir.display(),
        report.segments,
        report.rows,
        report.nodes,
        report.bytes
    );
    Ok(())
}

async fn ingest(store: &Store, load: &Load) -> Result<()> {
    let step = if load.by_minute { WINDOWS_A_MINUTE } else { 1 };
    let numbers: Vec<u64> =
        (0..load.minutes * WINDOWS_A_MINUTE).step_by(usize::try_from(step)?).collect();
    let of_stream = |a: &u64, b: &u64| a / STREAM_WINDOWS == b / STREAM_WINDOWS;
    for numbers in numbers.chunk_by(of_stream) {
        // Each hour does what the last one did: a program's stacks are mostly those that it had.
        let mut fleet = Fleet::new(load.shape, 0);
        let mut rebases: Vec<StreamRebase> = Vec::new();
        rebases.resize_with(usize::try_from(load.hosts)?, StreamRebase::default);
        for numbers in numbers.chunks(AT_A_TIME) {
            send(store, load, numbers, (&mut fleet, &mut rebases)).await?;
        }
    }
    Ok(())
}

/// Sends some windows of all hosts, and waits until they are durable.
async fn send(
    store: &Store,
    load: &Load,
    numbers: &[u64],
    (fleet, rebases): (&mut Fleet, &mut [StreamRebase]),
) -> Result<()> {
    let mut line = Vec::new();
    for &number in numbers {
        for (host, rebase) in (0..load.hosts).zip(&mut *rebases) {
            let mut body = fleet.batch(host, number, EPOCH);
            let kept = |row: &SampleRow| row.node.0 < load.nodes;
            body.rows.iter_mut().for_each(|group| group.rows.retain(kept));
            let mut id = [7; 16];
            id[..8].copy_from_slice(&host.to_le_bytes());
            let host_name = format!("host-{host}").into();
            let source = BatchSource { spool_id: SpoolId(id), host_id: id, host_name };
            let tenant = TenantId::default_tenant();
            line.push(store.put_in_line(&tenant, &source, &fleet.dictionary, &body, rebase).await?);
        }
    }
    for in_line in line {
        in_line.await?;
    }
    Ok(())
}
