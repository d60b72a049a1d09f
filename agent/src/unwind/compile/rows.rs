//! Writes the two arrays of a table, in order of address, merging what is equal.

use stoker_unwind::{BLOCK_SHIFT, Row, RuleId};

use super::limits::{FUNCTION_ALIGN, ROWS_MAX};
use super::{CompileError, Report};

/// The table as it is written. Offsets are bytes from the table's `text_start`.
pub(super) struct RowWriter {
    rows: Vec<Row>,
    index: Vec<u32>,
    last: Option<(u32, RuleId)>,
    /// The end of what is written.
    at: u32,
    text_bytes: u32,
    /// What text gets that nothing tells about.
    filler: RuleId,
}

impl RowWriter {
    /// For `text_bytes` of text; where nothing is written, `filler` stands.
    pub(super) fn new(text_bytes: u32, filler: RuleId) -> Self {
        let (rows, index) = (Vec::new(), Vec::with_capacity(blocks(text_bytes) + 1));
        Self { rows, index, last: None, at: 0, text_bytes, filler }
    }

    /// The rule for the bytes from `start` to `end`; `start` lies at or after the end of what was
    /// written before. Returns whether it took a row of its own.
    pub(super) fn write(
        &mut self,
        start: u32,
        end: u32,
        rule: RuleId,
        report: &mut Report,
    ) -> Result<(), CompileError> {
        if start >= end {
            return Ok(());
        }
        if start > self.at && !is_padding(self.at, start) {
            self.fill(start, report)?;
        }
        self.push(start, rule, report)?;
        self.at = end;
        Ok(())
    }

    fn fill(&mut self, until: u32, report: &mut Report) -> Result<(), CompileError> {
        report.bytes_none += u64::from(until - self.at);
        self.push(self.at, self.filler, report)?;
        self.at = until;
        Ok(())
    }

    fn push(&mut self, at: u32, rule: RuleId, report: &mut Report) -> Result<(), CompileError> {
        if self.last.is_some_and(|(_, last)| last == rule) {
            return Ok(());
        }
        if self.rows.len() >= ROWS_MAX {
            return Err(CompileError::TooManyRows);
        }
        self.index_up_to(at >> BLOCK_SHIFT);
        let within = u16::try_from(at & ((1 << BLOCK_SHIFT) - 1)).unwrap_or_default();
        self.rows.push(Row::new(within, rule));
        self.last = Some((at, rule));
        match rule {
            RuleId::NONE => report.rows_none += 1,
            RuleId::UNSUPPORTED => report.rows_unsupported += 1,
            RuleId::BROKEN => report.rows_broken += 1,
            _ => {}
        }
        Ok(())
    }

    /// Every block up to and including `block` begins at the latest here.
    fn index_up_to(&mut self, block: u32) {
        let next = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        while self.index.len() <= block as usize {
            self.index.push(next);
        }
    }

    /// The index and the rows.
    pub(super) fn finish(
        mut self,
        report: &mut Report,
    ) -> Result<(Vec<u32>, Vec<Row>), CompileError> {
        if self.at < self.text_bytes {
            self.fill(self.text_bytes, report)?;
        }
        report.rows = self.rows.len() as u64;
        let next = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        self.index.resize(blocks(self.text_bytes) + 1, next);
        self.rows.shrink_to_fit();
        Ok((self.index, self.rows))
    }
}

/// Whether the bytes from `end` to `start` only align the function that begins there. They never run,
/// so they go with the function before them; rows of their own were an eighth of all rows.
fn is_padding(end: u32, start: u32) -> bool {
    end > 0 && start.is_multiple_of(FUNCTION_ALIGN) && start - end < FUNCTION_ALIGN
}

fn blocks(text_bytes: u32) -> usize {
    (text_bytes as usize).div_ceil(1 << BLOCK_SHIFT)
}
