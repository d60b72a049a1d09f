//! One stream to one server, from Hello to its end.

use std::time::Duration;

use prost::Message;
use stoker_wire::proto::profile_ingest_client::ProfileIngestClient;
use stoker_wire::proto::push_request::Message as Out;
use stoker_wire::proto::push_response::Message as In;
use stoker_wire::{Encoder, Rebase, limits, proto};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::backoff::Backoff;
use super::client::Shared;
use super::metrics::add;

/// Batches that may wait for their acknowledgement on one stream.
const MAX_IN_FLIGHT: usize = 32;
/// A stream whose dictionary grew beyond this starts afresh, well before the server would refuse.
const MAX_DICTIONARY_NODES: usize = limits::MAX_STREAM_NODES / 4;
/// How long the server may take to answer anything while batches wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a stream ended.
pub(super) enum Ended {
    /// The other side asked for what it does not know, or the dictionary is full: at once again.
    Resend,
    /// Anything else: again after a pause.
    Broken(String),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Broken(match status.code() {
            Code::Unavailable => "connection refused or lost".into(),
            code => format!("{code:?}: {}", status.message()),
        })
    }
}

struct Stream<'a> {
    shared: &'a Shared,
    out: mpsc::Sender<proto::PushRequest>,
    encoder: Encoder,
    /// (sequence, samples, rows) that were sent and not answered.
    in_flight: Vec<(u64, u64, u64)>,
    last_sent: u64,
    /// How long to pause because the server cannot take more now.
    busy: Option<Duration>,
    /// Whether anything was settled on this stream: only then is a new one opened without a pause.
    progress: bool,
}

/// Runs one stream until it ends.
pub(super) async fn run(
    channel: Channel,
    hello: &proto::Hello,
    shared: &Shared,
    backoff: &mut Backoff,
) -> Ended {
    match open(channel, hello, shared).await {
        Ok((mut stream, mut answers)) => {
            let ended = loop {
                if let Err(ended) = stream.step(&mut answers).await {
                    break ended;
                }
            };
            if stream.progress {
                backoff.reset();
                return ended;
            }
            match ended {
                Ended::Resend => Ended::Broken("the server takes nothing of what is sent".into()),
                broken @ Ended::Broken(_) => broken,
            }
        }
        Err(ended) => ended,
    }
}

async fn open<'a>(
    channel: Channel,
    hello: &proto::Hello,
    shared: &'a Shared,
) -> Result<(Stream<'a>, Streaming<proto::PushResponse>), Ended> {
    let mut client = ProfileIngestClient::new(channel)
        .send_compressed(CompressionEncoding::Zstd)
        .max_encoding_message_size(limits::MAX_BATCH_BYTES);
    let (out, requests) = mpsc::channel(MAX_IN_FLIGHT + 1);
    let hello = proto::PushRequest { message: Some(Out::Hello(hello.clone())) };
    let _ = out.send(hello).await;
    let mut answers = client.push(ReceiverStream::new(requests)).await?.into_inner();
    let first = tokio::time::timeout(ANSWER_TIMEOUT, answers.message()).await;
    let first = first.map_err(|_| Ended::Broken("no answer".into()))??;
    let Some(In::Welcome(welcome)) = first.and_then(|answer| answer.message) else {
        return Err(Ended::Broken(
            "the server did not answer Welcome: is it a Stoker server?".into(),
        ));
    };
    add(&shared.metrics.streams_opened, 1);
    shared.spool().remove_through(welcome.durable_sequence);
    shared.acked.notify_one();
    let stream = Stream {
        shared,
        out,
        encoder: Encoder::default(),
        in_flight: Vec::new(),
        last_sent: 0,
        busy: None,
        progress: false,
    };
    Ok((stream, answers))
}

