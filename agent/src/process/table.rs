//! All processes: what runs at the start, what events change, what has ended.
//!
//! The table is fed events and asked for frames by one thread. It owns no thread and no timer; its
//! owner calls [`ProcessTable::tick`] about once a second. A process that has ended is kept for
//! [`EXIT_GRACE`], because its last samples may come after the news of its end.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use stoker_dag::BuildId;

use super::binary::{Binary, BinaryCache};
use super::counters::ProcessCounters;
use super::entry::{Afterlife, ProcessEntry, process_folder};
use super::event::{MmapEvent, ProcessEvent};
use super::jit::read_bounded;
use super::kernel_map::KernelMap;
use super::maps::{Inserted, Mapping, MapsTable};
use super::proc_maps::{backing, parse_maps};
use super::vdso::vdso_binary;

/// Most processes that are known at one time.
pub const PROCESSES_MAX: usize = 32 * 1024;
/// Most bytes that are read of one `/proc/PID/maps`.
pub const MAPS_TEXT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How long a process is kept after its end.
pub const EXIT_GRACE: Duration = Duration::from_secs(10);

/// Every process, every binary, and the kernel.
#[derive(Debug)]
pub struct ProcessTable {
    pub(super) proc_root: PathBuf,
    pub(super) processes: FxHashMap<u32, ProcessEntry>,
    pub(super) binaries: BinaryCache,
    pub(super) kernel: KernelMap,
    pub(super) vdso: Option<Arc<Binary>>,
    pub(super) jit_runtime: Arc<str>,
    pub(super) nothing: Arc<str>,
    pub(super) counters: ProcessCounters,
    next_generation: u64,
}

impl Default for ProcessTable {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcessTable {
    /// A table that knows the kernel and no process yet.
    #[must_use]
    pub fn new() -> Self {
        let proc_root = PathBuf::from("/proc");
        Self {
            kernel: KernelMap::read(&proc_root, Path::new("/sys")),
            proc_root,
            processes: FxHashMap::default(),
            binaries: BinaryCache::new(PathBuf::from("/")),
            vdso: vdso_binary(),
            jit_runtime: "jit".into(),
            nothing: "".into(),
            counters: ProcessCounters::default(),
            next_generation: 1,
        }
    }

    /// Learns the mappings of everything that runs. Call it after events have started to flow, so
    /// that no process falls between the two; returns how many processes are known then.
    ///
    /// # Errors
    /// When `/proc` cannot be listed.
    pub fn scan(&mut self) -> io::Result<usize> {
        for entry in std::fs::read_dir(&self.proc_root)? {
            let name = entry?.file_name();
            if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
                self.ensure(pid);
            }
        }
        Ok(self.processes.len())
    }

