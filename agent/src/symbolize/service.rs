//! The parent's side: takes frames, gives back definitions, never waits.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use stoker_dag::{Definition, Frame};
use stoker_symbols::{Runner, WorkerConfig};
use stoker_wire::FileNames;

use super::background::{ANSWERS_MAX, Shared, run};
use super::counters::SymbolizeCounters;
use super::files::NamingNews;
use super::identity::{Sources, place_of, sources_of};
use super::queue::QUEUED_FRAMES_MAX;
use crate::process::ProcessTable;

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The meaning is known already.
    Known(Definition),
    /// It waits, or is being looked up; [`Symbolizer::answers`] tells when it is known.
    Queued,
    /// There is no name to be had: the frame names itself, has no symbols, or its file is gone.
    Nameless,
    /// The queue is full; ask again later.
    Full,
}

/// Names frames in the background. Dropping it ends its thread and its worker.
pub struct Symbolizer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Symbolizer {
    /// Starts the thread that feeds workers made of this executable. A worker starts with the first
    /// frame.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start() -> io::Result<Self> {
        Self::with_config(WorkerConfig::default())
    }

    /// Like [`Self::start`] with a worker executable of one's choice.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn with_worker(program: PathBuf, arguments: Vec<OsString>) -> io::Result<Self> {
        Self::with_config(WorkerConfig { program, arguments, ..WorkerConfig::default() })
    }

    /// Like [`Self::start`] with everything of one's choice.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn with_config(config: WorkerConfig) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let background = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("symbolize".to_owned())
            .spawn(move || run(&background, Runner::new(config)))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for the meaning of `frame`, whose file `processes` opens if that is needed.
    pub fn ask(&self, frame: &Frame, processes: &mut ProcessTable) -> Asked {
        let Some(place) = place_of(frame, processes) else { return Asked::Nameless };
        let id = frame.id();
        let mut state = self.shared.lock();
        if let Some(known) = state.cache.get(&id) {
            state.counters.frames_cached += 1;
            return known.map_or(Asked::Nameless, Asked::Known);
        }
        if state.queue.is_pending(&id) {
            return Asked::Queued;
        }
        if !state.queue.has_room(&place.image) {
            state.counters.frames_given_back += 1;
            return Asked::Full;
        }
        let sources = match state.queue.holds(&place.image) {
            true => Some(Sources::default()),
            false => sources_of(&place, processes),
        };
        let Some(sources) = sources else {
            state.counters.frames_without_file += 1;
            state.files.count(&place.image, &place.module, 0, 1);
            return Asked::Nameless;
        };
        state.counters.frames_asked += 1;
        state.queue.push(
            (&place.image, &place.module),
            sources,
            id,
            (frame.clone(), place.address),
        );
        self.shared.work.notify_one();
        Asked::Queued
    }

    /// Asks for all `frames`. What is known already comes back with the next
    /// [`answers`](Self::answers); what did not fit is returned, to be asked again later.
    #[must_use = "frames that did not fit have to be asked again"]
    pub fn ask_all(
        &self,
        frames: impl IntoIterator<Item = Frame>,
        processes: &mut ProcessTable,
    ) -> Vec<Frame> {
        let mut given_back = Vec::new();
        for frame in frames {
            match self.ask(&frame, processes) {
                Asked::Known(definition) => self.shared.lock().answers.push((frame, definition)),
                Asked::Full => given_back.push(frame),
                Asked::Queued | Asked::Nameless => {}
            }
        }
        given_back
    }

    /// The definitions that have come since the last call.
    #[must_use]
    pub fn answers(&self) -> Vec<(Frame, Definition)> {
        let answers = std::mem::take(&mut self.shared.lock().answers);
        if answers.len() >= ANSWERS_MAX {
            // The thread waits for room; otherwise it has no reason to wake up.
            self.shared.work.notify_one();
        }
        answers
    }

    /// How many frames can be asked for before the queue is full.
    #[must_use]
    pub fn room(&self) -> usize {
        QUEUED_FRAMES_MAX.saturating_sub(self.shared.lock().queue.pending())
    }

    /// Makes no names, and ends the worker, while `paused`; what is asked for waits. A request that
    /// the worker is at is still answered.
    pub fn pause(&self, paused: bool) {
        let mut state = self.shared.lock();
        if state.paused != paused {
            state.paused = paused;
            self.shared.work.notify_one();
        }
    }

    /// Forgets what frames mean; what is asked for again is looked up again.
    pub fn forget(&self) {
        self.shared.lock().cache.clear();
    }

    /// Waits until nothing is asked that has no answer, or `patience` is over; says which.
    #[must_use]
    pub fn wait_idle(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.shared.lock();
        while !state.queue.is_idle() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.done.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> SymbolizeCounters {
        self.shared.lock().counters
    }

    /// The files with the most frames that have no name.
    #[must_use]
    pub fn nameless_files(&self) -> Vec<FileNames> {
        self.shared.lock().files.worst()
    }

    /// What was counted since the last call.
    #[must_use]
    pub fn take_news(&self) -> NamingNews {
        self.shared.lock().files.take_news()
    }

    /// The process id of the worker, while one runs.
    #[must_use]
    pub fn worker_pid(&self) -> Option<u32> {
        self.shared.lock().worker_pid
    }
}

impl Drop for Symbolizer {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to tell.
            let _ = thread.join();
        }
    }
}
