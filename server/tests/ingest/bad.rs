//! Streams that send nonsense end with a reason, alone.

use std::time::Duration;

use stoker_dag::UnixNanos;
use stoker_server::ingest::RefusalCode;
use stoker_wire::limits;
use stoker_wire::proto::push_request::Message as Out;
use stoker_wire::proto::push_response::Message as In;
use stoker_wire::proto::{Batch, Hello, Nodes, Rows};

use crate::agent::{Agent, Server, hello, now};

/// Sends one bad batch after a good one, beside a good agent; gives the last word.
async fn last_word(bad: impl FnOnce(&mut Agent) -> Batch, code: RefusalCode) -> In {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut good = Agent::connect(&server, 1).await;
    let mut other = Agent::connect(&server, 2).await;
    good.batch(1, 3).await;
    other.batch(1, 3).await;
    let batch = bad(&mut other);
    other.send(Out::Batch(batch)).await;
    other.batch(9, 3).await;
    good.batch(2, 3).await;
    assert!(!other.acked(1).await, "what came before is acknowledged");
    let word = other.answer().await.unwrap().expect("a last word");
    assert!(!matches!(other.answer().await, Ok(Some(_))), "nothing comes after it");
    for sequence in [1, 2] {
        assert!(!good.acked(sequence).await, "the good agent goes on");
    }
    assert_eq!(server.metrics.refused(code), 1);
    assert_eq!(server.samples(), 9);
    assert_eq!(Agent::connect(&server, 2).await.durable, 1);
    word
}

#[track_caller]
fn is_refused(word: &In, sequence: u64, code: &str) {
    let In::Refused(refused) = word else { panic!("expected a refusal, got {word:?}") };
    assert_eq!((refused.sequence, &*refused.code), (sequence, code));
    assert!(!refused.message.is_empty() && !refused.hint.is_empty(), "{refused:?}");
}

#[tokio::test]
async fn garbage_is_refused() {
    let garbage = |_: &mut Agent| Batch {
        sequence: 2,
        nodes: Some(Nodes { parent_back: vec![0], frame_delta: vec![] }),
        ..Batch::default()
    };
    is_refused(&last_word(garbage, RefusalCode::Malformed).await, 2, "malformed");
    let without_sequence = |_: &mut Agent| Batch::default();
    is_refused(&last_word(without_sequence, RefusalCode::Malformed).await, 0, "malformed");
}

#[tokio::test]
async fn too_much_is_refused() {
    let long = |_: &mut Agent| Batch {
        sequence: 2,
        strings: vec!["x".repeat(limits::MAX_STRING_BYTES + 1)],
        ..Batch::default()
    };
    is_refused(&last_word(long, RefusalCode::TooLarge).await, 2, "too_large");
}

#[tokio::test]
async fn an_unknown_id_is_named() {
    let unknown = |_: &mut Agent| Batch {
        sequence: 2,
        start_unix_ns: now().0,
        rows: vec![Rows { profile_type: 77, ..Rows::default() }],
        ..Batch::default()
    };
    let In::Unknown(word) = last_word(unknown, RefusalCode::UnknownId).await else {
        panic!("expected UnknownId")
    };
    assert_eq!((word.sequence, &*word.dictionary, word.id), (2, "string", 77));
}

#[tokio::test]
async fn the_future_is_refused() {
    let ahead = |seconds: u64| UnixNanos(now().0 + seconds * 1_000_000_000).window_start();
    let future = move |agent: &mut Agent| agent.encode(2, ahead(700), 3);
    is_refused(&last_word(future, RefusalCode::Future).await, 2, "from_the_future");
}

#[tokio::test]
async fn what_would_be_removed_at_once_is_refused() {
    let old = UnixNanos(now().0 - 401 * 24 * 3_600_000_000_000).window_start();
    let past = move |agent: &mut Agent| agent.encode(2, old, 3);
    is_refused(&last_word(past, RefusalCode::BeyondRetention).await, 2, "beyond_retention");
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut good = Agent::connect(&server, 1).await;
    for bytes in [limits::MAX_BATCH_BYTES + 1, 20 * limits::MAX_BATCH_BYTES] {
        let mut bad = Agent::connect(&server, 2).await;
        let strings = vec!["x".repeat(bytes)];
        bad.send(Out::Batch(Batch { sequence: 1, strings, ..Batch::default() })).await;
        let status = bad.answer().await.expect_err("the stream ends");
        assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}");
        assert!(status.message().contains("16777216"), "{status}");
    }
    good.batch(1, 3).await;
    good.acked(1).await;
    assert_eq!(server.metrics.refused(RefusalCode::TooLarge), 2);
    assert_eq!(server.samples(), 3);
}

#[tokio::test]
async fn a_stream_begins_with_one_hello_that_makes_sense() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    for bad in [
        Hello { spool_id: vec![1; 15].into(), ..hello(1) },
        Hello { host_id: vec![].into(), ..hello(1) },
        Hello { host_name: "x".repeat(1000), ..hello(1) },
    ] {
        let word = Agent::greet(&server, bad).await.err().expect("no Welcome");
        is_refused(&word.expect("a last word"), 0, "bad_hello");
    }
    let mut silent = Agent::open(&server).await;
    silent.batch(1, 1).await;
    is_refused(&silent.answer().await.unwrap().unwrap(), 0, "bad_hello");
    let mut twice = Agent::connect(&server, 1).await;
    twice.send(Out::Hello(hello(1))).await;
    is_refused(&twice.answer().await.unwrap().unwrap(), 0, "bad_hello");
    assert_eq!(server.metrics.refused(RefusalCode::BadHello), 5);
}

#[tokio::test]
async fn a_label_explosion_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = stoker_server::store::StoreConfig {
        dir: dir.path().to_owned(),
        max_series: 0,
        ..Default::default()
    };
    let server = Server::with(config).await;
    let mut agent = Agent::connect(&server, 1).await;
    agent.batch(1, 3).await;
    is_refused(&agent.answer().await.unwrap().unwrap(), 1, "too_many_series");
    assert_eq!(server.samples(), 0);
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_keeps_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut agent = Agent::connect(&server, 1).await;
    agent.batch(1, 3).await;
    agent.acked(1).await;
    server.store.flush_and_close().await.unwrap();
    agent.batch(2, 3).await;
    let status = agent.answer().await.expect_err("the stream ends");
    assert_eq!(status.code(), tonic::Code::Unavailable);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let again = Server::start(dir.path()).await;
    assert_eq!(again.samples(), 3);
    assert_eq!(Agent::connect(&again, 1).await.durable, 1);
}
