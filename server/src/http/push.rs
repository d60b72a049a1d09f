//! `POST /api/v1/push`: a profile that somebody else wrote, stored as durably as an agent's batch.
//!
//! A file that is pushed again counts once: its spool id is a hash of tenant, content, labels and
//! range as they were given. The range is what `from` and `until` say, else the profile's own time
//! and duration, else it ends now. A profile may be old; from the future it is refused.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stoker_dag::{LabelSet, UnixNanos};
use stoker_formats::{Imported, Limits, ReadOptions};

use super::Shared;
use super::error::ApiError;
use super::params::{Params, now};
use crate::ingest::{ImportedBatches, MAX_FUTURE, batches};
use crate::query::{QueryError, TenantParts, time};
use crate::store::{Appended, BatchSource, SpoolId, StoreError, StreamRebase};

/// Bytes of one body, compressed or not.
pub(super) const MAX_BODY: usize = 64 << 20;
/// Labels of one push.
const MAX_LABELS: usize = 32;
/// Bytes of a label's name and of its value.
const MAX_LABEL: (usize, usize) = (128, 1024);
/// How long a push waits for its turn.
const TURN: Duration = Duration::from_secs(10);

/// What a file may hold: less than a tool at a desk reads, because a server reads several at a time.
const LIMITS: Limits = Limits {
    decompressed_bytes: 256 << 20,
    samples: 4 << 20,
    table_entries: 4 << 20,
    nodes: 8 << 20,
    stack_depth: 1024,
    name_bytes: 16 << 10,
    labels: 64,
    attribute_sets: 64 << 10,
};

/// What the address says.
#[derive(Debug)]
struct Asked {
    from: Option<UnixNanos>,
    until: Option<UnixNanos>,
    series: LabelSet,
    /// Labels and range as they were given.
    given: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Answer {
    /// `new`, or `duplicate` where it was there already.
    status: &'static str,
    profile_types: Vec<String>,
    skipped: Vec<Skipped>,
    samples: u64,
    rows: u64,
    from_ms: u64,
    until_ms: u64,
}

#[derive(Serialize)]
struct Skipped {
    profile_type: String,
    reason: &'static str,
}

pub(super) async fn push(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let pushed = take(&app, raw.as_deref(), body).await;
    let (outcome, samples) = match &pushed {
        Ok(answer) => (answer.status, answer.samples),
        Err(_) => ("refused", 0),
    };
    app.metrics.pushed(outcome, if outcome == "new" { samples } else { 0 });
    Ok(axum::Json(pushed?).into_response())
}

async fn take(
    app: &Shared,
    raw: Option<&str>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Answer, ApiError> {
    let asked = Asked::read(raw)?;
    let body = body.map_err(|rejection| unread(&rejection))?;
    let Some(sink) = app.backend.writable() else {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(ApiError::new(status, "busy", "this server stores nothing", ""));
    };
    let turn = tokio::time::timeout(TURN, Arc::clone(&app.slots).acquire_owned());
    let Ok(Ok(turn)) = turn.await else { return Err(ApiError::busy()) };
    let spool_id = spool_id(sink.tenant.as_str(), &asked.given, &body);
    let job = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let read =
            stoker_formats::read(&body, &ReadOptions { limits: LIMITS, ..ReadOptions::default() });
        let imported = read.map_err(|error| bad_profile(&error))?;
        let (from, until) = asked.range(&imported, now())?;
        Ok::<_, ApiError>((batches(imported, &asked.series, from), from, until))
    });
    let (made, from, until) =
        job.await.map_err(|_| ApiError::internal("the profile could not be read"))??;
    if made.stored.is_empty() && !made.skipped.is_empty() {
        return Err(nothing_to_store(&made));
    }
    let appended = store(&sink, spool_id, &made).await.map_err(|error| not_stored(&error))?;
    let (samples, rows) = made.size();
    let skipped = made
        .skipped
        .iter()
        .map(|(profile_type, reason)| Skipped { profile_type: profile_type.to_string(), reason });
    Ok(Answer {
        status: if appended == Appended::Durable { "new" } else { "duplicate" },
        profile_types: made.stored.iter().map(ToString::to_string).collect(),
        skipped: skipped.collect(),
        samples,
        rows,
        from_ms: from.0 / 1_000_000,
        until_ms: until.0 / 1_000_000,
    })
}

/// Stores every batch; durable when it returns. New where any of them was.
async fn store(
    sink: &TenantParts,
    spool_id: SpoolId,
    made: &ImportedBatches,
) -> Result<Appended, StoreError> {
    let source = BatchSource { spool_id, host_id: [0; 16], host_name: "".into() };
    let mut rebase = StreamRebase::default();
    let mut outcome = Appended::Duplicate;
    for body in &made.bodies {
        let dictionary = &made.dictionary;
        let appended =
            sink.store.append(&sink.tenant, &source, dictionary, body, &mut rebase).await?;
        if appended == Appended::Durable {
            outcome = appended;
        }
    }
    Ok(outcome)
}

impl Asked {
    fn read(raw: Option<&str>) -> Result<Self, ApiError> {
        let mut params = Params::read(raw)?;
        let mut given = Vec::new();
        let mut moment = |name: &'static str| -> Result<Option<UnixNanos>, ApiError> {
            let Some(text) = params.text(name)? else { return Ok(None) };
            let at = time::moment(&text, now()).map_err(|mut error| {
                error.message = format!("{name}: {}", error.message);
                ApiError::from(QueryError::from(error))
            })?;
            given.push((name.to_owned(), text));
            Ok(Some(at))
        };
        let (from, until) = (moment("from")?, moment("until")?);
        let mut labels = params.rest();
        labels.sort();
        check_labels(&labels)?;
        let series = LabelSet::new(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        given.append(&mut labels);
        Ok(Self { from, until, series, given })
    }

