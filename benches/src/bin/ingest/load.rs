//! Streams that send batches which were encoded before, and take the time until each is acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail, ensure};
use stoker_benches::generator::{Fleet, Shape};
use stoker_wire::proto::profile_ingest_client::ProfileIngestClient;
use stoker_wire::proto::{Batch, Hello, PushRequest, PushResponse, push_request, push_response};
use stoker_wire::{BatchBody, Dictionary, Encoder, Rebase, limits};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

/// Windows of one host that are made once and sent again and again.
const WINDOWS: u64 = 24;
/// How long a stream waits that was told to.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// A batch as it travels, what it has of rows, and of nodes that are new to its stream.
struct Ready {
    batch: Batch,
    rows: u64,
    nodes: u64,
}

/// What one stream sends.
pub struct Made {
    /// Once, before the clock runs.
    teach: Vec<Ready>,
    /// In turn.
    steady: Vec<Ready>,
    /// Whether each turn is a stream of its own, with builds of its own.
    is_cold: bool,
}

impl Made {
    /// One host's windows of a fleet, all stacks told before.
    pub fn known(shape: Shape, host: u64) -> Self {
        let mut fleet = Fleet::new(shape, host);
        let bodies: Vec<BatchBody> = (0..WINDOWS).map(|n| fleet.batch(host, n, 0)).collect();
        let (mut encoder, mut rebase) = (Encoder::default(), Rebase::default());
        let teach = ready(&mut encoder, &fleet.dictionary, &bodies, &mut rebase);
        let steady = ready(&mut encoder, &fleet.dictionary, &bodies, &mut rebase);
        Self { teach, steady, is_cold: false }
    }

    /// Batches of which each brings the stacks that it speaks of.
    pub fn cold(dictionary: &Dictionary, bodies: &[BatchBody]) -> Self {
        let steady = ready(&mut Encoder::default(), dictionary, bodies, &mut Rebase::default());
        Self { teach: Vec::new(), steady, is_cold: true }
    }
}

fn ready(
    encoder: &mut Encoder,
    dictionary: &Dictionary,
    bodies: &[BatchBody],
    rebase: &mut Rebase,
) -> Vec<Ready> {
    let encoded = bodies.iter().map(|body| {
        let batch = encoder.encode(dictionary, body, rebase).batch;
        let nodes = batch.nodes.as_ref().map_or(0, |nodes| nodes.parent_back.len() as u64);
        Ready { batch, rows: body.row_count() as u64, nodes }
    });
    encoded.collect()
}

/// What came of it.
#[derive(Default)]
pub struct Sent {
    /// Rows that became durable.
    pub rows: u64,
    /// Nodes that they brought.
    pub nodes: u64,
    /// How often the server said that it has no room.
    pub busy: u64,
    latencies: Vec<Duration>,
}

impl Sent {
    /// Batches that became durable.
    pub fn batches(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// The time from sending to acknowledgement that so many hundredths do not exceed.
    pub fn latency_ms(&self, percent: usize) -> f64 {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.nodes += other.nodes;
        self.busy += other.busy;
        self.latencies.extend(other.latencies);
    }
}

/// Where to, and how.
#[derive(Clone)]
pub struct Load {
    grpc: String,
    in_flight: usize,
}

/// A stream that was opened.
pub struct Opened {
    out: mpsc::UnboundedSender<PushRequest>,
    answers: Streaming<PushResponse>,
    sequence: u64,
}

impl Load {
    pub fn new(grpc: &str, in_flight: u64) -> Self {
        let in_flight = usize::try_from(in_flight).unwrap_or(usize::MAX);
        Self { grpc: grpc.to_owned(), in_flight }
    }

    async fn open(&self, spool: u64) -> Result<Opened> {
        let client = ProfileIngestClient::connect(self.grpc.clone()).await?;
        let mut client = client.max_encoding_message_size(limits::MAX_BATCH_BYTES);
        let (out, requests) = mpsc::unbounded_channel();
        let mut id = [1; 16];
        id[..8].copy_from_slice(&spool.to_le_bytes());
        let host_name = format!("host-{spool}");
        let hello = Hello {
            spool_id: id.to_vec().into(),
            host_id: id.to_vec().into(),
            host_name,
            ..Hello::default()
        };
        out.send(request(push_request::Message::Hello(hello)))?;
        let answers = client.push(UnboundedReceiverStream::new(requests)).await?;
        let mut answers = answers.into_inner();
        let welcome = answers.message().await?.and_then(|answer| answer.message);
        let Some(push_response::Message::Welcome(welcome)) = welcome else { bail!("no welcome") };
        Ok(Opened { out, answers, sequence: welcome.durable_sequence })
    }

