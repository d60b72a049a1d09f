//! A disk that fails for a while: what was acknowledged stays, what was not can be sent again, and
//! nothing is counted twice.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stoker_server::store::{
    Appended, Disk, DiskFile, RealDisk, Store, StoreError, TenantId, TimeRange,
};
use stoker_wire::BatchBody;

use crate::files::{config, crash_copy, folder, open, real_disk};
use crate::model::{Agent, Content, some_rows};

/// Fails some operations: the number of them that still succeed, then how many fail.
#[derive(Debug, Clone, Default)]
struct Fault {
    good: Arc<AtomicU64>,
    bad: Arc<AtomicU64>,
}

impl Fault {
    fn set(&self, good: u64, bad: u64) {
        self.good.store(good, Ordering::SeqCst);
        self.bad.store(bad, Ordering::SeqCst);
    }

    fn strikes(&self) -> bool {
        let take = |n: &AtomicU64| {
            n.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
        };
        !take(&self.good) && take(&self.bad)
    }
}

#[derive(Debug, Clone, Default)]
struct FlakyDisk {
    append: Fault,
    sync: Fault,
    rename: Fault,
    create: Fault,
    /// Panics where a segment is to be written: an error in what writes it.
    segment: Fault,
}

#[derive(Debug)]
struct FlakyFile(Box<dyn DiskFile>, FlakyDisk);

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl DiskFile for FlakyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.1.append.strikes() {
            self.0.append(&bytes[..bytes.len() / 2])?;
            return Err(full());
        }
        self.0.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.1.sync.strikes() { Err(full()) } else { self.0.sync() }
    }
}

