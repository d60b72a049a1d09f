//! The thread that keeps the folder small: it sums up or removes what is over, merges what is small, and takes
//! away files that nobody reads any more. After each merge it rests as long as the merge took, so
//! that it never takes more than half a CPU or half of the disk's time, unless it is behind.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use stoker_dag::UnixNanos;

use super::compact::compact;
use super::debt::is_behind;
use super::error::StoreError;
use super::expire::expire;
use super::quota::keep_quota;
use super::shared::{Shared, count};

/// How much less than others this thread is given of a CPU that is wanted: acknowledgements come first.
const NICENESS: i32 = 10;

/// Works until the sender is gone.
pub fn run(shared: &Shared, stop: &Receiver<()>) {
    // Linux keeps it for each thread; 0 is the one that asks (setpriority(2), "C library/kernel
    // differences"). Where it is refused, merging takes its turn as all do.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    // The first time soon: a server that was away has something to catch up with.
    let mut wait = shared.config.maintain_every / 10;
    loop {
        let waited = stop.recv_timeout(wait);
        wait = shared.config.maintain_every;
        match waited {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        shared.is_merging.store(true, Ordering::Release);
        work(shared, stop);
        shared.is_merging.store(false, Ordering::Release);
        if shared.is_closed() {
            return;
        }
    }
}

/// Does what is due, with rests, until there is no more to do.
fn work(shared: &Shared, stop: &Receiver<()>) {
    loop {
        let start = Instant::now();
        if !pass(shared, UnixNanos(shared.clock.now())) || shared.is_closed() {
            return;
        }
        let is_behind = shared.tenants().iter().any(|tenant| is_behind(shared, tenant));
        let rest = if is_behind { Duration::ZERO } else { start.elapsed() };
        if stop.recv_timeout(rest).is_ok() {
            return;
        }
    }
}

/// Does what is due, at most one merge and one rollup for each tenant; says whether there may be more to do.
pub fn pass(shared: &Shared, now: UnixNanos) -> bool {
    let mut merged = false;
    for tenant in shared.tenants() {
        if shared.is_closed() {
            return false;
        }
        merged |= report(shared, "expire", expire(shared, &tenant, now)).unwrap_or(false);
        merged |= report(shared, "merge", compact(shared, &tenant, now)).unwrap_or(false);
        tenant.retirement.bury(&*shared.blobs, &tenant.id);
    }
    merged |= report(shared, "keep the quota", keep_quota(shared, now)).unwrap_or(false);
    for tenant in shared.tenants() {
        tenant.retirement.bury(&*shared.blobs, &tenant.id);
    }
    merged
}

fn report<T>(shared: &Shared, doing: &str, result: Result<T, StoreError>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        // Whoever closes the store does not wait for a merge; the next open begins it anew.
        Err(StoreError::Closed) => None,
        Err(error) => {
            count(&shared.counters.maintenance_failures, 1);
            tracing::error!(%error, "could not {doing} segments; nothing is lost by that");
            None
        }
    }
}
