//! The maps that the kernel-side unwinder reads: who writes them sees pages, numbers and values.
//!
//! What is loaded when, and what gives way, is decided in [`unwind`](crate::unwind).

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, MapData, MapError},
};
use stoker_ebpf_abi::{
    MAPPING_PAGE_LEN, Mapping, Process, TABLE_PAGE_WORDS, TableSpan, UNWIND_PROCESSES_MAX, names,
};
use stoker_unwind::{Rule, RuleId};

use super::{error::KernelError, maps::typed};

/// How many pages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwindRoom {
    /// Pages of [`TABLE_PAGE_WORDS`] words.
    pub table_pages: u32,
    /// Pages of [`MAPPING_PAGE_LEN`] mappings.
    pub mapping_pages: u32,
}

/// Bytes of one page of each kind.
const TABLE_PAGE_BYTES: u64 = (TABLE_PAGE_WORDS * 4) as u64;
const MAPPING_PAGE_BYTES: u64 = (MAPPING_PAGE_LEN * size_of::<Mapping>()) as u64;

/// One part in so many of the memory is for mappings.
const MAPPING_SHARE: u64 = 8;

impl UnwindRoom {
    /// As much as fits into so many bytes; 0 for none.
    #[must_use]
    pub fn within(bytes: u64) -> Self {
        let mappings =
            (bytes / MAPPING_SHARE / MAPPING_PAGE_BYTES).min(u64::from(UNWIND_PROCESSES_MAX) * 4);
        let tables = bytes.saturating_sub(mappings * MAPPING_PAGE_BYTES) / TABLE_PAGE_BYTES;
        // Word numbers have 32 bits.
        let tables = tables.min(u64::from(u32::MAX) / TABLE_PAGE_WORDS as u64);
        let count = |pages: u64| u32::try_from(pages).unwrap_or(u32::MAX).max(1);
        Self { table_pages: count(tables), mapping_pages: count(mappings) }
    }

    /// Whether there is too little for any table.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.table_pages <= 1
    }

    /// The memory of the pages.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.table_pages) * TABLE_PAGE_BYTES
            + u64::from(self.mapping_pages) * MAPPING_PAGE_BYTES
    }
}

/// Lets aya write a value as bytes.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Bytes<T>(T);

// SAFETY: `repr(transparent)` over a `repr(C)` type of integers without padding (its size is
// asserted in the ABI crate).
unsafe impl Pod for Bytes<TableSpan> {}
// SAFETY: as above.
unsafe impl Pod for Bytes<Process> {}
// SAFETY: as above, and an array of such has no padding either.
unsafe impl Pod for Bytes<[Mapping; MAPPING_PAGE_LEN]> {}
// SAFETY: as above; the size is asserted in the crate that defines the type.
unsafe impl Pod for Bytes<Rule> {}

/// The maps, open for writing.
pub struct UnwindMaps {
    room: UnwindRoom,
    table_pages: Array<MapData, [u32; TABLE_PAGE_WORDS]>,
    tables: Array<MapData, Bytes<TableSpan>>,
    rules: Array<MapData, Bytes<Rule>>,
    mapping_pages: Array<MapData, Bytes<[Mapping; MAPPING_PAGE_LEN]>>,
    processes: HashMap<MapData, u32, Bytes<Process>>,
}

impl UnwindMaps {
    pub(super) fn take(ebpf: &mut Ebpf, room: UnwindRoom) -> Result<Self, KernelError> {
        Ok(Self {
            room,
            table_pages: typed(ebpf, names::TABLE_PAGES)?,
            tables: typed(ebpf, names::TABLES)?,
            rules: typed(ebpf, names::RULES)?,
            mapping_pages: typed(ebpf, names::MAPPING_PAGES)?,
            processes: typed(ebpf, names::PROCESSES)?,
        })
    }

    /// How many pages there are.
    #[must_use]
    pub fn room(&self) -> UnwindRoom {
        self.room
    }

    /// Writes one page of tables.
    ///
    /// # Errors
    /// Where there is no such page.
    pub fn set_table_page(
        &mut self,
        page: u32,
        words: &[u32; TABLE_PAGE_WORDS],
    ) -> Result<(), KernelError> {
        self.table_pages.set(page, words, 0).map_err(refused)
    }

    /// Says where a table is.
    ///
    /// # Errors
    /// Where there is no such number.
    pub fn set_table(&mut self, table: u32, span: TableSpan) -> Result<(), KernelError> {
        self.tables.set(table, Bytes(span), 0).map_err(refused)
    }

    /// Writes a rule.
    ///
    /// # Errors
    /// Where the kernel does not take it.
    pub fn set_rule(&mut self, id: RuleId, rule: Rule) -> Result<(), KernelError> {
        self.rules.set(u32::from(id.0), Bytes(rule), 0).map_err(refused)
    }

    /// Writes one page of mappings.
    ///
    /// # Errors
    /// Where there is no such page.
    pub fn set_mapping_page(
        &mut self,
        page: u32,
        mappings: &[Mapping; MAPPING_PAGE_LEN],
    ) -> Result<(), KernelError> {
        self.mapping_pages.set(page, Bytes(*mappings), 0).map_err(refused)
    }

    /// Unwinds a process by tables from now on.
    ///
    /// # Errors
    /// Where there are as many as there can be.
    pub fn set_process(&mut self, pid: u32, process: Process) -> Result<(), KernelError> {
        self.processes.insert(pid, Bytes(process), 0).map_err(refused)
    }

    /// Unwinds a process by tables no longer. The kernel may have forgotten it already.
    pub fn remove_process(&mut self, pid: u32) {
        let _forgotten = self.processes.remove(&pid);
    }
}

fn refused(error: MapError) -> KernelError {
    KernelError::refused("loading unwinding tables", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_fit_into_the_memory() {
        for bytes in [1 << 20, 32 << 20, 1 << 30] {
            let room = UnwindRoom::within(bytes);
            assert!(room.bytes() <= bytes && room.bytes() > bytes * 99 / 100, "{room:?}");
        }
        assert_eq!(UnwindRoom::within(0), UnwindRoom { table_pages: 1, mapping_pages: 1 });
    }
}