impl Disk for FlakyDisk {
    real_disk!(create_dir_all, read, len, unlink, list, sync_file, sync_dir);

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if self.create.strikes() {
            return Err(full());
        }
        let is_segment = path.components().any(|part| part.as_os_str() == "segments");
        assert!(!(is_segment && self.segment.strikes()), "a segment that cannot be written");
        Ok(Box::new(FlakyFile(RealDisk.create_new(path)?, self.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.rename.strikes() { Err(full()) } else { RealDisk.rename(from, to) }
    }
}

/// Sends batches as a stream does, several in line at once; gives how many were acknowledged.
async fn stream(store: &Store, agent: &mut Agent, batches: &[BatchBody]) -> usize {
    let tenant = TenantId::default_tenant();
    agent.rebase = Default::default();
    let mut waiting = Vec::new();
    for body in batches {
        let (source, dictionary) = (&agent.source, &agent.dictionary);
        let line = store.put_in_line(&tenant, source, dictionary, body, &mut agent.rebase).await;
        let Ok(in_line) = line else { break };
        waiting.push(in_line);
    }
    let mut results = Vec::new();
    for in_line in waiting {
        results.push(in_line.await);
    }
    let stored = results.iter().take_while(|result| result.is_ok()).count();
    let later = results[stored..].iter();
    assert!(later.into_iter().all(Result::is_err), "stored behind one that failed: {results:?}");
    stored
}

/// Sends all batches, over as many streams as it takes, and checks that each is there once.
async fn history(seal_rows: u64, disk: FlakyDisk, fault: &Fault, good: u64, bad: u64) {
    let dir = folder();
    let mut config = config(dir.path());
    config.seal_rows = seal_rows;
    let store = Store::open_on(config, Arc::new(disk)).unwrap();
    let (mut agent, mut model) = (Agent::new(1), Content::default());
    let batches: Vec<BatchBody> =
        (0..12u8).map(|n| agent.batch(u64::from(n % 3), &some_rows(n))).collect();
    batches.iter().for_each(|body| model.add("host-1", &agent.dictionary, body));
    fault.set(good, bad);
    let mut done = 0;
    for attempt in 0.. {
        assert!(attempt < 50, "it never comes through");
        done += stream(&store, &mut agent, &batches[done..]).await;
        let tenant = TenantId::default_tenant();
        let durable = store.watermark(&tenant, agent.source.spool_id);
        assert_eq!(durable, u64::try_from(done).unwrap(), "good {good}, bad {bad}");
        if done == batches.len() {
            break;
        }
    }
    assert_eq!(Content::of(&store), model, "good {good}, bad {bad}");
    let crashed = crash_copy(dir.path(), false);
    assert_eq!(Content::of(&open(crashed.path())), model, "good {good}, bad {bad}");
    fault.set(0, 0);
    store.flush_and_close().await.unwrap();
    assert_eq!(Content::of(&open(dir.path())), model, "good {good}, bad {bad}");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_loses_and_doubles_nothing() {
    for seal_rows in [1_000_000, 12] {
        for (good, bad) in [(0, 1), (1, 1), (2, 1), (2, 3), (5, 2)] {
            for pick in 0..3 {
                let disk = FlakyDisk::default();
                let fault = [&disk.append, &disk.sync, &disk.create][pick].clone();
                history(seal_rows, disk, &fault, good, bad).await;
            }
        }
    }
}

#[tokio::test]
async fn a_segment_that_cannot_be_published_stays_in_its_log() {
    let dir = folder();
    let disk = FlakyDisk::default();
    let store = Store::open_on(config(dir.path()), Arc::new(disk.clone())).unwrap();
    let (mut agent, mut model) = (Agent::new(1), Content::default());
    let body = agent.batch(0, &some_rows(1));
    agent.send(&store, &mut model, body.clone()).await;
    disk.rename.set(0, 1000);
    let error = store.flush_and_close().await.expect_err("it cannot be sealed");
    assert!(matches!(error, StoreError::Io { doing: "write", .. }), "{error}");
    assert_eq!(Content::of(&store), model);
    let store = open(dir.path());
    assert_eq!(Content::of(&store), model);
    agent.rebase = Default::default();
    assert_eq!(agent.append(&store, &body).await.unwrap(), Appended::Duplicate);
}

/// Waits until it is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("it never comes");
}

#[tokio::test]
async fn a_log_that_crashes_the_sealer_is_left_and_named_and_the_others_go_on() {
    let dir = folder();
    let disk = FlakyDisk::default();
    let mut settings = config(dir.path());
    settings.seal_rows = 1;
    settings.retry_after = std::time::Duration::from_millis(1);
    let store = Store::open_on(settings.clone(), Arc::new(disk.clone())).unwrap();
    let (mut agent, mut model) = (Agent::new(1), Content::default());
    // All attempts at the first log, and none at the next ones.
    disk.segment.set(0, 5);
    let first = agent.batch(0, &some_rows(1));
    agent.send(&store, &mut model, first).await;
    let left = std::mem::take(&mut model);
    for window in 1..4u8 {
        let body = agent.batch(window.into(), &some_rows(window));
        agent.send(&store, &mut model, body).await;
    }
    until(|| store.metrics().logs_left == 1 && store.metrics().segments_sealed >= 2).await;
    assert_eq!(store.metrics().seal_failures, 5);
    assert_eq!(Content::of(&store), model, "what is left is not answered");
    let losses = store.losses(&TenantId::default_tenant(), TimeRange::ALL);
    assert!(losses[0].what.contains("could not be sealed") && losses.len() == 1, "{losses:?}");
    assert!(store.left_logs()[0].contains("a segment that cannot be written"));
    store.flush_and_close().await.unwrap();
    drop(store);
    // The next start still cannot; the one after it can, and nothing was lost, nor counts twice.
    disk.segment.set(0, 5);
    let store = Store::open_on(settings.clone(), Arc::new(disk)).unwrap();
    until(|| store.metrics().logs_left == 1).await;
    assert_eq!(Content::of(&store), model);
    store.flush_and_close().await.unwrap();
    drop(store);
    let mut all = left;
    all.rows.extend(model.rows);
    let store = Store::open(settings).unwrap();
    let of_rows = |store: &Store| Content::of(store).rows;
    assert_eq!(of_rows(&store), all.rows);
    until(|| store.metrics().logs_waiting == 0).await;
    assert_eq!(store.metrics().logs_left, 0);
    assert!(store.losses(&TenantId::default_tenant(), TimeRange::ALL).is_empty());
    store.flush_and_close().await.unwrap();
    drop(store);
    assert_eq!(of_rows(&open(dir.path())), all.rows);
}
