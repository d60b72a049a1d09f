//! What a server does: rows per second over a real socket until they are durable, and how long a
//! flame graph takes.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use stoker_dag::{LabelIx, LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos, WINDOW_NS};
use stoker_tests::Server;
use stoker_wire::proto::profile_ingest_client::ProfileIngestClient;
use stoker_wire::proto::{push_request, push_response};
use stoker_wire::{BatchBody, Encoder, HostFacts, Rebase, RowGroup, proto};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use stoker_benches::generator::{Fleet, PERIOD_NS, Shape};
use stoker_benches::history::{Row, folder};

const ROWS: usize = 5_000;
const KNOWN_BATCHES: u64 = 300;
const COLD_BATCHES: u64 = 40;
const STACKS: usize = 20_000;
const QUERIES: usize = 40;
/// Batches under way at a time.
const IN_FLIGHT: u64 = 16;

/// Adds ingest and query.
pub(crate) fn measure(row: &mut Row) -> Result<()> {
    let (_keep, dir) = folder()?;
    let server = Server::new(&dir);
    let _running = server.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut fleet = Fleet::new(Shape::FLEET, 0);
    let known = runtime.block_on(ingest(&server, known_batches(&mut fleet), 1))?;
    row.add("durable ingest over gRPC, known stacks", known, "row/s");
    let cold = runtime.block_on(ingest(&server, cold_batches(&mut fleet), 2))?;
    row.add("durable ingest over gRPC, every stack new", cold, "row/s");
    let (p50, p99) = query(&server)?;
    let total = (KNOWN_BATCHES + COLD_BATCHES) * ROWS as u64;
    row.add(format!("flame graph of {total} rows, over HTTP: p50"), p50, "ms");
    row.add(format!("flame graph of {total} rows, over HTTP: p99"), p99, "ms");
    Ok(())
}

/// The same stacks again and again; the dictionary goes ahead with the first batch of all stacks.
fn known_batches(fleet: &mut Fleet) -> Vec<proto::Batch> {
    let (mut encoder, mut rebase) = (Encoder::default(), Rebase::default());
    let stacks = fleet.new_stacks(0, STACKS);
    let mut encode = |sequence: u64, rows: usize| {
        let body = batch(fleet, sequence, stacks.iter().cycle().take(rows));
        encoder.encode(&fleet.dictionary, &body, &mut rebase).batch
    };
    let first = encode(1, STACKS);
    let rest = (2..2 + KNOWN_BATCHES).map(|sequence| encode(sequence, ROWS));
    std::iter::once(first).chain(rest).collect()
}

fn cold_batches(fleet: &mut Fleet) -> Vec<proto::Batch> {
    let (mut encoder, mut rebase) = (Encoder::default(), Rebase::default());
    let mut encode = |sequence: u64| {
        let service = u32::try_from(sequence % 100).unwrap_or(0);
        let stacks = fleet.new_stacks(service, ROWS);
        let body = batch(fleet, sequence, stacks.iter());
        encoder.encode(&fleet.dictionary, &body, &mut rebase).batch
    };
    (1..=COLD_BATCHES).map(&mut encode).collect()
}

/// A row for each stack, of one of a hundred series.
fn batch<'a>(
    fleet: &mut Fleet,
    sequence: u64,
    stacks: impl Iterator<Item = &'a NodeIx>,
) -> BatchBody {
    let (host, service) = (sequence / 5 % 20, sequence % 5);
    let set = [("host", format!("host-{host}")), ("service_name", format!("service-{service}"))];
    let series = fleet.dictionary.labels.intern(&LabelSet::new(set));
    let rows = (1..).zip(stacks).map(|(at, node)| {
        let (count, attributes) = (1 + at % 3, LabelIx::default());
        SampleRow { series, attributes, node: *node, value: count * PERIOD_NS, count }
    });
    let rows: Vec<SampleRow> = rows.collect();
    let samples_taken = rows.iter().map(|row| row.count).sum();
    BatchBody {
        sequence,
        start: start(sequence),
        duration_ns: WINDOW_NS,
        rows: vec![RowGroup { profile_type: ProfileType::cpu(), period: PERIOD_NS, rows }],
        facts: HostFacts { samples_taken, ..HostFacts::default() },
        ..BatchBody::default()
    }
}

/// Windows of the last half hour, in turn.
fn start(sequence: u64) -> UnixNanos {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = UnixNanos(u64::try_from(now.as_nanos()).unwrap_or(0)).window_start();
    UnixNanos(now.0 - (sequence % 180) * WINDOW_NS)
}

/// Rows per second from the second batch's sending to the last acknowledgement; the first batch
/// brings the dictionary of known stacks and is not counted.
async fn ingest(server: &Server, batches: Vec<proto::Batch>, spool: u8) -> Result<f64> {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", server.grpc))?;
    let mut client = ProfileIngestClient::new(channel.connect().await?)
        .max_encoding_message_size(stoker_wire::limits::MAX_BATCH_BYTES);
    let (out, requests) = mpsc::channel(4);
    let hello = proto::Hello {
        spool_id: vec![spool; 16].into(),
        host_id: vec![spool; 16].into(),
        host_name: "bench".into(),
        ..proto::Hello::default()
    };
    out.send(request(push_request::Message::Hello(hello))).await?;
    let mut answers = client.push(ReceiverStream::new(requests)).await?.into_inner();
    let (mut acked, mut start) = (0, Instant::now());
    let last = batches.last().map_or(0, |batch| batch.sequence);
    let mut count = 0;
    answers.message().await?.context("no welcome")?;
    for batch in batches {
        let sequence = batch.sequence;
        if sequence > 1 {
            count += batch.rows.iter().map(|rows| rows.node_delta.len()).sum::<usize>();
        }
        out.send(request(push_request::Message::Batch(batch))).await?;
        while sequence == 1 && acked < 1 || sequence - acked >= IN_FLIGHT {
            acked = ack(&mut answers).await?;
        }
        if sequence == 1 {
            start = Instant::now();
        }
    }
    while acked < last {
        acked = ack(&mut answers).await?;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn request(message: push_request::Message) -> proto::PushRequest {
    proto::PushRequest { message: Some(message) }
}

async fn ack(answers: &mut tonic::Streaming<proto::PushResponse>) -> Result<u64> {
    match answers.message().await?.context("the server closed the stream")?.message {
        Some(push_response::Message::Ack(ack)) => Ok(ack.sequence),
        other => bail!("no acknowledgement but {other:?}"),
    }
}

/// Median and 99th percentile, in milliseconds.
fn query(server: &Server) -> Result<(f64, f64)> {
    let path = "/api/v1/flamegraph?query=cpu&from=now-1h&until=now";
    let mut times = Vec::new();
    for _ in 0..QUERIES {
        let start = Instant::now();
        let answer = stoker_tests::get(server.http, path).context("no answer")?;
        anyhow::ensure!(answer.status == 200, "status {}", answer.status);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let ms = |at: usize| times.get(at).map_or(0.0, Duration::as_secs_f64) * 1000.0;
    Ok((ms(QUERIES / 2), ms(QUERIES * 99 / 100)))
}
