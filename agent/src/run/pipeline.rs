//! The sampling thread: drains the kernel, flushes, and keeps within what the agent may use.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use stoker_wire::LostSamples;

use super::clock::Clock;
use super::config::{AgentConfig, LiveConfig};
use super::governing::Governing;
use super::sampling::{Changed, Off, Rate, Sampling};
use super::status::Published;
use super::work::Work;
use crate::aggregate::{AggregatorConfig, FlushFacts};
use crate::guard::KillSwitch;
use crate::kernel::{KernelError, SampleSource};
use crate::ship::Shipper;

/// How often the kernel's rings are emptied. The rings hold far more than this.
const DRAIN_EVERY: Duration = Duration::from_millis(100);
/// How often budgets are looked at, ended processes are forgotten and files closed.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// How long a kernel side that could not be started again is left alone.
const RETRY_EVERY: Duration = Duration::from_secs(10);

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

/// What the sampling thread can be told.
#[derive(Debug)]
pub(super) enum Command {
    /// Go on with other settings.
    Reload(LiveConfig),
    /// Look at the kill switch now, not within the next second.
    LookNow,
    /// Take in what is left and end.
    Stop,
}

/// All that the sampling thread owns.
pub(super) struct Pipeline {
    sampling: Sampling,
    governing: Governing,
    work: Work,
    shipper: Arc<Shipper>,
    published: Published,
    flush_every: Duration,
    tally: Tally,
    retry_at: Option<Instant>,
}

impl Pipeline {
    /// Loads the kernel side, unless the kill switch is on, and learns what runs.
    pub(super) fn start(
        config: &AgentConfig,
        host: &Arc<str>,
        shipper: Arc<Shipper>,
        published: Published,
    ) -> Result<Self, KernelError> {
        let live = config.live();
        let kill_switch = config.kill_switch.clone().map(KillSwitch::at);
        let governing = Governing::new(&live, kill_switch);
        let sampling =
            Sampling::start(config.target.clone(), governing.rate(), config.unwind_bytes)?;
        let aggregator = AggregatorConfig {
            detailed: config.detailed,
            ..AggregatorConfig::at_frequency(live.frequency_hz)
        };
        let mut pipeline = Self {
            sampling,
            governing,
            work: Work::start(host, &live.labels, aggregator),
            shipper,
            published,
            flush_every: config.flush_every,
            tally: Tally::default(),
            retry_at: None,
        };
        if let Some(off) = pipeline.sampling.off() {
            tracing::warn!(reason = off.reason(), "sampling is off");
        }
        pipeline.publish();
        Ok(pipeline)
    }

    pub(super) fn source(&self) -> SampleSource {
        self.sampling.source()
    }

    /// Works until told to stop; then takes in what is left and flushes once more.
    pub(super) fn run(&mut self, commands: &Receiver<Command>) -> Tally {
        let (mut next_flush, mut next_tick) = (Instant::now() + self.flush_every, Instant::now());
        loop {
            self.drain();
            let now = Instant::now();
            if now >= next_tick {
                self.tick(now);
                next_tick = now + TICK_EVERY;
            }
            if now >= next_flush {
                self.flush();
                next_flush = now + self.flush_every;
            }
            match commands.recv_timeout(DRAIN_EVERY) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Command::Reload(live)) => self.reload(&live),
                Ok(Command::LookNow) => next_tick = now,
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.finish()
    }

    fn finish(&mut self) -> Tally {
        self.sampling.stop();
        self.drain();
        let work = &mut self.work;
        work.naming.finish(&mut work.aggregator, &mut work.processes);
        self.flush();
        self.publish();
        self.tally
    }

    fn drain(&mut self) {
        let work = &mut self.work;
        self.sampling.drain(&mut |event| work.take(&event));
        if let Some(maps) = self.sampling.unwind_maps() {
            work.unwinding.exchange(&mut work.processes, maps);
        }
        work.naming.ask_new(&mut work.aggregator, &mut work.processes);
    }

    fn tick(&mut self, now: Instant) {
        let work = &mut self.work;
        work.processes.tick(now);
        work.naming.exchange(&mut work.aggregator, &mut work.processes);
        let plan = self.governing.look(work.naming.worker_pid(), self.sampling.kernel_cost());
        work.naming.pause(!plan.naming);
        if plan.drop_caches {
            self.drop_caches();
        }
        self.follow(self.governing.rate(), now);
        self.publish();
    }