    /// Takes note of a change.
    pub fn apply(&mut self, event: ProcessEvent, now: Instant) {
        match event {
            ProcessEvent::Exec { pid, comm } => self.exec(pid, comm),
            ProcessEvent::Comm { pid, comm } => self.rename(pid, comm),
            ProcessEvent::Fork { pid, parent } => self.fork(pid, parent),
            ProcessEvent::Mmap(event) => self.mmap(&event),
            ProcessEvent::Exit { pid } => {
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.exited = Some(now);
                }
            }
        }
    }

    /// Forgets what has ended, closes files that nobody needs, looks for grown perf maps and for
    /// the mappings of addresses that were unknown.
    pub fn tick(&mut self, now: Instant) {
        let is_over = |exited: Instant| now.saturating_duration_since(exited) >= EXIT_GRACE;
        let proc_root = &self.proc_root;
        self.processes.retain(|&pid, process| {
            if !process.exited.is_some_and(is_over) {
                return true;
            }
            let afterlife = Afterlife::of(&process_folder(proc_root, pid));
            process.survive(afterlife, now);
            afterlife != Afterlife::None
        });
        self.binaries.tick(now);
        self.tick_jit(now);
        self.tick_uncertain(now);
    }

    /// A number that changes whenever an address of this process may mean something else; no two
    /// processes ever have the same, except for 0, "nothing is known and the process is gone".
    pub fn generation(&mut self, pid: u32) -> u64 {
        self.ensure(pid).map_or(0, |process| process.generation)
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> ProcessCounters {
        ProcessCounters {
            binaries: self.binaries.counters(),
            kernel: self.kernel.counters(),
            ..self.counters
        }
    }

    /// How many processes are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether no process is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// The kernel's images.
    #[must_use]
    pub fn kernel(&self) -> &KernelMap {
        &self.kernel
    }

    /// The name that frames of this build are filed under, and whether it is a main executable.
    #[must_use]
    pub fn module(&self, build_id: &BuildId) -> Option<(Arc<str>, bool)> {
        let vdso = self.vdso.as_ref().filter(|vdso| vdso.build_id == *build_id);
        let binary = vdso.or_else(|| self.binaries.get(build_id));
        let known = binary.map(|binary| (Arc::clone(&binary.module), binary.main_executable));
        known.or_else(|| Some((self.kernel.module_name(build_id)?, false)))
    }

    /// Whether this is the build of the vdso.
    #[must_use]
    pub fn is_vdso(&self, build_id: &BuildId) -> bool {
        self.vdso.as_ref().is_some_and(|vdso| vdso.build_id == *build_id)
    }

    /// An open file of this build. It may have been replaced meanwhile: whoever names addresses
    /// with it reads its build id first.
    pub fn open_binary(&mut self, build_id: &BuildId) -> Option<Arc<File>> {
        self.binaries.open(build_id)
    }

    pub(super) fn new_generation(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation - 1
    }

    /// The process, its mappings read if nobody has told of it yet; `None` when it is gone.
    pub(super) fn ensure(&mut self, pid: u32) -> Option<&mut ProcessEntry> {
        let known = self.processes.get_mut(&pid);
        // One that has more mappings than are kept is incomplete again and again.
        if known.is_none_or(|process| !process.complete && process.may_rescan(Instant::now())) {
            self.read_maps(pid);
        }
        self.processes.get_mut(&pid)
    }

    /// Reads a process's mappings afresh. Says whether that changed an answer.
    pub(super) fn read_maps(&mut self, pid: u32) -> bool {
        let start = Instant::now();
        let Some((mut fresh, dropped)) = self.maps_of(pid) else {
            // Gone, or not to be read: what events told is all that there will ever be.
            if let Some(process) = self.processes.get_mut(&pid) {
                process.complete = true;
            }
            return false;
        };
        self.counters.maps_read += 1;
        self.counters.mappings_dropped += dropped;
        let generation = self.new_generation();
        let Some(process) = self.entry(pid) else { return false };
        let same = fresh.adopt(&process.maps);
        process.maps_cost(start.elapsed());
        process.complete = true;
        if !same {
            process.maps = Arc::new(fresh);
            process.generation = generation;
            process.maps_version = generation;
        }
        !same
    }

    fn maps_of(&self, pid: u32) -> Option<(MapsTable, u64)> {
        let file = File::open(process_folder(&self.proc_root, pid).join("maps")).ok()?;
        let text = read_bounded(&file, MAPS_TEXT_BYTES_MAX).ok()?;
        Some(parse_maps(&text))
    }

    /// The entry of a process, made if there is room.
    fn entry(&mut self, pid: u32) -> Option<&mut ProcessEntry> {
        if !self.processes.contains_key(&pid) {
            if self.processes.len() >= PROCESSES_MAX {
                self.counters.processes_dropped += 1;
                return None;
            }
            let generation = self.new_generation();
            self.processes.insert(pid, ProcessEntry::new(generation));
        }
        self.processes.get_mut(&pid)
    }

    fn exec(&mut self, pid: u32, comm: String) {
        let generation = self.new_generation();
        let Some(process) = self.entry(pid) else { return };
        let before = std::mem::replace(process, ProcessEntry::new(generation));
        process.complete = true;
        process.comm = Some(comm);
        process.parent = before.parent;
        // Labels that outlast `exec`, in case the process is gone before it is looked at.
        process.parts = before.parts;
    }

    fn rename(&mut self, pid: u32, comm: String) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.comm = Some(comm);
            process.meta = None;
        }
    }

    fn fork(&mut self, pid: u32, parent: u32) {
        let generation = self.new_generation();
        let mut child = match self.processes.get(&parent) {
            Some(known) => known.forked(generation),
            None => ProcessEntry::new(generation),
        };
        child.parent = parent;
        if let Some(process) = self.entry(pid) {
            *process = child;
        }
    }

    fn mmap(&mut self, event: &MmapEvent) {
        let path = event.path.as_os_str().as_bytes();
        let mapping = Mapping {
            start: event.start,
            end: event.start.saturating_add(event.len),
            file_offset: event.file_offset,
            backing: backing(path, event.inode),
        };
        let generation = self.new_generation();
        let Some(process) = self.entry(event.pid) else { return };
        let inserted = Arc::make_mut(&mut process.maps).insert(mapping);
        let changes_an_answer = match inserted {
            Inserted::Replaced => true,
            Inserted::Added => process.uncertain,
            Inserted::Unchanged => false,
            Inserted::Full => {
                // Much of it is probably unmapped by now.
                process.complete = false;
                self.counters.mappings_dropped += 1;
                return;
            }
            Inserted::Invalid => {
                self.counters.mappings_dropped += 1;
                return;
            }
        };
        process.rescan_soon();
        if inserted != Inserted::Unchanged {
            process.maps_version = generation;
        }
        if changes_an_answer {
            process.generation = generation;
            process.uncertain = false;
        }
    }
}
