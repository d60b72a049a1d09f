//! What ingest takes of memory, and how it is held to its share: `--ingest-memory`.
//!
//! All of it is divided once, here, by sixteenths: six for logs (the live one, those that wait, and what sealing
//! one takes), five for merging and summing up, three for the dictionaries of streams, one for messages that
//! are read, one for batches that wait for the disk. Sizes are worked out from the number of entries, with what tables and their
//! indexes take for each. What is not in it, because it does not grow with load: the program itself, names of
//! frames and watermarks (tenant-wide, for as long as data are kept), the index, and queries with their caches.

use stoker_wire::{BatchBody, Dictionary};

use super::api::StoreConfig;

/// A row in memory, in a column that grows by doubling.
const BYTES_PER_ROW: usize = 48;
/// A sample that is told by itself, likewise.
const BYTES_PER_DETAIL: usize = 48;
/// A node with its indexes.
const BYTES_PER_NODE: usize = 48;
/// A frame with its indexes.
const BYTES_PER_FRAME: usize = 192;
/// A frame of a dictionary that is only read, with its id.
const BYTES_PER_READ_FRAME: usize = 96;
/// A label set with its index.
pub const BYTES_PER_LABEL_SET: usize = 512;
/// A string, its own bytes apart.
pub const BYTES_PER_STRING: usize = 80;
/// What a host says with each batch, control groups and reasons apart.
pub const BYTES_PER_FACTS: usize = 400;
/// A control group or a reason for loss, with its name.
const BYTES_PER_FACT: usize = 128;

/// About how much memory a dictionary takes: columns and their indexes, names apart.
pub fn dictionary_bytes(dictionary: &Dictionary) -> usize {
    let Dictionary { nodes, frames, labels, .. } = dictionary;
    nodes.len() * BYTES_PER_NODE
        + frames.len() * BYTES_PER_FRAME
        + labels.len() * BYTES_PER_LABEL_SET
}

/// About how much memory the dictionary of a segment takes that is only read, names apart.
pub fn read_dictionary_bytes(dictionary: &Dictionary) -> usize {
    let Dictionary { nodes, frames, labels, .. } = dictionary;
    nodes.memory_bytes() + frames.len() * BYTES_PER_READ_FRAME + labels.len() * BYTES_PER_LABEL_SET
}

/// About how much a batch takes while its log is not sealed, its dictionary apart.
pub fn batch_bytes(body: &BatchBody) -> usize {
    let facts = body.facts.cgroup_usage.len() + body.facts.lost.len();
    body.row_count() * BYTES_PER_ROW
        + body.detailed_samples() * BYTES_PER_DETAIL
        + BYTES_PER_FACTS
        + facts * BYTES_PER_FACT
}

/// A row while segments are merged: as it was read, and as it is sorted and written.
const BYTES_PER_MERGED_ROW: u64 = 80;
/// A node likewise, beyond what the merged dictionary takes: its old and its new number, the order in which
/// it is written, and the segment's own table, first of what is merged and then of what is read back.
const BYTES_PER_MERGED_NODE: u64 = 64;
/// The same for a frame, which is also encoded, with its names.
const BYTES_PER_MERGED_FRAME: u64 = 448;

/// About what sealing a log takes, in parts of the log: rows in order, and names as they are written.
const SEALING: u64 = 2;

/// What merging takes when it holds so many rows over a dictionary.
pub fn merge_bytes(rows: u64, dictionary: &Dictionary) -> u64 {
    let Dictionary { nodes, frames, labels, .. } = dictionary;
    let labels = (labels.len() * BYTES_PER_LABEL_SET) as u64;
    merge_bytes_of(rows, nodes.len() as u64, frames.len() as u64) + labels
}

/// The same, label sets apart, by numbers of nodes and frames.
pub fn merge_bytes_of(rows: u64, nodes: u64, frames: u64) -> u64 {
    let nodes = nodes.saturating_mul(BYTES_PER_MERGED_NODE + BYTES_PER_NODE as u64);
    let frames = frames.saturating_mul(BYTES_PER_MERGED_FRAME + BYTES_PER_FRAME as u64);
    rows.saturating_mul(BYTES_PER_MERGED_ROW).saturating_add(nodes).saturating_add(frames)
}

impl StoreConfig {
    /// What one log may take before it is sealed.
    #[must_use]
    pub fn log_memory(&self) -> u64 {
        self.ingest_memory / 16 * 6 / (self.max_waiting_logs as u64 + 1 + SEALING)
    }

    /// What merging or summing up segments may take.
    #[must_use]
    pub fn merge_memory(&self) -> u64 {
        self.ingest_memory / 16 * 5
    }

    /// What a slice of a merged segment may take of [`Self::merge_memory`] while it is made: half of it. A
    /// quarter is for what is read of one segment at a time, of which a sealed log is the largest (see
    /// [`Self::log_memory`]).
    #[must_use]
    pub fn slice_memory(&self) -> u64 {
        self.merge_memory() / 2
    }

    /// What the bytes of a merged segment may take, which are in memory until it is written: the rest. It cannot
    /// be more than the segments of which it is made.
    #[must_use]
    pub fn merged_bytes(&self) -> u64 {
        self.merge_memory() / 4
    }

    /// What the dictionaries of all streams may take together.
    #[must_use]
    pub fn stream_memory(&self) -> u64 {
        self.ingest_memory / 16 * 3
    }

    /// What batches may take that wait for the disk.
    #[must_use]
    pub fn queue_memory(&self) -> u32 {
        self.max_queued_bytes.min(self.reading_memory())
    }

    /// What messages may take while they are read.
    #[must_use]
    pub fn reading_memory(&self) -> u32 {
        u32::try_from(self.ingest_memory / 16).unwrap_or(u32::MAX)
    }
}
