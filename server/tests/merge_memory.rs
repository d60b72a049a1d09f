//! Merging takes no more than its part of `--ingest-memory`: held to the high-water mark of a process of its own,
//! which merges far more than one dictionary could hold.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]
#![cfg(target_os = "linux")]

use std::path::Path;
use std::time::Duration;

use stoker_dag::{
    BuildId, Definition, DefinitionSource, Frame, LabelIx, LabelSet, Location, NodeIx, ProfileType,
    SampleRow, UnixNanos, WINDOW_NS,
};
use stoker_server::store::{
    BatchSource, SpoolId, Store, StoreConfig, StreamRebase, TenantId, check,
};
use stoker_wire::{BatchBody, Dictionary, RowGroup};

const INGEST_MEMORY: u64 = 64 << 20;
/// Logs, each about as large as one may be with so little memory.
const LOGS: u64 = 6;
const SERVICES: u32 = 24;
const STACKS: u64 = 1_500;
const DEPTH: u64 = 30;
/// What allocators keep of what was freed, in hundredths of what was allowed.
const KEPT_PERCENT: u64 = 25;

fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        dir: dir.to_owned(),
        seal_after: Duration::from_secs(3600),
        maintain_every: Duration::ZERO,
        retain_raw: None,
        index: false,
        cache_bytes: 0,
        ..StoreConfig::default()
    }
}

/// A batch of stacks that no other log has, of all services; a quarter of the frames of a log are shared.
fn batch(log: u64, dictionary: &mut Dictionary) -> BatchBody {
    let build: BuildId = "aabb".parse().unwrap();
    let mut random = fastrand::Rng::with_seed(log);
    let (mut rows, mut definitions) = (Vec::new(), Vec::new());
    for stack in 0..STACKS {
        let mut node = NodeIx::ROOT;
        for depth in 0..DEPTH {
            let own = depth % 4 != 0;
            let offset = 64 * random.u64(..2_000) + if own { log << 20 } else { 0 };
            let frame = Frame::Native { build_id: build.clone(), offset };
            let frame = dictionary.frames.intern(&frame);
            node = dictionary.nodes.child(node, frame);
            let (function, file) = (format!("function_{}", offset / 1024), "a.c".into());
            let line = u32::try_from(offset % 1024).unwrap();
            let locations = [Location { function: function.into(), file, line }].into();
            definitions
                .push((frame, Definition { source: DefinitionSource::AgentDwarf, locations }));
        }
        let service = format!("service-{}", stack % u64::from(SERVICES));
        let series = dictionary.labels.intern(&LabelSet::new([("service_name", service)]));
        let attributes = LabelIx::default();
        rows.push(SampleRow { series, attributes, node, value: 100, count: 1 });
    }
    definitions.sort_by_key(|(frame, _)| *frame);
    definitions.dedup_by_key(|(frame, _)| *frame);
    BatchBody {
        sequence: 1,
        start: UnixNanos(1_700_000_000_000_000_000 + log * WINDOW_NS),
        duration_ns: WINDOW_NS,
        definitions,
        rows: vec![RowGroup { profile_type: ProfileType::cpu(), period: 100, rows }],
        ..BatchBody::default()
    }
}

fn fill(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for log in 1..=LOGS {
        let store = Store::open(config(dir)).unwrap();
        let mut dictionary = Dictionary::default();
        let body = batch(log, &mut dictionary);
        let id = [u8::try_from(log).unwrap(); 16];
        let source = BatchSource { spool_id: SpoolId(id), host_id: id, host_name: "a".into() };
        let (tenant, mut rebase) = (TenantId::default_tenant(), StreamRebase::default());
        let appended = store.append(&tenant, &source, &dictionary, &body, &mut rebase);
        runtime.block_on(appended).unwrap();
        runtime.block_on(store.flush_and_close()).unwrap();
    }
}

/// A line of what the system says of this process, in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1024
}

/// What tells this program which folder it is to merge.
const CHILD: &str = "STOKER_MERGE_FOLDER";

#[test]
fn merging_takes_no_more_than_its_part() {
    if let Ok(dir) = std::env::var(CHILD) {
        let config = StoreConfig { ingest_memory: INGEST_MEMORY, ..config(Path::new(&dir)) };
        let store = Store::open(config).unwrap();
        let before = status("VmRSS:");
        while store.maintain(UnixNanos(u64::MAX)) {}
        println!("\ntaken {}", status("VmHWM:").saturating_sub(before));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let test = ["merging_takes_no_more_than_its_part", "--exact", "--nocapture"];
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(test).env(CHILD, dir.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let taken = text.lines().find_map(|line| line.strip_prefix("taken "));
    let taken: u64 = taken.unwrap_or_else(|| panic!("no answer: {text}")).parse().unwrap();
    let report = check(dir.path()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.rows, LOGS * STACKS);
    assert!(report.segments == 1 && report.slices > 4, "{report:?}");
    let may = StoreConfig { ingest_memory: INGEST_MEMORY, ..config(dir.path()) }.merge_memory();
    println!("took {taken} of {may} bytes for {} slices, {} nodes", report.slices, report.nodes);
    assert!(taken <= may / 100 * (100 + KEPT_PERCENT), "took {taken} of {may} bytes");
}
