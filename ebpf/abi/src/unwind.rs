//! Where the kernel-side unwinder finds what it needs. What rows and rules mean is the business of
//! `stoker-unwind`; here is only where they lie.
//!
//! One array of pages holds the indexes and the rows of all tables, each table in pages that follow
//! one another. A second one holds the mappings of all processes, in order of address. So both
//! sides deal with numbers of pages alone, and one syscall writes a page.

/// Words of one page of tables: 4 KiB, one `u32` each for an entry of an index or a row.
pub const TABLE_PAGE_WORDS: usize = 1024;

/// Mappings in one page of mappings.
pub const MAPPING_PAGE_LEN: usize = 16;

/// Rules of the machine's array.
pub const RULES_MAX: u32 = 1 << 16;

/// Tables that can be loaded at one time, number 0 apart, which is none.
pub const TABLES_MAX: u32 = 4096;

/// Processes that can be unwound by tables at one time.
pub const UNWIND_PROCESSES_MAX: u32 = 8192;

/// Executable mappings of one process that are searched; a power of two.
pub const UNWIND_MAPPINGS_MAX: u32 = 8192;

/// Pages of tables and of mappings as compiled; the agent sets the real number before it loads.
pub const PAGES_DEFAULT: usize = 1;

/// Where a process's mappings are.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The first page of mappings.
    pub page: u32,
    /// How many mappings there are, at most [`UNWIND_MAPPINGS_MAX`].
    pub mappings: u32,
}

/// An executable mapping.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// The address at which the first byte of the table's text lies, or would lie.
    pub text: u64,
    /// The table's number; 0 without one.
    pub table: u32,
    /// Zero.
    pub reserved: u32,
}

/// Where a table is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSpan {
    /// Number of the first word of its index, counted over all pages.
    pub index_at: u32,
    /// Blocks of its text; its index has one entry more. 0: there is no such table.
    pub blocks: u32,
    /// Number of its first row's word.
    pub rows_at: u32,
    /// How many rows there are.
    pub rows: u32,
}

const _: () = assert!(size_of::<Process>() == 8);
const _: () = assert!(size_of::<Mapping>() == 32);
const _: () = assert!(size_of::<TableSpan>() == 16);
// The programs mask the place within a page.
const _: () = assert!(TABLE_PAGE_WORDS.is_power_of_two());
const _: () = assert!(MAPPING_PAGE_LEN.is_power_of_two());
const _: () = assert!(UNWIND_MAPPINGS_MAX.is_power_of_two());
