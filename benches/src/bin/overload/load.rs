//! The load: agents' streams that send as fast as they are let, or a tenth of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use stoker_benches::generator::{Fleet, Shape};
use stoker_wire::proto::profile_ingest_client::ProfileIngestClient;
use stoker_wire::proto::{Batch, Hello, PushRequest, push_request, push_response};
use stoker_wire::{BatchBody, Encoder, Rebase, limits};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Agents; each sends for this many hosts, one after the other.
pub const AGENTS: u64 = 16;
const HOSTS_EACH: u64 = 8;
/// Windows that are made once and sent again and again, with other sequences and times.
const WINDOWS: u64 = 12;
/// Rows per second of the whole load, of all agents.
const OFFERED: u64 = 2_000_000;
/// Batches under way on one stream.
const IN_FLIGHT: u64 = 16;
/// Batches after which a stream begins again.
const STREAM_BATCHES: u64 = 400;

/// What all agents count, and what they are told.
#[derive(Default)]
pub struct Counts {
    pub rows: AtomicU64,
    pub busy: AtomicU64,
    pub streams: AtomicU64,
    pub broken: AtomicU64,
    pub full_load: AtomicBool,
    pub enough: AtomicBool,
}

/// One agent's dictionary, and batches over it.
pub struct Made {
    dictionary: stoker_wire::Dictionary,
    bodies: Vec<BatchBody>,
}

pub fn bodies(agent: u64) -> Made {
    let mut fleet = Fleet::new(Shape { samples: 400, ..Shape::FLEET }, agent);
    let hosts = agent * HOSTS_EACH..(agent + 1) * HOSTS_EACH;
    let all = hosts.flat_map(|host| (0..WINDOWS).map(move |window| (host, window)));
    let bodies: Vec<BatchBody> = all.map(|(host, window)| fleet.batch(host, window, 0)).collect();
    Made { dictionary: fleet.dictionary, bodies }
}

/// The window that a batch is about: the last half hour in turn.
fn window(sequence: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(0);
    (now / 10_000_000_000 - sequence % 180) * 10_000_000_000
}

/// One stream, until it has sent enough, or is told to wait, or breaks.
pub async fn stream(
    agent: u64,
    grpc: &str,
    made: &Made,
    sequence: &mut u64,
    counts: &Counts,
) -> Result<()> {
    let client = ProfileIngestClient::connect(grpc.to_owned()).await?;
    let mut client = client.max_encoding_message_size(limits::MAX_BATCH_BYTES);
    let (out, requests) = mpsc::channel(2);
    let id = vec![u8::try_from(agent + 1)?; 16];
    let host_name = format!("agent-{agent}");
    let hello =
        Hello { spool_id: id.clone().into(), host_id: id.into(), host_name, ..Hello::default() };
    out.send(request(push_request::Message::Hello(hello))).await?;
    let mut answers = client.push(ReceiverStream::new(requests)).await?.into_inner();
    let welcome = answers.message().await?.and_then(|answer| answer.message);
    let Some(push_response::Message::Welcome(welcome)) = welcome else {
        anyhow::bail!("no welcome")
    };
    *sequence = welcome.durable_sequence;
    let (mut encoder, mut rebase) = (Encoder::default(), Rebase::default());
    let (first, mut sent, start) = (*sequence, *sequence, Instant::now());
    let mut rows_sent = 0;
    loop {
        while sent - *sequence < IN_FLIGHT && sent - first < STREAM_BATCHES {
            let part = if counts.full_load.load(Ordering::Relaxed) { 1 } else { 10 };
            let offered = OFFERED / AGENTS / part;
            let due = Duration::from_secs_f64(rows_sent as f64 / offered as f64);
            if due > start.elapsed() {
                if sent > *sequence {
                    break;
                }
                tokio::time::sleep_until((start + due).into()).await;
            }
            sent += 1;
            let body = &made.bodies[usize::try_from(sent)? % made.bodies.len()];
            rows_sent += body.row_count() as u64;
            let batch = encode(&mut encoder, &mut rebase, made, body, sent);
            out.send(request(push_request::Message::Batch(batch))).await?;
        }
        if sent == *sequence || counts.enough.load(Ordering::Relaxed) {
            return Ok(());
        }
        match answers.message().await?.and_then(|answer| answer.message) {
            Some(push_response::Message::Ack(ack)) => {
                let body = &made.bodies[usize::try_from(ack.sequence)? % made.bodies.len()];
                counts.rows.fetch_add(body.row_count() as u64, Ordering::Relaxed);
                *sequence = ack.sequence;
            }
            Some(push_response::Message::Busy(busy)) => {
                counts.busy.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(busy.retry_after_ms.into())).await;
                return Ok(());
            }
            other => anyhow::bail!("{other:?}"),
        }
    }
}

fn encode(
    encoder: &mut Encoder,
    rebase: &mut Rebase,
    made: &Made,
    body: &BatchBody,
    sequence: u64,
) -> Batch {
    let mut batch = encoder.encode(&made.dictionary, body, rebase).batch;
    (batch.sequence, batch.start_unix_ns) = (sequence, window(sequence));
    batch
}

fn request(message: push_request::Message) -> PushRequest {
    PushRequest { message: Some(message) }
}
