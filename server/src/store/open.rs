//! Opening a data folder: what is there is looked at, what is damaged is set aside and named, and
//! the server starts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustc_hash::FxHashMap;

use super::api::{SpoolId, StoreConfig, TenantId, TimeRange};
use super::blobs::LocalBlobs;
use super::catalogue::{Added, Catalogue, Change, Entry};
use super::catalogue_sled::SledCatalogue;
use super::disk::Disk;
use super::error::StoreError;
use super::folder::Folder;
use super::head::Head;
use super::names::NamesGrowth;
use super::recover_logs::recover_logs;
use super::segment::Segment;
use super::shared::{Shared, count};
use super::tenant::{Parts, Tenant};

/// Opens a folder and reads all that must be known before a batch is taken or a question answered.
pub fn open(config: StoreConfig, disk: Arc<dyn Disk>) -> Result<Shared, StoreError> {
    let (folder, lock) = Folder::open(&config.dir, disk)?;
    let local = LocalBlobs::new(Arc::clone(folder.disk()), folder.blobs());
    let catalogue = open_index(&folder)?;
    let mut tenants = folder.tenants()?;
    tenants.push(TenantId::default_tenant());
    if let Some(known) = catalogue.as_ref().and_then(|index| index.tenants().ok()) {
        tenants.extend(known);
    }
    tenants.sort_unstable();
    tenants.dedup();
    for tenant in &tenants {
        folder.make_tenant(tenant)?;
        local.remove_unfinished(&format!("segments/{tenant}"))?;
    }
    let shared = Shared::new(config, folder, lock, Arc::new(local), catalogue);
    for tenant in tenants {
        open_tenant(&shared, tenant)?;
    }
    Ok(shared)
}

/// Opens the index; one that fails is set aside and begun anew. A store without index works.
fn open_index(folder: &Folder) -> Result<Option<Arc<dyn Catalogue>>, StoreError> {
    let dir = folder.index();
    let error = match SledCatalogue::open(&dir) {
        Ok(index) => return Ok(Some(Arc::new(index))),
        Err(error) => error,
    };
    tracing::error!(%error, "the index is set aside and rebuilt from segments");
    folder.set_aside(&dir, "failed")?;
    match SledCatalogue::open(&dir) {
        Ok(index) => Ok(Some(Arc::new(index))),
        Err(error) => {
            tracing::error!(%error, "there is no index; every start reads all segments");
            Ok(None)
        }
    }
}

fn open_tenant(shared: &Shared, id: TenantId) -> Result<(), StoreError> {
    let found = find_segments(shared, &id)?;
    let mut segments = without_superseded(shared, &id, found);
    let mut names = Vec::new();
    let mut added = Vec::new();
    segments.retain(|found| match found.segment.names(&*shared.blobs) {
        Ok((growth, builds)) => {
            if !found.is_indexed {
                added.push(Added { entry: found.entry(), builds });
            }
            names.push(growth);
            true
        }
        Err(error) => {
            lost_segment(shared, &id, found.segment.id(), Some(&found.entry()), &error);
            false
        }
    });
    index_segments(shared, &id, added, &segments);
    let mut watermarks: FxHashMap<SpoolId, u64> = FxHashMap::default();
    for (spool, sequence) in segments.iter().flat_map(|found| found.segment.footer.spools()) {
        let held = watermarks.entry(spool).or_default();
        *held = sequence.max(*held);
    }
    let sealed: Vec<_> = segments.into_iter().map(|found| Arc::new(found.segment)).collect();
    let logs = recover_logs(shared, &id, &sealed, &mut watermarks)?;
    let (frozen, learned): (Vec<Arc<Head>>, Vec<NamesGrowth>) = logs.into_iter().unzip();
    let live = Arc::new(Head::new(shared.ids.next()));
    let tenant = Tenant::new(id, Parts { live, frozen, sealed }, watermarks);
    for growth in names.into_iter().chain(learned) {
        tenant.names.grow(growth);
    }
    shared.add(tenant);
    Ok(())
}

struct FoundSegment {
    segment: Segment,
    is_indexed: bool,
}

impl FoundSegment {
    fn entry(&self) -> Entry {
        Entry { footer: self.segment.footer.clone(), length: self.segment.length }
    }
}

