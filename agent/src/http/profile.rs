//! `/debug/pprof/profile`: where the agent itself spends its CPU time, as pprof.
//!
//! Stoker sees its own agent as it sees every process; this is for the day on which that does not
//! work, and for whoever has only `go tool pprof` at hand. A timer signal interrupts the agent's
//! threads while a profile is being taken and at no other time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pprof::{ProfilerGuardBuilder, Report};
use prost::Message as _;

/// How long a profile may take; longer wishes are cut.
const SECONDS_MAX: u64 = 120;
const SECONDS_DEFAULT: u64 = 10;
/// Samples per second of CPU time.
const FREQUENCY_HZ: i32 = 99;
const PERIOD_NS: i64 = 1_000_000_000 / FREQUENCY_HZ as i64;
/// Code that may hold a lock which unwinding wants: no sample is taken there.
const NOT_INTERRUPTED: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];
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
    // Reading our own debug information takes a while.
    let report = tokio::task::spawn_blocking(move || guard.report().build()).await;
    match report {
        Ok(Ok(report)) => {
            let bytes = encode(&report, seconds).encode_to_vec();
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

/// The parts of `profile.proto` that are written here; field numbers are pprof's.
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Profile {
        #[prost(message, repeated, tag = "1")]
        pub(super) sample_type: Vec<ValueType>,
        #[prost(message, repeated, tag = "2")]
        pub(super) sample: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        pub(super) location: Vec<Location>,
        #[prost(message, repeated, tag = "5")]
        pub(super) function: Vec<Function>,
        #[prost(string, repeated, tag = "6")]
        pub(super) string_table: Vec<String>,
        #[prost(int64, tag = "10")]
        pub(super) duration_nanos: i64,
        #[prost(message, optional, tag = "11")]
        pub(super) period_type: Option<ValueType>,
        #[prost(int64, tag = "12")]
        pub(super) period: i64,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct ValueType {
        #[prost(int64, tag = "1")]
        pub(super) kind: i64,
        #[prost(int64, tag = "2")]
        pub(super) unit: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(uint64, repeated, tag = "1")]
        pub(super) location_id: Vec<u64>,
        #[prost(int64, repeated, tag = "2")]
        pub(super) value: Vec<i64>,
        #[prost(message, repeated, tag = "3")]
        pub(super) label: Vec<Label>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Label {
        #[prost(int64, tag = "1")]
        pub(super) key: i64,
        #[prost(int64, tag = "2")]
        pub(super) text: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Location {
        #[prost(uint64, tag = "1")]
        pub(super) id: u64,
        #[prost(message, repeated, tag = "4")]
        pub(super) line: Vec<Line>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Line {
        #[prost(uint64, tag = "1")]
        pub(super) function_id: u64,
        #[prost(int64, tag = "2")]
        pub(super) line: i64,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Function {
        #[prost(uint64, tag = "1")]
        pub(super) id: u64,
        #[prost(int64, tag = "2")]
        pub(super) name: i64,
        #[prost(int64, tag = "4")]
        pub(super) filename: i64,
    }
}

/// Values that get a number each, in the order in which they come.
#[derive(Default)]
struct Numbered<T>(HashMap<T, u64>, Vec<T>);

impl<T: Clone + std::hash::Hash + Eq> Numbered<T> {
    fn number(&mut self, value: T) -> u64 {
        let next = self.1.len() as u64;
        *self.0.entry(value.clone()).or_insert_with(|| {
            self.1.push(value);
            next
        })
    }
}

/// Functions by name and file, locations by function and line.
#[derive(Default)]
struct Encoder {
    strings: Numbered<String>,
    functions: Numbered<(i64, i64)>,
    locations: Numbered<Vec<(u64, u32)>>,
}

impl Encoder {
    fn text(&mut self, text: &str) -> i64 {
        i64::try_from(self.strings.number(text.to_owned())).unwrap_or(0)
    }

    fn location(&mut self, inlined: &[pprof::Symbol]) -> u64 {
        let lines = inlined.iter().map(|symbol| {
            let function = (self.text(&symbol.name()), self.text(&symbol.filename()));
            (self.functions.number(function) + 1, symbol.lineno())
        });
        let lines: Vec<(u64, u32)> = lines.collect();
        self.locations.number(lines) + 1
    }
}

/// The stack without the signal's own frames, which stand before the interrupted function's.
fn interrupted(frames: &[Vec<pprof::Symbol>]) -> impl Iterator<Item = &[pprof::Symbol]> {
    let is_handler =
        |inlined: &Vec<pprof::Symbol>| inlined.iter().any(|s| s.name().ends_with(SIGNAL_HANDLER));
    // Behind the handler comes the C library's frame that returns from it.
    let own = frames.iter().position(is_handler).map_or(0, |at| at + 2);
    frames.iter().skip(own).map(Vec::as_slice)
}

fn encode(report: &Report, seconds: u64) -> proto::Profile {
    let mut encoder = Encoder::default();
    encoder.text("");
    let cpu = proto::ValueType { kind: encoder.text("cpu"), unit: encoder.text("nanoseconds") };
    let samples = proto::ValueType { kind: encoder.text("samples"), unit: encoder.text("count") };
    let thread = encoder.text("thread");
    let mut sample = Vec::new();
    for (frames, count) in &report.data {
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        let text = encoder.text(&frames.thread_name_or_id());
        sample.push(proto::Sample {
            location_id: interrupted(&frames.frames).map(|it| encoder.location(it)).collect(),
            value: vec![count, count.saturating_mul(PERIOD_NS)],
            label: vec![proto::Label { key: thread, text }],
        });
    }
    let line = |&(function_id, line): &(u64, u32)| proto::Line { function_id, line: line.into() };
    let ids = 1..;
    proto::Profile {
        sample_type: vec![samples, cpu],
        sample,
        location: ids
            .clone()
            .zip(&encoder.locations.1)
            .map(|(id, lines)| proto::Location { id, line: lines.iter().map(line).collect() })
            .collect(),
        function: ids
            .zip(&encoder.functions.1)
            .map(|(id, &(name, filename))| proto::Function { id, name, filename })
            .collect(),
        string_table: encoder.strings.1,
        duration_nanos: i64::try_from(seconds * 1_000_000_000).unwrap_or(i64::MAX),
        period_type: Some(cpu),
        period: PERIOD_NS,
    }
}
