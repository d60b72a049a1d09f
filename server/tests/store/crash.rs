//! Crashes: a torn end at every byte, and each step of sealing repeated by the next open.

use stoker_server::store::{Appended, TenantId};

use crate::files::{crash_copy, files, folder, open};
use crate::model::{Agent, Content, filled, some_rows};

#[tokio::test]
async fn a_torn_end_takes_only_the_batch_that_was_not_acknowledged() {
    let dir = folder();
    let (store, before, mut agents) = filled(dir.path()).await;
    let log = files(dir.path(), "logs").pop().unwrap();
    let sound = std::fs::metadata(&log).unwrap().len();
    let mut after = before.clone();
    let body = agents[0].batch(4, &some_rows(20));
    agents[0].send(&store, &mut after, body.clone()).await;
    let whole = std::fs::read(&log).unwrap();
    for length in usize::try_from(sound).unwrap()..=whole.len() {
        let copy = crash_copy(dir.path(), false);
        let log = files(copy.path(), "logs").pop().unwrap();
        std::fs::write(&log, &whole[..length]).unwrap();
        let store = open(copy.path());
        let complete = length == whole.len();
        let expected = if complete { &after } else { &before };
        assert_eq!(&Content::of(&store), expected, "cut at {length}");
        // The agent sends it again: it was never acknowledged where it was torn.
        agents[0].rebase = Default::default();
        let sent = agents[0].append(&store, &body).await.unwrap();
        assert_eq!(sent, if complete { Appended::Duplicate } else { Appended::Durable });
        assert_eq!(Content::of(&store), after, "cut at {length}, sent again");
    }
}

#[tokio::test]
async fn garbage_behind_the_last_record_is_a_torn_end() {
    for garbage in [&[0u8; 4096][..], &[0xff; 100], b"STKRLOG\n"] {
        let dir = folder();
        let (store, model, _) = filled(dir.path()).await;
        let copy = crash_copy(dir.path(), true);
        drop(store);
        let log = files(copy.path(), "logs").pop().unwrap();
        let mut bytes = std::fs::read(&log).unwrap();
        bytes.extend_from_slice(garbage);
        std::fs::write(&log, bytes).unwrap();
        let store = open(copy.path());
        assert_eq!(Content::of(&store), model);
        assert_eq!(store.metrics().set_aside, 0);
    }
}

#[tokio::test]
async fn a_log_that_outlives_its_segment_is_not_counted_twice() {
    let dir = folder();
    let (store, model, _) = filled(dir.path()).await;
    let copy = crash_copy(dir.path(), false);
    store.flush_and_close().await.unwrap();
    // As if the crash came between the segment and the end of its log.
    let log = files(copy.path(), "logs").pop().unwrap();
    let back = dir.path().join("logs/default").join(log.file_name().unwrap());
    std::fs::copy(&log, &back).unwrap();
    let store = open(dir.path());
    assert_eq!(Content::of(&store), model);
    assert!(!back.exists());
}

#[tokio::test]
async fn of_two_segments_of_one_log_one_counts() {
    let dir = folder();
    let (store, model, agents) = filled(dir.path()).await;
    let copy = crash_copy(dir.path(), false);
    store.flush_and_close().await.unwrap();
    let other = open(copy.path());
    other.flush_and_close().await.unwrap();
    let twin = files(copy.path(), "segments").pop().unwrap();
    let to = dir.path().join("segments/default").join(twin.file_name().unwrap());
    std::fs::copy(&twin, &to).unwrap();
    let store = open(dir.path());
    assert_eq!(Content::of(&store), model);
    assert_eq!(files(dir.path(), "segments").len(), 1);
    let tenant = TenantId::default_tenant();
    assert_eq!(store.watermark(&tenant, agents[0].source.spool_id), agents[0].sequence);
}

#[tokio::test]
async fn what_a_crash_left_half_written_goes() {
    let dir = folder();
    let (store, model, _) = filled(dir.path()).await;
    store.flush_and_close().await.unwrap();
    let segments = dir.path().join("segments/default");
    std::fs::write(segments.join("00000000000000ff.seg.unfinished"), b"half").unwrap();
    std::fs::write(dir.path().join("logs/default/7fffffffffffffff.log"), b"STKR").unwrap();
    let store = open(dir.path());
    assert_eq!(Content::of(&store), model);
    assert_eq!(files(dir.path(), "segments").len(), 1);
    assert_eq!(files(dir.path(), "logs").len(), 0);
    // The id of the log that never began is not used again, nor any below it.
    let mut agent = Agent::new(9);
    let body = agent.batch(0, &some_rows(0));
    agent.send(&store, &mut model.clone(), body).await;
    let log = files(dir.path(), "logs").pop().unwrap();
    assert!(log.file_name().unwrap() > "7fffffffffffffff.log", "{log:?}");
}
