//! Writes rows as a segment, slice after slice. The bytes depend on nothing but the content.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use prost::Message;
use rustc_hash::FxHashMap;
use stoker_dag::{Definition, FrameIx, LabelIx, LabelTable};
use stoker_wire::Dictionary;

use super::super::api::{SpoolId, TenantId, WindowFacts, WindowRows};
use super::super::details::WindowDetails;
use super::super::error::StoreError;
use super::super::level::Level;
use super::super::messages::{Footer, LabelValues, Slice, Watermark};
use super::super::names::builds;
use super::effort::Effort;
use super::order::Order;
use super::write_blocks::Blocks;
use super::{BlockKind, MAGIC, MAX_SUMMARY_VALUES, SliceIx};

/// What a segment has beside its slices.
#[derive(Debug, Clone, Copy)]
pub struct SegmentAbout<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// The segment's id.
    pub id: u64,
    /// Logs that it replaces.
    pub replaces_logs: &'a [u64],
    /// Segments that it supersedes.
    pub supersedes: &'a [u64],
    /// What hosts said, in order of window.
    pub facts: &'a [WindowFacts],
    /// The highest sequence of each spool in here.
    pub watermarks: &'a FxHashMap<SpoolId, u64>,
    /// How finely rows are kept.
    pub level: Level,
    /// Labels that rows of a rollup had and have no more, in order.
    pub dropped: &'a [String],
}

/// What goes into a slice: rows over a dictionary of their own.
#[derive(Debug, Clone, Copy)]
pub struct SliceContent<'a> {
    /// What rows refer to.
    pub dictionary: &'a Dictionary,
    /// What the dictionary's frames mean, in order of frame.
    pub definitions: &'a [(FrameIx, Definition)],
    /// In order of profile type, then window.
    pub windows: &'a [WindowRows],
    /// Samples one by one, likewise.
    pub details: &'a [WindowDetails],
    /// Total values of functions, likewise, where rows are their self values.
    pub totals: &'a [WindowRows],
}

impl<'a> SliceContent<'a> {
    /// No rows over a dictionary.
    pub fn of(dictionary: &'a Dictionary) -> Self {
        Self { dictionary, definitions: &[], windows: &[], details: &[], totals: &[] }
    }
}

/// A segment that is written.
#[derive(Debug)]
pub struct WrittenSegment {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Its footer.
    pub footer: Footer,
    /// Builds of its frames, in order.
    pub builds: Vec<String>,
}

/// A segment that is being written: what is over is bytes, and the next slice may take the memory of the one
/// before.
#[derive(Debug)]
pub struct SegmentWriter {
    blocks: Blocks,
    footer: Footer,
    windows: Option<(u64, u64)>,
    labels: BTreeMap<String, BTreeSet<String>>,
    builds: BTreeSet<String>,
}

impl SegmentWriter {
    /// A segment without slices. It needs one at least.
    pub fn new(effort: Effort) -> Self {
        let (footer, labels, builds) = Default::default();
        Self { blocks: Blocks::new(effort), footer, windows: None, labels, builds }
    }

    /// Whether it has no slice yet.
    pub fn is_empty(&self) -> bool {
        self.footer.slices.is_empty()
    }

    /// How many rows its slices have.
    pub fn rows(&self) -> u64 {
        self.footer.rows
    }

    /// Writes a slice.
    ///
    /// # Errors
    /// When compression fails for want of memory.
    pub fn slice(&mut self, content: SliceContent<'_>) -> Result<(), StoreError> {
        self.write(content).map_err(StoreError::io("compress segment", Path::new("a slice")))
    }

