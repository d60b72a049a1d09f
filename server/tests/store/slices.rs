//! Segments that are merged in slices: with however little memory, the answers are those of one dictionary.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prost::Message;
use stoker_dag::{LabelSet, UnixNanos};
use stoker_server::store::messages::{BlockEntry, Footer, Slice};
use stoker_server::store::{
    Disk, RealDisk, Store, StoreConfig, TenantId, TimeRange, Wanted, check, repair,
};

use crate::files::{config, crash_copy, files, folder, open, real_disk};
use crate::model::{Agent, Content, Row};

const LATE: UnixNanos = UnixNanos(u64::MAX);
/// Memory for ingest of which slices are a few services large.
pub(crate) const LITTLE: u64 = 768 << 10;
pub(crate) const SERVICES: u8 = 20;
/// The block of rows.
const ROWS: u32 = 6;
/// The block of stacks, merged.
const STACKS: u32 = 9;
/// The block that no slice has.
const FACTS: u32 = 12;

/// Rows of many stacks of some services.
fn rows(random: &mut fastrand::Rng, services: u8) -> Vec<Row> {
    let row = |_| Row {
        kind: random.u8(..2),
        series: random.u8(..services),
        attributes: random.u8(..3),
        stack: random.u8(..240),
        count: random.u16(1..500),
    };
    (0..150).map(row).collect()
}

/// A folder of several segments that share stacks, services and an hour, each of one slice.
pub(crate) async fn several(dir: &Path, services: u8) -> Content {
    sealed(&config(dir), services).await
}

/// The same, sealed by a store that is set up otherwise.
async fn sealed(config: &StoreConfig, services: u8) -> Content {
    let (mut random, mut model) = (fastrand::Rng::with_seed(5), Content::default());
    for number in 1..=6 {
        let mut agent = Agent::new(number);
        let store = Store::open(config.clone()).unwrap();
        for window in 0..2 {
            let body = agent.batch(window, &rows(&mut random, services));
            agent.send(&store, &mut model, body).await;
        }
        // What is told of frames without a stack, too, as it comes late.
        let mut body = agent.batch(2, &rows(&mut random, services));
        (body.rows, body.details) = (Vec::new(), Vec::new());
        agent.send(&store, &mut model, body).await;
        store.flush_and_close().await.unwrap();
    }
    model
}

/// A store that merges within so many bytes.
pub(crate) fn within(dir: &Path, ingest_memory: u64) -> StoreConfig {
    StoreConfig { ingest_memory, ..config(dir) }
}

pub(crate) async fn merged(config: StoreConfig) {
    let store = Store::open(config).unwrap();
    while store.maintain(LATE) {}
    store.flush_and_close().await.unwrap();
}

fn footers(dir: &Path) -> Vec<Footer> {
    let all = files(dir, "segments").into_iter().map(|file| std::fs::read(file).unwrap());
    let footer = |bytes: Vec<u8>| {
        let end = bytes.len() - 16;
        let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap());
        Footer::decode(&bytes[end - usize::try_from(length).unwrap()..end]).unwrap()
    };
    all.map(footer).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let tenant = TenantId::default_tenant();
    open(dir).names(&tenant, |names| {
        let all = names.definitions.iter().map(|(id, named)| format!("{id} {named:?}"));
        let mut all: Vec<String> = all.collect();
        all.sort();
        all
    })
}

#[tokio::test]
async fn answers_are_the_same_however_little_memory_merging_has() {
    let dir = folder();
    let model = several(dir.path(), SERVICES).await;
    let named = names(dir.path());
    let mut slices = Vec::new();
    for memory in [1 << 30, 2 * LITTLE, LITTLE] {
        let copy = crash_copy(dir.path(), true);
        merged(within(copy.path(), memory)).await;
        let footers = footers(copy.path());
        assert_eq!(footers.len(), 1, "{memory}");
        slices.push(footers[0].slices.len());
        for with_index in [true, false] {
            let again = crash_copy(copy.path(), with_index);
            assert_eq!(Content::of(&open(again.path())), model, "{memory}");
            assert_eq!(names(again.path()), named, "{memory}");
        }
        let report = check(copy.path()).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert_eq!(report.slices, slices[slices.len() - 1] as u64);
    }
    assert!(slices[0] == 1 && slices[1] > 1 && slices[2] > slices[1], "{slices:?}");
}

