//! Questions, and the processes that ask them.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use stoker_benches::store::config;
use stoker_server::query::diff::{DiffOptions, diff};
use stoker_server::query::{
    Engine, Limits, Progress, Query, Selector, TenantParts, flamegraph, fold,
};
use stoker_server::store::{Store, StoreConfig, TenantId, TimeRange};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    FlameOfOne,
    FlameOfAll,
    DiffOfOne,
    DiffOfAll,
}

/// The service that is asked for by name.
const SERVICE: &str = "service_name=\"service-1\"";

impl Question {
    pub(crate) const ALL: [Self; 4] =
        [Self::FlameOfOne, Self::FlameOfAll, Self::DiffOfOne, Self::DiffOfAll];

    fn selectors(self) -> [String; 2] {
        match self {
            Self::FlameOfOne => [format!("cpu{{{SERVICE}}}"), String::new()],
            Self::FlameOfAll => ["cpu".to_owned(), String::new()],
            Self::DiffOfOne => [
                format!("cpu{{{SERVICE},zone=\"zone-0\"}}"),
                format!("cpu{{{SERVICE},zone!=\"zone-0\"}}"),
            ],
            Self::DiffOfAll => {
                ["zone=\"zone-0\"", "zone!=\"zone-0\""].map(|m| format!("cpu{{{m}}}"))
            }
        }
    }

    fn is_diff(self) -> bool {
        matches!(self, Self::DiffOfOne | Self::DiffOfAll)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FlameOfOne => "flame graph of one service",
            Self::FlameOfAll => "flame graph of all",
            Self::DiffOfOne => "diff of one service by zone",
            Self::DiffOfAll => "diff of all by zone",
        })
    }
}

/// Milliseconds, as a clock has them and of CPU.
pub(crate) struct Asked {
    pub(crate) cold: Vec<(f64, f64)>,
    pub(crate) warm: Vec<(f64, f64)>,
    pub(crate) about: String,
}

/// Asks in so many processes, so many times in each after the first.
pub(crate) fn ask(
    store: &Path,
    question: Question,
    times: (usize, usize),
    cache_mib: usize,
) -> Result<Asked> {
    let mut asked = Asked { cold: Vec::new(), warm: Vec::new(), about: String::new() };
    let at = Question::ALL.iter().position(|q| *q == question).context("a question")?;
    for process in 0..times.0.max(1) {
        // Later processes are for the first question only.
        let warm = if process == 0 { times.1 } else { 0 };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--ask").arg(store).args([at, warm, cache_mib].map(|n| n.to_string()));
        let output = command.output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (first, rest) = text.split_once('\n').context("no answer")?;
        asked.about = first.to_owned();
        let mut found = rest.lines().map(|line| -> Result<(f64, f64)> {
            let (wall, cpu) = line.split_once(' ').context("two times")?;
            Ok((wall.parse()?, cpu.parse()?))
        });
        asked.cold.push(found.next().context("no time")??);
        for times in found {
            asked.warm.push(times?);
        }
    }
    Ok(asked)
}

/// One process: says about the answer, then the milliseconds of each question.
pub(crate) fn child(given: &[String]) -> Result<()> {
    let [dir, at, warm, cache_mib] = given else {
        anyhow::bail!("--ask DIR QUESTION TIMES CACHE_MIB")
    };
    let question = *Question::ALL.get(at.parse::<usize>()?).context("a question")?;
    let cache_bytes = cache_mib.parse::<usize>()? << 20;
    let store = Store::open(StoreConfig { cache_bytes, ..config(Path::new(dir)) })?;
    let parts = TenantParts { store, tenant: TenantId::default_tenant() };
    let mut times = Vec::new();
    let mut about = String::new();
    for _ in 0..=warm.parse::<usize>()? {
        let (start, cpu) = (Instant::now(), cpu_ms());
        about = answer(&parts, question)?;
        times.push((start.elapsed(), cpu_ms() - cpu));
    }
    println!("{about}");
    for (wall, cpu) in times {
        println!("{:.3} {cpu:.3}", wall.as_secs_f64() * 1000.0);
    }
    Ok(())
}

/// Milliseconds of CPU that this process has used, all of its threads.
fn cpu_ms() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e3 + used.tv_nsec as f64 / 1e6
}

fn answer(parts: &TenantParts, question: Question) -> Result<String> {
    let limits = Limits { timeout: Duration::from_secs(600), ..Limits::default() };
    let progress = Progress::after(limits.timeout);
    let engine = Engine { parts, limits: &limits, progress: &progress };
    let [first, second] = question.selectors();
    let query = |text: &str| -> Result<Query> {
        let query = Query { selector: Selector::parse(text)?, range: TimeRange::ALL };
        Ok(query.widened(parts))
    };
    let base = query(&first)?;
    let (json, what) = if question.is_diff() {
        let options = DiffOptions::default();
        let answer = diff((engine, &base), (engine, &query(&second)?), &options)?;
        let (base, new) = (answer.base.replicates, answer.new.replicates);
        let bars = if answer.has_error_bars { "error bars" } else { "no error bars" };
        let what = format!("{} functions, {base} and {new} replicates, {bars}", answer.rows_total);
        (serde_json::to_vec(&answer)?, what)
    } else {
        let folded = fold(engine, &base, None)?;
        let graph = flamegraph(&base, &folded, 8_192)?;
        let what = format!("{} boxes before pruning", graph.nodes_before_pruning);
        (serde_json::to_vec(&graph)?, what)
    };
    Ok(format!("{} rows, {what}, {} bytes of JSON", progress.rows(), json.len()))
}
