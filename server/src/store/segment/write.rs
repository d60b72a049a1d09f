//! Writes rows as a segment. The bytes depend on nothing but the content.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use prost::Message;
use stoker_dag::{Definition, FrameIx, LabelIx, LabelTable, ProfileType, WINDOW_NS};
use stoker_wire::{Dictionary, Encoder};

use super::super::api::{TenantId, WindowFacts, WindowRows};
use super::super::details::{DetailedRow, WindowDetails, count};
use super::super::error::StoreError;
use super::super::head::HeadRows;
use super::super::level::Level;
use super::super::messages::{BlockEntry, Footer, LabelValues, Watermark};
use super::super::reduce::HOST;
use super::columns::ColumnWriter;
use super::definitions::write_definitions;
use super::details::{TimedDetail, write_details};
use super::effort::Effort;
use super::facts::write_facts;
use super::order::Order;
use super::rows::{TimedRow, write_rows};
use super::stack_order::{StackOrder, WrittenStacks};
use super::{
    BLOCK_ROWS, BLOCK_WINDOWS, BlockKind, MAGIC, MAX_SUMMARY_VALUES, SEGMENT_VERSION, header,
};

/// What goes into a segment.
#[derive(Debug, Clone, Copy)]
pub struct SegmentContent<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// The segment's id.
    pub id: u64,
    /// Logs that it replaces.
    pub replaces_logs: &'a [u64],
    /// Segments that it supersedes.
    pub supersedes: &'a [u64],
    /// What rows refer to.
    pub dictionary: &'a Dictionary,
    /// What the dictionary's frames mean, in order of frame.
    pub definitions: &'a [(FrameIx, Definition)],
    /// Rows, facts and watermarks.
    pub rows: &'a HeadRows,
    /// What is different in rollups.
    pub rollup: Rollup<'a>,
    /// How much time that may take.
    pub effort: Effort,
}

/// What rollups have beside rows; nothing where rows are raw.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rollup<'a> {
    /// How finely rows are kept.
    pub level: Level,
    /// Total values of functions, where rows are their self values.
    pub totals: &'a [WindowRows],
    /// Labels that rows had and have no more.
    pub dropped: &'a [String],
}

/// The bytes of a segment and its footer.
///
/// # Errors
/// When compression fails for want of memory.
pub fn write_segment(content: SegmentContent<'_>) -> Result<(Vec<u8>, Footer), StoreError> {
    let write = || -> io::Result<(Vec<u8>, Footer)> {
        let details = &content.rows.details;
        let bytes = header(SEGMENT_VERSION).to_vec();
        let mut out = Blocks { bytes, entries: Vec::new(), level: content.effort.level() };
        let (windows, totals) = (&content.rows.windows, content.rollup.totals);
        let all = [windows, totals];
        let SegmentContent { dictionary, definitions, effort, .. } = content;
        let order = Order::new(dictionary, all, details, definitions, effort);
        let mut footer = footer(content, &order);
        out.dictionary(content, &order)?;
        footer.rows = out.all_rows(BlockKind::Rows, windows, &footer, &order)?;
        out.all_rows(BlockKind::FunctionTotals, totals, &footer, &order)?;
        footer.detailed_samples =
            out.all_details(details, &footer, (&order, content.dictionary))?;
        out.facts(&content.rows.facts)?;
        footer.blocks = out.entries;
        finish(&mut out.bytes, &footer);
        Ok((out.bytes, footer))
    };
    write().map_err(StoreError::io("compress segment", Path::new(&format!("{:016x}", content.id))))
}

fn finish(bytes: &mut Vec<u8>, footer: &Footer) {
    seal(bytes, &footer.encode_to_vec());
}

/// Ends a segment with its footer.
pub fn seal(bytes: &mut Vec<u8>, footer: &[u8]) {
    let length = u32::try_from(footer.len()).expect("a footer is far below 4 GiB");
    bytes.extend_from_slice(footer);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(footer).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
}

/// Where the footer has a profile type.
fn place_of(profile_type: &ProfileType, footer: &Footer) -> u32 {
    let at = footer.profile_types.iter().position(|known| known == profile_type.as_str());
    at.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
}

