//! A server on a real socket, and an agent that says exactly what a test wants.

use std::net::SocketAddr;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stoker_dag::{
    BuildId, BuildIdKind, Frame, LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos, WINDOW_NS,
};
use stoker_server::ingest::{Agents, DecodeBatch, IngestMetrics, service_decoding};
use stoker_server::store::{Store, StoreConfig, TenantId, Wanted};
use stoker_wire::proto::profile_ingest_client::ProfileIngestClient;
use stoker_wire::proto::push_request::Message as Out;
use stoker_wire::proto::push_response::Message as In;
use stoker_wire::proto::{Batch, Hello, PushRequest, PushResponse};
use stoker_wire::{
    BatchBody, BrokenStacks, Dictionary, Encoder, FileNames, HostFacts, Rebase, RowGroup,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::{Status, Streaming};

pub struct Server {
    pub address: SocketAddr,
    pub store: Store,
    pub agents: Agents,
    pub metrics: Arc<IngestMetrics>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub async fn start(dir: &Path) -> Self {
        Self::with(StoreConfig { dir: dir.to_owned(), ..StoreConfig::default() }).await
    }

    pub async fn with(config: StoreConfig) -> Self {
        Self::decoding(config, stoker_wire::Decoder::decode).await
    }

    /// With another decoder of batches.
    pub async fn decoding(config: StoreConfig, decode: DecodeBatch) -> Self {
        let store = Store::open(config).unwrap();
        let (agents, metrics) = (Agents::default(), Arc::new(IngestMetrics::default()));
        let counts = Arc::clone(&metrics);
        let service = service_decoding(store.clone(), agents.clone(), counts, decode);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            let stopped = async { stopped.await.unwrap_or(()) };
            server.serve_with_incoming_shutdown(incoming, stopped).await.unwrap();
        });
        Self { address, store, agents, metrics, stop, task }
    }

    /// Stops at once, as a kill would: no log is sealed.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        drop(self.stop);
        drop(self.store);
    }

    /// Samples that are stored.
    pub fn samples(&self) -> u64 {
        samples(&self.store)
    }
}

pub fn samples(store: &Store) -> u64 {
    let mut samples = 0;
    let tenant = TenantId::default_tenant();
    let visited = store.visit(&tenant, Wanted::ALL, &mut |part| {
        samples += part.windows.iter().flat_map(|w| &w.rows).map(|row| row.count).sum::<u64>();
        ControlFlow::Continue(())
    });
    visited.unwrap();
    samples
}

/// One stream of an agent.
pub struct Agent {
    out: mpsc::Sender<PushRequest>,
    answers: Streaming<PushResponse>,
    encoder: Encoder,
    pub durable: u64,
}

impl Agent {
    /// Opens a stream and says Hello.
    pub async fn connect(server: &Server, spool: u8) -> Self {
        Self::greet(server, hello(spool)).await.expect("the server says Welcome")
    }

    /// As [`Self::connect`] with any Hello; gives what the server answered instead of Welcome.
    pub async fn greet(server: &Server, hello: Hello) -> Result<Self, Option<In>> {
        Self::greet_at(server.address, hello).await
    }

    /// As [`Self::greet`], with a server of which nothing but the address is known.
    pub async fn greet_at(address: SocketAddr, hello: Hello) -> Result<Self, Option<In>> {
        let mut agent = Self::open_at(address).await;
        agent.send(Out::Hello(hello)).await;
        match agent.answer().await.unwrap() {
            Some(In::Welcome(welcome)) => {
                agent.durable = welcome.durable_sequence;
                Ok(agent)
            }
            other => Err(other),
        }
    }

    /// Opens a stream and says nothing.
    pub async fn open(server: &Server) -> Self {
        Self::open_at(server.address).await
    }

    async fn open_at(address: SocketAddr) -> Self {
        let client = ProfileIngestClient::connect(format!("http://{address}")).await;
        let mut client = client
            .unwrap()
            .send_compressed(CompressionEncoding::Zstd)
            .max_encoding_message_size(usize::MAX);
        let (out, requests) = mpsc::channel(64);
        let answers = client.push(ReceiverStream::new(requests)).await.unwrap().into_inner();
        Self { out, answers, encoder: Encoder::default(), durable: 0 }
    }

