//! From addresses to frames.

use std::iter::successors;
use std::sync::Arc;
use std::time::Instant;

use stoker_dag::{Frame, SpecialFrame, UnwindFailure};

use super::binary::{Binary, Origin};
use super::entry::process_folder;
use super::jit::JitNames;
use super::maps::{Backing, MappedFile, Mapping};
use super::table::ProcessTable;
use super::vdso::is_native;

/// Most memory that the perf maps of all processes take together.
pub const PERF_MAPS_BYTES_MAX: usize = 24 * 1024 * 1024;

/// How many generations back an ancestor is looked for.
const ANCESTORS_MAX: usize = 8;

impl ProcessTable {
    /// The frame at user address `address` of a process.
    ///
    /// A return address (`is_leaf` false) is looked up one byte before, so that it lies in the
    /// call even when the call is the last instruction of its function; the frame's identity is of
    /// that byte.
    pub fn resolve_user(&mut self, pid: u32, address: u64, is_leaf: bool) -> Frame {
        let address = if is_leaf { address } else { address.saturating_sub(1) };
        match self.find_user(pid, address) {
            Ok(frame) => frame,
            Err(failure) => self.failed(pid, failure),
        }
    }

    /// The frame at a kernel address; return addresses as in [`Self::resolve_user`].
    pub fn resolve_kernel(&mut self, address: u64, is_leaf: bool) -> Frame {
        self.kernel.resolve(address, is_leaf)
    }

    fn failed(&mut self, pid: u32, failure: UnwindFailure) -> Frame {
        let count = match failure {
            UnwindFailure::UnreadableFile => &mut self.counters.frames_unreadable_file,
            UnwindFailure::ProcessGone => &mut self.counters.frames_process_gone,
            _ => &mut self.counters.frames_unknown_mapping,
        };
        *count += 1;
        if let Some(process) = self.processes.get_mut(&pid) {
            process.uncertain = true;
        }
        Frame::Special(SpecialFrame::UnwindFailed(failure))
    }

    fn find_user(&mut self, pid: u32, address: u64) -> Result<Frame, UnwindFailure> {
        let mapping = self.mapping(pid, address)?;
        let offset = mapping.offset_of(address);
        let binary = match &mapping.backing {
            Backing::Anonymous => return self.jit_frame(pid, address),
            Backing::Vdso if is_native(mapping.start) => {
                self.vdso.clone().ok_or(UnwindFailure::UnreadableFile)?
            }
            Backing::Vdso => return Err(UnwindFailure::UnknownMapping),
            Backing::File(file) => match file.binary() {
                Some(known) => Arc::clone(known),
                None => match self.look_into(pid, file, &mapping) {
                    Ok(binary) => binary,
                    // A compiler may map its code from a file that is no ELF (`memfd_create`).
                    Err(failure) => return self.jit_frame(pid, address).map_err(|_| failure),
                },
            },
        };
        let offset = binary.virtual_offset(offset).ok_or(UnwindFailure::UnreadableFile)?;
        Ok(Frame::Native { build_id: binary.build_id.clone(), offset })
    }

    /// Learns what a mapped file is.
    pub(super) fn look_into(
        &mut self,
        pid: u32,
        file: &MappedFile,
        mapping: &Mapping,
    ) -> Result<Arc<Binary>, UnwindFailure> {
        let origin = Origin {
            process: process_folder(&self.proc_root, pid),
            ancestor: self.living_ancestor(pid).map(|pid| process_folder(&self.proc_root, pid)),
            range: (mapping.start, mapping.end),
            path: Arc::clone(&file.path),
        };
        self.binaries.resolve(file, &origin)
    }

    /// Parent, its parent, and so on, as far as events told.
    pub(super) fn ancestors(&self, pid: u32) -> impl Iterator<Item = u32> {
        let parent =
            |pid: &u32| Some(self.processes.get(pid)?.parent).filter(|&parent| parent != 0);
        successors(parent(&pid), parent).take(ANCESTORS_MAX)
    }

    /// The nearest ancestor that lives: a process that is gone probably had the same root.
    pub(super) fn living_ancestor(&self, pid: u32) -> Option<u32> {
        let lives = |pid: &u32| self.processes.get(pid).is_some_and(|p| p.exited.is_none());
        self.ancestors(pid).find(lives)
    }