#[tokio::test]
async fn logs_are_sealed_in_slices_where_slices_are_small() {
    let (whole, cut) = (folder(), folder());
    let model = sealed(&config(whole.path()), SERVICES).await;
    assert_eq!(sealed(&within(cut.path(), LITTLE / 4), SERVICES).await, model);
    let sealed = footers(cut.path());
    assert!(sealed.iter().any(|footer| footer.slices.len() > 2), "{sealed:?}");
    for Footer { slices, .. } in &sealed {
        let is_after = |two: &[Slice]| two[0].last_service < two[1].first_service;
        assert!(slices.windows(2).all(is_after), "each service is in one slice: {slices:?}");
    }
    assert!(check(cut.path()).unwrap().problems.is_empty());
    let named = names(whole.path());
    for memory in [None, Some(LITTLE), Some(1 << 30)] {
        if let Some(memory) = memory {
            merged(within(cut.path(), memory)).await;
        }
        assert_eq!(Content::of(&open(cut.path())), model);
        assert_eq!(names(cut.path()), named, "names without a stack are kept, too");
    }
}

#[tokio::test]
async fn slices_are_merged_with_slices() {
    let dir = folder();
    let mut model = several(dir.path(), SERVICES).await;
    merged(within(dir.path(), LITTLE)).await;
    let mut random = fastrand::Rng::with_seed(6);
    let (store, mut agent) = (open(dir.path()), Agent::new(9));
    let body = agent.batch(1, &rows(&mut random, SERVICES + 1));
    agent.send(&store, &mut model, body).await;
    store.flush_and_close().await.unwrap();
    for memory in [2 * LITTLE, 1 << 30] {
        let copy = crash_copy(dir.path(), true);
        merged(within(copy.path(), memory)).await;
        assert_eq!(footers(copy.path()).len(), 1);
        assert_eq!(Content::of(&open(copy.path())), model);
    }
}

#[tokio::test]
async fn a_service_that_is_too_large_for_a_slice_is_cut() {
    let dir = folder();
    let model = several(dir.path(), 1).await;
    merged(within(dir.path(), LITTLE)).await;
    let footers = footers(dir.path());
    assert!(footers.len() == 1 && footers[0].slices.len() > 1, "{:?}", footers[0].slices);
    assert_eq!(Content::of(&open(dir.path())), model);
}

#[tokio::test]
async fn slices_are_summed_up_in_slices() {
    let day = Some(Duration::from_secs(24 * 3600));
    for has_stacks in [true, false] {
        let dir = folder();
        let model = several(dir.path(), SERVICES).await;
        let expected = model.reduced(has_stacks);
        merged(within(dir.path(), LITTLE)).await;
        for memory in [1 << 30, LITTLE] {
            let copy = crash_copy(dir.path(), true);
            let config = StoreConfig { retain_raw: day, ..within(copy.path(), memory) };
            let config = match has_stacks {
                true => StoreConfig { retain_hourly: None, ..config },
                false => StoreConfig { retain_functions: None, ..config },
            };
            merged(config.clone()).await;
            let footers = footers(copy.path());
            let slices: usize = footers.iter().map(|footer| footer.slices.len()).sum();
            assert_eq!(slices > 1, memory < 1 << 30);
            let store = Store::open(config).unwrap();
            let held = Content::of(&store).reduced(has_stacks);
            assert!(held == expected, "{memory}");
            let dropped = store.rollups(&TenantId::default_tenant(), TimeRange::ALL).unwrap();
            assert_eq!(dropped.dropped.into_iter().collect::<Vec<_>>(), ["pod"]);
        }
    }
}

/// The real disk, and where it was read.
#[derive(Debug, Default)]
struct Watched {
    reads: Mutex<Vec<u64>>,
}

impl Disk for Watched {
    real_disk!(create_dir_all, create_new, len, rename, unlink, list, sync_file, sync_dir);

    fn read(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        if path.extension().is_some_and(|extension| extension == "seg") {
            self.reads.lock().unwrap().push(offset);
        }
        RealDisk.read(path, offset, length)
    }
}

