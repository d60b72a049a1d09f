//! The real server, killed with SIGKILL under load again and again: every acknowledged batch is there
//! exactly once. `STOKER_CRASHES` says how often (50 unless told).

#![expect(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stoker_dag::{Frame, LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos, WINDOW_NS};
use stoker_server::store::{Store, StoreConfig, TenantId, TimeRange, Wanted};
use stoker_wire::proto::profile_ingest_client::ProfileIngestClient;
use stoker_wire::proto::push_request::Message as Out;
use stoker_wire::proto::push_response::Message as In;
use stoker_wire::proto::{Hello, PushRequest};
use stoker_wire::{BatchBody, Dictionary, Encoder, HostFacts, Rebase, RowGroup};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const CRASHES: u64 = 50;
const SPOOLS: u8 = 2;
/// Batches under way at a time.
const IN_FLIGHT: u64 = 16;
/// Stacks, so that what is lost in one batch cannot be made up by another.
const STACKS: u64 = 50;

struct Server {
    child: Child,
    grpc: String,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stoker-server"))
            .args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--log", "error"])
            .arg("--data-dir")
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let grpc = lines.map(Result::unwrap).find_map(|line| {
            line.strip_prefix("grpc://").map(|address| format!("http://{address}"))
        });
        Self { child, grpc: grpc.expect("the server starts and says where it listens") }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What one agent sends: batch `n` has `n` samples on stack `n % STACKS`.
struct Agent {
    spool: u8,
    dictionary: Dictionary,
    encoder: Encoder,
    rebase: Rebase,
}

fn host(spool: u8) -> String {
    format!("host-{spool}")
}

impl Agent {
    fn new(spool: u8) -> Self {
        let (encoder, rebase) = (Encoder::default(), Rebase::default());
        Self { spool, dictionary: Dictionary::default(), encoder, rebase }
    }

    fn batch(&mut self, sequence: u64) -> stoker_wire::proto::Batch {
        let dictionary = &mut self.dictionary;
        let frame = dictionary.frames.intern(&Frame::Interpreted {
            runtime: "python".into(),
            module: "app.py".into(),
            function: (sequence % STACKS).to_string().into(),
            line: 1,
        });
        let row = SampleRow {
            series: dictionary.labels.intern(&LabelSet::new([("host", host(self.spool))])),
            attributes: Default::default(),
            node: dictionary.nodes.child(NodeIx::ROOT, frame),
            value: sequence * 1000,
            count: sequence,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let body = BatchBody {
            sequence,
            start: UnixNanos(u64::try_from(now).unwrap() - (sequence % 7) * WINDOW_NS),
            duration_ns: 1,
            rows: vec![RowGroup {
                profile_type: ProfileType::cpu(),
                period: 1000,
                rows: vec![row],
            }],
            facts: HostFacts { samples_taken: sequence, ..HostFacts::default() },
            ..BatchBody::default()
        };
        self.encoder.encode(&self.dictionary, &body, &mut self.rebase).batch
    }
}

/// Streams until the server dies or it is enough; gives the highest sequence that was acknowledged.
async fn stream(spool: u8, grpc: &str, acknowledged: u64, enough: &AtomicBool) -> u64 {
    let Ok(mut client) = ProfileIngestClient::connect(grpc.to_owned()).await else {
        return acknowledged;
    };
    let request = |message| PushRequest { message: Some(message) };
    let (out, requests) = mpsc::channel(64);
    let hello = Hello {
        spool_id: vec![spool; 16].into(),
        host_id: vec![spool; 16].into(),
        host_name: host(spool),
        ..Hello::default()
    };
    out.send(request(Out::Hello(hello))).await.unwrap();
    let Ok(answers) = client.push(ReceiverStream::new(requests)).await else {
        return acknowledged;
    };
    let mut answers = answers.into_inner();
    let mut acked = acknowledged;
    let Ok(Some(welcome)) = answers.message().await else { return acked };
    let Some(In::Welcome(welcome)) = welcome.message else { panic!("no welcome") };
    assert!(welcome.durable_sequence >= acked, "an acknowledged batch is gone");
    acked = welcome.durable_sequence;
    let (mut agent, mut next) = (Agent::new(spool), acked + 1);
    loop {
        while next <= acked + IN_FLIGHT && !enough.load(Ordering::Relaxed) {
            if out.send(request(Out::Batch(agent.batch(next)))).await.is_err() {
                return acked;
            }
            next += 1;
        }
        if acked + 1 == next {
            return acked;
        }
        match answers.message().await.map(|answer| answer.and_then(|answer| answer.message)) {
            Ok(Some(In::Ack(ack))) => acked = ack.sequence,
            Ok(Some(other)) => panic!("{other:?}"),
            _ => return acked,
        }
    }
}

fn stored(dir: &Path) -> BTreeMap<(String, String), u64> {
    let config = StoreConfig { dir: dir.to_owned(), ..StoreConfig::default() };
    let store = Store::open(config).unwrap();
    let tenant = TenantId::default_tenant();
    assert_eq!(store.losses(&tenant, TimeRange::ALL), []);
    let mut sums = BTreeMap::new();
    let visited = store.visit(&tenant, Wanted::ALL, &mut |part| {
        for row in part.windows.iter().flat_map(|held| &held.rows) {
            let host = part.dictionary.labels.get(row.series).get("host").to_owned();
            let frame = part.dictionary.nodes.frame(row.node).unwrap();
            let Frame::Interpreted { function, .. } = part.dictionary.frames.frame(frame) else {
                panic!("another frame");
            };
            *sums.entry((host, function.to_string())).or_insert(0) += row.count;
        }
        std::ops::ControlFlow::Continue(())
    });
    visited.unwrap();
    sums
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let crashes = std::env::var("STOKER_CRASHES").ok().and_then(|n| n.parse().ok());
    let crashes = crashes.unwrap_or(CRASHES);
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = vec![0; usize::from(SPOOLS)];
    let mut random = fastrand::Rng::with_seed(3);
    for crash in 0..=crashes {
        let server = Server::start(dir.path());
        let enough = Arc::new(AtomicBool::new(false));
        let streams: Vec<_> = (0..SPOOLS)
            .map(|spool| {
                let (grpc, enough) = (server.grpc.clone(), Arc::clone(&enough));
                let from = acknowledged[usize::from(spool)];
                tokio::spawn(async move { stream(spool + 1, &grpc, from, &enough).await })
            })
            .collect();
        // Some die while they start, most under load, some while they merge.
        let life = if crash % 10 == 9 { random.u64(1000..1600) } else { random.u64(..400) };
        tokio::time::sleep(Duration::from_millis(life)).await;
        // The last one dies only when all that was sent is acknowledged.
        let mut server = Some(server);
        if crash == crashes {
            enough.store(true, Ordering::Relaxed);
        } else if let Some(server) = server.take() {
            tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
        }
        for (held, stream) in acknowledged.iter_mut().zip(streams) {
            *held = stream.await.unwrap();
        }
        server.into_iter().for_each(Server::kill);
    }
    let mut expected = BTreeMap::new();
    for (spool, last) in (1..=SPOOLS).zip(&acknowledged) {
        for sequence in 1..=*last {
            let key = (host(spool), (sequence % STACKS).to_string());
            *expected.entry(key).or_insert(0) += sequence;
        }
    }
    assert!(acknowledged.iter().all(|last| *last > crashes), "hardly anything: {acknowledged:?}");
    assert_eq!(stored(dir.path()), expected, "after {crashes} crashes, sent {acknowledged:?}");
}
