//! What is kept aside of a data folder: damaged files under names that say why, notes of what is lost,
//! and notes of logs that this version cannot read.

use std::path::{Path, PathBuf};

use super::api::TenantId;
use super::error::StoreError;
use super::folder::Folder;
use super::losses::Loss;

/// Notes are far shorter.
const MAX_NOTE_BYTES: u64 = 1 << 16;

impl Folder {
    /// Notes that a log of a later version stays where it is while others come and are sealed. When
    /// that version reads the log, its batches are no duplicates although later ones are stored.
    pub fn note_skipped(&self, tenant: &TenantId, log: u64) -> Result<(), StoreError> {
        let path = self.skipped(tenant, log);
        if self.disk().len(&path).is_ok() {
            return Ok(());
        }
        let write = || {
            self.disk().create_new(&path)?.sync()?;
            self.disk().sync_dir(&self.set_aside_dir())
        };
        write().map_err(StoreError::io("write", &path))
    }

    /// Whether a version that could not read a log has passed over it.
    pub fn was_skipped(&self, tenant: &TenantId, log: u64) -> bool {
        self.disk().len(&self.skipped(tenant, log)).is_ok()
    }

    /// The log is sealed and gone.
    pub fn forget_skipped(&self, tenant: &TenantId, log: u64) {
        let path = self.skipped(tenant, log);
        if self.disk().len(&path).is_ok()
            && let Err(error) = self.disk().unlink(&path)
        {
            tracing::warn!(%error, path = %path.display(), "a note of a log that is gone stays");
        }
    }

    fn skipped(&self, tenant: &TenantId, log: u64) -> PathBuf {
        self.set_aside_dir().join(format!("{tenant}-{log:016x}.log.skipped"))
    }

    /// Writes down what is lost, for the starts to come: until somebody removes the note.
    pub fn note_loss(&self, tenant: &TenantId, file: &str, loss: &Loss) -> Result<(), StoreError> {
        let dir = self.set_aside_dir();
        let path = dir.join(format!("{tenant}-{file}.lost"));
        if self.disk().len(&path).is_ok() {
            return Ok(());
        }
        let write = || {
            let mut note = self.disk().create_new(&path)?;
            note.append(loss.to_note().as_bytes())?;
            note.sync()?;
            self.disk().sync_dir(&dir)
        };
        write().map_err(StoreError::io("write", &path))
    }

    /// What was noted as lost, by file.
    pub fn losses(&self, tenant: &TenantId) -> Vec<(String, Loss)> {
        let dir = self.set_aside_dir();
        let names = self.disk().list(&dir).unwrap_or_default().into_iter();
        let notes = names.filter_map(|name| {
            let file = name.strip_suffix(".lost")?.strip_prefix(tenant.as_str())?;
            let path = dir.join(&name);
            let length = usize::try_from(self.disk().len(&path).ok()?.min(MAX_NOTE_BYTES)).ok()?;
            let note = self.disk().read(&path, 0, length).ok()?;
            Some((file.strip_prefix('-')?.to_owned(), Loss::from_note(&note)))
        });
        notes.collect()
    }

    /// Keeps a copy of a file under a name that says why.
    pub fn copy_aside(&self, path: &Path, why: &str) -> Result<(), StoreError> {
        let dir = self.set_aside_dir();
        let to = self.name_aside(path, why);
        let copy = || {
            let length = usize::try_from(self.disk().len(path)?).unwrap_or(usize::MAX);
            let bytes = self.disk().read(path, 0, length)?;
            let mut file = self.disk().create_new(&to)?;
            file.append(&bytes)?;
            file.sync()?;
            self.disk().sync_dir(&dir)
        };
        copy().map_err(StoreError::io("copy to set-aside", path))
    }

    fn name_aside(&self, path: &Path, why: &str) -> PathBuf {
        let dir = self.set_aside_dir();
        let relative = path.strip_prefix(self.root()).unwrap_or(path);
        let flat = relative.to_string_lossy().replace('/', "-");
        let mut to = dir.join(format!("{flat}.{why}"));
        for attempt in 1.. {
            if !to.exists() && self.disk().len(&to).is_err() {
                break;
            }
            to = dir.join(format!("{flat}.{why}.{attempt}"));
        }
        to
    }

    /// Moves a file out of the way under a name that says why, and gives that name.
    pub fn set_aside(&self, path: &Path, why: &str) -> Result<PathBuf, StoreError> {
        let dir = self.set_aside_dir();
        let to = self.name_aside(path, why);
        let moved = self.disk().rename(path, &to).and_then(|()| {
            self.disk().sync_dir(&dir)?;
            self.disk().sync_dir(path.parent().unwrap_or(self.root()))
        });
        moved.map_err(StoreError::io("set aside", path))?;
        Ok(to)
    }
}
