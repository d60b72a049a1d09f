//! Segments: immutable files that hold rows, facts and everything that is needed to read them.
//!
//! A segment is a header, blocks, a footer and a trailer. Names (strings, builds, frames,
//! definitions) and stacks (nodes, label sets) are two batches of the wire made by one fresh
//! encoder, so that a segment has no format of its own for what the wire can already say; rows stand
//! in blocks by profile type and time over that dictionary; facts in one block. Each block is
//! compressed and has its checksum in the footer, and is read only when it is asked for.

mod read;
mod write;

pub use read::Segment;
pub use write::{SegmentContent, write_segment};

/// The first and the last bytes of every segment.
const MAGIC: &[u8; 8] = b"STKRSEG\n";
/// The version of segments that is written, and the newest that is read.
pub const SEGMENT_VERSION: u32 = 1;
/// Magic, version, and four bytes that are 0.
pub const HEADER_BYTES: usize = 16;
/// Length of the footer, its crc32c, magic.
pub const TRAILER_BYTES: usize = 16;
/// Values of a label that the footer lists; with more it says that there are more.
pub const MAX_SUMMARY_VALUES: usize = 256;
/// A block of rows ends after the window in which it reaches this many.
const BLOCK_ROWS: usize = 256 << 10;
/// No block is larger than this when decompressed.
const MAX_BLOCK_BYTES: u64 = 2 << 30;

/// What a block holds. The numbers are in files and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Strings, builds, frames, definitions.
    Names = 1,
    /// Nodes and label sets.
    Stacks = 2,
    /// Rows of one profile type.
    Rows = 3,
    /// Facts of hosts.
    Facts = 4,
}

impl BlockKind {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }
}

/// The first bytes of a segment.
fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
    bytes
}
