//! Taking batches: room is waited for, duplicates are told, and the rest is encoded for the live log
//! and put in line for the disk.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, mpsc};
use std::task::{Context, Poll};

use stoker_wire::{BatchBody, Dictionary, Encoded, WireError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::api::{Appended, BatchSource, TenantId};
use super::error::StoreError;
use super::guarded::guarded;
use super::handle::Store;
use super::head::{Encode, Head};
use super::line::StreamRebase;
use super::sealer::Seal;
use super::shared::{Shared, count};
use super::tenant::{Entry, Tenant, is_due};
use super::told::Bounds;
use super::writer::{Command, Write};

/// A batch that is in line for the disk. Ready when it is durable, or known not to be.
#[derive(Debug)]
#[must_use = "a batch counts as stored only when this says so"]
pub struct InLine(oneshot::Receiver<Result<Appended, StoreError>>);

impl Future for InLine {
    type Output = Result<Appended, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = Pin::new(&mut self.0).poll(context);
        reply.map(|reply| reply.unwrap_or(Err(StoreError::Closed)))
    }
}

impl Store {
    /// Stores a batch. It is durable when this returns; when the returned future is dropped it may
    /// become durable all the same. `rebase` belongs to `dictionary`, `tenant` and no other.
    ///
    /// # Errors
    /// When the store is closed or cannot take more, when the batch exceeds a limit, or when it could
    /// not be written. Then nothing of it is counted, and it can be sent again on a new stream.
    pub async fn append(
        &self,
        tenant: &TenantId,
        source: &BatchSource,
        dictionary: &Dictionary,
        body: &BatchBody,
        rebase: &mut StreamRebase,
    ) -> Result<Appended, StoreError> {
        self.put_in_line(tenant, source, dictionary, body, rebase).await?.await
    }

    /// As [`Self::append`] but returns as soon as the batch is in line, so that several batches of a
    /// stream share one sync. After a failure nothing more may be put in line with this `rebase`.
    ///
    /// # Errors
    /// As [`Self::append`], as far as is known by then.
    pub async fn put_in_line(
        &self,
        tenant: &TenantId,
        source: &BatchSource,
        dictionary: &Dictionary,
        body: &BatchBody,
        rebase: &mut StreamRebase,
    ) -> Result<InLine, StoreError> {
        let tenant = self.shared().tenant(tenant)?;
        self.shared().check_age(body)?;
        let room = wait_for_room(self.shared(), &tenant, body).await?;
        let mut room = Some(room);
        loop {
            let batch = Batch { source, dictionary, body };
            if let Some(in_line) = self.encode(&tenant, batch, rebase, &mut room)? {
                return Ok(in_line);
            }
            // The log changed. Its last batches must be durable before the next log has the stream's
            // next one: see StreamLine.
            rebase.line.until_empty().await;
        }
    }

    /// Encodes a batch for the live log and puts it in line for the disk, or gives nothing where the
    /// stream has batches in line for another log.
    fn encode(
        &self,
        tenant: &Arc<Tenant>,
        batch: Batch<'_>,
        rebase: &mut StreamRebase,
        room: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Option<InLine>, StoreError> {
        let shared = self.shared();
        let writer = self.writer().ok_or(StoreError::Closed)?;
        let (source, sequence) = (batch.source, batch.body.sequence);
        let mut entry = tenant.enter();
        // Looked at under the lock: closing freezes logs under it, and no log may come after.
        if shared.is_closed() {
            return Err(StoreError::Closed);
        }
        rebase.line.check()?;
        let is_known = sequence <= tenant.watermark(source.spool_id)
            || entry.is_in_line(source.spool_id, sequence);
        let (head, encoded) = if is_known {
            (tenant.live(), None)
        } else {
            let head = ready_head(shared, tenant, &entry, &writer);
            if rebase.log != head.log && !rebase.line.may_change_log()? {
                return Ok(None);
            }
            let roll = || roll(shared, tenant, &entry, &writer);
            let encoded = encode_for(head, batch, rebase, shared, roll)?;
            let Some((head, encoded)) = encoded else { return Ok(None) };
            entry.put_in_line(source.spool_id, sequence, &head);
            (head, Some(encoded))
        };
        let Some(room) = room.take() else { return Err(StoreError::Closed) };
        let (reply, answer) = oneshot::channel();
        let (tenant, source) = (Arc::clone(tenant), source.clone());
        let line = rebase.line.enter();
        let write = Write { tenant, head, source, sequence, encoded, room, line, reply };
        writer.send(Command::Write(Box::new(write))).map_err(|_| StoreError::Closed)?;
        Ok(Some(InLine(answer)))
    }
}

/// A batch and the log that it was encoded for.
type Placed = (Arc<Head>, Box<Encoded>);

#[derive(Clone, Copy)]
struct Batch<'a> {
    source: &'a BatchSource,
    dictionary: &'a Dictionary,
    body: &'a BatchBody,
}

