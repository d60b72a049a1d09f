//! Segments: immutable files that hold rows, facts and everything that is needed to read them.
//!
//! A segment is a header, blocks, a footer and a trailer. Its rows are cut by the service of their series into
//! **slices**, each with a dictionary of its own: a sealed log has one, or a few where it is large, a merged segment as many
//! as it takes to merge within a bound on memory. Names (strings, builds, frames) and label sets are batches of the wire
//! made by fresh encoders, so that a segment has no format of its own for what the wire can already say. Rows are columns (`rows`), and so are
//! stacks where a log was sealed (`stack_columns`); where segments were merged they are coded by what is
//! expected of them (`stacks`). Each block is compressed and has its checksum in the footer, and
//! is read only when it is asked for. Version 1, whose stacks and rows were the wire's, is still read, as are
//! the later ones. The footers of rollups say their level, function tables have
//! totals, and detailed recordings samples one by one (`details`) beside raw rows.

mod blocks;
mod columns;
mod decode_ahead;
mod decoded;
mod definitions;
mod details;
mod effort;
mod fact_sums;
mod facts;
mod order;
mod range_coder;
mod read;
mod read_stacks;
mod read_v1;
mod rows;
mod series;
mod stack_columns;
mod stack_model;
mod stack_order;
mod stacks;
mod sums;
mod visit;
mod write;
mod write_blocks;

pub use effort::Effort;
pub use read::{Segment, SegmentDictionary, Wanted};
pub use sums::{SumRun, Sums};
pub use write::{SegmentAbout, SegmentWriter, SliceContent, WrittenSegment, seal, write_segment};

/// The first and the last bytes of every segment.
const MAGIC: &[u8; 8] = b"STKRSEG\n";
/// The newest version of segments that is read, and the one that is written.
pub const SEGMENT_VERSION: u32 = 6;
/// Magic, version, and four bytes that are 0.
pub const HEADER_BYTES: usize = 16;
/// Length of the footer, its crc32c, magic.
pub const TRAILER_BYTES: usize = 16;
/// Values of a label that the footer lists; with more it says that there are more.
pub const MAX_SUMMARY_VALUES: usize = 256;
/// A block of rows ends when it has this many.
const BLOCK_ROWS: usize = 128 << 10;
/// A block of rows has those of one hour at most, so that hours can be skipped.
const BLOCK_WINDOWS: u64 = 360;
/// No block is larger than this when decompressed.
const MAX_BLOCK_BYTES: u64 = 2 << 30;

/// The label by whose value series are put together and segments are cut into slices: the one that most
/// queries select by.
pub const FIRST_LABEL: &str = "service_name";

/// A slice of a segment, by its place in the footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceIx(pub u32);

impl SliceIx {
    /// Whether it is the first of its segment.
    #[must_use]
    pub const fn is_first(self) -> bool {
        self.0 == 0
    }
}

/// What a block holds. The numbers are in files and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Strings, builds, frames; up to version 4 definitions; in versions 2 to 5 label sets.
    Names = 1,
    /// Version 1: nodes and label sets.
    WireStacks = 2,
    /// Version 1: rows of one profile type.
    WireRows = 3,
    /// Up to version 5: facts of hosts.
    Facts = 4,
    /// Nodes, depth first, as columns: from version 2 on; from version 5 on in sealed logs.
    StackColumns = 5,
    /// Rows of one profile type and hour, by stack and then by time.
    Rows = 6,
    /// Version 3: total values of functions of one profile type and hour, as [`BlockKind::Rows`].
    FunctionTotals = 7,
    /// Version 4: samples one by one, of one profile type and hour.
    Details = 8,
    /// Nodes, depth first, by what is expected of them: from version 5 on, in merged segments.
    Stacks = 9,
    /// From version 5 on: what frames mean.
    Definitions = 10,
    /// From version 6 on: label sets.
    Series = 11,
    /// From version 6 on: facts of hosts, as columns.
    FactColumns = 12,
}

impl BlockKind {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }
}

/// The first bytes of a segment.
pub fn header(version: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    bytes
}