    /// Opens the streams and sends what each has to say first.
    pub async fn teach(&self, made: &[Arc<Made>]) -> Result<Vec<Opened>> {
        let mut all = Vec::new();
        for (spool, made) in (1..).zip(made) {
            let mut opened = self.open(spool).await?;
            for ready in &made.teach {
                opened.send(ready.batch.clone())?;
                ensure!(opened.is_stored().await?, "told to wait while nothing else was sent");
            }
            all.push(opened);
        }
        Ok(all)
    }

    /// Sends in turn until then, on all streams at once; at most `pace` rows per second on each.
    pub async fn send(
        self,
        made: Vec<Arc<Made>>,
        opened: Vec<Opened>,
        until: Instant,
        pace: Option<u64>,
    ) -> Result<Sent> {
        let mut tasks = JoinSet::new();
        for ((spool, made), opened) in (1..).zip(made).zip(opened) {
            let load = self.clone();
            tasks.spawn(async move { load.send_on(&made, (spool, opened), until, pace).await });
        }
        let mut all = Sent::default();
        while let Some(sent) = tasks.join_next().await {
            all.add(sent??);
        }
        all.latencies.sort_unstable();
        Ok(all)
    }

    async fn send_on(
        &self,
        made: &Made,
        (spool, mut opened): (u64, Opened),
        until: Instant,
        pace: Option<u64>,
    ) -> Result<Sent> {
        let (mut sent, mut turn) = (Sent::default(), spool << 32);
        while Instant::now() < until {
            turn += 1;
            if made.is_cold {
                opened = self.open(turn).await?;
            }
            self.turn(made, (&mut opened, turn), (until, pace), &mut sent).await?;
        }
        Ok(sent)
    }

    /// One turn, or as many as there is time for where no other stream is needed.
    async fn turn(
        &self,
        made: &Made,
        (opened, turn): (&mut Opened, u64),
        (until, pace): (Instant, Option<u64>),
        sent: &mut Sent,
    ) -> Result<()> {
        let (started, mut rows_sent) = (Instant::now(), 0);
        let mut waiting: VecDeque<(Instant, &Ready)> = VecDeque::new();
        let mut batches = made.steady.iter().cycle();
        let mut left = if made.is_cold { made.steady.len() } else { usize::MAX };
        loop {
            while left > 0 && waiting.len() < self.in_flight && Instant::now() < until {
                if let Some(pace) = pace {
                    let due = Duration::from_secs_f64(rows_sent as f64 / pace as f64);
                    if due > started.elapsed() && !waiting.is_empty() {
                        break;
                    }
                    tokio::time::sleep_until((started + due).into()).await;
                }
                let Some(ready) = batches.next() else { break };
                (left, rows_sent) = (left - 1, rows_sent + ready.rows);
                let mut batch = ready.batch.clone();
                for build in &mut batch.builds {
                    // A build that no other stream has, so that its stacks are others.
                    build.id = turn.to_le_bytes().to_vec().into();
                }
                waiting.push_back((Instant::now(), ready));
                opened.send(batch)?;
            }
            let Some((at, ready)) = waiting.pop_front() else { return Ok(()) };
            if !opened.is_stored().await? {
                // What was sent after it is sent no more; the next turn has a stream of its own.
                sent.busy += 1;
                tokio::time::sleep(RETRY_AFTER).await;
                *opened = self.open(turn).await?;
                return Ok(());
            }
            sent.latencies.push(at.elapsed());
            sent.rows += ready.rows;
            sent.nodes += ready.nodes;
        }
    }
}

impl Opened {
    fn send(&mut self, mut batch: Batch) -> Result<()> {
        self.sequence += 1;
        (batch.sequence, batch.start_unix_ns) = (self.sequence, window(self.sequence));
        Ok(self.out.send(request(push_request::Message::Batch(batch)))?)
    }

    /// Whether the next batch in line was stored; else there is no room now.
    async fn is_stored(&mut self) -> Result<bool> {
        match self.answers.message().await?.and_then(|answer| answer.message) {
            Some(push_response::Message::Ack(_)) => Ok(true),
            Some(push_response::Message::Busy(_)) => Ok(false),
            other => bail!("{other:?}"),
        }
    }
}

/// The window that a batch is about: the last minute in turn.
fn window(sequence: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(0);
    (now / 10_000_000_000 - sequence % 6) * 10_000_000_000
}

fn request(message: push_request::Message) -> PushRequest {
    PushRequest { message: Some(message) }
}
