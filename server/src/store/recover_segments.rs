//! The segments that there are: which of them count, and what is known of those that cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::api::{TenantId, TimeRange};
use super::catalogue::{Added, Change, Entry};
use super::error::StoreError;
use super::losses::{Loss, Losses};
use super::messages::Footer;
use super::names::NamesGrowth;
use super::open::id_of;
use super::segment::Segment;
use super::shared::{Shared, count};

/// What there is.
#[derive(Debug, Default)]
pub struct FoundSegments {
    /// Segments that count, in order of time.
    pub sealed: Vec<Arc<Segment>>,
    /// What they say of names.
    pub names: Vec<NamesGrowth>,
    /// Segments that count no more and could not be removed.
    pub undead: Vec<u64>,
    /// What is missing.
    pub losses: Losses,
}

#[derive(Debug)]
struct Candidate {
    segment: Segment,
    is_indexed: bool,
    names: NamesGrowth,
    builds: Vec<String>,
}

/// A segment that cannot be read.
#[derive(Debug)]
struct Unreadable {
    id: u64,
    entry: Option<Entry>,
    error: StoreError,
}

/// Looks at all segments of a tenant. One that another one supersedes is removed; one that is damaged
/// is set aside and named.
///
/// # Errors
/// When the folder cannot be read.
pub fn recover_segments(shared: &Shared, tenant: &TenantId) -> Result<FoundSegments, StoreError> {
    let mut found = FoundSegments::default();
    shared.folder.losses(tenant).into_iter().for_each(|(file, loss)| {
        found.losses.add(&file, loss);
    });
    let mut known = indexed(shared, tenant);
    let (mut sound, mut unreadable) = (Vec::new(), Vec::new());
    for name in shared.blobs.list(&format!("segments/{tenant}"))? {
        let Some(id) = id_of(&name, ".seg") else {
            tracing::warn!(name, "a file that is no segment is left alone");
            continue;
        };
        shared.ids.seen(id);
        let entry = known.remove(&id);
        match candidate(shared, tenant, id, entry.as_ref()) {
            Ok(candidate) => sound.push(candidate),
            Err(error) => unreadable.push(Unreadable { id, entry, error }),
        }
    }
    let gone = superseded(&sound);
    for lost in unreadable.into_iter().filter(|lost| !gone.contains(&lost.id)) {
        lost_segment(shared, tenant, &found.losses, lost);
    }
    for (id, entry) in known {
        if !gone.contains(&id) {
            let what = format!("{} is gone", Segment::name_of(tenant, id));
            note(shared, tenant, &found.losses, id, what, Some(&entry.footer));
        }
        forget(shared, tenant, vec![id]);
    }
    for id in gone {
        let name = Segment::name_of(tenant, id);
        if !shared.folder.is_read_only()
            && shared.blobs.len(&name).is_ok()
            && let Err(error) = shared.blobs.delete(&name)
        {
            tracing::warn!(%error, "a superseded segment stays for now");
            found.undead.push(id);
        }
        if let Some(at) = sound.iter().position(|held| held.segment.id() == id) {
            sound.swap_remove(at);
            forget(shared, tenant, vec![id]);
        }
    }
    index_segments(shared, tenant, &sound);
    sound.sort_by_key(|held| (held.segment.footer.last_window, held.segment.id()));
    for mut candidate in sound {
        candidate.segment.forget_labels();
        found.sealed.push(Arc::new(candidate.segment));
        found.names.push(candidate.names);
    }
    Ok(found)
}

fn indexed(shared: &Shared, tenant: &TenantId) -> BTreeMap<u64, Entry> {
    let known = shared.catalogue().map(|index| index.list(tenant, TimeRange::ALL));
    let known = known.transpose().unwrap_or_else(|error| {
        tracing::error!(%error, "the index does not answer; segments are read instead");
        None
    });
    known.unwrap_or_default().into_iter().map(|entry| (entry.footer.id, entry)).collect()
}

