//! The order of one stream's batches: stored in order, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustc_hash::{FxHashMap, FxHashSet};
use stoker_dag::LabelIx;
use stoker_wire::Rebase;
use tokio::sync::Notify;

use super::error::StoreError;

/// Why a batch is not taken whose stream has lost one.
const BEHIND_A_FAILED_ONE: &str = "an earlier batch of the stream was not stored";

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

    fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Whether the stream may go on in another log: not while batches are in line for the one before, and never
    /// behind one that failed. The last to leave says that it failed before it is gone, so the order
    /// of the questions matters.
    ///
    /// # Errors
    /// When one failed.
    pub(super) fn may_change_log(&self) -> Result<bool, StoreError> {
        if !self.is_empty() {
            return Ok(false);
        }
        self.check()?;
        Ok(true)
    }

    /// An error where a batch was not stored.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.failed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(StoreError::NotDurable(BEHIND_A_FAILED_ONE.to_owned())),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_in_another_log_only_where_nothing_waits_and_nothing_failed() {
        let line = Arc::<StreamLine>::default();
        let (first, second) = (line.enter(), line.enter());
        assert!(!line.may_change_log().unwrap());
        first.leave(true);
        assert!(!line.may_change_log().unwrap());
        second.leave(true);
        assert!(line.may_change_log().unwrap());
        line.enter().leave(false);
        assert!(matches!(line.may_change_log(), Err(StoreError::NotDurable(_))));
        assert!(line.check().is_err());
    }
}
