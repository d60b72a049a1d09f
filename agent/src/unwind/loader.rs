//! What is loaded for whom.
//!
//! A process is loaded when it is first sampled, or at once where it starts from files whose tables
//! are there already. Tables are shared by build id. What has not been sampled for longest gives way
//! where room is short; only the process itself pays for it, by frame pointers until it is loaded
//! again.
//!
//! Pages of mappings that are given up are used again two exchanges later: by then no program runs
//! any more that could have looked them up before.

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};
use stoker_dag::BuildId;
use stoker_ebpf_abi::{MAPPING_PAGE_LEN, Mapping, TABLE_PAGE_WORDS};

use super::background::{Background, Compiled};
use super::counters::LoadCounters;
use super::pages::Pages;
use super::store::Store;
use super::tables::{State, Tables};
use crate::process::ProcessTable;

/// Processes that are looked at in one exchange; the rest wait for the next.
const LOADS_PER_EXCHANGE: usize = 64;
/// Exchanges after which something that was given up may be used again.
const GRACE: u64 = 2;
/// Exchanges after which a table that found no room is tried again.
const RETRY: u64 = 300;

/// A process as the kernel knows it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Of its mappings, as they were loaded.
    pub version: u64,
    pub pages: Range<u32>,
    /// Numbers of tables.
    pub tables: Vec<u32>,
    /// Builds whose tables were not there yet.
    pub waits_for: Vec<BuildId>,
    pub in_kernel: bool,
    pub sampled_at: u64,
}

/// Keeps the kernel-side unwinder supplied.
pub struct Loader {
    pub(super) background: Option<Background>,
    pub(super) tables: Tables,
    pub(super) processes: FxHashMap<u32, Known>,
    pub(super) mapping_pages: Pages,
    /// To look at in the next exchange; whether because of a sample.
    wanted: FxHashMap<u32, bool>,
    /// Those of which tables are compiled before the first sample.
    expected: FxHashSet<u32>,
    /// To be taken from the kernel in the next exchange.
    ended: FxHashSet<u32>,
    /// Pages of mappings that were given up, and when.
    pub(super) retired: Vec<(u64, Range<u32>)>,
    pub(super) tick: u64,
    pub(super) counters: LoadCounters,
}

impl Loader {
    /// For a store with so many pages of tables and of mappings.
    #[must_use]
    pub fn new(table_pages: u32, mapping_pages: u32) -> Self {
        let background = Background::start();
        if let Err(error) = &background {
            tracing::error!(%error, "no thread for unwinding tables: stacks by frame pointers only");
        }
        Self {
            background: background.ok(),
            tables: Tables::new(table_pages),
            processes: FxHashMap::default(),
            mapping_pages: Pages::new(mapping_pages),
            wanted: FxHashMap::default(),
            expected: FxHashSet::default(),
            ended: FxHashSet::default(),
            retired: Vec::new(),
            tick: 0,
            counters: LoadCounters::default(),
        }
    }

    /// A process was sampled, whose mappings have this version.
    pub fn sampled(&mut self, pid: u32, version: Option<u64>) {
        let Some(version) = version else { return };
        match self.processes.get_mut(&pid) {
            Some(known) => {
                known.sampled_at = self.tick;
                if known.version != version || !known.waits_for.is_empty() {
                    self.wanted.insert(pid, true);
                }
            }
            None => {
                self.wanted.insert(pid, true);
            }
        }
    }

    /// A process will be sampled soon: its tables are compiled before, and again when it maps more.
    pub fn expected(&mut self, pid: u32) {
        self.expected.insert(pid);
        self.wanted.insert(pid, true);
    }

    /// A process maps more than before.
    pub fn mapped(&mut self, pid: u32) {
        if self.expected.contains(&pid) {
            self.wanted.insert(pid, true);
        } else if self.processes.contains_key(&pid) {
            self.wanted.entry(pid).or_insert(false);
        }
    }

    /// A process was born and has its parent's mappings.
    pub fn forked(&mut self, pid: u32, parent: u32) {
        self.ended.insert(pid);
        if self.processes.get(&parent).is_some_and(|known| known.in_kernel) {
            self.wanted.entry(pid).or_insert(false);
        }
    }

