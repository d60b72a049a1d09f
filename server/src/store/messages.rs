//! The messages that logs and segments are made of. Field numbers are never reused; what they mean
//! is in `docs/formats.md`.

use std::sync::Arc;

use stoker_wire::proto;

use super::api::{BatchSource, SpoolId};

/// One batch in a log, and one batch's facts in a segment.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogRecord {
    /// The agent's spool, 16 bytes; empty in segments.
    #[prost(bytes = "vec", tag = "1")]
    pub spool_id: Vec<u8>,
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub host_id: Vec<u8>,
    /// What the host calls itself.
    #[prost(string, tag = "3")]
    pub host_name: String,
    /// The batch over the log's dictionary.
    #[prost(message, optional, tag = "4")]
    pub batch: Option<proto::Batch>,
}

impl LogRecord {
    /// Who sent it, when both ids have their 16 bytes.
    pub fn source(&self) -> Option<BatchSource> {
        Some(BatchSource {
            spool_id: SpoolId(self.spool_id.as_slice().try_into().ok()?),
            host_id: self.host_id.as_slice().try_into().ok()?,
            host_name: Arc::from(self.host_name.as_str()),
        })
    }
}

/// A block of rows of one profile type.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RowsBlock {
    /// In order of time.
    #[prost(message, repeated, tag = "1")]
    pub windows: Vec<RowsOfWindow>,
}

/// Rows of one window, over the segment's dictionary.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RowsOfWindow {
    /// When the window starts.
    #[prost(fixed64, tag = "1")]
    pub window: u64,
    /// The rows.
    #[prost(message, optional, tag = "2")]
    pub rows: Option<proto::Rows>,
}

/// A block of facts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FactsBlock {
    /// In order of time; batches without rows and without spool.
    #[prost(message, repeated, tag = "1")]
    pub records: Vec<LogRecord>,
}

/// The end of a segment: all that is needed to know whether to read more of it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Footer {
    /// The segment's id, which is also its name.
    #[prost(fixed64, tag = "1")]
    pub id: u64,
    /// Whose rows.
    #[prost(string, tag = "2")]
    pub tenant: String,
    /// The first window that has rows or facts.
    #[prost(fixed64, tag = "3")]
    pub first_window: u64,
    /// The last one.
    #[prost(fixed64, tag = "4")]
    pub last_window: u64,
    /// What values count.
    #[prost(string, repeated, tag = "5")]
    pub profile_types: Vec<String>,
    /// Labels of series, in order of name.
    #[prost(message, repeated, tag = "6")]
    pub labels: Vec<LabelValues>,
    /// Where the blocks are.
    #[prost(message, repeated, tag = "7")]
    pub blocks: Vec<BlockEntry>,
    /// Segments that count no more once this one is there.
    #[prost(fixed64, repeated, tag = "8")]
    pub supersedes: Vec<u64>,
    /// Logs whose batches are all in here.
    #[prost(fixed64, repeated, tag = "9")]
    pub replaces_logs: Vec<u64>,
    /// The highest sequence of each spool in here.
    #[prost(message, repeated, tag = "10")]
    pub watermarks: Vec<Watermark>,
    /// All rows.
    #[prost(uint64, tag = "11")]
    pub rows: u64,
    /// All samples.
    #[prost(uint64, tag = "12")]
    pub samples: u64,
    /// See [`super::level::Level`].
    #[prost(uint32, tag = "13")]
    pub level: u32,
    /// Labels and attributes that its rows had and that summing up took away, in order.
    #[prost(string, repeated, tag = "14")]
    pub dropped_labels: Vec<String>,
    /// Samples that are told one by one.
    #[prost(uint64, tag = "15")]
    pub detailed_samples: u64,
    /// Its slices; before version 6 none is named and there is one.
    #[prost(message, repeated, tag = "16")]
    pub slices: Vec<Slice>,
}

/// A part of a segment that has a dictionary of its own: series of some services, in order of name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Slice {
    /// The first service of its series; empty where one has none.
    #[prost(string, tag = "1")]
    pub first_service: String,
    /// The last one.
    #[prost(string, tag = "2")]
    pub last_service: String,
}

/// A label and the values that series have for it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LabelValues {
    /// The label.
    #[prost(string, tag = "1")]
    pub name: String,
    /// In order, at most [`super::segment::MAX_SUMMARY_VALUES`] of them.
    #[prost(string, repeated, tag = "2")]
    pub values: Vec<String>,
    /// Whether there are more.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// Where a block is and what is in it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BlockEntry {
    /// See [`super::segment::BlockKind`].
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    /// Bytes before it.
    #[prost(uint64, tag = "2")]
    pub offset: u64,
    /// Bytes of it.
    #[prost(uint64, tag = "3")]
    pub length: u64,
    /// Bytes when decompressed.
    #[prost(uint64, tag = "4")]
    pub raw_length: u64,
    /// Checksum of the bytes as they are in the file.
    #[prost(fixed32, tag = "5")]
    pub crc32c: u32,
    /// Of rows: index into the footer's profile types.
    #[prost(uint32, tag = "6")]
    pub profile_type: u32,
    /// Of rows and facts: the first window.
    #[prost(fixed64, tag = "7")]
    pub first_window: u64,
    /// The last one.
    #[prost(fixed64, tag = "8")]
    pub last_window: u64,
    /// Of rows: how many.
    #[prost(uint64, tag = "9")]
    pub rows: u64,
    /// Of rows by stack: index of the first label set that is a series of them.
    #[prost(uint32, tag = "10")]
    pub first_series: u32,
    /// The last one.
    #[prost(uint32, tag = "11")]
    pub last_series: u32,
    /// The slice whose dictionary it is over, or a part of; 0 where it is no slice's.
    #[prost(uint32, tag = "12")]
    pub slice: u32,
}

/// How far a spool's batches are stored.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Watermark {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub spool_id: Vec<u8>,
    /// The highest sequence.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
}

impl Footer {
    /// What it takes to hold all of it in memory, in rows.
    pub fn weight(&self) -> u64 {
        self.rows.saturating_add(self.detailed_samples)
    }

    /// How far the segment brings its spools.
    pub fn spools(&self) -> impl Iterator<Item = (SpoolId, u64)> {
        self.watermarks.iter().filter_map(|mark| {
            Some((SpoolId(mark.spool_id.as_slice().try_into().ok()?), mark.sequence))
        })
    }
}
