//! Rollups: what is summed up by the hour and by function says the same as the rows that it was made
//! of, as far as it says anything, and says when it cannot.

use std::sync::Arc;
use std::time::Duration;

use stoker_dag::{Frame, LabelSet, NodeIx, ProfileType, SampleRow, UnixNanos, WINDOW_NS};
use stoker_server::query::{
    CapacityAnswer, CapacityOf, CapacityOptions, CapacityStep, Engine, FlameGraph, Limits, Parts,
    Progress, Query, QueryError, Selector, TenantParts, Timeline, TimelineOptions, Top, TopBy,
    capacity, flamegraph, fold, timeline, top,
};
use stoker_server::store::{
    HOUR_NS, Level, ReplicateGroup, Store, StoreConfig, TenantId, TimeRange, Wanted,
};
use stoker_wire::{BatchBody, HostFacts, RowGroup};

use crate::files::{config, crash_copy, files, folder};
use crate::model::{Agent, Content, some_rows};

pub const HOUR: u64 = 360;
pub const HOURS: Duration = Duration::from_secs(3600);
/// The start of a day.
pub const START: u64 = 1_700_006_400 * 1_000_000_000;

pub fn settings(dir: &std::path::Path) -> StoreConfig {
    StoreConfig {
        retain_raw: Some(100_000 * HOURS),
        retain_hourly: Some(100_010 * HOURS),
        retain_functions: Some(100_020 * HOURS),
        ..config(dir)
    }
}

/// When what was taken in the first windows is this much older than raw data are kept.
pub fn age(hours: u64) -> UnixNanos {
    UnixNanos(START + (100_000 + hours) * HOUR_NS)
}

pub fn maintain(store: &Store, now: UnixNanos) {
    while store.maintain(now) {}
}

pub async fn restart(store: Store, dir: &std::path::Path) -> Store {
    store.flush_and_close().await.unwrap();
    drop(store);
    Store::open(settings(dir)).unwrap()
}

pub fn function(name: &str) -> Frame {
    let module = if name.starts_with("lib") { "lib" } else { "app" };
    Frame::Interpreted {
        runtime: "python".into(),
        module: module.into(),
        function: name.into(),
        line: 3,
    }
}

/// Sends what a host saw in a window: stacks of functions with their samples, for services.
pub async fn send(store: &Store, host: u8, window: u64, stacks: &[(&str, &str, u64)]) {
    let mut agent = Agent::new(host);
    agent.sequence = window;
    let name = agent.source.host_name.to_string();
    let mut rows = Vec::new();
    for (service, stack, count) in stacks {
        let dictionary = &mut agent.dictionary;
        let node = stack.split(';').fold(NodeIx::ROOT, |node, name| {
            let frame = dictionary.frames.intern(&function(name));
            dictionary.nodes.child(node, frame)
        });
        let pod = format!("{service}-{window}");
        let series = LabelSet::new([("service_name", *service), ("host", &name)]);
        rows.push(SampleRow {
            series: dictionary.labels.intern(&series),
            attributes: dictionary.labels.intern(&LabelSet::new([("pod", pod.as_str())])),
            node,
            value: count * 1000,
            count: *count,
        });
    }
    agent.sequence += 1;
    let body = BatchBody {
        sequence: agent.sequence,
        start: UnixNanos(START + window * WINDOW_NS),
        duration_ns: WINDOW_NS,
        rows: vec![RowGroup { profile_type: ProfileType::cpu(), period: 1000, rows }],
        facts: HostFacts { observed_ns: WINDOW_NS, busy_ns: 77, ..HostFacts::default() },
        ..BatchBody::default()
    };
    agent.append(store, &body).await.unwrap();
}

/// Three hosts, two services, recursion, two hours.
pub async fn fill(store: &Store) {
    for host in 1..4 {
        for window in [0, 1, HOUR - 1, HOUR, HOUR + 7] {
            let stacks = [
                ("api", "main;fib;fib;lib_add", 5 + u64::from(host)),
                ("api", "main;fib", 2),
                ("web", "main;lib_add", window % 5 + 1),
                ("web", "main", 1),
            ];
            send(store, host, window, &stacks).await;
        }
    }
}

