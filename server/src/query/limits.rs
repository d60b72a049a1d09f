//! What a query may take, and how it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error::QueryError;

/// Bounds of one query. Each has a name in the answer to a query that exceeds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a query may take.
    pub timeout: Duration,
    /// Distinct series that a query may select, and groups that it may form.
    pub max_series: usize,
    /// Groups of rows (one per window, type and part) that a query may read.
    pub max_windows: usize,
    /// Distinct nodes that a folded profile may have.
    pub max_nodes: usize,
    /// Points per group of a timeline.
    pub max_points: usize,
    /// Points of all groups of a timeline together.
    pub max_cells: usize,
    /// Bytes of an answer.
    pub max_answer_bytes: usize,
    /// Bytes of memory that a query may take, about: for what it sums and what it makes of that.
    /// Segments that it reads are in a cache that all queries share.
    pub max_memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_series: 100_000,
            max_windows: 4_000_000,
            max_nodes: 8 << 20,
            max_points: 11_000,
            max_cells: 16 << 20,
            max_answer_bytes: 512 << 20,
            max_memory_bytes: 1 << 30,
        }
    }
}

/// What a running query shares with those who wait for it: they tell it to stop, because nobody waits
/// any more or its time is over, and it tells them how many rows it has read.
#[derive(Debug, Clone)]
pub struct Progress {
    asked: Arc<AtomicBool>,
    rows: Arc<AtomicU64>,
    timeout: Duration,
    deadline: Option<Instant>,
}

impl Progress {
    /// Stops after `timeout`, or when asked to.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self {
            asked: Arc::default(),
            rows: Arc::default(),
            timeout,
            deadline: Instant::now().checked_add(timeout),
        }
    }

    /// Asks the query to stop.
    pub fn cancel(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Asks the query to stop when the value is dropped: a handler holds it while it waits, and is
    /// dropped when its client leaves.
    #[must_use]
    pub fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    /// Counts rows that were read.
    pub fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// How many rows were read so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// When the query ends at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the query may go on.
    ///
    /// # Errors
    /// When it may not: says why.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.asked.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled);
        }
        if self.deadline.is_some_and(|end| Instant::now() >= end) {
            return Err(QueryError::timeout(self.timeout));
        }
        Ok(())
    }
}

/// Cancels when dropped.
#[derive(Debug)]
pub struct CancelOnDrop(Progress);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
