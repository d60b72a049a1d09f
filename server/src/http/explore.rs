//! Endpoints that the viewer explores with: search over a whole profile, sandwiches, comparisons.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use stoker_analysis::call_tree;
use stoker_formats::ReadOptions;

use super::Shared;
use super::error::ApiError;
use super::heatmap::json_of;
use super::params::Params;
use super::parse::{check_name, chosen};
use super::push::LIMITS;
use super::push::refusals::{bad_profile, unread};
use super::run::{cached, cached_over, json, run};
use crate::query::{self, FileSide, Parts, SearchFor, Side};

/// Functions that a search lists unless asked otherwise.
const SEARCH_ROWS: usize = 100;
/// Boxes of each half of a sandwich unless asked otherwise.
const SANDWICH_NODES: usize = 2048;

/// Boxes of a comparison unless asked otherwise.
const COMPARE_NODES: usize = 8192;
/// Functions that a comparison lists unless asked otherwise.
const COMPARE_ROWS: usize = 1000;

/// How a term is meant.
#[derive(Clone, Copy)]
enum Mode {
    Text,
    Regex,
    Exact,
}

pub(super) async fn search(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let (query, span) = params.spanned_query()?;
    let modes = [("text", Mode::Text), ("regex", Mode::Regex), ("exact", Mode::Exact)];
    let mode = params.choice("mode", &modes)?;
    let term = params.text("q")?.unwrap_or_default();
    let limit = params.number("limit", SEARCH_ROWS)?;
    params.finish()?;
    let term = match mode {
        Mode::Text => SearchFor::text(&term),
        Mode::Regex => SearchFor::regex(&term),
        Mode::Exact => SearchFor::exact(&term),
    };
    let hint = "give q=memcpy, or q=^mem with mode=regex";
    let term = term.map_err(|why| ApiError::parameter(format!("q: {why}"), hint))?;
    cached(&app, ("search", raw.as_deref()), query, move |engine, query| {
        query::spanned(engine, query, span, |engine| {
            json_of(engine, span, &query::search(engine, query, &term, limit)?)
        })
    })
    .await
}

pub(super) async fn sandwich(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let (query, span) = params.spanned_query()?;
    let name = params.text("name")?.unwrap_or_default();
    let module = params.text("module")?.unwrap_or_default();
    let max_nodes = params.number("max_nodes", SANDWICH_NODES)?;
    params.finish()?;
    cached(&app, ("sandwich", raw.as_deref()), query, move |engine, query| {
        query::spanned(engine, query, span, |engine| {
            json_of(engine, span, &query::sandwich(engine, query, (&name, &module), max_nodes)?)
        })
    })
    .await
}

pub(super) async fn compare(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let new = params.required_query()?;
    let base = params.base_query(&new)?;
    let max_nodes = params.number("max_nodes", COMPARE_NODES)?;
    let limit = params.number("limit", COMPARE_ROWS)?;
    params.finish()?;
    let other = base.clone();
    let others = move |parts: &dyn Parts| vec![other.clone().widened(parts).range];
    cached_over(&app, ("compare", raw.as_deref()), new, others, move |engine, new| {
        json(engine, &query::compare(engine, (&base, new), max_nodes, limit)?)
    })
    .await
}

/// A file beside a selection. Nothing of it is stored.
pub(super) async fn compare_with_file(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.required_query()?;
    let file_name = params.text("name")?.unwrap_or_default();
    let wanted = params.text("type")?;
    let is_base = params.choice("file", &[("base", true), ("new", false)])?;
    let max_nodes = params.number("max_nodes", COMPARE_NODES)?;
    let limit = params.number("limit", COMPARE_ROWS)?;
    params.finish()?;
    check_name(&file_name)?;
    let body = body.map_err(|rejection| unread(&rejection))?;
    run(&app, "compare-file", query, move |engine, query| {
        let file = file_side(&body, file_name, wanted.as_deref(), is_base)?;
        json(engine, &query::compare_with_file(engine, query, file, max_nodes, limit)?)
    })
    .await
}

fn file_side(
    body: &[u8],
    file_name: String,
    wanted: Option<&str>,
    is_base: bool,
) -> Result<FileSide, ApiError> {
    let options =
        ReadOptions { limits: LIMITS, file_name: file_name.clone(), ..ReadOptions::default() };
    let imported = stoker_formats::read(body, &options).map_err(|error| bad_profile(&error))?;
    let at = chosen(&imported, wanted)?;
    let meta = &imported.profiles[at];
    let from = meta.start.map_or(0, |start| start.0);
    let until = if from == 0 { 0 } else { from.saturating_add(meta.duration_ns) };
    let side = Side {
        query: file_name,
        from_ms: from / 1_000_000,
        until_ms: until / 1_000_000,
        unit: meta.unit().to_owned(),
        total: meta.total(),
        samples: meta.samples(),
    };
    let (profile, modules) = imported.into_profile(at);
    Ok(FileSide { side, tree: call_tree(&profile, &modules), is_base })
}
