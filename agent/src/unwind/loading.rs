//! Loading one process, and making room for it.

use rustc_hash::FxHashMap;
use stoker_dag::BuildId;
use stoker_ebpf_abi::{
    MAPPING_PAGE_LEN, Mapping, Process, UNWIND_MAPPINGS_MAX, UNWIND_PROCESSES_MAX,
};

use super::background::Source;
use super::compile::Table;
use super::loader::{Known, Loader};
use super::plan::{Plan, TableOf};
use super::store::{Store, StoreError};
use super::tables::State;
use crate::process::{ProcessCode, ProcessTable};

/// A process that was sampled this many exchanges ago or less does not give way: some ten seconds.
const BUSY: u64 = 100;

/// The first address that is the kernel's.
const KERNEL_HALF: u64 = 1 << 63;

impl Loader {
    /// Loads a table, for which others give way if need be.
    pub(super) fn make_room_and_load(
        &mut self,
        build: &BuildId,
        table: &Table,
        store: &mut dyn Store,
    ) -> Result<Option<()>, StoreError> {
        loop {
            if let Some(()) = self.tables.load(build.clone(), table, store)? {
                return Ok(Some(()));
            }
            if !self.evict_table(store) {
                return Ok(None);
            }
        }
    }

    /// Gives up the table that was used longest ago, with the processes that use it. Nobody reads
    /// its pages any more once they are gone, but programs that run at this moment; so its pages
    /// are written at the earliest after they have ended.
    fn evict_table(&mut self, store: &mut dyn Store) -> bool {
        let mut used_at: FxHashMap<u32, u64> = FxHashMap::default();
        for known in self.processes.values() {
            for table in &known.tables {
                let at = used_at.entry(*table).or_default();
                *at = known.sampled_at.max(*at);
            }
        }
        let last_use = |number: u32| used_at.get(&number).copied().unwrap_or(0);
        let oldest = self.tables.iter().min_by_key(|(_, loaded)| last_use(loaded.number));
        let Some((build, number)) = oldest.map(|(build, loaded)| (build.clone(), loaded.number))
        else {
            return false;
        };
        if used_at.contains_key(&number) && last_use(number) + BUSY > self.tick {
            return false;
        }
        let users = self.processes.iter().filter(|(_, known)| known.tables.contains(&number));
        let users: Vec<u32> = users.map(|(&pid, _)| pid).collect();
        self.counters.processes_evicted += users.len() as u64;
        for pid in users {
            self.forget(pid, store);
        }
        self.counters.tables_evicted += 1;
        if let Some((number, pages)) = self.tables.unload(&build, store) {
            // A program that runs at this moment may read a few rows of another table: a stack that
            // breaks, within a microsecond, and no worse.
            self.tables.give_back(number, pages);
        }
        true
    }

    /// Loads a process as it is now, if its tables are there.
    pub(super) fn load(
        &mut self,
        pid: u32,
        sampled: bool,
        processes: &mut ProcessTable,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let Some(code) = processes.code(pid) else {
            self.forget(pid, store);
            return Ok(());
        };
        let mut known = self.processes.remove(&pid).unwrap_or_default();
        if known.in_kernel && known.version == code.version && known.waits_for.is_empty() {
            self.processes.insert(pid, known);
            return Ok(());
        }
        if sampled {
            known.sampled_at = self.tick;
        }
        let plan = self.plan(&code, sampled, processes);
        known.version = code.version;
        known.waits_for = plan.waits_for;
        let is_ready = known.waits_for.is_empty() || known.in_kernel;
        if is_ready && !plan.tables.is_empty() {
            known.tables = plan.tables;
            self.write(pid, &mut known, &plan.mappings, store)?;
        }
        self.processes.insert(pid, known);
        Ok(())
    }

