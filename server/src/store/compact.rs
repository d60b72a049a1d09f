//! Merging small segments of one level into large ones.
//!
//! A segment replaces one log, so a quiet server makes one every few minutes, each with a dictionary
//! of its own. They are merged by the hour in which they end: all of a past hour into one, and those
//! of the present hour when they are many, as far as the bounds on rows and bytes of one segment allow. One
//! that is much larger than the others waits until they are more, so that no row is written again and again. The
//! merged segment names those that it supersedes, so that it counts from the moment it is
//! durable, and they do not.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::UnixNanos;

use super::api::{SpoolId, StoreConfig};
use super::error::StoreError;
use super::guarded::guarded;
use super::level::Level;
use super::merge::{Made, Making, make};
use super::publish::publish;
use super::segment::{Effort, Segment};
use super::shared::{Shared, count};
use super::tenant::Tenant;

/// An hour is over for merging this long after its end: spools of agents have come by then.
pub const SETTLE_NS: u64 = 600_000_000_000;
/// Segments of the present hour (of rollups: day, month) that are merged.
const MANY: usize = 8;
/// A segment that outweighs the lighter ones so many times is not merged with them while its hour lasts.
const WHEN_NOT_OVER: u64 = 4;
/// The same when the hour is over: what comes late is merged with the rest when it is more than this part of it.
const WHEN_OVER: u64 = 32;
/// Rows below which a segment's weight does not matter.
const LIGHT: u64 = 4096;

/// Segments to be merged.
#[derive(Debug)]
pub struct Plan {
    /// In order of id.
    pub segments: Vec<Arc<Segment>>,
    /// Little while more is to come, for then they are merged again.
    pub effort: Effort,
}

/// The next segments to merge, if any. One by itself is written again, for fewer bytes, when its
/// hour is over and it still has what sealing a log had little time for.
pub fn plan(segments: &[Arc<Segment>], now: UnixNanos, config: &StoreConfig) -> Option<Plan> {
    let mut spans: BTreeMap<(Level, u64), Vec<&Arc<Segment>>> = BTreeMap::new();
    for segment in segments {
        spans.entry(span(segment)).or_default().push(segment);
    }
    let mut spans: Vec<_> = spans.into_iter().collect();
    // Where most is to be done first, for sealing may wait for it; of equals the oldest.
    spans.sort_by_key(|(_, of_span)| Reverse(of_span.len()));
    for ((level, span), mut of_span) in spans {
        let end = (span + 1).saturating_mul(level.merge_span_ns());
        let is_over = end.saturating_add(SETTLE_NS) <= now.0 && is_filled(level, config, end, now);
        let (at_least, outweighs) = if is_over { (2, WHEN_OVER) } else { (MANY, WHEN_NOT_OVER) };
        of_span.sort_by_key(|segment| (segment.footer.weight(), segment.id()));
        let run = (0..of_span.len()).map(|first| run(&of_span[first..], outweighs, config));
        let is_worth_it = |run: &&[&Arc<Segment>]| match run {
            [one] => is_over && one.footer.weight() >= LIGHT && one.is_quickly_written(),
            several => several.len() >= at_least,
        };
        if let Some(run) = run.into_iter().find(is_worth_it) {
            let mut chosen: Vec<Arc<Segment>> = run.iter().copied().cloned().collect();
            chosen.sort_by_key(|segment| segment.id());
            let effort = if is_over { Effort::Thorough } else { Effort::Quick };
            return Some(Plan { segments: chosen, effort });
        }
    }
    None
}

/// What a segment is merged within: its level, and which of that level's spans it ends in.
pub fn span(segment: &Segment) -> (Level, u64) {
    let level = segment.level();
    (level, segment.footer.last_window / level.merge_span_ns())
}

