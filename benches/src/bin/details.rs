//! What samples one by one cost, by the data folder of a server that has some (`stoker up --detailed`):
//! bytes of each batch with and without them, packed as on the wire, and bytes of their blocks at rest.
//!
//!     stoker up --detailed --data-dir DIR      # for some minutes, under whatever load
//!     cargo run -p stoker-benches --bin details -- DIR
//!
//! Logs are read as they are, also while the server runs; their first quarter is left out, because a stream
//! begins with names and stacks that a steady one has told already.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use prost::Message as _;
use stoker_server::store::messages::{Footer, LogRecord};
use stoker_wire::proto::Batch;

/// Bytes before the records of a log, before each record, and behind a segment's footer.
const LOG_HEADER: usize = 16;
const RECORD_HEADER: usize = 12;
const TRAILER: usize = 16;
/// The kinds of a segment's blocks.
const ROWS: u32 = 6;
const DETAILS: u32 = 8;
/// What gRPC packs messages with.
const LEVEL: i32 = 3;

fn main() -> Result<()> {
    let dir = std::env::args().nth(1).context("give the data folder")?;
    let dir = Path::new(&dir);
    let mut out = std::io::stdout().lock();
    for file in files(&dir.join("logs/default"))? {
        let batches = batches(&fs::read(&file)?);
        let steady = batches.get(batches.len() / 4..).unwrap_or_default();
        if let Some(line) = wire(steady)? {
            writeln!(out, "{}: {line}", file.display())?;
        }
    }
    for file in files(&dir.join("segments/default"))? {
        if let Some(line) = at_rest(&fs::read(&file)?)? {
            writeln!(out, "{}: {line}", file.display())?;
        }
    }
    Ok(())
}

fn files(dir: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// The sound records of a log.
fn batches(log: &[u8]) -> Vec<Batch> {
    let (mut rest, mut batches) = (log.get(LOG_HEADER..).unwrap_or_default(), Vec::new());
    while let Some((head, behind)) = rest.split_at_checked(RECORD_HEADER) {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some((payload, next)) = behind.split_at_checked(length) else { break };
        let Ok(record) = LogRecord::decode(payload) else { break };
        batches.extend(record.batch);
        rest = next;
    }
    batches
}

fn wire(batches: &[Batch]) -> Result<Option<String>> {
    let (mut samples, mut with, mut without, mut rows) = (0, 0, 0, 0);
    for batch in batches.iter().filter(|batch| !batch.details.is_empty()) {
        samples += batch.details.iter().map(|details| details.row_delta.len()).sum::<usize>();
        rows += batch.rows.iter().map(|rows| rows.node_delta.len()).sum::<usize>();
        // What is new of names and stacks is the same with and without.
        let steady =
            Batch { rows: batch.rows.clone(), details: batch.details.clone(), ..Batch::default() };
        let bare = Batch { details: Vec::new(), ..steady.clone() };
        with += zstd::bulk::compress(&steady.encode_to_vec(), LEVEL)?.len();
        without += zstd::bulk::compress(&bare.encode_to_vec(), LEVEL)?.len();
    }
    if samples == 0 {
        return Ok(None);
    }
    let per = |bytes: usize| bytes as f64 / samples as f64;
    Ok(Some(format!(
        "{samples} samples in {rows} rows of {} batches: {:.2} B per sample with (thread, CPU, time), {:.2} of it for the rows",
        batches.len(),
        per(with),
        per(without),
    )))
}

fn at_rest(segment: &[u8]) -> Result<Option<String>> {
    let trailer = segment.len().checked_sub(TRAILER).context("no segment")?;
    let word = &segment[trailer..trailer + 4];
    let length = u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize;
    let start = trailer.checked_sub(length).context("no segment")?;
    let footer = Footer::decode(&segment[start..trailer])?;
    let of = |kind: u32| {
        let blocks = footer.blocks.iter().filter(|block| block.kind == kind);
        blocks.fold((0, 0), |sum, block| (sum.0 + block.length, sum.1 + block.rows))
    };
    let ((bytes, samples), (row_bytes, rows)) = (of(DETAILS), of(ROWS));
    Ok((samples > 0).then(|| {
        let per = bytes as f64 / samples as f64;
        let per_row = row_bytes as f64 / rows.max(1) as f64;
        format!("{samples} samples one by one: {per:.2} B each; {rows} rows: {per_row:.2} B each")
    }))
}
