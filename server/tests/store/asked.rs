//! Questions answered from sums over windows, from rows one by one, and by the most naive way that there
//! is: one answer, however rows are spread over logs and segments, and whatever was merged.

use proptest::prelude::*;
use stoker_dag::{
    Frame, LabelSet, ModuleMap, Profile, ProfileType, SampleRow, UnixNanos, WINDOW_NS, prune,
};
use stoker_server::query::diff::{DiffOptions, Per, diff};
use stoker_server::query::{
    Columns, Engine, Limits, Parts, Progress, Query, Selector, TenantParts, flamegraph, fold,
};
use stoker_server::store::{
    DataVersion, Names, PartVisitor, Rollups, Store, StoreConfig, StoreError, TenantId, TimeRange,
    Wanted,
};
use stoker_wire::{BatchBody, Dictionary, RowGroup};

use crate::files::{config, folder};
use crate::model::{Agent, EPOCH, definition, frame};

/// The same parts, which never tell of sums.
struct RowByRow<'a>(&'a TenantParts);

impl Parts for RowByRow<'_> {
    fn visit(&self, wanted: Wanted<'_>, visit: &mut PartVisitor<'_>) -> Result<(), StoreError> {
        self.0.visit(Wanted { sums: false, ..wanted }, visit)
    }

    fn rollups(&self, range: TimeRange) -> Option<Rollups> {
        self.0.rollups(range)
    }

    fn tenant(&self) -> TenantId {
        self.0.tenant()
    }

    fn missing(&self, range: TimeRange) -> Vec<String> {
        self.0.missing(range)
    }

    fn version(&self, range: TimeRange) -> Option<DataVersion> {
        self.0.version(range)
    }

    fn names(&self, read: &mut dyn FnMut(&Names)) {
        self.0.names(read);
    }
}

#[derive(Debug, Clone)]
struct Sample {
    window: u8,
    series: u8,
    pod: u8,
    stack: Vec<u8>,
    value: u64,
    count: u64,
}

fn sample() -> impl Strategy<Value = Sample> {
    let value = prop_oneof![
        8 => (0..200u64).prop_map(|n| n * 100),
        4 => 0..10_000u64,
        1 => Just(u64::MAX / 3),
    ];
    let stack = prop::collection::vec(0..6u8, 0..6);
    (0..8u8, 0..3u8, 0..2u8, stack, value, 0..300u64).prop_map(
        |(window, series, pod, stack, value, count)| Sample {
            window,
            series,
            pod,
            stack,
            value,
            count,
        },
    )
}

fn series(number: u8) -> LabelSet {
    LabelSet::new([("service_name", format!("v{number}")), ("zone", format!("z{}", number % 2))])
}

fn body(dictionary: &mut Dictionary, sequence: u64, window: u8, samples: &[Sample]) -> BatchBody {
    let mut rows = Vec::new();
    let mut definitions = Vec::new();
    for sample in samples {
        let mut node = stoker_dag::NodeIx::ROOT;
        for &number in &sample.stack {
            let ix = dictionary.frames.intern(&frame(number));
            // Frames 0 and 1 are one function, so that boxes have several nodes.
            definitions.push((ix, definition(number.max(1))));
            node = dictionary.nodes.child(node, ix);
        }
        rows.push(SampleRow {
            series: dictionary.labels.intern(&series(sample.series)),
            attributes: dictionary
                .labels
                .intern(&LabelSet::new([("pod", format!("{}", sample.pod))])),
            node,
            value: sample.value,
            count: sample.count,
        });
    }
    BatchBody {
        sequence,
        start: UnixNanos(EPOCH + u64::from(window) * WINDOW_NS),
        duration_ns: WINDOW_NS,
        definitions,
        rows: vec![RowGroup { profile_type: ProfileType::cpu(), period: 100, rows }],
        ..BatchBody::default()
    }
}

/// Enough memory to merge all of it into one dictionary.
const MUCH: Option<u64> = Some(1 << 30);
/// So little that services get slices of their own.
const LITTLE: Option<u64> = Some(96 << 10);

/// A store of these samples in batches of so many, sealed now and then, merged within some memory or not.
fn stored(
    samples: &[Sample],
    (at_once, seal_every): (usize, usize),
    merged_within: Option<u64>,
) -> (tempfile::TempDir, Store) {
    let dir = folder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut agent = Agent::new(1);
    for some in samples.chunks(at_once * seal_every) {
        let store = Store::open(config(dir.path())).unwrap();
        // Another dictionary after each restart.
        agent.reconnect();
        for batch in some.chunks(at_once) {
            for window in 0..8 {
                let here: Vec<Sample> =
                    batch.iter().filter(|sample| sample.window == window).cloned().collect();
                agent.sequence += 1;
                let body = body(&mut agent.dictionary, agent.sequence, window, &here);
                runtime.block_on(agent.append(&store, &body)).unwrap();
            }
        }
        runtime.block_on(store.flush_and_close()).unwrap();
    }
    if let Some(ingest_memory) = merged_within {
        let store = Store::open(StoreConfig { ingest_memory, ..config(dir.path()) }).unwrap();
        while store.maintain(UnixNanos(u64::MAX)) {}
    }
    let store = Store::open(config(dir.path())).unwrap();
    (dir, store)
}

