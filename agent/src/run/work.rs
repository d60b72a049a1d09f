//! What events change: the process table, the counts, the names.

use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;
use stoker_dag::{LabelIx, LabelSet};
use stoker_wire::{CpuId, ThreadId};

use super::clock::Clock;
use super::events::process_event;
use super::facts::HostCounters;
use super::naming::Naming;
use super::resolve::{resolve, stack_flags};
use super::unwinding::Unwinding;
use crate::aggregate::{Aggregator, AggregatorConfig, Place, StackKey};
use crate::kernel::{Comm, KernelEvent, Sample};
use crate::process::{ProcessMeta, ProcessTable};

/// Label sets that are remembered by process and thread name; past it all are looked up again.
const MAX_CACHED_LABELS: usize = 16 << 10;

/// Everything that the kernel's events change; apart from the sampler, which lends its events.
pub(super) struct Work {
    host: Arc<str>,
    own_labels: Vec<(Arc<str>, Arc<str>)>,
    pub(super) processes: ProcessTable,
    pub(super) aggregator: Aggregator,
    pub(super) counters: HostCounters,
    pub(super) naming: Naming,
    pub(super) unwinding: Unwinding,
    pub(super) clock: Clock,
    labels: FxHashMap<(u32, Comm), (Arc<ProcessMeta>, LabelIx, LabelIx)>,
    labels_epoch: u64,
    /// Samples after this moment are of this frequency.
    next_frequency: Option<(u64, u32)>,
}

impl Work {
    /// Learns what runs; call it after events have started to flow.
    pub(super) fn start(
        host: &Arc<str>,
        labels: &[(String, String)],
        aggregator: AggregatorConfig,
    ) -> Self {
        let clock = Clock::read();
        let mut work = Self {
            host: Arc::clone(host),
            own_labels: Vec::new(),
            processes: ProcessTable::new(),
            aggregator: Aggregator::new(aggregator, clock.now()),
            counters: HostCounters::read(),
            naming: Naming::start(),
            unwinding: Unwinding::default(),
            clock,
            labels: FxHashMap::default(),
            labels_epoch: 0,
            next_frequency: None,
        };
        work.set_labels(labels);
        work.scan();
        work
    }

    /// Every series carries these from now on.
    pub(super) fn set_labels(&mut self, labels: &[(String, String)]) {
        let shared =
            |(name, value): &(String, String)| (name.as_str().into(), value.as_str().into());
        self.own_labels = labels.iter().map(shared).collect();
        self.labels.clear();
    }

    fn scan(&mut self) {
        if let Err(error) = self.processes.scan() {
            tracing::warn!(%error, "cannot list /proc; processes are learned as they are sampled");
        }
    }

    /// Learns afresh what runs, because nobody listened for a while.
    pub(super) fn start_over(&mut self) {
        self.forget_processes();
        self.scan();
    }

    /// Forgets every process, and what was concluded from them.
    pub(super) fn forget_processes(&mut self) {
        self.processes = ProcessTable::new();
        self.unwinding.start_over();
        self.aggregator.forget_stacks();
        self.labels = FxHashMap::default();
    }

    /// Gives back the memory of what can be learned again. To be called after a flush.
    pub(super) fn drop_caches(&mut self) {
        self.aggregator.begin_dictionary();
        self.labels = FxHashMap::default();
        self.naming.forget();
        crate::guard::give_memory_back();
    }

    /// Takes in one event.
    pub(super) fn take(&mut self, event: &KernelEvent<'_>) {
        match event {
            KernelEvent::Sample(sample) => self.sample(sample),
            KernelEvent::Lost { count, .. } => {
                tracing::warn!(count, "process events were lost; looking at /proc again");
                self.scan();
            }
            other => {
                if let Some(change) = process_event(other) {
                    self.processes.apply(change, Instant::now());
                }
                self.unwinding.noted(other);
            }
        }
    }

    /// Samples that were taken after `until_ns` are of this frequency.
    pub(super) fn set_frequency(&mut self, until_ns: u64, frequency_hz: u32) {
        if let Some((_, before)) = self.next_frequency.replace((until_ns, frequency_hz)) {
            // No sample has come since the last change.
            self.aggregator.set_frequency(before);
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        if let Some((_, hz)) = self.next_frequency.take_if(|(until, _)| sample.time_ns > *until) {
            self.aggregator.set_frequency(hz);
        }
        let generation = self.processes.generation(sample.pid);
        self.unwinding.sampled(sample, &self.processes);
        let labels = self.labels(sample.pid, sample.comm);
        let flags = stack_flags(sample);
        let key = StackKey::new(sample.pid, generation, flags, sample.user, sample.kernel);
        let (at, processes) = (self.clock.unix(sample.time_ns), &mut self.processes);
        let place = Place { thread: ThreadId(sample.tid), cpu: CpuId(sample.cpu) };
        self.aggregator.add((at, place), key, labels, || resolve(processes, sample));
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
