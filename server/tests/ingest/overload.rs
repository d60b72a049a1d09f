//! More than the server has memory for: agents wait, begin again, and in the end all of it is stored
//! once. The long form, with resident memory, is `cargo xtask overload`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stoker_server::store::StoreConfig;
use stoker_wire::proto::push_response::Message as In;

use crate::agent::{Agent, Server, hello};

const AGENTS: u64 = 4;
const BATCHES: u64 = 30;
const STACKS: u64 = 1_000;
const MEMORY: u64 = 6 << 20;

/// Sends all batches, on as many streams as it takes; gives how often it was told to wait.
async fn send_all(address: SocketAddr, spool: u8) -> u64 {
    let mut waits = 0;
    loop {
        let mut agent = Agent::greet_at(address, hello(spool)).await.unwrap();
        let (mut sent, mut acked) = (agent.durable, agent.durable);
        while acked < BATCHES {
            while sent < BATCHES && sent < acked + 16 {
                sent += 1;
                agent.fresh_batch(sent, spool.into(), STACKS).await;
            }
            match agent.answer().await.unwrap() {
                Some(In::Ack(ack)) => acked = ack.sequence,
                Some(In::Busy(_)) => break,
                other => panic!("{other:?}"),
            }
        }
        if acked == BATCHES {
            return waits;
        }
        waits += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_within_its_bounds_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig { ingest_memory: MEMORY, ..StoreConfig::default() };
    let config = StoreConfig { dir: dir.path().to_owned(), ..config };
    let server = Server::with(config).await;
    let agents: Vec<_> = (1..=AGENTS)
        .map(|spool| tokio::spawn(send_all(server.address, u8::try_from(spool).unwrap())))
        .collect();
    let (mut logs, mut streams) = (0, 0);
    while agents.iter().any(|agent| !agent.is_finished()) {
        logs = logs.max(server.store.metrics().logs_memory_bytes);
        streams = streams.max(server.metrics.counts().stream_bytes);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut waits = 0;
    for agent in agents {
        waits += agent.await.unwrap();
    }
    assert_eq!(server.samples(), AGENTS * BATCHES * STACKS);
    assert!(waits > 0, "nobody had to wait");
    // Unbounded it would be about seven times as much. Every stream may be let in with one batch (some
    // 400 KiB) before what it brings is counted, and each log may be one batch over.
    assert!(logs < MEMORY, "logs took {logs}");
    assert!(streams < MEMORY / 4 * 3, "streams took {streams}");
    assert_eq!(server.metrics.counts().duplicates, 0);
}

/// What the whole process may take beside its setting, as `docs/operations.md` says.
const BASE_MIB: u64 = 96;

/// The real server with the least setting that there is.
fn start(dir: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stoker-server"))
        .args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--log", "error"])
        .args(["--ingest-memory", "64MiB", "--data-dir"])
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.find_map(|line| Some(line.strip_prefix("grpc://")?.parse().unwrap()));
    (child, address.expect("it says where it listens"))
}

/// Memory of the process that is no page of a file, in KiB: a debug build has many of those.
fn anonymous_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_process_stays_within_its_setting_and_what_is_promised_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, address) = start(dir.path());
    // Spools beyond the first send the same again, as stacks that nobody has seen.
    let agents: Vec<_> = (1..=16).map(|spool| tokio::spawn(send_all(address, spool))).collect();
    let mut most = 0;
    while agents.iter().any(|agent| !agent.is_finished()) {
        most = most.max(anonymous_kib(&child));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for agent in agents {
        agent.await.unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(most / 1024 <= 64 + BASE_MIB, "it took {} MiB", most / 1024);
}
