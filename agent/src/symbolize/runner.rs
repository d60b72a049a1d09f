//! Gets each job answered: starts workers when they are needed, and judges what kills them.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::child::{Failure, Worker};
use super::counters::SymbolizeCounters;
use super::protocol::{Answer, Image, Meaning, Request};
use super::quarantine::{Quarantine, Trust};
use super::queue::Job;
use super::service::SymbolizerConfig;

/// The first pause before a worker is started again; it doubles up to [`PAUSE_MAX`].
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What came of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An entry for each frame of the job.
    Named(Vec<Option<Meaning>>),
    /// The worker would not; there will be no names.
    Refused,
    /// The image has done harm and is left alone.
    Quarantined,
    /// Try again after a pause.
    Again,
}

/// One worker at most, and what is known of those before.
pub(super) struct Runner {
    config: SymbolizerConfig,
    worker: Option<Worker>,
    quarantine: Quarantine,
    pause: Duration,
    /// What was counted and not yet collected.
    pub counted: SymbolizeCounters,
}

impl Runner {
    pub(super) fn new(config: SymbolizerConfig) -> Self {
        Self {
            config,
            worker: None,
            quarantine: Quarantine::default(),
            pause: PAUSE_MIN,
            counted: SymbolizeCounters::default(),
        }
    }

    /// The running worker's process id.
    pub(super) fn worker_pid(&self) -> Option<u32> {
        self.worker.as_ref().map(Worker::pid)
    }

    /// A second handle on the running worker's socket.
    pub(super) fn worker_line(&self) -> Option<UnixStream> {
        self.worker.as_ref().and_then(Worker::line)
    }

    /// Ends the worker; the next job starts another.
    pub(super) fn dismiss(&mut self) {
        self.worker = None;
    }

    /// Notices that a worker with nothing to do has ended.
    pub(super) fn reap(&mut self) {
        if self.worker.as_mut().is_some_and(Worker::has_ended) {
            self.worker = None;
        }
    }

    /// Whether nothing is tried with this image any more.
    pub(super) fn has_given_up(&self, image: &Image) -> bool {
        self.quarantine.trust(image) == Trust::None
    }

    /// Starts a worker if there is none; says whether one runs.
    pub(super) fn ensure_worker(&mut self) -> bool {
        if self.worker.is_some() {
            return true;
        }
        match Worker::start(&self.config) {
            Ok(worker) => {
                self.counted.workers_started += 1;
                self.worker = Some(worker);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "cannot start the symbolize worker");
                self.counted.worker_start_failures += 1;
                false
            }
        }
    }

    /// One attempt at a job. A worker that ends because `is_over` did nothing wrong, nor did the
    /// file.
    pub(super) fn attempt(&mut self, job: &Job, is_over: impl Fn() -> bool) -> Outcome {
        let trust = self.quarantine.trust(&job.image);
        let Some(worker) = self.worker.as_mut() else { return Outcome::Again };
        let request = Request {
            image: job.image.clone(),
            debug_info: trust == Trust::Full,
            addresses: job.frames.iter().map(|&(_, address)| address).collect(),
        };
        match worker.ask(&request, job.file.as_deref()) {
            Ok(Answer::Meanings(meanings)) if meanings.len() == job.frames.len() => {
                self.pause = PAUSE_MIN;
                Outcome::Named(meanings)
            }
            Ok(Answer::Meanings(_)) => self.blame(&job.image, Failure::Died),
            Ok(Answer::Refused(refusal)) => {
                tracing::debug!(image = ?job.image, ?refusal, "the symbolize worker refused");
                self.counted.requests_refused += 1;
                Outcome::Refused
            }
            Err(failure) if failure == Failure::Retired || is_over() => {
                self.worker = None;
                self.pause = PAUSE_MIN;
                Outcome::Again
            }
            Err(failure) => self.blame(&job.image, failure),
        }
    }

    fn blame(&mut self, image: &Image, failure: Failure) -> Outcome {
        self.worker = None;
        let count = match failure {
            Failure::TimedOut => &mut self.counted.worker_timeouts,
            Failure::Died | Failure::Retired => &mut self.counted.worker_deaths,
        };
        *count += 1;
        let trust = self.quarantine.blame(image);
        tracing::warn!(?image, ?failure, ?trust, "a file was too much for the symbolize worker");
        if trust == Trust::None {
            self.counted.images_quarantined += 1;
            return Outcome::Quarantined;
        }
        Outcome::Again
    }

    /// How long to wait before the next attempt.
    pub(super) fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause
    }
}
