//! How long answers take: flame graphs and diffs over made-up fleets, in process and over HTTP.
//! `cargo run --release -p stoker-benches --bin query`; `--help` lists what can be set.
//!
//! Two loads of `generator`'s: 1,000 one-minute profiles, and a day of 200 hosts as it came (raw) and
//! summed up by the hour. Each is stored through the library into a folder, merged, and asked in new
//! processes of this program: **cold** is the first question of a process, over the files of the page
//! cache with no block decoded; **warm** are those after it, over decoded blocks. Kept answers play no
//! part: they are the HTTP layer's. A question ends with the JSON of 8,192 boxes, or of 100 functions.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the result is for the person who asked")]

mod ask;
mod load;
mod over_http;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use stoker_benches::history::Row;

use ask::{Asked, Question};
use load::Load;

const HELP: &str = "\
--only profiles|day|hourly   one load, not all
--hosts N --hours N          the size of the day (200, 24)
--samples N                  samples of one service on one host in a minute of it, on average (24)
--cold N --warm N            processes, and questions of each after its first (8, 40)
--cache MIB                  decoded blocks that a process keeps (256, as in a server)
--dir D                      keeps the stores in D, and uses those that are there
--http                       asks the first load over HTTP, too
--history                    appends to benches/history/";

struct Arguments {
    only: Option<String>,
    day: Load,
    cold: usize,
    warm: usize,
    cache_mib: usize,
    dir: Option<PathBuf>,
    http: bool,
    history: bool,
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments> {
    let mut all = Arguments {
        only: None,
        day: load::DAY,
        cold: 8,
        warm: 40,
        cache_mib: 256,
        dir: None,
        http: false,
        history: false,
    };
    while let Some(name) = given.next() {
        let mut value = || given.next().with_context(|| format!("{name} needs a value\n{HELP}"));
        match &*name {
            "--only" => all.only = Some(value()?),
            "--hosts" => all.day.hosts = value()?.parse()?,
            "--hours" => all.day.minutes = value()?.parse::<u64>()? * 60,
            "--samples" => all.day.shape.samples = value()?.parse()?,
            "--cold" => all.cold = value()?.parse()?,
            "--warm" => all.warm = value()?.parse()?,
            "--cache" => all.cache_mib = value()?.parse()?,
            "--dir" => all.dir = Some(value()?.into()),
            "--http" => all.http = true,
            "--history" => all.history = true,
            _ => bail!("{name} is not known\n{HELP}"),
        }
    }
    Ok(all)
}

fn main() -> Result<()> {
    let mut given = std::env::args().skip(1).peekable();
    // What this program asks of itself, to begin with empty caches.
    if given.next_if(|first| first == "--ask").is_some() {
        return ask::child(&given.collect::<Vec<_>>());
    }
    let all = arguments(given)?;
    let temporary = tempfile::tempdir()?;
    let dir = all.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let wants = |name: &str| all.only.as_deref().is_none_or(|only| only == name);
    let mut row = all.history.then(Row::begin).transpose()?;
    if wants("profiles") {
        let store = load::store(&load::PROFILES, &dir.join("profiles"))?;
        questions("1,000 one-minute profiles", &store, &all, &mut row)?;
        if all.http {
            over_http::ask(&store, all.warm)?;
        }
    }
    if wants("day") || wants("hourly") {
        let raw = load::store(&all.day, &dir.join("day"))?;
        let name = format!("{} hosts, {} h", all.day.hosts, all.day.minutes / 60);
        if wants("day") {
            questions(&format!("{name}, raw"), &raw, &all, &mut row)?;
        }
        if wants("hourly") {
            let hourly = load::hourly(&all.day, &raw, &dir.join("hourly"))?;
            questions(&format!("{name}, hourly stacks"), &hourly, &all, &mut row)?;
        }
    }
    if let Some(row) = row {
        row.append()?;
    }
    Ok(())
}

fn questions(name: &str, store: &Path, all: &Arguments, row: &mut Option<Row>) -> Result<()> {
    for question in Question::ALL {
        let Asked { cold, warm, about } =
            ask::ask(store, question, (all.cold, all.warm), all.cache_mib)?;
        let wall = |times: &[(f64, f64)]| quantiles(times.iter().map(|(wall, _)| *wall).collect());
        let cpu = |times: &[(f64, f64)]| quantiles(times.iter().map(|(_, cpu)| *cpu).collect()).0;
        let (cold_cpu, warm_cpu) = (cpu(&cold), cpu(&warm));
        let (cold, warm) = (wall(&cold), wall(&warm));
        println!(
            "{name}: {question}: cold p50 {:.1} p99 {:.1} ms (CPU p50 {cold_cpu:.1}), \
             warm p50 {:.1} p99 {:.1} ms (CPU p50 {warm_cpu:.1}); {about}",
            cold.0, cold.1, warm.0, warm.1
        );
        if let Some(row) = row {
            row.add(format!("{name}: {question}: cold p99"), cold.1, "ms");
            row.add(format!("{name}: {question}: warm p99"), warm.1, "ms");
        }
    }
    Ok(())
}

/// The median and the 99th of a hundred; of fewer than a hundred the largest.
fn quantiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len() * percent / 100).or(times.last());
    (at(50).copied().unwrap_or(0.0), at(99).copied().unwrap_or(0.0))
}
