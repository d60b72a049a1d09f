//! The logs that a stop or a crash left behind: replayed, unless a segment has their batches.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::api::{SpoolId, TenantId};
use super::error::StoreError;
use super::head::Head;
use super::log::{HEADER_BYTES, LogDamage, replay};
use super::names::NamesGrowth;
use super::open::{id_of, mark_damaged};
use super::segment::Segment;
use super::shared::{Shared, count};

/// Replays a tenant's logs in order of id. A log that a segment replaces is removed.
pub fn recover_logs(
    shared: &Shared,
    tenant: &TenantId,
    sealed: &[Arc<Segment>],
    watermarks: &mut FxHashMap<SpoolId, u64>,
) -> Result<Vec<(Arc<Head>, NamesGrowth)>, StoreError> {
    let replaced: BTreeSet<u64> =
        sealed.iter().flat_map(|segment| segment.footer.replaces_logs.iter().copied()).collect();
    replaced.iter().for_each(|log| shared.ids.seen(*log));
    let dir = shared.folder.log_dir(tenant);
    let disk = shared.folder.disk();
    let mut logs = Vec::new();
    for name in disk.list(&dir).map_err(StoreError::io("list", &dir))? {
        let Some(id) = id_of(&name, ".log") else {
            tracing::warn!(name, "a file that is no log is left alone");
            continue;
        };
        shared.ids.seen(id);
        let path = dir.join(&name);
        if replaced.contains(&id) {
            let removed = disk.unlink(&path).and_then(|()| disk.sync_dir(&dir));
            removed.map_err(StoreError::io("remove log", &path))?;
            tracing::info!(name, "a log whose segment is there was removed");
        } else {
            logs.extend(recover_log(shared, &path, id, watermarks)?);
        }
    }
    Ok(logs)
}

fn recover_log(
    shared: &Shared,
    path: &Path,
    id: u64,
    watermarks: &mut FxHashMap<SpoolId, u64>,
) -> Result<Option<(Arc<Head>, NamesGrowth)>, StoreError> {
    let disk = shared.folder.disk();
    let stored = |spool| watermarks.get(&spool).copied().unwrap_or(0);
    let replayed = match replay(&**disk, path, id, stored) {
        Ok(replayed) => replayed,
        Err(error @ StoreError::Damaged { .. }) => {
            unreadable(shared, path, &error)?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if let Some(damage) = &replayed.damage {
        report(path, damage);
        if damage.in_the_middle {
            mark_damaged(&replayed.head);
        }
    }
    for (spool, sequence) in &replayed.head.rows().watermarks {
        let held = watermarks.entry(*spool).or_default();
        *held = (*sequence).max(*held);
    }
    let batches = replayed.head.rows().facts.len();
    let duplicates = replayed.duplicates;
    tracing::info!(log = %path.display(), batches, duplicates, "replayed");
    Ok(Some((Arc::new(replayed.head), replayed.names)))
}

/// A log without a header: one that a crash cut short at birth has nothing that was acknowledged.
fn unreadable(shared: &Shared, path: &Path, error: &StoreError) -> Result<(), StoreError> {
    let disk = shared.folder.disk();
    let length = disk.len(path).map_err(StoreError::io("read log", path))?;
    if length <= HEADER_BYTES as u64 {
        tracing::warn!(%error, "a log that never began was removed");
        return disk.unlink(path).map_err(StoreError::io("remove log", path));
    }
    tracing::error!(%error, bytes = length, "all batches in it are lost; it is set aside");
    shared.folder.set_aside(path, "unreadable")?;
    count(&shared.counters.set_aside, 1);
    Ok(())
}

fn report(path: &Path, damage: &LogDamage) {
    let LogDamage { at, bytes, behind, in_the_middle } = damage;
    let log = path.display();
    if !in_the_middle {
        tracing::warn!(%log, at, bytes, "the end of the log is torn and left out");
        return;
    }
    tracing::error!(%log, at, bytes, batches_behind = behind.len(), "the log is damaged");
    for (spool, sequence, samples) in behind {
        let samples = samples.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
        tracing::error!(?spool, sequence, samples, "lost: this batch stands behind the damage");
    }
}
