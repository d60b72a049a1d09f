//! One stream: `Hello`, then batches, each checked, put in line, and acknowledged when durable.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use stoker_dag::UnixNanos;
use stoker_wire::proto::push_request::Message as In;
use stoker_wire::proto::push_response::Message as Out;
use stoker_wire::proto::{self, PushRequest, PushResponse};
use stoker_wire::{BatchBody, Decoder, HostFacts, PROTOCOL_MINOR, WireError, limits};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::answers::{
    CRASHED, End, bad_hello, busy, check_time, source_of, store_answer, wire_answer,
};
use super::footprint::Share;
use super::metrics::RefusalCode;
use super::service::Ingest;
use crate::store::{Appended, BatchSource, InLine, StoreError, StreamRebase, TenantId, guarded};

/// Batches of one stream that may wait for the disk.
pub const MAX_UNACKED: usize = 16;
/// How long a stream may take to say `Hello`.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// A batch that waits for the disk.
struct Waiting {
    sequence: u64,
    rows: u64,
    samples: u64,
    facts: HostFacts,
    in_line: InLine,
}

/// One stream of one agent.
pub(super) struct Stream<'a> {
    ingest: &'a Ingest,
    tenant: TenantId,
    answers: mpsc::Sender<Result<PushResponse, Status>>,
    decoder: Decoder,
    rebase: StreamRebase,
    waiting: VecDeque<Waiting>,
    share: Share,
    batches: u64,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        ingest: &'a Ingest,
        tenant: TenantId,
        answers: mpsc::Sender<Result<PushResponse, Status>>,
    ) -> Self {
        let (decoder, rebase) = (Decoder::default(), StreamRebase::default());
        let (share, waiting) = (Share::new(&ingest.metrics.shares), VecDeque::new());
        Self { ingest, tenant, answers, decoder, rebase, waiting, share, batches: 0 }
    }

    /// Serves the stream to its end. What is in line by then is acknowledged before the last word.
    pub(super) async fn run(mut self, mut requests: Streaming<PushRequest>) -> Result<(), Status> {
        let end = match self.greet(&mut requests).await {
            Ok(source) => self.serve(&source, &mut requests).await,
            Err(end) => end,
        };
        match end {
            End::Closed => Ok(()),
            End::Status(status) => Err(status),
            End::Answer(answer, code) => {
                tracing::warn!(code = code.as_str(), ?answer, "ended a stream");
                self.ingest.metrics.count_refused(code);
                self.answer(answer).await;
                Ok(())
            }
        }
    }

    async fn greet(&mut self, requests: &mut Streaming<PushRequest>) -> Result<BatchSource, End> {
        let first = tokio::time::timeout(HELLO_TIMEOUT, requests.message()).await;
        let first = first.map_err(|_| bad_hello("no Hello came in time"))?.map_err(End::Status)?;
        let Some(In::Hello(hello)) = first.ok_or(End::Closed)?.message else {
            return Err(bad_hello("the stream did not begin with Hello"));
        };
        let source = source_of(&hello)?;
        self.ingest.agents.hello(&self.tenant, &source, &hello.agent_version, now());
        let welcome = proto::Welcome {
            protocol_minor: PROTOCOL_MINOR,
            durable_sequence: self.ingest.store.watermark(&self.tenant, source.spool_id),
            max_batch_bytes: limits::MAX_BATCH_BYTES as u64,
        };
        self.answer(Out::Welcome(welcome)).await;
        Ok(source)
    }

    /// Reads while there is room for more in line, and acknowledges what becomes durable.
    async fn serve(&mut self, source: &BatchSource, requests: &mut Streaming<PushRequest>) -> End {
        let mut end = loop {
            let has_room = self.waiting.len() < MAX_UNACKED;
            tokio::select! {
                biased;
                stored = oldest(&mut self.waiting) => {
                    if let Err(end) = self.settle(source, stored).await {
                        break end;
                    }
                }
                request = requests.message(), if has_room => {
                    if let Err(end) = self.take(source, request).await {
                        break end;
                    }
                }
            }
        };
        while !self.waiting.is_empty() {
            let stored = oldest(&mut self.waiting).await;
            if let Err(failed) = self.settle(source, stored).await {
                // The first failure is what the agent must hear of: what came after it stands on it.
                end = failed;
                break;
            }
        }
        end
    }

    async fn take(
        &mut self,
        source: &BatchSource,
        request: Result<Option<PushRequest>, Status>,
    ) -> Result<(), End> {
        let request = request.map_err(|status| self.broken(status))?.ok_or(End::Closed)?;
        match request.message {
            Some(In::Batch(batch)) => self.take_batch(source, &batch).await,
            Some(In::Hello(_)) => Err(bad_hello("a second Hello")),
            // A newer agent's message that this version does not know.
            None => Ok(()),
        }
    }

    async fn take_batch(&mut self, source: &BatchSource, batch: &proto::Batch) -> Result<(), End> {
        let sequence = batch.sequence;
        add(&self.ingest.metrics.bytes, batch.encoded_len() as u64);
        if sequence == 0 {
            let error = WireError::Malformed("sequences count up from 1");
            return Err(wire_answer(sequence, &error));
        }
        let body = match self.decode(batch) {
            Ok(body) => body,
            Err((why, end)) => {
                if let Some(why) = why {
                    self.set_aside(source, batch, why).await;
                }
                return Err(end);
            }
        };
        self.check_memory(sequence)?;
        check_time(&body, self.ingest.store.latest_now())?;
        let dictionary = self.decoder.dictionary();
        let store = &self.ingest.store;
        let in_line =
            store.put_in_line(&self.tenant, source, dictionary, &body, &mut self.rebase).await;
        if let Err(StoreError::Crashed { .. }) = &in_line {
            self.set_aside(source, batch, CRASHED).await;
        }
        self.waiting.push_back(Waiting {
            sequence,
            rows: body.row_count() as u64,
            samples: body.samples(),
            facts: body.facts,
            in_line: in_line.map_err(|error| store_answer(sequence, &error))?,
        });
        Ok(())
    }

    /// The batch as the store takes it; else the last word, and why it is kept aside where it is.
    fn decode(&mut self, batch: &proto::Batch) -> Result<BatchBody, (Option<&'static str>, End)> {
        let (decode, decoder) = (self.ingest.decode, &mut self.decoder);
        match guarded("decode a batch", || decode(decoder, batch)) {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => {
                let is_malformed = matches!(error, WireError::Malformed(_));
                let why = is_malformed.then_some(RefusalCode::Malformed.as_str());
                Err((why, wire_answer(batch.sequence, &error)))
            }
            Err(error) => Err((Some(CRASHED), store_answer(batch.sequence, &error))),
        }
    }

    /// An error where the stream's dictionary has grown too large beside all others; the agent begins
    /// a new one. A stream may have one batch, whatever it brings.
    fn check_memory(&mut self, sequence: u64) -> Result<(), End> {
        let bytes = self.decoder.memory_bytes() as u64;
        self.batches += 1;
        let fits = self.share.fits(bytes, self.ingest.store.stream_memory());
        match fits || self.batches == 1 {
            true => Ok(()),
            false => Err(busy(sequence)),
        }
    }

    async fn set_aside(&self, source: &BatchSource, batch: &proto::Batch, why: &'static str) {
        let (store, tenant, source) =
            (self.ingest.store.clone(), self.tenant.clone(), source.clone());
        let (sequence, bytes) = (batch.sequence, batch.encode_to_vec());
        let keep = move || store.quarantine(&tenant, (&source, sequence), why, &bytes);
        // It says itself what it could not do.
        let _ = tokio::task::spawn_blocking(keep).await;
    }

    /// The oldest batch in line is durable, or not to be.
    async fn settle(
        &mut self,
        source: &BatchSource,
        stored: Result<Appended, StoreError>,
    ) -> Result<(), End> {
        let Some(batch) = self.waiting.pop_front() else { return Ok(()) };
        let stored = stored.map_err(|error| store_answer(batch.sequence, &error))?;
        let metrics = &self.ingest.metrics;
        let duplicate = stored == Appended::Duplicate;
        if duplicate {
            add(&metrics.duplicates, 1);
        } else {
            add(&metrics.batches, 1);
            add(&metrics.rows, batch.rows);
            add(&metrics.samples, batch.samples);
            self.ingest.agents.stored(&self.tenant, source.spool_id, &batch.facts, now());
        }
        self.answer(Out::Ack(proto::Ack { sequence: batch.sequence, duplicate })).await;
        Ok(())
    }

    /// Sends an answer; to an agent that is gone it makes no difference.
    async fn answer(&self, answer: Out) {
        let _ = self.answers.send(Ok(PushResponse { message: Some(answer) })).await;
    }

    fn broken(&self, status: Status) -> End {
        if matches!(status.code(), tonic::Code::OutOfRange | tonic::Code::ResourceExhausted) {
            self.ingest.metrics.count_refused(RefusalCode::TooLarge);
            tracing::warn!(%status, "ended a stream: a batch is too large");
            let limit = limits::MAX_BATCH_BYTES;
            let text = format!("a batch is larger than {limit} bytes: send smaller ones");
            return End::Status(Status::resource_exhausted(text));
        }
        tracing::debug!(%status, "a stream broke");
        End::Status(status)
    }
}

/// Waits for the oldest batch in line; for ever where there is none.
async fn oldest(waiting: &mut VecDeque<Waiting>) -> Result<Appended, StoreError> {
    match waiting.front_mut() {
        Some(oldest) => (&mut oldest.in_line).await,
        None => std::future::pending().await,
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

fn now() -> UnixNanos {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    UnixNanos(u64::try_from(elapsed).unwrap_or(u64::MAX))
}
