//! Where the parts of a function table lie, by version.

use super::piece::Piece;
use super::{FUNCTIONS_MAX, GoTableError};
use crate::elf::ReadAt;

/// The layouts that are known, by the first Go that wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GoVersion {
    /// Go 1.16 and 1.17: absolute addresses.
    Go116,
    /// Go 1.18 and 1.19: offsets from the start of the code.
    Go118,
    /// Go 1.20 and later: another record of inlined calls.
    Go120,
}

/// Where the parts lie, as offsets in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub version: GoVersion,
    /// Instructions are multiples of so many bytes long.
    pub quantum: u64,
    /// Bytes of an address: 4 or 8.
    pub pointer: u64,
    pub functions: u64,
    /// What the header says of the start of the code; 0 where the loader fills it in.
    pub text: u64,
    pub names: u64,
    pub units: u64,
    pub files: u64,
    pub pcs: u64,
    /// Both the list of functions and what is said of each.
    pub funcs: u64,
}

/// Where `textStart` stands in the header, in bytes of an address behind the first eight.
const TEXT_WORD: u64 = 2;

impl Layout {
    pub(super) fn read<R: ReadAt + ?Sized>(table: &Piece<'_, R>) -> Result<Self, GoTableError> {
        let [a, b, c, d, 0, 0, quantum, pointer] = table.bytes(0).ok_or(GoTableError::Damaged)?
        else {
            return Err(GoTableError::Damaged);
        };
        let magic = u32::from_le_bytes([a, b, c, d]);
        let version = match magic {
            0xffff_fffa => GoVersion::Go116,
            0xffff_fff0 => GoVersion::Go118,
            0xffff_fff1 => GoVersion::Go120,
            _ => return Err(GoTableError::Version(magic)),
        };
        if !matches!(quantum, 1 | 2 | 4) || !matches!(pointer, 4 | 8) {
            return Err(GoTableError::Damaged);
        }
        let pointer = u64::from(pointer);
        let word =
            |index: u64| table.number(8 + index * pointer, pointer).ok_or(GoTableError::Damaged);
        // Since Go 1.18 the start of the code stands between the counts and the offsets.
        let (text, first) = match version {
            GoVersion::Go116 => (0, TEXT_WORD),
            _ => (word(TEXT_WORD)?, TEXT_WORD + 1),
        };
        let offset = |index: u64| word(first + index).and_then(|at| within(at, table.size()));
        let functions = word(0)?;
        if functions == 0 || functions > FUNCTIONS_MAX {
            return Err(GoTableError::Damaged);
        }
        let layout = Self {
            version,
            quantum: quantum.into(),
            pointer,
            functions,
            text,
            names: offset(0)?,
            units: offset(1)?,
            files: offset(2)?,
            pcs: offset(3)?,
            funcs: offset(4)?,
        };
        within(layout.funcs + (2 * functions + 1) * layout.entry(), table.size())?;
        Ok(layout)
    }

    /// Where the header says the start of the code, for the loader to fill in.
    pub(super) fn text_at(&self) -> u64 {
        8 + TEXT_WORD * self.pointer
    }

    /// Bytes of each of the two numbers of an entry in the list of functions.
    pub(super) fn entry(&self) -> u64 {
        match self.version {
            GoVersion::Go116 => self.pointer,
            _ => 4,
        }
    }

    /// Bytes of the entry address at the start of what is said of a function.
    pub(super) fn entry_address(&self) -> u64 {
        self.entry()
    }

    /// Where the counts stand that end the fixed part of what is said of a function.
    pub(super) fn func_id(&self) -> u64 {
        match self.version {
            GoVersion::Go120 => self.entry_address() + 36,
            _ => self.entry_address() + 32,
        }
    }
}

fn within(at: u64, size: u64) -> Result<u64, GoTableError> {
    if at <= size { Ok(at) } else { Err(GoTableError::Damaged) }
}