#[tokio::test]
async fn a_question_about_one_service_reads_its_slice_and_the_label_sets_of_others() {
    let dir = folder();
    several(dir.path(), SERVICES).await;
    merged(within(dir.path(), LITTLE)).await;
    let footer = footers(dir.path()).remove(0);
    assert!(footer.slices.len() > 2, "{:?}", footer.slices);
    let disk = Arc::new(Watched::default());
    let store = Store::open_on(config(dir.path()), Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    let own = footer.slices.iter().position(|slice| slice.last_service == "v9").unwrap();
    let is_own = |block: &BlockEntry| usize::try_from(block.slice).unwrap() == own;
    disk.reads.lock().unwrap().clear();
    let is_wanted = |series: &LabelSet| series.get("service_name") == "v9";
    let wanted = Wanted { series: Some(&is_wanted), ..Wanted::ALL };
    let mut parts = 0;
    let visited = store.visit(&TenantId::default_tenant(), wanted, &mut |part| {
        parts += usize::from(!part.windows.is_empty());
        std::ops::ControlFlow::Continue(())
    });
    visited.unwrap();
    assert!(parts > 0);
    let reads = std::mem::take(&mut *disk.reads.lock().unwrap());
    let read = |block: &&BlockEntry| reads.contains(&block.offset);
    let of_others = footer.blocks.iter().filter(|block| !is_own(block) && block.kind != FACTS);
    let kinds: Vec<u32> = of_others.filter(read).map(|block| block.kind).collect();
    assert_eq!(kinds, vec![11; footer.slices.len() - 1], "label sets and nothing else");
    let own_rows = footer.blocks.iter().filter(|block| is_own(block) && block.kind == ROWS);
    assert!(own_rows.filter(read).count() > 0);
    assert_eq!(reads.len(), reads.iter().collect::<std::collections::BTreeSet<_>>().len());
}

#[tokio::test]
async fn a_store_that_is_closed_while_it_merges_has_all_its_rows() {
    let dir = folder();
    let model = several(dir.path(), SERVICES).await;
    for wait_ms in [0, 5, 20, 80] {
        let copy = crash_copy(dir.path(), true);
        let store = Store::open(within(copy.path(), LITTLE)).unwrap();
        let merging = {
            let store = store.clone();
            std::thread::spawn(move || store.maintain(LATE))
        };
        std::thread::sleep(Duration::from_millis(wait_ms));
        store.flush_and_close().await.unwrap();
        merging.join().unwrap();
        assert_eq!(store.metrics().maintenance_failures, 0, "{wait_ms}");
        drop(store);
        assert_eq!(Content::of(&open(copy.path())), model, "{wait_ms}");
        merged(within(copy.path(), LITTLE)).await;
        assert_eq!(footers(copy.path()).len(), 1, "it is merged the next time");
    }
}

/// The service of a series as text.
fn service_of(series: &str) -> &str {
    let rest = series.split_once("service_name=\"").map_or("", |(_, rest)| rest);
    rest.split_once('"').map_or("", |(service, _)| service)
}

#[tokio::test]
async fn what_is_damaged_in_a_slice_is_missing_and_no_other() {
    let dir = folder();
    let model = several(dir.path(), SERVICES).await;
    merged(within(dir.path(), LITTLE)).await;
    let footer = footers(dir.path()).remove(0);
    let damaged = &footer.slices[1];
    let is_in = |slice: &Slice, service: &str| {
        (&*slice.first_service..=&*slice.last_service).contains(&service)
    };
    let others = || footer.slices.iter().enumerate().filter(|(at, _)| *at != 1);
    assert!(others().all(|(_, slice)| !is_in(slice, &damaged.first_service)));
    let stacks = footer.blocks.iter().find(|block| block.kind == STACKS && block.slice == 1);
    let file = files(dir.path(), "segments").remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[usize::try_from(stacks.unwrap().offset).unwrap()] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let mut left = model.clone();
    left.rows.retain(|key, _| !is_in(damaged, service_of(&key.2)));
    left.details.retain(|(key, _), _| !is_in(damaged, service_of(&key.2)));
    assert!(left.rows.len() > model.rows.len() / 4 && left.rows.len() < model.rows.len());
    let tenant = TenantId::default_tenant();
    for _ in 0..2 {
        let store = open(dir.path());
        assert_eq!(Content::of(&store), left);
        assert_eq!(store.losses(&tenant, TimeRange::ALL).len(), 1);
        assert_eq!(Content::of(&store), left, "and so it stays");
        assert_eq!(store.losses(&tenant, TimeRange::ALL).len(), 1);
    }
    let report = repair(dir.path()).await.unwrap();
    assert!(report.problems.iter().all(|problem| problem.loses_rows), "{:?}", report.problems);
    assert_eq!(check(dir.path()).unwrap().problems.len(), 0);
    let store = open(dir.path());
    assert_eq!(Content::of(&store), left);
    assert_eq!(store.losses(&tenant, TimeRange::ALL).len(), 1, "it is noted");
}
