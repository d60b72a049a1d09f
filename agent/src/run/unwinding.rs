//! Keeps the kernel-side unwinder supplied with what the events and samples tell.

use std::path::Path;
use std::time::{Duration, Instant};

use stoker_ebpf_abi::{Process, TableSpan};
use stoker_unwind::{Outcome, Rule, RuleId};
use stoker_wire::BrokenStacks;

use super::status::UnwindStatus;
use crate::kernel::{KernelError, KernelEvent, Sample, UnwindMaps, UnwindRoom};
use crate::process::ProcessTable;
use crate::unwind::{Loader, MappingPage, OutcomeCounts, Store, StoreError, TablePage};

/// Files that are named in the metrics.
const WORST_MAX: usize = 20;
/// Between two looks whether a table has been compiled.
const PREPARE_STEP: Duration = Duration::from_millis(1);

/// The loader for one sampler's maps, and how stacks ended.
#[derive(Default)]
pub struct Unwinding {
    loader: Option<(UnwindRoom, Loader)>,
    outcomes: OutcomeCounts,
}

impl Unwinding {
    /// The maps are gone, or others.
    pub fn start_over(&mut self) {
        self.loader = None;
    }

    /// Takes note of a sample.
    pub fn sampled(&mut self, sample: &Sample<'_>, processes: &ProcessTable) {
        self.outcomes.add(sample.outcome, sample.guessed);
        if sample.outcome.is_failure() {
            let last = sample.user.last().copied().unwrap_or(0);
            let address = last.saturating_sub(u64::from(sample.user.len() > 1));
            let file = processes.module_at(sample.pid, address);
            self.outcomes.broke(file.unwrap_or_else(|| "".into()), sample.outcome);
        }
        if let Some((_, loader)) = &mut self.loader {
            loader.sampled(sample.pid, processes.code_version(sample.pid));
        }
    }

    /// A process will be sampled soon.
    pub fn expected(&mut self, pid: u32) {
        if let Some((_, loader)) = &mut self.loader {
            loader.expected(pid);
        }
    }

    /// Takes note of any other event.
    pub fn noted(&mut self, event: &KernelEvent<'_>) {
        let Some((_, loader)) = &mut self.loader else { return };
        match *event {
            KernelEvent::Exec { pid, .. } => loader.executed(pid),
            KernelEvent::Fork { pid, parent_pid, .. } if pid != parent_pid => {
                loader.forked(pid, parent_pid);
            }
            KernelEvent::Mmap(mmap) => loader.mapped(mmap.pid),
            KernelEvent::Exit { pid, tid, .. } if pid == tid => loader.exited(pid),
            _ => {}
        }
    }

    /// Loads what is wanted into these maps. To be called after each drain.
    pub fn exchange(&mut self, processes: &mut ProcessTable, maps: &mut UnwindMaps) {
        if let Some(loader) = self.loader(maps) {
            loader.exchange(processes, maps);
        }
    }

    /// Makes ready what a program needs that has not begun, if that takes no longer than `patience`.
    pub fn prepare(
        &mut self,
        program: &Path,
        processes: &mut ProcessTable,
        maps: &mut UnwindMaps,
        patience: Duration,
    ) {
        let Some(loader) = self.loader(maps) else { return };
        let until = Instant::now() + patience;
        loader.prepare(program, processes);
        while loader.is_compiling() && Instant::now() < until {
            std::thread::sleep(PREPARE_STEP);
            loader.exchange(processes, maps);
        }
    }

    fn loader(&mut self, maps: &UnwindMaps) -> Option<&mut Loader> {
        let room = maps.room();
        if room.is_none() {
            return None;
        }
        let make = || (room, Loader::new(room.table_pages, room.mapping_pages));
        Some(&mut self.loader.get_or_insert_with(make).1)
    }

    /// User stacks that were followed by tables.
    #[must_use]
    pub fn by_tables(&self) -> u64 {
        let by_tables = self.outcomes.totals().filter(|(of, _)| *of != Outcome::FramePointers);
        by_tables.map(|(_, count)| count).sum()
    }

    /// Where stacks broke since the last call.
    pub fn take_news(&mut self) -> Vec<BrokenStacks> {
        self.outcomes.take_news()
    }

    /// All that is counted.
    #[must_use]
    pub fn status(&self) -> UnwindStatus {
        let loads = self.loader.as_ref().map(|(_, loader)| loader.counters());
        UnwindStatus {
            totals: self.outcomes.totals().collect(),
            guessed: self.outcomes.guessed(),
            worst: self.outcomes.worst(WORST_MAX),
            loads: loads.unwrap_or_default(),
        }
    }
}

impl Store for UnwindMaps {
    fn set_table_page(&mut self, page: u32, words: &TablePage) -> Result<(), StoreError> {
        Self::set_table_page(self, page, words).map_err(said)
    }

    fn set_table(&mut self, table: u32, span: TableSpan) -> Result<(), StoreError> {
        Self::set_table(self, table, span).map_err(said)
    }

    fn set_rule(&mut self, id: RuleId, rule: Rule) -> Result<(), StoreError> {
        Self::set_rule(self, id, rule).map_err(said)
    }

    fn set_mapping_page(&mut self, page: u32, mappings: &MappingPage) -> Result<(), StoreError> {
        Self::set_mapping_page(self, page, mappings).map_err(said)
    }

    fn set_process(&mut self, pid: u32, process: Process) -> Result<(), StoreError> {
        Self::set_process(self, pid, process).map_err(said)
    }

    fn remove_process(&mut self, pid: u32) {
        Self::remove_process(self, pid);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(error: KernelError) -> StoreError {
    StoreError(error.to_string())
}
