//! Batches that cannot be decoded: kept as they came, named, counted, and not asked for again.
//!
//! They lie in `set-aside/`, for whoever looks for the error. Their bytes are a `stoker.v1.Batch` over
//! the dictionary of the stream that they came by, which is gone; so nothing reads them again. An
//! agent that sends nothing else must not fill the disk with it: past a number of them they are
//! counted and not kept.

use std::path::PathBuf;

use super::api::{BatchSource, TenantId};
use super::error::StoreError;
use super::handle::Store;
use super::shared::{Shared, count};

/// Batches that are kept.
pub const MAX_QUARANTINED: usize = 100;
/// Bytes of all that are kept.
const MAX_QUARANTINED_BYTES: u64 = 64 << 20;
/// What their names end with.
const EXTENSION: &str = ".batch";

impl Store {
    /// Keeps a batch aside that could not be decoded; gives where, unless there are too many already
    /// or the disk does not take it. Counted in any case.
    pub fn quarantine(
        &self,
        tenant: &TenantId,
        (source, sequence): (&BatchSource, u64),
        why: &str,
        bytes: &[u8],
    ) -> Option<PathBuf> {
        let shared = self.shared();
        count(&shared.counters.batches_quarantined, 1);
        let name = format!("{tenant}-{:?}-{sequence}.{why}{EXTENSION}", source.spool_id);
        let kept = keep(shared, &name, bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "a batch that cannot be decoded is not kept");
            None
        });
        let (host, bytes) = (&source.host_name, bytes.len());
        tracing::error!(%host, sequence, bytes, why, ?kept, "a batch cannot be decoded: its samples are lost");
        kept
    }
}

fn keep(shared: &Shared, name: &str, bytes: &[u8]) -> Result<Option<PathBuf>, StoreError> {
    shared.check_room()?;
    let (disk, dir) = (shared.folder.disk(), shared.folder.set_aside_dir());
    let path = dir.join(name);
    let list = || disk.list(&dir).map_err(StoreError::io("list", &dir));
    let held: Vec<String> = list()?.into_iter().filter(|held| held.ends_with(EXTENSION)).collect();
    if held.iter().any(|held| held == name) {
        return Ok(Some(path));
    }
    let used: u64 = held.iter().map(|held| disk.len(&dir.join(held)).unwrap_or(0)).sum();
    if held.len() >= MAX_QUARANTINED
        || used.saturating_add(bytes.len() as u64) > MAX_QUARANTINED_BYTES
    {
        return Ok(None);
    }
    let write = || {
        let mut file = disk.create_new(&path)?;
        file.append(bytes)?;
        file.sync()
    };
    write().map_err(StoreError::io("write", &path))?;
    Ok(Some(path))
}
