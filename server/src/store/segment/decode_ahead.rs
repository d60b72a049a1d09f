//! Decoding before anybody asks: blocks that a question will need go into the cache.

use stoker_dag::UnixNanos;

use super::super::blobs::Blobs;
use super::super::cache::{Cache, Cached, Key, Place};
use super::super::error::StoreError;
use super::super::messages::BlockEntry;
use super::read::{ROWS, Segment, Wanted};
use super::{BlockKind, SliceIx};

impl Segment {
    /// How many nodes the stacks of a slice have; of version 1, where that is not said, none.
    pub fn nodes_of(&self, slice: SliceIx) -> u64 {
        let kinds = [BlockKind::StackColumns, BlockKind::Stacks].map(BlockKind::code);
        let stacks = self.footer.blocks.iter().filter(|entry| kinds.contains(&entry.kind));
        stacks.filter(|entry| entry.slice == slice.0).map(|entry| entry.rows).sum()
    }

    /// Whether what stands at a place of the cache is a slice's, or the whole segment's, which comes with the first.
    pub fn is_of(&self, key: &Key, slice: SliceIx) -> bool {
        let of = match key.place {
            Place::Block(at) | Place::Sums(at) => {
                self.footer.blocks.get(at).map_or(slice, |entry| SliceIx(entry.slice))
            }
            Place::Labels(of) | Place::Dictionary(of) => of,
        };
        key.segment == self.id() && of == slice
    }

    /// Whether nothing of a slice that takes long is left to decode.
    pub fn is_decoded(&self, cache: &Cache, (slice, wanted): (SliceIx, Wanted<'_>)) -> bool {
        let footer = &self.footer;
        let (first, last) = (UnixNanos(footer.first_window), UnixNanos(footer.last_window));
        let at = |place: Place| Key { segment: self.id(), place };
        if !wanted.range.overlaps(first, last) || cache.holds(at(Place::Dictionary(slice))) {
            return true;
        }
        let (Some(series), true) = (wanted.series, cache.holds(at(Place::Labels(slice)))) else {
            return false;
        };
        let labels = cache.get(at(Place::Labels(slice)));
        matches!(labels, Some(Cached::Labels(labels)) if !labels.iter().any(series))
    }

    /// Decodes what [`Self::visit_piece`] will want: facts, the dictionary, and sums where they do.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn decode_ahead(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        (slice, wanted): (SliceIx, Wanted<'_>),
    ) -> Result<(), StoreError> {
        let lies_within = |entry: &BlockEntry| {
            wanted.range.holds(UnixNanos(entry.first_window))
                && wanted.range.holds(UnixNanos(entry.last_window))
        };
        if slice.is_first() {
            self.facts(blobs, cache, wanted)?;
        }
        let blocks = self.wanted_blocks(blobs, cache, (slice, wanted), &ROWS)?;
        let Some((rows, held)) = blocks else { return Ok(()) };
        let rows = rows.into_iter().filter(|(_, entry)| wanted.sums && lies_within(entry));
        for (at, entry) in rows {
            self.sums(blobs, cache, (at, entry), &held.dictionary)?;
        }
        Ok(())
    }
}
