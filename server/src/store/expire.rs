//! Retention: what has been long enough at its level is summed up for the next, and what is over at
//! all levels goes.
//!
//! What goes leaves a marker: a segment without rows that supersedes it, so that a crash in the
//! middle brings nothing back, and that carries its watermarks, so that a batch that an agent sends
//! once more is still known.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoker_dag::UnixNanos;

use super::compact::supersede;
use super::error::StoreError;
use super::level::{HOUR_NS, Level};
use super::merge::Made;
use super::roll::roll;
use super::segment::{BlockKind, Segment};
use super::shared::{Shared, count};
use super::tenant::Tenant;

/// Removes what is over at all levels and sums up the next that is over at its own; says whether it
/// summed up anything.
pub fn expire(shared: &Shared, tenant: &Tenant, now: UnixNanos) -> Result<bool, StoreError> {
    let (mut over, mut due) = (Vec::new(), BTreeMap::new());
    for segment in tenant.parts().sealed.into_iter().filter(|segment| !is_marker(segment)) {
        let level = segment.level();
        match level.due(&shared.config, end_of(&segment), now) {
            None => over.push(segment),
            Some(to) if to > level => {
                let key = (to, segment.footer.last_window / span_ns(to));
                due.entry(key).or_insert_with(Vec::new).push(segment);
            }
            Some(_) => {}
        }
    }
    remove(shared, tenant, over, "older than is kept")?;
    for ((to, _), segments) in due {
        if roll(shared, tenant, segments, to)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// When the last window of a segment ends.
pub fn end_of(segment: &Segment) -> u64 {
    segment.footer.last_window.saturating_add(segment.level().window_ns())
}

/// Segments that end within such a span are summed up together.
pub fn span_ns(to: Level) -> u64 {
    match to {
        Level::Raw | Level::Hourly => HOUR_NS,
        Level::Functions => Level::Hourly.merge_span_ns(),
    }
}

/// Whether a segment has nothing but what it stands for.
pub fn is_marker(segment: &Segment) -> bool {
    let nothing = [BlockKind::Series, BlockKind::Names, BlockKind::StackColumns, BlockKind::Stacks];
    let nothing = nothing.map(BlockKind::code);
    segment.footer.blocks.iter().all(|block| nothing.contains(&block.kind))
}

/// Puts a marker in the place of segments.
pub fn remove(
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
    supersede(shared, tenant, chosen, Made::nothing()?)?;
    count(&shared.counters.segments_expired, segments);
    count(&shared.counters.rows_expired, rows);
    tracing::info!(tenant = %tenant.id, segments, rows, bytes, why, "removed");
    Ok(())
}
