//! The handle: what callers of the store do.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use stoker_dag::ProfileType;
use stoker_wire::{BatchBody, Dictionary};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::api::{
    Appended, BatchSource, Names, PartView, SpoolId, StoreConfig, StoreMetrics, StreamRebase,
    TenantId, TimeRange,
};
use super::disk::{Disk, RealDisk};
use super::error::StoreError;
use super::head::Encode;
use super::open::open;
use super::sealer::{self, Seal};
use super::shared::Shared;
use super::tenant::{Tenant, is_due};
use super::writer::{Command, Write, Writer};

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
    outcome: Mutex<Option<oneshot::Receiver<Result<(), StoreError>>>>,
}

type Reply = oneshot::Receiver<Result<Appended, StoreError>>;

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
        for tenant in shared.tenants() {
            for head in tenant.parts().frozen {
                // The receiver is held below.
                let _ = seals.send(Seal { tenant: Arc::clone(&tenant), head });
            }
        }
        let (commands, waiting) = mpsc::channel();
        let (done, outcome) = oneshot::channel();
        let writer = Writer::new(Arc::clone(&shared), waiting, seals);
        let for_sealer = Arc::clone(&shared);
        let threads = [
            spawn("store-writer", move || writer.run())?,
            spawn("store-sealer", move || {
                let _ = done.send(sealer::run(&for_sealer, &frozen));
            })?,
        ];
        let inner = Inner {
            shared,
            writer: Mutex::new(Some(commands)),
            threads: Mutex::new(threads.into()),
            outcome: Mutex::new(Some(outcome)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Stores a batch. It is durable when this returns; when the returned future is dropped it may
    /// become durable all the same. `rebase` belongs to `dictionary`, `tenant` and no other.
    ///
    /// # Errors
    /// When the store is closed or cannot take more, when the batch exceeds a limit, or when it could
    /// not be written. Then nothing of it is counted, and it can be sent again.
    pub async fn append(
        &self,
        tenant: &TenantId,
        source: &BatchSource,
        dictionary: &Dictionary,
        body: &BatchBody,
        rebase: &mut StreamRebase,
    ) -> Result<Appended, StoreError> {
        let tenant = self.inner.shared.tenant(tenant)?;
        let room = self.wait_for_room(&tenant, body).await?;
        let reply = self.put_in_line(&tenant, source, (dictionary, body), rebase, room)?;
        reply.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn wait_for_room(
        &self,
        tenant: &Tenant,
        body: &BatchBody,
    ) -> Result<OwnedSemaphorePermit, StoreError> {
        let shared = &self.inner.shared;
        let limit = shared.config.max_queued_bytes;
        // What a batch takes while it waits, most of it rows; a huge one waits for all the room.
        let bytes = u32::try_from(body.row_count().saturating_mul(64) + 4096).unwrap_or(limit);
        let wait = async {
            loop {
                let sealed = shared.sealed.notified();
                if tenant.waiting() < shared.config.max_waiting_logs || shared.is_closed() {
                    break;
                }
                sealed.await;
            }
            Arc::clone(&shared.room).acquire_many_owned(bytes.min(limit)).await
        };
        match tokio::time::timeout(shared.config.busy_after, wait).await {
            Ok(room) => room.map_err(|_| StoreError::Closed),
            Err(_) => Err(StoreError::Busy { waiting: tenant.waiting() }),
        }
    }

    /// Encodes a batch for the live log and puts it in line for the disk.
    fn put_in_line(
        &self,
        tenant: &Arc<Tenant>,
        source: &BatchSource,
        (dictionary, body): (&Dictionary, &BatchBody),
        rebase: &mut StreamRebase,
        room: OwnedSemaphorePermit,
    ) -> Result<Reply, StoreError> {
        let shared = &self.inner.shared;
        let writer = self.writer().ok_or(StoreError::Closed)?;
        let (spool, sequence) = (source.spool_id, body.sequence);
        let mut entry = tenant.enter();
        // Looked at under the lock: closing freezes logs under it, and no log may come after.
        if shared.is_closed() {
            return Err(StoreError::Closed);
        }
        let is_stored = sequence <= tenant.watermark(spool);
        let mut head = tenant.live();
        let mut encoded = None;
        if !is_stored && !entry.is_in_line(spool, sequence) {
            let config = &shared.config;
            let mut fresh = false;
            if is_due(&head, config.seal_bytes, config.seal_rows, config.seal_after) {
                head = self.roll(tenant, &entry, &writer);
                fresh = true;
            }
            encoded = Some(loop {
                match head.encode(dictionary, body, rebase, config.max_series) {
                    Encode::Encoded(encoded) => break encoded,
                    Encode::TooManySeries => {
                        return Err(StoreError::TooManySeries { limit: config.max_series });
                    }
                    Encode::Full(error) if fresh => {
                        head.failed.store(true, Ordering::Release);
                        return Err(StoreError::TooLarge(error));
                    }
                    Encode::Full(_) => {
                        head = self.roll(tenant, &entry, &writer);
                        fresh = true;
                    }
                }
            });
            entry.put_in_line(spool, sequence, &head);
        }
        let (reply, answer) = oneshot::channel();
        let (tenant, source) = (Arc::clone(tenant), source.clone());
        let write = Write { tenant, head, source, sequence, encoded, room, reply };
        writer.send(Command::Write(Box::new(write))).map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    /// Freezes the live log and gives the one that takes its place.
    fn roll(
        &self,
        tenant: &Arc<Tenant>,
        entry: &std::sync::MutexGuard<'_, super::tenant::Entry>,
        writer: &mpsc::Sender<Command>,
    ) -> Arc<super::head::Head> {
        let head = tenant.freeze(entry, self.inner.shared.ids.next());
        // A writer that is gone leaves the log to the next open.
        let _ = writer.send(Command::Freeze(Seal { tenant: Arc::clone(tenant), head }));
        tenant.live()
    }

    fn writer(&self) -> Option<mpsc::Sender<Command>> {
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the batches of a spool are durable; 0 when none is.
    #[must_use]
    pub fn watermark(&self, tenant: &TenantId, spool: SpoolId) -> u64 {
        self.inner.shared.find(tenant).map_or(0, |tenant| tenant.watermark(spool))
    }

    /// Calls `visit` for every part that overlaps the range, until it breaks. Each row is seen
    /// exactly once, whatever is sealed meanwhile. The tenant's ingest waits while a part of its
    /// live log is looked at. A segment that cannot be read is left out, named in the server's log
    /// and counted in [`StoreMetrics::read_failures`].
    ///
    /// # Errors
    /// When the store is closed.
    pub fn visit(
        &self,
        tenant: &TenantId,
        range: TimeRange,
        profile_type: Option<&ProfileType>,
        visit: &mut dyn FnMut(PartView<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let shared = &self.inner.shared;
        let Some(tenant) = shared.find(tenant) else { return Ok(()) };
        let parts = tenant.parts();
        for segment in &parts.sealed {
            let seen = segment.visit(&*shared.blobs, &shared.cache, range, profile_type, visit);
            match seen {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(()),
                Err(error) => {
                    shared.counters.read_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(%error, "rows of a segment are missing from an answer");
                }
            }
        }
        for head in parts.frozen.iter().chain([&parts.live]) {
            if head.visit(range, profile_type, &mut *visit).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Calls `look` with what the tenant's frames and builds are called.
    pub fn names<R>(&self, tenant: &TenantId, look: impl FnOnce(&Names) -> R) -> R {
        match self.inner.shared.find(tenant) {
            Some(tenant) => tenant.names.read(look),
            None => look(&Names::default()),
        }
    }

    /// What the store counts.
    #[must_use]
    pub fn metrics(&self) -> StoreMetrics {
        self.inner.shared.metrics()
    }

    /// Whether batches are taken and questions answered.
    #[must_use]
    pub fn ready(&self) -> bool {
        !self.inner.shared.is_closed()
    }

    /// Seals what is in logs, lets go of the folder and refuses all that comes after.
    ///
    /// # Errors
    /// When a log could not be sealed. It is kept and replayed by the next open: nothing is lost.
    pub async fn flush_and_close(&self) -> Result<(), StoreError> {
        let outcome = self.inner.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(outcome) = outcome else { return Err(StoreError::Closed) };
        if let Some(writer) = self.writer() {
            self.inner.shared.closed.store(true, Ordering::Release);
            for tenant in self.inner.shared.tenants() {
                let entry = tenant.enter();
                self.roll(&tenant, &entry, &writer);
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
