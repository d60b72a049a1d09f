//! The blocks of a segment as they are written, one after the other.

use std::io;

use prost::Message;
use stoker_dag::WINDOW_NS;
use stoker_wire::{Dictionary, Encoder};

use super::super::api::{WindowFacts, WindowRows};
use super::super::details::{DetailedRow, WindowDetails, count};
use super::super::messages::BlockEntry;
use super::super::reduce::HOST;
use super::columns::ColumnWriter;
use super::definitions::write_definitions;
use super::details::{TimedDetail, write_details};
use super::effort::Effort;
use super::facts::write_facts;
use super::order::Order;
use super::rows::{TimedRow, write_rows};
use super::stack_order::{StackOrder, WrittenStacks};
use super::write::SliceContent;
use super::{BLOCK_ROWS, BLOCK_WINDOWS, BlockKind, SEGMENT_VERSION, SliceIx, header};

/// Samples of some windows over the slice's dictionary: by host, by CPU, by time.
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

/// Rows of some windows over the slice's dictionary, in order, equal ones summed.
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

/// What is written so far, from the header on.
#[derive(Debug)]
pub struct Blocks {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where the blocks are in them.
    pub entries: Vec<BlockEntry>,
    /// Names of profile types, in the order in which they came up.
    pub profile_types: Vec<String>,
    /// The slice that is being written.
    pub slice: SliceIx,
    /// How much time it may take.
    pub effort: Effort,
}

impl Blocks {
    /// The header of a segment.
    pub fn new(effort: Effort) -> Self {
        let bytes = header(SEGMENT_VERSION).to_vec();
        let (entries, profile_types) = (Vec::new(), Vec::new());
        Self { bytes, entries, profile_types, slice: SliceIx(0), effort }
    }

    /// Where the footer has a profile type.
    fn place_of(&mut self, name: &str) -> u32 {
        let known = self.profile_types.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            self.profile_types.push(name.to_owned());
            self.profile_types.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn push(&mut self, stored: &[u8], raw_length: u64, mut entry: BlockEntry) {
        entry.slice = self.slice.0;
        entry.offset = self.bytes.len() as u64;
        entry.length = stored.len() as u64;
        entry.raw_length = raw_length;
        entry.crc32c = crc32c::crc32c(stored);
        self.entries.push(entry);
        self.bytes.extend_from_slice(stored);
    }

    fn message(&mut self, message: &impl Message, entry: BlockEntry) -> io::Result<()> {
        let raw = message.encode_to_vec();
        self.push(&zstd::bulk::compress(&raw, self.effort.level())?, raw.len() as u64, entry);
        Ok(())
    }

    /// Writes names, label sets and stacks.
    pub fn dictionary(&mut self, content: SliceContent<'_>, order: &Order) -> io::Result<()> {
        let definitions = content.definitions.iter();
        let definitions: Vec<_> =
            definitions.map(|(frame, d)| (order.stacks.frame(*frame), d.clone())).collect();
        let names = order.names(content.dictionary);
        let batch = Encoder::define(&names, &[]);
        self.message(&batch, about(BlockKind::Names))?;
        if !definitions.is_empty() {
            let (stored, raw) =
                write_definitions(&names.frames, &definitions, self.effort.level())?;
            let rows = definitions.len() as u64;
            self.push(&stored, raw, BlockEntry { rows, ..about(BlockKind::Definitions) });
        }
        let labels = Encoder::define(&order.labels(content.dictionary), &[]);
        self.message(&labels, about(BlockKind::Series))?;
        self.stacks(&order.stacks)
    }

    fn stacks(&mut self, order: &StackOrder) -> io::Result<()> {
        let rows = order.len() as u64;
        match &order.stacks {
            WrittenStacks::Columns(columns) => {
                let mut writer = ColumnWriter::default();
                for column in columns {
                    writer.push(column, self.effort.level())?;
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
    pub fn all_rows(
        &mut self,
        kind: BlockKind,
        windows: &[WindowRows],
        order: &Order,
    ) -> io::Result<u64> {
        let mut rows = 0;
        for of_type in windows.chunk_by(|a, b| a.profile_type == b.profile_type) {
            let at = self.place_of(of_type[0].profile_type.as_str());
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
            let (stored, raw_length) = write_rows(block, self.effort.level())?;
            self.push(&stored, raw_length, entry);
        }
        Ok(rows.len() as u64)
    }

    /// Writes samples of all types and hours; gives how many they are.
    pub fn all_details(
        &mut self,
        windows: &[WindowDetails],
        (order, dictionary): (&Order, &Dictionary),
    ) -> io::Result<u64> {
        let hour = |held: &WindowDetails| held.window.0 / WINDOW_NS / BLOCK_WINDOWS;
        for of_type in windows.chunk_by(|a, b| a.profile_type == b.profile_type) {
            let profile_type = self.place_of(of_type[0].profile_type.as_str());
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
        let (stored, raw_length) = write_details(block, self.effort.level())?;
        self.push(&stored, raw_length, entry);
        Ok(())
    }

    /// Writes what hosts said of their time.
    pub fn facts(&mut self, facts: &[WindowFacts]) -> io::Result<()> {
        let (Some(first), Some(last)) = (facts.first(), facts.last()) else { return Ok(()) };
        let mut entry = about(BlockKind::FactColumns);
        (entry.first_window, entry.last_window) = (first.window.0, last.window.0);
        entry.rows = facts.len() as u64;
        let (stored, raw_length) = write_facts(facts, self.effort.level())?;
        self.push(&stored, raw_length, entry);
        Ok(())
    }
}

fn about(kind: BlockKind) -> BlockEntry {
    BlockEntry { kind: kind.code(), ..BlockEntry::default() }
}
