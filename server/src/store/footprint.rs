//! What ingest takes of memory, and how it is held to its share: `--ingest-memory`.
//!
//! Half of it is for logs that are not sealed yet: the live one and those that wait, each of which is
//! sealed when it has its part; sealing takes another part for a while. A quarter is for the
//! dictionaries of streams, an eighth for batches that wait for the disk. Sizes are worked out from
//! the number of entries, with what tables and their indexes take for each.

use stoker_wire::{BatchBody, Dictionary};

use super::api::StoreConfig;

/// A row in memory, in a column that grows by doubling.
const BYTES_PER_ROW: usize = 48;
/// A sample that is told by itself, likewise.
const BYTES_PER_DETAIL: usize = 48;
/// A string, its own bytes apart.
pub const BYTES_PER_STRING: usize = 80;
/// What a host says with each batch, control groups and reasons apart.
const BYTES_PER_FACTS: usize = 400;
/// A control group or a reason for loss, with its name.
const BYTES_PER_FACT: usize = 128;

/// About how much memory a dictionary takes: columns and their indexes, names apart.
pub fn dictionary_bytes(dictionary: &Dictionary) -> usize {
    let Dictionary { nodes, frames, labels, .. } = dictionary;
    nodes.len() * 48 + frames.len() * 192 + labels.len() * 512
}

/// About how much a batch takes while its log is not sealed, its dictionary apart.
pub fn batch_bytes(body: &BatchBody) -> usize {
    let facts = body.facts.cgroup_usage.len() + body.facts.lost.len();
    body.row_count() * BYTES_PER_ROW
        + body.detailed_samples() * BYTES_PER_DETAIL
        + BYTES_PER_FACTS
        + facts * BYTES_PER_FACT
}

impl StoreConfig {
    /// What one log may take before it is sealed.
    #[must_use]
    pub fn log_memory(&self) -> u64 {
        self.ingest_memory / 2 / (self.max_waiting_logs as u64 + 1)
    }

    /// What the dictionaries of all streams may take together.
    #[must_use]
    pub fn stream_memory(&self) -> u64 {
        self.ingest_memory / 4
    }

    /// What batches may take that wait for the disk.
    #[must_use]
    pub fn queue_memory(&self) -> u32 {
        let eighth = u32::try_from(self.ingest_memory / 8).unwrap_or(u32::MAX);
        self.max_queued_bytes.min(eighth)
    }
}
