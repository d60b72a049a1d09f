//! Rollups: names that come late, diffs over groups of hosts, and tables.

use std::sync::Arc;

use stoker_dag::{Definition, Frame, FrameId, UnixNanos};
use stoker_server::query::diff::{DiffAnswer, DiffOptions, diff};
use stoker_server::query::{Engine, Limits, Progress, Query, Selector, TableRow, TopBy, rows, top};
use stoker_server::store::{HOUR_NS, LateNames, ReplicateGroup, Store, TenantId};

use crate::files::{files, folder};
use crate::model::{Agent, some_rows};
use crate::rolling::{ALL, HOUR, START, age, ask, maintain, parts, restart, send, settings};

/// Debug information that was pushed after the samples came.
#[derive(Debug)]
struct Pushed;

impl LateNames for Pushed {
    fn of_frames(
        &self,
        _: &TenantId,
        frames: &mut dyn Iterator<Item = (FrameId, &Frame)>,
    ) -> Vec<(FrameId, Definition)> {
        let named = frames.filter(|(_, frame)| matches!(frame, Frame::Native { .. }));
        named.map(|(id, _)| (id, crate::model::definition(77))).collect()
    }
}

#[tokio::test]
async fn function_tables_know_names_that_came_late() {
    for is_pushed in [false, true] {
        let dir = folder();
        let store = Store::open(settings(dir.path())).unwrap();
        let mut agent = Agent::new(1);
        let mut body = agent.batch(0, &some_rows(1));
        body.definitions.clear();
        agent.append(&store, &body).await.unwrap();
        let store = restart(store, dir.path()).await;
        if is_pushed {
            store.name_by(Arc::new(Pushed));
        }
        maintain(&store, age(13));
        let range =
            Query::new(Selector::parse("cpu").unwrap(), UnixNanos(0), UnixNanos(u64::MAX / 2));
        let (parts, limits) = (parts(&store), Limits::default());
        let progress = Progress::after(limits.timeout);
        let engine = Engine { parts: &parts, limits: &limits, progress: &progress };
        let query = range.unwrap().widened(&parts);
        let table = top(engine, &query, TopBy::Function, 0).unwrap();
        assert_eq!(table.level, "functions");
        let has = |name: &str| table.rows.iter().any(|row| row.name == name && row.module == "app");
        assert_eq!((has("fn77"), has("(no symbols)")), (is_pushed, !is_pushed), "{table:#?}");
    }
}

#[tokio::test]
async fn hosts_of_a_diff_are_groups_where_hosts_are_gone() {
    let dir = folder();
    let store = Store::open(settings(dir.path())).unwrap();
    for host in 1..9 {
        for window in [0, 1] {
            send(&store, host, window, &[("api", "main;fib", 30), ("web", "main;lib_add", 30)])
                .await;
        }
    }
    let store = restart(store, dir.path()).await;
    let compared = |store: &Store| {
        let options = DiffOptions { limit: 0, ..DiffOptions::default() };
        let of =
            |service: &str| Selector::parse(&format!("cpu{{service_name={service:?}}}")).unwrap();
        ask(store, r#"cpu{service_name="web"}"#, ALL, |engine, web| {
            let api = Query { selector: of("api"), range: web.range };
            diff((engine, &api), (engine, web), &options)
        })
        .unwrap()
    };
    let raw = compared(&store);
    assert_eq!((raw.base.replicates, raw.new.replicates), (8, 8));
    maintain(&store, age(3));
    let rolled = compared(&store);
    let tenant = TenantId::default_tenant();
    let groups: std::collections::BTreeSet<_> =
        (1..9u8).map(|host| ReplicateGroup::of_host(&tenant, &[host + 100; 16])).collect();
    assert_eq!(rolled.base.replicates, groups.len());
    assert!(rolled.has_error_bars);
    assert_eq!((rolled.base.total, rolled.new.total), (raw.base.total, raw.new.total));
    let shares = |answer: &DiffAnswer| -> Vec<(String, u64, u64)> {
        answer.rows.iter().map(|row| (row.key.name.clone(), row.base_self, row.new_total)).collect()
    };
    let (mut a, mut b) = (shares(&raw), shares(&rolled));
    a.sort();
    b.sort();
    assert_eq!(a, b);
}

#[tokio::test]
async fn tables_are_the_same_whatever_is_merged() {
    let dir = folder();
    let mut store = Store::open(settings(dir.path())).unwrap();
    for host in 1..4 {
        for window in [0, 5, HOUR] {
            send(&store, host, window, &[("api", "main;fib", 3), ("web", "main", 1)]).await;
            store = restart(store, dir.path()).await;
        }
    }
    let tables = |store: &Store| {
        let table = ask(store, "cpu", ALL, rows).unwrap();
        (table.names, table.labels, table.rows)
    };
    let before = tables(&store);
    assert_eq!((before.1.len(), before.2.len()), (18, 18));
    maintain(&store, UnixNanos(START + 10 * HOUR_NS));
    assert_eq!(files(dir.path(), "segments").len(), 2);
    assert_eq!(tables(&store), before);
    maintain(&store, age(3));
    let (names, _, rolled) = tables(&store);
    assert_eq!(names, ["replicate_group".into(), "service_name".into()]);
    let sum = |rows: &[TableRow]| rows.iter().map(|row| row.value).sum::<u64>();
    assert_eq!(sum(&rolled), sum(&before.2));
}
