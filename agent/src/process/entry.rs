//! One process, as the table keeps it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::jit::JitNames;
use super::maps::MapsTable;
use super::meta::{MetaParts, ProcessMeta};
use super::status::Status;

/// Mappings are read again because of an unknown address after this time at the earliest; the time
/// doubles while reading them again changes nothing.
pub const RESCAN_AFTER_MIN: Duration = Duration::from_millis(250);
/// The longest that the time between two such readings grows.
pub const RESCAN_AFTER_MAX: Duration = Duration::from_secs(60);

/// Reading one process's mappings again and again takes at most one part in this many of a CPU.
const SHARE_OF_CPU: u32 = 100;

/// What is known of one process.
#[derive(Debug)]
pub(super) struct ProcessEntry {
    /// Shared with the parent until either maps something new.
    pub maps: Arc<MapsTable>,
    /// Whether `maps` holds all there is, as far as events tell.
    pub complete: bool,
    /// Another number whenever an address may mean something else.
    pub generation: u64,
    /// Another number whenever `maps` changes at all.
    pub maps_version: u64,
    /// Whether an address was looked up in vain, so that a new mapping may change an answer.
    pub uncertain: bool,
    /// When it ended.
    pub exited: Option<Instant>,
    pub parent: u32,
    /// From events; newer than what `meta` was made of.
    pub comm: Option<String>,
    pub jit: Option<Box<JitNames>>,
    pub parts: Option<Box<MetaParts>>,
    pub meta: Option<Arc<ProcessMeta>>,
    rescan_at: Option<Instant>,
    rescan_after: Duration,
}

impl ProcessEntry {
    pub(super) fn new(generation: u64) -> Self {
        Self {
            maps: Arc::default(),
            complete: false,
            generation,
            maps_version: generation,
            uncertain: false,
            exited: None,
            parent: 0,
            comm: None,
            jit: None,
            parts: None,
            meta: None,
            rescan_at: None,
            rescan_after: RESCAN_AFTER_MIN,
        }
    }

    /// A child that was just forked.
    pub(super) fn forked(&self, generation: u64) -> Self {
        Self {
            maps: Arc::clone(&self.maps),
            complete: self.complete,
            comm: self.comm.clone(),
            parts: self.parts.clone(),
            meta: self.meta.clone(),
            ..Self::new(generation)
        }
    }

    /// Whether mappings may be read again now; if so the next time is set.
    pub(super) fn may_rescan(&mut self, now: Instant) -> bool {
        if self.exited.is_some() || self.rescan_at.is_some_and(|at| now < at) {
            return false;
        }
        self.rescan_at = Some(now + self.rescan_after);
        self.rescan_after = (self.rescan_after * 2).min(RESCAN_AFTER_MAX);
        true
    }

    /// Reading the mappings took so long; again and again, it takes at most one part in
    /// [`SHARE_OF_CPU`] of a CPU.
    pub(super) fn maps_cost(&mut self, cost: Duration) {
        let pause = (cost * SHARE_OF_CPU).min(RESCAN_AFTER_MAX);
        let at = Instant::now() + pause;
        self.rescan_at = Some(self.rescan_at.map_or(at, |due| due.max(at)));
    }

    /// Mappings have changed, so it is worth while to look soon when an address is unknown.
    pub(super) fn rescan_soon(&mut self) {
        self.rescan_after = RESCAN_AFTER_MIN;
    }

    /// Goes on after its end was told.
    pub(super) fn survive(&mut self, afterlife: Afterlife, now: Instant) {
        match afterlife {
            Afterlife::None => {}
            Afterlife::OtherThreads => self.exited = Some(now),
            Afterlife::AnotherProcess => *self = Self::new(self.generation),
        }
    }

    /// The mapped file at the lowest address: the program itself, as Linux lays out a process.
    pub(super) fn first_file(&self) -> Option<&Arc<super::maps::MappedFile>> {
        self.maps.iter().find_map(|mapping| match &mapping.backing {
            super::maps::Backing::File(file) => Some(file),
            _ => None,
        })
    }
}

/// What is found under the number of a process that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterlife {
    /// Nothing, or nothing that runs.
    None,
    /// Its main thread has ended and others go on.
    OtherThreads,
    /// A new process, whose start we missed.
    AnotherProcess,
}

impl Afterlife {
    pub(super) fn of(process: &Path) -> Self {
        let Some(status) = Status::read(process) else { return Self::None };
        if !status.zombie {
            return Self::AnotherProcess;
        }
        let threads = std::fs::read_dir(process.join("task")).map_or(0, Iterator::count);
        if threads > 1 { Self::OtherThreads } else { Self::None }
    }
}

/// `/proc/PID`.
pub(super) fn process_folder(proc_root: &Path, pid: u32) -> PathBuf {
    proc_root.join(pid.to_string())
}
