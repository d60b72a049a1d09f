//! The thread that turns frozen logs into segments.
//!
//! The order is what keeps a crash from losing or doubling a row: the segment is durable before it
//! is known, and known before its log goes. A log that a valid segment replaces is not replayed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use stoker_dag::{Definition, FrameIx};
use stoker_wire::Dictionary;

use super::catalogue::{Added, Change, Entry};
use super::error::StoreError;
use super::head::Head;
use super::messages::Footer;
use super::names::builds;
use super::segment::{Segment, SegmentContent, write_segment};
use super::shared::{Shared, count};
use super::tenant::Tenant;

/// A failed attempt is waited out in steps, so that closing is quick; twice as many each time.
const STEP: Duration = Duration::from_millis(50);
const MAX_STEPS: u32 = 128;

/// A log to be sealed.
#[derive(Debug)]
pub struct Seal {
    /// Whose.
    pub tenant: Arc<Tenant>,
    /// Its content; it gets no more.
    pub head: Arc<Head>,
}

/// Works until nobody can ask any more. Gives the last failure of those logs that were given up;
/// they are replayed by the next open.
pub fn run(shared: &Shared, seals: &Receiver<Seal>) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for seal in seals {
        let mut steps = 1;
        while !shared.abandoned.load(Ordering::Acquire) {
            let Err(error) = seal_log(shared, &seal) else { break };
            count(&shared.counters.seal_failures, 1);
            tracing::error!(%error, log = seal.head.log, "a log could not be sealed; it is kept");
            if shared.is_closed() {
                outcome = Err(error);
                break;
            }
            wait(shared, steps);
            steps = (steps * 2).min(MAX_STEPS);
        }
        shared.sealed.notify_waiters();
    }
    outcome
}

fn wait(shared: &Shared, steps: u32) {
    for _ in 0..steps {
        if shared.is_closed() || shared.abandoned.load(Ordering::Acquire) {
            return;
        }
        std::thread::sleep(STEP);
    }
}

fn seal_log(shared: &Shared, seal: &Seal) -> Result<(), StoreError> {
    let Seal { tenant, head } = seal;
    let segment = if head.rows().is_empty() { None } else { Some(publish(shared, tenant, head)?) };
    tenant.sealed(head.log, segment.map(Arc::new));
    retire(shared, tenant, head);
    Ok(())
}

/// Writes the segment and tells the catalogue of it.
fn publish(shared: &Shared, tenant: &Tenant, head: &Head) -> Result<Segment, StoreError> {
    let id = shared.ids.next();
    let rows = head.rows();
    let ((bytes, footer), builds) = head.with_dictionary(|dictionary| {
        let definitions = definitions(tenant, dictionary);
        let written = write_segment(SegmentContent {
            tenant: &tenant.id,
            id,
            log: head.log,
            dictionary,
            definitions: &definitions,
            rows: &rows,
        });
        written.map(|written| (written, builds(dictionary)))
    })?;
    let name = Segment::name_of(&tenant.id, id);
    if let Err(error) = shared.blobs.put_new(&name, &bytes) {
        // It may be there all the same. The next attempt has another id; two segments of one log
        // are resolved by the next open, which keeps the first.
        let _ = shared.blobs.delete(&name);
        return Err(error);
    }
    count(&shared.counters.segments_sealed, 1);
    let length = bytes.len() as u64;
    tracing::info!(tenant = %tenant.id, segment = name, bytes = length, rows = footer.rows, "sealed");
    tell_catalogue(shared, tenant, &footer, length, builds);
    Ok(Segment::of(&tenant.id, footer, length))
}

fn tell_catalogue(
    shared: &Shared,
    tenant: &Tenant,
    footer: &Footer,
    length: u64,
    builds: Vec<String>,
) {
    let Some(catalogue) = shared.catalogue() else { return };
    let entry = Entry { footer: footer.clone(), length };
    let change = Change::add(vec![Added { entry, builds }]);
    if let Err(error) = catalogue.commit(&tenant.id, &change) {
        tracing::error!(%error, "the index lacks a segment until the next start");
    }
}

/// What the frames of a dictionary mean, as far as is known today, in order of frame.
fn definitions(tenant: &Tenant, dictionary: &Dictionary) -> Vec<(FrameIx, Definition)> {
    tenant.names.read(|names| {
        let frames = (0..).map(FrameIx).zip(dictionary.frames.iter());
        let known = frames.filter_map(|(ix, (id, _))| {
            names.definitions.get(&id).map(|definition| (ix, definition.clone()))
        });
        known.collect()
    })
}

/// Removes a log that is sealed, or keeps it aside where it is damaged.
fn retire(shared: &Shared, tenant: &Tenant, head: &Head) {
    let path = shared.folder.log(&tenant.id, head.log);
    let disk = shared.folder.disk();
    if disk.len(&path).is_err() {
        return; // Nothing was ever written to it.
    }
    let retired = if head.damaged.load(Ordering::Acquire) {
        shared.folder.set_aside(&path, "damaged").map(|to| {
            count(&shared.counters.set_aside, 1);
            tracing::error!(to = %to.display(), "the damaged log is kept aside");
        })
    } else {
        let dir = shared.folder.log_dir(&tenant.id);
        let removed = disk.unlink(&path).and_then(|()| disk.sync_dir(&dir));
        removed.map_err(StoreError::io("remove log", &path))
    };
    if let Err(error) = retired {
        tracing::warn!(%error, "a sealed log stays until the next start");
    }
}
