//! Decoding before anybody asks: blocks that a question will need go into the cache.

use stoker_dag::UnixNanos;

use super::super::blobs::Blobs;
use super::super::cache::Cache;
use super::super::error::StoreError;
use super::super::messages::BlockEntry;
use super::decoded::DICTIONARY;
use super::read::{Segment, Wanted};
use super::series::Series;

impl Segment {
    /// Whether nothing that takes long is left to decode.
    pub fn is_decoded(&self, cache: &Cache, wanted: Wanted<'_>) -> bool {
        let footer = &self.footer;
        let (first, last) = (UnixNanos(footer.first_window), UnixNanos(footer.last_window));
        !wanted.range.overlaps(first, last) || cache.holds((self.id(), DICTIONARY))
    }

    /// Decodes what [`Self::visit`] will want: facts, the dictionary, and sums where they do.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn decode_ahead(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        wanted: Wanted<'_>,
    ) -> Result<(), StoreError> {
        let lies_within = |entry: &BlockEntry| {
            wanted.range.holds(UnixNanos(entry.first_window))
                && wanted.range.holds(UnixNanos(entry.last_window))
        };
        let is_there = |entry: &BlockEntry| {
            wanted.range.overlaps(UnixNanos(entry.first_window), UnixNanos(entry.last_window))
        };
        let facts = self.facts(blobs, cache, wanted)?;
        let rows = self.row_blocks(wanted.profile_type);
        if facts.is_empty() && !rows.iter().any(|(_, entry)| is_there(entry)) {
            return Ok(());
        }
        let held = self.dictionary(blobs, cache)?;
        let mut series = Series::new(held.get(), wanted);
        let rows = rows.into_iter().filter(|(_, entry)| wanted.sums && lies_within(entry));
        for (at, entry) in rows.filter(|(_, entry)| series.may_be_in(entry)) {
            self.sums(blobs, cache, (at, entry), &held)?;
        }
        Ok(())
    }
}