    /// A process runs another program.
    pub fn executed(&mut self, pid: u32) {
        self.ended.insert(pid);
        self.wanted.insert(pid, false);
    }

    /// A process has ended.
    pub fn exited(&mut self, pid: u32) {
        self.ended.insert(pid);
        self.expected.remove(&pid);
        self.wanted.remove(&pid);
    }

    /// What was counted, and what is loaded now.
    #[must_use]
    pub fn counters(&self) -> LoadCounters {
        const TABLE_PAGE: u64 = (TABLE_PAGE_WORDS * 4) as u64;
        const MAPPING_PAGE: u64 = (MAPPING_PAGE_LEN * size_of::<Mapping>()) as u64;
        let bytes = |tables: u32, mappings: u32| {
            u64::from(tables) * TABLE_PAGE + u64::from(mappings) * MAPPING_PAGE
        };
        let in_kernel = self.processes.values().filter(|known| known.in_kernel);
        LoadCounters {
            processes: in_kernel.count() as u64,
            tables: self.tables.loaded(),
            used_bytes: bytes(self.tables.pages.used(), self.mapping_pages.used()),
            room_bytes: bytes(self.tables.pages.total(), self.mapping_pages.total()),
            ..self.counters
        }
    }

    /// Takes in what has been compiled, loads what is wanted, and gives up what has ended.
    pub fn exchange(&mut self, processes: &mut ProcessTable, store: &mut dyn Store) {
        self.tick += 1;
        self.reuse_retired();
        for pid in std::mem::take(&mut self.ended) {
            self.forget(pid, store);
        }
        while let Some(compiled) = self.background.as_mut().and_then(Background::answer) {
            self.take_in(compiled, store);
        }
        let wanted: Vec<(u32, bool)> = {
            let some = self.wanted.iter().take(LOADS_PER_EXCHANGE);
            some.map(|(&pid, &sampled)| (pid, sampled)).collect()
        };
        for (pid, sampled) in wanted {
            self.wanted.remove(&pid);
            if let Err(error) = self.load(pid, sampled, processes, store) {
                self.counters.store_failed += 1;
                tracing::warn!(pid, %error, "a process cannot be unwound by tables");
                self.forget(pid, store);
            }
        }
    }

    /// Whether nothing is being compiled and nobody waits.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let waits = |known: &Known| !known.waits_for.is_empty();
        self.wanted.is_empty() && !self.processes.values().any(waits)
    }

    fn reuse_retired(&mut self) {
        let tick = self.tick;
        let due = self.retired.extract_if(.., |(at, _)| *at + GRACE <= tick);
        due.for_each(|(_, pages)| self.mapping_pages.give(pages));
    }

    pub(super) fn forget(&mut self, pid: u32, store: &mut dyn Store) {
        let Some(known) = self.processes.remove(&pid) else { return };
        store.remove_process(pid);
        self.retired.push((self.tick, known.pages));
    }

    fn take_in(&mut self, compiled: Compiled, store: &mut dyn Store) {
        let Compiled { build, outcome, new_rules, took } = compiled;
        self.counters.compile_ns += u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        for (id, rule) in new_rules {
            self.counters.store_failed += u64::from(store.set_rule(id, rule).is_err());
        }
        self.tables.set(build.clone(), State::None);
        match outcome {
            Err(refused) => {
                self.counters.refused += 1;
                tracing::debug!(%build, %refused, "no unwinding table");
            }
            Ok(table) => {
                self.counters.compiled += 1;
                match self.make_room_and_load(&build, &table, store) {
                    Ok(Some(())) => {}
                    Ok(None) => {
                        self.counters.no_room += 1;
                        self.tables.set(build.clone(), State::NoRoomUntil(self.tick + RETRY));
                    }
                    Err(error) => {
                        self.counters.store_failed += 1;
                        tracing::warn!(%build, %error, "an unwinding table cannot be loaded");
                    }
                }
            }
        }
        let waiting = self.processes.iter().filter(|(_, known)| known.waits_for.contains(&build));
        let waiting: Vec<u32> = waiting.map(|(&pid, _)| pid).collect();
        for pid in waiting {
            self.wanted.entry(pid).or_insert(false);
        }
    }
}