fn engine_of<R>(parts: &dyn Parts, ask: impl FnOnce(Engine<'_>) -> R) -> R {
    let limits = Limits::default();
    let progress = Progress::after(limits.timeout);
    ask(Engine { parts, limits: &limits, progress: &progress })
}

fn query(selector: &str, (from, until): (u8, u8)) -> Query {
    let at = |window: u8| UnixNanos(EPOCH + u64::from(window) * WINDOW_NS);
    Query::new(Selector::parse(selector).unwrap(), at(from), at(until)).unwrap()
}

fn flame(parts: &dyn Parts, query: &Query, max_nodes: usize) -> String {
    engine_of(parts, |engine| {
        let folded = fold(engine, query, None).unwrap();
        serde_json::to_string(&flamegraph(query, &folded, max_nodes).unwrap()).unwrap()
    })
}

/// The boxes, sample by sample: every stack by itself, and the whole tree sorted before it is pruned.
fn naive(samples: &[Sample], is_wanted: impl Fn(&Sample) -> bool, max_nodes: usize) -> Columns {
    let mut profile = Profile::default();
    for sample in samples.iter().filter(|sample| is_wanted(sample)) {
        let frames: Vec<Frame> = sample.stack.iter().map(|number| frame(*number)).collect();
        for (number, frame) in sample.stack.iter().zip(&frames) {
            profile.definitions.learn(frame.id(), definition((*number).max(1)));
        }
        profile.add_stack(&frames, sample.value, sample.count);
    }
    let mut modules = ModuleMap::default();
    modules.merge(&Agent::new(1).dictionary.modules);
    Columns::of(&prune(&stoker_analysis::call_tree(&profile, &modules), max_nodes))
}

fn options() -> DiffOptions {
    DiffOptions {
        replicates: "pod".to_owned(),
        per: Per::Unknown,
        limit: 0,
        ..DiffOptions::default()
    }
}

/// The answer, or what is wrong, in words.
fn compared(parts: &dyn Parts, base: &Query, new: &Query) -> String {
    engine_of(parts, |engine| match diff((engine, base), (engine, new), &options()) {
        Ok(answer) => serde_json::to_string(&answer).unwrap(),
        Err(error) => error.to_string(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_the_naive_way(
        samples in prop::collection::vec(sample(), 1..60),
        at_once in 1..20usize,
        seal_every in 1..4usize,
        range in prop_oneof![Just((0, 8)), (0..8u8, 1..8u8).prop_map(|(a, n)| (a, (a + n).min(8)))],
        max_nodes in prop_oneof![Just(0usize), 1..12usize],
    ) {
        let stores = [
            stored(&samples, (samples.len(), 1), None),
            stored(&samples, (at_once, seal_every), None),
            stored(&samples, (at_once, seal_every), MUCH),
            stored(&samples, (at_once, seal_every), LITTLE),
        ];
        type Accepts = fn(&Sample) -> bool;
        let selectors: [(&str, Accepts); 4] = [
            ("cpu", |_| true),
            ("cpu{service_name=\"v1\"}", |sample| sample.series == 1),
            ("cpu{pod=\"1\"}", |sample| sample.pod == 1),
            ("cpu{__frame__=\"fn3\"}", |sample| sample.stack.contains(&3)),
        ];
        let inside = |sample: &Sample| (range.0..range.1).contains(&sample.window);
        for (selector, accepts) in selectors {
            let query = query(selector, range);
            if !samples.iter().any(|sample| inside(sample) && accepts(sample)) {
                continue;
            }
            let wanted = naive(&samples, |sample| inside(sample) && accepts(sample), max_nodes);
            let wanted = serde_json::to_value(&wanted).unwrap();
            let mut first = None;
            for (_, store) in &stores {
                let parts = TenantParts { store: store.clone(), tenant: TenantId::default_tenant() };
                let answer = flame(&parts, &query, max_nodes);
                prop_assert_eq!(&answer, &flame(&RowByRow(&parts), &query, max_nodes), "{}", selector);
                prop_assert_eq!(&answer, first.get_or_insert_with(|| answer.clone()), "{}", selector);
                let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
                for part in ["names", "modules", "files", "nodes"] {
                    prop_assert_eq!(&answer[part], &wanted[part], "{} of {}", part, selector);
                }
            }
        }
    }

    #[test]
    fn diffs_from_sums_are_those_from_rows(
        samples in prop::collection::vec(sample(), 1..60),
        at_once in 1..20usize,
        until in 1..8u8,
    ) {
        let stores = [
            stored(&samples, (samples.len(), 1), None),
            stored(&samples, (at_once, 2), MUCH),
            stored(&samples, (at_once, 2), LITTLE),
        ];
        let sides = [
            (query("cpu{zone=\"z0\"}", (0, 8)), query("cpu{zone=\"z1\"}", (0, 8))),
            (query("cpu", (0, until)), query("cpu", (until, 8))),
            (query("cpu{service_name=\"v0\"}", (0, 8)), query("cpu{zone=\"z0\"}", (until, 8))),
        ];
        for (base, new) in sides {
            let mut first = None;
            for (_, store) in &stores {
                let parts = TenantParts { store: store.clone(), tenant: TenantId::default_tenant() };
                let answer = compared(&parts, &base, &new);
                prop_assert_eq!(&answer, &compared(&RowByRow(&parts), &base, &new));
                prop_assert_eq!(&answer, first.get_or_insert_with(|| answer.clone()));
            }
        }
    }
}
