//! What the handles of a store and its two threads share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use stoker_wire::BatchBody;
use tokio::sync::{Notify, Semaphore};

use super::api::{StoreConfig, StoreMetrics, TenantId};
use super::blobs::Blobs;
use super::cache::Cache;
use super::catalogue::Catalogue;
use super::clock::Clock;
use super::disk::Free;
use super::error::StoreError;
use super::folder::{Folder, FolderLock};
use super::head::Head;
use super::late::LateNames;
use super::level::longest_retention;
use super::tenant::{Parts, Tenant};

/// Hundredths of a disk that stay free unless told otherwise.
const DEFAULT_FREE_PERCENT: u64 = 5;
/// But no more than this: the logs that wait, and the segments that they become.
const DEFAULT_MAX_FREE: u64 = 1 << 30;

/// The state of an open store.
#[derive(Debug)]
pub struct Shared {
    /// How it is set up.
    pub config: StoreConfig,
    /// Where it is.
    pub folder: Folder,
    /// Segments' bytes.
    pub blobs: Arc<dyn Blobs>,
    /// Segments' blocks in memory.
    pub cache: Cache,
    /// What time it is.
    pub clock: Clock,
    /// Ids of logs and segments.
    pub ids: Ids,
    /// What is counted.
    pub counters: Counters,
    /// Room for batches that wait for the disk, in bytes.
    pub room: Arc<Semaphore>,
    /// Bytes of logs and segments, as of the last look and what was written since.
    pub disk_used: AtomicU64,
    /// A log was sealed.
    pub sealed: Notify,
    /// Whether segments are being merged, or about to be.
    pub is_merging: AtomicBool,
    /// Whether the store takes no more.
    pub closed: AtomicBool,
    /// Whether logs are left as they are, to be replayed by the next open.
    pub abandoned: AtomicBool,
    tenants: RwLock<BTreeMap<TenantId, Arc<Tenant>>>,
    /// Names from elsewhere, once somebody has some.
    pub late_names: OnceLock<Arc<dyn LateNames>>,
    left: Mutex<Vec<String>>,
    catalogue: Mutex<Option<Arc<dyn Catalogue>>>,
    lock: Mutex<Option<FolderLock>>,
}

/// Ids that count up with the clock, so that they stay unique when all files are gone.
#[derive(Debug, Default)]
pub struct Ids(AtomicU64);

impl Ids {
    /// An id that no file has or had.
    pub fn next(&self) -> u64 {
        let clock = now();
        let next = |last: u64| Some(clock.max(last + 1));
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let (Ok(last) | Err(last)) = last;
        clock.max(last + 1)
    }

    /// A file has this id.
    pub fn seen(&self, id: u64) {
        self.0.fetch_max(id, Ordering::Relaxed);
    }
}

/// The wall clock, in Unix nanoseconds.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    u64::try_from(now).unwrap_or(u64::MAX)
}

/// What is counted; described in [`StoreMetrics`].
#[derive(Debug, Default)]
pub struct Counters {
    pub batches: AtomicU64,
    pub rows: AtomicU64,
    pub duplicates: AtomicU64,
    pub log_bytes: AtomicU64,
    pub log_syncs: AtomicU64,
    pub log_failures: AtomicU64,
    pub segments_sealed: AtomicU64,
    pub seal_failures: AtomicU64,
    pub seals_held_up: AtomicU64,
    pub read_failures: AtomicU64,
    pub set_aside: AtomicU64,
    pub compactions: AtomicU64,
    pub segments_expired: AtomicU64,
    pub rows_expired: AtomicU64,
    pub segments_rolled: AtomicU64,
    pub rows_rolled: AtomicU64,
    pub maintenance_failures: AtomicU64,
    pub batches_quarantined: AtomicU64,
    pub attributes_dropped: AtomicU64,
}

