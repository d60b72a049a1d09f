//! Merging small segments of one level into large ones.
//!
//! A segment replaces one log, so a quiet server makes one every few minutes, each with a dictionary
//! of its own. They are merged by the hour in which they end: all of a past hour into one, and those
//! of the present hour when they are many, as far as the bound on rows, which is the bound on memory,
//! allows. The merged segment names those that it supersedes, so that it counts from the moment it is
//! durable, and they do not.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::UnixNanos;

use super::api::{SpoolId, StoreConfig};
use super::error::StoreError;
use super::guarded::guarded;
use super::level::Level;
use super::merge::{Merge, Merged};
use super::names::builds;
use super::publish::publish;
use super::segment::{Effort, Rollup, Segment, SegmentContent};
use super::shared::{Shared, count};
use super::tenant::Tenant;

/// An hour is over for merging this long after its end: spools of agents have come by then.
pub const SETTLE_NS: u64 = 600_000_000_000;
/// Segments of the present hour (of rollups: day, month) that are merged.
const MANY: usize = 8;

/// The next segments to merge, in order of id; at least two, or none.
pub fn plan(segments: &[Arc<Segment>], now: UnixNanos, config: &StoreConfig) -> Vec<Arc<Segment>> {
    let max_rows = config.compact_rows;
    let mut spans: BTreeMap<(Level, u64), Vec<&Arc<Segment>>> = BTreeMap::new();
    for segment in segments.iter().filter(|segment| segment.footer.weight() < max_rows) {
        let level = segment.level();
        let span = segment.footer.last_window / level.merge_span_ns();
        spans.entry((level, span)).or_default().push(segment);
    }
    for ((level, span), mut of_hour) in spans {
        let end = (span + 1).saturating_mul(level.merge_span_ns());
        let is_over = end.saturating_add(SETTLE_NS) <= now.0 && is_filled(level, config, end, now);
        if of_hour.len() < if is_over { 2 } else { MANY } {
            continue;
        }
        of_hour.sort_by_key(|segment| (segment.footer.weight(), segment.id()));
        let mut rows = 0;
        let mut chosen: Vec<Arc<Segment>> = of_hour
            .into_iter()
            .take_while(|segment| {
                rows += segment.footer.weight();
                rows <= max_rows
            })
            .cloned()
            .collect();
        if chosen.len() >= 2 {
            chosen.sort_by_key(|segment| segment.id());
            return chosen;
        }
    }
    Vec::new()
}

/// Whether all that comes to a level of a span has come: the finer level has let go of it.
fn is_filled(level: Level, config: &StoreConfig, end: u64, now: UnixNanos) -> bool {
    let finer = Level::ALL.into_iter().take_while(|finer| *finer < level).last();
    finer.is_none_or(|finer| finer.due(config, end, now).is_none_or(|due| due >= level))
}

/// Merges the next segments of a tenant, if any should be; says whether some were.
pub fn compact(shared: &Shared, tenant: &Tenant, now: UnixNanos) -> Result<bool, StoreError> {
    let mut segments = tenant.parts().sealed;
    segments.retain(|segment| tenant.retirement.is_mergeable(segment.id()));
    let mut chosen = plan(&segments, now, &shared.config);
    drop(segments);
    if chosen.is_empty() || tenant.retirement.is_halted() {
        return Ok(false);
    }
    // The merged segment stands beside the old ones for a while.
    let bytes = chosen.iter().map(|segment| segment.length).sum();
    if shared.check_free(bytes).is_err() {
        return Ok(false);
    }
    let merged = guarded("merge segments", || merge(shared, tenant, &mut chosen));
    let ids: Vec<u64> = chosen.iter().map(|segment| segment.id()).collect();
    if merged.is_err() {
        tenant.retirement.leave(ids.iter().copied());
    }
    let Some(merged) = merged.and_then(|merged| merged)? else { return Ok(true) };
    let superseded = supersede(shared, tenant, chosen, merged);
    // What is written but cannot be read again would be no other the next time.
    if matches!(superseded, Err(StoreError::Damaged { .. })) {
        tenant.retirement.leave(ids.into_iter());
    }
    superseded?;
    count(&shared.counters.compactions, 1);
    Ok(true)
}

/// Merges as many of `chosen` as there is memory for, the smallest first; the others are taken out of it.
fn merge(
    shared: &Shared,
    tenant: &Tenant,
    chosen: &mut Vec<Arc<Segment>>,
) -> Result<Option<Merged>, StoreError> {
    let mut merge = Merge::of(chosen.first().map_or(Level::Raw, |segment| segment.level()));
    let mut added = 0;
    chosen.sort_by_key(|segment| (segment.footer.weight(), segment.id()));
    for segment in chosen.iter() {
        if added > 0 && !merge.has_room_for(segment, shared.config.merge_memory()) {
            break;
        }
        if let Err(error) = merge.add(&*shared.blobs, segment) {
            tenant.retirement.leave([segment.id()].into_iter());
            return Err(error);
        }
        added += 1;
    }
    if added == 1 {
        tracing::info!("segments are too large for --ingest-memory to be merged: left as they are");
        tenant.retirement.leave(chosen.iter().skip(1).map(|segment| segment.id()));
        return Ok(None);
    }
    chosen.truncate(added);
    chosen.sort_by_key(|segment| segment.id());
    let merged = tenant.names.read(|names| merge.finish(names));
    if merged.is_none() {
        tracing::info!(segments = chosen.len(), "too much for one dictionary: left as they are");
        tenant.retirement.leave(chosen.iter().map(|segment| segment.id()));
    }
    Ok(merged)
}

/// Puts one segment with `content` in the place of `chosen`, with all that they stand for.
pub fn supersede(
    shared: &Shared,
    tenant: &Tenant,
    chosen: Vec<Arc<Segment>>,
    mut content: Merged,
) -> Result<(), StoreError> {
    let ids: Vec<u64> = chosen.iter().map(|segment| segment.id()).collect();
    let before = chosen.iter().flat_map(|segment| segment.footer.supersedes.iter().copied());
    let supersedes = [&ids[..], &tenant.retirement.still_there(before)].concat();
    let logs = chosen.iter().flat_map(|segment| segment.footer.replaces_logs.iter().copied());
    let replaces_logs: Vec<u64> = logs.collect();
    content.rows.watermarks = watermarks(&chosen);
    let content = SegmentContent {
        tenant: &tenant.id,
        id: shared.ids.next(),
        replaces_logs: &replaces_logs,
        supersedes: &supersedes,
        dictionary: &content.dictionary,
        definitions: &content.definitions,
        rows: &content.rows,
        rollup: Rollup { level: content.level, totals: &content.totals, dropped: &content.dropped },
        effort: Effort::Thorough,
    };
    let uncertain = || tenant.retirement.halt();
    let segment = publish(shared, tenant, content, builds(content.dictionary), uncertain)?;
    let (from, rows, bytes) = (chosen.len(), segment.footer.rows, segment.length);
    tracing::info!(tenant = %tenant.id, segment = segment.name(), from, rows, bytes, "merged");
    tenant.superseded(&ids, Arc::new(segment));
    chosen.into_iter().for_each(|segment| tenant.retirement.retire(segment));
    Ok(())
}

fn watermarks(segments: &[Arc<Segment>]) -> FxHashMap<SpoolId, u64> {
    let mut watermarks: FxHashMap<SpoolId, u64> = FxHashMap::default();
    for (spool, sequence) in segments.iter().flat_map(|segment| segment.footer.spools()) {
        let held = watermarks.entry(spool).or_default();
        *held = sequence.max(*held);
    }
    watermarks
}
