//! Writes a head as a segment. The bytes depend on nothing but the content.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use prost::Message;
use stoker_dag::{Definition, FrameIx, LabelTable, SampleRow};
use stoker_wire::{BatchBody, Dictionary, Encoder, Rebase, RowGroup, proto};

use super::super::api::{TenantId, WindowFacts, WindowRows};
use super::super::error::StoreError;
use super::super::head::HeadRows;
use super::super::messages::{
    BlockEntry, FactsBlock, Footer, LabelValues, LogRecord, RowsBlock, RowsOfWindow, Watermark,
};
use super::{BLOCK_ROWS, BlockKind, MAGIC, MAX_SUMMARY_VALUES, header};

/// Compression: 3 is zstd's own default, fast enough that sealing keeps up with ingest.
const ZSTD_LEVEL: i32 = 3;

/// What goes into a segment.
#[derive(Debug, Clone, Copy)]
pub struct SegmentContent<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// The segment's id.
    pub id: u64,
    /// The log that it replaces.
    pub log: u64,
    /// What rows refer to.
    pub dictionary: &'a Dictionary,
    /// What the dictionary's frames mean, in order of frame.
    pub definitions: &'a [(FrameIx, Definition)],
    /// Rows, facts and watermarks.
    pub rows: &'a HeadRows,
}

/// The bytes of a segment and its footer.
///
/// # Errors
/// When compression fails for want of memory.
pub fn write_segment(content: SegmentContent<'_>) -> Result<(Vec<u8>, Footer), StoreError> {
    let write = || -> io::Result<(Vec<u8>, Footer)> {
        let mut out = Blocks { bytes: header().to_vec(), entries: Vec::new() };
        let groups: Vec<RowGroup> = content.rows.windows.iter().map(coalesced).collect();
        let mut footer = footer(content, &groups);
        out.dictionary_and_rows(content, groups, &footer.profile_types)?;
        out.facts(&content.rows.facts)?;
        footer.blocks = out.entries;
        finish(&mut out.bytes, &footer);
        Ok((out.bytes, footer))
    };
    write().map_err(StoreError::io("compress segment", Path::new(&format!("{:016x}", content.id))))
}

fn finish(bytes: &mut Vec<u8>, footer: &Footer) {
    let footer = footer.encode_to_vec();
    let length = u32::try_from(footer.len()).expect("a footer is far below 4 GiB");
    bytes.extend_from_slice(&footer);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
}

struct Blocks {
    bytes: Vec<u8>,
    entries: Vec<BlockEntry>,
}

impl Blocks {
    fn push(&mut self, message: &impl Message, mut entry: BlockEntry) -> io::Result<()> {
        let raw = message.encode_to_vec();
        let stored = zstd::bulk::compress(&raw, ZSTD_LEVEL)?;
        entry.offset = self.bytes.len() as u64;
        entry.length = stored.len() as u64;
        entry.raw_length = raw.len() as u64;
        entry.crc32c = crc32c::crc32c(&stored);
        self.entries.push(entry);
        self.bytes.extend_from_slice(&stored);
        Ok(())
    }

    fn dictionary_and_rows(
        &mut self,
        content: SegmentContent<'_>,
        groups: Vec<RowGroup>,
        profile_types: &[String],
    ) -> io::Result<()> {
        let definitions = content.definitions.to_vec();
        let body = BatchBody { definitions, rows: groups, ..BatchBody::default() };
        let encoded = Encoder::default().encode(content.dictionary, &body, &mut Rebase::default());
        let proto::Batch { strings, builds, frames, nodes, label_sets, definitions, rows, .. } =
            encoded.batch;
        let names = proto::Batch { strings, builds, frames, definitions, ..Default::default() };
        self.push(&names, about(BlockKind::Names))?;
        let stacks = proto::Batch { nodes, label_sets, ..Default::default() };
        self.push(&stacks, about(BlockKind::Stacks))?;
        self.rows(&content.rows.windows, rows, profile_types)
    }

    fn rows(
        &mut self,
        windows: &[WindowRows],
        rows: Vec<proto::Rows>,
        profile_types: &[String],
    ) -> io::Result<()> {
        let mut encoded = windows.iter().zip(rows).peekable();
        while let Some((first, rows)) = encoded.next() {
            let mut entry = about(BlockKind::Rows);
            let at = profile_types.iter().position(|name| name == first.profile_type.as_str());
            entry.profile_type = at.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX);
            entry.first_window = first.window.0;
            let mut block = RowsBlock::default();
            let mut next = Some((first, rows));
            while let Some((held, rows)) = next {
                entry.last_window = held.window.0;
                entry.rows += rows.node_delta.len() as u64;
                block.windows.push(RowsOfWindow { window: held.window.0, rows: Some(rows) });
                let full = entry.rows >= BLOCK_ROWS as u64;
                next = encoded.next_if(|(w, _)| !full && w.profile_type == first.profile_type);
            }
            self.push(&block, entry)?;
        }
        Ok(())
    }

    fn facts(&mut self, facts: &[WindowFacts]) -> io::Result<()> {
        let (Some(first), Some(last)) = (facts.first(), facts.last()) else { return Ok(()) };
        let mut entry = about(BlockKind::Facts);
        (entry.first_window, entry.last_window) = (first.window.0, last.window.0);
        let records = facts.iter().map(facts_record).collect();
        self.push(&FactsBlock { records }, entry)
    }
}