/// The first segments of some that are in order of weight, as long as they are not too much together and
/// none outweighs those before it so many times: it would be written again for little.
fn run<'a, 'b>(
    segments: &'a [&'b Arc<Segment>],
    outweighs: u64,
    config: &StoreConfig,
) -> &'a [&'b Arc<Segment>] {
    let (mut weight, mut rows, mut bytes) = (0u64, 0u64, 0u64);
    let fits = |segment: &&&Arc<Segment>| {
        let own = segment.footer.weight().max(LIGHT);
        let is_outweighed = weight == 0 || own <= weight.saturating_mul(outweighs);
        weight = weight.saturating_add(own);
        rows = rows.saturating_add(segment.footer.weight());
        bytes = bytes.saturating_add(segment.held_bytes());
        is_outweighed && rows <= config.compact_rows && bytes <= config.merged_bytes()
    };
    let length = segments.iter().take_while(fits).count();
    &segments[..length]
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
    let planned = plan(&segments, now, &shared.config);
    drop(segments);
    let Some(Plan { segments: chosen, effort }) = planned else { return Ok(false) };
    if tenant.retirement.is_halted() {
        return Ok(false);
    }
    // The merged segment stands beside the old ones for a while.
    let bytes = chosen.iter().map(|segment| segment.length).sum();
    if shared.check_free(bytes).is_err() {
        return Ok(false);
    }
    let merged = guarded("merge segments", || merge(shared, tenant, &chosen, effort));
    let ids: Vec<u64> = chosen.iter().map(|segment| segment.id()).collect();
    if merged.is_err() {
        tenant.retirement.leave(ids.iter().copied());
    }
    let Some(made) = merged.and_then(|made| made)? else { return Ok(true) };
    let superseded = supersede(shared, tenant, chosen, made);
    // What is written but cannot be read again would be no other the next time.
    if matches!(superseded, Err(StoreError::Damaged { .. })) {
        tenant.retirement.leave(ids.into_iter());
    }
    superseded?;
    count(&shared.counters.compactions, 1);
    Ok(true)
}

/// One segment of `chosen`, or nothing where a dictionary cannot hold a part of one.
fn merge(
    shared: &Shared,
    tenant: &Tenant,
    chosen: &[Arc<Segment>],
    effort: Effort,
) -> Result<Option<Made>, StoreError> {
    let making = Making {
        blobs: &*shared.blobs,
        names: &tenant.names,
        level: chosen.first().map_or(Level::Raw, |segment| segment.level()),
        reduce: None,
        late: &|_| Vec::new(),
        memory: shared.config.slice_memory(),
        effort,
        is_over: &|| shared.is_closed(),
    };
    let made = make(&making, chosen, &mut |at, error| {
        tenant.retirement.leave([chosen[at].id()].into_iter());
        Err(error)
    })?;
    if made.is_none() {
        tracing::info!(segments = chosen.len(), "too much for one dictionary: left as they are");
        tenant.retirement.leave(chosen.iter().map(|segment| segment.id()));
    }
    Ok(made)
}

