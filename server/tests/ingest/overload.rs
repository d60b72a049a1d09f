//! More than the server has memory for: agents wait, begin again, and in the end all of it is stored
//! once. The long form, with resident memory, is `cargo xtask overload`.

use std::time::Duration;

use stoker_server::store::StoreConfig;
use stoker_wire::proto::push_response::Message as In;

use crate::agent::{Agent, Server};

const AGENTS: u64 = 4;
const BATCHES: u64 = 30;
const STACKS: u64 = 1_000;
/// Logs and streams take a half and a quarter of it.
const MEMORY: u64 = 6 << 20;

/// Sends all batches, on as many streams as it takes; gives how often it was told to wait.
async fn send_all(server: &Server, spool: u8) -> u64 {
    let mut waits = 0;
    loop {
        let mut agent = Agent::connect(server, spool).await;
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
    let server = std::sync::Arc::new(Server::with(config).await);
    let agents: Vec<_> = (1..=AGENTS)
        .map(|spool| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move { send_all(&server, u8::try_from(spool).unwrap()).await })
        })
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
