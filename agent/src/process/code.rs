//! A process's code as a whole, for whoever prepares to unwind it: each executable mapping with the
//! build that it shows.

use std::sync::Arc;

use stoker_dag::BuildId;

use super::maps::{Backing, Mapping};
use super::table::ProcessTable;
use super::vdso::is_native;

/// An executable mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeMapping {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// The build that is mapped here, and the virtual offset in it of `start`. `None` for code
    /// without a file, and where the file cannot be read.
    pub build: Option<(BuildId, u64)>,
}

/// All executable mappings of a process, by address.
#[derive(Debug, Clone)]
pub struct ProcessCode {
    /// Another number whenever the mappings change; no two processes have the same.
    pub version: u64,
    /// The mappings, sorted and without overlaps.
    pub mappings: Vec<CodeMapping>,
}

impl ProcessTable {
    /// The version of a process's mappings, as far as events have told; `None` for a process that is
    /// not known or has ended.
    #[must_use]
    pub fn code_version(&self, pid: u32) -> Option<u64> {
        let process = self.processes.get(&pid).filter(|process| process.exited.is_none())?;
        Some(process.maps_version)
    }

    /// The executable mappings of a process that lives. Files that nobody has looked into yet are
    /// opened.
    pub fn code(&mut self, pid: u32) -> Option<ProcessCode> {
        self.ensure(pid)?;
        let version = self.code_version(pid)?;
        let maps = Arc::clone(&self.processes.get(&pid)?.maps);
        let mappings = maps.iter().map(|mapping| CodeMapping {
            start: mapping.start,
            end: mapping.end,
            build: self.build_of(pid, mapping),
        });
        Some(ProcessCode { version, mappings: mappings.collect() })
    }

    /// The file name of what is mapped at an address, as frames of it are filed under.
    #[must_use]
    pub fn module_at(&self, pid: u32, address: u64) -> Option<Arc<str>> {
        let mapping = self.processes.get(&pid)?.maps.find(address)?;
        match &mapping.backing {
            Backing::File(file) => file.binary().map(|binary| Arc::clone(&binary.module)),
            Backing::Vdso => self.vdso.as_ref().map(|vdso| Arc::clone(&vdso.module)),
            Backing::Anonymous => None,
        }
    }

    fn build_of(&mut self, pid: u32, mapping: &Mapping) -> Option<(BuildId, u64)> {
        let binary = match &mapping.backing {
            Backing::Vdso if is_native(mapping.start) => self.vdso.clone()?,
            Backing::Vdso | Backing::Anonymous => return None,
            Backing::File(file) => match file.binary() {
                Some(known) => Arc::clone(known),
                None => self.look_into(pid, file, mapping).ok()?,
            },
        };
        let offset = binary.virtual_offset(mapping.file_offset)?;
        Some((binary.build_id.clone(), offset))
    }
}
