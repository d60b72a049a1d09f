//! What became of a file's frame information, for doctor, metrics and tests.

/// Counts of one file. Nothing that a table leaves out is missing here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Frame description entries whose rows are in the table.
    pub fdes: u64,
    /// Functions that Go's own table tells about.
    pub go_functions: u64,
    /// Rows in the table.
    pub rows: u64,
    /// Of these, rows that say [`NONE`](stoker_unwind::RuleId::NONE): text without information.
    pub rows_none: u64,
    /// Of these, rows that say [`UNSUPPORTED`](stoker_unwind::RuleId::UNSUPPORTED).
    pub rows_unsupported: u64,
    /// Of these, rows that say [`BROKEN`](stoker_unwind::RuleId::BROKEN).
    pub rows_broken: u64,
    /// Bytes of text without information.
    pub bytes_none: u64,
    /// Why states could not be told by a rule.
    pub unsupported: Unsupported,
    /// What was left out.
    pub dropped: Dropped,
    /// Text without information is taken to keep frame pointers, because Go compiled it.
    pub is_go: bool,
    /// The entry point has no information and is taken for the start of a thread.
    pub has_entry_stub: bool,
    /// `.debug_frame` is there but compressed, and so was not read.
    pub has_compressed_frames: bool,
}

/// States that a rule cannot express, by reason; counted before equal neighbours are merged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsupported {
    /// The CFA is counted from a register other than the stack or frame pointer.
    pub cfa_register: u64,
    /// The CFA is an expression of an unknown form.
    pub cfa_expression: u64,
    /// The return address is elsewhere than in memory near CFA, stack or frame pointer.
    pub return_address: u64,
    /// An offset is too large.
    pub offset: u64,
    /// The caller's frame pointer is out of reach (the row is there, and says that it is lost).
    pub frame_pointer: u64,
}

/// Entries that are not in the table, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Entries that could not be read.
    pub broken: u64,
    /// Entries whose instructions could not be followed to their end; what came before is in the
    /// table.
    pub cut: u64,
    /// Entries for addresses outside of executable segments (functions that the linker removed).
    pub outside: u64,
    /// Entries for no bytes at all.
    pub empty: u64,
    /// Entries that another one overlaps: the later start wins, and of one start the first read.
    pub overlapped: u64,
    /// Entries of `.debug_frame` whose function `.eh_frame` has.
    pub duplicate: u64,
    /// States whose rule found no place among the machine's rules, or among those of one file.
    pub rules: u64,
    /// A section ends within an entry.
    pub truncated: u64,
}

impl Unsupported {
    /// All states that have no rule.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.cfa_register + self.cfa_expression + self.return_address + self.offset
    }
}