pub fn parts(store: &Store) -> TenantParts {
    TenantParts { store: store.clone(), tenant: TenantId::default_tenant() }
}

pub fn ask<T>(
    store: &Store,
    selector: &str,
    windows: (u64, u64),
    work: impl FnOnce(Engine<'_>, &Query) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    let limits = Limits::default();
    let progress = Progress::after(limits.timeout);
    let parts = parts(store);
    let at = |window: u64| UnixNanos(START + window * WINDOW_NS);
    let query = Query::new(Selector::parse(selector)?, at(windows.0), at(windows.1))?;
    let query = query.widened(&parts);
    work(Engine { parts: &parts, limits: &limits, progress: &progress }, &query)
}

pub const ALL: (u64, u64) = (0, 2 * HOUR);

pub fn table(store: &Store, selector: &str) -> Top {
    ask(store, selector, ALL, |engine, query| top(engine, query, TopBy::Function, 0)).unwrap()
}

pub fn graph(store: &Store, windows: (u64, u64)) -> FlameGraph {
    let work =
        |engine: Engine<'_>, query: &Query| flamegraph(query, &fold(engine, query, None)?, 0);
    ask(store, "cpu", windows, work).unwrap()
}

pub fn line(store: &Store, windows: (u64, u64)) -> Timeline {
    let options = TimelineOptions { group_by: Some("service_name".into()), ..Default::default() };
    ask(store, "cpu", windows, |engine, query| timeline(engine, query, &options)).unwrap()
}

/// Services and functions by the hour, with everything that is told of them.
pub fn used(store: &Store) -> [String; 2] {
    [CapacityOf::Services, CapacityOf::Functions].map(|of| {
        let (step, limit, prices) = (CapacityStep::Hour, 0, Arc::default());
        let options = CapacityOptions { of, by: vec!["service_name".into()], step, limit, prices };
        let answer = ask(store, "cpu", ALL, |engine, query| capacity(engine, query, &options));
        let CapacityAnswer { rows, coverage, .. } = answer.unwrap();
        format!("{rows:#?} {coverage:#?}")
    })
}

#[tokio::test]
async fn answers_are_the_same_at_every_level() {
    let dir = folder();
    let store = Store::open(settings(dir.path())).unwrap();
    fill(&store).await;
    let mut store = restart(store, dir.path()).await;
    let (raw_graph, raw_line) = (graph(&store, ALL), line(&store, ALL));
    let raw_used = used(&store);
    assert!(raw_used[0].contains("relative_error: Some(") && raw_used[1].contains("fib"));
    let selectors = ["cpu", r#"cpu{service_name="api"}"#, r#"cpu{service_name!="api"}"#];
    let raw: Vec<Top> = selectors.iter().map(|selector| table(&store, selector)).collect();
    assert_eq!((raw[0].level, raw_graph.level), ("raw", "raw"));
    for (now, level) in [(age(3), "hourly"), (age(13), "functions")] {
        maintain(&store, now);
        store = restart(store, dir.path()).await;
        for (selector, raw) in selectors.iter().zip(&raw) {
            let rolled = table(&store, selector);
            assert_eq!(rolled.level, level);
            assert_eq!(rolled.rows, raw.rows, "{selector} at {level}");
            assert_eq!((rolled.total, rolled.samples), (raw.total, raw.samples));
        }
        assert_eq!(used(&store), raw_used, "errors and coverage too, at {level}");
        let rolled = graph(&store, ALL);
        assert_eq!((rolled.total, rolled.samples), (raw_graph.total, raw_graph.samples));
        assert_eq!(rolled.nodes == raw_graph.nodes, level == "hourly", "stacks are kept");
        assert_eq!(rolled.warnings.is_empty(), level == "hourly");
        let rolled = line(&store, ALL);
        assert_eq!(rolled.step_ms, 3_600_000);
        for (rolled, raw) in rolled.groups.iter().zip(&raw_line.groups) {
            assert_eq!((&rolled.value, rolled.total), (&raw.value, raw.total));
            let raw: Vec<u64> =
                raw.values.chunks(raw.values.len() / 2).map(|half| half.iter().sum()).collect();
            assert_eq!(rolled.values, raw);
        }
    }
    maintain(&store, age(30));
    assert_eq!(graph(&store, ALL).total, 0);
    assert_eq!(files(dir.path(), "segments").len(), 1, "what is left is a marker");
}

#[tokio::test]
async fn what_a_rollup_cannot_say_is_said() {
    let dir = folder();
    let store = Store::open(settings(dir.path())).unwrap();
    fill(&store).await;
    let store = restart(store, dir.path()).await;
    send(&store, 1, 3 * HOUR + 5, &[("api", "main", 1)]).await;
    let store = restart(store, dir.path()).await;
    let by_host = |windows| {
        ask(&store, r#"cpu{host="host-1"}"#, windows, |engine, query| {
            top(engine, query, TopBy::Service, 0)
        })
    };
    assert_eq!(by_host(ALL).unwrap().total, 57_000);
    maintain(&store, age(3));
    let error = by_host(ALL).unwrap_err();
    assert_eq!(error.code(), "beyond_raw_retention");
    let until = "2023-11-15T02:00:00Z";
    assert!(error.to_string().contains(until) && error.to_string().contains("\"host\""), "{error}");
    assert!(error.hint().contains(until), "{}", error.hint());
    assert_eq!(by_host((2 * HOUR, 4 * HOUR)).unwrap().total, 1000, "raw data still know hosts");
    let grouped = TimelineOptions { group_by: Some("pod".into()), ..Default::default() };
    let grouped =
        ask(&store, "cpu", ALL, |engine, query| timeline(engine, query, &grouped)).unwrap_err();
    assert_eq!(grouped.code(), "beyond_raw_retention");
    // A range that cuts an hour gets the hour, and the answer says so.
    let part = graph(&store, (HOUR + 30, HOUR + 31));
    let whole = graph(&store, (HOUR, 2 * HOUR));
    assert_eq!((part.from_ms, part.until_ms), (whole.from_ms, whole.until_ms));
    assert_eq!(part.total, whole.total);
    // One that ends among raw data ends where it says.
    let both = graph(&store, (HOUR + 30, 3 * HOUR + 6));
    assert_eq!((both.level, both.total), ("raw+hourly", whole.total + 1000));
    assert_eq!(both.until_ms, (START + (3 * HOUR + 6) * WINDOW_NS) / 1_000_000);
}

#[tokio::test]
async fn what_comes_late_is_added_to_its_hour() {
    let dir = folder();
    let store = Store::open(settings(dir.path())).unwrap();
    fill(&store).await;
    let store = restart(store, dir.path()).await;
    maintain(&store, age(3));
    let before = graph(&store, ALL).total;
    send(&store, 9, 3, &[("api", "main;fib", 4)]).await;
    assert_eq!(graph(&store, ALL).total, before + 4000);
    let mut store = restart(store, dir.path()).await;
    for now in [age(3), age(13)] {
        maintain(&store, now);
        assert_eq!(graph(&store, ALL).total, before + 4000);
        store = restart(store, dir.path()).await;
        assert_eq!(graph(&store, ALL).total, before + 4000);
    }
    maintain(&store, age(19));
    assert_eq!(files(dir.path(), "segments").len(), 1, "rollups of one day become one");
    assert_eq!(graph(&store, ALL).total, before + 4000);
}

#[tokio::test]
async fn a_crash_while_summing_up_counts_nothing_twice() {
    let dir = folder();
    let settings = |dir: &std::path::Path| settings(dir);
    let mut model = Content::default();
    let mut agent = Agent::new(1);
    for window in 0..3 {
        let store = Store::open(settings(dir.path())).unwrap();
        agent.reconnect();
        let body = agent.batch(window, &some_rows(3 * u8::try_from(window).unwrap()));
        agent.send(&store, &mut model, body).await;
        store.flush_and_close().await.unwrap();
    }
    for (now, has_stacks) in [(age(3), true), (age(13), false)] {
        let before = crash_copy(dir.path(), true);
        let old = files(before.path(), "segments");
        let store = Store::open(settings(dir.path())).unwrap();
        maintain(&store, now);
        assert_eq!(Content::of(&store).reduced(has_stacks), model.reduced(has_stacks));
        for keep in 0..1 << old.len() {
            let copy = crash_copy(dir.path(), keep % 2 == 0);
            for (at, old) in old.iter().enumerate() {
                if keep & (1 << at) != 0 {
                    let to = copy.path().join("segments/default").join(old.file_name().unwrap());
                    std::fs::copy(old, to).unwrap();
                }
            }
            let store = Store::open(settings(copy.path())).unwrap();
            let held = Content::of(&store).reduced(has_stacks);
            assert_eq!(held, model.reduced(has_stacks), "{keep:b}");
            assert_eq!(files(copy.path(), "segments").len(), 1, "{keep:b}");
            assert!(store.losses(&TenantId::default_tenant(), TimeRange::ALL).is_empty());
        }
    }
}

#[tokio::test]
async fn hosts_become_their_groups() {
    let dir = folder();
    let store = Store::open(settings(dir.path())).unwrap();
    fill(&store).await;
    let store = restart(store, dir.path()).await;
    maintain(&store, age(3));
    let tenant = TenantId::default_tenant();
    let group = |host: u8| ReplicateGroup::of_host(&tenant, &[host + 100; 16]);
    let (mut samples, mut observed) = ([0; 64], [0; 64]);
    parts(&store)
        .visit(Wanted::ALL, &mut |part| {
            assert_eq!(part.level, Level::Hourly);
            for row in part.windows.iter().flat_map(|window| &window.rows) {
                let attributes = part.dictionary.labels.get(row.attributes);
                samples[ReplicateGroup::of_attributes(attributes).unwrap().at()] += row.count;
                assert_eq!(part.dictionary.labels.get(row.series).len(), 1, "hosts are gone");
            }
            for held in part.facts {
                observed[usize::from(held.host_id[0])] += held.facts.observed_ns;
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let mut wanted = ([0; 64], [0; 64]);
    for host in 1..4u8 {
        let of_web: u64 = [0, 1, HOUR - 1, HOUR, HOUR + 7].iter().map(|w| w % 5 + 1).sum();
        wanted.0[group(host).at()] += 5 * (5 + u64::from(host) + 2 + 1) + of_web;
        wanted.1[group(host).at()] += 5 * WINDOW_NS;
    }
    assert_eq!((samples, observed), wanted);
}

#[tokio::test]
async fn the_quota_takes_hosts_before_it_takes_hours() {
    let dir = folder();
    let store = Store::open(settings(dir.path())).unwrap();
    for host in 1..40 {
        for window in [0, 1, 2, 3, 4, 5, HOUR, HOUR + 1] {
            send(&store, host, window, &[("api", "main;fib", 3), ("web", "main", 1)]).await;
        }
    }
    let store = restart(store, dir.path()).await;
    let total = graph(&store, ALL).total;
    let bytes = store.metrics().segment_bytes;
    store.flush_and_close().await.unwrap();
    drop(store);
    let max_disk = Some(bytes - 1);
    let store = Store::open(StoreConfig { max_disk, ..settings(dir.path()) }).unwrap();
    // Nothing is too old.
    maintain(&store, UnixNanos(START + 10 * HOUR_NS));
    assert_eq!(graph(&store, ALL).total, total);
    assert_eq!(graph(&store, ALL).level, "hourly");
    assert!(store.metrics().segment_bytes < bytes);
    assert_eq!(store.metrics().segments_expired, 0);
}
