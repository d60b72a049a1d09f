//! The order of one stream's batches: stored in order, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustc_hash::{FxHashMap, FxHashSet};
use stoker_dag::LabelIx;
use stoker_wire::Rebase;
use tokio::sync::Notify;

/// Where the entries of one stream's dictionary stand in the store's current log. Belongs to one
/// stream dictionary and one tenant; the store starts it anew when the log changes.
#[derive(Debug, Default)]
pub struct StreamRebase {
    pub(super) log: u64,
    pub(super) rebase: Rebase,
    /// The stream's series that the log has counted.
    pub(super) series: FxHashSet<LabelIx>,
    /// The stream's sets of attributes, and whether the log has room for them.
    pub(super) attributes: FxHashMap<LabelIx, bool>,
    /// What became of the stream's batches that are in line.
    pub(super) line: Arc<StreamLine>,
}

impl StreamRebase {
    /// Starts anew for another log.
    pub(super) fn begin(&mut self, log: u64) {
        let line = Arc::clone(&self.line);
        *self = Self { log, line, ..Self::default() };
    }
}

/// What became of those batches of one stream that are in line for the disk. A stream's batches are
/// stored in order or not at all: were a later one stored although an earlier one failed, the
/// watermark would make the earlier one a duplicate when it is sent again.
#[derive(Debug, Default)]
pub(super) struct StreamLine {
    waiting: AtomicU64,
    failed: AtomicBool,
    empty: Notify,
}

impl StreamLine {
    pub(super) fn enter(self: &Arc<Self>) -> LinePlace {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        LinePlace { line: Arc::clone(self), stored: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(super) async fn until_empty(&self) {
        loop {
            let emptied = self.empty.notified();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

/// One batch's place in its stream's line. One that goes without [`Self::leave`] has failed.
#[derive(Debug)]
pub(super) struct LinePlace {
    line: Arc<StreamLine>,
    stored: bool,
}

impl LinePlace {
    pub(super) fn leave(mut self, stored: bool) {
        self.stored = stored;
    }
}

impl Drop for LinePlace {
    fn drop(&mut self) {
        if !self.stored {
            self.line.failed.store(true, Ordering::Release);
        }
        if self.line.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.line.empty.notify_waiters();
        }
    }
}
