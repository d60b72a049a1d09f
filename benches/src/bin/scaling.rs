//! How a store grows: bytes at rest, durable ingest and query latency from 10^5 rows up, beside what the
//! same samples take as files of others. `cargo run --release -p stoker-benches --bin scaling --
//! --rows 10000000 --svg docs/images/scaling.svg --history`
//!
//! The fleet is made up (`generator`): 50 hosts, 200 services, 19 Hz. Each step is a store of its own in
//! a temporary folder, through the library: no socket. Batches are made before the clock runs. Bytes
//! are those of the whole folder after all that was due to be merged was merged; latencies are of
//! one thread, from selector to JSON, cold (first question after opening) and warm.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the result is for the person who asked")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stoker_benches::generator::{Fleet, Shape};
use stoker_benches::history::Row;
use stoker_benches::plot::{Line, Plot, svg};
use stoker_dag::{Frame, ProfileType, UnixNanos, WINDOW_NS};
use stoker_server::query::{
    Engine, Limits, Progress, Query, Selector, TenantParts, TopBy, flamegraph, fold, top,
};
use stoker_server::store::{
    BatchSource, SpoolId, Store, StoreConfig, StreamRebase, TenantId, TimeRange, check,
};

const HOSTS: u64 = 50;
const EPOCH: u64 = 1_700_000_000_000_000_000 / 3_600_000_000_000 * 3_600_000_000_000;
/// Windows that are made at a time, while the clock does not run.
const WINDOWS_AT_A_TIME: u64 = 8;
/// Hosts and windows whose samples are written as files of others, too: a minute each.
const SAMPLE_HOSTS: u64 = 10;
const SAMPLE_MINUTES: u64 = 5;

struct Step {
    rows: u64,
    bytes_per_row: f64,
    bytes_per_node: f64,
    rows_only: f64,
    ingest: f64,
    latencies: Vec<(&'static str, f64)>,
}

fn main() -> Result<()> {
    let (mut most, mut picture, mut history) = (10_000_000, None, false);
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        match &*name {
            "--rows" => most = given.next().context("--rows needs a number")?.parse()?,
            "--svg" => picture = Some(PathBuf::from(given.next().context("--svg needs a path")?)),
            "--history" => history = true,
            other => anyhow::bail!("{other} is not known: --rows, --svg, --history"),
        }
    }
    let mut steps = Vec::new();
    let mut wanted = 100_000;
    while wanted <= most {
        steps.push(step(wanted)?);
        wanted *= 10;
    }
    let files = files()?;
    if let Some(path) = picture {
        std::fs::write(&path, draw(&steps, most)).with_context(|| path.display().to_string())?;
    }
    if history {
        append(&steps, &files)?;
    }
    Ok(())
}

fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        dir: dir.to_owned(),
        retain_raw: None,
        maintain_every: Duration::ZERO,
        ..StoreConfig::default()
    }
}

fn step(wanted: u64) -> Result<Step> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let store = Store::open(config(dir.path()))?;
    let (rows, spent) = runtime.block_on(ingest(&store, wanted))?;
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
        rows_only: per(report.held.rows, report.rows),
        ingest: rows as f64 / spent.as_secs_f64(),
        latencies: ask(dir.path())?,
    };
    println!(
        "{rows} rows, {} segments, {} nodes: {:.2} B/row in all ({:.2} in rows), {:.2} B/node in stacks, \
         names {} B; ingest {:.2} M rows/s; merged in {:.1} s",
        report.segments,
        report.nodes,
        step.bytes_per_row,
        step.rows_only,
        step.bytes_per_node,
        report.held.names,
        step.ingest / 1e6,
        merged_in.as_secs_f64(),
    );
    for (what, ms) in &step.latencies {
        println!("    {what}: {ms:.1} ms");
    }
    Ok(step)
}

