//! Files of a later version: the server starts, serves the rest, names them and leaves them alone, and
//! the later version finds all of it again.

use std::path::Path;

use stoker_server::store::{Store, TenantId, TimeRange};

use crate::files::{config, crash_copy, files, folder, open};
use crate::model::{Agent, Content, filled, some_rows};

/// Makes a file say that it is of another version.
fn set_version(file: &Path, version: u8) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[8] = version;
    std::fs::write(file, bytes).unwrap();
}

fn losses(store: &Store) -> Vec<String> {
    let losses = store.losses(&TenantId::default_tenant(), TimeRange::ALL);
    losses.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_newer_log_is_left_alone_and_all_there_for_its_version() {
    let dir = folder();
    let (store, before, mut agents) = filled(dir.path()).await;
    let copy = crash_copy(dir.path(), true);
    drop(store);
    let log = files(copy.path(), "logs").pop().unwrap();
    set_version(&log, 2);
    // The older version runs for a while: it takes batches and seals them.
    let store = open(copy.path());
    assert_eq!(Content::of(&store), Content::default());
    let lost = losses(&store);
    assert!(
        lost.len() == 1 && lost[0].contains("has format 2, this version reads up to 1"),
        "{lost:?}"
    );
    assert_eq!(store.metrics().read_failures, 1);
    let mut since = Content::default();
    agents[0].rebase = Default::default();
    let body = agents[0].batch(7, &some_rows(2));
    agents[0].send(&store, &mut since, body).await;
    store.flush_and_close().await.unwrap();
    let store = open(copy.path());
    assert_eq!((Content::of(&store), losses(&store).len()), (since.clone(), 1));
    store.flush_and_close().await.unwrap();
    let (code, stdout) = check(copy.path());
    assert!(code == 1 && stdout.contains("has format 2") && !stdout.contains("LOST"), "{stdout}");
    // Then the newer one again.
    set_version(&log, 1);
    let mut both = before;
    both.rows.extend(since.rows);
    both.details.extend(since.details);
    both.taken.extend(since.taken);
    for _ in 0..2 {
        let store = open(copy.path());
        assert_eq!((Content::of(&store), losses(&store)), (both.clone(), vec![]));
        store.flush_and_close().await.unwrap();
    }
    assert!(!log.exists(), "it is sealed by now");
    assert_eq!(std::fs::read_dir(copy.path().join("set-aside")).unwrap().count(), 0);
}

fn check(dir: &Path) -> (i32, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stoker-server"))
        .args(["check", "--data-dir"])
        .arg(dir)
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn a_newer_segment_is_left_alone_whatever_the_index_says() {
    let dir = folder();
    let (store, before, _) = filled(dir.path()).await;
    store.flush_and_close().await.unwrap();
    let segment = files(dir.path(), "segments").pop().unwrap();
    set_version(&segment, 99);
    let mut agent = Agent::new(9);
    let mut since = Content::default();
    for with_index in [true, false] {
        let copy = crash_copy(dir.path(), with_index);
        let store = Store::open(config(copy.path())).unwrap();
        let lost = losses(&store);
        assert!(lost.len() == 1 && lost[0].contains("has format 99"), "{lost:?}");
        assert_eq!(Content::of(&store), Content::default());
        agent.reconnect();
        agent.sequence = 0;
        since = Content::default();
        let body = agent.batch(7, &some_rows(2));
        agent.send(&store, &mut since, body).await;
        store.flush_and_close().await.unwrap();
        let store = open(copy.path());
        assert_eq!(Content::of(&store), since);
        store.flush_and_close().await.unwrap();
        set_version(&copy.path().join(segment.strip_prefix(dir.path()).unwrap()), 2);
        let store = open(copy.path());
        let mut both = before.clone();
        both.rows.extend(since.rows.clone());
        both.details.extend(since.details.clone());
        both.taken.extend(since.taken.clone());
        assert_eq!((Content::of(&store), losses(&store)), (both, vec![]));
    }
    assert!(!since.rows.is_empty());
}
