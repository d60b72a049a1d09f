//! What changes in a process's address space, as this module wants to hear it.
//!
//! Plain values, so that nothing here names the kernel interface which delivers them: the wiring
//! converts perf's records. Only executable mappings are of interest.

use std::path::PathBuf;

/// A file as its file system names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inode {
    /// Device number, as `st_dev` counts.
    pub device: u64,
    /// Inode number.
    pub number: u64,
}

/// Something was mapped executable, or became so by `mprotect`.
#[derive(Debug, Clone)]
pub struct MmapEvent {
    /// The process.
    pub pid: u32,
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// Offset in the file, in bytes.
    pub file_offset: u64,
    /// As the kernel writes it: an absolute path within the process's root, `//anon`, `[vdso]`, …
    pub path: PathBuf,
    /// The file's inode.
    pub inode: Option<Inode>,
}

/// One change, in the order in which it happened.
#[derive(Debug, Clone)]
pub enum ProcessEvent {
    /// The process runs a new program: everything that it had mapped is gone.
    Exec {
        /// The process.
        pid: u32,
        /// Its new command name.
        comm: String,
    },
    /// The process's main thread renamed itself.
    Comm {
        /// The process.
        pid: u32,
        /// Its new command name.
        comm: String,
    },
    /// A new process (not a thread) that starts with its parent's mappings.
    Fork {
        /// The new process.
        pid: u32,
        /// Whose mappings it has.
        parent: u32,
    },
    /// A new executable mapping.
    Mmap(MmapEvent),
    /// The process (not one thread of it) has ended.
    Exit {
        /// The process.
        pid: u32,
    },
}
