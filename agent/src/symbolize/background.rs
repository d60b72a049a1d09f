//! The thread that takes jobs from the queue, one at a time, and the state that it shares.

use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stoker_dag::{Definition, Frame, FrameId};
use stoker_symbols::{Meaning, Outcome, Question, Runner, Sources as Said, Strings};

use super::cache::Cache;
use super::counters::SymbolizeCounters;
use super::files::Files;
use super::identity::Sources;
use super::queue::{Job, Queue};

/// Most frames whose meaning is remembered, nameless ones included.
pub const CACHED_FRAMES_MAX: usize = 64 * 1024;
/// Most definitions that wait to be collected; naming pauses at the bound.
pub const ANSWERS_MAX: usize = 64 * 1024;
/// How often a thread without work looks whether its worker has ended.
const REAP_EVERY: Duration = Duration::from_secs(5);

pub(super) struct State {
    pub queue: Queue,
    pub cache: Cache<FrameId, Option<Definition>>,
    pub answers: Vec<(Frame, Definition)>,
    pub counters: SymbolizeCounters,
    pub files: Files,
    pub worker_pid: Option<u32>,
    strings: Strings,
    /// Our end of the worker's socket, to wake a thread that waits for an answer.
    line: Option<UnixStream>,
    pub paused: bool,
    stopping: bool,
}

pub(super) struct Shared {
    state: Mutex<State>,
    /// Something was queued or collected, or it is time to stop.
    pub work: Condvar,
    /// A job was finished.
    pub done: Condvar,
}

impl Default for Shared {
    fn default() -> Self {
        let state = State {
            queue: Queue::default(),
            cache: Cache::new(CACHED_FRAMES_MAX),
            answers: Vec::new(),
            counters: SymbolizeCounters::default(),
            files: Files::default(),
            worker_pid: None,
            strings: Strings::default(),
            line: None,
            paused: false,
            stopping: false,
        };
        Self { state: Mutex::new(state), work: Condvar::new(), done: Condvar::new() }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the thread end, even while it waits for a worker.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        if let Some(line) = state.line.take() {
            // An error means that the worker has gone already.
            let _ = line.shutdown(std::net::Shutdown::Both);
        }
        self.work.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.work.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// The next job; `None` when it is time to stop.
    fn next_job(&self, runner: &mut Runner) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            let may_work = !state.paused && state.answers.len() < ANSWERS_MAX;
            if let Some(job) = may_work.then(|| state.queue.pop()).flatten() {
                return Some(job);
            }
            if state.paused {
                runner.dismiss();
                state.line = None;
            }
            runner.reap();
            state.worker_pid = runner.worker_pid();
            state = self.wait(state, REAP_EVERY);
        }
    }

    /// Waits before another attempt; says whether to go on.
    fn pause(&self, time: Duration) -> bool {
        let start = std::time::Instant::now();
        let mut state = self.lock();
        loop {
            let left = time.saturating_sub(start.elapsed());
            if state.stopping || left.is_zero() {
                return !state.stopping;
            }
            state = self.wait(state, left);
        }
    }

    fn publish(&self, runner: &mut Runner) {
        let mut state = self.lock();
        state.worker_pid = runner.worker_pid();
        state.line = runner.worker_line();
        state.counters.worker += std::mem::take(&mut runner.counted);
    }

    fn finish(&self, job: Job, outcome: Outcome) {
        let mut state = self.lock();
        let state = &mut *state;
        let count = job.frames.len();
        let meanings = match outcome {
            Outcome::Named(meanings) => meanings,
            Outcome::Refused | Outcome::Again => vec![None; count],
            Outcome::Quarantined => {
                state.counters.frames_quarantined += count as u64;
                vec![None; count]
            }
        };
        let named = meanings.iter().flatten().count() as u64;
        state.files.count(&job.image, &job.module, named, count as u64 - named);
        for ((frame, _), meaning) in job.frames.into_iter().zip(meanings) {
            state.take(frame, meaning.as_ref());
        }
        self.done.notify_all();
    }
}

impl State {
    fn take(&mut self, frame: Frame, meaning: Option<&Meaning>) {
        let id = frame.id();
        let definition = meaning.map(|meaning| self.strings.definition(meaning, Said::AGENT));
        self.queue.done(&id);
        self.cache.insert(id, definition.clone());
        match definition {
            Some(definition) => {
                self.counters.frames_named += 1;
                self.answers.push((frame, definition));
            }
            None => self.counters.frames_nameless += 1,
        }
    }
}

/// The thread: a job after the other until it is time to stop.
pub(super) fn run(shared: &Shared, mut runner: Runner) {
    while let Some(job) = shared.next_job(&mut runner) {
        let Some(outcome) = answer(shared, &mut runner, &job) else { break };
        shared.publish(&mut runner);
        shared.finish(job, outcome);
    }
}

/// Tries until there is an answer; `None` when it is time to stop.
fn answer(shared: &Shared, runner: &mut Runner, job: &Job) -> Option<Outcome> {
    let addresses: Vec<u64> = job.frames.iter().map(|&(_, address)| address).collect();
    let Sources { path, files } = &job.sources;
    let question = Question { image: &job.image, path, files, addresses: &addresses };
    loop {
        if runner.has_given_up(&job.image) {
            return Some(Outcome::Quarantined);
        }
        let running = runner.ensure_worker();
        shared.publish(runner);
        if running {
            match runner.attempt(&question, || shared.is_stopping()) {
                Outcome::Again => {}
                outcome => return Some(outcome),
            }
        }
        if !shared.pause(runner.next_pause()) {
            return None;
        }
    }
}
