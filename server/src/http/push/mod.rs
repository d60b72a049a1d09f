//! `POST /api/v1/push`: a profile that somebody else wrote, stored as durably as an agent's batch.
//!
//! A file that is pushed again counts once: its spool id is a hash of tenant, content, labels and
//! range as they were given. The range is what `from` and `until` say, else the profile's own time
//! and duration, else it ends now. A profile may be old; from the future it is refused.

mod asked;
pub(super) mod refusals;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stoker_formats::{Limits, ReadOptions};

use self::asked::Asked;
use self::refusals::{bad_profile, not_stored, nothing_to_store, unread};
use super::Shared;
use super::error::ApiError;
use super::params::now;
use crate::ingest::{ImportedBatches, batches};
use crate::query::TenantParts;
use crate::store::{Appended, BatchSource, SpoolId, StoreError, StreamRebase};

/// Bytes of one body, compressed or not.
pub(super) const MAX_BODY: usize = 64 << 20;
/// How long a push waits for its turn.
pub(super) const TURN: Duration = Duration::from_secs(10);

/// What a file may hold: less than a tool at a desk reads, because a server reads several at a time.
pub(super) const LIMITS: Limits = Limits {
    decompressed_bytes: 256 << 20,
    samples: 4 << 20,
    table_entries: 4 << 20,
    nodes: 8 << 20,
    stack_depth: 1024,
    name_bytes: 16 << 10,
    labels: 64,
    attribute_sets: 64 << 10,
};

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
        let length_ns = asked.length_ns(&imported, (from, until));
        Ok::<_, ApiError>((batches(imported, &asked.series, from, length_ns), from, until))
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

/// Stores every batch; durable when it returns. New where any of them was. All are put in line before
/// the first is waited for, so that a file of many windows costs one sync of the log and not one each.
async fn store(
    sink: &TenantParts,
    spool_id: SpoolId,
    made: &ImportedBatches,
) -> Result<Appended, StoreError> {
    let source = BatchSource { spool_id, host_id: [0; 16], host_name: "".into() };
    let mut rebase = StreamRebase::default();
    let mut line = Vec::with_capacity(made.bodies.len());
    for body in &made.bodies {
        let dictionary = &made.dictionary;
        let put = sink.store.put_in_line(&sink.tenant, &source, dictionary, body, &mut rebase);
        line.push(put.await?);
    }
    let mut outcome = Appended::Duplicate;
    for stored in line {
        if stored.await? == Appended::Durable {
            outcome = Appended::Durable;
        }
    }
    Ok(outcome)
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
}
