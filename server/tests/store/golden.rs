//! Files of earlier versions stay readable: a log of version 1 and segments of versions 1, 2, 5 and 6 are
//! kept beside this test, rollups of versions 3, 5 and 6, samples one by one of versions 4 to 6, and a segment of
//! several slices of version 6. `STOKER_GOLDEN=write` makes those that are not there; a version that was
//! released is never made anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stoker_dag::UnixNanos;
use stoker_server::store::inspect::{loosened, read_segment, tightened};
use stoker_server::store::messages::Footer;
use stoker_server::store::{
    LOG_VERSION, RealDisk, SEGMENT_VERSION, Store, StoreConfig, TimeRange, Wanted, check,
};

use crate::files::{config, files, folder, open};
use crate::model::{Agent, Content, some_rows};
use crate::slices::{LITTLE, SERVICES, merged, several, within};

/// The versions of rollups.
const ROLLUP_VERSIONS: [u32; 3] = [3, 5, 6];
/// The versions of logs and segments that have samples one by one.
const DETAILED: [(&str, u32); 4] = [("logs", 4), ("segments", 4), ("segments", 5), ("segments", 6)];
/// Rollups, and whether they have stacks.
const ROLLUPS: [(&str, bool); 2] = [("hourly", true), ("functions", false)];

/// Kind and version of each golden file.
const GOLDEN: [(&str, u32); 5] =
    [("logs", 1), ("segments", 1), ("segments", 2), ("segments", 5), ("segments", 6)];

fn golden(kind: &str, version: u32) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    dir.join(format!("v{version}")).join(format!("{kind}.bin"))
}

/// What the golden files hold.
fn expected() -> (Content, Vec<(Agent, stoker_wire::BatchBody)>) {
    let mut content = Content::default();
    let mut batches = Vec::new();
    for number in [1, 2] {
        let mut agent = Agent::new(number);
        let body = agent.batch(number.into(), &some_rows(number * 7));
        content.add(&agent.source.host_name, &agent.dictionary, &body);
        batches.push((agent, body));
    }
    (content, batches)
}

async fn write_golden() {
    let dir = folder();
    let store = open(dir.path());
    for (mut agent, body) in expected().1 {
        agent.append(&store, &body).await.unwrap();
    }
    for (kind, version) in [("logs", LOG_VERSION), ("segments", SEGMENT_VERSION)] {
        let to = golden(kind, version);
        if !to.exists() {
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&files(dir.path(), kind)[0], to).unwrap();
        }
        if kind == "logs" {
            store.flush_and_close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn files_of_every_version_are_read() {
    if std::env::var("STOKER_GOLDEN").is_ok_and(|what| what == "write") {
        write_golden().await;
    }
    for (kind, version) in GOLDEN {
        let dir = folder();
        drop(open(dir.path()));
        let bytes = std::fs::read(golden(kind, version)).unwrap();
        let name = file_name(kind, &bytes);
        std::fs::write(dir.path().join(kind).join("default").join(name), &bytes).unwrap();
        let store = open(dir.path());
        assert_eq!(Content::of(&store), expected().0, "{kind} {version}");
        let tenant = stoker_server::store::TenantId::default_tenant();
        for (agent, body) in expected().1 {
            for (frame, definition) in body.definitions {
                let id = agent.dictionary.frames.id(frame);
                let held = store.names(&tenant, |names| names.definitions.get(&id).cloned());
                let held = held.expect("every frame keeps its name");
                assert!(held.precedence(&definition).is_ge(), "{kind} {version}");
            }
        }
    }
}

/// What the golden files hold that have samples one by one.
fn expected_details() -> (Content, Agent, stoker_wire::BatchBody) {
    let (mut content, mut agent) = (Content::default(), Agent::new(3));
    let body = agent.batch(1, &some_rows(9));
    content.add(&agent.source.host_name, &agent.dictionary, &body);
    (content, agent, body)
}

#[tokio::test]
async fn samples_one_by_one_are_read() {
    if std::env::var("STOKER_GOLDEN").is_ok_and(|what| what == "write") {
        let dir = folder();
        let store = open(dir.path());
        let (_, mut agent, body) = expected_details();
        agent.append(&store, &body).await.unwrap();
        for kind in ["logs", "segments"] {
            let newest = DETAILED.iter().filter(|(of, _)| *of == kind).map(|(_, version)| *version);
            let to = golden(&format!("detailed-{kind}"), newest.max().unwrap());
            if !to.exists() {
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(&files(dir.path(), kind)[0], to).unwrap();
            }
            if kind == "logs" {
                store.flush_and_close().await.unwrap();
            }
        }
    }
    assert!(DETAILED.contains(&("segments", SEGMENT_VERSION)), "the newest");
    for (kind, version) in DETAILED {
        let dir = folder();
        drop(open(dir.path()));
        let bytes = std::fs::read(golden(&format!("detailed-{kind}"), version)).unwrap();
        let name = file_name(kind, &bytes);
        std::fs::write(dir.path().join(kind).join("default").join(name), &bytes).unwrap();
        let expected = expected_details().0;
        assert!(!expected.details.is_empty());
        assert_eq!(Content::of(&open(dir.path())), expected, "{kind} {version}");
    }
}

/// How long what is in the golden files is kept at each level.
fn retentions(dir: &Path) -> [StoreConfig; 2] {
    let day = Duration::from_secs(24 * 3600);
    let hourly = StoreConfig { retain_raw: Some(day), retain_hourly: None, ..config(dir) };
    let functions = StoreConfig { retain_raw: Some(day), retain_functions: None, ..config(dir) };
    [hourly, functions]
}

async fn write_rollups() {
    for (of_level, (name, _)) in [0, 1].into_iter().zip(ROLLUPS) {
        let dir = folder();
        let store = open(dir.path());
        for (mut agent, body) in expected().1 {
            agent.append(&store, &body).await.unwrap();
        }
        store.flush_and_close().await.unwrap();
        drop(store);
        let [hourly, functions] = retentions(dir.path());
        let store = Store::open(if of_level == 0 { hourly } else { functions }).unwrap();
        while store.maintain(UnixNanos(u64::MAX)) {}
        let to = golden(name, SEGMENT_VERSION);
        if !to.exists() {
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&files(dir.path(), "segments")[0], to).unwrap();
        }
    }
}

#[tokio::test]
async fn rollups_of_every_version_are_read() {
    if std::env::var("STOKER_GOLDEN").is_ok_and(|what| what == "write") {
        write_rollups().await;
    }
    let all = ROLLUP_VERSIONS.into_iter();
    let all = all.flat_map(|version| ROLLUPS.map(|(name, has_stacks)| (version, name, has_stacks)));
    for (version, name, has_stacks) in all {
        let dir = folder();
        drop(open(dir.path()));
        let bytes = std::fs::read(golden(name, version)).unwrap();
        assert_eq!(bytes[8..12], version.to_le_bytes(), "{name}");
        let to = dir.path().join("segments/default").join(file_name("segments", &bytes));
        std::fs::write(to, &bytes).unwrap();
        let store = open(dir.path());
        let held = Content::of(&store).reduced(has_stacks);
        assert_eq!(held, expected().0.reduced(has_stacks), "{name}");
        let mut totals = 0;
        let tenant = stoker_server::store::TenantId::default_tenant();
        let visited = store.visit(&tenant, Wanted::ALL, &mut |part| {
            totals += part.totals.iter().flat_map(|held| &held.rows).count();
            assert_eq!(part.level.as_str(), name);
            std::ops::ControlFlow::Continue(())
        });
        visited.unwrap();
        assert_eq!(totals > 0, !has_stacks, "{name}");
        let all = TimeRange::ALL;
        let dropped = store.rollups(&tenant, all).unwrap().dropped;
        assert_eq!(dropped.into_iter().collect::<Vec<_>>(), ["pod"], "{name}");
    }
}

/// The versions of segments of several slices.
const SLICED: [(&str, u32); 1] = [("sliced-segments", 6)];

#[tokio::test]
async fn segments_of_several_slices_are_read() {
    let made = folder();
    let model = several(made.path(), SERVICES).await;
    if std::env::var("STOKER_GOLDEN").is_ok_and(|what| what == "write") {
        merged(within(made.path(), LITTLE)).await;
        let to = golden("sliced-segments", SEGMENT_VERSION);
        if !to.exists() {
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&files(made.path(), "segments")[0], to).unwrap();
        }
    }
    for (name, version) in SLICED {
        let dir = folder();
        drop(open(dir.path()));
        let bytes = std::fs::read(golden(name, version)).unwrap();
        let to = dir.path().join("segments/default").join(file_name("segments", &bytes));
        std::fs::write(to, &bytes).unwrap();
        assert_eq!(Content::of(&open(dir.path())), model, "{version}");
        assert!(check(dir.path()).unwrap().slices > 2, "{version}");
    }
}

