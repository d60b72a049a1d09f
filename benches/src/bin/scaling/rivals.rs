//! How long others take for the same: a picture of collapsed stacks by inferno, the sum of pprof files by
//! google/pprof, each beside ours, all of one thread.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use stoker_benches::store::config;
use stoker_dag::{Frame, ModuleMap, Profile, ProfileType, UnixNanos};
use stoker_server::query::{Engine, Limits, Progress, Query, Selector, TenantParts, fold};
use stoker_server::store::{Store, TenantId, TimeRange};

use super::files::Files;

/// Each is done so many times; the median counts.
const TIMES: usize = 5;
/// The program that calls google/pprof's `profile` package, and where Debian's package of it lies
/// (`golang-github-google-pprof-dev`).
const MERGE_GO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rivals/merge.go");
const GO_PATH: &str = "/usr/share/gocode";

/// Milliseconds; none where a rival cannot run here.
pub(crate) struct Rivals {
    pub(crate) times: Vec<(String, Option<f64>)>,
}

/// Measures.
pub(crate) fn rivals(files: &Files) -> Result<Rivals> {
    let svg = format!("SVG of {} rows", files.rows);
    let merged = format!("sum of {} gzipped pprof files", files.minutes.len());
    let mut times = vec![
        (format!("{svg}: stored rows, opened and folded, drawn"), Some(median(|| drawn(files))?)),
        (
            format!("{svg}: inferno, from collapsed stacks in memory"),
            Some(median(|| inferno(files))?),
        ),
        (format!("{merged}: stoker-formats"), Some(median(|| summed(files))?)),
    ];
    let (google, why) = match google(files) {
        Ok(ms) => (Some(ms), String::new()),
        Err(error) => (None, format!(" ({error:#})")),
    };
    times.push((format!("{merged}: google/pprof{why}"), google));
    let mut table = String::new();
    for (what, ms) in &times {
        let ms = ms.map_or("not measured".to_owned(), |ms| format!("{ms:.0} ms"));
        writeln!(table, "{what}: {ms}")?;
    }
    print!("{table}");
    Ok(Rivals { times })
}

fn median(mut once: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let started = Instant::now();
        once()?;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[TIMES / 2])
}

/// What a server does that has just started.
fn drawn(files: &Files) -> Result<()> {
    let store = Store::open(config(files.dir.path()))?;
    let parts = TenantParts { store, tenant: TenantId::default_tenant() };
    let query = Query { selector: Selector::parse("cpu")?, range: TimeRange::ALL };
    let limits = Limits::default();
    let progress = Progress::after(limits.timeout);
    let folded =
        fold(Engine { parts: &parts, limits: &limits, progress: &progress }, &query, None)?;
    let tree = stoker_analysis::call_tree(&folded.profile, &folded.modules);
    let mut out = Vec::new();
    stoker_formats::svg::write(&tree, &ProfileType::cpu(), ("all", ""), &mut out)?;
    ensure!(out.len() > 10_000, "an empty picture");
    Ok(())
}

/// The same lines as of each window's file, one after another.
fn inferno(files: &Files) -> Result<()> {
    let mut options = inferno::flamegraph::Options::default();
    options.direction = inferno::flamegraph::Direction::Inverted;
    let mut out = Vec::new();
    inferno::flamegraph::from_reader(&mut options, &*files.lines, &mut out)?;
    ensure!(out.len() > 10_000, "an empty picture");
    Ok(())
}

/// Reads all files, sums them, writes the sum.
fn summed(files: &Files) -> Result<()> {
    let (mut sum, mut modules) = (Profile::default(), ModuleMap::default());
    for path in &files.minutes {
        let read = stoker_formats::pprof::read(&std::fs::read(path)?, &Default::default())?;
        let at = read.default;
        let (profile, known) = read.into_profile(at);
        sum.merge(&profile);
        modules.merge(&known);
    }
    let naming = stoker_analysis::Naming { definitions: &sum.definitions, modules: &modules };
    let module = |frame: &Frame| naming.module(frame).into_owned();
    let source = stoker_formats::pprof::PprofSource {
        profile: &sum,
        module: &module,
        modules: &modules,
        profile_type: &ProfileType::cpu(),
        start: UnixNanos(0),
        duration_ns: 0,
        comment: "",
    };
    let mut out = Vec::new();
    stoker_formats::pprof::write(&source, &mut out)?;
    ensure!(out.len() > 10_000, "an empty sum");
    Ok(())
}

/// The program prints the milliseconds of each time, without its own start.
fn google(files: &Files) -> Result<f64> {
    ensure!(
        Path::new(GO_PATH).join("src/github.com/google/pprof/profile").exists(),
        "not installed"
    );
    let program = files.dir.path().join("merge");
    let mut build = Command::new("go");
    build.env("GO111MODULE", "off").env("GOPATH", GO_PATH).env("GOFLAGS", "");
    build.args(["build", "-o"]).arg(&program).arg(MERGE_GO);
    let built = build.output().context("no Go compiler")?;
    ensure!(built.status.success(), "does not build: {}", String::from_utf8_lossy(&built.stderr));
    let mut run = Command::new(&program);
    run.env("GOMAXPROCS", "1").arg(TIMES.to_string()).args(&files.minutes);
    let output = run.output().context("the program does not run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut times: Vec<f64> = text.lines().map(str::parse).collect::<Result<_, _>>()?;
    ensure!(times.len() == TIMES, "failed: {}", String::from_utf8_lossy(&output.stderr));
    times.sort_by(f64::total_cmp);
    Ok(times[TIMES / 2])
}
