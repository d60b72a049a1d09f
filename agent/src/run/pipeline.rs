//! The sampling thread: drains the kernel, keeps the process table, counts, flushes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use stoker_dag::{LabelIx, LabelSet};
use stoker_wire::LostSamples;

use super::clock::Clock;
use super::config::AgentConfig;
use super::events::process_event;
use super::facts::HostCounters;
use super::naming::Naming;
use super::resolve::{resolve, stack_flags};
use crate::aggregate::{Aggregator, AggregatorConfig, FlushFacts, StackKey};
use crate::kernel::{
    Comm, KernelError, KernelEvent, Sample, SampleSource, Sampler, SamplerConfig, SamplerStats,
};
use crate::process::{ProcessMeta, ProcessTable};
use crate::ship::Shipper;

/// How often the kernel's rings are emptied. The rings hold far more than this.
const DRAIN_EVERY: Duration = Duration::from_millis(100);
/// How often ended processes are forgotten and files closed.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// Label sets that are remembered by process and thread name; past it all are looked up again.
const MAX_CACHED_LABELS: usize = 16 << 10;

/// Samples by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Taken by the kernel side, those that found the ring full included.
    pub taken: u64,
    /// In a batch.
    pub counted: u64,
    /// Lost on the way, whatever the reason; reported with the next batch.
    pub lost: u64,
}

/// All that the sampling thread owns.
pub(super) struct Pipeline {
    sampler: Sampler,
    before: SamplerStats,
    work: Work,
    shipper: Arc<Shipper>,
    flush_every: Duration,
    tally: Tally,
}

/// What events change; apart from the sampler, which lends its events to it.
struct Work {
    host: Arc<str>,
    own_labels: Vec<(Arc<str>, Arc<str>)>,
    processes: ProcessTable,
    aggregator: Aggregator,
    counters: HostCounters,
    naming: Naming,
    clock: Clock,
    labels: FxHashMap<(u32, Comm), (Arc<ProcessMeta>, LabelIx, LabelIx)>,
    labels_epoch: u64,
}

impl Pipeline {
    /// Loads the kernel side and learns what runs.
    pub(super) fn start(
        config: &AgentConfig,
        host: &Arc<str>,
        shipper: Arc<Shipper>,
    ) -> Result<Self, KernelError> {
        let sampler = Sampler::start(&SamplerConfig {
            frequency_hz: config.frequency_hz,
            target: config.target.clone(),
            ..SamplerConfig::default()
        })?;
        let clock = Clock::read();
        let mut processes = ProcessTable::new();
        if let Err(error) = processes.scan() {
            tracing::warn!(%error, "cannot list /proc; processes are learned as they are sampled");
        }
        let own =
            config.labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let work = Work {
            host: Arc::clone(host),
            own_labels: own.collect(),
            processes,
            aggregator: Aggregator::new(
                AggregatorConfig::at_frequency(config.frequency_hz),
                clock.now(),
            ),
            counters: HostCounters::read(),
            naming: Naming::start(),
            clock,
            labels: FxHashMap::default(),
            labels_epoch: 0,
        };
        let flush_every = config.flush_every;
        let before = SamplerStats::default();
        Ok(Self { sampler, before, work, shipper, flush_every, tally: Tally::default() })
    }

    pub(super) fn source(&self) -> SampleSource {
        self.sampler.source()
    }

    /// Works until told to stop; then takes in what is left and flushes once more.
    pub(super) fn run(&mut self, stop: &AtomicBool) -> Tally {
        let (mut next_flush, mut next_tick) = (Instant::now() + self.flush_every, Instant::now());
        while !stop.load(Ordering::Relaxed) {
            self.drain();
            let now = Instant::now();
            if now >= next_tick {
                self.work.processes.tick(now);
                next_tick = now + TICK_EVERY;
            }
            if now >= next_flush {
                self.flush();
                next_flush = now + self.flush_every;
            }
            std::thread::sleep(DRAIN_EVERY);
        }
        if let Err(error) = self.sampler.stop() {
            tracing::warn!(%error, "sampling could not be switched off; it ends with this process");
        }
        self.drain();
        let work = &mut self.work;
        work.naming.finish(&mut work.aggregator, &mut work.processes);
        self.flush();
        self.tally
    }

    fn drain(&mut self) {
        let work = &mut self.work;
        self.sampler.drain(&mut |event| work.take(&event));
        work.naming.exchange(&mut work.aggregator, &mut work.processes);
    }

