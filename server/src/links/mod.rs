//! Short links: a view of the viewer under a short name, with a copy of the data that it shows.
//!
//! A link to a picture of last week is worth nothing once last week is gone. So making one copies
//! the rows that the view selects into a segment of the link's own (`links/segments/`), and a line about
//! it (`links/about/`): no retention touches them. They have a quota of their own; past it the oldest
//! links go and are counted, so that nobody has to tidy up for links to work.
//!
//! A link is there when the file about it is: the segment is written before, and removed after. What
//! a crash left without such a file is removed at the next start.

mod about;
mod id;
mod parts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::query::{Copied, CopiedLevel};
use crate::store::{AloneContent, AloneSegments, Level, StoreError, TenantId};

pub use about::{About, Selection};
pub use id::{LinkId, LinkIdError};
pub use parts::LinkParts;

/// Most bytes of all links, unless told otherwise.
pub const DEFAULT_MAX_BYTES: u64 = 1 << 30;
/// Links that are kept, however small they are.
pub const MAX_LINKS: usize = 10_000;
/// One link may have this part of the quota at most, so that no link drives all others out.
pub const MAX_PART_OF_QUOTA: u64 = 4;
/// Rows that one link may copy: they are held in memory while it is made.
pub const MAX_ROWS: usize = 2 << 20;
/// Bytes of the view, as the viewer writes it into its address.
pub const MAX_VIEW_BYTES: usize = 16 << 10;
/// Selections of one view: what it shows, and what that is compared with.
pub const MAX_SELECTIONS: usize = 2;
/// Bytes of decoded blocks of links that are kept in memory.
const CACHE_BYTES: usize = 32 << 20;

/// Why a link is not made or not opened.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The quota is 0.
    #[error("this server keeps no links (--max-links is 0)")]
    Off,
    /// One link is too large for the quota.
    #[error("the data of this view have {bytes} bytes, and one link may have {limit}")]
    TooLarge {
        /// What it would take.
        bytes: u64,
        /// What one may take.
        limit: u64,
    },
    /// The disk failed, or a file is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was counted, and what there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Links that are kept.
    pub links: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Links that were made.
    pub made: u64,
    /// Links that went to make room.
    pub evicted: u64,
    /// Links that could not be read when the server started.
    pub unreadable: u64,
}

/// All links of a tenant. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Links(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    tenant: TenantId,
    segments: AloneSegments,
    max_bytes: u64,
    held: Mutex<BTreeMap<LinkId, About>>,
    /// Held while a link is made or removed, which is one at a time.
    making: Mutex<()>,
    made: AtomicU64,
    evicted: AtomicU64,
    unreadable: u64,
}

