//! Endpoints that the viewer explores with: search over a whole profile, sandwiches, comparisons.

use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::Shared;
use super::error::ApiError;
use super::params::Params;
use super::run::{cached, json, run};
use crate::query::{self, SearchFor};

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
    let query = params.required_query()?;
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
        json(engine, &query::search(engine, query, &term, limit)?)
    })
    .await
}

pub(super) async fn sandwich(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.required_query()?;
    let name = params.text("name")?.unwrap_or_default();
    let module = params.text("module")?.unwrap_or_default();
    let max_nodes = params.number("max_nodes", SANDWICH_NODES)?;
    params.finish()?;
    cached(&app, ("sandwich", raw.as_deref()), query, move |engine, query| {
        json(engine, &query::sandwich(engine, query, (&name, &module), max_nodes)?)
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
    run(&app, "compare", new, move |engine, new| {
        json(engine, &query::compare(engine, (&base, new), max_nodes, limit)?)
    })
    .await
}
