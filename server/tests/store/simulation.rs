//! Thousands of short lives on a simulated disk: batches, merges, rollups, removals, failing operations and
//! power cuts in a random order, checked against a map after each.
//!
//! `STOKER_SIM_LIVES` says how many (1,500 unless told), `STOKER_SIM_SEED` the first seed. A seed
//! gives the same steps again; where sealing runs beside appending, threads may still take turns
//! otherwise.

use std::sync::Arc;
use std::time::Duration;

use stoker_dag::{UnixNanos, WINDOW_NS};
use stoker_server::store::{Store, StoreConfig, StoreError, TenantId, TimeRange};
use stoker_wire::BatchBody;

use crate::files::{config, folder};
use crate::model::{Agent, Content, EPOCH, Row};
use crate::sim_disk::SimDisk;

const LIVES: u64 = 1_500;
const HOUR: u64 = 360;
/// So long that batches of the model, whose time is years ago, are taken; removing is asked for at a
/// time as far in the future.
const RETAIN: Duration = Duration::from_secs(50 * 365 * 24 * 3600);

struct Life {
    seed: u64,
    random: fastrand::Rng,
    disk: SimDisk,
    settings: StoreConfig,
    store: Option<Store>,
    model: Content,
    agents: Vec<Agent>,
    /// Sent, and nobody knows whether it was stored.
    unknown: Vec<(usize, BatchBody)>,
    /// Rows of windows before this may be gone.
    removed_before: u64,
}