impl Stream<'_> {
    /// Sends one batch or takes one answer.
    async fn step(&mut self, answers: &mut Streaming<proto::PushResponse>) -> Result<(), Ended> {
        if let Some(pause) = self.busy.take() {
            tokio::time::sleep(pause).await;
            return Err(Ended::Resend);
        }
        if self.in_flight.len() < MAX_IN_FLIGHT && self.send_next().await? {
            return Ok(());
        }
        let waiting = !self.in_flight.is_empty();
        tokio::select! {
            answer = answers.message() => {
                let answer = answer?.ok_or_else(|| Ended::Broken("the server went away".into()))?;
                self.take(answer)
            }
            () = self.shared.pushed.notified() => Ok(()),
            () = tokio::time::sleep(ANSWER_TIMEOUT), if waiting => {
                Err(Ended::Broken("no answer".into()))
            }
        }
    }

    async fn send_next(&mut self) -> Result<bool, Ended> {
        if self.encoder.dictionary().nodes.len() > MAX_DICTIONARY_NODES {
            return if self.in_flight.is_empty() { Err(Ended::Resend) } else { Ok(false) };
        }
        let Some(sequence) = self.shared.spool().next_after(self.last_sent) else {
            return Ok(false);
        };
        self.last_sent = sequence;
        let samples = self.shared.spool().samples(sequence);
        let read = self.shared.spool().read(sequence);
        let Some(batch) = read.map_err(|error| Ended::Broken(error.to_string()))? else {
            self.shared.lose("spool file damaged", samples);
            return Ok(true);
        };
        let mut rebase = Rebase::default();
        let encoded = self.encoder.encode(&batch.dictionary, &batch.body, &mut rebase).batch;
        add(&self.shared.metrics.bytes_sent, encoded.encoded_len() as u64);
        self.in_flight.push((sequence, batch.body.samples(), batch.body.row_count() as u64));
        let request = proto::PushRequest { message: Some(Out::Batch(encoded)) };
        let sent = self.out.send(request).await;
        sent.map_err(|_| Ended::Broken("the server went away".into()))?;
        Ok(true)
    }

    fn take(&mut self, answer: proto::PushResponse) -> Result<(), Ended> {
        match answer.message {
            Some(In::Ack(ack)) => self.acked(&ack),
            Some(In::Refused(refused)) => return self.refused(&refused),
            Some(In::Unknown(unknown)) => {
                let proto::UnknownId { sequence, dictionary, id } = unknown;
                tracing::info!(
                    sequence,
                    dictionary,
                    id,
                    "the server asks for the dictionary again"
                );
                return Err(Ended::Resend);
            }
            Some(In::Busy(busy)) => {
                self.busy = Some(Duration::from_millis(busy.retry_after_ms.into()));
            }
            Some(In::Directive(directive)) => {
                tracing::warn!(by = directive.authorised_by, "refused a directive: not opted in");
            }
            Some(In::Welcome(_)) | None => {}
        }
        Ok(())
    }

    fn settle(&mut self, sequence: u64) -> (u64, u64) {
        self.shared.spool().remove(sequence);
        self.progress = true;
        let at = self.in_flight.iter().position(|(sent, ..)| *sent == sequence);
        let settled = at.map_or((0, 0), |at| {
            let (_, samples, rows) = self.in_flight.remove(at);
            (samples, rows)
        });
        self.shared.acked.notify_one();
        settled
    }

    fn acked(&mut self, ack: &proto::Ack) {
        let (samples, rows) = self.settle(ack.sequence);
        let metrics = &self.shared.metrics;
        add(&metrics.batches_acked, 1);
        add(&metrics.batches_duplicate, u64::from(ack.duplicate));
        add(&metrics.samples_acked, samples);
        add(&metrics.rows_acked, rows);
    }

    /// A batch that can never be taken is lost and counted; the stream starts afresh.
    fn refused(&mut self, refused: &proto::Refused) -> Result<(), Ended> {
        let proto::Refused { sequence, code, message, hint } = refused;
        tracing::error!(sequence, code, message, hint, "the server refused a batch");
        if self.in_flight.iter().any(|(sent, ..)| sent == sequence) {
            let (samples, _) = self.settle(*sequence);
            add(&self.shared.metrics.batches_refused, 1);
            add(&self.shared.metrics.samples_refused, samples);
            self.shared.lose("refused by the server", samples);
            return Err(Ended::Resend);
        }
        // A refusal of the stream itself: nothing of it is a reason to drop data.
        Err(Ended::Broken(message.clone()))
    }
}
