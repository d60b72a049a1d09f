//! Segments that are large enough to be decoded ahead of a question, by several threads: one answer, whoever
//! was quicker, and what is damaged is missing and named as ever.

use stoker_dag::{Frame, LabelSet, NodeIx, SampleRow, UnixNanos, WINDOW_NS};
use stoker_server::query::{
    Engine, Limits, Progress, Query, Selector, TenantParts, flamegraph, fold,
};
use stoker_server::store::{Store, StoreConfig, TenantId, TimeRange};
use stoker_wire::{BatchBody, HostFacts, RowGroup};

use crate::files::{config, files, folder, open};
use crate::model::{Agent, EPOCH, build, profile_type};

const SEGMENTS: u8 = 4;
/// More than a few milliseconds' work, with the nodes above them.
const STACKS: u64 = 9_000;

fn native(offset: u64) -> Frame {
    Frame::Native { build_id: build(), offset }
}

/// A batch of stacks, most of which no other batch has.
fn batch(agent: &mut Agent, number: u8) -> BatchBody {
    let dictionary = &mut agent.dictionary;
    let series = dictionary.labels.intern(&LabelSet::new([("service_name", "a")]));
    let mut rows = Vec::new();
    for stack in 0..STACKS {
        let offsets = [stack % 97, 1_000 + stack % 389, 10_000 * u64::from(number) + stack];
        let node = offsets.iter().fold(NodeIx::ROOT, |node, offset| {
            let frame = dictionary.frames.intern(&native(*offset));
            dictionary.nodes.child(node, frame)
        });
        let (attributes, value, count) = (Default::default(), 100 * (stack % 5), stack % 5);
        rows.push(SampleRow { series, attributes, node, value, count });
    }
    rows.sort_by_key(|row| row.node);
    BatchBody {
        sequence: 1,
        start: UnixNanos(EPOCH + u64::from(number) * WINDOW_NS),
        duration_ns: WINDOW_NS,
        rows: vec![RowGroup { profile_type: profile_type(0), period: 100, rows }],
        facts: HostFacts { frequency_hz: 19, sample_source: "cycles".into(), ..Default::default() },
        ..BatchBody::default()
    }
}

/// The whole flame graph, and what is said to be missing.
fn answer(store: Store) -> (String, Vec<String>) {
    let parts = TenantParts { store, tenant: TenantId::default_tenant() };
    let limits = Limits::default();
    let progress = Progress::after(limits.timeout);
    let engine = Engine { parts: &parts, limits: &limits, progress: &progress };
    let query = Query { selector: Selector::parse("cpu").unwrap(), range: TimeRange::ALL };
    let folded = fold(engine, &query, None).unwrap();
    let graph = flamegraph(&query, &folded, 0).unwrap();
    (serde_json::to_string(&graph).unwrap(), folded.warnings)
}

#[tokio::test]
async fn answers_do_not_hang_on_who_was_quicker() {
    let dir = folder();
    for number in 0..SEGMENTS {
        let store = open(dir.path());
        let mut agent = Agent::new(number);
        let body = batch(&mut agent, number);
        agent.append(&store, &body).await.unwrap();
        store.flush_and_close().await.unwrap();
    }
    let segments = files(dir.path(), "segments");
    assert_eq!(segments.len(), usize::from(SEGMENTS));
    // Nothing stays decoded, so each question is decoded ahead; and the last one has all that it needs.
    let forgetful = |cache_bytes| StoreConfig { cache_bytes, ..config(dir.path()) };
    let (whole, missing) = answer(Store::open(forgetful(0)).unwrap());
    assert_eq!(missing, [""; 0]);
    for cache_bytes in [0, 0, 1 << 20, 64 << 20] {
        let store = Store::open(forgetful(cache_bytes)).unwrap();
        assert!(answer(store.clone()).0 == whole);
        assert!(answer(store).0 == whole, "asked again");
    }
    // In the middle are names, stacks or rows: without them the others' rows are the answer.
    let mut bytes = std::fs::read(&segments[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segments[1], &bytes).unwrap();
    let store = Store::open(forgetful(0)).unwrap();
    let (rest, missing) = answer(store.clone());
    assert!(rest != whole && rest.len() > whole.len() / 2);
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(answer(store), (rest, missing));
}
