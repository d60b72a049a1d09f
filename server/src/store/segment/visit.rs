//! Visits what is wanted of a segment: first what hosts said, which is the whole segment's, then slice after
//! slice. Of a slice its label sets are read first: they tell whether anything else of it is needed.

use std::ops::ControlFlow;

use stoker_dag::UnixNanos;
use stoker_wire::Dictionary;

use super::super::api::{DictionaryId, PartView, WindowRows};
use super::super::blobs::Blobs;
use super::super::cache::Cache;
use super::super::error::StoreError;
use super::super::head::{facts_in, windows_in};
use super::super::messages::BlockEntry;
use super::read::{ROWS, Segment, SegmentDictionary, Wanted};
use super::series::Series;
use super::{BlockKind, SliceIx};

/// What looks at parts.
type Visit<'a> = dyn FnMut(PartView<'_>) -> ControlFlow<()> + 'a;

/// What stands for the slice of facts, which have no dictionary.
const NO_SLICE: u32 = u32::MAX;

/// Blocks with their places in the footer.
pub(super) type Entries<'a> = Vec<(usize, &'a BlockEntry)>;

impl Segment {
    /// Calls `visit` with what is wanted, if anything is. Other blocks are not read.
    ///
    /// # Errors
    /// When a block cannot be read: the first such failure, after all that can be read was visited.
    pub fn visit(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        wanted: Wanted<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let mut failure = None;
        for slice in self.slices() {
            match self.visit_piece(blobs, cache, (slice, wanted), visit) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(ControlFlow::Continue(())), Err)
    }

    /// As [`Self::visit`], of one slice; with the first come what hosts said.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn visit_piece(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        (slice, wanted): (SliceIx, Wanted<'_>),
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let mut failure = None;
        if slice.is_first() {
            match self.visit_facts(blobs, cache, wanted, visit) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
                Err(error) => failure = Some(error),
            }
        }
        match (self.visit_slice(blobs, cache, (slice, wanted), visit), failure) {
            (Ok(ControlFlow::Continue(())) | Err(_), Some(error)) => Err(error),
            (visited, _) => visited,
        }
    }

    fn visit_facts(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        wanted: Wanted<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let facts = self.facts(blobs, cache, wanted)?;
        let facts = facts_in(&facts, wanted.range);
        if facts.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let (none, id) = (Dictionary::default(), DictionaryId { part: self.id(), slice: NO_SLICE });
        Ok(visit(PartView { level: self.level(), ..PartView::raw(&none, id, &[], facts) }))
    }

    /// As [`Self::visit`], of the rows of one slice.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn visit_slice(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        (slice, wanted): (SliceIx, Wanted<'_>),
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let Some((rows, held)) = self.wanted_blocks(blobs, cache, (slice, wanted), &ROWS)? else {
            return Ok(ControlFlow::Continue(()));
        };
        let mut failure = None;
        for block in rows {
            match self.visit_block(blobs, cache, (block, wanted), &held, visit) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(ControlFlow::Continue(())), Err)
    }

    /// Blocks of a slice that may have something that is wanted, and its dictionary; nothing where there are
    /// none, and then the dictionary was not read.
    pub(super) fn wanted_blocks(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        (slice, wanted): (SliceIx, Wanted<'_>),
        kinds: &[BlockKind],
    ) -> Result<Option<(Entries<'_>, Held)>, StoreError> {
        let blocks = self.blocks_of(kinds, wanted.profile_type).into_iter();
        let mut blocks: Entries<'_> =
            blocks.filter(|(_, e)| e.slice == slice.0 && overlaps(e, wanted)).collect();
        if blocks.is_empty() {
            return Ok(None);
        }
        let labels = self.labels(blobs, cache, slice)?;
        if let Some(labels) = &labels {
            let mut series = Series::new(labels, wanted);
            blocks.retain(|(_, entry)| series.may_be_in(entry));
            if blocks.is_empty() {
                return Ok(None);
            }
        }
        let dictionary = self.dictionary(blobs, cache, slice, labels.as_deref())?;
        if labels.is_none() {
            let mut series = Series::new(&dictionary.get().labels, wanted);
            blocks.retain(|(_, entry)| series.may_be_in(entry));
        }
        Ok(Some((blocks, Held { dictionary, slice })))
    }

    fn visit_block(
        &self,
        blobs: &dyn Blobs,
        cache: &Cache,
        ((at, entry), wanted): ((usize, &BlockEntry), Wanted<'_>),
        held: &Held,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let level = self.level();
        let (dictionary, id) = (held.dictionary.get(), held.id(self));
        let is_within = wanted.range.holds(UnixNanos(entry.first_window))
            && wanted.range.holds(UnixNanos(entry.last_window));
        if wanted.sums
            && is_within
            && let Some(sums) = self.sums(blobs, cache, (at, entry), &held.dictionary)?
        {
            let none = PartView::raw(dictionary, id, &[], &[]);
            return Ok(visit(PartView { level, sums: Some(&sums), ..none }));
        }
        let windows = self.rows(blobs, cache, (at, entry), &held.dictionary)?;
        let windows = windows_in(&windows, wanted.range);
        if windows.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let none: &[WindowRows] = &[];
        let (windows, totals) = match entry.kind == BlockKind::FunctionTotals.code() {
            true => (none, windows),
            false => (windows, none),
        };
        Ok(visit(PartView { level, totals, ..PartView::raw(dictionary, id, windows, &[]) }))
    }
}

/// The dictionary of a slice.
pub(super) struct Held {
    pub(super) dictionary: std::sync::Arc<SegmentDictionary>,
    slice: SliceIx,
}

impl Held {
    /// What tells it apart.
    pub(super) fn id(&self, segment: &Segment) -> DictionaryId {
        DictionaryId { part: segment.id(), slice: self.slice.0 }
    }
}

fn overlaps(entry: &BlockEntry, wanted: Wanted<'_>) -> bool {
    wanted.range.overlaps(UnixNanos(entry.first_window), UnixNanos(entry.last_window))
}
