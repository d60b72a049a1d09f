//! `/api/v1/annotations`: what people and deploy scripts note about a moment.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::error::ApiError;
use super::params::{Params, moment, now};
use crate::annotations::{Annotation, Annotations, MAX_TEXT_BYTES};

/// Bytes of a body.
pub(super) const MAX_BODY: usize = 16 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
    /// As `from` and `until`; now where there is none.
    at: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    annotations: Vec<Annotation>,
    from_ms: u64,
    until_ms: u64,
}

pub(super) async fn list(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.query()?;
    params.finish()?;
    let (from_ms, until_ms) = (query.from_ms(), query.until_ms());
    let annotations =
        app.backend.annotations().map_or_else(Vec::new, |notes| notes.within(from_ms, until_ms));
    Ok(Json(Listed { annotations, from_ms, until_ms }).into_response())
}

pub(super) async fn add(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    Params::read(raw.as_deref())?.finish()?;
    let annotation = read(body)?;
    let Some(notes) = app.backend.annotations() else {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(ApiError::new(status, "busy", "this server keeps no annotations", ""));
    };
    let added = annotation.clone();
    let job = tokio::task::spawn_blocking(move || Annotations::add(&notes, added));
    match job.await {
        Ok(Ok(())) => Ok((StatusCode::CREATED, Json(annotation)).into_response()),
        Ok(Err(error)) => {
            let message = format!("the annotation could not be written: {error}");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(ApiError::new(status, "busy", message, "look at the data folder's disk"))
        }
        Err(_) => Err(ApiError::internal("the annotation could not be written")),
    }
}

fn read(body: Result<Bytes, BytesRejection>) -> Result<Annotation, ApiError> {
    let hint = "send {\"text\": \"deploy 1.5\", \"at\": \"now\"} as JSON";
    let wrong = |message: String| ApiError::parameter(message, hint);
    let body = body.map_err(|rejection| wrong(format!("the body: {}", rejection.body_text())))?;
    let note: Note = serde_json::from_slice(&body)
        .map_err(|error| wrong(format!("the body is no annotation: {error}")))?;
    let text = note.text.trim();
    if text.is_empty() || text.len() > MAX_TEXT_BYTES {
        let length = text.len();
        let message = format!("`text` has {length} bytes; it must have 1 to {MAX_TEXT_BYTES}");
        return Err(wrong(message));
    }
    let at = moment("at", note.at.as_deref().unwrap_or("now"), now())?;
    Ok(Annotation { at_ms: at.0 / 1_000_000, text: text.to_owned() })
}
