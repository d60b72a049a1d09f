//! `/debug/pprof/profile`: where the server itself spends its CPU time, as gzipped pprof.
//!
//! For the day on which no agent runs beside the server, and for whoever has only `go tool pprof`
//! at hand. A timer signal interrupts the server's threads while a profile is taken and at no other
//! time; one is taken at a time.

use std::time::Duration;

use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pprof::{ProfilerGuardBuilder, Report, Symbol};
use stoker_dag::{Frame, ModuleMap, Profile, ProfileType, UnixNanos};
use stoker_formats::pprof::{PprofSource, write};
use tokio::sync::Semaphore;

use super::error::ApiError;
use super::params::{Params, now};

/// How long a profile may take.
const SECONDS_MAX: usize = 120;
const SECONDS_DEFAULT: usize = 10;
/// Samples per second of CPU time.
const FREQUENCY_HZ: i32 = 99;
const PERIOD_NS: u64 = 1_000_000_000 / FREQUENCY_HZ as u64;
/// Code that may hold a lock which unwinding wants: no sample is taken there.
const NOT_INTERRUPTED: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];
/// The function that takes the samples; it and what it calls say nothing of the server.
const SIGNAL_HANDLER: &str = "perf_signal_handler";

static TURN: Semaphore = Semaphore::const_new(1);

/// Profiles this process for `?seconds=N`.
pub(super) async fn profile(RawQuery(raw): RawQuery) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let seconds = params.number("seconds", SECONDS_DEFAULT)?;
    params.finish()?;
    if !(1..=SECONDS_MAX).contains(&seconds) {
        let message = format!("seconds={seconds} is not between 1 and {SECONDS_MAX}");
        return Err(ApiError::parameter(message, "leave it out for 10"));
    }
    let Ok(_turn) = TURN.try_acquire() else {
        let message = "another profile is being taken";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(ApiError::new(status, "busy", message, "ask again when it has ended"));
    };
    let start = now();
    let builder = ProfilerGuardBuilder::default();
    let guard = builder.frequency(FREQUENCY_HZ).blocklist(&NOT_INTERRUPTED).build();
    let guard = guard.map_err(|error| failed(&error))?;
    let duration = Duration::from_secs(seconds as u64);
    tokio::time::sleep(duration).await;
    // Reading our own debug information takes a while.
    let job = tokio::task::spawn_blocking(move || {
        let report = guard.report().build().map_err(|error| failed(&error))?;
        encode(&report, start, duration)
    });
    let bytes = job.await.map_err(|error| failed(&error))??;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

fn failed(error: &dyn std::error::Error) -> ApiError {
    ApiError::internal(&format!("the server cannot profile itself: {error}"))
}

fn encode(report: &Report, start: UnixNanos, duration: Duration) -> Result<Vec<u8>, ApiError> {
    let mut profile = Profile::default();
    for (stack, count) in &report.data {
        let count = u64::try_from(*count).unwrap_or(0);
        let frames = frames(&stack.frames);
        profile.add_stack(&frames, count * PERIOD_NS, count);
    }
    let source = PprofSource {
        profile: &profile,
        module: &|_| "stoker-server".to_owned(),
        modules: &ModuleMap::default(),
        profile_type: &ProfileType::cpu(),
        start,
        duration_ns: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        comment: "stoker-server, by itself",
    };
    let mut bytes = Vec::new();
    write(&source, &mut bytes).map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// Outermost first, from a stack that has the innermost first, inlined functions apart.
fn frames(stack: &[Vec<Symbol>]) -> Vec<Frame> {
    let of_handler = stack
        .iter()
        .rposition(|symbols| symbols.iter().any(|symbol| symbol.name().contains(SIGNAL_HANDLER)));
    let own = &stack[of_handler.map_or(0, |at| at + 1)..];
    let symbols = own.iter().rev().flat_map(|symbols| symbols.iter().rev());
    let frame = |symbol: &Symbol| Frame::Interpreted {
        runtime: "rust".into(),
        module: "stoker-server".into(),
        function: symbol.name().into(),
        line: symbol.lineno.unwrap_or(0),
    };
    symbols.map(frame).collect()
}
