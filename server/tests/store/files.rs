//! Data folders: made, copied as a crash would leave them, and looked into.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stoker_server::store::{Store, StoreConfig};

/// A store that seals only when told to by its bounds, merges and removes only when asked, and makes
/// no rollups.
pub fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        dir: dir.to_owned(),
        seal_after: Duration::from_secs(3600),
        maintain_every: Duration::ZERO,
        retain_raw: None,
        retain_hourly: Some(Duration::ZERO),
        retain_functions: Some(Duration::ZERO),
        ..StoreConfig::default()
    }
}

/// Opens a store that seals only when it is closed.
pub fn open(dir: &Path) -> Store {
    Store::open(config(dir)).unwrap()
}

/// A folder to work in.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A copy of a folder as a crash would leave it, at a moment of its owner's choosing. Logs come
/// first: the other order could miss a log whose segment came only after.
pub fn crash_copy(from: &Path, with_index: bool) -> tempfile::TempDir {
    let to = folder();
    std::fs::copy(from.join("FORMAT"), to.path().join("FORMAT")).unwrap();
    for part in ["logs", "segments", "set-aside", "index"] {
        if part != "index" || with_index {
            copy_dir(&from.join(part), &to.path().join(part));
        }
    }
    to
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else if let Err(error) = std::fs::copy(entry.path(), &target) {
            // A sealed log may go while we copy; its segment comes with the segments.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
    }
}

/// The files of one kind, in order.
pub fn files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir.join(kind).join("default")) else { return vec![] };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Operations of a [`stoker_server::store::Disk`] that are those of the real one, by name.
macro_rules! real_disk {
    ($($operation:ident),*) => { $($crate::files::real_disk!(@$operation);)* };
    (@create_dir_all) => {
        fn create_dir_all(&self, path: &std::path::Path) -> std::io::Result<()> {
            stoker_server::store::RealDisk.create_dir_all(path)
        }
    };
    (@create_new) => {
        fn create_new(&self, path: &std::path::Path) -> std::io::Result<Box<dyn stoker_server::store::DiskFile>> {
            stoker_server::store::RealDisk.create_new(path)
        }
    };
    (@read) => {
        fn read(&self, path: &std::path::Path, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
            stoker_server::store::RealDisk.read(path, offset, length)
        }
    };
    (@len) => {
        fn len(&self, path: &std::path::Path) -> std::io::Result<u64> {
            stoker_server::store::RealDisk.len(path)
        }
    };
    (@rename) => {
        fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
            stoker_server::store::RealDisk.rename(from, to)
        }
    };
    (@unlink) => {
        fn unlink(&self, path: &std::path::Path) -> std::io::Result<()> {
            stoker_server::store::RealDisk.unlink(path)
        }
    };
    (@list) => {
        fn list(&self, dir: &std::path::Path) -> std::io::Result<Vec<String>> {
            stoker_server::store::RealDisk.list(dir)
        }
    };
    (@sync_file) => {
        fn sync_file(&self, path: &std::path::Path) -> std::io::Result<()> {
            stoker_server::store::RealDisk.sync_file(path)
        }
    };
    (@sync_dir) => {
        fn sync_dir(&self, dir: &std::path::Path) -> std::io::Result<()> {
            stoker_server::store::RealDisk.sync_dir(dir)
        }
    };
}
pub(crate) use real_disk;
