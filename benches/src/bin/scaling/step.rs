//! One size: a store is filled, merged, weighed and asked.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use stoker_benches::generator::{Fleet, Shape};
use stoker_benches::store::config;
use stoker_dag::UnixNanos;
use stoker_server::query::{
    Engine, Limits, Progress, Query, Selector, TenantParts, TopBy, flamegraph, fold, top,
};
use stoker_server::store::{BatchSource, SpoolId, Store, StreamRebase, TenantId, TimeRange, check};

const HOSTS: u64 = 50;
/// When all samples are taken, in Unix nanoseconds: the start of an hour.
pub(crate) const EPOCH: u64 = 1_700_000_000_000_000_000 / 3_600_000_000_000 * 3_600_000_000_000;
/// Windows that are made at a time, while the clock does not run.
const WINDOWS_AT_A_TIME: u64 = 8;
/// Windows between two lines that say how far it is.
const WINDOWS_A_LINE: u64 = 400;
/// Warm questions, of which the median counts; of more rows than so many there is one.
const WARM: usize = 3;
const MANY_ROWS: u64 = 20_000_000;

/// What was measured at one size.
pub(crate) struct Step {
    pub(crate) rows: u64,
    pub(crate) bytes_per_row: f64,
    pub(crate) bytes_per_node: f64,
    pub(crate) ingest: f64,
    pub(crate) latencies: Vec<(&'static str, f64)>,
}

/// Fills a store with so many rows at least and measures it.
pub(crate) fn step(wanted: u64) -> Result<Step> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let store = Store::open(config(dir.path()))?;
    let begun = Instant::now();
    let Ingested { rows, spent, nodes } = runtime.block_on(ingest(&store, wanted))?;
    let made_in = begun.elapsed();
    runtime.block_on(store.flush_and_close())?;
    drop(store);
    let store = Store::open(config(dir.path()))?;
    let started = Instant::now();
    while store.maintain(UnixNanos(u64::MAX)) {}
    let merged_in = started.elapsed();
    runtime.block_on(store.flush_and_close())?;
    drop(store);
    let report = check(dir.path())?;
    let per = |bytes: u64, of: u64| bytes as f64 / of.max(1) as f64;
    let step = Step {
        rows,
        bytes_per_row: per(report.bytes, report.rows),
        bytes_per_node: per(report.held.stacks, report.nodes),
        ingest: rows as f64 / spent.as_secs_f64(),
        latencies: ask(dir.path(), if rows > MANY_ROWS { 1 } else { WARM }),
    };
    let held = report.held;
    let of_rows = |bytes: u64| per(bytes, report.rows);
    println!(
        "{rows} rows, {} segments, {} slices: {:.2} B/row in all: rows {:.2}, stacks {:.2}, names {:.2}, facts {:.2}; \
         {} nodes, each in {:.2} slices, {:.3} B/node; made and stored in {:.0} s, of that ingest {:.2} M \
         rows/s; merged in {:.1} s",
        report.segments,
        report.slices,
        step.bytes_per_row,
        of_rows(held.rows),
        of_rows(held.stacks),
        of_rows(held.names),
        of_rows(held.facts),
        nodes,
        report.nodes as f64 / nodes as f64,
        step.bytes_per_node,
        made_in.as_secs_f64(),
        step.ingest / 1e6,
        merged_in.as_secs_f64(),
    );
    for (what, ms) in &step.latencies {
        println!("    {what}: {ms:.1} ms");
    }
    Ok(step)
}

struct Ingested {
    rows: u64,
    /// Time that it took until they were durable.
    spent: Duration,
    /// Distinct nodes of all hosts and windows.
    nodes: u64,
}

/// Ingests at least so many rows.
async fn ingest(store: &Store, wanted: u64) -> Result<Ingested> {
    let mut fleet = Fleet::new(Shape::FLEET, 0);
    // One for all hosts, as where one agent speaks for them: each is as large as the dictionary.
    let mut rebase = StreamRebase::default();
    let (mut rows, mut spent, mut window) = (0, Duration::ZERO, 0);
    while rows < wanted {
        let mut made = Vec::new();
        for number in window..window + WINDOWS_AT_A_TIME {
            for host in 0..HOSTS {
                made.push((host, fleet.batch(host, number, EPOCH)));
            }
        }
        window += WINDOWS_AT_A_TIME;
        let started = Instant::now();
        let mut line = Vec::with_capacity(made.len());
        for (host, body) in &made {
            let id = [u8::try_from(*host)? + 1; 16];
            let host_name = format!("host-{host}").into();
            let source = BatchSource { spool_id: SpoolId(id), host_id: id, host_name };
            let tenant = TenantId::default_tenant();
            let dictionary = &fleet.dictionary;
            line.push(store.put_in_line(&tenant, &source, dictionary, body, &mut rebase).await?);
            rows += body.row_count() as u64;
        }
        for in_line in line {
            in_line.await?;
        }
        spent += started.elapsed();
        if window.is_multiple_of(WINDOWS_A_LINE) {
            println!("    {rows} of {wanted} rows, {:.0} s of ingest", spent.as_secs_f64());
        }
    }
    Ok(Ingested { rows, spent, nodes: fleet.dictionary.nodes.len() as u64 - 1 })
}

/// Enough for questions about all of it, however much that is.
fn limits() -> Limits {
    let default = Limits::default();
    Limits {
        timeout: Duration::from_secs(1200),
        max_nodes: 1 << 26,
        max_memory_bytes: 64 << 30,
        max_windows: default.max_windows * 16,
        ..default
    }
}

/// Milliseconds of a few questions, cold and warm (the median); one that cannot be answered is left out.
fn ask(dir: &Path, warm_times: usize) -> Vec<(&'static str, f64)> {
    let mut found = Vec::new();
    for (cold, warm, selector, is_table) in [
        ("flame graph of all, cold", "flame graph of all, warm", "cpu", false),
        (
            "flame graph of one service, cold",
            "flame graph of one service, warm",
            "cpu{service_name=\"service-7\"}",
            false,
        ),
        ("top of all, cold", "top of all, warm", "cpu", true),
    ] {
        match times(dir, selector, is_table, warm_times) {
            Ok((first, middle)) => found.extend([(cold, first), (warm, middle)]),
            Err(error) => println!("    {cold}: {error:#}"),
        }
    }
    found
}

/// Milliseconds of one question to a store that was just opened, and the median of so many more.
fn times(dir: &Path, selector: &str, is_table: bool, warm_times: usize) -> Result<(f64, f64)> {
    let store = Store::open(config(dir))?;
    let parts = TenantParts { store, tenant: TenantId::default_tenant() };
    let query = Query { selector: Selector::parse(selector)?, range: TimeRange::ALL };
    let once = || -> Result<f64> {
        let limits = limits();
        let progress = Progress::after(limits.timeout);
        let engine = Engine { parts: &parts, limits: &limits, progress: &progress };
        let started = Instant::now();
        let json = match is_table {
            true => serde_json::to_vec(&top(engine, &query, TopBy::Function, 100)?)?,
            false => {
                let folded = fold(engine, &query, None)?;
                serde_json::to_vec(&flamegraph(&query, &folded, 8_192)?)?
            }
        };
        anyhow::ensure!(json.len() > 1000, "an empty answer");
        Ok(started.elapsed().as_secs_f64() * 1000.0)
    };
    let cold = once()?;
    let mut warm = (0..warm_times).map(|_| once()).collect::<Result<Vec<f64>>>()?;
    warm.sort_by(f64::total_cmp);
    Ok((cold, warm[warm.len() / 2]))
}