/// Samples of some windows over the segment's dictionary: by host, by CPU, by time.
fn by_clock(windows: &[WindowDetails], order: &Order, dictionary: &Dictionary) -> Vec<TimedDetail> {
    let mut samples = Vec::new();
    for held in windows {
        let window = held.window.0 / WINDOW_NS;
        let timed = |sample: &DetailedRow| {
            let host = dictionary.labels.get(sample.series).get(HOST);
            (host, order.detail(window, sample))
        };
        samples.extend(held.samples.iter().map(timed));
    }
    samples.sort_by_key(|(host, timed)| {
        (*host, timed.sample.cpu, timed.window, timed.sample.offset_us, timed.sample)
    });
    samples.into_iter().map(|(_, timed)| timed).collect()
}

fn hour(held: &WindowRows) -> u64 {
    held.window.0 / WINDOW_NS / BLOCK_WINDOWS
}

/// Rows of some windows over the segment's dictionary, in order, equal ones summed.
fn sorted(windows: &[WindowRows], order: &Order) -> Vec<TimedRow> {
    let mut rows = Vec::with_capacity(windows.iter().map(|held| held.rows.len()).sum());
    for held in windows {
        let window = held.window.0 / WINDOW_NS;
        rows.extend(held.rows.iter().map(|row| order.row(window, row)));
    }
    // In place: a stable sort would take half as much memory again, in a merge of millions of rows.
    rows.sort_unstable_by_key(TimedRow::key);
    rows.dedup_by(|next, kept| kept.add(next));
    rows
}

struct Blocks {
    bytes: Vec<u8>,
    entries: Vec<BlockEntry>,
    level: i32,
}

impl Blocks {
    fn push(&mut self, stored: &[u8], raw_length: u64, mut entry: BlockEntry) {
        entry.offset = self.bytes.len() as u64;
        entry.length = stored.len() as u64;
        entry.raw_length = raw_length;
        entry.crc32c = crc32c::crc32c(stored);
        self.entries.push(entry);
        self.bytes.extend_from_slice(stored);
    }

    fn message(&mut self, message: &impl Message, entry: BlockEntry) -> io::Result<()> {
        let raw = message.encode_to_vec();
        self.push(&zstd::bulk::compress(&raw, self.level)?, raw.len() as u64, entry);
        Ok(())
    }

    fn dictionary(&mut self, content: SegmentContent<'_>, order: &Order) -> io::Result<()> {
        let definitions = content.definitions.iter();
        let definitions: Vec<_> =
            definitions.map(|(frame, d)| (order.stacks.frame(*frame), d.clone())).collect();
        let names = order.names(content.dictionary);
        let batch = Encoder::define(&names, &[]);
        self.message(&batch, about(BlockKind::Names))?;
        if !definitions.is_empty() {
            let (stored, raw) = write_definitions(&names.frames, &definitions, self.level)?;
            let rows = definitions.len() as u64;
            self.push(&stored, raw, BlockEntry { rows, ..about(BlockKind::Definitions) });
        }
        self.stacks(&order.stacks)
    }

    fn stacks(&mut self, order: &StackOrder) -> io::Result<()> {
        let rows = order.len() as u64;
        match &order.stacks {
            WrittenStacks::Columns(columns) => {
                let mut writer = ColumnWriter::default();
                for column in columns {
                    writer.push(column, self.level)?;
                }
                let (stored, raw) = writer.finish();
                self.push(&stored, raw, BlockEntry { rows, ..about(BlockKind::StackColumns) });
            }
            WrittenStacks::Coded(bytes) => {
                let entry = BlockEntry { rows, ..about(BlockKind::Stacks) };
                self.push(bytes, bytes.len() as u64, entry);
            }
        }
        Ok(())
    }

    /// Writes rows of all types and hours; gives how many they are.
    fn all_rows(
        &mut self,
        kind: BlockKind,
        windows: &[WindowRows],
        footer: &Footer,
        order: &Order,
    ) -> io::Result<u64> {
        let mut rows = 0;
        for of_type in windows.chunk_by(|a, b| a.profile_type == b.profile_type) {
            let at = place_of(&of_type[0].profile_type, footer);
            for of_hour in of_type.chunk_by(|a, b| hour(a) == hour(b)) {
                rows += self.rows(kind, at, &sorted(of_hour, order))?;
            }
        }
        Ok(rows)
    }

    /// Writes rows of one type and hour; gives how many they are.
    fn rows(&mut self, kind: BlockKind, profile_type: u32, rows: &[TimedRow]) -> io::Result<u64> {
        for block in rows.chunks(BLOCK_ROWS) {
            let windows = || block.iter().map(|timed| timed.window * WINDOW_NS);
            let series = |timed: Option<&TimedRow>| timed.map_or(0, |timed| timed.row.series.0);
            let entry = BlockEntry {
                profile_type,
                first_window: windows().min().unwrap_or(0),
                last_window: windows().max().unwrap_or(0),
                rows: block.len() as u64,
                first_series: series(block.first()),
                last_series: series(block.last()),
                ..about(kind)
            };
            let (stored, raw_length) = write_rows(block, self.level)?;
            self.push(&stored, raw_length, entry);
        }
        Ok(rows.len() as u64)
    }

