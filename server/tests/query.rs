//! Queries over parts in memory: what is selected, what it sums to, and that nothing depends on the
//! order or the spread of rows.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod fixture;

use std::time::Duration;

use fixture::*;
use proptest::prelude::*;
use stoker_dag::{Frame, LabelSet, ProfileType};
use stoker_server::query::{
    Engine, FlameGraph, Limits, MemoryPart, MemoryParts, Progress, Query, QueryError, Selector,
    Timeline, TimelineOptions, TopBy, flamegraph, fold, labels, profile_types,
    series as list_series, timeline, top, values,
};

fn query(selector: &str) -> Query {
    let selector = Selector::parse(selector).unwrap();
    Query::new(selector, window(0), window(3)).unwrap()
}

/// Runs `work` over `parts` with the usual limits.
fn on<T>(
    parts: &MemoryParts,
    work: impl FnOnce(Engine<'_>) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    let limits = Limits::default();
    let progress = Progress::after(limits.timeout);
    work(Engine { parts, limits: &limits, progress: &progress })
}

fn graph(parts: &MemoryParts, selector: &str, max_nodes: usize) -> FlameGraph {
    let query = query(selector);
    on(parts, |engine| flamegraph(&query, &fold(engine, &query, None)?, max_nodes)).unwrap()
}

fn samples_of(selector: &str) -> u64 {
    graph(&parts(), selector, 0).samples
}

#[test]
fn labels_and_attributes_select_alike() {
    for (selector, samples) in [
        ("cpu", 140),
        (r#"cpu{service_name="api"}"#, 100),
        (r#"cpu{host=~"web-.*",service_name!="api"}"#, 40),
        (r#"cpu{comm="gc"}"#, 15),
        (r#"cpu{comm!~"gc|worker"}"#, 25),
        (r#"cpu{service_name="web",comm=""}"#, 0),
        (r#"memory:alloc:bytes:space:bytes{}"#, 0),
    ] {
        assert_eq!(samples_of(selector), samples, "{selector}");
    }
}

#[test]
fn stacks_are_selected_by_what_is_on_them() {
    for (selector, samples) in [
        // Inlined into serve, and called by it.
        (r#"cpu{__frame__="parse"}"#, 40),
        (r#"cpu{__frame__="serve"}"#, 70),
        (r#"cpu{__under__="serve"}"#, 70),
        (r#"cpu{__under__="parse"}"#, 0),
        (r#"cpu{__frame__="main",__frame__=~"mem.*"}"#, 30),
        (r#"cpu{__frame__="main",__frame__!="serve"}"#, 20),
        (r#"cpu{__frame__!~"main|run"}"#, 10),
        // What has no name is called by its address.
        (r#"cpu{__frame__="0x4f2a1"}"#, 10),
        (r#"cpu{__under__="run"}"#, 15),
        (r#"cpu{__frame__="run"}"#, 40),
        (r#"cpu{__module__="libc.so"}"#, 30),
        (r#"cpu{__module__=~".*kernel.*"}"#, 15),
        (r#"cpu{__module__!="api"}"#, 50),
        (r#"cpu{service_name="web",__frame__="main"}"#, 0),
        (r#"cpu{service_name="api",__module__="libc.so",comm="worker"}"#, 30),
    ] {
        assert_eq!(samples_of(selector), samples, "{selector}");
        let (all, query) = (parts(), query(selector));
        let none = TimelineOptions::default();
        let timeline = on(&all, |engine| timeline(engine, &query, &none)).unwrap();
        let table = on(&all, |engine| top(engine, &query, TopBy::Service, 0)).unwrap();
        assert_eq!((timeline.total, table.total), (samples * PERIOD, samples * PERIOD));
        assert_eq!(query.selector, Selector::parse(&query.selector.to_string()).unwrap());
    }
    let parse = query(r#"cpu{__frame__="parse"}"#);
    let found = on(&parts(), |engine| list_series(engine, &parse)).unwrap();
    assert_eq!(found.series.len(), 1, "{found:?}");
}

#[test]
fn a_query_that_takes_too_much_memory_says_so() {
    let limits = Limits { max_memory_bytes: 1000, ..Limits::default() };
    let (parts, query) = (parts(), query("cpu"));
    let progress = Progress::after(limits.timeout);
    let engine = Engine { parts: &parts, limits: &limits, progress: &progress };
    let error = fold(engine, &query, None).unwrap_err();
    assert_eq!(error.code(), "query_memory");
    assert_eq!(error.to_string(), "the query takes more than 1000 bytes of memory");
    assert!(error.hint().contains("--query-memory"));
}

#[test]
fn grouping_puts_each_value_below_the_root_and_keeps_the_total() {
    let query = query("cpu");
    let grouped = |label| on(&parts(), |engine| fold(engine, &query, Some(label))).unwrap();
    let by_service = grouped("service_name");
    assert_eq!(by_service.profile.samples(), samples_of("cpu"));
    let whole = on(&parts(), |engine| {
        flamegraph(&query, &by_service, 0).and_then(|graph| engine.progress.check().map(|()| graph))
    });
    let whole = whole.unwrap();
    let below_root = |at: &usize| *at > 0 && whole.nodes.parent[*at] == 0;
    let tops: Vec<usize> = (0..whole.nodes.kind.len()).filter(below_root).collect();
    let shown = |at: &usize| (&*whole.names[whole.nodes.name[*at] as usize], whole.nodes.kind[*at]);
    let mut names: Vec<_> = tops.iter().map(shown).collect();
    names.sort_unstable();
    assert_eq!(names, [("api", 6), ("web", 6)]);
    for (at, service) in tops.iter().zip(["api", "web"]) {
        let alone = graph(&parts(), &format!("cpu{{service_name=\"{service}\"}}"), 0);
        assert_eq!(whole.nodes.total[*at], alone.total);
    }
    let none = grouped("no_such_label");
    assert_eq!(none.profile.samples(), samples_of("cpu"));
}

#[test]
fn the_range_is_half_open_and_whole_windows() {
    let selector = Selector::parse("cpu").unwrap();
    let samples = |from, until| {
        let query = Query::new(selector.clone(), from, until).unwrap();
        on(&parts(), |engine| fold(engine, &query, None)).unwrap().profile.samples()
    };
    assert_eq!(samples(window(0), window(1)), 60);
    assert_eq!(samples(window(1), window(2)), 50);
    let inside = stoker_dag::UnixNanos(window(1).0 + 1);
    assert_eq!(samples(inside, stoker_dag::UnixNanos(inside.0 + 1)), 50);
    assert!(Query::new(selector.clone(), window(1), window(1)).is_err());
}

#[test]
fn a_label_that_nothing_has_is_named() {
    let fails = |selector: &str| {
        let query = query(selector);
        let error = on(&parts(), |engine| fold(engine, &query, None)).unwrap_err();
        (error.code(), error.to_string(), error.hint().to_owned())
    };
    let (code, message, hint) = fails(r#"cpu{servicename="api"}"#);
    assert_eq!(code, "unknown_label");
    assert!(message.contains("\"servicename\""), "{message}");
    assert_eq!(hint, "labels in this range: comm, host, service_name");
    // A value that nothing has is an empty answer, and so is a range without data.
    assert_eq!(samples_of(r#"cpu{service_name="nobody"}"#), 0);
    let selector = Selector::parse(r#"cpu{servicename="api"}"#).unwrap();
    let empty = Query::new(selector, window(50), window(51)).unwrap();
    assert_eq!(on(&parts(), |engine| fold(engine, &empty, None)).unwrap().profile.samples(), 0);
}

#[test]
fn lost_samples_are_those_of_the_selected_hosts() {
    for (selector, lost) in
        [("cpu", 7), (r#"cpu{host="web-2"}"#, 4), (r#"cpu{service_name="api"}"#, 7)]
    {
        assert_eq!(graph(&parts(), selector, 0).lost_samples, lost, "{selector}");
    }
}

#[test]
fn lists_tell_what_is_there() {
    let parts = parts();
    let all = query("{}");
    let found = on(&parts, |engine| labels(engine, &all)).unwrap();
    assert_eq!(found.labels, ["comm", "host", "service_name"]);
    let found = on(&parts, |engine| values(engine, &query(r#"{service_name="web"}"#), "comm"));
    assert_eq!(found.unwrap().values, ["gc", "python"]);
    let error = on(&parts, |engine| values(engine, &all, "zone")).unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        ("unknown_label", stoker_server::query::ErrorKind::NotFound)
    );
    let found = on(&parts, |engine| list_series(engine, &query(r#"cpu{comm="gc"}"#))).unwrap();
    assert_eq!(found.series.len(), 1);
    assert_eq!(found.series[0].labels["service_name"], "web");
    let found = on(&parts, |engine| profile_types(engine, &all)).unwrap();
    assert_eq!(found.profile_types.len(), 1);
}

#[test]
fn tables_count_a_function_once_per_sample() {
    let parts = parts();
    let rows = |selector: &str, by| {
        let table = on(&parts, |engine| top(engine, &query(selector), by, 0)).unwrap();
        let rows = table.rows.into_iter();
        rows.map(|row| (row.name, row.module, row.self_value / PERIOD, row.total / PERIOD))
            .collect::<Vec<_>>()
    };
    let row =
        |name: &str, module: &str, own, total| (name.to_owned(), module.to_owned(), own, total);
    assert_eq!(rows(r#"cpu{service_name="web"}"#, TopBy::Function), [row("run", "app.py", 40, 40)]);
    let functions = rows(r#"cpu{service_name="api"}"#, TopBy::Function);
    assert_eq!(functions[0], row("parse", "api", 40, 40));
    assert!(functions.contains(&row("serve", "api", 0, 70)), "{functions:?}");
    assert!(functions.contains(&row("main", "api", 0, 90)), "{functions:?}");
    assert!(functions.contains(&row("0x4f2a1", "build cc", 10, 10)), "{functions:?}");
    assert!(functions.contains(&row("[unwind failed: unknown mapping]", "", 0, 10)));
    let modules = rows("cpu", TopBy::Module);
    assert_eq!(modules[0], row("api", "", 45, 90));
    assert!(modules.contains(&row("[kernel]", "", 15, 15)), "{modules:?}");
    assert_eq!(rows("cpu", TopBy::Service), [row("api", "", 100, 100), row("web", "", 40, 40)]);
    let limited = on(&parts, |engine| top(engine, &query("cpu"), TopBy::Function, 2)).unwrap();
    assert_eq!((limited.rows.len(), limited.rows_total), (2, 10));
}

fn cut(parts: &MemoryParts, selector: &str, options: &TimelineOptions) -> Timeline {
    on(parts, |engine| timeline(engine, &query(selector), options)).unwrap()
}

#[test]
fn timelines_sum_to_the_total_whatever_the_step_and_groups() {
    let parts = parts();
    let options = |seconds, group_by: Option<&str>, max_groups| TimelineOptions {
        step: Some(Duration::from_secs(seconds)),
        group_by: group_by.map(Into::into),
        max_groups,
    };
    let shown = |timeline: &Timeline| {
        let groups = timeline.groups.iter();
        let in_samples = |values: &[u64]| values.iter().map(|v| v / PERIOD).collect::<Vec<_>>();
        groups.map(|g| (g.value.clone(), in_samples(&g.values))).collect::<Vec<_>>()
    };
    let by_service = cut(&parts, "cpu", &options(10, Some("service_name"), 0));
    assert_eq!(
        shown(&by_service),
        [("api".into(), vec![60, 25, 15]), ("web".into(), vec![0, 25, 15])]
    );
    assert_eq!((by_service.step_ms, by_service.total), (10_000, 140 * PERIOD));
    let coarse = cut(&parts, "cpu", &options(15, None, 0));
    assert_eq!(shown(&coarse), [(String::new(), vec![110, 30])]);
    assert_eq!(coarse.step_ms, 20_000);
    let one = cut(&parts, "cpu", &options(10, Some("comm"), 1));
    assert_eq!(
        shown(&one),
        [("worker".into(), vec![60, 25, 15]), ("(other)".into(), vec![0, 25, 15])]
    );
    assert_eq!((one.groups[1].label.as_str(), one.groups[1].total), ("", 40 * PERIOD));
}

#[test]
fn limits_are_named_when_they_bite() {
    let parts = parts();
    let usual = Limits::default();
    let fails = |limits: Limits, work: fn(Engine<'_>, &Query) -> Result<(), QueryError>| {
        let progress = Progress::after(limits.timeout);
        let engine = Engine { parts: &parts, limits: &limits, progress: &progress };
        let error = work(engine, &query("cpu")).unwrap_err();
        (error.code(), error.to_string())
    };
    let folded = |engine: Engine<'_>, query: &Query| fold(engine, query, None).map(|_| ());
    for (limits, name) in [
        (Limits { max_series: 1, ..usual }, "max_series is 1"),
        (Limits { max_windows: 2, ..usual }, "max_windows is 2"),
        (Limits { max_nodes: 3, ..usual }, "max_nodes is 3"),
    ] {
        let (code, message) = fails(limits, folded);
        assert_eq!(code, "too_large");
        assert!(message.contains(name), "{message}");
    }
    let cells = Limits { max_cells: 4, ..usual };
    let by_comm = |engine: Engine<'_>, query: &Query| {
        let options =
            TimelineOptions { group_by: Some("comm".into()), ..TimelineOptions::default() };
        timeline(engine, query, &options).map(|_| ())
    };
    assert!(fails(cells, by_comm).1.contains("max_cells is 4"));
    let points = Limits { max_points: 2, ..usual };
    assert_eq!(fails(points, by_comm).0, "too_many_points");
    let timeout = Limits { timeout: Duration::ZERO, ..usual };
    assert_eq!(fails(timeout, folded).0, "query_timeout");
}

#[test]
fn a_query_nobody_waits_for_stops() {
    let limits = Limits::default();
    let progress = Progress::after(limits.timeout);
    drop(progress.on_drop());
    let parts = parts();
    let engine = Engine { parts: &parts, limits: &limits, progress: &progress };
    assert_eq!(fold(engine, &query("cpu"), None).unwrap_err().code(), "cancelled");
}

#[test]
fn sums_need_a_profile_type() {
    let query = query(r#"{service_name="api"}"#);
    let error = on(&parts(), |engine| top(engine, &query, TopBy::Function, 0)).unwrap_err();
    assert_eq!(error.code(), "missing_profile_type");
}

#[test]
fn the_flame_graph_is_as_it_was() {
    let whole = serde_json::to_string_pretty(&graph(&parts(), "cpu", 0)).unwrap();
    check_golden("flamegraph.json", &(whole + "\n"));
}

/// A row as proptest makes it: window, series, attributes, stack, value, count.
type Row = (u64, usize, usize, Vec<u64>, u64, u64);

fn rows() -> impl Strategy<Value = Vec<(Row, usize)>> {
    let stack = prop::collection::vec(0u64..6, 0..6);
    let row = (0u64..3, 0usize..3, 0usize..3, stack, 0u64..1000, 1u64..5);
    prop::collection::vec((row, 0usize..4), 0..60)
}

fn spread<'a>(rows: impl IntoIterator<Item = &'a (Row, usize)>) -> MemoryParts {
    let cpu = ProfileType::cpu();
    let mut parts: Vec<MemoryPart> = (0..4).map(|_| MemoryPart::default()).collect();
    for ((at, of, with, stack, value, count), part) in rows {
        let frames: Vec<Frame> = stack.iter().map(|n| native("aa", 8 * n)).collect();
        let series = LabelSet::new([("service_name", format!("s{of}"))]);
        let attributes = LabelSet::new([("comm", format!("c{with}"))]);
        let labels = (&series, &attributes);
        parts[*part].add((window(*at), &cpu), labels, &frames, (*value, *count));
    }
    MemoryParts { parts, names: names() }
}

proptest! {
    #[test]
    fn order_and_spread_of_rows_do_not_matter(rows in rows(), moves in prop::collection::vec(0usize..4, 60)) {
        let there = spread(&rows);
        let moved: Vec<(Row, usize)> =
            rows.iter().rev().zip(&moves).map(|((row, _), part)| (row.clone(), *part)).collect();
        let here = spread(&moved);
        for selector in ["cpu", r#"cpu{comm="c1"}"#] {
            prop_assert_eq!(graph(&there, selector, 0), graph(&here, selector, 0));
            prop_assert_eq!(graph(&there, selector, 5), graph(&here, selector, 5));
            let by_comm = TimelineOptions { group_by: Some("comm".into()), ..TimelineOptions::default() };
            prop_assert_eq!(cut(&there, selector, &by_comm), cut(&here, selector, &by_comm));
        }
    }

    #[test]
    fn every_answer_sums_to_the_rows(rows in rows(), max_nodes in 1usize..12) {
        let parts = spread(&rows);
        let value: u64 = rows.iter().map(|(row, _)| row.4).sum();
        let count: u64 = rows.iter().map(|(row, _)| row.5).sum();
        for max_nodes in [0, max_nodes] {
            let graph = graph(&parts, "cpu", max_nodes);
            prop_assert_eq!((graph.total, graph.samples), (value, count));
            prop_assert_eq!(graph.nodes.total[0], value);
            prop_assert_eq!(graph.nodes.self_value.iter().sum::<u64>(), value);
            let mut children = graph.nodes.self_value.clone();
            for (at, parent) in graph.nodes.parent.iter().enumerate().skip(1) {
                prop_assert!((*parent as usize) < at);
                children[*parent as usize] += graph.nodes.total[at];
            }
            prop_assert_eq!(&children, &graph.nodes.total);
        }
        let table = on(&parts, |engine| top(engine, &query("cpu"), TopBy::Function, 0)).unwrap();
        let on_stack = table.rows.iter().map(|row| row.self_value).sum::<u64>();
        let no_stack: u64 = rows.iter().filter(|(row, _)| row.3.is_empty()).map(|(row, _)| row.4).sum();
        prop_assert_eq!(on_stack + no_stack, value);
        prop_assert_eq!(cut(&parts, "cpu", &TimelineOptions::default()).total, value);
        let by_comm: u64 = (0..3).map(|n| graph(&parts, &format!("cpu{{comm=~\"c{n}|x\"}}"), 0).total).sum();
        prop_assert_eq!(by_comm, value);
    }
}
