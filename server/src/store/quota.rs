//! The quota: where the disk's share is used up, the oldest raw data are summed up before their time,
//! then the oldest stacks, and where nothing can be summed up the oldest of all goes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use stoker_dag::UnixNanos;

use super::compact::SETTLE_NS;
use super::error::StoreError;
use super::expire::{end_of, is_marker, remove, span_ns};
use super::level::{HOUR_NS, Level};
use super::roll::roll;
use super::segment::Segment;
use super::shared::Shared;
use super::tenant::Tenant;

/// Where the quota is exceeded, this many hundredths of it are kept: not every segment that comes
/// then needs another to go.
const KEEP_PERCENT: u64 = 95;
/// Rollups that one pass makes for the quota: batches wait outside meanwhile where it is used up.
const ROLLS_PER_PASS: usize = 8;

/// Sums up or removes the oldest segments of all tenants until the quota is kept, and says how much is
/// used; says whether there is more to do.
pub fn keep_quota(shared: &Shared, now: UnixNanos) -> Result<bool, StoreError> {
    for _ in 0..ROLLS_PER_PASS {
        let used = measure(shared);
        shared.disk_used.store(used, Ordering::Relaxed);
        let Some(max) = shared.config.max_disk else { return Ok(false) };
        let keep = max / 100 * KEEP_PERCENT;
        let waiting: u64 = shared.tenants().iter().map(|tenant| tenant.retirement.bytes()).sum();
        let left = used.saturating_sub(waiting);
        if used <= max || left <= keep {
            return Ok(false);
        }
        if !sum_up_oldest(shared, now)? {
            remove_oldest(shared, left, keep)?;
            return Ok(false);
        }
        for tenant in shared.tenants() {
            tenant.retirement.bury(&*shared.blobs, &tenant.id);
        }
    }
    Ok(true)
}

/// Sums up the oldest raw data that can be, else the oldest stacks; says whether there were any.
fn sum_up_oldest(shared: &Shared, now: UnixNanos) -> Result<bool, StoreError> {
    for level in [Level::Raw, Level::Hourly] {
        let Some(to) = level.next(&shared.config) else { continue };
        let can_go = |tenant: &Tenant, segment: &Segment| {
            let hour_over = (end_of(segment) - 1) / HOUR_NS * HOUR_NS + HOUR_NS;
            segment.level() == level
                && !is_marker(segment)
                && tenant.retirement.is_mergeable(segment.id())
                && hour_over.saturating_add(SETTLE_NS) <= now.0
        };
        let mut oldest: Option<(u64, Arc<Tenant>, Vec<Arc<Segment>>)> = None;
        for tenant in shared.tenants() {
            let mut segments = tenant.parts().sealed;
            segments.retain(|segment| can_go(&tenant, segment));
            let span = |segment: &Segment| segment.footer.last_window / span_ns(to);
            let Some(first) = segments.iter().map(|segment| span(segment)).min() else { continue };
            if oldest.as_ref().is_none_or(|(held, ..)| first < *held) {
                segments.retain(|segment| span(segment) == first);
                oldest = Some((first, tenant, segments));
            }
        }
        if let Some((_, tenant, segments)) = oldest
            && roll(shared, &tenant, segments, to)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn remove_oldest(shared: &Shared, mut left: u64, keep: u64) -> Result<(), StoreError> {
    let mut oldest: Vec<(u64, usize, Arc<Segment>)> = Vec::new();
    let tenants = shared.tenants();
    for (at, tenant) in tenants.iter().enumerate() {
        let sealed = tenant.parts().sealed;
        let all = sealed.into_iter().filter(|segment| !is_marker(segment));
        oldest.extend(all.map(|segment| (segment.footer.last_window, at, segment)));
    }
    oldest.sort_by_key(|(window, _, segment)| (*window, segment.id()));
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