    fn flush(&mut self) {
        let lost = self.lost();
        self.tally.lost += lost.iter().map(|lost| lost.samples).sum::<u64>();
        let facts = self.facts(lost);
        let (shipper, tally) = (&self.shipper, &mut self.tally);
        self.work.aggregator.flush(self.work.clock.now(), &facts, |dictionary, body| {
            tally.counted += body.samples();
            shipper.push(dictionary, body);
        });
        tally.taken = tally.counted + tally.lost;
        self.work.clock = Clock::read();
    }

    /// What the kernel side and the shipper lost since the last flush.
    fn lost(&mut self) -> Vec<LostSamples> {
        let mut lost = self.shipper.take_lost();
        match self.sampler.stats() {
            Ok(stats) => {
                let mut add = |reason: &str, samples: u64| {
                    if samples > 0 {
                        lost.push(LostSamples { reason: reason.into(), samples });
                    }
                };
                add("ring full", stats.lost - self.before.lost);
                add("malformed record", stats.malformed - self.before.malformed);
                self.before = stats;
            }
            Err(error) => tracing::warn!(%error, "cannot read the kernel side's counters"),
        }
        lost
    }

    fn facts(&mut self, lost: Vec<LostSamples>) -> FlushFacts {
        let (cpus, busy_ns) = self.work.counters.host();
        FlushFacts {
            cpus,
            frequency_hz: self.sampler.frequency_hz(),
            sample_source: self.sampler.source().name().into(),
            lost,
            cgroup_usage: self.work.counters.cgroups(),
            busy_ns,
        }
    }
}

impl Work {
    fn take(&mut self, event: &KernelEvent<'_>) {
        match event {
            KernelEvent::Sample(sample) => self.sample(sample),
            KernelEvent::Lost { count, .. } => {
                tracing::warn!(count, "process events were lost; looking at /proc again");
                if let Err(error) = self.processes.scan() {
                    tracing::warn!(%error, "cannot list /proc");
                }
            }
            other => {
                if let Some(change) = process_event(other) {
                    self.processes.apply(change, Instant::now());
                }
            }
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let generation = self.processes.generation(sample.pid);
        let labels = self.labels(sample.pid, sample.comm);
        let flags = stack_flags(sample);
        let key = StackKey::new(sample.pid, generation, flags, sample.user, sample.kernel);
        let (at, processes) = (self.clock.unix(sample.time_ns), &mut self.processes);
        self.aggregator.add(at, key, labels, || resolve(processes, sample));
    }

    /// Series and attributes of a thread of a process.
    fn labels(&mut self, pid: u32, comm: Comm) -> (LabelIx, LabelIx) {
        if self.labels_epoch != self.aggregator.epoch() || self.labels.len() > MAX_CACHED_LABELS {
            self.labels.clear();
            self.labels_epoch = self.aggregator.epoch();
        }
        let meta = self.processes.meta(pid);
        match self.labels.get(&(pid, comm)) {
            Some((known, series, attributes)) if Arc::ptr_eq(known, &meta) => {
                (*series, *attributes)
            }
            _ => {
                self.counters.watch(&meta.cgroup);
                let series = self.aggregator.labels(&self.series(&meta));
                let attributes = self.aggregator.labels(&attributes(&meta, comm));
                self.labels.insert((pid, comm), (meta, series, attributes));
                (series, attributes)
            }
        }
    }

    fn series(&self, meta: &ProcessMeta) -> LabelSet {
        let text = |text: &str| -> Arc<str> { text.into() };
        let found = [
            (text("host"), Arc::clone(&self.host)),
            (text("service_name"), Arc::clone(&meta.service_name)),
            (text("version"), Arc::clone(&meta.version)),
            (text("namespace"), Arc::clone(&meta.namespace)),
        ];
        LabelSet::new(found.into_iter().chain(self.own_labels.iter().cloned()))
    }
}

fn attributes(meta: &ProcessMeta, comm: Comm) -> LabelSet {
    let optional = |text: &Option<Arc<str>>| text.clone().unwrap_or_default();
    LabelSet::new([
        ("build_id", meta.build_id.as_ref().map_or("".into(), |id| id.to_string().into())),
        ("cgroup", Arc::clone(&meta.cgroup)),
        ("comm", comm.to_string_lossy().into()),
        ("container", optional(&meta.container_id)),
        ("pod", optional(&meta.pod_uid)),
        ("systemd_unit", optional(&meta.systemd_unit)),
    ])
}
