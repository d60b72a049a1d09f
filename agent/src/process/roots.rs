//! The folders in which debug information of a binary may lie: the root of the process that has it
//! mapped, and the host's.
//!
//! A root is opened as a place only (`O_PATH`): what lies in it is looked for by the symbolize worker,
//! so that a hung mount or a large file there never delays samples.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fstat, open};
use stoker_dag::BuildId;

use super::table::ProcessTable;

/// Where a binary lies.
#[derive(Debug, Clone)]
pub struct Whereabouts {
    /// Its path within the first of the roots.
    pub path: Arc<Path>,
    /// The process's root, if it still has one, and the host's.
    pub roots: Vec<Arc<File>>,
}

impl ProcessTable {
    /// Where the binary of this build was found, to look for its debug information.
    #[must_use]
    pub fn whereabouts(&self, build_id: &BuildId) -> Option<Whereabouts> {
        let origin = &self.binaries.get(build_id)?.origin;
        let processes = [Some(&origin.process), origin.ancestor.as_ref()];
        let of_process =
            processes.into_iter().flatten().find_map(|process| place(&process.join("root")));
        let own = place(self.binaries.own_root());
        let is_own = match (&of_process, &own) {
            (Some((_, one)), Some((_, other))) => one == other,
            _ => false,
        };
        let own = own.filter(|_| !is_own);
        let roots = of_process.into_iter().chain(own).map(|(root, _)| Arc::new(root)).collect();
        Some(Whereabouts { path: Arc::clone(&origin.path), roots })
    }
}

/// A folder as a place, and which one it is (device, inode).
fn place(path: &Path) -> Option<(File, (u64, u64))> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = File::from(open(path, flags, Mode::empty()).ok()?);
    let stat = fstat(&folder).ok()?;
    Some((folder, (stat.st_dev, stat.st_ino)))
}