    fn write(&mut self, content: SliceContent<'_>) -> io::Result<()> {
        let SliceContent { dictionary, definitions, windows, details, totals } = content;
        let Self { blocks, footer, .. } = self;
        blocks.slice = SliceIx(u32::try_from(footer.slices.len()).unwrap_or(u32::MAX));
        let order = Order::new(dictionary, [windows, totals], details, definitions, blocks.effort);
        blocks.dictionary(content, &order)?;
        footer.rows += blocks.all_rows(BlockKind::Rows, windows, &order)?;
        blocks.all_rows(BlockKind::FunctionTotals, totals, &order)?;
        footer.detailed_samples += blocks.all_details(details, (&order, dictionary))?;
        let rows = windows.iter().flat_map(|held| &held.rows);
        footer.samples = rows.fold(footer.samples, |sum, row| row.count.saturating_add(sum));
        let (first, last) = order.services(dictionary);
        let (first_service, last_service) = (first.to_owned(), last.to_owned());
        footer.slices.push(Slice { first_service, last_service });
        self.see(windows.iter().map(|held| held.window.0));
        self.summarise(&dictionary.labels, &order.series);
        self.builds.extend(builds(dictionary));
        Ok(())
    }

    fn see(&mut self, windows: impl Iterator<Item = u64>) {
        for window in windows {
            let (first, last) = self.windows.unwrap_or((window, window));
            self.windows = Some((first.min(window), last.max(window)));
        }
    }

    fn summarise(&mut self, labels: &LabelTable, series: &[LabelIx]) {
        for (name, value) in series.iter().flat_map(|ix| labels.get(*ix).iter()) {
            if !self.labels.contains_key(&**name) {
                self.labels.insert(name.to_string(), BTreeSet::new());
            }
            if let Some(values) = self.labels.get_mut(&**name)
                && !values.contains(&**value)
            {
                values.insert(value.to_string());
            }
        }
    }

    /// Writes what is the whole segment's.
    ///
    /// # Errors
    /// When compression fails for want of memory.
    pub fn finish(mut self, about: SegmentAbout<'_>) -> Result<WrittenSegment, StoreError> {
        self.blocks.slice = SliceIx(0);
        let written = self.blocks.facts(about.facts);
        let name = format!("{:016x}", about.id);
        written.map_err(StoreError::io("compress segment", Path::new(&name)))?;
        self.see(about.facts.iter().map(|held| held.window.0));
        let Self { blocks: Blocks { mut bytes, entries, profile_types, .. }, builds, .. } = self;
        let (first_window, last_window) = self.windows.unwrap_or_default();
        let watermarks: BTreeMap<_, _> = about.watermarks.iter().collect();
        let watermarks = watermarks
            .into_iter()
            .map(|(spool, sequence)| Watermark { spool_id: spool.0.to_vec(), sequence: *sequence });
        let labels = self.labels.into_iter().map(|(name, values)| LabelValues {
            name,
            more: values.len() > MAX_SUMMARY_VALUES,
            values: values.into_iter().take(MAX_SUMMARY_VALUES).collect(),
        });
        let footer = Footer {
            id: about.id,
            tenant: about.tenant.as_str().to_owned(),
            first_window,
            last_window,
            profile_types,
            labels: labels.collect(),
            blocks: entries,
            supersedes: about.supersedes.to_vec(),
            replaces_logs: about.replaces_logs.to_vec(),
            watermarks: watermarks.collect(),
            level: about.level.code(),
            dropped_labels: about.dropped.to_vec(),
            ..self.footer
        };
        seal(&mut bytes, &footer.encode_to_vec());
        Ok(WrittenSegment { bytes, footer, builds: builds.into_iter().collect() })
    }
}

/// A segment of one slice.
///
/// # Errors
/// When compression fails for want of memory.
pub fn write_segment(
    about: SegmentAbout<'_>,
    content: SliceContent<'_>,
    effort: Effort,
) -> Result<WrittenSegment, StoreError> {
    let mut writer = SegmentWriter::new(effort);
    writer.slice(content)?;
    writer.finish(about)
}

/// Ends a segment with its footer.
pub fn seal(bytes: &mut Vec<u8>, footer: &[u8]) {
    let length = u32::try_from(footer.len()).expect("a footer is far below 4 GiB");
    bytes.extend_from_slice(footer);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(footer).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
}
