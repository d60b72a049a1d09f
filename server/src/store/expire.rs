//! Retention and quota: segments whose time is over go, and the oldest go first where the disk's
//! share is used up.
//!
//! What goes leaves a marker: a segment without rows that supersedes it, so that a crash in the
//! middle brings nothing back, and that carries its watermarks, so that a batch that an agent sends
//! once more is still known.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use stoker_dag::{UnixNanos, WINDOW_NS};

use super::compact::supersede;
use super::error::StoreError;
use super::merge::Merge;
use super::segment::{BlockKind, Segment};
use super::shared::{Shared, count};
use super::tenant::Tenant;

/// Where the quota is exceeded, this many hundredths of it are kept: not every segment that comes
/// then needs another to go.
const KEEP_PERCENT: u64 = 95;

/// Removes what is older than raw data are kept.
pub fn expire(shared: &Shared, tenant: &Tenant, now: UnixNanos) -> Result<(), StoreError> {
    let Some(retain) = shared.config.retain_raw else { return Ok(()) };
    let retain = u64::try_from(retain.as_nanos()).unwrap_or(u64::MAX);
    let Some(oldest) = now.0.checked_sub(retain) else { return Ok(()) };
    let is_over =
        |segment: &Segment| segment.footer.last_window.saturating_add(WINDOW_NS) <= oldest;
    let parts = tenant.parts();
    let over = parts.sealed.iter().filter(|segment| !is_marker(segment) && is_over(segment));
    let over: Vec<Arc<Segment>> = over.cloned().collect();
    remove(shared, tenant, over, "older than --retain-raw")
}

/// Whether a segment has nothing but what it stands for.
fn is_marker(segment: &Segment) -> bool {
    let nothing = [BlockKind::Names.code(), BlockKind::Stacks.code()];
    segment.footer.blocks.iter().all(|block| nothing.contains(&block.kind))
}

/// Removes the oldest segments of all tenants until the quota is kept, and says how much is used.
pub fn keep_quota(shared: &Shared) -> Result<(), StoreError> {
    let used = measure(shared);
    shared.disk_used.store(used, Ordering::Relaxed);
    let Some(max) = shared.config.max_disk.filter(|max| used > *max) else { return Ok(()) };
    let keep = max / 100 * KEEP_PERCENT;
    let mut oldest: Vec<(u64, usize, Arc<Segment>)> = Vec::new();
    let tenants = shared.tenants();
    for (at, tenant) in tenants.iter().enumerate() {
        let sealed = tenant.parts().sealed;
        let raw = sealed.into_iter().filter(|segment| !is_marker(segment));
        oldest.extend(raw.map(|segment| (segment.footer.last_window, at, segment)));
    }
    oldest.sort_by_key(|(window, _, segment)| (*window, segment.id()));
    let waiting: u64 = tenants.iter().map(|tenant| tenant.retirement.bytes()).sum();
    let mut left = used.saturating_sub(waiting);
    let mut going: Vec<Vec<Arc<Segment>>> = vec![Vec::new(); tenants.len()];
    for (_, tenant, segment) in oldest {
        if left <= keep {
            break;
        }
        left = left.saturating_sub(segment.length);
        going[tenant].push(segment);
    }
    for (tenant, segments) in tenants.iter().zip(going) {
        remove(shared, tenant, segments, "the disk's share (--max-disk) is used up")?;
    }
    Ok(())
}

/// Bytes of logs and segments, those included that wait to be removed.
fn measure(shared: &Shared) -> u64 {
    let of = |tenant: &Arc<Tenant>| {
        let parts = tenant.parts();
        let segments: u64 = parts.sealed.iter().map(|segment| segment.length).sum();
        let logs = parts.frozen.iter().chain([&parts.live]);
        let logs: u64 = logs.map(|head| head.log_bytes.load(Ordering::Relaxed)).sum();
        segments + logs + tenant.retirement.bytes()
    };
    shared.tenants().iter().map(of).sum()
}

fn remove(
    shared: &Shared,
    tenant: &Tenant,
    going: Vec<Arc<Segment>>,
    why: &'static str,
) -> Result<(), StoreError> {
    if going.is_empty() || tenant.retirement.is_halted() {
        return Ok(());
    }
    let sum = |of: fn(&Segment) -> u64| going.iter().map(|segment| of(segment)).sum::<u64>();
    let (rows, bytes) = (sum(|s| s.footer.rows), sum(|s| s.length));
    let segments = going.len() as u64;
    // One marker is enough: those of before go into it.
    let mut chosen = going;
    let sealed = tenant.parts().sealed;
    chosen.extend(sealed.into_iter().filter(|segment| is_marker(segment)));
    let nothing = tenant.names.read(|names| Merge::default().finish(names));
    if let Some(nothing) = nothing {
        supersede(shared, tenant, chosen, nothing)?;
        count(&shared.counters.segments_expired, segments);
        count(&shared.counters.rows_expired, rows);
        tracing::info!(tenant = %tenant.id, segments, rows, bytes, why, "removed");
    }
    Ok(())
}
