//! Merging and removing: the answers stay what they were, and what goes goes for good.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stoker_dag::{UnixNanos, WINDOW_NS};
use stoker_server::store::{
    Appended, Disk, RealDisk, Store, StoreConfig, StoreError, TenantId, TimeRange, Wanted,
};

use crate::files::{config, crash_copy, files, folder, open, real_disk};
use crate::model::{Agent, Content, EPOCH, some_rows};

const LATE: UnixNanos = UnixNanos(u64::MAX);
const HOUR: u64 = 360;

fn merge(store: &Store, now: UnixNanos) {
    while store.maintain(now) {}
}

/// A folder with one segment for each window, closed, and what it holds.
async fn segments(dir: &Path, windows: &[u64]) -> (Content, Agent) {
    let (mut agent, mut model) = (Agent::new(1), Content::default());
    for (n, window) in windows.iter().enumerate() {
        let store = open(dir);
        agent.reconnect();
        let body = agent.batch(*window, &some_rows(u8::try_from(n % 40).unwrap()));
        agent.send(&store, &mut model, body).await;
        store.flush_and_close().await.unwrap();
    }
    (model, agent)
}

fn names(store: &Store) -> Vec<String> {
    store.names(&TenantId::default_tenant(), |names| {
        let mut all: Vec<String> = names
            .definitions
            .iter()
            .map(|(id, definition)| format!("{id:?} {definition:?}"))
            .collect();
        all.sort();
        all
    })
}

#[tokio::test]
async fn the_segments_of_an_hour_become_one() {
    let dir = folder();
    let (model, agent) = segments(dir.path(), &[0, 1, 1, 2, HOUR, HOUR + 1]).await;
    assert_eq!(files(dir.path(), "segments").len(), 6);
    let store = open(dir.path());
    let named = names(&store);
    merge(&store, LATE);
    assert_eq!(files(dir.path(), "segments").len(), 2);
    assert_eq!(Content::of(&store), model);
    assert_eq!(store.metrics().compactions, 2);
    for with_index in [true, false] {
        let copy = crash_copy(dir.path(), with_index);
        let store = open(copy.path());
        assert_eq!(Content::of(&store), model);
        assert_eq!(names(&store), named, "names are no worse for it");
        assert_eq!(store.watermark(&TenantId::default_tenant(), agent.source.spool_id), 6);
        let range = TimeRange::new(UnixNanos(EPOCH), UnixNanos(EPOCH + WINDOW_NS));
        assert_eq!(Content::within(&store, range, None), model.cut(range, None));
    }
}

#[tokio::test]
async fn an_hour_that_is_not_over_is_merged_when_it_has_many() {
    let now = UnixNanos(EPOCH + 60_000_000_000);
    for (many, left) in [(7, 7), (8, 1)] {
        let dir = folder();
        let (model, _) = segments(dir.path(), &vec![0; many]).await;
        let store = open(dir.path());
        merge(&store, now);
        assert_eq!(files(dir.path(), "segments").len(), left);
        assert_eq!(Content::of(&store), model);
    }
}

/// A disk that is slow for the thread that merges.
#[derive(Debug)]
struct SlowToMerge;

impl Disk for SlowToMerge {
    real_disk!(create_dir_all, create_new, len, rename, unlink, list, sync_file, sync_dir);

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        if std::thread::current().name() == Some("store-maintenance") {
            std::thread::sleep(Duration::from_millis(5));
        }
        RealDisk.read(path, offset, length)
    }
}

#[tokio::test]
async fn sealing_waits_for_merging_that_is_far_behind() {
    let dir = folder();
    let every = Duration::from_millis(5);
    let config = StoreConfig { seal_rows: 1, maintain_every: every, ..config(dir.path()) };
    let config = StoreConfig { most_unmerged: 16, ..config };
    let store = Store::open_on(config, Arc::new(SlowToMerge)).unwrap();
    let (mut agent, mut model, mut most) = (Agent::new(1), Content::default(), 0);
    for n in 0..100 {
        let body = agent.batch(0, &some_rows(n % 40));
        agent.send(&store, &mut model, body).await;
        most = store.metrics().segments.max(most);
    }
    // A few more come while nothing is merged.
    assert!(most <= 32, "{most}");
    assert!(store.metrics().seals_held_up > 0);
    assert_eq!(Content::of(&store), model);
    store.flush_and_close().await.unwrap();
    assert_eq!(Content::of(&open(dir.path())), model);
}

#[tokio::test]
async fn a_crash_while_merging_counts_nothing_twice() {
    let dir = folder();
    let (model, _) = segments(dir.path(), &[0, 1, 2]).await;
    let before = crash_copy(dir.path(), true);
    let store = open(dir.path());
    merge(&store, LATE);
    // As if the crash came after the merged segment and before the others went, all or some.
    for keep in 0..8 {
        let copy = crash_copy(dir.path(), keep % 2 == 0);
        for (at, old) in files(before.path(), "segments").into_iter().enumerate() {
            if keep & (1 << at) != 0 {
                let to = copy.path().join("segments/default").join(old.file_name().unwrap());
                std::fs::copy(&old, to).unwrap();
            }
        }
        let store = open(copy.path());
        assert_eq!(Content::of(&store), model, "{keep:b}");
        assert_eq!(files(copy.path(), "segments").len(), 1, "{keep:b}");
        assert!(store.losses(&TenantId::default_tenant(), TimeRange::ALL).is_empty());
    }
}