    /// The mapping at `address`, looked for in `/proc` when events have told of none.
    fn mapping(&mut self, pid: u32, address: u64) -> Result<Mapping, UnwindFailure> {
        let process = self.ensure(pid).ok_or(UnwindFailure::ProcessGone)?;
        if let Some(found) = process.maps.find(address) {
            return Ok(found.clone());
        }
        if process.may_rescan(Instant::now()) {
            self.read_maps(pid);
        }
        let process = self.processes.get(&pid).ok_or(UnwindFailure::ProcessGone)?;
        let found = process.maps.find(address).cloned();
        let never_known = process.maps.is_empty() && process.exited.is_some();
        found.ok_or(match never_known {
            true => UnwindFailure::ProcessGone,
            false => UnwindFailure::UnknownMapping,
        })
    }

    fn jit_frame(&mut self, pid: u32, address: u64) -> Result<Frame, UnwindFailure> {
        let folder = process_folder(&self.proc_root, pid);
        let process = self.processes.get_mut(&pid).ok_or(UnwindFailure::ProcessGone)?;
        let is_alive = process.exited.is_none();
        let jit = process.jit.get_or_insert_with(Box::<JitNames>::default);
        if jit.find(address).is_none() && is_alive && jit.refresh(&folder, Instant::now()) {
            self.counters.perf_maps_read += 1;
            self.bound_perf_maps(pid);
        }
        let jit = self.processes.get(&pid).and_then(|process| process.jit.as_ref());
        let name = jit.and_then(|jit| jit.find(address)).ok_or(UnwindFailure::UnknownMapping)?;
        Ok(Frame::Interpreted {
            runtime: Arc::clone(&self.jit_runtime),
            module: Arc::clone(&self.nothing),
            function: name.into(),
            line: 0,
        })
    }

    /// Gives back the largest perf maps, but for `keep`'s, until all fit into the bound.
    fn bound_perf_maps(&mut self, keep: u32) {
        let mut sizes: Vec<(usize, u32)> = self
            .processes
            .iter()
            .filter_map(|(&pid, process)| Some((process.jit.as_ref()?.bytes(), pid)))
            .collect();
        let mut total: usize = sizes.iter().map(|&(bytes, _)| bytes).sum();
        sizes.sort_unstable();
        while let Some((bytes, pid)) = sizes.pop().filter(|_| total > PERF_MAPS_BYTES_MAX) {
            if pid == keep {
                continue;
            }
            if let Some(jit) = self.processes.get_mut(&pid).and_then(|p| p.jit.as_mut()) {
                jit.forget();
                total -= bytes;
                self.counters.perf_maps_forgotten += 1;
            }
        }
    }

    /// Reads perf maps that have changed, and renews the generation of their processes.
    pub(super) fn tick_jit(&mut self, now: Instant) {
        let mut read = Vec::new();
        for (&pid, process) in &mut self.processes {
            let is_alive = process.exited.is_none();
            let Some(jit) = process.jit.as_mut().filter(|_| is_alive) else { continue };
            let folder = process_folder(&self.proc_root, pid);
            if jit.refresh(&folder, now) {
                read.push(pid);
            }
        }
        for pid in read {
            self.counters.perf_maps_read += 1;
            self.bound_perf_maps(pid);
            self.renew(pid);
        }
    }

    /// Reads the mappings of processes that had an unknown address, because a sample whose stack
    /// is cached does not ask again.
    pub(super) fn tick_uncertain(&mut self, now: Instant) {
        let candidates = self.processes.iter_mut();
        let due: Vec<u32> = candidates
            .filter_map(|(&pid, process)| {
                (process.uncertain && process.may_rescan(now)).then_some(pid)
            })
            .collect();
        for pid in due {
            if self.read_maps(pid) {
                self.renew(pid);
            }
        }
    }

    fn renew(&mut self, pid: u32) {
        let generation = self.new_generation();
        if let Some(process) = self.processes.get_mut(&pid) {
            process.generation = generation;
            process.uncertain = false;
        }
    }
}