    /// The range that the rows lie in.
    fn range(
        &self,
        imported: &Imported,
        now: UnixNanos,
    ) -> Result<(UnixNanos, UnixNanos), ApiError> {
        let profile = imported.default_profile();
        let length = profile.duration_ns.max(1);
        let from = match (self.from, self.until) {
            (Some(from), _) => from,
            (None, Some(until)) => UnixNanos(until.0.saturating_sub(length)),
            (None, None) => profile.start.unwrap_or(UnixNanos(now.0.saturating_sub(length))),
        };
        let until = self.until.unwrap_or(UnixNanos(from.0.saturating_add(length)));
        let future = u64::try_from(MAX_FUTURE.as_nanos()).unwrap_or(u64::MAX);
        if from >= until {
            let message = "`from` is not before `until`";
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "bad_time",
                message,
                "exchange them",
            ));
        }
        if from.0 > now.0.saturating_add(future) {
            let message = format!("the profile begins in the future, at {}", time::rfc(from));
            let hint = "set the clock of the machine that took it, or say from= and until=";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "from_the_future", message, hint));
        }
        Ok((from, until))
    }
}

fn check_labels(labels: &[(String, String)]) -> Result<(), ApiError> {
    let is_name = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        starts && name.len() <= MAX_LABEL.0 && name.chars().all(fits)
    };
    for (at, (name, value)) in labels.iter().enumerate() {
        if !is_name(name) {
            let hint = "every parameter but from and until is a label, such as service_name=api";
            return Err(ApiError::parameter(format!("{name:.64?} is no name of a label"), hint));
        }
        if value.len() > MAX_LABEL.1 {
            let message = format!("the value of {name} has more than {} bytes", MAX_LABEL.1);
            return Err(ApiError::parameter(message, "shorten it"));
        }
        if at > 0 && labels[at - 1].0 == *name {
            let message = format!("the label {name} stands more than once");
            return Err(ApiError::parameter(message, "give it once"));
        }
    }
    if labels.len() > MAX_LABELS {
        let message = format!("there are {} labels, more than {MAX_LABELS}", labels.len());
        return Err(ApiError::parameter(message, "leave some out"));
    }
    Ok(())
}

/// What makes two pushes one. Lengths stand before texts, so that no two lists hash alike.
fn spool_id(tenant: &str, given: &[(String, String)], content: &[u8]) -> SpoolId {
    let mut hasher = blake3::Hasher::new_derive_key("stoker 2026 push spool id");
    let mut text = |text: &[u8]| {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text);
    };
    text(tenant.as_bytes());
    for (name, value) in given {
        text(name.as_bytes());
        text(value.as_bytes());
    }
    text(content);
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    SpoolId(id)
}

fn unread(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!("the body has more than {MAX_BODY} bytes");
        let hint = "gzip it, or push less at a time";
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, hint);
    }
    let message = format!("the body could not be read: {}", rejection.body_text());
    ApiError::new(StatusCode::BAD_REQUEST, "bad_profile", message, "send it again")
}

fn bad_profile(error: &stoker_formats::ReadError) -> ApiError {
    let hint = "push pprof, collapsed stacks, the text of perf script, or speedscope JSON";
    ApiError::new(StatusCode::BAD_REQUEST, "bad_profile", error.to_string(), hint)
}

fn nothing_to_store(made: &ImportedBatches) -> ApiError {
    let reasons =
        made.skipped.iter().map(|(profile_type, why)| format!("{profile_type} has {why}"));
    let message = reasons.collect::<Vec<_>>().join("; ");
    let hint = "push profiles with a duration, such as CPU profiles";
    ApiError::new(StatusCode::BAD_REQUEST, "not_stored", message, hint)
}

fn not_stored(error: &StoreError) -> ApiError {
    let (status, code, hint) = match error {
        StoreError::TooLarge(_) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "push less at a time")
        }
        StoreError::TooManySeries { .. } => {
            (StatusCode::BAD_REQUEST, "too_many_series", "use fewer distinct labels")
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "busy", "push it again in a moment"),
    };
    ApiError::new(status, code, error.to_string(), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_content_and_range_make_the_id() {
        let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let ids = [
            spool_id("default", &pair("a", "b"), b"x"),
            spool_id("default", &pair("ab", ""), b"x"),
            spool_id("default", &pair("a", "b"), b"y"),
            spool_id("other", &pair("a", "b"), b"x"),
            spool_id("default", &[], b"x"),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{at}");
        }
        assert_eq!(spool_id("default", &[], b"x"), ids[4]);
    }

    #[test]
    fn wrong_labels_and_ranges_are_refused() {
        for (raw, wanted) in
            [("a%20b=1", "no name"), ("a=1&a=2", "more than once"), ("from=monday", "from: ")]
        {
            let refused = Asked::read(Some(raw)).unwrap_err();
            assert!(format!("{refused:?}").contains(wanted), "{refused:?}");
        }
        let asked = Asked::read(Some("b=2&from=10&a=1&until=20")).unwrap();
        assert_eq!(asked.series.to_string(), r#"{a="1",b="2"}"#);
        assert_eq!(
            (asked.from, asked.until),
            (Some(UnixNanos(10_000_000_000)), Some(UnixNanos(20_000_000_000)))
        );
    }
}
