//! The seam for immutable files: local ones today, object storage later. Names are unique and never
//! reused; nothing relies on a conditional put.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::error::StoreError;

/// Immutable named bytes.
pub trait Blobs: Send + Sync + std::fmt::Debug {
    /// Puts new bytes under a name; they are durable and whole, or not there. A name that has other
    /// bytes is refused, as far as that is known before; one that has these is left as it is.
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;
    /// Bytes from `offset`; fewer than `length` is an error.
    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, StoreError>;
    /// How many bytes there are.
    fn len(&self, name: &str) -> Result<u64, StoreError>;
    /// Names directly below a prefix that ends in `/`, without it, in order.
    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
    /// Removes a name for good; one that is not there is no error.
    fn delete(&self, name: &str) -> Result<(), StoreError>;
    /// What to call a blob when speaking to people.
    fn path(&self, name: &str) -> PathBuf;
}

/// Blobs as files below a folder.
#[derive(Debug)]
pub struct LocalBlobs {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

/// What a file is called until all its bytes are durable.
const UNFINISHED: &str = ".unfinished";

impl LocalBlobs {
    /// Blobs below `root`; the folders that names speak of are there already.
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf) -> Self {
        Self { disk, root }
    }

    /// Removes what a crash left half-written below a prefix.
    pub fn remove_unfinished(&self, prefix: &str) -> Result<(), StoreError> {
        let dir = self.root.join(prefix);
        for name in self.disk.list(&dir).map_err(StoreError::io("list", &dir))? {
            if name.ends_with(UNFINISHED) {
                let path = dir.join(name);
                self.disk.unlink(&path).map_err(StoreError::io("remove", path))?;
            }
        }
        Ok(())
    }
}

impl LocalBlobs {
    /// Makes durable what is there, where it is these bytes.
    fn keep(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let is_same = self.disk.len(path)? == bytes.len() as u64
            && self.disk.read(path, 0, bytes.len())? == bytes;
        if !is_same {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is another file of this name, which is never written over",
            ));
        }
        self.disk.sync_file(path)?;
        self.disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}

impl Blobs for LocalBlobs {
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        if self.disk.len(&path).is_ok() {
            return self.keep(&path, bytes).map_err(StoreError::io("write", path));
        }
        let temporary = self.path(&format!("{name}{UNFINISHED}"));
        let write = || {
            if self.disk.len(&temporary).is_ok() {
                self.disk.unlink(&temporary)?;
            }
            let mut file = self.disk.create_new(&temporary)?;
            file.append(bytes)?;
            file.sync()?;
            self.disk.rename(&temporary, &path)?;
            self.disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
        };
        let written = write();
        if written.is_err() {
            // A full disk needs the room; where this fails too the next open does it.
            let _ = self.disk.unlink(&temporary);
        }
        written.map_err(StoreError::io("write", &path))
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let path = self.path(name);
        self.disk.read(&path, offset, length).map_err(StoreError::io("read", path))
    }

    fn len(&self, name: &str) -> Result<u64, StoreError> {
        let path = self.path(name);
        self.disk.len(&path).map_err(StoreError::io("read", path))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let dir = self.root.join(prefix);
        let mut names = self.disk.list(&dir).map_err(StoreError::io("list", &dir))?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        let delete = || {
            match self.disk.unlink(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
        };
        delete().map_err(StoreError::io("remove", &path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}