#[tokio::test]
async fn files_that_are_read_stay_until_nobody_reads_them() {
    let dir = folder();
    let (model, _) = segments(dir.path(), &[0, 1, 2]).await;
    let store = open(dir.path());
    let mut parts = 0;
    let visited = store.visit(&TenantId::default_tenant(), Wanted::ALL, &mut |_| {
        if parts == 0 {
            merge(&store, LATE);
            assert_eq!(files(dir.path(), "segments").len(), 4, "three are being read");
        }
        parts += 1;
        std::ops::ControlFlow::Continue(())
    });
    visited.unwrap();
    assert!(parts >= 3 && store.metrics().read_failures == 0);
    assert!(!store.maintain(LATE));
    assert_eq!(files(dir.path(), "segments").len(), 1);
    assert_eq!(Content::of(&store), model);
}

#[tokio::test]
async fn what_is_too_old_goes_and_its_batches_stay_known() {
    let dir = folder();
    let (mut model, mut agent) = segments(dir.path(), &[0, 1, HOUR, 2 * HOUR]).await;
    let retain_raw = Some(Duration::from_secs(3600));
    let settings = || StoreConfig { retain_raw, ..config(dir.path()) };
    let store = Store::open(settings()).unwrap();
    // An hour after the end of the second window.
    let now = UnixNanos(EPOCH + (HOUR + 2) * WINDOW_NS);
    merge(&store, now);
    model.rows.retain(|(window, ..), _| *window > EPOCH + 2 * WINDOW_NS);
    model.taken.retain(|(window, _), _| *window > EPOCH + 2 * WINDOW_NS);
    assert_eq!(Content::of(&store), model);
    assert_eq!(store.metrics().segments_expired, 2);
    merge(&store, LATE);
    assert_eq!(Content::of(&store), Content::default());
    assert_eq!(files(dir.path(), "segments").len(), 1, "what is left is a marker");
    for with_index in [true, false] {
        let copy = crash_copy(dir.path(), with_index);
        let store = open(copy.path());
        assert_eq!(Content::of(&store), Content::default());
        let again = stoker_wire::BatchBody { sequence: 2, ..agent.batch(0, &some_rows(1)) };
        agent.reconnect();
        let again = stoker_wire::BatchBody { rows: vec![], definitions: vec![], ..again };
        assert_eq!(agent.append(&store, &again).await.unwrap(), Appended::Duplicate);
        assert!(store.losses(&TenantId::default_tenant(), TimeRange::ALL).is_empty());
    }
}

#[tokio::test]
async fn the_oldest_goes_where_the_disk_is_used_up() {
    let dir = folder();
    let (mut model, _) = segments(dir.path(), &[0, HOUR, 2 * HOUR, 3 * HOUR]).await;
    let bytes = |dir| -> u64 {
        files(dir, "segments").iter().map(|file| std::fs::metadata(file).unwrap().len()).sum()
    };
    let max_disk = bytes(dir.path()) - 1;
    let settings = StoreConfig { max_disk: Some(max_disk), ..config(dir.path()) };
    let store = Store::open(settings).unwrap();
    merge(&store, UnixNanos(EPOCH));
    assert!(bytes(dir.path()) <= max_disk);
    model.rows.retain(|(window, ..), _| *window > EPOCH);
    model.taken.retain(|(window, _), _| *window > EPOCH);
    assert_eq!(Content::of(&store), model, "the oldest went and no other");
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let dir = folder();
    let settings = StoreConfig { max_disk: Some(600), ..config(dir.path()) };
    let store = Store::open(settings).unwrap();
    let (mut agent, mut model) = (Agent::new(1), Content::default());
    let body = agent.batch(0, &some_rows(1));
    agent.send(&store, &mut model, body).await;
    let body = agent.batch(1, &some_rows(1));
    let error = agent.append(&store, &body).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { used: 600.., max: 600 }), "{error}");
    assert_eq!(Content::of(&store), model, "what is there stays readable");
    drop(store);
    let retain_raw = Some(Duration::from_secs(3600));
    let store = Store::open(StoreConfig { retain_raw, ..config(dir.path()) }).unwrap();
    agent.reconnect();
    let error = agent.append(&store, &body).await.unwrap_err();
    assert!(matches!(error, StoreError::BeyondRetention { .. }), "{error}");
}

#[tokio::test]
async fn a_loss_is_named_in_answers_until_its_note_is_removed() {
    let dir = folder();
    let (mut model, _) = segments(dir.path(), &[0, HOUR]).await;
    let tenant = TenantId::default_tenant();
    let first = files(dir.path(), "segments").remove(0);
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    model.rows.retain(|(window, ..), _| *window > EPOCH);
    model.taken.retain(|(window, _), _| *window > EPOCH);
    for _ in 0..2 {
        let store = open(dir.path());
        assert_eq!(Content::of(&store), model);
        let losses = store.losses(&tenant, TimeRange::ALL);
        assert_eq!(losses.len(), 1, "{losses:?}");
        assert!(losses[0].what.contains("checksum") && losses[0].rows.is_some(), "{losses:?}");
        let later = TimeRange::new(UnixNanos(EPOCH + WINDOW_NS), UnixNanos(u64::MAX));
        assert!(store.losses(&tenant, later).is_empty(), "only where it matters");
    }
    for note in std::fs::read_dir(dir.path().join("set-aside")).unwrap() {
        std::fs::remove_file(note.unwrap().path()).unwrap();
    }
    assert!(open(dir.path()).losses(&tenant, TimeRange::ALL).is_empty());
}
