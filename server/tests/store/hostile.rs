//! Content that no store has written, under checksums that are right: read as far as it makes sense, or
//! refused, and never a panic. The fuzz targets `store_log` and `store_segment` look for longer.

use std::path::Path;
use std::sync::Arc;

use prost::Message as _;
use stoker_server::store::inspect::{LooseBlock, log_of, read_log, read_segment, segment_of};
use stoker_server::store::messages::Footer;
use stoker_server::store::{RealDisk, Store, TenantId};

use crate::files::{crash_copy, files, folder};
use crate::model::{Agent, filled, some_rows};

const CHANGES: u64 = 1500;
/// Kinds of blocks that are messages, compressed as a whole; see `docs/formats.md`.
const MESSAGES: [u32; 3] = [1, 4, 11];

/// Some bytes other than they were, more or fewer of them.
fn change(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(1..4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.usize(..bytes.len());
        match random.u8(..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.u8(..)),
            2 => drop(bytes.remove(at)),
            3 => bytes[at] ^= 1 << random.u8(..8),
            4 => bytes[at] = 0xff,
            _ => bytes[at] = random.u8(..),
        }
    }
}

/// A batch that tells samples one by one.
async fn add_details(store: &Store) {
    let mut agent = Agent::new(3);
    let body = agent.batch(1, &some_rows(3));
    assert!(body.detailed_samples() > 0);
    agent.append(store, &body).await.unwrap();
}

#[tokio::test]
async fn records_that_make_no_sense_are_no_panic() {
    let dir = folder();
    let (store, _, _) = filled(dir.path()).await;
    add_details(&store).await;
    let copy = crash_copy(dir.path(), false);
    drop(store);
    let bytes = std::fs::read(files(copy.path(), "logs").pop().unwrap()).unwrap();
    let (mut records, mut at) = (Vec::new(), 16);
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        records.push(bytes[at + 12..at + 12 + length].to_vec());
        at += 12 + length;
    }
    let path = copy.path().join("changed.log");
    let read = |records: &[Vec<u8>]| {
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        std::fs::write(&path, log_of(&records)).unwrap();
        read_log(&RealDisk, &path)
    };
    let whole = read(&records).unwrap();
    assert!(whole > 10);
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..CHANGES {
        let mut changed = records.clone();
        let at = random.usize(..changed.len());
        change(&mut random, &mut changed[at]);
        assert!(read(&changed).unwrap() <= whole * 2);
    }
}

#[tokio::test]
async fn blocks_that_make_no_sense_are_no_panic() {
    let dir = folder();
    let (store, _, _) = filled(dir.path()).await;
    add_details(&store).await;
    store.flush_and_close().await.unwrap();
    let file = files(dir.path(), "segments").pop().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let end = bytes.len() - 16;
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
    let footer = Footer::decode(&bytes[end - length..end]).unwrap();
    let blocks: Vec<(u32, u64, Vec<u8>)> = footer
        .blocks
        .iter()
        .map(|block| {
            let at = usize::try_from(block.offset).unwrap();
            let stored = &bytes[at..at + usize::try_from(block.length).unwrap()];
            let raw = usize::try_from(block.raw_length).unwrap();
            let is_message = MESSAGES.contains(&block.kind);
            let content = if is_message {
                zstd::bulk::decompress(stored, raw).unwrap()
            } else {
                stored.to_vec()
            };
            (block.kind, block.rows, content)
        })
        .collect();
    let (tenant, id) = (TenantId::default_tenant(), footer.id);
    let read = |blocks: &[(u32, u64, Vec<u8>)]| {
        let blocks: Vec<LooseBlock<'_>> = blocks
            .iter()
            .map(|(kind, rows, content)| LooseBlock { kind: *kind, slice: 0, rows: *rows, content })
            .collect();
        std::fs::write(&file, segment_of(footer.clone(), &blocks)).unwrap();
        read_segment(Arc::new(RealDisk), Path::new(dir.path()), &tenant, id)
    };
    // The second profile type's rows are framed as the first's, so they are read as such.
    assert!(read(&blocks).unwrap() > 10);
    let mut random = fastrand::Rng::with_seed(7);
    let mut refused = 0;
    for _ in 0..CHANGES {
        let mut changed = blocks.clone();
        let at = random.usize(..changed.len());
        change(&mut random, &mut changed[at].2);
        if random.u8(..10) == 0 {
            changed[at].1 = random.u64(..);
        }
        refused += u32::from(read(&changed).is_err());
    }
    assert!(refused > 100, "{refused} of {CHANGES} were refused");
}
