//! Random histories: appends, repeats, seals, restarts and crashes, against the model.

use proptest::prelude::*;
use stoker_dag::{UnixNanos, WINDOW_NS};
use stoker_server::store::{Appended, Store, TenantId, TimeRange};

use crate::files::{config, crash_copy, folder};
use crate::model::{Agent, Content, EPOCH, Row, frame, profile_type};

#[derive(Debug, Clone)]
enum Step {
    Send {
        agent: u8,
        window: u8,
        rows: Vec<Row>,
    },
    Gap {
        agent: u8,
    },
    Repeat {
        agent: u8,
    },
    Reconnect {
        agent: u8,
    },
    /// Merge what can be merged, as if all hours were over.
    Merge,
    /// Close, which seals, and open.
    Restart,
    /// Go without a word, and open.
    Kill,
    /// As a crash, with the index gone.
    CrashWithoutIndex,
}

fn row() -> impl Strategy<Value = Row> {
    (0..2u8, 0..4u8, 0..3u8, 0..60u8, 1..500u16).prop_map(
        |(kind, series, attributes, stack, count)| Row { kind, series, attributes, stack, count },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3u8, 0..6u8, prop::collection::vec(row(), 0..12))
            .prop_map(|(agent, window, rows)| Step::Send { agent, window, rows }),
        1 => (0..3u8).prop_map(|agent| Step::Gap { agent }),
        3 => (0..3u8).prop_map(|agent| Step::Repeat { agent }),
        1 => (0..3u8).prop_map(|agent| Step::Reconnect { agent }),
        2 => Just(Step::Merge),
        2 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => Just(Step::CrashWithoutIndex),
    ]
}

struct History {
    dir: tempfile::TempDir,
    store: Option<Store>,
    seal_rows: u64,
    model: Content,
    agents: Vec<Agent>,
}

impl History {
    fn new(seal_rows: u64) -> Self {
        let mut history = Self {
            dir: folder(),
            store: None,
            seal_rows,
            model: Content::default(),
            agents: (1..4).map(Agent::new).collect(),
        };
        history.open();
        history
    }

    fn open(&mut self) {
        let mut config = config(self.dir.path());
        config.seal_rows = self.seal_rows;
        self.store = Some(Store::open(config).unwrap());
    }

    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Send { agent, window, rows } => self.send(agent, window, &rows).await,
            Step::Gap { agent } => self.agents[usize::from(agent)].sequence += 3,
            Step::Repeat { agent } => self.repeat(agent).await,
            Step::Reconnect { agent } => self.agents[usize::from(agent)].reconnect(),
            Step::Merge => while self.store().maintain(UnixNanos(u64::MAX)) {},
            Step::Restart => {
                self.store().flush_and_close().await.unwrap();
                self.open();
            }
            Step::Kill => {
                self.store = None;
                self.open();
            }
            Step::CrashWithoutIndex => {
                self.dir = crash_copy(self.dir.path(), false);
                self.open();
            }
        }
    }

    async fn send(&mut self, agent: u8, window: u8, rows: &[Row]) {
        let store = self.store();
        let agent = &mut self.agents[usize::from(agent)];
        let body = agent.batch(window.into(), rows);
        agent.send(&store, &mut self.model, body).await;
    }

    async fn repeat(&mut self, agent: u8) {
        let store = self.store();
        let agent = &mut self.agents[usize::from(agent)];
        let Some(body) = agent.last.take() else { return };
        // After a reconnection the old batch's indexes are another dictionary's; send it empty.
        let body = stoker_wire::BatchBody { rows: vec![], definitions: vec![], ..body };
        assert_eq!(agent.append(&store, &body).await.unwrap(), Appended::Duplicate);
    }

    fn check(&self) {
        let store = self.store();
        assert_eq!(Content::of(&store), self.model);
        let at = |window: u64| UnixNanos(EPOCH + window * WINDOW_NS);
        let range = TimeRange::new(UnixNanos(at(1).0 + 1), UnixNanos(at(3).0 + 1));
        assert_eq!((range.from(), range.until()), (at(1), at(4)));
        let kind = profile_type(1);
        let part = Content::within(&store, range, Some(&kind));
        assert_eq!(part, self.model.cut(range, Some(&kind)));
        let tenant = TenantId::default_tenant();
        for agent in &self.agents {
            let watermark = store.watermark(&tenant, agent.source.spool_id);
            assert!(watermark <= agent.sequence);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_history_leaves_what_was_acknowledged(
        seal_rows in prop_oneof![Just(1u64), Just(20), Just(1_000_000)],
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut history = History::new(seal_rows);
            for step in steps {
                history.take(step).await;
                history.check();
            }
            history.take(Step::Restart).await;
            history.check();
        });
    }
}

#[tokio::test]
async fn names_outlive_the_logs_that_taught_them() {
    let dir = folder();
    let tenant = TenantId::default_tenant();
    let mut agent = Agent::new(1);
    let rows = [Row { kind: 0, series: 1, attributes: 1, stack: 5, count: 1 }];
    let mut model = Content::default();
    for _ in 0..3 {
        let store = crate::files::open(dir.path());
        let mut body = agent.batch(0, &rows);
        if agent.sequence > 1 {
            // Only the first batch says what frames mean; later segments know it all the same.
            body.definitions.clear();
        }
        agent.send(&store, &mut model, body).await;
        store.flush_and_close().await.unwrap();
    }
    let segments = crate::files::files(dir.path(), "segments");
    assert_eq!(segments.len(), 3);
    for gone in &segments[..2] {
        std::fs::remove_file(gone).unwrap();
    }
    let store = crate::files::open(dir.path());
    let leaf = agent
        .dictionary
        .frames
        .iter()
        .map(|(id, _)| id)
        .find(|id| store.names(&tenant, |names| names.definitions.get(id).is_some()));
    assert!(leaf.is_some(), "the last segment explains its frames");
    let module = store.names(&tenant, |names| names.modules.get(&crate::model::build()).cloned());
    assert_eq!(&*module.unwrap().name, "app");
    assert!(matches!(frame(0), stoker_dag::Frame::Native { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_send_at_once_share_syncs_and_lose_nothing() {
    let dir = folder();
    let mut config = config(dir.path());
    config.seal_rows = 500;
    let store = Store::open(config).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let store = store.clone();
        tasks.spawn(async move {
            let (mut agent, mut model) = (Agent::new(number), Content::default());
            for window in 0..40 {
                let body = agent.batch(window % 4, &crate::model::some_rows(number));
                agent.send(&store, &mut model, body).await;
            }
            model
        });
    }
    let mut all = Content::default();
    for model in tasks.join_all().await {
        for (key, (value, count)) in model.rows {
            let held = all.rows.entry(key).or_default();
            *held = (held.0 + value, held.1 + count);
        }
        for (key, (value, count)) in model.details {
            let held = all.details.entry(key).or_default();
            *held = (held.0 + value, held.1 + count);
        }
        all.taken.extend(model.taken);
    }
    assert_eq!(Content::of(&store), all);
    let metrics = store.metrics();
    assert_eq!((metrics.batches, metrics.rows), (800, 4800));
    assert!(metrics.log_syncs < 800, "{} syncs for 800 batches", metrics.log_syncs);
    store.flush_and_close().await.unwrap();
    assert_eq!(Content::of(&crate::files::open(dir.path())), all);
}
