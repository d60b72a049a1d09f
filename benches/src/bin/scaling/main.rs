//! How a store grows: bytes at rest, durable ingest and query latency from 10^5 rows up, beside what the
//! same samples take as files of others, and how long others take for them. `cargo run --release -p
//! stoker-benches --bin scaling -- --rows 10000000 --svg docs/images/scaling.svg --history`
//!
//! The fleet is made up (`generator`): 50 hosts, 200 services, 19 Hz. Each step is a store of its own in
//! a temporary folder, through the library: no socket. Batches are made before the clock runs. Bytes
//! are those of the whole folder after all that was due to be merged was merged; latencies are of
//! one thread, from selector to JSON, cold (first question after opening) and warm. Questions about all of
//! it may take more memory here than a server would give them.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the result is for the person who asked")]

mod draw;
mod files;
mod rivals;
mod step;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use stoker_benches::history::Row;

use files::Files;
use rivals::Rivals;
use step::Step;

/// Steps: each is about three times the one before.
const STEPS: [u64; 7] =
    [100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000];

fn main() -> Result<()> {
    let (mut least, mut most, mut picture, mut history) = (0, 10_000_000, None, false);
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        match &*name {
            "--rows" => most = given.next().context("--rows needs a number")?.parse()?,
            "--from" => least = given.next().context("--from needs a number")?.parse()?,
            "--svg" => picture = Some(PathBuf::from(given.next().context("--svg needs a path")?)),
            "--history" => history = true,
            other => anyhow::bail!("{other} is not known: --rows, --from, --svg, --history"),
        }
    }
    let files = files::files()?;
    let rivals = rivals::rivals(&files)?;
    let mut steps = Vec::new();
    for wanted in STEPS.into_iter().filter(|wanted| (least..=most).contains(wanted)) {
        steps.push(step::step(wanted)?);
        // What was measured is kept where a later step breaks off.
        if let Some(path) = &picture {
            let drawn = draw::draw(&steps, wanted);
            std::fs::write(path, drawn).with_context(|| path.display().to_string())?;
        }
    }
    if history {
        append(&steps, &files, &rivals)?;
    }
    Ok(())
}

fn append(steps: &[Step], files: &Files, rivals: &Rivals) -> Result<()> {
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
    for (what, ms) in rivals.times.iter().filter_map(|(what, ms)| Some((what, (*ms)?))) {
        row.add(what.clone(), ms, "ms");
    }
    row.append()?;
    println!("{row}");
    Ok(())
}
