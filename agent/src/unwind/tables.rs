//! Which builds have a table, and where it lies.

use std::ops::Range;

use rustc_hash::FxHashMap;
use stoker_dag::BuildId;
use stoker_ebpf_abi::{TABLE_PAGE_WORDS, TABLES_MAX, TableSpan};

use super::compile::Table;
use super::pages::Pages;
use super::store::{Store, StoreError};

/// Builds that are remembered without a table; at the bound they are forgotten and tried again.
const BUILDS_WITHOUT_MAX: usize = 16 << 10;

/// What is known of a build's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It is being compiled.
    Compiling,
    /// It is loaded.
    Loaded(Loaded),
    /// There is none to be had.
    None,
    /// There was no room; worth another try from this tick on.
    NoRoomUntil(u64),
}

/// A table in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loaded {
    pub number: u32,
    /// The virtual address where its text begins.
    pub text_start: u64,
    pub pages: Range<u32>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Tables {
    by_build: FxHashMap<BuildId, State>,
    pub pages: Pages,
    numbers: Vec<u32>,
    loaded: u64,
}

impl Tables {
    pub(super) fn new(pages: u32) -> Self {
        // Number 0 is none.
        let numbers = (1..TABLES_MAX).rev().collect();
        Self { by_build: FxHashMap::default(), pages: Pages::new(pages), numbers, loaded: 0 }
    }

    pub(super) fn get(&self, build: &BuildId) -> Option<&State> {
        self.by_build.get(build)
    }

    pub(super) fn set(&mut self, build: BuildId, state: State) {
        if self.by_build.len() >= BUILDS_WITHOUT_MAX + TABLES_MAX as usize {
            self.by_build.retain(|_, s| matches!(s, State::Loaded(_) | State::Compiling));
        }
        self.by_build.insert(build, state);
    }

    pub(super) fn is_compiling(&self) -> bool {
        self.by_build.values().any(|state| matches!(state, State::Compiling))
    }

    pub(super) fn loaded(&self) -> u64 {
        self.loaded
    }

    /// Builds with their tables.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&BuildId, &Loaded)> {
        self.by_build.iter().filter_map(|(build, state)| match state {
            State::Loaded(loaded) => Some((build, loaded)),
            _ => None,
        })
    }

    /// Pages that a table takes.
    pub(super) fn pages_of(table: &Table) -> u32 {
        let words = table.index.len() + table.rows.len();
        u32::try_from(words.div_ceil(TABLE_PAGE_WORDS)).unwrap_or(u32::MAX)
    }

    /// Writes a table; `None` where there is no room.
    pub(super) fn load(
        &mut self,
        build: BuildId,
        table: &Table,
        store: &mut dyn Store,
    ) -> Result<Option<()>, StoreError> {
        let Some(number) = self.numbers.pop() else { return Ok(None) };
        let Some(pages) = self.pages.take(Self::pages_of(table)) else {
            self.numbers.push(number);
            return Ok(None);
        };
        let written = write(number, &pages, table, store);
        if let Err(error) = written {
            self.give_back(number, pages);
            self.set(build, State::None);
            return Err(error);
        }
        self.loaded += 1;
        let loaded = Loaded { number, text_start: table.text_start, pages };
        self.set(build, State::Loaded(loaded));
        Ok(Some(()))
    }

    /// Takes a table away from the kernel. Its number and pages may be used again, by
    /// [`Self::give_back`], when nobody can be reading them.
    pub(super) fn unload(
        &mut self,
        build: &BuildId,
        store: &mut dyn Store,
    ) -> Option<(u32, Range<u32>)> {
        let Some(State::Loaded(loaded)) = self.by_build.remove(build) else { return None };
        self.loaded -= 1;
        // A number that cannot be emptied stays in use for good; the kernel takes every other.
        store.set_table(loaded.number, TableSpan::default()).ok()?;
        Some((loaded.number, loaded.pages))
    }

    pub(super) fn give_back(&mut self, number: u32, pages: Range<u32>) {
        self.numbers.push(number);
        self.pages.give(pages);
    }
}

fn write(
    number: u32,
    pages: &Range<u32>,
    table: &Table,
    store: &mut dyn Store,
) -> Result<(), StoreError> {
    let rows = table.rows.iter().map(|row| row.0);
    let mut words = table.index.iter().copied().chain(rows);
    for page in pages.clone() {
        let mut content = [0; TABLE_PAGE_WORDS];
        content.iter_mut().zip(&mut words).for_each(|(to, from)| *to = from);
        store.set_table_page(page, &content)?;
    }
    let count = |len: usize| u32::try_from(len).unwrap_or(0);
    let index_at = pages.start * count(TABLE_PAGE_WORDS);
    let span = TableSpan {
        index_at,
        blocks: count(table.index.len()).saturating_sub(1),
        rows_at: index_at.saturating_add(count(table.index.len())),
        rows: count(table.rows.len()),
    };
    store.set_table(number, span)
}
