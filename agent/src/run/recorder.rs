//! A recording: sampling into one profile in memory, with no server and no folder.
//!
//! It is the agent's own pipeline without what makes a daemon: the caller drives it, batches are
//! folded into a [`Profile`] as they are cut, and at the end names are waited for. Asked for single
//! processes it follows their children exactly: every process is sampled and those outside the
//! family are left out here, where forks are seen in the order of time, so that a child counts from
//! its first instruction on. (A pid target in the kernel learns of a child only with the next drain.)
//!
//! Without the rights for that, processes of one's own are sampled through perf events alone
//! ([`Recorder::start_own`]); all that follows is the same.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stoker_dag::{ModuleMap, Profile, UnixNanos};

use super::Tally;
use super::clock::Clock;
use super::family::Family;
use super::folding::Folding;
use super::moments::ThreadMoments;
use super::status::UnwindStatus;
use super::taking::Taking;
use super::work::Work;
use crate::aggregate::{AggregatorConfig, FlushFacts, QualityCounts};
use crate::kernel::{KernelError, KernelEvent, OwnStart, SampleSource};
use crate::symbolize::NamingNews;

/// How often what was counted is folded into the profile, and ended processes are forgotten.
const FOLD_EVERY: Duration = Duration::from_secs(1);

/// How long a command that has not begun is held back for its unwinding tables.
const PREPARE_PATIENCE: Duration = Duration::from_millis(500);
/// Between two questions whether names are still waited for.
const NAMES_EVERY: Duration = Duration::from_millis(100);

/// What to record.
#[derive(Debug, Clone)]
pub struct RecorderConfig {
    /// Samples per second and CPU.
    pub frequency_hz: u32,
    /// These processes, their children and theirs; every process where there is none.
    pub pids: Vec<u32>,
    /// From when on they are recorded.
    pub start: OwnStart,
    /// Whether samples are told one by one, too.
    pub detailed: bool,
}

/// What has been recorded so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecorderProgress {
    /// Samples of what is recorded.
    pub samples: u64,
    /// Of these, samples whose user stack was followed by tables.
    pub by_tables: u64,
    /// Samples that were taken and could not be kept.
    pub lost: u64,
    /// Whether there is still a process to record.
    pub is_alive: bool,
}

/// What a recording gives.
#[derive(Debug)]
pub struct Recorded {
    /// Stacks with CPU time in nanoseconds and numbers of samples; what their frames mean.
    pub profile: Profile,
    /// What is known of builds.
    pub modules: ModuleMap,
    /// Samples one by one, where that was asked for, as far as there is room. All are in the profile.
    pub threads: Vec<ThreadMoments>,
    /// When it began.
    pub start: UnixNanos,
    /// How long it was.
    pub duration: Duration,
    /// Samples by what became of them: taken = in the profile + lost. Samples of processes that
    /// were not asked for are in none of them.
    pub tally: Tally,
    /// How far stacks could be followed.
    pub quality: QualityCounts,
    /// How user stacks ended, and where they broke.
    pub unwind: UnwindStatus,
    /// How frames were named.
    pub names: NamingNews,
    /// Whether names were still missing when patience was over.
    pub names_missing: bool,
}

/// How much of the processes a recording sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All of their time on a CPU.
    All,
    /// As much, through perf events alone: stacks by frame pointers.
    Own,
    /// What they do themselves, not what the kernel does for them.
    OwnUserMode,
}

/// A recording that goes on. The caller drives it with [`Recorder::step`].
pub struct Recorder {
    taking: Taking,
    work: Work,
    folding: Folding,
    family: Option<Family>,
    started: (UnixNanos, Instant),
    next_fold: Instant,
    tally: Tally,
}

impl Recorder {
    /// Begins to sample. Processes that are to be recorded from their first instruction on must be
    /// there already, and wait.
    ///
    /// # Errors
    /// When the kernel side cannot be loaded.
    pub fn start(config: &RecorderConfig) -> Result<Self, KernelError> {
        let taking = Taking::everything(config.frequency_hz)?;
        let family = match (&*config.pids, config.start) {
            ([], _) => None,
            (pids, OwnStart::Now) => Some(Family::of(pids)),
            (pids, OwnStart::AtExec) => Some(Family::of_commands(pids)),
        };
        Ok(Self::with(taking, family, config))
    }

