//! Compiles a file's `.eh_frame`, `.debug_frame` and Go function table into the table by which its frames are unwound.
//!
//! Promises: the same file and rules give the same table; any bytes give a table or a
//! [`CompileError`], in bounded time and memory ([`limits`]) and without a panic; what a table leaves
//! out is counted in its [`Report`]. Files of other architectures are refused by name.
//!
//! Where both sections tell about a function, `.eh_frame` is believed: it is what exceptions use.
//! Where entries overlap, the one that starts later is, as the C library's search by address does.
//! Text that none tells about is [`RuleId::NONE`], but in files
//! with Go, whose compiler keeps frame pointers, and an entry point, which is the start of a thread; the
//! few bytes that align a function are no such text. Go's functions are told about by Go's own table.

mod compiler;
mod elf;
mod error;
mod expression;
mod frames;
mod go;
mod headers;
pub mod limits;
mod program;
mod report;
mod rows;
mod rules;
mod state;
mod stretches;

use stoker_unwind::{Row, RuleId};

use self::compiler::Compiler;
use self::elf::Image;
pub use self::error::CompileError;
pub use self::report::{Dropped, Report, Unsupported};
pub use self::rules::Rules;
use crate::process::ReadAt;

/// A file's unwinding table; see [`stoker_unwind::Row`] for how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The virtual address where the first block begins, a multiple of the block's size.
    pub text_start: u64,
    /// Bytes that the table covers.
    pub text_bytes: u32,
    /// For each block, and once more for the end, where its rows begin.
    pub index: Vec<u32>,
    /// The rows, in order of address.
    pub rows: Vec<Row>,
    /// What became of the frame information.
    pub report: Report,
}

impl Table {
    /// The rule for the virtual address `address` of the file; [`RuleId::NONE`] outside of the text.
    #[must_use]
    pub fn rule_at(&self, address: u64) -> RuleId {
        let Some(offset) =
            address.checked_sub(self.text_start).filter(|&o| o < u64::from(self.text_bytes))
        else {
            return RuleId::NONE;
        };
        let block = usize::try_from(offset >> stoker_unwind::BLOCK_SHIFT).unwrap_or(usize::MAX);
        let within = offset & (stoker_unwind::BLOCK_BYTES - 1);
        let (Some(&from), Some(&to)) = (self.index.get(block), self.index.get(block + 1)) else {
            return RuleId::NONE;
        };
        let rows = self.rows.get(from as usize..to as usize).unwrap_or_default();
        let after = from as usize + rows.partition_point(|row| u64::from(row.offset()) <= within);
        let row = after.checked_sub(1).and_then(|row| self.rows.get(row));
        row.map_or(RuleId::NONE, |row| row.rule())
    }

    /// Bytes of rows and index.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&self.rows[..]) + size_of_val(&self.index[..])
    }
}

/// The table of `file`, whose rules are added to `rules`.
///
/// # Errors
/// When the file is no x86-64 program or library, or is damaged or larger than the [`limits`].
pub fn compile<R: ReadAt + ?Sized>(file: &R, rules: &mut Rules) -> Result<Table, CompileError> {
    let image = Image::read(file)?;
    Compiler::new(&image)?.run(rules)
}
