//! One process's perf map, read when it is needed and again when it has grown.
//!
//! The file lies in a folder where anybody may write. So it is believed only if the process's own
//! user or root owns it, and it is opened within the process's root, like every other path.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::open::{FileKey, OpenFile, open_in_root};
use super::perf_map::{PERF_MAP_BYTES_MAX, PerfMap};
use super::status::Status;

/// A perf map is looked at again after this time at the earliest.
pub const REREAD_AFTER_MIN: Duration = Duration::from_millis(250);
/// A perf map is looked at again after this time at the latest.
pub const REREAD_AFTER_MAX: Duration = Duration::from_secs(10);
/// Reading one perf map again and again takes at most one part in this many of a CPU.
const SHARE_OF_CPU: u32 = 100;

/// The names of one process's just-in-time compiled code.
#[derive(Debug, Default)]
pub(super) struct JitNames {
    map: PerfMap,
    version: Option<FileKey>,
    look_at: Option<Instant>,
}

impl JitNames {
    /// Reads the perf map if it is time to look and the file has changed; says whether it did.
    pub(super) fn refresh(&mut self, process: &Path, now: Instant) -> bool {
        if self.look_at.is_some_and(|at| now < at) {
            return false;
        }
        let start = Instant::now();
        let changed = self.read(process);
        let pause = (start.elapsed() * SHARE_OF_CPU).clamp(REREAD_AFTER_MIN, REREAD_AFTER_MAX);
        self.look_at = Some(now + pause);
        changed
    }

    fn read(&mut self, process: &Path) -> bool {
        let Some(opened) = open_perf_map(process) else { return false };
        if self.version == Some(opened.key) {
            return false;
        }
        self.version = Some(opened.key);
        let Ok(text) = read_bounded(&opened.file, PERF_MAP_BYTES_MAX) else { return false };
        self.map = PerfMap::parse(&text);
        true
    }

    pub(super) fn find(&self, address: u64) -> Option<&str> {
        self.map.find(address)
    }

    pub(super) fn bytes(&self) -> usize {
        self.map.bytes()
    }

    /// Gives the memory back; the file is read again when it is needed.
    pub(super) fn forget(&mut self) {
        *self = Self { look_at: self.look_at, ..Self::default() };
    }
}

fn open_perf_map(process: &Path) -> Option<OpenFile> {
    let status = Status::read(process)?;
    let path = PathBuf::from(format!("/tmp/perf-{}.map", status.namespace_pid));
    let opened = open_in_root(&process.join("root"), &path).ok()?;
    (opened.owner == status.effective_user || opened.owner == 0).then_some(opened)
}

/// The first `bytes_max` bytes of a file.
pub(super) fn read_bounded(file: &File, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