/// A segment that begins and ends as it should and whose names can be read. The index saves reading
/// its ends.
fn candidate(
    shared: &Shared,
    tenant: &TenantId,
    id: u64,
    entry: Option<&Entry>,
) -> Result<Candidate, StoreError> {
    let length = shared.blobs.len(&Segment::name_of(tenant, id))?;
    let entry = entry.filter(|entry| entry.length == length);
    let segment = match entry {
        Some(entry) => {
            // The index of a later version may speak of blocks that this one would leave out.
            Segment::check_version(&*shared.blobs, tenant, id)?;
            Segment::of(tenant, entry.footer.clone(), length)
        }
        None => Segment::open(&*shared.blobs, tenant, id)?,
    };
    let (names, builds) = segment.names(&*shared.blobs)?;
    Ok(Candidate { segment, is_indexed: entry.is_some(), names, builds })
}

/// Segments that count no more: those that another one supersedes, and the later of two that replace
/// one log, for one whose writing was reported as failed may be there all the same. Merged segments
/// claim their logs first.
fn superseded(found: &[Candidate]) -> BTreeSet<u64> {
    let footers = || found.iter().map(|found| &found.segment.footer);
    let mut gone: BTreeSet<u64> =
        footers().flat_map(|footer| footer.supersedes.iter().copied()).collect();
    let mut counting: Vec<&Footer> = footers().filter(|f| !gone.contains(&f.id)).collect();
    counting.sort_by_key(|footer| (footer.supersedes.is_empty(), footer.id));
    let mut replaced: BTreeSet<u64> = BTreeSet::new();
    for footer in counting {
        let logs = &footer.replaces_logs;
        if footer.supersedes.is_empty() && logs.iter().any(|log| replaced.contains(log)) {
            gone.insert(footer.id);
        }
        replaced.extend(logs);
    }
    gone
}

/// Sets a segment aside and names what went with it. One of a later version stays where it is.
fn lost_segment(shared: &Shared, tenant: &TenantId, losses: &Losses, lost: Unreadable) {
    let Unreadable { id, entry, error } = lost;
    let footer = entry.map(|entry| entry.footer);
    if matches!(error, StoreError::NewerFormat { .. }) {
        count(&shared.counters.read_failures, 1);
        tracing::error!(%error, "its rows are missing from answers");
        losses.add(&Segment::name_of(tenant, id), Loss::of(error.to_string(), footer.as_ref()));
        return;
    }
    let path = shared.blobs.path(&Segment::name_of(tenant, id));
    match shared.folder.set_aside(&path, "damaged") {
        Ok(_) => count(&shared.counters.set_aside, 1),
        Err(error) => tracing::error!(%error, "it stays where it is"),
    }
    note(shared, tenant, losses, id, error.to_string(), footer.as_ref());
    forget(shared, tenant, vec![id]);
}

/// Names a loss: in the log, in answers, and for the starts to come.
fn note(
    shared: &Shared,
    tenant: &TenantId,
    losses: &Losses,
    id: u64,
    what: String,
    footer: Option<&Footer>,
) {
    let loss = Loss::of(what, footer);
    tracing::error!(lost = %loss, "a segment is lost");
    let file = Segment::name_of(tenant, id);
    if let Err(error) = shared.folder.note_loss(tenant, &format!("{id:016x}.seg"), &loss) {
        tracing::warn!(%error, "the next start will not know of it");
    }
    losses.add(&file, loss);
}

fn forget(shared: &Shared, tenant: &TenantId, superseded: Vec<u64>) {
    let Some(index) = shared.catalogue() else { return };
    let change = Change { superseded, ..Change::default() };
    if let Err(error) = index.commit(tenant, &change) {
        tracing::error!(%error, "the index still lists a segment that is gone");
    }
}

/// Tells the index of segments that it lacks.
fn index_segments(shared: &Shared, id: &TenantId, all: &[Candidate]) {
    let Some(index) = shared.catalogue() else { return };
    let missing = all.iter().filter(|held| !held.is_indexed);
    let added: Vec<Added> = missing
        .map(|held| {
            let Segment { footer, length, .. } = &held.segment;
            let entry = Entry { footer: footer.clone(), length: *length };
            Added { entry, builds: held.builds.clone() }
        })
        .collect();
    if added.is_empty() {
        return;
    }
    tracing::info!(tenant = %id, added = added.len(), of = all.len(), "segments were not in the index");
    for added in added {
        if let Err(error) = index.commit(id, &Change::add(vec![added])) {
            tracing::error!(%error, "the index lacks a segment until the next start");
        }
    }
}
