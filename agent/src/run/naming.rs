//! Asks for names of what was seen for the first time, and hands on the answers.

use std::time::Duration;

use stoker_dag::{Frame, Module};

use crate::aggregate::Aggregator;
use crate::process::ProcessTable;
use crate::symbolize::Symbolizer;

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

    /// Asks for what is new and hands on what has been answered.
    pub(super) fn exchange(&mut self, aggregator: &mut Aggregator, processes: &mut ProcessTable) {
        let mut frames = std::mem::take(&mut self.waiting);
        frames.append(&mut aggregator.take_unnamed());
        for frame in &frames {
            learn_module(frame, aggregator, processes);
        }
        let Some(symbolizer) = &self.symbolizer else { return };
        self.waiting = symbolizer.ask_all(frames, processes);
        self.waiting.truncate(MAX_WAITING);
        for (frame, definition) in symbolizer.answers() {
            aggregator.learn(&frame.id(), definition);
        }
    }

    /// As [`Self::exchange`], waiting a little for the answers.
    pub(super) fn finish(&mut self, aggregator: &mut Aggregator, processes: &mut ProcessTable) {
        self.exchange(aggregator, processes);
        if self.symbolizer.as_ref().is_some_and(|names| !names.wait_idle(LAST_NAMES)) {
            tracing::debug!("some names did not come in time");
        }
        self.exchange(aggregator, processes);
    }
}

fn learn_module(frame: &Frame, aggregator: &mut Aggregator, processes: &ProcessTable) {
    if let Some(build_id) = frame.build_id()
        && let Some((name, main_executable)) = processes.module(build_id)
    {
        aggregator.learn_module(build_id, Module { main_executable, name });
    }
}
