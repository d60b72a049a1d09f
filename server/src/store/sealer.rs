//! The thread that turns frozen logs into segments.
//!
//! The order is what keeps a crash from losing or doubling a row: the segment is durable before it
//! is known, and known before its log goes. A log that a valid segment replaces is not replayed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use stoker_dag::{Definition, DefinitionMap, FrameIx};

use super::catalogue::{Added, Change, Entry};
use super::error::StoreError;
use super::head::Head;
use super::messages::Footer;
use super::names::builds;
use super::segment::{SEAL_LEVEL, Segment, SegmentContent, write_segment};
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
    let definitions = definitions(tenant, head);
    let ((bytes, footer), builds) = head.with_dictionary(|dictionary| {
        let written = write_segment(SegmentContent {
            tenant: &tenant.id,
            id,
            replaces_logs: &[head.log],
            supersedes: &[],
            level: SEAL_LEVEL,
            dictionary,
            definitions: &definitions,
            rows: &rows,
        });
        written.map(|written| (written, builds(dictionary)))
    })?;
    let name = Segment::name_of(&tenant.id, id);
    let length = bytes.len() as u64;
    let segment = Segment::of(&tenant.id, footer.clone(), length);
    let put = shared.blobs.put_new(&name, &bytes);
    // Read back before the log goes: whatever is wrong, the log still has it.
    if let Err(error) = put.and_then(|()| segment.verify(&*shared.blobs)) {
        // It may be there all the same. The next attempt has another id; two segments of one log
        // are resolved by the next open, which keeps the first.
        let _ = shared.blobs.delete(&name);
        return Err(error);
    }
    count(&shared.counters.segments_sealed, 1);
    tracing::info!(tenant = %tenant.id, segment = name, bytes = length, rows = footer.rows, "sealed");
    tell_catalogue(shared, tenant, &footer, length, builds);
    Ok(segment)
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

/// What the frames of a log mean, as far as is known today, in order of frame. Where all of that
/// would exceed the limits of one dictionary, what the log itself says must do: it fits.
fn definitions(tenant: &Tenant, head: &Head) -> Vec<(FrameIx, Definition)> {
    let known = |map: &DefinitionMap| {
        head.with_dictionary(|dictionary| {
            let frames = (0..).map(FrameIx).zip(dictionary.frames.iter());
            let known = frames.filter_map(|(ix, (id, _))| Some((ix, map.get(&id)?.clone())));
            known.collect::<Vec<_>>()
        })
    };
    let all = tenant.names.read(|names| known(&names.definitions));
    let texts = all.iter().flat_map(|(_, definition)| &*definition.locations);
    let (strings, bytes) = texts.fold((0, 0), |(strings, bytes), location| {
        (strings + 2, bytes + location.function.len() + location.file.len())
    });
    if head.has_room_for(strings, bytes) { all } else { known(&head.learned()) }
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
