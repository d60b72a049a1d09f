//! Agents that behave, and servers and connections that do not.

use std::time::Duration;

use stoker_server::ingest::MAX_UNACKED;
use stoker_server::store::TenantId;
use stoker_wire::proto::push_request::Message as Out;

use crate::agent::{Agent, Server, now, samples};

#[tokio::test]
async fn batches_are_acknowledged_in_order_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut agent = Agent::connect(&server, 1).await;
    assert_eq!(agent.durable, 0);
    let many = 3 * u64::try_from(MAX_UNACKED).unwrap();
    for sequence in 1..=many {
        agent.batch(sequence, 5).await;
    }
    for sequence in 1..=many {
        assert!(!agent.acked(sequence).await);
    }
    agent.batch(many, 5).await;
    assert!(agent.acked(many).await, "a duplicate");
    assert_eq!(server.samples(), many * 5);
    // A new stream is told how far the spool is durable, and a gap is no fault.
    let mut agent = Agent::connect(&server, 1).await;
    assert_eq!(agent.durable, many);
    agent.batch(many - 1, 5).await;
    agent.batch(many + 7, 5).await;
    assert!(agent.acked(many - 1).await);
    assert!(!agent.acked(many + 7).await);
    assert_eq!(server.samples(), (many + 1) * 5);
    let counts = server.metrics.counts();
    assert_eq!((counts.batches, counts.duplicates, counts.streams), (many + 1, 2, 2));
    assert_eq!((counts.rows, counts.samples), ((many + 1) * 5, (many + 1) * 5));
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = 0;
    for round in 0..3 {
        let server = Server::start(dir.path()).await;
        assert_eq!(server.samples(), acked * 4);
        let mut agent = Agent::connect(&server, 1).await;
        assert_eq!(agent.durable, acked);
        for sequence in acked + 1..=acked + 6 {
            agent.batch(sequence, 4).await;
        }
        for sequence in acked + 1..=acked + 6 {
            agent.acked(sequence).await;
        }
        acked += 6;
        drop(agent);
        if round == 1 {
            server.store.flush_and_close().await.unwrap();
        }
        server.kill().await;
        // The stream's task may hold the store a moment longer.
        wait_until_free(dir.path()).await;
    }
    let server = Server::start(dir.path()).await;
    assert_eq!(server.samples(), acked * 4);
}

async fn wait_until_free(dir: &std::path::Path) {
    for _ in 0..500 {
        let lock = std::fs::File::open(dir.join("LOCK")).unwrap();
        if lock.try_lock().is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the folder stays locked");
}

#[tokio::test]
async fn a_client_that_vanishes_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut good = Agent::connect(&server, 1).await;
    for spool in 2..12 {
        let mut gone = Agent::connect(&server, spool).await;
        for sequence in 1..10 {
            gone.batch(sequence, 3).await;
        }
        drop(gone);
    }
    for sequence in 1..10 {
        good.batch(sequence, 3).await;
        good.acked(sequence).await;
    }
    // Whatever of the others arrived is whole: each batch has three samples.
    assert_eq!(server.samples() % 3, 0);
    let stored = server.samples();
    for spool in 2..12 {
        let mut back = Agent::connect(&server, spool).await;
        let durable = back.durable;
        for sequence in durable + 1..10 {
            back.batch(sequence, 3).await;
        }
        for sequence in durable + 1..10 {
            back.acked(sequence).await;
        }
    }
    assert!(server.samples() >= stored);
    assert_eq!(server.samples(), 11 * 9 * 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_streams_of_one_spool_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let (mut one, mut two) = (Agent::connect(&server, 1).await, Agent::connect(&server, 1).await);
    for sequence in 1..=12 {
        one.batch(sequence, 2).await;
        two.batch(sequence, 2).await;
    }
    let mut duplicates = 0;
    for sequence in 1..=12 {
        duplicates += u32::from(one.acked(sequence).await);
        duplicates += u32::from(two.acked(sequence).await);
    }
    assert_eq!((duplicates, server.samples()), (12, 24));
}

#[tokio::test]
async fn logs_that_roll_in_mid_stream_keep_every_batch() {
    let dir = tempfile::tempdir().unwrap();
    let config = stoker_server::store::StoreConfig {
        dir: dir.path().to_owned(),
        seal_rows: 10,
        maintain_every: Duration::ZERO,
        ..Default::default()
    };
    let server = Server::with(config).await;
    let mut agent = Agent::connect(&server, 1).await;
    for sequence in 1..=60 {
        agent.batch(sequence, 3).await;
    }
    for sequence in 1..=60 {
        assert!(!agent.acked(sequence).await);
    }
    assert_eq!(server.samples(), 180);
    server.store.flush_and_close().await.unwrap();
    assert!(server.store.metrics().segments > 10);
    assert_eq!(samples(&server.store), 180);
}

#[tokio::test]
async fn agents_are_known_by_what_they_said() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut agent = Agent::connect(&server, 1).await;
    let _other = Agent::connect(&server, 2).await;
    // Old data are taken: spools and imports may be old.
    let six_days_ago = stoker_dag::UnixNanos(now().0 - 6 * 24 * 3_600_000_000_000);
    let old = agent.encode(1, six_days_ago.window_start(), 5);
    agent.send(Out::Batch(old)).await;
    agent.acked(1).await;
    agent.batch(2, 5).await;
    agent.acked(2).await;
    agent.batch(2, 5).await;
    agent.acked(2).await;
    let agents = server.agents.list(&TenantId::default_tenant());
    assert_eq!(agents.len(), 2);
    let one = &agents[0];
    assert_eq!((&*one.host, one.host_id, &*one.version), ("host-1", [101; 16], "0.1.0"));
    assert_eq!((one.cpus, one.frequency_hz, &*one.sample_source), (2, 99, "cpu-clock"));
    assert_eq!((one.samples_taken, one.unwind.complete), (10, 10));
    assert!(one.last_seen >= now());
    // The batch that came twice counts once here too.
    assert_eq!((one.trouble.frames.named, one.trouble.frames.nameless), (6, 2));
    let broken: Vec<_> = one.trouble.broken().collect();
    assert_eq!((broken.len(), &*broken[0].file, broken[0].stacks), (1, "libx.so", 4));
    let nameless: Vec<_> = one.trouble.nameless().collect();
    assert_eq!((&*nameless[0].build_id, nameless[0].named, nameless[0].nameless), ("0c", 4, 2));
    assert_eq!(server.metrics.counts().streams_open, 2);
}