/// Adds to a counter.
pub fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Shared {
    /// A store without tenants.
    pub fn new(
        config: StoreConfig,
        folder: Folder,
        lock: Option<FolderLock>,
        blobs: Arc<dyn Blobs>,
        catalogue: Option<Arc<dyn Catalogue>>,
    ) -> Self {
        Self {
            folder,
            blobs,
            cache: Cache::new(config.cache_bytes),
            clock: Clock::new(config.wall_clock),
            ids: Ids::default(),
            counters: Counters::default(),
            room: Arc::new(Semaphore::new(config.queue_memory() as usize)),
            disk_used: AtomicU64::new(0),
            sealed: Notify::new(),
            is_merging: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            tenants: RwLock::default(),
            late_names: OnceLock::new(),
            left: Mutex::default(),
            catalogue: Mutex::new(catalogue),
            lock: Mutex::new(lock),
            config,
        }
    }

    /// A log could not be sealed and is left to the next start.
    pub fn leave(&self, what: String) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Logs that were left, and why.
    pub fn left(&self) -> Vec<String> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every tenant.
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.values().cloned().collect()
    }

    /// A tenant that has stored something, or may.
    pub fn find(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Adds a tenant.
    pub fn add(&self, tenant: Tenant) -> Arc<Tenant> {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let id = tenant.id.clone();
        Arc::clone(tenants.entry(id).or_insert_with(|| Arc::new(tenant)))
    }

    /// The tenant, which is made when it is new.
    pub fn tenant(&self, id: &TenantId) -> Result<Arc<Tenant>, StoreError> {
        if let Some(tenant) = self.find(id) {
            return Ok(tenant);
        }
        self.folder.check_writable()?;
        self.folder.make_tenant(id)?;
        let live = Arc::new(Head::new(self.ids.next()));
        let parts = Parts { live, frozen: Vec::new(), sealed: Vec::new() };
        Ok(self.add(Tenant::new(id.clone(), parts, Default::default(), Default::default())))
    }

    /// The index, unless it failed or the store is closed.
    pub fn catalogue(&self) -> Option<Arc<dyn Catalogue>> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of the index and of the folder, in this order.
    pub fn release(&self) {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// An error for a batch that is older than data are kept.
    pub fn check_age(&self, body: &BatchBody) -> Result<(), StoreError> {
        let Some(retain) = longest_retention(&self.config) else { return Ok(()) };
        let age = self.clock.span().0.saturating_sub(body.start.0);
        if u128::from(age) < retain.as_nanos() {
            return Ok(());
        }
        let (age_s, retain_s) = (age / 1_000_000_000, retain.as_secs());
        Err(StoreError::BeyondRetention { age_s, retain_s })
    }

    /// An error where nothing more may be written: the disk's share is used up, or the disk is
    /// read-only or nearly full.
    pub fn check_room(&self) -> Result<(), StoreError> {
        self.folder.check_writable()?;
        let used = self.disk_used.load(Ordering::Relaxed);
        match self.config.max_disk {
            Some(max) if used >= max => Err(StoreError::Full { used, max }),
            _ => self.check_free(0),
        }
    }

    /// An error where `more` bytes would leave less free than stays free.
    pub fn check_free(&self, more: u64) -> Result<(), StoreError> {
        let Some(Free { free, total }) = self.folder.free() else { return Ok(()) };
        let floor = self
            .config
            .min_free_disk
            .unwrap_or_else(|| (total / 100 * DEFAULT_FREE_PERCENT).min(DEFAULT_MAX_FREE));
        match free < floor.saturating_add(more) {
            true => Err(StoreError::DiskFull { free, floor }),
            false => Ok(()),
        }
    }

    /// Whether appends are refused.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// What was counted, and what there is.
    pub fn metrics(&self) -> StoreMetrics {
        let counters = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut metrics = StoreMetrics {
            batches: read(&counters.batches),
            rows: read(&counters.rows),
            duplicates: read(&counters.duplicates),
            log_bytes: read(&counters.log_bytes),
            log_syncs: read(&counters.log_syncs),
            log_failures: read(&counters.log_failures),
            segments_sealed: read(&counters.segments_sealed),
            seal_failures: read(&counters.seal_failures),
            seals_held_up: read(&counters.seals_held_up),
            read_failures: read(&counters.read_failures),
            set_aside: read(&counters.set_aside),
            compactions: read(&counters.compactions),
            segments_expired: read(&counters.segments_expired),
            rows_expired: read(&counters.rows_expired),
            segments_rolled: read(&counters.segments_rolled),
            rows_rolled: read(&counters.rows_rolled),
            maintenance_failures: read(&counters.maintenance_failures),
            disk_used_bytes: read(&self.disk_used),
            disk_free_bytes: self.folder.free().map_or(0, |disk| disk.free),
            batches_quarantined: read(&counters.batches_quarantined),
            attributes_dropped: read(&counters.attributes_dropped),
            logs_left: self.left().len() as u64,
            is_read_only: u64::from(self.folder.is_read_only()),
            ..StoreMetrics::default()
        };
        for tenant in self.tenants() {
            let parts = tenant.parts();
            metrics.logs_waiting += parts.frozen.len() as u64;
            let heads = parts.frozen.iter().chain([&parts.live]);
            metrics.logs_memory_bytes +=
                heads.map(|head| head.memory.load(Ordering::Relaxed)).sum::<u64>();
            metrics.segments += parts.sealed.len() as u64;
            metrics.segment_bytes += parts.sealed.iter().map(|s| s.length).sum::<u64>();
            metrics.segment_rows += parts.sealed.iter().map(|s| s.footer.rows).sum::<u64>();
            metrics.definitions += tenant.names.read(|names| names.definitions.len()) as u64;
        }
        metrics
    }
}
