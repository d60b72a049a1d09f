//! Running a query: on a thread that may block, in turn, with a deadline, until its client leaves;
//! and one line of log for each.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use super::answers::{self, Key};
use super::error::ApiError;
use crate::query::{Engine, Parts, Progress, Query, QueryError, time};
use crate::store::TimeRange;

/// How long a query waits for its turn.
const TURN: Duration = Duration::from_secs(10);

/// An answer in bytes.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) bytes: Bytes,
    pub(super) content_type: &'static str,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let content_type = HeaderValue::from_static(self.content_type);
        ([(header::CONTENT_TYPE, content_type)], Body::from(self.bytes)).into_response()
    }
}

/// As [`run`], unless the same was asked before and the data are what they were. `parameters` are all
/// that the answer depends on beside the query's range and the data.
pub(super) async fn cached(
    app: &Shared,
    about: (&'static str, Option<&str>),
    query: Query,
    work: impl FnOnce(Engine<'_>, &Query) -> Result<Answer, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    cached_over(app, about, query, |_| Vec::new(), work).await
}

/// As [`cached`], for an answer that reads other ranges, too: `others` says which, from the data as they
/// are.
pub(super) async fn cached_over(
    app: &Shared,
    (endpoint, parameters): (&'static str, Option<&str>),
    query: Query,
    others: impl Fn(&dyn Parts) -> Vec<TimeRange> + Send + 'static,
    work: impl FnOnce(Engine<'_>, &Query) -> Result<Answer, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let query = query.widened(app.backend.parts());
    let parameters = parameters.unwrap_or_default().to_owned();
    let key = move |app: &Shared, query: &Query| {
        let parts = app.backend.parts();
        let mut ranges = vec![query.range];
        ranges.extend(others(parts));
        Key::of(endpoint, &parameters, &ranges, |range| parts.version(range))
    };
    let Some(before) = key(app, &query) else { return run(app, endpoint, query, work).await };
    let found = app.answers.get(before);
    app.metrics.looked_up(found.is_some());
    let mut response = if let Some(answer) = found {
        let answer = Ok(answer);
        log((endpoint, "hit"), &query, 0, (Duration::ZERO, Duration::ZERO), &answer);
        answer?.into_response()
    } else {
        let shared = Arc::clone(app);
        let keep = move |engine: Engine<'_>, query: &Query| {
            let answer = work(engine, query)?;
            // What came while it was made may be in it in part.
            if key(&shared, query) == Some(before) {
                shared.answers.put(before, &answer);
            }
            Ok(answer)
        };
        run(app, endpoint, query, keep).await?
    };
    answers::mark(&mut response, before);
    Ok(response)
}

/// Runs `work` and gives what it made.
pub(super) async fn run(
    app: &Shared,
    endpoint: &'static str,
    query: Query,
    work: impl FnOnce(Engine<'_>, &Query) -> Result<Answer, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let asked = Instant::now();
    let turn = tokio::time::timeout(TURN, Arc::clone(&app.slots).acquire_owned());
    let Ok(Ok(turn)) = turn.await else {
        return Err(ApiError::busy());
    };
    let progress = Progress::after(app.limits.timeout);
    let _stop = progress.on_drop();
    let app = Arc::clone(app);
    let job = tokio::task::spawn_blocking(move || {
        let (started, waited) = (Instant::now(), asked.elapsed());
        let engine =
            Engine { parts: app.backend.parts(), limits: &app.limits, progress: &progress };
        let query = query.widened(engine.parts);
        let answer = work(engine, &query);
        drop(turn);
        let spent = started.elapsed();
        app.metrics.query(endpoint, progress.rows(), spent, answer.as_ref().err());
        log((endpoint, "miss"), &query, progress.rows(), (spent, waited), &answer);
        answer
    });
    match job.await {
        Ok(answer) => Ok(answer?.into_response()),
        Err(_) => Err(ApiError::internal("the query failed")),
    }
}

fn log(
    (endpoint, cache): (&str, &str),
    query: &Query,
    rows: u64,
    (spent, waited): (Duration, Duration),
    answer: &Result<Answer, ApiError>,
) {
    let outcome = answer.as_ref().err().map_or("ok", ApiError::code);
    let bytes = answer.as_ref().map_or(0, |answer| answer.bytes.len());
    tracing::info!(
        target: "stoker::query",
        endpoint,
        selector = %query.selector,
        from = %time::rfc(query.range.from()),
        until = %time::rfc(query.range.until()),
        rows,
        bytes,
        ms = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX),
        waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
        cache,
        outcome,
        "query"
    );
}

/// `answer` as JSON, within the limit of an answer.
pub(super) fn json(engine: Engine<'_>, answer: &impl Serialize) -> Result<Answer, ApiError> {
    json_within(engine.limits.max_answer_bytes, answer)
}

/// As [`json`], for what is no query.
pub(super) fn json_within(limit: usize, answer: &impl Serialize) -> Result<Answer, ApiError> {
    let bytes = within(limit, |out| {
        serde_json::to_writer(out, answer).map_err(|error| ApiError::internal(&error.to_string()))
    })?;
    Ok(Answer { bytes: bytes.into(), content_type: "application/json" })
}

/// What `write` wrote, unless that is more than an answer may have.
pub(super) fn bounded(
    engine: Engine<'_>,
    write: impl FnOnce(&mut Bounded) -> Result<(), ApiError>,
) -> Result<Vec<u8>, ApiError> {
    within(engine.limits.max_answer_bytes, write)
}

fn within(
    limit: usize,
    write: impl FnOnce(&mut Bounded) -> Result<(), ApiError>,
) -> Result<Vec<u8>, ApiError> {
    let mut out = Bounded { bytes: Vec::new(), limit, is_over: false };
    let written = write(&mut out);
    if out.is_over {
        return Err(
            QueryError::too_large("max_answer_bytes", limit, "has too large an answer").into()
        );
    }
    written.map(|()| out.bytes)
}

/// Bytes up to a limit.
pub(super) struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    is_over: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.is_over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