async fn wait_for_room(
    shared: &Shared,
    tenant: &Tenant,
    body: &BatchBody,
) -> Result<OwnedSemaphorePermit, StoreError> {
    shared.check_room()?;
    let limit = shared.config.queue_memory();
    // What a batch takes while it waits, most of it rows; a huge one waits for all the room.
    let bytes =
        u32::try_from((body.row_count() + body.detailed_samples()).saturating_mul(64) + 4096)
            .unwrap_or(limit);
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

/// The live log, or a new one where it is full, old or failed.
fn ready_head(
    shared: &Shared,
    tenant: &Arc<Tenant>,
    entry: &MutexGuard<'_, Entry>,
    writer: &mpsc::Sender<Command>,
) -> Arc<Head> {
    let head = tenant.live();
    if is_due(&head, &shared.config) {
        return roll(shared, tenant, entry, writer);
    }
    head
}

/// Encodes for `head`, or for a new log where its dictionary would become too large; nothing where
/// the stream has batches in line for the other log.
fn encode_for(
    head: Arc<Head>,
    batch: Batch<'_>,
    rebase: &mut StreamRebase,
    shared: &Shared,
    roll: impl Fn() -> Arc<Head>,
) -> Result<Option<Placed>, StoreError> {
    match try_encode(&head, batch, rebase, shared) {
        Ok(Tried::Encoded(encoded)) => return Ok(Some((head, encoded))),
        Ok(Tried::Full(_)) => {}
        // What the encoder learned is in no record here, too.
        Err(error @ StoreError::Crashed { .. }) => {
            roll();
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    // What the encoder learned is in no record: the log must take nothing more.
    let head = roll();
    if !rebase.line.may_change_log()? {
        return Ok(None);
    }
    match try_encode(&head, batch, rebase, shared)? {
        Tried::Encoded(encoded) => Ok(Some((head, encoded))),
        Tried::Full(error) => {
            head.failed.store(true, Ordering::Release);
            Err(StoreError::TooLarge(error))
        }
    }
}

/// What came of encoding.
enum Tried {
    Encoded(Box<Encoded>),
    Full(WireError),
}

fn try_encode(
    head: &Head,
    batch: Batch<'_>,
    rebase: &mut StreamRebase,
    shared: &Shared,
) -> Result<Tried, StoreError> {
    let Batch { dictionary, body, .. } = batch;
    let limit = shared.config.max_series;
    let bounds = Bounds { series: limit, attribute_sets: shared.config.max_attribute_sets };
    let encode = || head.encode(dictionary, body, rebase, bounds);
    match guarded("encode a batch", encode)? {
        Encode::Encoded(encoded, dropped) => {
            count(&shared.counters.attributes_dropped, dropped);
            Ok(Tried::Encoded(encoded))
        }
        Encode::TooManySeries => Err(StoreError::TooManySeries { limit }),
        Encode::Full(error) => Ok(Tried::Full(error)),
    }
}

/// Freezes the live log and gives the one that takes its place.
pub fn roll(
    shared: &Shared,
    tenant: &Arc<Tenant>,
    entry: &MutexGuard<'_, Entry>,
    writer: &mpsc::Sender<Command>,
) -> Arc<Head> {
    let head = tenant.freeze(entry, shared.ids.next());
    // A writer that is gone leaves the log to the next open.
    let _ = writer.send(Command::Freeze(Seal { tenant: Arc::clone(tenant), head }));
    tenant.live()
}
