//! What one file may cost. A process can map anything it likes, so each of these is reached by
//! nothing but damaged, hostile or truly enormous files; each has its own [`CompileError`] or count.
//!
//! Together they bound one compilation to some 64 MiB of memory and, by [`WORK_MAX`], to about a second.
//!
//! [`CompileError`]: super::CompileError

/// Most bytes of `.eh_frame` and `.debug_frame` together. (libLLVM 22 has 6.5 MB.)
pub const FRAME_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Most frame description entries of one file. (libLLVM 22 has 130,000.)
pub const FDES_MAX: usize = 1 << 20;
/// Most rows of one table, 16 MiB of them. (libLLVM 22 has 1.2 million.)
pub const ROWS_MAX: usize = 4 << 20;
/// Most stretches of equal frame size that are read from a Go function table.
pub const GO_RUNS_MAX: usize = 4 << 20;
/// Longest text that one table covers, from its first executable byte to its last.
pub const TEXT_BYTES_MAX: u64 = 1 << 30;
/// Most rules that one file may add to the machine's array, so that no file can fill it for all.
pub const RULES_PER_FILE_MAX: usize = 4096;
/// Most rules of a machine: what a [`RuleId`](stoker_unwind::RuleId) can number.
pub const RULES_MAX: usize = 1 << 16;
/// Longest common information entry in bytes. Real ones have some 20.
pub const CIE_BYTES_MAX: u64 = 1024;
/// Most common information entries that are remembered at a time.
pub const CIES_KEPT_MAX: usize = 1024;
/// Deepest nest of remembered states in one entry. Compilers use one.
pub const REMEMBERED_MAX: usize = 32;
/// Most operations of one expression. Linkage stubs have nine.
pub const OPERATIONS_MAX: usize = 16;
/// Most bytes that are interpreted for one file; each entry is read twice, and a common entry again
/// whenever it was forgotten.
pub const WORK_MAX: u64 = 4 * FRAME_BYTES_MAX;
/// Most program headers of one file.
pub const SEGMENTS_MAX: u16 = 512;
/// Most section headers of one file; with more, it is read as if it had none.
pub const SECTIONS_MAX: u16 = 8192;
/// Most bytes of section names.
pub const SECTION_NAMES_BYTES_MAX: u64 = 1024 * 1024;
/// An entry point without unwinding information is the start of a thread for so many bytes, or up to
/// the next function that has some.
pub const ENTRY_BYTES: u32 = 64;

/// What compilers align functions to; less between two of them is padding.
pub const FUNCTION_ALIGN: u32 = 16;

const _: () = assert!(RULES_PER_FILE_MAX < RULES_MAX);
const _: () = assert!(TEXT_BYTES_MAX <= u32::MAX as u64);
const _: () = assert!(FRAME_BYTES_MAX <= u32::MAX as u64);
