//! Blocks of a segment as what they mean: from the cache, else from the file.

use std::sync::Arc;

use stoker_dag::{LabelTable, NodeTable};
use stoker_wire::{Decoder, Dictionary, proto};

use super::super::api::WindowRows;
use super::super::blobs::Blobs;
use super::super::cache::{Cache, Cached, Key, Place};
use super::super::error::StoreError;
use super::super::footprint::{BYTES_PER_LABEL_SET, read_dictionary_bytes};
use super::super::messages::BlockEntry;
use super::columns::columns;
use super::read::{Segment, SegmentDictionary};
use super::read_stacks::read_stacks;
use super::read_v1;
use super::rows::{RowBounds, by_window, read_timed};
use super::stack_columns::read_columns;
use super::{BlockKind, MAX_BLOCK_BYTES, SliceIx};

impl Segment {
    /// The label sets of a slice; nothing before version 6, where they are in the dictionary alone.
    pub(super) fn labels(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        slice: SliceIx,
    ) -> Result<Option<Arc<LabelTable>>, StoreError> {
        let Ok(entry) = self.only(blobs, BlockKind::Series, slice) else { return Ok(None) };
        let key = Key { segment: self.id(), place: Place::Labels(slice) };
        if let Some(Cached::Labels(held)) = cache.get(key) {
            return Ok(Some(held));
        }
        let mut decoder = Decoder::default();
        let batch: proto::Batch = self.message(blobs, entry)?;
        self.decode(blobs, &mut decoder, &batch)?;
        let labels = decoder.into_dictionary().labels;
        let bytes = labels.len() * BYTES_PER_LABEL_SET;
        let labels = Arc::new(labels);
        cache.put(key, Cached::Labels(Arc::clone(&labels)), bytes);
        Ok(Some(labels))
    }

    /// The dictionary of a slice, with its label sets where they are known.
    pub(super) fn dictionary(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        slice: SliceIx,
        labels: Option<&LabelTable>,
    ) -> Result<Arc<SegmentDictionary>, StoreError> {
        let key = Key { segment: self.id(), place: Place::Dictionary(slice) };
        if let Some(Cached::Dictionary(held)) = cache.get(key) {
            return Ok(held);
        }
        let mut decoder = Decoder::with_late_ids();
        let names = self.only(blobs, BlockKind::Names, slice)?;
        let names: proto::Batch = self.message(blobs, names)?;
        self.decode(blobs, &mut decoder, &names)?;
        let held = if let Ok(entry) = self.only(blobs, BlockKind::WireStacks, slice) {
            let stacks: proto::Batch = self.message(blobs, entry)?;
            self.decode(blobs, &mut decoder, &stacks)?;
            SegmentDictionary::Wire(decoder)
        } else {
            let mut dictionary = decoder.into_dictionary();
            let frames = dictionary.frames.len();
            dictionary.nodes = self.read_nodes(blobs, slice, frames)?;
            if let Some(labels) = labels {
                dictionary.labels = labels.clone();
            }
            SegmentDictionary::Columns(dictionary)
        };
        let held = Arc::new(held);
        let bytes = read_dictionary_bytes(held.get());
        cache.put(key, Cached::Dictionary(Arc::clone(&held)), bytes);
        Ok(held)
    }

    fn read_nodes(
        &self,
        blobs: &dyn Blobs,
        slice: SliceIx,
        frames: usize,
    ) -> Result<NodeTable, StoreError> {
        let (entry, is_columns) = match self.only(blobs, BlockKind::StackColumns, slice) {
            Ok(entry) => (entry, true),
            Err(_) => (self.only(blobs, BlockKind::Stacks, slice)?, false),
        };
        let block = self.stored(blobs, entry)?;
        let nodes = match is_columns {
            true => columns(&block, entry.raw_length.min(MAX_BLOCK_BYTES))
                .and_then(|columns| read_columns(&columns, frames))
                .filter(|nodes| nodes.len() as u64 == entry.rows.saturating_add(1)),
            false => read_stacks(&block, entry.rows, frames),
        };
        nodes.ok_or_else(|| self.contradicts(blobs, entry))
    }

    pub(super) fn rows(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        (at, entry): (usize, &BlockEntry),
        dictionary: &SegmentDictionary,
    ) -> Result<Arc<Vec<WindowRows>>, StoreError> {
        let key = Key { segment: self.id(), place: Place::Block(at) };
        if let Some(Cached::Rows(held)) = cache.get(key) {
            return Ok(held);
        }
        let windows = match dictionary {
            SegmentDictionary::Wire(decoder) => {
                let block = self.message(blobs, entry)?;
                read_v1::windows(decoder, block)
                    .map_err(|e| StoreError::damaged(blobs.path(&self.name), e))?
            }
            SegmentDictionary::Columns(dictionary) => self.columns(blobs, entry, dictionary)?,
        };
        let bytes = windows.iter().map(|w| size_of_val(w.rows.as_slice())).sum();
        let windows = Arc::new(windows);
        cache.put(key, Cached::Rows(Arc::clone(&windows)), bytes);
        Ok(windows)
    }

    fn columns(
        &self,
        blobs: &dyn Blobs,
        entry: &BlockEntry,
        dictionary: &Dictionary,
    ) -> Result<Vec<WindowRows>, StoreError> {
        let block = self.stored(blobs, entry)?;
        let rows = self.profile_type(entry).zip(read_timed(&block, row_bounds(entry, dictionary)));
        let (profile_type, rows) = rows.ok_or_else(|| self.contradicts(blobs, entry))?;
        Ok(by_window(&rows, &profile_type))
    }
}

/// What the indexes of a block of rows are held to.
pub(super) fn row_bounds(entry: &BlockEntry, dictionary: &Dictionary) -> RowBounds {
    RowBounds {
        labels: dictionary.labels.len(),
        nodes: dictionary.nodes.len(),
        rows: entry.rows,
        raw_length: entry.raw_length.min(MAX_BLOCK_BYTES),
    }
}