    pub async fn send(&self, message: Out) {
        let _ = self.out.send(PushRequest { message: Some(message) }).await;
    }

    /// Sends a batch of one row for each of some stacks, one sample each.
    pub async fn batch(&mut self, sequence: u64, stacks: u64) {
        let batch = self.encode(sequence, now(), stacks);
        self.send(Out::Batch(batch)).await;
    }

    /// Sends a batch of stacks that nobody has seen.
    pub async fn fresh_batch(&mut self, sequence: u64, spool: u64, stacks: u64) {
        let first = (spool << 40) + sequence * stacks;
        let (dictionary, body) = body(sequence, now(), first..first + stacks);
        let batch = self.encoder.encode(&dictionary, &body, &mut Rebase::default()).batch;
        self.send(Out::Batch(batch)).await;
    }

    pub fn encode(&mut self, sequence: u64, start: UnixNanos, stacks: u64) -> Batch {
        let (dictionary, body) = body(sequence, start, 0..stacks);
        self.encoder.encode(&dictionary, &body, &mut Rebase::default()).batch
    }

    /// The next answer, or how the stream ended.
    pub async fn answer(&mut self) -> Result<Option<In>, Status> {
        let answer = tokio::time::timeout(Duration::from_secs(20), self.answers.message()).await;
        Ok(answer.expect("the server answers in time")?.and_then(|answer| answer.message))
    }

    /// Expects the next answer to be an acknowledgement; says whether of a duplicate.
    pub async fn acked(&mut self, sequence: u64) -> bool {
        match self.answer().await.unwrap() {
            Some(In::Ack(ack)) if ack.sequence == sequence => ack.duplicate,
            other => panic!("expected an acknowledgement of {sequence}, got {other:?}"),
        }
    }
}

pub fn hello(spool: u8) -> Hello {
    Hello {
        protocol_minor: 0,
        spool_id: vec![spool; 16].into(),
        host_id: vec![spool + 100; 16].into(),
        host_name: format!("host-{spool}"),
        agent_version: "0.1.0".into(),
    }
}

pub fn now() -> UnixNanos {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    UnixNanos(u64::try_from(now).unwrap()).window_start()
}

fn body(sequence: u64, start: UnixNanos, offsets: Range<u64>) -> (Dictionary, BatchBody) {
    let stacks = offsets.end - offsets.start;
    let mut dictionary = Dictionary::default();
    let series = dictionary.labels.intern(&LabelSet::new([("service_name", "api")]));
    let build_id = BuildId::new(BuildIdKind::Gnu, &[7; 20]).unwrap();
    let mut rows = Vec::new();
    for offset in offsets {
        let frame = Frame::Native { build_id: build_id.clone(), offset };
        let frame = dictionary.frames.intern(&frame);
        let node = dictionary.nodes.child(NodeIx::ROOT, frame);
        let attributes = Default::default();
        rows.push(SampleRow { series, attributes, node, value: 1000, count: 1 });
    }
    let facts = HostFacts {
        cpus: 2,
        samples_taken: stacks,
        sample_source: "cpu-clock".into(),
        frequency_hz: 99,
        stacks_complete: stacks,
        frames_named: 3,
        frames_nameless: 1,
        broken: vec![BrokenStacks { file: "libx.so".into(), reason: "gap".into(), stacks: 2 }],
        nameless: vec![FileNames {
            file: "libx.so".into(),
            build_id: "0c".into(),
            named: 2,
            nameless: 1,
        }],
        ..HostFacts::default()
    };
    let group = RowGroup { profile_type: ProfileType::cpu(), period: 1000, rows };
    let rows = vec![group];
    let duration_ns = WINDOW_NS;
    (dictionary, BatchBody { sequence, start, duration_ns, rows, facts, ..BatchBody::default() })
}
