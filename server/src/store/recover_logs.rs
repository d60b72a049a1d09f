//! The logs that a stop or a crash left behind: replayed, unless a segment has their batches.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustc_hash::FxHashMap;
use stoker_dag::UnixNanos;

use super::api::{SpoolId, TenantId};
use super::error::StoreError;
use super::head::Head;
use super::log::{HEADER_BYTES, LogDamage, replay};
use super::losses::{Loss, Losses};
use super::names::NamesGrowth;
use super::open::{id_of, mark_damaged};
use super::segment::Segment;
use super::shared::{Shared, count};

/// How much time a log may have that cannot be read: logs are sealed after minutes.
const LOG_AGE_NS: u64 = 600_000_000_000;

/// Replays a tenant's logs in order of id. A log that a segment replaces is removed.
pub fn recover_logs(
    shared: &Shared,
    tenant: &TenantId,
    sealed: &[Arc<Segment>],
    watermarks: &mut FxHashMap<SpoolId, u64>,
    losses: &Losses,
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
        if replaced.contains(&id) && shared.folder.is_read_only() {
            tracing::info!(name, "a log whose segment is there is left out");
        } else if replaced.contains(&id) {
            let removed = disk.unlink(&path).and_then(|()| disk.sync_dir(&dir));
            removed.map_err(StoreError::io("remove log", &path))?;
            tracing::info!(name, "a log whose segment is there was removed");
        } else {
            logs.extend(recover_log(shared, (tenant, &path, id), watermarks, losses)?);
        }
    }
    Ok(logs)
}

fn recover_log(
    shared: &Shared,
    (tenant, path, id): (&TenantId, &Path, u64),
    watermarks: &mut FxHashMap<SpoolId, u64>,
    losses: &Losses,
) -> Result<Option<(Arc<Head>, NamesGrowth)>, StoreError> {
    let disk = shared.folder.disk();
    // What a version that could not read the log has stored since does not make its batches known.
    let was_skipped = shared.folder.was_skipped(tenant, id);
    let stored = |spool| match was_skipped {
        true => 0,
        false => watermarks.get(&spool).copied().unwrap_or(0),
    };
    let replayed = match replay(&**disk, path, id, stored) {
        Ok(replayed) => replayed,
        Err(error @ StoreError::Damaged { .. }) => {
            if unreadable(shared, path, &error)? {
                lost(shared, (tenant, id), losses, log_loss(error.to_string(), id, None));
            }
            return Ok(None);
        }
        Err(error @ StoreError::NewerFormat { .. }) => {
            skip(shared, (tenant, id), losses, &error);
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let overlaps = replayed.duplicates > 0 && !was_skipped;
    replayed.head.overlaps.store(overlaps, Ordering::Release);
    if let Some(damage) = &replayed.damage {
        report(path, damage);
        if damage.in_the_middle {
            mark_damaged(&replayed.head);
            let batches = damage.behind.len();
            let what = format!(
                "{} is damaged at byte {}: {batches} batches behind that are lost",
                path.display(),
                damage.at
            );
            lost(shared, (tenant, id), losses, log_loss(what, id, damage.windows));
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

/// Leaves a log of a later version where it is, and names it.
fn skip(shared: &Shared, (tenant, id): (&TenantId, u64), losses: &Losses, error: &StoreError) {
    count(&shared.counters.read_failures, 1);
    tracing::error!(%error, "its rows are missing from answers until that version runs again");
    if let Err(error) = shared.folder.note_skipped(tenant, id) {
        tracing::warn!(%error, "that version may take its batches for duplicates");
    }
    losses.add(&format!("{id:016x}.log"), log_loss(error.to_string(), id, None));
}

/// What a log lost. Where nothing says of which time, it is that of the log: its id is when it began.
fn log_loss(what: String, id: u64, windows: Option<(UnixNanos, UnixNanos)>) -> Loss {
    let began = UnixNanos(id).window_start();
    let windows = windows.unwrap_or((began, UnixNanos(id.saturating_add(LOG_AGE_NS))));
    Loss { what, windows: Some(windows), rows: None }
}

fn lost(shared: &Shared, (tenant, id): (&TenantId, u64), losses: &Losses, loss: Loss) {
    let file = format!("{id:016x}.log");
    if let Err(error) = shared.folder.note_loss(tenant, &file, &loss) {
        tracing::warn!(%error, "the next start will not know of it");
    }
    losses.add(&file, loss);
}

/// A log without a header: one that a crash cut short at birth has nothing that was acknowledged.
fn unreadable(shared: &Shared, path: &Path, error: &StoreError) -> Result<bool, StoreError> {
    if shared.folder.is_read_only() {
        tracing::error!(%error, "all batches in it are lost");
        return Ok(true);
    }
    let disk = shared.folder.disk();
    let length = disk.len(path).map_err(StoreError::io("read log", path))?;
    if length <= HEADER_BYTES as u64 {
        tracing::warn!(%error, "a log that never began was removed");
        disk.unlink(path).map_err(StoreError::io("remove log", path))?;
        return Ok(false);
    }
    tracing::error!(%error, bytes = length, "all batches in it are lost; it is set aside");
    shared.folder.set_aside(path, "unreadable")?;
    count(&shared.counters.set_aside, 1);
    Ok(true)
}

fn report(path: &Path, damage: &LogDamage) {
    let LogDamage { at, bytes, behind, in_the_middle, .. } = damage;
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