/// Segments that are there and begin and end as they should. The index saves reading their ends.
fn find_segments(shared: &Shared, tenant: &TenantId) -> Result<Vec<FoundSegment>, StoreError> {
    let known = shared.catalogue().map(|index| index.list(tenant, TimeRange::ALL));
    let known = known.transpose().unwrap_or_else(|error| {
        tracing::error!(%error, "the index does not answer; segments are read instead");
        None
    });
    let known = known.unwrap_or_default().into_iter();
    let mut known: BTreeMap<u64, Entry> = known.map(|e| (e.footer.id, e)).collect();
    let mut found = Vec::new();
    for name in shared.blobs.list(&format!("segments/{tenant}"))? {
        let Some(id) = id_of(&name, ".seg") else {
            tracing::warn!(name, "a file that is no segment is left alone");
            continue;
        };
        shared.ids.seen(id);
        let entry = known.remove(&id);
        let length = shared.blobs.len(&Segment::name_of(tenant, id))?;
        if let Some(entry) = entry.as_ref().filter(|entry| entry.length == length) {
            let segment = Segment::of(tenant, entry.footer.clone(), length);
            found.push(FoundSegment { segment, is_indexed: true });
            continue;
        }
        match Segment::open(&*shared.blobs, tenant, id) {
            Ok(segment) => found.push(FoundSegment { segment, is_indexed: false }),
            Err(error @ StoreError::NewerFormat { .. }) => {
                count(&shared.counters.read_failures, 1);
                tracing::error!(%error, "its rows are missing from answers");
            }
            Err(error) => lost_segment(shared, tenant, id, entry.as_ref(), &error),
        }
    }
    for (id, entry) in known {
        let name = Segment::name_of(tenant, id);
        tracing::error!(name, lost = loss(Some(&entry)), "a segment is gone");
        forget(shared, tenant, vec![id]);
    }
    Ok(found)
}

/// The number in a file's name.
pub fn id_of(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

fn loss(entry: Option<&Entry>) -> String {
    entry.map_or_else(
        || "all of its rows; the index does not know how many".to_owned(),
        |Entry { footer, .. }| {
            format!(
                "{} rows, {} samples, from Unix time {} s to {} s",
                footer.rows,
                footer.samples,
                footer.first_window / 1_000_000_000,
                footer.last_window / 1_000_000_000 + 10,
            )
        },
    )
}

/// Sets a segment aside and names what went with it.
fn lost_segment(
    shared: &Shared,
    tenant: &TenantId,
    id: u64,
    entry: Option<&Entry>,
    error: &StoreError,
) {
    let path = shared.blobs.path(&Segment::name_of(tenant, id));
    tracing::error!(%error, lost = loss(entry), "a segment is damaged and set aside");
    match shared.folder.set_aside(&path, "damaged") {
        Ok(_) => count(&shared.counters.set_aside, 1),
        Err(error) => tracing::error!(%error, "it stays where it is"),
    }
    forget(shared, tenant, vec![id]);
}

fn forget(shared: &Shared, tenant: &TenantId, superseded: Vec<u64>) {
    let Some(index) = shared.catalogue() else { return };
    let change = Change { superseded, ..Change::default() };
    if let Err(error) = index.commit(tenant, &change) {
        tracing::error!(%error, "the index still lists a segment that is gone");
    }
}

/// Removes segments that another one supersedes, and the later of two that replace one log: a
/// segment whose writing was reported as failed may be there all the same.
fn without_superseded(
    shared: &Shared,
    tenant: &TenantId,
    mut found: Vec<FoundSegment>,
) -> Vec<FoundSegment> {
    found.sort_by_key(|found| found.segment.id());
    let footers = found.iter().map(|found| &found.segment.footer);
    let mut gone: BTreeSet<u64> = footers.flat_map(|f| f.supersedes.iter().copied()).collect();
    let mut replaced = BTreeSet::new();
    for Segment { footer, .. } in found.iter().map(|found| &found.segment) {
        let fresh: Vec<bool> =
            footer.replaces_logs.iter().map(|log| replaced.insert(*log)).collect();
        if footer.supersedes.is_empty() && fresh.contains(&false) && !gone.contains(&footer.id) {
            gone.insert(footer.id);
        }
    }
    found.retain(|found| {
        let id = found.segment.id();
        if !gone.contains(&id) {
            return true;
        }
        if let Err(error) = shared.blobs.delete(&Segment::name_of(tenant, id)) {
            tracing::warn!(%error, "a superseded segment stays until the next start");
        }
        forget(shared, tenant, vec![id]);
        false
    });
    found
}

/// Tells the index of segments that it lacks.
fn index_segments(shared: &Shared, id: &TenantId, added: Vec<Added>, all: &[FoundSegment]) {
    let Some(index) = shared.catalogue() else { return };
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

/// Whether a head must be kept beside when it is sealed.
pub fn mark_damaged(head: &Head) {
    head.damaged.store(true, Ordering::Release);
}