/// Puts one segment in the place of `chosen`, with all that they stand for.
pub fn supersede(
    shared: &Shared,
    tenant: &Tenant,
    chosen: Vec<Arc<Segment>>,
    made: Made,
) -> Result<(), StoreError> {
    let ids: Vec<u64> = chosen.iter().map(|segment| segment.id()).collect();
    let before = chosen.iter().flat_map(|segment| segment.footer.supersedes.iter().copied());
    let supersedes = [&ids[..], &tenant.retirement.still_there(before)].concat();
    let logs = chosen.iter().flat_map(|segment| segment.footer.replaces_logs.iter().copied());
    let replaces_logs: Vec<u64> = logs.collect();
    let id = shared.ids.next();
    let stands_for = (&replaces_logs[..], &supersedes[..]);
    let written = made.finish((&tenant.id, id), stands_for, &watermarks(&chosen))?;
    let uncertain = || tenant.retirement.halt();
    let segment = publish(shared, tenant, written, uncertain)?;
    let (rows, slices) = (segment.footer.rows, segment.footer.slices.len());
    let (from, bytes) = (chosen.len(), segment.length);
    tracing::info!(tenant = %tenant.id, segment = segment.name(), from, rows, slices, bytes, "merged");
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

#[cfg(test)]
mod tests {
    use super::super::api::TenantId;
    use super::super::level::HOUR_NS;
    use super::super::messages::Footer;
    use super::*;

    /// Weights of those that are merged of segments of an hour.
    fn planned(weights: &[u64], is_over: bool) -> Vec<u64> {
        let segment = |(id, rows): (u64, &u64)| {
            let footer = Footer { id, rows: *rows, last_window: HOUR_NS / 2, ..Footer::default() };
            Arc::new(Segment::of(&TenantId::default_tenant(), footer, rows * 3))
        };
        let segments: Vec<_> = (1..).zip(weights).map(segment).collect();
        let now = UnixNanos(if is_over { 2 * HOUR_NS } else { HOUR_NS });
        let planned = plan(&segments, now, &StoreConfig::default());
        let effort = if is_over { Effort::Thorough } else { Effort::Quick };
        assert!(planned.as_ref().is_none_or(|planned| planned.effort == effort));
        let chosen = planned.map(|planned| planned.segments).unwrap_or_default();
        chosen.iter().map(|segment| segment.footer.rows).collect()
    }

    #[test]
    fn what_is_much_larger_waits_until_the_others_are_more() {
        const M: u64 = 1 << 20;
        let nothing: [u64; 0] = [];
        assert_eq!(planned(&[10, 20, 30], true), [10, 20, 30], "little is merged at once");
        assert_eq!(planned(&[10, 20, 30], false), nothing, "later there are more");
        assert_eq!(planned(&[M; 8], false), [M; 8]);
        let mut and_large = vec![M; 8];
        and_large.push(40 * M);
        assert_eq!(planned(&and_large, false), [M; 8], "the large one is left out");
        and_large[8] = 16 * M;
        assert_eq!(planned(&and_large, false), and_large, "it is not so large");
        assert_eq!(planned(&[20 * M, M / 4], true), nothing, "late data wait");
        assert_eq!(planned(&[20 * M, M / 4, M / 4], true), [M / 4, M / 4]);
        assert_eq!(planned(&[20 * M, M], true), [20 * M, M], "until they are a part of it");
        assert_eq!(planned(&[4 * M, 2 * M, M], true), [4 * M, 2 * M, M]);
    }

    #[test]
    fn what_was_sealed_is_written_again_by_itself_where_nothing_else_comes() {
        use super::super::messages::BlockEntry;
        use super::super::segment::BlockKind;
        let sealed = |rows, kind: BlockKind| {
            let block = BlockEntry { kind: kind.code(), ..BlockEntry::default() };
            let footer = Footer { id: 1, rows, blocks: vec![block], ..Footer::default() };
            [Arc::new(Segment::of(&TenantId::default_tenant(), footer, 100))]
        };
        let planned = |segments: &[Arc<Segment>], hours| {
            let planned = plan(segments, UnixNanos(hours * HOUR_NS), &StoreConfig::default());
            planned.map_or(0, |planned| planned.segments.len())
        };
        assert_eq!(planned(&sealed(9_000, BlockKind::StackColumns), 2), 1);
        assert_eq!(planned(&sealed(9_000, BlockKind::StackColumns), 1), 0, "more may come");
        assert_eq!(
            planned(&sealed(9_000, BlockKind::Stacks), 2),
            0,
            "it was written again already"
        );
        assert_eq!(planned(&sealed(90, BlockKind::StackColumns), 2), 0, "it is not worth it");
    }

    #[test]
    fn no_segment_is_larger_than_is_allowed() {
        let config = StoreConfig::default();
        let half = config.compact_rows / 2;
        let nothing: [u64; 0] = [];
        assert_eq!(planned(&[half + 1, half + 1], true), nothing, "too many rows");
        let bytes = config.merged_bytes() / 3;
        assert_eq!(planned(&[bytes / 3 * 2; 3], true), nothing, "too many bytes");
        assert_eq!(planned(&[bytes / 3, bytes / 3, bytes], true), [bytes / 3; 2]);
    }
}
