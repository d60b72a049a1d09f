//! Every bound of the protocol. A peer that exceeds one is refused before memory is taken.

/// One batch, decompressed.
pub const MAX_BATCH_BYTES: usize = 16 << 20;
/// One string.
pub const MAX_STRING_BYTES: usize = 16 << 10;
/// All strings that one stream may define.
pub const MAX_STREAM_STRINGS: usize = 4 << 20;
/// The bytes of all strings that one stream may define.
pub const MAX_STREAM_STRING_BYTES: usize = 256 << 20;
/// Builds that one stream may define.
pub const MAX_STREAM_BUILDS: usize = 256 << 10;
/// Frames that one stream may define.
pub const MAX_STREAM_FRAMES: usize = 8 << 20;
/// Nodes that one stream may define.
pub const MAX_STREAM_NODES: usize = 32 << 20;
/// Label sets that one stream may define.
pub const MAX_STREAM_LABEL_SETS: usize = 1 << 20;
/// Labels of one set.
pub const MAX_LABELS: usize = 64;
/// Frames of one stack.
pub const MAX_STACK_DEPTH: u16 = 1024;
/// Rows of one batch.
pub const MAX_BATCH_ROWS: usize = 4 << 20;
/// Samples of one batch that are told one by one.
pub const MAX_BATCH_DETAILS: usize = 4 << 20;
/// Functions of one definition: a frame and what was inlined into it.
pub const MAX_LOCATIONS: usize = 256;
/// Reasons for loss, control groups and files that one batch may list of each.
pub const MAX_FACTS: usize = 16 << 10;

const _: () = assert!(MAX_STREAM_NODES < u32::MAX as usize);
const _: () = assert!(MAX_STRING_BYTES < MAX_BATCH_BYTES);
