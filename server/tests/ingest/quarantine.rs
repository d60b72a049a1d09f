//! Batches that cannot be decoded, and peers that are no agents: each ends alone, is counted, and what
//! it sent is kept aside once.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use prost::Message as _;
use stoker_server::ingest::RefusalCode;
use stoker_server::store::StoreConfig;
use stoker_wire::proto::push_request::Message as Out;
use stoker_wire::proto::push_response::Message as In;
use stoker_wire::proto::{Batch, Nodes};
use stoker_wire::{BatchBody, Decoder, WireError};

use crate::agent::{Agent, Server};

/// The batch that the decoder below does not survive.
const POISON: u64 = 2;

/// An error of the kind that nobody has found yet.
fn decode(decoder: &mut Decoder, batch: &Batch) -> Result<BatchBody, WireError> {
    assert!(batch.sequence != POISON || batch.strings.is_empty(), "index out of bounds");
    decoder.decode(batch)
}

fn kept(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("set-aside")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "batch")).collect()
}

fn config(dir: &Path) -> StoreConfig {
    StoreConfig { dir: dir.to_owned(), ..StoreConfig::default() }
}

#[tokio::test]
async fn a_batch_that_crashes_the_decoder_is_kept_aside_and_not_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::decoding(config(dir.path()), decode).await;
    let mut good = Agent::connect(&server, 1).await;
    let mut bad = Agent::connect(&server, 2).await;
    bad.batch(1, 3).await;
    bad.acked(1).await;
    let poison = Batch { strings: vec!["x".into()], ..bad.encode(POISON, crate::agent::now(), 3) };
    bad.send(Out::Batch(poison.clone())).await;
    let Some(In::Refused(refused)) = bad.answer().await.unwrap() else { panic!("no refusal") };
    // An agent takes that for lost, counts it and goes on: it is no Busy, which it would send again.
    assert_eq!((refused.sequence, &*refused.code), (POISON, "crashed"), "{refused:?}");
    assert!(refused.message.contains("index out of bounds"), "{refused:?}");
    let mut bad = Agent::connect(&server, 2).await;
    assert_eq!(bad.durable, 1);
    bad.batch(3, 3).await;
    bad.acked(3).await;
    good.batch(1, 3).await;
    good.acked(1).await;
    assert_eq!(server.samples(), 9);
    let kept = kept(dir.path());
    assert_eq!(kept.len(), 1, "{kept:?}");
    let name = kept[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(name, format!("default-{}-2.crashed.batch", "02".repeat(16)));
    assert_eq!(Batch::decode(&*std::fs::read(&kept[0]).unwrap()).unwrap(), poison);
    assert_eq!(server.metrics.refused(RefusalCode::Crashed), 1);
    assert_eq!(server.store.metrics().batches_quarantined, 1);
}

#[tokio::test]
async fn an_agent_that_sends_nothing_else_does_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    for sequence in 1..=105 {
        let mut bad = Agent::connect(&server, 2).await;
        let nodes = Some(Nodes { parent_back: vec![0], frame_delta: vec![] });
        bad.send(Out::Batch(Batch { sequence, nodes, ..Batch::default() })).await;
        assert!(matches!(bad.answer().await, Ok(Some(In::Refused(_)))));
    }
    assert_eq!(kept(dir.path()).len(), 100);
    assert_eq!(server.store.metrics().batches_quarantined, 105);
}

#[tokio::test]
async fn bytes_that_are_no_protocol_end_their_connection_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut good = Agent::connect(&server, 1).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for garbage in [&[0u8; 5000][..], &[0xff; 5000], b"GET / HTTP/1.1\r\n\r\n", preface] {
        let mut socket = std::net::TcpStream::connect(server.address).unwrap();
        // The server may hang up before it has read all of it.
        let _ = socket.write_all(garbage).and_then(|()| socket.write_all(&[0xaa; 70_000]));
    }
    for sequence in 1..=3 {
        good.batch(sequence, 3).await;
        good.acked(sequence).await;
    }
    assert_eq!(server.samples(), 9);
}
