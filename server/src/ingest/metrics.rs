//! What ingest counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::footprint::Shares;

/// Why a stream was ended with a reason; the word is on the wire and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// The stream did not begin with a `Hello` that makes sense.
    BadHello,
    /// A batch names an id that was never defined.
    UnknownId,
    /// More than a limit allows.
    TooLarge,
    /// A batch contradicts itself.
    Malformed,
    /// A batch is from the future.
    Future,
    /// A batch is older than data are kept.
    BeyondRetention,
    /// A label explosion.
    TooManySeries,
    /// An error in the server came up over a batch, which is kept aside.
    Crashed,
    /// The store can take nothing now.
    Busy,
}

impl RefusalCode {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::BadHello,
        Self::UnknownId,
        Self::TooLarge,
        Self::Malformed,
        Self::Future,
        Self::BeyondRetention,
        Self::TooManySeries,
        Self::Crashed,
        Self::Busy,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadHello => "bad_hello",
            Self::UnknownId => "unknown_id",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Future => "from_the_future",
            Self::BeyondRetention => "beyond_retention",
            Self::TooManySeries => "too_many_series",
            Self::Crashed => "crashed",
            Self::Busy => "busy",
        }
    }
}

/// Counters, shared by all streams.
#[derive(Debug, Default)]
pub struct IngestMetrics {
    /// Streams that are open.
    pub streams_open: AtomicU64,
    /// Streams that were ever opened.
    pub streams: AtomicU64,
    /// Batches that were stored.
    pub batches: AtomicU64,
    /// Batches that had been stored before.
    pub duplicates: AtomicU64,
    /// Rows of batches that were stored.
    pub rows: AtomicU64,
    /// Samples in them.
    pub samples: AtomicU64,
    /// Bytes of all batches that came, decompressed.
    pub bytes: AtomicU64,
    /// What streams take of memory.
    pub(super) shares: Arc<Shares>,
    refused: [AtomicU64; RefusalCode::ALL.len()],
}

/// What [`IngestMetrics`] had counted at some moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IngestCounts {
    /// Streams that are open.
    pub streams_open: u64,
    /// Streams that were ever opened.
    pub streams: u64,
    /// Batches that were stored.
    pub batches: u64,
    /// Batches that had been stored before.
    pub duplicates: u64,
    /// Rows of batches that were stored.
    pub rows: u64,
    /// Samples in them.
    pub samples: u64,
    /// Bytes of all batches that came, decompressed.
    pub bytes: u64,
    /// Bytes of memory of the dictionaries of all streams.
    pub stream_bytes: u64,
}

impl IngestMetrics {
    /// Counts a refusal.
    pub fn count_refused(&self, code: RefusalCode) {
        self.refused[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Refusals for one reason.
    #[must_use]
    pub fn refused(&self, code: RefusalCode) -> u64 {
        self.refused[code as usize].load(Ordering::Relaxed)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> IngestCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        IngestCounts {
            streams_open: read(&self.streams_open),
            streams: read(&self.streams),
            batches: read(&self.batches),
            duplicates: read(&self.duplicates),
            rows: read(&self.rows),
            samples: read(&self.samples),
            bytes: read(&self.bytes),
            stream_bytes: self.shares.bytes(),
        }
    }
}
