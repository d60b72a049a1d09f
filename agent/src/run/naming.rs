//! Asks for names of what was seen for the first time, and hands on the answers.

use std::time::{Duration, Instant};

use stoker_dag::{Frame, Module};
use stoker_wire::FileNames;

use crate::aggregate::Aggregator;
use crate::process::ProcessTable;
use crate::symbolize::{NamingNews, SymbolizeCounters, Symbolizer};

/// Frames that wait because the symbolizer's queue was full; past it they are asked for again only
/// when a new dictionary is begun.
const MAX_WAITING: usize = 64 << 10;
/// How long the last names may take before the agent ends.
const LAST_NAMES: Duration = Duration::from_millis(400);

/// Names on their way.
pub(super) struct Naming {
    symbolizer: Option<Symbolizer>,
    waiting: Vec<Frame>,
}

impl Naming {
    /// Starts the symbolizer; without it stacks are still true, only nameless.
    pub(super) fn start() -> Self {
        let started = Symbolizer::start();
        if let Err(error) = &started {
            tracing::error!(%error, "no symbolizer: stacks will have no names");
        }
        Self { symbolizer: started.ok(), waiting: Vec::new() }
    }

    /// Asks for what is new, at once, while the processes that showed it may still be there.
    pub(super) fn ask_new(&mut self, aggregator: &mut Aggregator, processes: &mut ProcessTable) {
        let frames = aggregator.take_unnamed();
        for frame in &frames {
            learn_module(frame, aggregator, processes);
        }
        self.ask(frames, processes);
    }

    /// Hands on what has been answered, and asks once more for what did not fit.
    pub(super) fn exchange(&mut self, aggregator: &mut Aggregator, processes: &mut ProcessTable) {
        self.ask_new(aggregator, processes);
        let Some(symbolizer) = &self.symbolizer else { return };
        let room = symbolizer.room().min(self.waiting.len());
        let frames: Vec<Frame> = self.waiting.drain(..room).collect();
        self.ask(frames, processes);
        let Some(symbolizer) = &self.symbolizer else { return };
        for (frame, definition) in symbolizer.answers() {
            aggregator.learn(&frame.id(), definition);
        }
    }

    fn ask(&mut self, frames: Vec<Frame>, processes: &mut ProcessTable) {
        let Some(symbolizer) = self.symbolizer.as_ref().filter(|_| !frames.is_empty()) else {
            return;
        };
        self.waiting.append(&mut symbolizer.ask_all(frames, processes));
        self.waiting.truncate(MAX_WAITING);
    }

    /// As [`Self::exchange`], waiting a little for the answers.
    pub(super) fn finish(&mut self, aggregator: &mut Aggregator, processes: &mut ProcessTable) {
        self.exchange(aggregator, processes);
        if self.symbolizer.as_ref().is_some_and(|names| !names.wait_idle(LAST_NAMES)) {
            tracing::debug!("some names did not come in time");
        }
        self.exchange(aggregator, processes);
    }

    /// As [`Self::exchange`], until every name has come or `patience` is over; says which.
    pub(super) fn settle(
        &mut self,
        aggregator: &mut Aggregator,
        processes: &mut ProcessTable,
        patience: Duration,
    ) -> bool {
        let until = Instant::now() + patience;
        loop {
            self.exchange(aggregator, processes);
            let left = until.saturating_duration_since(Instant::now());
            let is_idle = self.symbolizer.as_ref().is_none_or(|names| names.wait_idle(left));
            if left.is_zero() || (is_idle && self.waiting.is_empty()) {
                self.exchange(aggregator, processes);
                return is_idle && self.waiting.is_empty();
            }
        }
    }

    /// Makes no names while `paused`.
    pub(super) fn pause(&self, paused: bool) {
        if let Some(symbolizer) = &self.symbolizer {
            symbolizer.pause(paused);
        }
    }

    /// Gives back the memory of what can be asked again.
    pub(super) fn forget(&mut self) {
        self.waiting = Vec::new();
        if let Some(symbolizer) = &self.symbolizer {
            symbolizer.forget();
        }
    }

    pub(super) fn worker_pid(&self) -> Option<u32> {
        self.symbolizer.as_ref().and_then(Symbolizer::worker_pid)
    }

    pub(super) fn nameless_files(&self) -> Vec<FileNames> {
        self.symbolizer.as_ref().map(Symbolizer::nameless_files).unwrap_or_default()
    }

    pub(super) fn take_news(&self) -> NamingNews {
        self.symbolizer.as_ref().map(Symbolizer::take_news).unwrap_or_default()
    }

    pub(super) fn counters(&self) -> SymbolizeCounters {
        self.symbolizer.as_ref().map(Symbolizer::counters).unwrap_or_default()
    }
}

fn learn_module(frame: &Frame, aggregator: &mut Aggregator, processes: &ProcessTable) {
    if let Some(build_id) = frame.build_id()
        && let Some((name, main_executable)) = processes.module(build_id)
    {
        aggregator.learn_module(build_id, Module { main_executable, name });
    }
}