    fn drop_caches(&mut self) {
        let memory_mib = self.governing.usage.memory_bytes() >> 20;
        tracing::warn!(memory_mib, "over the memory budget: caches are dropped");
        self.flush();
        self.work.drop_caches();
    }

    /// Samples at `rate` from now on, if that is a change.
    fn follow(&mut self, rate: Rate, now: Instant) {
        let waits = self.retry_at.is_some_and(|at| now < at);
        if rate == self.sampling.rate() || (waits && matches!(rate, Rate::Hz(_))) {
            return;
        }
        self.retry_at = None;
        let usage = self.governing.usage;
        tracing::warn!(
            from_hz = self.sampling.frequency_hz(),
            to = %describe(rate),
            cpu_seconds = usage.cpu_ns() / 1_000_000_000,
            memory_mib = usage.memory_bytes() >> 20,
            "the sampling frequency changes"
        );
        if matches!(rate, Rate::Off(_)) {
            self.sampling.stop();
        }
        self.drain();
        self.flush();
        match self.sampling.change(rate) {
            Ok(Changed::At(until_ns)) => {
                self.work.set_frequency(until_ns, self.sampling.frequency_hz());
            }
            Ok(Changed::Attached) => {
                self.work.set_frequency(0, self.sampling.frequency_hz());
                self.work.start_over();
            }
            Ok(Changed::Detached) => self.work.forget_processes(),
            Err(error) => {
                tracing::error!(%error, "sampling cannot be started again; trying anew");
                self.retry_at = Some(now + RETRY_EVERY);
            }
        }
    }

    fn reload(&mut self, live: &LiveConfig) {
        self.governing.reload(live);
        self.work.set_labels(&live.labels);
        self.follow(self.governing.rate(), Instant::now());
        self.publish();
        tracing::info!(
            frequency_hz = live.frequency_hz,
            labels = live.labels.len(),
            max_cpu_percent = live.budget.cpu_percent,
            max_memory_mib = live.budget.memory_bytes.map(|bytes| bytes >> 20),
            "settings were reloaded"
        );
    }

    fn flush(&mut self) {
        let mut lost = self.shipper.take_lost();
        lost.append(&mut self.sampling.lost());
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

    fn facts(&mut self, lost: Vec<LostSamples>) -> FlushFacts {
        let (cpus, busy_ns) = self.work.counters.host();
        let cgroup_usage = self.work.counters.cgroups();
        let facts = FlushFacts {
            cpus,
            frequency_hz: self.sampling.frequency_hz(),
            sample_source: self.sampling.source().name().into(),
            lost,
            cgroup_usage,
            busy_ns,
            broken: self.work.unwinding.take_news(),
            names: self.work.naming.take_news(),
        };
        match self.sampling.off() {
            None => facts,
            // What was spent while nobody looked is not for dividing samples by.
            Some(off) => FlushFacts {
                sample_source: format!("off ({})", off.reason()).into(),
                cgroup_usage: Vec::new(),
                busy_ns: 0,
                ..facts
            },
        }
    }

    fn publish(&mut self) {
        let work = &self.work;
        let mut status = self.published.lock();
        status.source = Some(self.sampling.source());
        status.frequency_hz = self.sampling.frequency_hz();
        status.asked_hz = self.governing.asked_hz();
        status.off = self.sampling.off();
        status.tally = self.tally;
        status.sampler = self.sampling.stats();
        status.quality = work.aggregator.quality();
        status.unwind = work.unwinding.status();
        status.processes = work.processes.len();
        status.process_counters = work.processes.counters();
        status.symbolize = work.naming.counters();
        status.nameless_files = work.naming.nameless_files();
        status.usage = self.governing.usage;
        status.budget = self.governing.governor().budget();
        status.plan = self.governing.plan;
        status.guarded = self.governing.guarded;
    }
}

fn describe(rate: Rate) -> String {
    match rate {
        Rate::Hz(frequency_hz) => format!("{frequency_hz} Hz"),
        Rate::Off(off @ (Off::KillSwitch | Off::Budget | Off::Failed)) => {
            format!("off ({})", off.reason())
        }
    }
}
