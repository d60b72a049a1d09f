//! The handle: what callers of the store do.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use stoker_dag::UnixNanos;
use tokio::sync::oneshot;

use super::ahead::{self, Piece};
use super::api::{Names, PartVisitor, SpoolId, StoreConfig, StoreMetrics, TenantId, TimeRange};
use super::append::roll;
use super::details::DetailsVisitor;
use super::disk::{Disk, RealDisk};
use super::error::StoreError;
use super::losses::Loss;
use super::maintain;
use super::open::open;
use super::sealer::{self, Seal};
use super::segment::Wanted;
use super::shared::Shared;
use super::writer::{Command, Writer};

/// A store that is open. Clones are handles to the same one; when the last goes without
/// [`Store::flush_and_close`], logs stay as they are and are replayed by the next open.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    writer: Mutex<Option<mpsc::Sender<Command>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    maintenance: Mutex<Option<mpsc::Sender<()>>>,
    outcome: Mutex<Option<oneshot::Receiver<Result<(), StoreError>>>>,
}

impl Store {
    /// Opens a data folder, which is made when it is not there.
    ///
    /// # Errors
    /// When the folder is in use, of a later version, not ours, or cannot be read or written.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        Self::open_on(config, Arc::new(RealDisk))
    }

    /// As [`Self::open`], on another disk.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(config: StoreConfig, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let shared = Arc::new(open(config, disk)?);
        let (seals, frozen) = mpsc::channel();
        let is_read_only = shared.folder.is_read_only();
        for tenant in shared.tenants().into_iter().filter(|_| !is_read_only) {
            for head in tenant.parts().frozen {
                // The receiver is held below.
                let _ = seals.send(Seal { tenant: Arc::clone(&tenant), head });
            }
        }
        let (commands, waiting) = mpsc::channel();
        let (done, outcome) = oneshot::channel();
        let writer = Writer::new(Arc::clone(&shared), waiting, seals);
        let for_sealer = Arc::clone(&shared);
        let mut threads = vec![
            spawn("store-writer", move || writer.run())?,
            spawn("store-sealer", move || {
                let _ = done.send(sealer::run(&for_sealer, &frozen));
            })?,
        ];
        let (running, stop) = mpsc::channel();
        if !shared.config.maintain_every.is_zero() && !is_read_only {
            let shared = Arc::clone(&shared);
            threads.push(spawn("store-maintenance", move || maintain::run(&shared, &stop))?);
        }
        let inner = Inner {
            shared,
            writer: Mutex::new(Some(commands)),
            threads: Mutex::new(threads),
            maintenance: Mutex::new(Some(running)),
            outcome: Mutex::new(Some(outcome)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(super) fn writer(&self) -> Option<mpsc::Sender<Command>> {
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the batches of a spool are durable; 0 when none is.
    #[must_use]
    pub fn watermark(&self, tenant: &TenantId, spool: SpoolId) -> u64 {
        self.inner.shared.find(tenant).map_or(0, |tenant| tenant.watermark(spool))
    }

    /// Calls `visit` for every part that has what is wanted, until it breaks. Each row is seen
    /// exactly once, those of other series may come all the same, whatever is sealed meanwhile. The tenant's ingest waits while a part of its
    /// live log is looked at. A segment that cannot be read is left out, named in the server's log
    /// and counted in [`StoreMetrics::read_failures`].
    ///
    /// # Errors
    /// When the store is closed.
    pub fn visit(
        &self,
        tenant: &TenantId,
        wanted: Wanted<'_>,
        visit: &mut PartVisitor<'_>,
    ) -> Result<(), StoreError> {
        let shared = &self.inner.shared;
        let Some(tenant) = shared.find(tenant) else { return Ok(()) };
        let parts = tenant.parts();
        let (blobs, mut is_over, mut unread) = (&*shared.blobs, false, None);
        let segments = parts.sealed.iter().map(|segment| &**segment);
        ahead::in_order(segments, (blobs, &shared.cache), wanted, |piece, cache| {
            let Piece { segment, slice } = piece;
            match segment.visit_piece(blobs, cache, (slice, wanted), visit) {
                Ok(ControlFlow::Continue(())) => {
                    if piece.is_last() && unread != Some(segment.id()) {
                        tenant.losses.read_again(segment.name());
                    }
                }
                Ok(ControlFlow::Break(())) => {
                    is_over = true;
                    return ControlFlow::Break(());
                }
                Err(error) if unread.replace(segment.id()) != Some(segment.id()) => {
                    shared.counters.read_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(%error, "rows of a segment are missing from an answer");
                    let loss = Loss::of(error.to_string(), Some(&segment.footer));
                    tenant.losses.add(segment.name(), loss);
                }
                Err(error) => tracing::error!(%error, "more of them are missing from an answer"),
            }
            ControlFlow::Continue(())
        });
        if is_over {
            return Ok(());
        }
        for head in parts.frozen.iter().chain([&parts.live]) {
            if head.visit(wanted.range, wanted.profile_type, &mut *visit).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Calls `visit` with the samples that are kept one by one, each exactly once, as
    /// [`Self::visit`] does with rows.
    ///
    /// # Errors
    /// When the store is closed.
    pub fn visit_details(
        &self,
        tenant: &TenantId,
        wanted: Wanted<'_>,
        visit: &mut DetailsVisitor<'_>,
    ) -> Result<(), StoreError> {
        let shared = &self.inner.shared;
        let Some(tenant) = shared.find(tenant) else { return Ok(()) };
        let parts = tenant.parts();
        for segment in &parts.sealed {
            match segment.visit_details(&*shared.blobs, &shared.cache, (None, wanted), visit) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(()),
                Err(error) => {
                    shared.counters.read_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(%error, "samples of a segment are missing from an answer");
                    let loss = Loss::of(error.to_string(), Some(&segment.footer));
                    tenant.losses.add(segment.name(), loss);
                }
            }
        }
        for head in parts.frozen.iter().chain([&parts.live]) {
            if head.visit_details(wanted.range, wanted.profile_type, &mut *visit).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What is known to be missing in a range, because it could not be read.
    #[must_use]
    pub fn losses(&self, tenant: &TenantId, range: TimeRange) -> Vec<Loss> {
        self.inner.shared.find(tenant).map_or_else(Vec::new, |held| held.losses.within(range))
    }

    /// Merges and removes what is due at `now`, as the store does by itself every
    /// [`StoreConfig::maintain_every`]; says whether there may be more to do.
    #[must_use]
    pub fn maintain(&self, now: UnixNanos) -> bool {
        maintain::pass(self.shared(), now)
    }

    /// Calls `look` with what the tenant's frames and builds are called.
    pub fn names<R>(&self, tenant: &TenantId, look: impl FnOnce(&Names) -> R) -> R {
        match self.inner.shared.find(tenant) {
            Some(tenant) => tenant.names.read(look),
            None => look(&Names::default()),
        }
    }

    /// What the dictionaries of all streams may take of memory, in bytes.
    #[must_use]
    pub fn stream_memory(&self) -> u64 {
        self.inner.shared.config.stream_memory()
    }

    /// The latest that it may be now: the clock's word, or what it would be had the clock not jumped.
    #[must_use]
    pub fn latest_now(&self) -> UnixNanos {
        UnixNanos(self.inner.shared.clock.span().1)
    }

    /// Logs that an error in this server keeps from being sealed, and the error of each.
    #[must_use]
    pub fn left_logs(&self) -> Vec<String> {
        self.inner.shared.left()
    }

    /// What the store counts.
    #[must_use]
    pub fn metrics(&self) -> StoreMetrics {
        self.inner.shared.metrics()
    }

    /// Whether batches are taken and questions answered.
    ///
    /// # Errors
    /// When no batch is taken: the store is closed, or its disk is read-only or nearly full.
    pub fn ready(&self) -> Result<(), StoreError> {
        if self.inner.shared.is_closed() {
            return Err(StoreError::Closed);
        }
        self.inner.shared.check_room()
    }

    /// Seals what is in logs, lets go of the folder and refuses all that comes after.
    ///
    /// # Errors
    /// When a log could not be sealed. It is kept and replayed by the next open: nothing is lost.
    pub async fn flush_and_close(&self) -> Result<(), StoreError> {
        let outcome = self.inner.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(outcome) = outcome else { return Err(StoreError::Closed) };
        let shared = self.shared();
        if let Some(writer) = self.writer() {
            shared.closed.store(true, Ordering::Release);
            for tenant in shared.tenants() {
                let entry = tenant.enter();
                roll(shared, &tenant, &entry, &writer);
            }
        }
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = outcome.await.unwrap_or(Err(StoreError::Closed));
        self.inner.stop();
        outcome
    }
}

fn spawn(
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map_err(StoreError::io("start a thread for", name))
}

impl Inner {
    /// Ends both threads and lets go of the folder.
    fn stop(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.maintenance.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A thread that panicked has said so; the folder is let go all the same.
            let _ = thread.join();
        }
        self.shared.release();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Release);
        self.stop();
    }
}
