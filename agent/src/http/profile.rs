//! `/debug/pprof/profile`: where the agent itself spends its CPU time, as pprof.
//!
//! Taken with the agent's own means, aimed at itself: another sampler at a higher frequency, its own
//! tables, a worker of its own for names. That needs no signals and two megabytes, and the stacks
//! are as good as Stoker makes them anywhere. (The crate `pprof` was tried: it keeps 180 MiB from the
//! first profile on, which is more than the agent may have.)

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use stoker_dag::{Definition, Frame, FrameId};

use super::pprof::{Function, Stack, encode};
use crate::kernel::{KernelError, KernelEvent, Sample, Sampler, SamplerConfig, Target};
use crate::process::ProcessTable;
use crate::run::AgentWatcher;
use crate::symbolize::Symbolizer;

/// How long a profile may take; longer wishes are cut.
const SECONDS_MAX: u64 = 120;
const SECONDS_DEFAULT: u64 = 10;
/// Samples per second of CPU time.
const FREQUENCY_HZ: u32 = 99;
const PERIOD_NS: i64 = 1_000_000_000 / FREQUENCY_HZ as i64;
/// How long names may take; what has none by then goes by its place.
const NAMES_PATIENCE: Duration = Duration::from_secs(20);
const DRAIN_EVERY: Duration = Duration::from_millis(100);

static BUSY: AtomicBool = AtomicBool::new(false);

/// Gives the right to profile back when the profile is over, however it ends.
struct Turn;

impl Turn {
    fn take() -> Option<Self> {
        BUSY.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).ok().map(|_| Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Release);
    }
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct Wanted {
    seconds: Option<u64>,
}

/// Profiles the agent for `?seconds=N` and answers with a pprof profile, not compressed.
pub(super) async fn profile(
    State(agent): State<AgentWatcher>,
    Query(wanted): Query<Wanted>,
) -> Response {
    if let Some(off) = agent.status().off {
        let text = format!("sampling is off: {}\n", off.reason());
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    let Some(turn) = Turn::take() else {
        return (StatusCode::TOO_MANY_REQUESTS, "another profile is being taken\n").into_response();
    };
    let seconds = wanted.seconds.unwrap_or(SECONDS_DEFAULT).clamp(1, SECONDS_MAX);
    let taken = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let stacks = Recording::take(Duration::from_secs(seconds)).map(Recording::named);
        crate::guard::give_memory_back();
        stacks
    });
    match taken.await {
        Ok(Ok(stacks)) => {
            let bytes = encode(&stacks, PERIOD_NS, seconds);
            ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
        }
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> Response {
    let text = format!("cannot take a profile: {error}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}

/// Stacks of this process.
struct Recording {
    processes: ProcessTable,
    frames: HashMap<FrameId, Frame>,
    /// By thread and stack, leaf first.
    counts: HashMap<(String, Vec<FrameId>), i64>,
}

impl Recording {
    fn take(duration: Duration) -> Result<Self, KernelError> {
        let mut sampler = Sampler::start(&SamplerConfig {
            frequency_hz: FREQUENCY_HZ,
            target: Target::Pids(vec![std::process::id()]),
            follow_children: false,
            ..SamplerConfig::default()
        })?;
        let mut recording =
            Self { processes: ProcessTable::new(), frames: HashMap::new(), counts: HashMap::new() };
        let end = Instant::now() + duration;
        while Instant::now() < end {
            std::thread::sleep(DRAIN_EVERY);
            recording.drain(&mut sampler);
        }
        sampler.stop()?;
        recording.drain(&mut sampler);
        Ok(recording)
    }

    fn drain(&mut self, sampler: &mut Sampler) {
        sampler.drain(&mut |event| {
            if let KernelEvent::Sample(sample) = event {
                self.count(&sample);
            }
        });
    }

    fn count(&mut self, sample: &Sample<'_>) {
        let processes = &mut self.processes;
        let mut stack: Vec<Frame> = Vec::with_capacity(sample.kernel.len() + sample.user.len());
        for (at, &address) in sample.kernel.iter().enumerate() {
            stack.push(processes.resolve_kernel(address, at == 0));
        }
        for (at, &address) in sample.user.iter().enumerate() {
            stack.push(processes.resolve_user(sample.pid, address, at == 0));
        }
        let ids = stack.iter().map(Frame::id).collect();
        self.frames.extend(stack.into_iter().map(|frame| (frame.id(), frame)));
        *self.counts.entry((sample.comm.to_string_lossy().into_owned(), ids)).or_default() += 1;
    }

    /// The stacks with names, made by a worker of our own.
    fn named(mut self) -> Vec<Stack> {
        let names = self.names();
        let functions = |id: &FrameId| match (names.get(id), self.frames.get(id)) {
            (Some(definition), _) => functions(definition),
            (None, Some(frame)) => vec![nameless(frame)],
            (None, None) => Vec::new(),
        };
        let stack = |((thread, ids), count): (&(String, Vec<FrameId>), &i64)| Stack {
            thread: thread.clone(),
            frames: ids.iter().map(functions).collect(),
            count: *count,
        };
        self.counts.iter().map(stack).collect()
    }

    fn names(&mut self) -> HashMap<FrameId, Definition> {
        let Ok(symbolizer) = Symbolizer::start() else { return HashMap::new() };
        let waiting = symbolizer.ask_all(self.frames.values().cloned(), &mut self.processes);
        if !symbolizer.wait_idle(NAMES_PATIENCE) || !waiting.is_empty() {
            tracing::debug!("some names of our own profile are missing");
        }
        let answers = symbolizer.answers().into_iter();
        answers.map(|(frame, definition)| (frame.id(), definition)).collect()
    }
}

/// Innermost first.
fn functions(definition: &Definition) -> Vec<Function> {
    let function = |location: &stoker_dag::Location| Function {
        name: location.function.to_string(),
        file: location.file.to_string(),
        line: location.line,
    };
    definition.locations.iter().rev().map(function).collect()
}

fn nameless(frame: &Frame) -> Function {
    let name = match frame {
        Frame::Native { build_id, offset } => format!("{build_id}+{offset:#x}"),
        Frame::Special(special) => special.to_string(),
        _ => "unknown".to_owned(),
    };
    Function { name, file: String::new(), line: 0 }
}
