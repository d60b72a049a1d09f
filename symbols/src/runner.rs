//! Gets each job answered: starts workers when they are needed, and judges what kills them.

use std::fs::File;
use std::ops::AddAssign;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::child::{Failure, Worker, WorkerConfig};
use super::protocol::{Answer, Image, Meaning, Request, Role, Trouble};
use super::quarantine::{Quarantine, Trust};

/// The first pause before a worker is started again; it doubles up to [`PAUSE_MAX`].
pub const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What came of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An entry for each frame of the job.
    Named(Vec<Option<Meaning>>),
    /// The worker would not; there will be no names.
    Refused,
    /// The image has done harm and is left alone.
    Quarantined,
    /// Try again after a pause.
    Again,
}

/// What is asked in one go.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What holds the addresses.
    pub image: &'a Image,
    /// Where the image lies within the roots among `files`; empty where there are none.
    pub path: &'a str,
    /// Where names come from; one with [`Role::Image`] for an [`Image::File`].
    pub files: &'a [(Role, Arc<File>)],
    /// Virtual offsets in a file, absolute addresses in the kernel; at most
    /// [`ADDRESSES_MAX`](super::ADDRESSES_MAX).
    pub addresses: &'a [u64],
}

/// What became of workers and requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerCounters {
    /// Requests that the worker refused, because the file was another build or unreadable or the
    /// answer too large.
    pub requests_refused: u64,
    /// Workers started.
    pub workers_started: u64,
    /// Workers that could not be started, or were none.
    pub worker_start_failures: u64,
    /// Workers that died with a request unanswered.
    pub worker_deaths: u64,
    /// Workers killed because they did not answer in time.
    pub worker_timeouts: u64,
    /// Images put into quarantine.
    pub images_quarantined: u64,
    /// See [`Trouble::debug_files_refused`].
    pub debug_files_refused: u64,
    /// See [`Trouble::debugdata_unreadable`].
    pub debugdata_unreadable: u64,
    /// See [`Trouble::go_tables_unreadable`].
    pub go_tables_unreadable: u64,
    /// See [`Trouble::split_unreadable`].
    pub split_unreadable: u64,
}

impl AddAssign for WorkerCounters {
    fn add_assign(&mut self, counted: Self) {
        self.requests_refused += counted.requests_refused;
        self.workers_started += counted.workers_started;
        self.worker_start_failures += counted.worker_start_failures;
        self.worker_deaths += counted.worker_deaths;
        self.worker_timeouts += counted.worker_timeouts;
        self.images_quarantined += counted.images_quarantined;
        self.debug_files_refused += counted.debug_files_refused;
        self.debugdata_unreadable += counted.debugdata_unreadable;
        self.go_tables_unreadable += counted.go_tables_unreadable;
        self.split_unreadable += counted.split_unreadable;
    }
}

impl WorkerCounters {
    fn note(&mut self, trouble: Trouble) {
        self.debug_files_refused += u64::from(trouble.debug_files_refused);
        self.debugdata_unreadable += u64::from(trouble.debugdata_unreadable);
        self.go_tables_unreadable += u64::from(trouble.go_tables_unreadable);
        self.split_unreadable += u64::from(trouble.split_unreadable);
    }
}

/// One worker at most, and what is known of those before.
#[derive(Debug)]
pub struct Runner {
    config: WorkerConfig,
    worker: Option<Worker>,
    quarantine: Quarantine,
    pause: Duration,
    /// What was counted and not yet collected.
    pub counted: WorkerCounters,
}

impl Runner {
    /// Without a worker; the first question starts one.
    #[must_use]
    pub fn new(config: WorkerConfig) -> Self {
        Self {
            config,
            worker: None,
            quarantine: Quarantine::default(),
            pause: PAUSE_MIN,
            counted: WorkerCounters::default(),
        }
    }

    /// The running worker's process id.
    #[must_use]
    pub fn worker_pid(&self) -> Option<u32> {
        self.worker.as_ref().map(Worker::pid)
    }

    /// A second handle on the running worker's socket.
    #[must_use]
    pub fn worker_line(&self) -> Option<UnixStream> {
        self.worker.as_ref().and_then(Worker::line)
    }

    /// Ends the worker; the next job starts another.
    pub fn dismiss(&mut self) {
        self.worker = None;
    }

    /// Notices that a worker with nothing to do has ended.
    pub fn reap(&mut self) {
        if self.worker.as_mut().is_some_and(Worker::has_ended) {
            self.worker = None;
        }
    }

    /// Whether nothing is tried with this image any more.
    #[must_use]
    pub fn has_given_up(&self, image: &Image) -> bool {
        self.quarantine.trust(image) == Trust::None
    }

    /// Starts a worker if there is none; says whether one runs.
    pub fn ensure_worker(&mut self) -> bool {
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

    /// Trusts an image again: another file stands for it now.
    pub fn forgive(&mut self, image: &Image) {
        self.quarantine.forgive(image);
    }

    /// One attempt at a question. A worker that ends because `is_over` did nothing wrong, nor did the
    /// file.
    pub fn attempt(&mut self, question: &Question<'_>, is_over: impl Fn() -> bool) -> Outcome {
        let trust = self.quarantine.trust(question.image);
        let Some(worker) = self.worker.as_mut() else { return Outcome::Again };
        let request = Request {
            image: question.image.clone(),
            path: question.path.to_owned(),
            roles: question.files.iter().map(|&(role, _)| role).collect(),
            debug_info: trust == Trust::Full,
            addresses: question.addresses.to_vec(),
        };
        let files: Vec<&File> = question.files.iter().map(|(_, file)| &**file).collect();
        match worker.ask(&request, &files) {
            Ok(Answer::Meanings(meanings, trouble))
                if meanings.len() == question.addresses.len() =>
            {
                self.pause = PAUSE_MIN;
                self.counted.note(trouble);
                Outcome::Named(meanings)
            }
            Ok(Answer::Meanings(..)) => self.blame(question.image, Failure::Died),
            Ok(Answer::Refused(refusal)) => {
                tracing::debug!(image = ?question.image, ?refusal, "the symbolize worker refused");
                self.counted.requests_refused += 1;
                Outcome::Refused
            }
            Err(failure) if failure == Failure::Retired || is_over() => {
                self.worker = None;
                self.pause = PAUSE_MIN;
                Outcome::Again
            }
            Err(failure) => self.blame(question.image, failure),
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
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause
    }
}
