//! Segments that count no more. Their files go when nobody reads them any more, and until that is
//! durable whatever supersedes their successors names them too: a file that a power cut brings back
//! must not be counted again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashSet;

use super::api::TenantId;
use super::blobs::Blobs;
use super::segment::Segment;

/// What a tenant's merging and expiring has to remember.
#[derive(Debug, Default)]
pub struct Retirement {
    waiting: Mutex<Vec<Waiting>>,
    unmergeable: Mutex<FxHashSet<u64>>,
    halted: AtomicBool,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    /// Shared with readers; nothing where the segment was never opened.
    segment: Option<Arc<Segment>>,
}

impl Retirement {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment counts no more.
    pub fn retire(&self, segment: Arc<Segment>) {
        let id = segment.id();
        self.waiting().push(Waiting { id, segment: Some(segment) });
    }

    /// A file that counts no more could not be removed by the open.
    pub fn undead(&self, id: u64) {
        self.waiting().push(Waiting { id, segment: None });
    }

    /// Which of these may still have a file, or get one back.
    pub fn still_there(&self, ids: impl Iterator<Item = u64>) -> Vec<u64> {
        let waiting = self.waiting();
        ids.filter(|id| waiting.iter().any(|held| held.id == *id)).collect()
    }

    /// Bytes that wait to be removed.
    pub fn bytes(&self) -> u64 {
        let of = |held: &Waiting| held.segment.as_ref().map_or(0, |segment| segment.length);
        self.waiting().iter().map(of).sum()
    }

    /// Removes the files that nobody reads. Those that cannot be removed wait on.
    pub fn bury(&self, blobs: &dyn Blobs, tenant: &TenantId) {
        self.waiting().retain(|held| {
            if held.segment.as_ref().is_some_and(|segment| Arc::strong_count(segment) > 1) {
                return true;
            }
            let name = Segment::name_of(tenant, held.id);
            let removed = blobs.delete(&name);
            if let Err(error) = &removed {
                tracing::warn!(%error, "a segment that counts no more stays for now");
            }
            removed.is_err()
        });
    }

    /// Whether merging and expiring must wait for the next open, which tells what is there.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }

    /// A file may be there or not: nothing more is superseded before the next open.
    pub fn halt(&self) {
        self.halted.store(true, Ordering::Release);
    }

    /// A segment cannot be merged; it is left as it is until the next open.
    pub fn leave(&self, ids: impl Iterator<Item = u64>) {
        self.unmergeable.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
    }

    /// Whether a segment may be merged.
    pub fn is_mergeable(&self, id: u64) -> bool {
        !self.unmergeable.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}
