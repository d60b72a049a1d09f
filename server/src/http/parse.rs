//! `POST /api/v1/parse`: a profile that somebody has as a file, as a flame graph. Nothing is stored.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stoker_analysis::call_tree;
use stoker_dag::{ProfileType, prune};
use stoker_formats::{Imported, ReadOptions};

use super::Shared;
use super::error::ApiError;
use super::params::Params;
use super::push::refusals::{bad_profile, unread};
use super::push::{LIMITS, TURN};
use super::run::{Answer, json_within};
use crate::query::Columns;

/// Boxes unless asked otherwise.
const MAX_NODES: usize = 8192;
/// Bytes of a file's name.
const MAX_NAME: usize = 1024;

/// A file as a flame graph, as `docs/api.md` describes it.
#[derive(Serialize)]
struct Parsed {
    /// What sort of file it is.
    format: String,
    /// Every profile type in it.
    profile_types: Vec<String>,
    profile_type: String,
    unit: String,
    /// When it was taken; 0 where the file does not say.
    from_ms: u64,
    until_ms: u64,
    total: u64,
    samples: u64,
    nodes_before_pruning: usize,
    #[serde(flatten)]
    columns: Columns,
}

pub(super) async fn parse(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let file_name = params.text("name")?.unwrap_or_default();
    let wanted = params.text("type")?;
    let max_nodes = params.number("max_nodes", MAX_NODES)?;
    params.finish()?;
    check_name(&file_name)?;
    let body = body.map_err(|rejection| unread(&rejection))?;
    let turn = tokio::time::timeout(TURN, Arc::clone(&app.slots).acquire_owned());
    let Ok(Ok(turn)) = turn.await else { return Err(ApiError::busy()) };
    let limit = app.limits.max_answer_bytes;
    let job = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let options = ReadOptions { limits: LIMITS, file_name, ..ReadOptions::default() };
        let imported =
            stoker_formats::read(&body, &options).map_err(|error| bad_profile(&error))?;
        let at = chosen(&imported, wanted.as_deref())?;
        json_within(limit, &parsed(imported, at, max_nodes))
    });
    let answer: Answer =
        job.await.map_err(|_| ApiError::internal("the profile could not be read"))??;
    Ok(answer.into_response())
}

pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    if name.len() <= MAX_NAME {
        return Ok(());
    }
    let message = format!("the name of the file has more than {MAX_NAME} bytes");
    Err(ApiError::parameter(message, "shorten it"))
}

/// Which of the file's profiles is meant.
pub(super) fn chosen(imported: &Imported, wanted: Option<&str>) -> Result<usize, ApiError> {
    let Some(wanted) = wanted else { return Ok(imported.default) };
    let is_wanted = |held: &ProfileType| held.to_string() == wanted || held.short() == wanted;
    let at = imported.profiles.iter().position(|profile| is_wanted(&profile.profile_type));
    at.ok_or_else(|| {
        let message = format!("the file has no profile type {wanted:.100?}");
        let hint = format!("it has {}", types(imported).join(", "));
        ApiError::new(StatusCode::BAD_REQUEST, "bad_parameter", message, hint)
    })
}

fn types(imported: &Imported) -> Vec<String> {
    imported.profiles.iter().map(|profile| profile.profile_type.to_string()).collect()
}

fn parsed(imported: Imported, at: usize, max_nodes: usize) -> Parsed {
    let (format, profile_types) = (imported.format.to_string(), types(&imported));
    let meta = &imported.profiles[at];
    let profile_type = meta.profile_type.to_string();
    let unit = meta.unit().to_owned();
    let from = meta.start.map_or(0, |start| start.0);
    let until = if from == 0 { 0 } else { from.saturating_add(meta.duration_ns) };
    let (total, samples) = (meta.total(), meta.samples());
    let (profile, modules) = imported.into_profile(at);
    let tree = call_tree(&profile, &modules);
    Parsed {
        format,
        profile_types,
        profile_type,
        unit,
        from_ms: from / 1_000_000,
        until_ms: until / 1_000_000,
        total,
        samples,
        nodes_before_pruning: tree.len(),
        columns: Columns::of(&prune(&tree, max_nodes)),
    }
}