/// Ingests at least so many rows; gives how many, and the time that it took until they were durable.
async fn ingest(store: &Store, wanted: u64) -> Result<(u64, Duration)> {
    let mut fleet = Fleet::new(Shape::FLEET, 0);
    let mut rebases: Vec<StreamRebase> = (0..HOSTS).map(|_| StreamRebase::default()).collect();
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
            let rebase = &mut rebases[usize::try_from(*host)?];
            line.push(store.put_in_line(&tenant, &source, &fleet.dictionary, body, rebase).await?);
            rows += body.row_count() as u64;
        }
        for in_line in line {
            in_line.await?;
        }
        spent += started.elapsed();
    }
    Ok((rows, spent))
}

/// Milliseconds of a few questions, cold and warm (the median of five).
fn ask(dir: &Path) -> Result<Vec<(&'static str, f64)>> {
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
        let store = Store::open(config(dir))?;
        let parts = TenantParts { store, tenant: TenantId::default_tenant() };
        let query = Query { selector: Selector::parse(selector)?, range: TimeRange::ALL };
        let mut times = Vec::new();
        for _ in 0..6 {
            let limits = Limits { timeout: Duration::from_secs(600), ..Limits::default() };
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
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        found.push((cold, times.remove(0)));
        times.sort_by(f64::total_cmp);
        found.push((warm, times[times.len() / 2]));
    }
    Ok(found)
}

/// What the same samples take as files of others.
struct Files {
    rows: u64,
    store: u64,
    pprof: u64,
    pprof_minutes: u64,
    collapsed: u64,
}

/// A few hosts for a few minutes: one file for each service on each host and window, so that the same is
/// known of every sample; and pprof by the minute, as it is usually taken.
fn files() -> Result<Files> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let store = Store::open(config(dir.path()))?;
    let mut fleet = Fleet::new(Shape::FLEET, 0);
    let mut files = Files { rows: 0, store: 0, pprof: 0, pprof_minutes: 0, collapsed: 0 };
    let tenant = TenantId::default_tenant();
    for host in 0..SAMPLE_HOSTS {
        let mut rebase = StreamRebase::default();
        for number in 0..SAMPLE_MINUTES * 6 {
            let body = fleet.batch(host, number, EPOCH);
            files.rows += body.row_count() as u64;
            let id = [u8::try_from(host)? + 1; 16];
            let host_name = format!("host-{host}").into();
            let source = BatchSource { spool_id: SpoolId(id), host_id: id, host_name };
            let stored = store.append(&tenant, &source, &fleet.dictionary, &body, &mut rebase);
            runtime.block_on(stored)?;
        }
    }
    runtime.block_on(store.flush_and_close())?;
    let store = Store::open(config(dir.path()))?;
    while store.maintain(UnixNanos(u64::MAX)) {}
    runtime.block_on(store.flush_and_close())?;
    drop(store);
    files.store = check(dir.path())?.bytes;
    let store = Store::open(config(dir.path()))?;
    let parts = TenantParts { store, tenant };
    for host in 0..SAMPLE_HOSTS {
        for n in 0..Shape::FLEET.on_each {
            let service = (host + n * 37) % Shape::FLEET.services;
            let selector =
                format!("cpu{{host=\"host-{host}\",service_name=\"service-{service}\"}}");
            let selector = Selector::parse(&selector)?;
            for number in 0..SAMPLE_MINUTES * 6 {
                let one = written(&parts, &selector, number, 1)?;
                files.pprof += one.0;
                files.collapsed += one.1;
                if number % 6 == 0 {
                    files.pprof_minutes += written(&parts, &selector, number, 6)?.0;
                }
            }
        }
    }
    let per = |bytes: u64| bytes as f64 / files.rows as f64;
    println!(
        "{} rows of {SAMPLE_HOSTS} hosts in {SAMPLE_MINUTES} minutes: {:.2} B/row in a merged store; {:.2} as \
         gzipped pprof of each window, {:.2} of each minute; {:.2} as collapsed stacks of each window, zstd",
        files.rows,
        per(files.store),
        per(files.pprof),
        per(files.pprof_minutes),
        per(files.collapsed),
    );
    Ok(files)
}

