//! The same samples as files of others.

use std::io::Write as _;

use anyhow::Result;
use stoker_benches::generator::{Fleet, Shape};
use stoker_benches::store::config;
use stoker_dag::{Frame, ProfileType, UnixNanos, WINDOW_NS};
use stoker_server::query::{Engine, Limits, Progress, Query, Selector, TenantParts, fold};
use stoker_server::store::{BatchSource, SpoolId, Store, StreamRebase, TenantId, TimeRange, check};

use super::step::EPOCH;

/// Hosts and windows whose samples are written as files of others, too: a minute each.
const SAMPLE_HOSTS: u64 = 10;
const SAMPLE_MINUTES: u64 = 5;

/// What the same samples take as files of others.
pub(crate) struct Files {
    pub(crate) rows: u64,
    pub(crate) store: u64,
    pub(crate) pprof: u64,
    pub(crate) pprof_minutes: u64,
    pub(crate) collapsed: u64,
    /// The store, and below it the gzipped pprof files of each minute.
    pub(crate) dir: tempfile::TempDir,
    pub(crate) minutes: Vec<std::path::PathBuf>,
    /// Collapsed stacks of all windows, not compressed.
    pub(crate) lines: Vec<u8>,
}

/// A few hosts for a few minutes: one file for each service on each host and window, so that the same is
/// known of every sample; and pprof by the minute, as it is usually taken.
pub(crate) fn files() -> Result<Files> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let store = Store::open(config(dir.path()))?;
    let mut fleet = Fleet::new(Shape::FLEET, 0);
    let mut sums = [0u64; 4];
    let (mut minutes, mut lines, mut rows) = (Vec::new(), Vec::new(), 0);
    let tenant = TenantId::default_tenant();
    for host in 0..SAMPLE_HOSTS {
        let mut rebase = StreamRebase::default();
        for number in 0..SAMPLE_MINUTES * 6 {
            let body = fleet.batch(host, number, EPOCH);
            rows += body.row_count() as u64;
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
    sums[0] = check(dir.path())?.bytes;
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
                sums[1] += one.pprof.len() as u64;
                sums[3] += one.packed()?.len() as u64;
                lines.extend(one.collapsed);
                if number % 6 == 0 {
                    let minute = written(&parts, &selector, number, 6)?.pprof;
                    sums[2] += minute.len() as u64;
                    let path = dir.path().join(format!("{host}-{service}-{number}.pb.gz"));
                    std::fs::write(&path, minute)?;
                    minutes.push(path);
                }
            }
        }
    }
    let [store, pprof, pprof_minutes, collapsed] = sums;
    let files = Files { rows, store, pprof, pprof_minutes, collapsed, dir, minutes, lines };
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

/// Some windows of a selection.
struct Written {
    /// Gzipped.
    pprof: Vec<u8>,
    collapsed: Vec<u8>,
}

impl Written {
    fn packed(&self) -> Result<Vec<u8>> {
        let mut packed = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
        packed.write_all(&self.collapsed)?;
        Ok(packed.finish()?)
    }
}

/// Writes some windows of a selection.
fn written(parts: &TenantParts, selector: &Selector, number: u64, windows: u64) -> Result<Written> {
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
    Ok(Written { pprof, collapsed })
}
