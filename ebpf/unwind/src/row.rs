//! Rows: at which address which rule begins.
//!
//! The text of a file is cut into blocks of [`BLOCK_BYTES`], counted from the table's `text_start`
//! (a virtual address of the file, a multiple of the block's size). A table is two arrays:
//!
//! - `index`, one `u32` per block and one more: where in `rows` the block's rows begin;
//! - `rows`, one [`Row`] wherever the rule changes, in order of address.
//!
//! The rule for an address is that of the last row at or before it. Where no row of its own block is,
//! that is the last row of an earlier block: `rows[index[block] - 1]`. A table begins with a row at
//! its first byte, and text without unwinding information carries rows with [`RuleId::NONE`], so
//! that a gap never inherits the rule of the function before it.
//!
//! So a row takes 4 bytes, and the index 4 bytes per KiB of text.

use crate::RuleId;

/// Size of a block as a power of two: 1 KiB.
pub const BLOCK_SHIFT: u32 = 10;

/// Size of a block in bytes.
pub const BLOCK_BYTES: u64 = 1 << BLOCK_SHIFT;

/// One row: the offset within its block above, the rule below.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row(pub u32);

impl Row {
    /// A row at `offset` within its block.
    #[must_use]
    #[inline]
    pub const fn new(offset: u16, rule: RuleId) -> Self {
        Self(((offset as u32) << 16) | rule.0 as u32)
    }

    /// Bytes from the start of the block, below [`BLOCK_BYTES`].
    #[must_use]
    #[inline]
    pub const fn offset(self) -> u32 {
        self.0 >> 16
    }

    /// The rule that begins here.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    pub const fn rule(self) -> RuleId {
        RuleId(self.0 as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_back_what_it_was_made_of() {
        for (offset, rule) in [(0, 0), (1023, 1), (5, u16::MAX)] {
            let row = Row::new(offset, RuleId(rule));
            assert_eq!((row.offset(), row.rule()), (u32::from(offset), RuleId(rule)));
        }
    }
}