/// Fuzz targets begin with every kind of segment that there is.
#[test]
fn fuzz_seeds_are_the_golden_segments() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/store_segment");
    let raw = GOLDEN.into_iter().filter(|(kind, _)| *kind == "segments");
    let detailed = DETAILED.into_iter().filter(|(kind, _)| *kind == "segments");
    let rollups = ROLLUP_VERSIONS.into_iter().flat_map(|v| ROLLUPS.map(|(name, _)| (name, v)));
    let detailed = detailed.map(|(_, version)| ("detailed-segments", version));
    for (kind, version) in raw.chain(detailed).chain(rollups).chain(SLICED) {
        let segment = std::fs::read(golden(kind, version)).unwrap();
        let loose = loosened(&segment).unwrap();
        let seed = seeds.join(format!("{kind}-v{version}"));
        if std::env::var("STOKER_GOLDEN").is_ok_and(|what| what == "write") {
            std::fs::create_dir_all(&seeds).unwrap();
            std::fs::write(&seed, &loose).unwrap();
        }
        assert!(std::fs::read(&seed).unwrap() == loose, "{kind} {version}: STOKER_GOLDEN=write");
        // A seed is of use only where the target reads it to its end.
        let mut footer = Footer { id: 1, tenant: "default".into(), ..Footer::default() };
        footer.last_window = u64::MAX;
        footer.profile_types = vec!["process_cpu:cpu:nanoseconds:cpu:nanoseconds".to_owned(); 8];
        let dir = folder();
        let path = dir.path().join("segments/default/0000000000000001.seg");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, tightened(&loose, footer)).unwrap();
        let tenant = stoker_server::store::TenantId::default_tenant();
        let rows = read_segment(Arc::new(RealDisk), dir.path(), &tenant, 1);
        assert!(rows.is_ok_and(|rows| rows > 0), "{kind} {version}");
    }
}

/// A segment's name is its id, which its footer says too: the footer begins with field 1, eight
/// bytes of it.
fn file_name(kind: &str, bytes: &[u8]) -> String {
    if kind == "logs" {
        return "0000000000000001.log".to_owned();
    }
    let trailer = bytes.len() - 16;
    let length = u32::from_le_bytes(bytes[trailer..trailer + 4].try_into().unwrap());
    let footer = &bytes[trailer - usize::try_from(length).unwrap()..trailer];
    assert_eq!(footer[0], 9, "field 1, 64 bits");
    let id = u64::from_le_bytes(footer[1..9].try_into().unwrap());
    format!("{id:016x}.seg")
}
