//! Where loaded tables go: the kernel's maps, or memory in tests.

use stoker_ebpf_abi::{MAPPING_PAGE_LEN, Mapping, Process, TABLE_PAGE_WORDS, TableSpan};
use stoker_unwind::{Rule, RuleId};

/// A page of indexes and rows.
pub type TablePage = [u32; TABLE_PAGE_WORDS];
/// A page of mappings.
pub type MappingPage = [Mapping; MAPPING_PAGE_LEN];

/// Why something could not be stored, in a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// What the kernel-side unwinder reads.
pub trait Store {
    /// Writes one page of tables.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn set_table_page(&mut self, page: u32, words: &TablePage) -> Result<(), StoreError>;
    /// Says where a table is.
    ///
    /// # Errors
    /// As above.
    fn set_table(&mut self, table: u32, span: TableSpan) -> Result<(), StoreError>;
    /// Writes a rule.
    ///
    /// # Errors
    /// As above.
    fn set_rule(&mut self, id: RuleId, rule: Rule) -> Result<(), StoreError>;
    /// Writes one page of mappings.
    ///
    /// # Errors
    /// As above.
    fn set_mapping_page(&mut self, page: u32, mappings: &MappingPage) -> Result<(), StoreError>;
    /// Unwinds a process by tables from now on.
    ///
    /// # Errors
    /// As above.
    fn set_process(&mut self, pid: u32, process: Process) -> Result<(), StoreError>;
    /// No longer.
    fn remove_process(&mut self, pid: u32);
}