    /// Writes samples of all types and hours; gives how many they are.
    fn all_details(
        &mut self,
        windows: &[WindowDetails],
        footer: &Footer,
        (order, dictionary): (&Order, &Dictionary),
    ) -> io::Result<u64> {
        let hour = |held: &WindowDetails| held.window.0 / WINDOW_NS / BLOCK_WINDOWS;
        for of_type in windows.chunk_by(|a, b| a.profile_type == b.profile_type) {
            let profile_type = place_of(&of_type[0].profile_type, footer);
            for of_hour in of_type.chunk_by(|a, b| hour(a) == hour(b)) {
                for block in by_clock(of_hour, order, dictionary).chunks(BLOCK_ROWS) {
                    self.details(profile_type, block)?;
                }
            }
        }
        Ok(count(windows))
    }

    fn details(&mut self, profile_type: u32, block: &[TimedDetail]) -> io::Result<()> {
        let windows = || block.iter().map(|timed| timed.window * WINDOW_NS);
        let series = || block.iter().map(|timed| timed.sample.series.0);
        let entry = BlockEntry {
            profile_type,
            first_window: windows().min().unwrap_or(0),
            last_window: windows().max().unwrap_or(0),
            rows: block.len() as u64,
            first_series: series().min().unwrap_or(0),
            last_series: series().max().unwrap_or(0),
            ..about(BlockKind::Details)
        };
        let (stored, raw_length) = write_details(block, self.level)?;
        self.push(&stored, raw_length, entry);
        Ok(())
    }

    fn facts(&mut self, facts: &[WindowFacts]) -> io::Result<()> {
        let (Some(first), Some(last)) = (facts.first(), facts.last()) else { return Ok(()) };
        let mut entry = about(BlockKind::FactColumns);
        (entry.first_window, entry.last_window) = (first.window.0, last.window.0);
        entry.rows = facts.len() as u64;
        let (stored, raw_length) = write_facts(facts, self.level)?;
        self.push(&stored, raw_length, entry);
        Ok(())
    }
}

fn about(kind: BlockKind) -> BlockEntry {
    BlockEntry { kind: kind.code(), ..BlockEntry::default() }
}

fn footer(content: SegmentContent<'_>, order: &Order) -> Footer {
    let HeadRows { windows, facts, watermarks, .. } = content.rows;
    let all =
        || windows.iter().map(|held| held.window.0).chain(facts.iter().map(|held| held.window.0));
    let profile_types: BTreeSet<&str> = windows.iter().map(|w| w.profile_type.as_str()).collect();
    let rows = windows.iter().flat_map(|held| &held.rows);
    let watermarks: BTreeMap<_, _> = watermarks.iter().collect();
    Footer {
        id: content.id,
        tenant: content.tenant.as_str().to_owned(),
        first_window: all().min().unwrap_or(0),
        last_window: all().max().unwrap_or(0),
        profile_types: profile_types.into_iter().map(str::to_owned).collect(),
        labels: label_summary(&content.dictionary.labels, &order.series),
        blocks: Vec::new(),
        supersedes: content.supersedes.to_vec(),
        replaces_logs: content.replaces_logs.to_vec(),
        watermarks: watermarks
            .into_iter()
            .map(|(spool, sequence)| Watermark { spool_id: spool.0.to_vec(), sequence: *sequence })
            .collect(),
        rows: 0,
        samples: rows.fold(0, |sum, row| row.count.saturating_add(sum)),
        level: content.rollup.level.code(),
        dropped_labels: content.rollup.dropped.to_vec(),
        detailed_samples: 0,
    }
}

fn label_summary(labels: &LabelTable, series: &[LabelIx]) -> Vec<LabelValues> {
    let mut summary: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in series.iter().flat_map(|ix| labels.get(*ix).iter()) {
        summary.entry(name).or_default().insert(value);
    }
    let summary = summary.into_iter().map(|(name, values)| LabelValues {
        name: name.to_owned(),
        more: values.len() > MAX_SUMMARY_VALUES,
        values: values.into_iter().take(MAX_SUMMARY_VALUES).map(str::to_owned).collect(),
    });
    summary.collect()
}
