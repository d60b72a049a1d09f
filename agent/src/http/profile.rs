//! `/debug/pprof/profile`: where the agent itself spends its CPU time, as pprof.
//!
//! Stoker sees its own agent as it sees every process; this is for the day on which that does not
//! work, and for whoever has only `go tool pprof` at hand. A timer signal interrupts the agent's
//! threads while a profile is being taken and at no other time. Names come from a worker process, as
//! all names do, so that the agent does not carry its own debug information in memory.

use std::collections::HashMap;
use std::iter::once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::pprof::{ProfilerGuardBuilder, UnresolvedReport};
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use stoker_dag::{Definition, Frame, FrameId};

use super::pprof::{Function, Stack, encode};
use crate::process::ProcessTable;
use crate::symbolize::Symbolizer;

/// How long a profile may take; longer wishes are cut.
const SECONDS_MAX: u64 = 120;
const SECONDS_DEFAULT: u64 = 10;
/// Samples per second of CPU time.
const FREQUENCY_HZ: i32 = 99;
const PERIOD_NS: i64 = 1_000_000_000 / FREQUENCY_HZ as i64;
/// Code that may hold a lock which unwinding wants: no sample is taken there.
const NOT_INTERRUPTED: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];
/// How long names may take; what has none by then goes by its address.
const NAMES_PATIENCE: Duration = Duration::from_secs(20);
/// The function that takes the samples.
const SIGNAL_HANDLER: &str = "perf_signal_handler";

static BUSY: AtomicBool = AtomicBool::new(false);

/// Gives the right to profile back when the request is over, however it ends.
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
pub(super) async fn profile(Query(wanted): Query<Wanted>) -> Response {
    let seconds = wanted.seconds.unwrap_or(SECONDS_DEFAULT).clamp(1, SECONDS_MAX);
    let Some(_turn) = Turn::take() else {
        return (StatusCode::TOO_MANY_REQUESTS, "another profile is being taken\n").into_response();
    };
    let builder = ProfilerGuardBuilder::default();
    let guard = match builder.frequency(FREQUENCY_HZ).blocklist(&NOT_INTERRUPTED).build() {
        Ok(guard) => guard,
        Err(error) => return failed(&error),
    };
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let named = move || guard.report().build_unresolved().map(|report| stacks(&report));
    match tokio::task::spawn_blocking(named).await {
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

/// The stacks with names, made by a worker of our own.
fn stacks(report: &UnresolvedReport) -> Vec<Stack> {
    let mut places = Places::default();
    let found: Vec<(String, Vec<usize>, isize)> = report
        .data
        .iter()
        .map(|(stack, count)| {
            let name = stack.thread_name.get(..stack.thread_name_length).unwrap_or_default();
            let addresses = stack.frames.iter().map(|frame| frame.ip().addr()).collect();
            (String::from_utf8_lossy(name).into_owned(), addresses, *count)
        })
        .collect();
    places.learn(found.iter().flat_map(|(_, addresses, _)| addresses.iter().copied()));
    let named = found.into_iter().map(|(thread, addresses, count)| Stack {
        thread,
        frames: interrupted(addresses.iter().map(|at| places.functions(*at)).collect()),
        count: i64::try_from(count).unwrap_or(i64::MAX),
    });
    named.collect()
}

/// What addresses of this process mean.
#[derive(Default)]
struct Places {
    frames: HashMap<usize, Frame>,
    names: HashMap<FrameId, Definition>,
}

impl Places {
    fn learn(&mut self, addresses: impl Iterator<Item = usize>) {
        let mut processes = ProcessTable::new();
        for address in addresses {
            let frame = || processes.resolve_user(std::process::id(), address as u64, false);
            self.frames.entry(address).or_insert_with(frame);
        }
        let Ok(symbolizer) = Symbolizer::start() else { return };
        let waiting = symbolizer.ask_all(self.frames.values().cloned(), &mut processes);
        if !symbolizer.wait_idle(NAMES_PATIENCE) || !waiting.is_empty() {
            tracing::debug!("some names of our own profile are missing");
        }
        let answers = symbolizer.answers().into_iter();
        self.names = answers.map(|(frame, definition)| (frame.id(), definition)).collect();
    }

    /// Innermost first.
    fn functions(&self, address: usize) -> Vec<Function> {
        let definition = self.frames.get(&address).and_then(|frame| self.names.get(&frame.id()));
        let Some(definition) = definition else {
            let name = format!("{address:#x}");
            return once(Function { name, file: String::new(), line: 0 }).collect();
        };
        let function = |location: &stoker_dag::Location| Function {
            name: location.function.to_string(),
            file: location.file.to_string(),
            line: location.line,
        };
        definition.locations.iter().rev().map(function).collect()
    }
}

/// The stack without the signal's own frames, which stand before the interrupted function's.
fn interrupted(mut frames: Vec<Vec<Function>>) -> Vec<Vec<Function>> {
    let is_handler = |inlined: &Vec<Function>| {
        inlined.iter().any(|function| function.name.ends_with(SIGNAL_HANDLER))
    };
    // Behind the handler comes the C library's frame that returns from it.
    let own = frames.iter().position(is_handler).map_or(0, |at| at + 2);
    frames.drain(..own.min(frames.len()));
    frames
}