impl Links {
    /// Those of the folder `dir`, which is made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(dir: &Path, tenant: TenantId, max_bytes: u64) -> Result<Self, StoreError> {
        let segments = AloneSegments::open(dir, &tenant, CACHE_BYTES)?;
        let (held, unreadable) = about::read_all(dir, &tenant)?;
        for id in segments.ids(&tenant)? {
            let link = LinkId::of_segment(id);
            if !held.contains_key(&link) && !about::is_there(dir, &tenant, link) {
                tracing::info!(%link, "what a broken-off link left is removed");
                segments.delete(&tenant, id)?;
            }
        }
        let links = Self(Arc::new(Inner {
            dir: dir.to_owned(),
            tenant,
            segments,
            max_bytes,
            held: Mutex::new(held),
            making: Mutex::default(),
            made: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            unreadable,
        }));
        if max_bytes > 0 {
            links.make_room(0)?;
        }
        Ok(links)
    }

    /// Keeps `copied` under a name, with the view that shows it; durable when it returns. The same
    /// view of the same data is the same link. Blocks.
    ///
    /// # Errors
    /// When it is larger than one link may be, or cannot be written; then nothing is there.
    pub fn keep(
        &self,
        view: &str,
        selections: Vec<Selection>,
        copied: Copied,
    ) -> Result<About, LinkError> {
        let inner = &*self.0;
        if inner.max_bytes == 0 {
            return Err(LinkError::Off);
        }
        let _making = inner.making.lock().unwrap_or_else(PoisonError::into_inner);
        let id = LinkId::of(&inner.tenant, view, &selections, &copied);
        if let Some(held) = self.get(id) {
            return Ok(held);
        }
        let (rows, samples) = copied.size();
        let segments = encoded(&inner.tenant, id, copied)?;
        let bytes = segments.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let limit = inner.max_bytes / MAX_PART_OF_QUOTA;
        if bytes > limit {
            return Err(LinkError::TooLarge { bytes, limit });
        }
        self.make_room(bytes)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let about = About {
            id,
            view: view.to_owned(),
            selections,
            created_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            bytes,
            rows,
            samples,
            levels: segments.iter().map(|(level, _)| level.as_str().to_owned()).collect(),
        };
        for (level, bytes) in &segments {
            inner.segments.put(&inner.tenant, id.segment(*level), bytes)?;
        }
        if let Err(error) = about::write(&inner.dir, &inner.tenant, &about) {
            // Nobody knows of it; where this fails too, the next start removes it.
            let _ = self.remove_segments(&about);
            return Err(error.into());
        }
        self.held().insert(id, about.clone());
        inner.made.fetch_add(1, Ordering::Relaxed);
        Ok(about)
    }

    /// What is known of a link.
    #[must_use]
    pub fn get(&self, id: LinkId) -> Option<About> {
        self.held().get(&id).cloned()
    }

    /// All links, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<About> {
        let mut all: Vec<About> = self.held().values().cloned().collect();
        all.sort_by_key(|about| (std::cmp::Reverse(about.created_ms), about.id));
        all
    }

    /// What was counted, and what there is.
    #[must_use]
    pub fn counts(&self) -> LinkCounts {
        let held = self.held();
        LinkCounts {
            links: held.len() as u64,
            bytes: held.values().map(|about| about.bytes).sum(),
            made: self.0.made.load(Ordering::Relaxed),
            evicted: self.0.evicted.load(Ordering::Relaxed),
            unreadable: self.0.unreadable,
        }
    }

    /// The bound on the bytes of all links.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.0.max_bytes
    }

    /// Removes the oldest links until `more` bytes of one more have room.
    fn make_room(&self, more: u64) -> Result<(), StoreError> {
        let inner = &*self.0;
        loop {
            let held = self.held();
            let bytes: u64 = held.values().map(|about| about.bytes).sum();
            let is_over_count = held.len() + usize::from(more > 0) > MAX_LINKS;
            if bytes.saturating_add(more) <= inner.max_bytes && !is_over_count {
                return Ok(());
            }
            let oldest = held.values().min_by_key(|about| (about.created_ms, about.id));
            let Some(oldest) = oldest.cloned() else { return Ok(()) };
            drop(held);
            about::remove(&inner.dir, &inner.tenant, oldest.id)?;
            self.held().remove(&oldest.id);
            inner.evicted.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(link = %oldest.id, "a link went to make room (--max-links)");
            self.remove_segments(&oldest)?;
        }
    }

    fn remove_segments(&self, about: &About) -> Result<(), StoreError> {
        let inner = &*self.0;
        about.segments().into_iter().try_for_each(|id| inner.segments.delete(&inner.tenant, id))
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<LinkId, About>> {
        // Nothing is left half done by a panic: files are written before the map.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The segments of a link: one for each level that has anything.
fn encoded(
    tenant: &TenantId,
    id: LinkId,
    copied: Copied,
) -> Result<Vec<(Level, Vec<u8>)>, StoreError> {
    let Copied { dictionary, definitions, levels } = copied;
    let mut segments = Vec::new();
    for (level, of_level) in Level::ALL.into_iter().zip(levels) {
        let CopiedLevel { windows, totals, details, facts, dropped } = of_level;
        if windows.is_empty() && totals.is_empty() && facts.is_empty() {
            continue;
        }
        let content = AloneContent {
            dictionary: &dictionary,
            definitions: &definitions,
            level,
            windows,
            details,
            totals: &totals,
            facts,
            dropped: &dropped,
        };
        let (bytes, _) = AloneSegments::encode(tenant, id.segment(level), &content)?;
        segments.push((level, bytes));
    }
    Ok(segments)
}
