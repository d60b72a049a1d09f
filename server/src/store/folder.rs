//! The data folder: its layout, its version, and the lock that keeps it to one process.
//!
//! ```text
//! FORMAT               the format of the folder, a number
//! LOCK                 held by the server that has it open; says which
//! logs/TENANT/*.log    write-ahead logs
//! segments/TENANT/*.seg
//! symbols/TENANT/*.elf debug information that was pushed; see `symbols`
//! index/               sled; can be deleted while no server runs
//! set-aside/           what was damaged or not understood; nothing reads it
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::api::TenantId;
use super::disk::{Disk, Free};
use super::error::StoreError;

/// The newest folder format that is understood, and the one that is written.
pub const FOLDER_FORMAT: u32 = 1;

/// Paths in a data folder, and the disk it is on.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    is_read_only: bool,
}

/// Held while the folder is open.
#[derive(Debug)]
pub struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is being started at this moment has the file open, too, until it
        // runs its own program.
        let _ = self.0.unlock();
    }
}

impl Folder {
    /// Takes hold of the folder at `root`, which is made when it is not there. Nothing is written
    /// into a folder that is not ours, or is a later version's, or is in use. One on a disk that is
    /// read-only has no lock: nobody writes there.
    pub fn open(
        root: &Path,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Option<FolderLock>), StoreError> {
        let mut folder = Self { root: root.to_owned(), disk, is_read_only: false };
        folder.disk.create_dir_all(root).map_err(StoreError::io("create data folder", root))?;
        let is_ours = folder.check_format()?;
        let lock = match lock(root) {
            Err(StoreError::Io { source, .. })
                if is_ours && source.kind() == ErrorKind::ReadOnlyFilesystem =>
            {
                folder.is_read_only = true;
                return Ok((folder, None));
            }
            lock => lock?,
        };
        if !folder.check_format()? {
            folder.write_format()?;
        }
        for dir in ["logs", "segments", "set-aside"] {
            folder.make(&root.join(dir))?;
        }
        Ok((folder, Some(lock)))
    }

    /// Whether nothing can be written.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// An error where nothing can be written.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        match self.is_read_only {
            true => Err(StoreError::ReadOnly { path: self.root.clone() }),
            false => Ok(()),
        }
    }

    /// Takes hold of a folder to look at it; nothing but the lock is written, and that only where it
    /// can be.
    pub fn look(
        root: &Path,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Option<FolderLock>), StoreError> {
        let folder = Self { root: root.to_owned(), disk, is_read_only: true };
        if !folder.check_format()? {
            return Err(StoreError::NotAStore { path: root.to_owned() });
        }
        match lock(root) {
            Ok(lock) => Ok((folder, Some(lock))),
            Err(error @ StoreError::Locked { .. }) => Err(error),
            // On a disk that cannot be written to nobody else writes.
            Err(_) => Ok((folder, None)),
        }
    }

    /// Whether there is a format file; an error when it is not ours to touch.
    fn check_format(&self) -> Result<bool, StoreError> {
        let path = self.root.join("FORMAT");
        let names = self.disk.list(&self.root).map_err(StoreError::io("list", &self.root))?;
        if !names.iter().any(|name| name == "FORMAT") {
            let ours = |name: &String| name == "LOCK" || name == "FORMAT.new";
            if names.iter().all(ours) {
                return Ok(false);
            }
            return Err(StoreError::NotAStore { path: self.root.clone() });
        }
        let bytes = self.read_small(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let found: u32 =
            text.trim().parse().map_err(|_| StoreError::damaged(&path, "it is no number"))?;
        if found > FOLDER_FORMAT {
            let path = self.root.clone();
            return Err(StoreError::NewerFormat { path, found, supported: FOLDER_FORMAT });
        }
        Ok(true)
    }

    fn read_small(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        let length = self.disk.len(path).map_err(StoreError::io("read", path))?;
        let length = usize::try_from(length.min(64)).unwrap_or(64);
        self.disk.read(path, 0, length).map_err(StoreError::io("read", path))
    }

    fn write_format(&self) -> Result<(), StoreError> {
        let (temporary, path) = (self.root.join("FORMAT.new"), self.root.join("FORMAT"));
        let write = || {
            if self.disk.len(&temporary).is_ok() {
                self.disk.unlink(&temporary)?;
            }
            let mut file = self.disk.create_new(&temporary)?;
            file.append(format!("{FOLDER_FORMAT}\n").as_bytes())?;
            file.sync()?;
            self.disk.rename(&temporary, &path)?;
            self.disk.sync_dir(&self.root)
        };
        write().map_err(StoreError::io("write", &path))
    }

    fn make(&self, dir: &Path) -> Result<(), StoreError> {
        self.check_writable()?;
        self.disk.create_dir_all(dir).map_err(StoreError::io("create", dir))?;
        let parent = dir.parent().unwrap_or(&self.root);
        self.disk.sync_dir(parent).map_err(StoreError::io("sync", parent))
    }

    /// Makes the folders of a tenant.
    pub fn make_tenant(&self, tenant: &TenantId) -> Result<(), StoreError> {
        self.make(&self.log_dir(tenant))?;
        self.make(&self.root.join("segments").join(tenant.as_str()))
    }

    /// Makes durable which files a tenant has and what is in its logs. A process that failed may have
    /// left names and bytes that can be seen and are not durable; nothing may be acknowledged or
    /// removed because of them before they are.
    pub fn settle(&self, tenant: &TenantId) -> Result<(), StoreError> {
        if self.is_read_only {
            return Ok(());
        }
        let logs = self.log_dir(tenant);
        for dir in [&logs, &self.root.join("segments").join(tenant.as_str())] {
            self.disk.sync_dir(dir).map_err(StoreError::io("sync", dir))?;
        }
        for name in self.disk.list(&logs).map_err(StoreError::io("list", &logs))? {
            let path = logs.join(name);
            self.disk.sync_file(&path).map_err(StoreError::io("sync", &path))?;
        }
        Ok(())
    }

    /// Tenants that have a folder.
    pub fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let mut tenants = Vec::new();
        for dir in ["logs", "segments"].map(|dir| self.root.join(dir)) {
            let names = self.disk.list(&dir).map_err(StoreError::io("list", &dir))?;
            tenants.extend(names.iter().filter_map(|name| TenantId::parse(name).ok()));
        }
        tenants.sort_unstable();
        tenants.dedup();
        Ok(tenants)
    }

    /// The disk.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Where a tenant's logs are.
    pub fn log_dir(&self, tenant: &TenantId) -> PathBuf {
        self.root.join("logs").join(tenant.as_str())
    }

    /// The path of a log.
    pub fn log(&self, tenant: &TenantId, id: u64) -> PathBuf {
        self.log_dir(tenant).join(format!("{id:016x}.log"))
    }

    /// Where blobs are.
    pub fn blobs(&self) -> PathBuf {
        self.root.clone()
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where files lie that nothing reads.
    pub fn set_aside_dir(&self) -> PathBuf {
        self.root.join("set-aside")
    }

    /// How full the disk is, where that is known.
    pub fn free(&self) -> Option<Free> {
        self.disk.free(&self.root)
    }

    /// Where the index is.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }
}

fn lock(root: &Path) -> Result<FolderLock, StoreError> {
    let path = root.join("LOCK");
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let read = file.take(32).read_to_string(&mut pid);
            let pid = pid.trim();
            let known = read.is_ok() && !pid.is_empty();
            let pid = if known { pid } else { "(unknown)" }.to_owned();
            return Err(StoreError::Locked { path: root.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path)(source)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(StoreError::io("write", &path))?;
    Ok(FolderLock(file))
}
