//! Opening a data folder: what is there is looked at, what is damaged is set aside and named, and
//! the server starts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustc_hash::FxHashMap;

use super::api::{SpoolId, StoreConfig, TenantId};
use super::blobs::LocalBlobs;
use super::catalogue::Catalogue;
use super::catalogue_sled::SledCatalogue;
use super::disk::Disk;
use super::error::StoreError;
use super::folder::Folder;
use super::head::Head;
use super::names::NamesGrowth;
use super::recover_logs::recover_logs;
use super::recover_segments::{FoundSegments, recover_segments};
use super::shared::Shared;
use super::tenant::{Parts, Tenant};

/// Opens a folder and reads all that must be known before a batch is taken or a question answered.
pub fn open(config: StoreConfig, disk: Arc<dyn Disk>) -> Result<Shared, StoreError> {
    let (folder, lock) = Folder::open(&config.dir, disk)?;
    let local = LocalBlobs::new(Arc::clone(folder.disk()), folder.blobs());
    if folder.is_read_only() {
        tracing::error!(dir = %config.dir.display(), "the disk is read-only: nothing is stored");
    }
    let has_index = config.index && !folder.is_read_only();
    let catalogue = if has_index { open_index(&folder)? } else { None };
    let mut tenants = folder.tenants()?;
    if !folder.is_read_only() {
        tenants.push(TenantId::default_tenant());
    }
    if let Some(known) = catalogue.as_ref().and_then(|index| index.tenants().ok()) {
        tenants.extend(known);
    }
    tenants.sort_unstable();
    tenants.dedup();
    for tenant in tenants.iter().filter(|_| !folder.is_read_only()) {
        folder.make_tenant(tenant)?;
        folder.settle(tenant)?;
        local.remove_unfinished(&format!("segments/{tenant}"))?;
    }
    let shared = Shared::new(config, folder, lock, Arc::new(local), catalogue);
    for tenant in tenants {
        open_tenant(&shared, tenant)?;
    }
    start_clock(&shared);
    Ok(shared)
}

/// Where the wall clock says that all that is stored is over, it may be the clock that is wrong.
fn start_clock(shared: &Shared) {
    let Some(retain) = shared.config.retain_raw else { return };
    let retain = u64::try_from(retain.as_nanos()).unwrap_or(u64::MAX);
    let tenants = shared.tenants();
    let windows = tenants.iter().flat_map(|tenant| tenant.parts().sealed);
    let newest = windows.map(|segment| segment.footer.last_window).max().unwrap_or(0);
    if newest > 0 && newest.saturating_add(retain) <= (shared.config.wall_clock)() {
        shared.clock.start_from(newest);
    }
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
    let FoundSegments { sealed, names, undead, losses } = recover_segments(shared, &id)?;
    let mut watermarks: FxHashMap<SpoolId, u64> = FxHashMap::default();
    for (spool, sequence) in sealed.iter().flat_map(|segment| segment.footer.spools()) {
        let held = watermarks.entry(spool).or_default();
        *held = sequence.max(*held);
    }
    let logs = recover_logs(shared, &id, &sealed, &mut watermarks, &losses)?;
    let (frozen, learned): (Vec<Arc<Head>>, Vec<NamesGrowth>) = logs.into_iter().unzip();
    let live = Arc::new(Head::new(shared.ids.next()));
    let tenant = Tenant::new(id, Parts { live, frozen, sealed }, watermarks, losses);
    undead.into_iter().for_each(|id| tenant.retirement.undead(id));
    for growth in names.into_iter().chain(learned) {
        tenant.names.grow(growth);
    }
    shared.add(tenant);
    Ok(())
}

/// The number in a file's name.
pub fn id_of(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Whether a head must be kept beside when it is sealed.
pub fn mark_damaged(head: &Head) {
    head.damaged.store(true, Ordering::Release);
}
