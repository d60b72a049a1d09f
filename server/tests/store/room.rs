//! Where there is no room: too many sets of labels, a disk that is nearly full or read-only, and a clock
//! that jumps. What is stored stays and is served.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stoker_dag::{UnixNanos, WINDOW_NS};
use stoker_server::store::{Appended, Disk, Free, Store, StoreConfig, StoreError};

use crate::files::{config, folder, open, real_disk};
use crate::model::{Agent, Content, Row, filled, some_rows};

fn row(series: u8, attributes: u8) -> Row {
    Row { kind: 0, series, attributes, stack: 3, count: 2 }
}

#[tokio::test]
async fn a_label_explosion_is_refused_and_its_neighbours_are_not() {
    let dir = folder();
    let settings = StoreConfig { max_series: 10, seal_rows: 40, ..config(dir.path()) };
    let store = Store::open(settings).unwrap();
    let (mut good, mut bad) = (Agent::new(1), Agent::new(2));
    let (mut model, mut refused, mut taken) = (Content::default(), 0, 0);
    for n in 0..100u8 {
        let body = good.batch(u64::from(n), &[row(1, 0), row(2, 0)]);
        good.send(&store, &mut model, body).await;
        let body = bad.batch(u64::from(n), &[row(10 + n, 0)]);
        match bad.append(&store, &body).await {
            Ok(_) => {
                taken += 1;
                model.add(&bad.source.host_name, &bad.dictionary, &body);
            }
            Err(error) => {
                assert!(matches!(error, StoreError::TooManySeries { limit: 10 }), "{error}");
                refused += 1;
                bad.reconnect();
            }
        }
    }
    // Logs come and go; who explodes gets the places that are free and no other.
    assert!(store.metrics().segments_sealed + store.metrics().logs_waiting > 2);
    assert!(refused > 50 && taken >= 8, "{refused} refused, {taken} taken");
    assert_eq!(Content::of(&store), model);
}

#[tokio::test]
async fn rows_beyond_the_sets_of_attributes_are_stored_without_theirs() {
    let dir = folder();
    let settings = StoreConfig { max_attribute_sets: 5, ..config(dir.path()) };
    let store = Store::open(settings).unwrap();
    let (mut agent, mut unused) = (Agent::new(1), Content::default());
    for n in 0..20u8 {
        let body = agent.batch(0, &[row(1, 1 + n), row(1, 1)]);
        agent.send(&store, &mut unused, body).await;
    }
    let sets = |content: &Content| {
        let rows = content.rows.iter();
        let mut sets: Vec<(String, u64)> = rows
            .map(|((_, _, _, attributes, _), (_, count))| (attributes.clone(), *count))
            .collect();
        sets.sort();
        sets
    };
    let stored = sets(&Content::of(&store));
    assert_eq!(stored.len(), 6, "{stored:?}");
    assert_eq!(stored.iter().map(|(_, count)| count).sum::<u64>(), 80, "no sample is dropped");
    assert_eq!(stored.iter().find(|(set, _)| set == "{}").unwrap().1, 30);
    assert_eq!(store.metrics().attributes_dropped, 15);
    store.flush_and_close().await.unwrap();
    assert_eq!(sets(&Content::of(&open(dir.path()))), stored);
}

/// A disk with so much room.
#[derive(Debug, Clone)]
struct SmallDisk(Arc<AtomicU64>);

impl Disk for SmallDisk {
    real_disk!(create_dir_all, create_new, read, len, rename, unlink, list, sync_file, sync_dir);

    fn free(&self, _dir: &Path) -> Option<Free> {
        Some(Free { free: self.0.load(Ordering::Relaxed), total: 100 << 30 })
    }
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_nothing_more_until_there_is_room() {
    let dir = folder();
    let free = Arc::new(AtomicU64::new((1 << 30) - 1));
    let store = Store::open_on(config(dir.path()), Arc::new(SmallDisk(Arc::clone(&free)))).unwrap();
    let mut agent = Agent::new(1);
    let body = agent.batch(0, &some_rows(1));
    let error = agent.append(&store, &body).await.unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { floor, .. } if floor == 1 << 30), "{error}");
    assert!(store.ready().unwrap_err().to_string().contains("--min-free-disk"));
    assert_eq!(store.metrics().disk_free_bytes, (1 << 30) - 1);
    free.store(2 << 30, Ordering::Relaxed);
    assert_eq!(agent.append(&store, &body).await.unwrap(), Appended::Durable);
    assert!(store.ready().is_ok());
}

const YEAR_NS: u64 = 366 * 24 * 3600 * 1_000_000_000;
/// What the wall clock is off by.
static OFF_NS: AtomicU64 = AtomicU64::new(0);

fn wall() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    u64::try_from(now).unwrap().wrapping_add(OFF_NS.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_clock_that_jumps_removes_nothing_and_refuses_nobody() {
    let dir = folder();
    let settings = || StoreConfig {
        retain_raw: Some(Duration::from_secs(24 * 3600)),
        maintain_every: Duration::from_millis(20),
        wall_clock: wall,
        ..config(dir.path())
    };
    let store = Store::open(settings()).unwrap();
    let (mut agent, mut model) = (Agent::new(1), Content::default());
    for off in [0, YEAR_NS, 0u64.wrapping_sub(YEAR_NS), 0] {
        OFF_NS.store(off, Ordering::SeqCst);
        let mut body = agent.batch(0, &some_rows(1));
        let now = wall().wrapping_sub(off);
        body.start = UnixNanos(now).window_start();
        agent.send(&store, &mut model, body).await;
        assert!(store.latest_now().0 + WINDOW_NS > now);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(Content::of(&store), model, "off by {off}");
    }
    store.flush_and_close().await.unwrap();
    // A start a year ahead: what is stored says what time it was.
    OFF_NS.store(YEAR_NS, Ordering::SeqCst);
    let store = Store::open(settings()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(Content::of(&store), model);
    assert_eq!(store.metrics().segments_expired, 0);
}

#[tokio::test]
async fn a_store_without_anything_to_hold_against_believes_the_clock() {
    let dir = folder();
    let (store, model, _) = filled(dir.path()).await;
    assert_eq!(Content::of(&store), model);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    assert!(u128::from(store.latest_now().0).abs_diff(now) < 5_000_000_000);
}
