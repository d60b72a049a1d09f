//! The thread that turns frozen logs into segments.
//!
//! The order is what keeps a crash from losing or doubling a row: the segment is durable before it
//! is known, and known before its log goes. A log that a valid segment replaces is not replayed.
//!
//! What a disk refuses is tried for as long as it takes. An error in this server is the same each time: after
//! [`MAX_CRASHES`] of them the log is left to the next start, and named, and the others go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use stoker_dag::{Definition, DefinitionMap, FrameIx};

use super::cut::write_cut;
use super::debt::let_merging_catch_up;
use super::error::StoreError;
use super::guarded::guarded;
use super::head::Head;
use super::level::Level;
use super::publish::publish;
use super::segment::{Effort, Segment, SegmentAbout, SegmentWriter, SliceContent};
use super::shared::{Shared, count};
use super::tenant::Tenant;

/// A failed attempt is waited out in steps, so that closing is quick; twice as many each time.
const MAX_STEPS: u32 = 128;

/// Attempts that may end in an error of this server before the log is left.
pub const MAX_CRASHES: u32 = 5;

/// A log to be sealed.
#[derive(Debug)]
pub struct Seal {
    /// Whose.
    pub tenant: Arc<Tenant>,
    /// Its content; it gets no more.
    pub head: Arc<Head>,
}

/// Works until nobody can ask any more. Gives the first failure where a log was given up; it and all
/// later ones are replayed by the next open. Logs are sealed in their order or not at all: were a
/// later one sealed, its watermarks would make the earlier one's batches duplicates in the replay. Only
/// beside one that was left is it noted that they are none.
pub fn run(shared: &Shared, seals: &Receiver<Seal>) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for seal in seals {
        if outcome.is_ok() {
            let_merging_catch_up(shared, &seal.tenant);
            outcome = seal_or_leave(shared, &seal);
        }
        shared.sealed.notify_waiters();
    }
    outcome
}

fn seal_or_leave(shared: &Shared, seal: &Seal) -> Result<(), StoreError> {
    let (mut steps, mut crashes) = (1, 0);
    while !shared.abandoned.load(Ordering::Acquire) {
        let sealed = guarded("seal a log", || seal_log(shared, seal));
        let Err(error) = sealed.and_then(|sealed| sealed) else { return Ok(()) };
        count(&shared.counters.seal_failures, 1);
        tracing::error!(%error, log = seal.head.log, "a log could not be sealed; it is kept");
        if shared.is_closed() {
            return Err(error);
        }
        crashes += u32::from(error.is_ours());
        if crashes >= MAX_CRASHES && leave(shared, seal, &error) {
            return Ok(());
        }
        wait(shared, steps);
        steps = (steps * 2).min(MAX_STEPS);
    }
    Ok(())
}

/// Leaves a log to the next start, whose version may seal it, and says so to whoever asks for its rows. Not
/// where its file may say more than what was acknowledged: then only the order of logs tells what counts.
fn leave(shared: &Shared, seal: &Seal, error: &StoreError) -> bool {
    let Seal { tenant, head } = seal;
    if head.failed.load(Ordering::Acquire) || head.overlaps.load(Ordering::Acquire) {
        return false;
    }
    // Before any later log is sealed: its watermarks must not make this one's batches duplicates.
    if let Err(error) = shared.folder.note_skipped(&tenant.id, head.log) {
        tracing::error!(%error, "a log that cannot be sealed cannot be left either");
        return false;
    }
    let file = format!("{:016x}.log", head.log);
    let loss =
        head.loss(format!("{file} could not be sealed and waits for the next start: {error}"));
    tracing::error!(tenant = %tenant.id, log = file, %loss, "left; its rows are missing from answers");
    shared.leave(loss.what.clone());
    tenant.losses.add(&file, loss);
    tenant.sealed(head.log, None);
    true
}

fn wait(shared: &Shared, steps: u32) {
    for _ in 0..steps {
        if shared.is_closed() || shared.abandoned.load(Ordering::Acquire) {
            return;
        }
        std::thread::sleep(shared.config.retry_after);
    }
}

fn seal_log(shared: &Shared, seal: &Seal) -> Result<(), StoreError> {
    let Seal { tenant, head } = seal;
    let segment =
        if head.rows().is_empty() { None } else { Some(publish_log(shared, tenant, head)?) };
    tenant.sealed(head.log, segment.map(Arc::new));
    retire(shared, tenant, head);
    Ok(())
}

/// Makes the log's content count as a segment.
fn publish_log(shared: &Shared, tenant: &Tenant, head: &Head) -> Result<Segment, StoreError> {
    let rows = head.rows();
    let definitions = definitions(tenant, head);
    let written = head.with_dictionary(|dictionary| {
        let about = SegmentAbout {
            tenant: &tenant.id,
            id: shared.ids.next(),
            replaces_logs: &[head.log],
            supersedes: &[],
            facts: &rows.facts,
            watermarks: &rows.watermarks,
            level: Level::Raw,
            dropped: &[],
        };
        let content = SliceContent {
            dictionary,
            definitions: &definitions,
            windows: &rows.windows,
            details: &rows.details,
            totals: &[],
        };
        let mut writer = SegmentWriter::new(Effort::Quick);
        write_cut(&mut writer, content, shared.config.slice_memory())?;
        writer.finish(about)
    })?;
    // Where the file may be there all the same the next attempt has another id: the next open
    // keeps one of two segments of one log, and until then neither may be merged.
    let segment = publish(shared, tenant, written, || tenant.retirement.halt())?;
    count(&shared.counters.segments_sealed, 1);
    let (bytes, rows) = (segment.length, segment.footer.rows);
    tracing::info!(tenant = %tenant.id, segment = segment.name(), bytes, rows, "sealed");
    Ok(segment)
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
        if removed.is_ok() {
            shared.folder.forget_skipped(&tenant.id, head.log);
        }
        removed.map_err(StoreError::io("remove log", &path))
    };
    if let Err(error) = retired {
        tracing::warn!(%error, "a sealed log stays until the next start");
    }
}