fn about(kind: BlockKind) -> BlockEntry {
    BlockEntry { kind: kind.code(), ..BlockEntry::default() }
}

fn facts_record(held: &WindowFacts) -> LogRecord {
    let body = BatchBody { start: held.window, facts: held.facts.clone(), ..BatchBody::default() };
    let encoded = Encoder::default().encode(&Dictionary::default(), &body, &mut Rebase::default());
    LogRecord {
        spool_id: Vec::new(),
        host_id: held.host_id.to_vec(),
        host_name: held.host_name.to_string(),
        batch: Some(encoded.batch),
    }
}

/// Rows in order of (series, attributes, node), equal ones summed.
fn coalesced(held: &WindowRows) -> RowGroup {
    let mut rows = held.rows.clone();
    // A stable sort: rows came in sorted runs, which it merges.
    rows.sort_by_key(|row| (row.series, row.attributes, row.node));
    rows.dedup_by(|next, kept| add(kept, next));
    let period = period(&rows);
    RowGroup { profile_type: held.profile_type.clone(), period, rows }
}

/// Adds a row to another of the same key; a sum beyond 64 bits stays two rows.
fn add(kept: &mut SampleRow, next: &SampleRow) -> bool {
    let key = |row: &SampleRow| (row.series, row.attributes, row.node);
    if key(kept) != key(next) {
        return false;
    }
    let sums = (kept.value.checked_add(next.value), kept.count.checked_add(next.count));
    let (Some(value), Some(count)) = sums else { return false };
    (kept.value, kept.count) = (value, count);
    true
}

/// What every sample is worth, or 0 where they differ: then the encoder leaves counts out.
fn period(rows: &[SampleRow]) -> u64 {
    let period = rows.first().and_then(|row| row.value.checked_div(row.count)).unwrap_or(0);
    let fits = |row: &SampleRow| row.count.checked_mul(period) == Some(row.value);
    if rows.iter().all(fits) { period } else { 0 }
}

fn footer(content: SegmentContent<'_>, groups: &[RowGroup]) -> Footer {
    let HeadRows { windows, facts, watermarks } = content.rows;
    let all =
        || windows.iter().map(|held| held.window.0).chain(facts.iter().map(|held| held.window.0));
    let profile_types: BTreeSet<&str> = windows.iter().map(|w| w.profile_type.as_str()).collect();
    let rows = groups.iter().flat_map(|group| &group.rows);
    let watermarks: BTreeMap<_, _> = watermarks.iter().collect();
    Footer {
        id: content.id,
        tenant: content.tenant.as_str().to_owned(),
        first_window: all().min().unwrap_or(0),
        last_window: all().max().unwrap_or(0),
        profile_types: profile_types.into_iter().map(str::to_owned).collect(),
        labels: label_summary(&content.dictionary.labels, groups),
        blocks: Vec::new(),
        supersedes: Vec::new(),
        replaces_logs: vec![content.log],
        watermarks: watermarks
            .into_iter()
            .map(|(spool, sequence)| Watermark { spool_id: spool.0.to_vec(), sequence: *sequence })
            .collect(),
        rows: groups.iter().map(|group| group.rows.len() as u64).sum(),
        samples: rows.fold(0, |sum, row| row.count.saturating_add(sum)),
    }
}

fn label_summary(labels: &LabelTable, groups: &[RowGroup]) -> Vec<LabelValues> {
    let runs = groups.iter().flat_map(|group| group.rows.chunk_by(|a, b| a.series == b.series));
    let series: BTreeSet<_> = runs.map(|run| run[0].series).collect();
    let mut summary: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in series.into_iter().flat_map(|ix| labels.get(ix).iter()) {
        summary.entry(name).or_default().insert(value);
    }
    let summary = summary.into_iter().map(|(name, values)| LabelValues {
        name: name.to_owned(),
        more: values.len() > MAX_SUMMARY_VALUES,
        values: values.into_iter().take(MAX_SUMMARY_VALUES).map(str::to_owned).collect(),
    });
    summary.collect()
}