    /// As [`Self::start`], without privileges: only processes of one's own, which must be named, and
    /// what descends from them. With [`OwnStart::AtExec`] sampling begins when they `exec`.
    ///
    /// # Errors
    /// When the kernel does not allow it, or a process is somebody else's.
    pub fn start_own(config: &RecorderConfig) -> Result<Self, KernelError> {
        let mut members = || Family::of(&config.pids).members();
        let taking = Taking::own(config.frequency_hz, config.start, &mut members)?;
        let family = Some(Family::of(&config.pids));
        Ok(Self::with(taking, family, config))
    }

    /// To be called when events have started to flow.
    fn with(taking: Taking, family: Option<Family>, config: &RecorderConfig) -> Self {
        let host: Arc<str> = "".into();
        let aggregator = AggregatorConfig {
            detailed: config.detailed,
            ..AggregatorConfig::at_frequency(config.frequency_hz)
        };
        let work = Work::start(&host, &[], aggregator);
        let now = Instant::now();
        Self {
            taking,
            work,
            folding: Folding::default(),
            family,
            started: (Clock::read().now(), now),
            next_fold: now + FOLD_EVERY,
            tally: Tally::default(),
        }
    }

    /// Makes ready what following the stacks of a program needs, before it begins.
    pub fn prepare(&mut self, program: &Path) {
        if let Some(maps) = self.taking.unwind_maps() {
            let work = &mut self.work;
            work.unwinding.prepare(program, &mut work.processes, maps, PREPARE_PATIENCE);
        }
    }

    /// What makes the CPUs take samples here.
    #[must_use]
    pub fn source(&self) -> SampleSource {
        self.taking.source()
    }

    /// How much it sees.
    #[must_use]
    pub fn sight(&self) -> Sight {
        self.taking.sight()
    }

    /// Takes in what has happened. To be called every 100 ms or so.
    pub fn step(&mut self) -> RecorderProgress {
        self.drain();
        let now = Instant::now();
        if now >= self.next_fold {
            self.next_fold = now + FOLD_EVERY;
            let work = &mut self.work;
            work.processes.tick(now);
            work.naming.exchange(&mut work.aggregator, &mut work.processes);
            if let Some(family) = &mut self.family {
                family.forget_gone();
            }
            self.fold();
        }
        RecorderProgress {
            samples: self.work.aggregator.quality().sum(),
            by_tables: self.work.unwinding.by_tables(),
            lost: self.tally.lost,
            is_alive: self.family.as_ref().is_none_or(|family| !family.is_empty()),
        }
    }

    /// Stops sampling, takes in what the kernel still holds, and waits for names as long as
    /// `has_patience` says, which is asked every 100 ms or so.
    #[must_use]
    pub fn finish(mut self, mut has_patience: impl FnMut() -> bool) -> Recorded {
        self.taking.stop();
        let duration = self.started.1.elapsed();
        self.drain();
        let work = &mut self.work;
        let is_settled = loop {
            let named = work.naming.settle(&mut work.aggregator, &mut work.processes, NAMES_EVERY);
            if named || !has_patience() {
                break named;
            }
        };
        self.fold();
        let (profile, modules, threads) = self.folding.finish();
        Recorded {
            profile,
            modules,
            threads,
            start: self.started.0,
            duration,
            tally: self.tally,
            quality: self.work.aggregator.quality(),
            unwind: self.work.unwinding.status(),
            names: self.work.naming.take_news(),
            names_missing: !is_settled,
        }
    }

    fn drain(&mut self) {
        let (work, family) = (&mut self.work, &mut self.family);
        self.taking.drain(&mut |event| {
            if let Some(family) = family {
                family.watch(&event);
                if matches!(&event, KernelEvent::Sample(sample) if !family.records(sample.pid)) {
                    return;
                }
            }
            work.take(&event);
            // Whoever is recorded is sampled soon: what it maps is made ready before.
            if let KernelEvent::Exec { pid, .. } = event
                && family.as_ref().is_some_and(|family| family.records(pid))
            {
                work.unwinding.expected(pid);
            }
        });
        if let Some(maps) = self.taking.unwind_maps() {
            work.unwinding.exchange(&mut work.processes, maps);
        }
        work.naming.ask_new(&mut work.aggregator, &mut work.processes);
    }

    fn fold(&mut self) {
        self.tally.lost += self.taking.lost();
        let (folding, tally) = (&mut self.folding, &mut self.tally);
        let aggregator = &mut self.work.aggregator;
        folding.begin(aggregator.epoch());
        aggregator.flush(self.work.clock.now(), &FlushFacts::default(), |dictionary, body| {
            tally.counted += body.samples();
            folding.add(dictionary, body);
        });
        tally.taken = tally.counted + tally.lost;
        self.work.clock = Clock::read();
    }
}
