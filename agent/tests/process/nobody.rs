//! A process that is not there: what the kernel would say of it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use stoker_agent::process::{Inode, MmapEvent};

/// Above every process id that Linux gives out.
pub const NOBODY: u32 = 4_194_305;
/// Where it maps everything.
pub const START: u64 = 0x10_0000;

/// It maps a file, by its inode if it has one.
pub fn maps(path: &Path) -> MmapEvent {
    let file = std::fs::metadata(path).ok();
    MmapEvent {
        pid: NOBODY,
        start: START,
        len: 0x1000_0000,
        file_offset: 0,
        path: path.to_path_buf(),
        inode: file.map(|file| Inode { device: file.dev(), number: file.ino() }),
    }
}