    fn plan(&mut self, code: &ProcessCode, sampled: bool, processes: &mut ProcessTable) -> Plan {
        let mut plan = Plan::default();
        let most = UNWIND_MAPPINGS_MAX as usize;
        self.counters.mappings_dropped += code.mappings.len().saturating_sub(most) as u64;
        // The kernel's search compares addresses of the lower half; above it is only the page of
        // system calls from another time, whose code the kernel itself runs.
        let lower = code.mappings.iter().filter(|mapping| mapping.start < KERNEL_HALF);
        for mapping in lower.take(most) {
            let table = match &mapping.build {
                Some((build, _)) => self.table(build, sampled, processes),
                None => TableOf::None,
            };
            plan.add(mapping, table);
        }
        plan
    }

    /// The table of a build; asks for it where there is none yet and somebody was sampled.
    fn table(&mut self, build: &BuildId, sampled: bool, processes: &mut ProcessTable) -> TableOf {
        match self.tables.get(build) {
            Some(State::Loaded(loaded)) => TableOf::Loaded(loaded.number, loaded.text_start),
            Some(State::None) => TableOf::None,
            Some(State::NoRoomUntil(tick)) if *tick > self.tick => TableOf::None,
            Some(State::Compiling) => TableOf::Awaited,
            Some(State::NoRoomUntil(_)) | None if !sampled => TableOf::Awaited,
            Some(State::NoRoomUntil(_)) | None => self.ask(build, processes),
        }
    }

    pub(super) fn ask(&mut self, build: &BuildId, processes: &mut ProcessTable) -> TableOf {
        let source = match processes.is_vdso(build) {
            true => Some(Source::Vdso),
            false => processes.open_binary(build).map(Source::File),
        };
        let Some((source, background)) = source.zip(self.background.as_mut()) else {
            self.counters.refused += 1;
            self.tables.set(build.clone(), State::None);
            return TableOf::None;
        };
        if background.ask(build.clone(), source) {
            self.tables.set(build.clone(), State::Compiling);
        } else {
            self.counters.queue_full += 1;
        }
        TableOf::Awaited
    }

    fn write(
        &mut self,
        pid: u32,
        known: &mut Known,
        mappings: &[Mapping],
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let count = u32::try_from(mappings.len()).unwrap_or(u32::MAX);
        let wanted = mappings.len().div_ceil(MAPPING_PAGE_LEN);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let is_full = self.processes.len() >= UNWIND_PROCESSES_MAX as usize - 1;
        if is_full && !self.evict_process(store) {
            return Err(StoreError("as many processes as there can be are being sampled".into()));
        }
        let pages = loop {
            if let Some(pages) = self.mapping_pages.take(wanted) {
                break pages;
            }
            if !self.evict_process(store) {
                return Err(StoreError("there is no room for its mappings".into()));
            }
            self.reuse_mappings();
        };
        for (page, chunk) in pages.clone().zip(mappings.chunks(MAPPING_PAGE_LEN)) {
            let mut content = [Mapping::default(); MAPPING_PAGE_LEN];
            content[..chunk.len()].copy_from_slice(chunk);
            store.set_mapping_page(page, &content)?;
        }
        store.set_process(pid, Process { page: pages.start, mappings: count })?;
        let before = std::mem::replace(&mut known.pages, pages);
        self.retired.push((self.tick, before));
        known.in_kernel = true;
        Ok(())
    }

    /// Gives up the process that was sampled longest ago.
    fn evict_process(&mut self, store: &mut dyn Store) -> bool {
        let idle = self.processes.iter().filter(|(_, known)| known.sampled_at + BUSY <= self.tick);
        let Some(pid) = idle.min_by_key(|(_, known)| known.sampled_at).map(|(&pid, _)| pid) else {
            return false;
        };
        self.counters.processes_evicted += 1;
        self.forget(pid, store);
        true
    }

    /// Where room is short, pages are used again at once: what may go wrong is one stack.
    fn reuse_mappings(&mut self) {
        self.retired.drain(..).for_each(|(_, pages)| self.mapping_pages.give(pages));
    }
}
