//! Summing up: segments of a finer level become one of a coarser. The new segment supersedes them, as
//! a merged one does, so that nothing but the presence of one file decides which of them counts: no
//! row is lost, none counts twice, and what comes late for an hour that was summed up already is a
//! segment of its own until it is summed up too.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoker_wire::Dictionary;

use super::compact::supersede;
use super::error::StoreError;
use super::guarded::guarded;
use super::level::Level;
use super::losses::Loss;
use super::merge::{Made, Making, make};
use super::reduce::Reduce;
use super::segment::{Effort, Segment};
use super::shared::{Shared, count};
use super::tenant::Tenant;

/// Sums up the first of `segments`, as many as one merge may hold, for the level `to`; says whether
/// any were.
pub fn roll(
    shared: &Shared,
    tenant: &Tenant,
    mut segments: Vec<Arc<Segment>>,
    to: Level,
) -> Result<bool, StoreError> {
    segments.retain(|segment| tenant.retirement.is_mergeable(segment.id()));
    if segments.is_empty() || tenant.retirement.is_halted() {
        return Ok(false);
    }
    segments.sort_by_key(|segment| segment.id());
    let (mut rows, mut bytes) = (0, 0);
    let fits = segments.iter().take_while(|segment| {
        rows += segment.footer.rows;
        bytes += segment.held_bytes();
        rows <= shared.config.compact_rows && bytes <= shared.config.merged_bytes()
    });
    let fits = fits.count().max(1);
    segments.truncate(fits);
    // The new segment stands beside the old ones for a while. What is kept free for others may be used
    // for that: there is more room after it than before.
    let bytes: u64 = segments.iter().map(|segment| segment.length).sum();
    if shared.folder.free().is_some_and(|disk| disk.free < bytes) {
        return Ok(false);
    }
    let first = |segments: &[Arc<Segment>]| {
        let summed = guarded("sum up segments", || sum_up(shared, tenant, segments, to));
        if summed.is_err() {
            tenant.retirement.leave(segments.iter().map(|segment| segment.id()));
        }
        summed.and_then(|summed| summed)
    };
    let mut summed = first(&segments)?;
    if summed.is_none() && segments.len() > 1 {
        segments.truncate(1);
        summed = first(&segments)?;
    }
    let Some((summed, lost)) = summed else {
        tracing::error!(
            segment = segments[0].name(),
            "too much for one dictionary to be summed up"
        );
        tenant.retirement.leave([segments[0].id()].into_iter());
        return Ok(true);
    };
    for (id, name, loss) in lost {
        shared.folder.copy_aside(&shared.blobs.path(&name), "damaged")?;
        shared.folder.note_loss(&tenant.id, &format!("{id:016x}.seg"), &loss)?;
        tenant.losses.add(&name, loss);
    }
    let rows = segments.iter().map(|segment| segment.footer.rows).sum::<u64>();
    let ids: Vec<u64> = segments.iter().map(|segment| segment.id()).collect();
    let superseded = supersede(shared, tenant, segments, summed);
    // What is written but cannot be read again would be no other the next time.
    if matches!(superseded, Err(StoreError::Damaged { .. })) {
        tenant.retirement.leave(ids.iter().copied());
    }
    superseded?;
    count(&shared.counters.segments_rolled, ids.len() as u64);
    count(&shared.counters.rows_rolled, rows);
    tracing::info!(tenant = %tenant.id, segments = ids.len(), rows, to = to.as_str(), "summed up");
    Ok(true)
}

/// Id and name of segments, and what of them cannot be read.
type Lost = Vec<(u64, String, Loss)>;

/// What segments come to, and those of which something cannot be read. Nothing where a dictionary cannot hold
/// a part of one.
fn sum_up(
    shared: &Shared,
    tenant: &Tenant,
    segments: &[Arc<Segment>],
    to: Level,
) -> Result<Option<(Made, Lost)>, StoreError> {
    let late = |dictionary: &Dictionary| {
        let late = shared.late_names.get();
        let late = late.map(|late| late.of_frames(&tenant.id, &mut dictionary.frames.iter()));
        late.unwrap_or_default()
    };
    let making = Making {
        blobs: &*shared.blobs,
        names: &tenant.names,
        level: to,
        reduce: Some(Reduce::new(&tenant.id, &shared.config.rollup_labels)),
        late: &late,
        memory: shared.config.slice_memory(),
        effort: Effort::Thorough,
        is_over: &|| shared.is_closed(),
    };
    let mut lost: BTreeMap<usize, Loss> = BTreeMap::new();
    let made = make(&making, segments, &mut |at, error| {
        // It is no better later; what is sound of it is kept, and the rest named.
        if !matches!(error, StoreError::Damaged { .. }) {
            return Err(error);
        }
        let loss = || Loss::of(error.to_string(), Some(&segments[at].footer));
        lost.entry(at).or_insert_with(loss);
        Ok(())
    })?;
    let lost = lost.into_iter();
    let lost = lost.map(|(at, loss)| (segments[at].id(), segments[at].name().to_owned(), loss));
    Ok(made.map(|made| (made, lost.collect())))
}
