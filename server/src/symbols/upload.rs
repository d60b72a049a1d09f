//! A file on its way in: written beside the others under a name that nothing reads.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stoker_dag::BuildId;

use super::error::SymbolsError;
use crate::store::TenantId;

/// Most files that are taken at a time.
pub(super) const UPLOADS_MAX: usize = 4;

/// A file that is being taken. Dropped before it is kept, it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    pub(super) tenant: TenantId,
    pub(super) build_id: BuildId,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) bytes: u64,
    limit: u64,
    max_bytes: u64,
    _slot: Slot,
}

/// A place among those that upload at a time.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slot {
    pub(super) fn take(open: &Arc<AtomicUsize>) -> Result<Self, SymbolsError> {
        let slot = Self(Arc::clone(open));
        // The slot gives back what it took, whether or not that was one too many.
        match open.fetch_add(1, Ordering::AcqRel) {
            before if before < UPLOADS_MAX => Ok(slot),
            _ => Err(SymbolsError::Busy(UPLOADS_MAX)),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Upload {
    pub(super) fn begin(
        (tenant, build_id): (&TenantId, &BuildId),
        path: PathBuf,
        (limit, max_bytes): (u64, u64),
        slot: Slot,
    ) -> Result<Self, SymbolsError> {
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(&path);
        let file = file.map_err(SymbolsError::io("create", &path))?;
        Ok(Self {
            tenant: tenant.clone(),
            build_id: build_id.clone(),
            path,
            file,
            bytes: 0,
            limit,
            max_bytes,
            _slot: slot,
        })
    }

    /// Adds bytes at the end. Blocks.
    ///
    /// # Errors
    /// When there are more than a file may have, or the disk takes no more.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), SymbolsError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(SymbolsError::too_large(self.max_bytes));
        }
        self.file.write_all(bytes).map_err(SymbolsError::io("write", &self.path))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Kept, it has another name by now, and there is nothing to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}
