//! Every bound of the readers. Files come from anywhere: what exceeds a bound that guards memory is
//! refused before memory is taken; what exceeds one that guards only the shape of a profile is cut
//! in a way that can be seen, and counted in [`Notes`](crate::Notes).

/// What a reader may be asked to hold. `Limits::default()` suits files of a gigabyte of memory use;
/// a server may ask for less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of input after decompression. More is refused.
    pub decompressed_bytes: usize,
    /// Samples, events or lines of one file. More is refused.
    pub samples: usize,
    /// Entries of any table of a file (strings, functions, locations, frames). More is refused.
    pub table_entries: usize,
    /// Nodes of all stacks of one file together. More is refused.
    pub nodes: usize,
    /// Frames of one stack. Of a deeper one the innermost are kept, below a `[truncated]` frame.
    pub stack_depth: usize,
    /// Bytes of one name. A longer one is cut.
    pub name_bytes: usize,
    /// Labels of one sample. Further ones are left out.
    pub labels: usize,
    /// Distinct label sets of one file. Samples with further ones lose their labels.
    pub attribute_sets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            decompressed_bytes: 512 << 20,
            samples: 16 << 20,
            table_entries: 8 << 20,
            nodes: 32 << 20,
            stack_depth: 1024,
            name_bytes: 16 << 10,
            labels: 64,
            attribute_sets: 64 << 10,
        }
    }
}

/// Value types of one pprof, profiles of one speedscope file, events of one perf script.
pub const MAX_PROFILES: usize = 256;
/// Functions of one pprof location: a frame and what was inlined into it.
pub const MAX_LINES: usize = 256;
/// Lines of a text format that are named in the notes; further ones are only counted.
pub const MAX_NAMED_LINES: usize = 10;
/// Comments that are kept of one file.
pub const MAX_COMMENTS: usize = 64;

const _: () = assert!(MAX_LINES < 1024, "the functions of one location fit into one stack");
