//! Segments that stand alone: rows with everything that is needed to read them, outside the life of a
//! tenant's data. No log comes before them, nothing merges them and no retention ends them: who makes
//! one keeps it, and removes it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{Definition, FrameIx};
use stoker_wire::Dictionary;

use super::ahead;
use super::api::{Names, PartVisitor, TenantId, TimeRange, WindowFacts, WindowRows};
use super::blobs::{Blobs, LocalBlobs};
use super::cache::Cache;
use super::details::{DetailsVisitor, WindowDetails};
use super::disk::{Disk, RealDisk};
use super::error::StoreError;
use super::level::Level;
use super::open::id_of;
use super::rollups::Rollups;
use super::segment::{Effort, Segment, SegmentAbout, SliceContent, Wanted, write_segment};

/// What goes into one.
#[derive(Debug)]
pub struct AloneContent<'a> {
    /// What rows refer to.
    pub dictionary: &'a Dictionary,
    /// What its frames mean, in order of frame; as an agent might have told it.
    pub definitions: &'a [(FrameIx, Definition)],
    /// How finely its rows are kept.
    pub level: Level,
    /// In order of profile type, then window.
    pub windows: Vec<WindowRows>,
    /// At [`Level::Raw`], samples one by one; likewise.
    pub details: Vec<WindowDetails>,
    /// At [`Level::Functions`], what functions have a part in; likewise.
    pub totals: &'a [WindowRows],
    /// In order of window.
    pub facts: Vec<WindowFacts>,
    /// Labels that rows of a rollup had and have no more.
    pub dropped: &'a [String],
}

/// A folder of them.
#[derive(Debug)]
pub struct AloneSegments {
    blobs: LocalBlobs,
    cache: Cache,
}

impl AloneSegments {
    /// Opens the folder for one tenant; it is made when it is not there. `cache_bytes` of decoded
    /// blocks are kept in memory.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: &Path, tenant: &TenantId, cache_bytes: usize) -> Result<Self, StoreError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let folder = format!("segments/{tenant}");
        let dir = root.join(&folder);
        disk.create_dir_all(&dir).map_err(StoreError::io("make", &dir))?;
        let blobs = LocalBlobs::new(disk, root.to_owned());
        blobs.remove_unfinished(&folder)?;
        Ok(Self { blobs, cache: Cache::new(cache_bytes) })
    }

    /// The bytes of a segment, and how many rows it has.
    ///
    /// # Errors
    /// When compression fails for want of memory.
    pub fn encode(
        tenant: &TenantId,
        id: u64,
        content: &AloneContent<'_>,
    ) -> Result<(Vec<u8>, u64), StoreError> {
        let about = SegmentAbout {
            tenant,
            id,
            replaces_logs: &[],
            supersedes: &[],
            facts: &content.facts,
            watermarks: &FxHashMap::default(),
            level: content.level,
            dropped: content.dropped,
        };
        let slice = SliceContent {
            dictionary: content.dictionary,
            definitions: content.definitions,
            windows: &content.windows,
            details: &content.details,
            totals: content.totals,
        };
        let written = write_segment(about, slice, Effort::Quick)?;
        Ok((written.bytes, written.footer.rows))
    }

    /// Keeps the bytes of a segment; durable when it returns.
    ///
    /// # Errors
    /// When they cannot be written; then nothing is there.
    pub fn put(&self, tenant: &TenantId, id: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.blobs.put_new(&Segment::name_of(tenant, id), bytes)
    }

    /// The ids of those that there are.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn ids(&self, tenant: &TenantId) -> Result<Vec<u64>, StoreError> {
        let names = self.blobs.list(&format!("segments/{tenant}"))?;
        Ok(names.iter().filter_map(|name| id_of(name, ".seg")).collect())
    }

    /// Removes a segment for good.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn delete(&self, tenant: &TenantId, id: u64) -> Result<(), StoreError> {
        self.blobs.delete(&Segment::name_of(tenant, id))
    }

    /// Segments that belong together, to be read as one.
    ///
    /// # Errors
    /// When one does not begin and end as it should, or its names cannot be read.
    pub fn get(&self, tenant: &TenantId, ids: &[u64]) -> Result<AloneRows, StoreError> {
        let mut rows = AloneRows { segments: Vec::new(), names: Names::default() };
        for id in ids {
            let segment = Segment::open(&self.blobs, tenant, *id)?;
            let (growth, _) = segment.names(&self.blobs)?;
            rows.names.modules.merge(&growth.modules);
            for (frame, definition) in growth.definitions {
                rows.names.definitions.learn(frame, definition);
            }
            rows.segments.push(segment);
        }
        Ok(rows)
    }

    /// Calls `visit` with what they have of a range, type and series.
    ///
    /// # Errors
    /// When a block cannot be read: the first such failure, after all of its segment that can be
    /// read was visited.
    pub fn visit(
        &self,
        of: &AloneRows,
        wanted: Wanted<'_>,
        visit: &mut PartVisitor<'_>,
    ) -> Result<(), StoreError> {
        let (blobs, mut failure) = (&self.blobs, None);
        let segments = of.segments.iter();
        ahead::in_order(segments, (blobs, &self.cache), wanted, |piece, cache| {
            let visited = piece.segment.visit_piece(blobs, cache, (piece.slice, wanted), visit);
            let flow = visited.unwrap_or_else(|error| {
                failure.get_or_insert(error);
                ControlFlow::Continue(())
            });
            match failure.is_some() && piece.is_last() {
                true => ControlFlow::Break(()),
                false => flow,
            }
        });
        failure.map_or(Ok(()), Err)
    }

    /// As [`Self::visit`], with samples one by one.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn visit_details(
        &self,
        of: &AloneRows,
        wanted: Wanted<'_>,
        visit: &mut DetailsVisitor<'_>,
    ) -> Result<(), StoreError> {
        for segment in &of.segments {
            if segment.visit_details(&self.blobs, &self.cache, (None, wanted), visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Where a segment lies, when speaking to people.
    #[must_use]
    pub fn path(&self, tenant: &TenantId, id: u64) -> PathBuf {
        self.blobs.path(&Segment::name_of(tenant, id))
    }
}

/// Some of them, with their names.
#[derive(Debug)]
pub struct AloneRows {
    segments: Vec<Segment>,
    /// What they say of frames and builds.
    pub names: Names,
}

impl AloneRows {
    /// The rollups among them that have rows in a range.
    #[must_use]
    pub fn rollups(&self, range: TimeRange) -> Option<Rollups> {
        Rollups::among(self.segments.iter(), range)
    }
}
