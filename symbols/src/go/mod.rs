//! Go's function table (`.gopclntab`): the functions, files, lines and inlined calls that the runtime
//! itself needs for its tracebacks, so that no `strip` and no `-ldflags=-s -w` takes them away.
//!
//! Read by offset in small pieces, whatever its size: a lookup costs some dozens of short reads and no
//! memory. Layouts of Go 1.16, 1.18 and 1.20 are known, told apart by the table's magic number (Go's
//! `internal/abi/symtab.go`, `runtime/symtab.go`, `cmd/link/internal/ld/pcln.go`); any other is an
//! error, as is a table whose functions do not lie where it says. Pure but for reads through
//! [`ReadAt`].

mod frames;
mod image;
mod inlined;
mod layout;
mod piece;
mod table;

pub use frames::{GoFrameKind, GoFrameSink, GoFunction};
pub use layout::GoVersion;
pub use table::{GoSpot, GoTable};

use crate::elf::ElfError;

/// Most functions of one table.
pub const FUNCTIONS_MAX: u64 = 8 << 20;
/// Most calls that are inlined into each other at one address.
pub const INLINED_MAX: usize = 127;

/// Why a Go function table is of no use.
#[derive(Debug, thiserror::Error)]
pub enum GoTableError {
    /// There is none.
    #[error("the file has no Go function table")]
    None,
    /// Another magic number than any that is known.
    #[error("the Go function table has the unknown magic number {0:#x}")]
    Version(u32),
    /// Parts lie beyond its end, or numbers are absurd.
    #[error("the Go function table is damaged")]
    Damaged,
    /// Nothing says where its code lies, or what says so is wrong.
    #[error("the Go function table does not say where its code lies")]
    Place,
    /// The file around it.
    #[error(transparent)]
    Elf(#[from] ElfError),
}