impl Life {
    fn new(seed: u64, dir: &std::path::Path) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let seal_rows = [5, 30, 1_000_000][random.usize(..3)];
        let retain_raw = random.bool().then_some(RETAIN);
        let beyond = |hours: u64| match hours {
            0 => Some(Duration::ZERO),
            _ => Some(RETAIN + Duration::from_secs(hours * 3600)),
        };
        let settings = StoreConfig {
            seal_rows,
            index: false,
            retain_raw,
            retain_hourly: beyond([0, 1, 2][random.usize(..3)]),
            retain_functions: beyond([0, 3][random.usize(..2)]),
            // With little memory what is merged is cut into slices.
            ingest_memory: [1 << 30, 1 << 30, 320 << 10][random.usize(..3)],
            retry_after: Duration::from_micros(200),
            busy_after: Duration::from_millis(30),
            ..config(dir)
        };
        Self {
            seed,
            disk: SimDisk::new(random.u64(..)),
            random,
            settings,
            store: None,
            model: Content::default(),
            agents: (1..4).map(Agent::new).collect(),
            unknown: Vec::new(),
            removed_before: 0,
        }
    }

    /// Opens the store; power may go while it does.
    fn open(&mut self) {
        loop {
            self.store = None;
            match Store::open_on(self.settings.clone(), Arc::new(self.disk.clone())) {
                Ok(store) => {
                    self.store = Some(store);
                    return;
                }
                // A process that another test starts has our lock from its fork to its exec.
                Err(StoreError::Locked { .. }) => {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                }
                Err(error) => assert!(self.disk.is_off(), "seed {}: {error}", self.seed),
            }
            self.power_cut();
        }
    }

    fn power_cut(&mut self) {
        self.store = None;
        self.disk = self.disk.after_power_cut();
        if self.random.u8(..3) == 0 {
            self.disk.cut_power_after(self.random.u64(1..40));
        }
    }

    fn row(&mut self) -> Row {
        let random = &mut self.random;
        Row {
            kind: random.u8(..2),
            series: random.u8(..4),
            attributes: random.u8(..3),
            stack: random.u8(..60),
            count: random.u16(1..500),
        }
    }

    async fn step(&mut self) {
        if self.disk.is_off() {
            self.power_cut();
            self.open();
            self.settle().await;
        }
        match self.random.u8(..20) {
            0..=9 => self.send().await,
            10..=12 => self.maintain(),
            13 => self.disk.cut_power_after(self.random.u64(1..60)),
            14 => {
                let n = [0, 0, 8, 30][self.random.usize(..4)];
                self.disk.fail_one_in(n);
            }
            15..=16 => self.close().await,
            17 => self.disk.cut_power_after(1),
            _ => {
                let agent = self.random.usize(..3);
                self.agents[agent].reconnect();
            }
        }
        if self.disk.is_off() {
            self.power_cut();
            self.open();
        }
        self.settle().await;
        if !self.disk.is_off() {
            self.check();
        }
    }

    async fn send(&mut self) {
        let agent = self.random.usize(..3);
        // Mostly the present, sometimes hours ago.
        let hour = if self.random.u8(..4) == 0 { self.random.u64(..4) } else { 4 };
        let window = hour * HOUR + self.random.u64(..3);
        let rows: Vec<Row> = (0..self.random.usize(..12)).map(|_| self.row()).collect();
        let body = self.agents[agent].batch(window, &rows);
        self.deliver(agent, body).await;
    }

    async fn deliver(&mut self, agent: usize, body: BatchBody) {
        let Some(store) = self.store.clone() else { return };
        let sent = &mut self.agents[agent];
        match sent.append(&store, &body).await {
            Ok(_) => self.model.add(&sent.source.host_name, &sent.dictionary, &body),
            Err(_) => {
                // The stream ends; what was sent is sent again on the next one.
                sent.rebase = Default::default();
                self.unknown.push((agent, body));
            }
        }
    }

    /// Sends again what nobody knows of, until it is acknowledged.
    async fn settle(&mut self) {
        for attempt in 0.. {
            assert!(attempt < 200, "seed {}: it never comes through", self.seed);
            if attempt > 20 {
                self.disk.fail_one_in(0);
            }
            let unknown = std::mem::take(&mut self.unknown);
            for (agent, body) in unknown {
                self.deliver(agent, body).await;
            }
            if self.disk.is_off() {
                self.power_cut();
                self.open();
            } else if self.unknown.is_empty() {
                return;
            }
        }
    }

    fn maintain(&mut self) {
        let Some(store) = self.store.clone() else { return };
        let mut now = EPOCH + self.random.u64(0..6 * HOUR) * WINDOW_NS;
        if let Some(retain) = self.settings.retain_raw {
            let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
            let coarser = [self.settings.retain_hourly, self.settings.retain_functions];
            let longest = coarser.into_iter().flatten().max().unwrap_or_default().max(retain);
            self.removed_before = self.removed_before.max(now - nanos(longest - retain));
            now += nanos(retain);
        }
        for _ in 0..self.random.u8(1..4) {
            let _ = store.maintain(UnixNanos(now));
        }
    }

    async fn close(&mut self) {
        if let Some(store) = self.store.take() {
            // A disk that fails or goes off leaves logs to the next open.
            let _ = store.flush_and_close().await;
        }
        if self.disk.is_off() {
            self.power_cut();
        }
        self.disk.fail_one_in(0);
        self.open();
    }

    fn check(&mut self) {
        let Some(store) = self.store.clone() else { return };
        let mut held = Content::of(&store);
        if self.disk.is_off() {
            return;
        }
        let losses = store.losses(&TenantId::default_tenant(), TimeRange::ALL);
        assert!(losses.is_empty(), "seed {}: {losses:?}", self.seed);
        let is_on = |retain: Option<Duration>| retain != Some(Duration::ZERO);
        let StoreConfig { retain_hourly, retain_functions, .. } = self.settings;
        if is_on(retain_hourly) || is_on(retain_functions) {
            let has_stacks = !is_on(retain_functions);
            held = held.reduced(has_stacks);
            self.model = self.model.reduced(has_stacks);
        }
        let before = self.removed_before;
        // What may be gone is what was there before or less, and never more than at the last look.
        let is_old = |window: u64| window + WINDOW_NS <= before;
        let Content { rows, details, taken } = &mut self.model;
        rows.retain(|key, value| {
            !is_old(key.0) || {
                let now = held.rows.get(key).copied().unwrap_or_default();
                assert!(now <= *value, "seed {}: more than was sent", self.seed);
                *value = now;
                now.1 > 0
            }
        });
        details.retain(|key, value| {
            !is_old(key.0.0) || {
                let now = held.details.get(key).copied().unwrap_or_default();
                assert!(now <= *value, "seed {}: more than was sent", self.seed);
                *value = now;
                now.1 > 0
            }
        });
        taken.retain(|key, value| {
            !is_old(key.0) || {
                let now = held.taken.get(key).copied().unwrap_or_default();
                assert!(now <= *value, "seed {}: more than was sent", self.seed);
                *value = now;
                held.taken.contains_key(key)
            }
        });
        held.rows.retain(|_, value| value.1 > 0);
        assert_eq!(held, self.model, "seed {}", self.seed);
        let tenant = TenantId::default_tenant();
        for agent in &self.agents {
            let watermark = store.watermark(&tenant, agent.source.spool_id);
            assert_eq!(watermark, agent.sequence, "seed {}: every batch was stored", self.seed);
        }
    }
}

async fn live(seed: u64, dir: &std::path::Path) {
    let mut life = Life::new(seed, dir);
    life.open();
    for _ in 0..life.random.usize(5..30) {
        life.step().await;
    }
    life.disk.fail_one_in(0);
    life.close().await;
    life.settle().await;
    while life.disk.is_off() {
        life.power_cut();
        life.open();
        life.settle().await;
    }
    life.check();
    assert!(life.disk.files() < 100);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn what_was_acknowledged_survives_any_life() {
    let dir = folder();
    let first = number("STOKER_SIM_SEED").unwrap_or(1);
    let lives = number("STOKER_SIM_LIVES").unwrap_or(LIVES);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for seed in first..first + lives {
        runtime.block_on(live(seed, dir.path()));
    }
}
