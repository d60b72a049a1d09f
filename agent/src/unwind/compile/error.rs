//! Why a file has no table.

use std::io;

use super::limits::{FDES_MAX, FRAME_BYTES_MAX, ROWS_MAX, SEGMENTS_MAX, TEXT_BYTES_MAX, WORK_MAX};

/// Why a file has no table. What is wrong with single entries does not end here, but in the
/// [`Report`](super::Report).
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Not ELF at all.
    #[error("not an ELF file")]
    NotElf,
    /// ELF that nothing executes: objects, cores, debug information alone.
    #[error("an ELF file of type {0}, which is no program and no library")]
    NotExecutable(u16),
    /// Another architecture, word size or byte order.
    #[error("machine {machine}, class {class}: only x86-64 with 64-bit words is unwound by tables")]
    Machine {
        /// `e_machine`.
        machine: u16,
        /// `EI_CLASS`.
        class: u8,
    },
    /// A header lies beyond the end or contradicts another.
    #[error("the ELF headers are damaged: {0}")]
    Damaged(&'static str),
    /// Too many program headers.
    #[error("{0} program headers; at most {SEGMENTS_MAX} are read")]
    TooManySegments(u16),
    /// Nothing executable in it.
    #[error("no executable segment")]
    NoText,
    /// The executable segments are too far apart.
    #[error("{0} bytes of text; at most {TEXT_BYTES_MAX} are covered")]
    TextTooLong(u64),
    /// The sections with frame information are too large.
    #[error("{0} bytes of frame information; at most {FRAME_BYTES_MAX} are read")]
    FramesTooLarge(u64),
    /// Too many functions.
    #[error("more than {FDES_MAX} frame description entries")]
    TooManyFdes,
    /// The table would be too long.
    #[error("more than {ROWS_MAX} rows")]
    TooManyRows,
    /// The file makes us read the same bytes over and over.
    #[error("more than {WORK_MAX} bytes of frame information to interpret")]
    TooMuchWork,
    /// Reading failed.
    #[error("cannot read the file: {0}")]
    Io(#[from] io::Error),
}