/// Bytes of gzipped pprof and of collapsed stacks with zstd, for some windows of a selection.
fn written(
    parts: &TenantParts,
    selector: &Selector,
    number: u64,
    windows: u64,
) -> Result<(u64, u64)> {
    let from = UnixNanos(EPOCH + number * WINDOW_NS);
    let range = TimeRange::new(from, UnixNanos(from.0 + windows * WINDOW_NS));
    let query = Query { selector: selector.clone(), range };
    let limits = Limits::default();
    let progress = Progress::after(limits.timeout);
    let folded = fold(Engine { parts, limits: &limits, progress: &progress }, &query, None)?;
    let naming = stoker_analysis::Naming {
        definitions: &folded.profile.definitions,
        modules: &folded.modules,
    };
    let module = |frame: &Frame| naming.module(frame).into_owned();
    let source = stoker_formats::pprof::PprofSource {
        profile: &folded.profile,
        module: &module,
        modules: &folded.modules,
        profile_type: &ProfileType::cpu(),
        start: from,
        duration_ns: windows * WINDOW_NS,
        comment: "",
    };
    let (mut pprof, mut collapsed) = (Vec::new(), Vec::new());
    stoker_formats::pprof::write(&source, &mut pprof)?;
    let tree = stoker_analysis::call_tree(&folded.profile, &folded.modules);
    stoker_formats::collapsed::write(&tree, &mut collapsed)?;
    let mut packed = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    packed.write_all(&collapsed)?;
    Ok((pprof.len() as u64, packed.finish()?.len() as u64))
}

fn draw(steps: &[Step], most: u64) -> String {
    let line = |name: &str, of: &dyn Fn(&Step) -> f64| {
        let points = steps.iter().map(|step| (step.rows as f64, of(step))).collect();
        Line { name: name.into(), points, is_dashed: false }
    };
    let names = steps.first().map(|step| step.latencies.iter().map(|(name, _)| *name));
    let latencies = names.into_iter().flatten().enumerate();
    let latencies = latencies.map(|(at, name)| line(name, &move |step| step.latencies[at].1));
    let plot = |title: &str, y: &str, lines| {
        let (title, x, y) = (title.to_owned(), "rows".to_owned(), y.to_owned());
        Plot { title, x, y, is_log: true, lines }
    };
    let (mut flame, mut rest): (Vec<Line>, Vec<Line>) =
        latencies.partition(|l| l.name.contains("of all"));
    flame.retain(|line| line.name.starts_with("flame"));
    rest.truncate(2);
    let plots = [
        plot("Flame graph of everything, 8,192 boxes as JSON", "ms", flame),
        plot("Flame graph of one service of 200", "ms", rest),
        plot(
            "At rest, merged",
            "bytes",
            vec![
                line("bytes per row, the whole folder", &|step| step.bytes_per_row),
                line("bytes per node, stacks", &|step| step.bytes_per_node),
            ],
        ),
    ];
    let note = format!("cargo run --release -p stoker-benches --bin scaling -- --rows {most}");
    svg(&plots, &note)
}

fn append(steps: &[Step], files: &Files) -> Result<()> {
    let mut row = Row::begin()?;
    for step in steps {
        let rows = step.rows;
        row.add(format!("at rest, {rows} rows: the whole folder"), step.bytes_per_row, "B/row");
        row.add(format!("at rest, {rows} rows: stacks"), step.bytes_per_node, "B/node");
        row.add(format!("ingest in process, {rows} rows"), step.ingest, "row/s");
        for (what, ms) in &step.latencies {
            row.add(format!("{what}, {rows} rows"), *ms, "ms");
        }
    }
    let per = |bytes: u64| bytes as f64 / files.rows as f64;
    row.add("the same samples, stored", per(files.store), "B/row");
    row.add("the same samples, gzipped pprof of each window", per(files.pprof), "B/row");
    row.add("the same samples, gzipped pprof of each minute", per(files.pprof_minutes), "B/row");
    row.add("the same samples, collapsed + zstd of each window", per(files.collapsed), "B/row");
    row.append()?;
    println!("{row}");
    Ok(())
}
