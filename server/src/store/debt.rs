//! How far merging is behind. Where it is far, sealing waits for it, and through full logs agents do: a load that
//! lasts would make ever more segments otherwise, each of which takes memory and time of every question.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::compact::span;
use super::shared::{Shared, count};
use super::tenant::Tenant;

/// A segment is small up to this part of what a merged one may have.
const SMALL: u64 = 8;
/// A log waits no longer than this, whatever is wrong with merging.
const LONGEST: Duration = Duration::from_secs(60);
/// How often it is looked again.
const STEP: Duration = Duration::from_millis(20);

/// Small segments that may be merged, of the hour that has most of them.
fn unmerged(shared: &Shared, tenant: &Tenant) -> usize {
    let (rows, bytes) = (shared.config.compact_rows, shared.config.merged_bytes());
    let mut by_span: BTreeMap<_, usize> = BTreeMap::new();
    for segment in tenant.parts().sealed {
        let is_small = segment.footer.weight() <= rows / SMALL && segment.length <= bytes / SMALL;
        if is_small && tenant.retirement.is_mergeable(segment.id()) {
            *by_span.entry(span(&segment)).or_default() += 1;
        }
    }
    by_span.into_values().max().unwrap_or(0)
}

/// Whether merging should not rest.
pub fn is_behind(shared: &Shared, tenant: &Tenant) -> bool {
    unmerged(shared, tenant) > shared.config.most_unmerged / 2
}

/// Waits while merging is at work and far behind.
pub fn let_merging_catch_up(shared: &Shared, tenant: &Tenant) {
    let must_wait = || {
        shared.is_merging.load(Ordering::Acquire)
            && !shared.is_closed()
            && !shared.abandoned.load(Ordering::Acquire)
            && unmerged(shared, tenant) >= shared.config.most_unmerged
    };
    let start = Instant::now();
    if must_wait() {
        count(&shared.counters.seals_held_up, 1);
    }
    while must_wait() && start.elapsed() < LONGEST {
        std::thread::sleep(STEP);
    }
}
