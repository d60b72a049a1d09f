//! The endpoints that answer in JSON only.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;

use super::Shared;
use super::error::ApiError;
use super::heatmap::json_of;
use super::params::Params;
use super::run::{cached, json};
use crate::query::{self, QueryError, TimelineOptions, TopBy, time};

/// Rows of a table that are shown unless asked otherwise.
const TOP_ROWS: usize = 100;
/// Groups of a timeline that are kept apart unless asked otherwise.
const TIMELINE_GROUPS: usize = 100;

pub(super) async fn profile_types(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.query_since("now-1h")?;
    params.finish()?;
    cached(&app, ("profile-types", raw.as_deref()), query, |engine, query| {
        json(engine, &query::profile_types(engine, query)?)
    })
    .await
}

pub(super) async fn labels(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.query()?;
    params.finish()?;
    cached(&app, ("labels", raw.as_deref()), query, |engine, query| {
        json(engine, &query::labels(engine, query)?)
    })
    .await
}

pub(super) async fn values(
    State(app): State<Shared>,
    Path(name): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.query()?;
    params.finish()?;
    // The name stands in the path.
    let asked = format!("{name}&{}", raw.as_deref().unwrap_or_default());
    cached(&app, ("label-values", Some(&asked)), query, move |engine, query| {
        json(engine, &query::values(engine, query, &name)?)
    })
    .await
}

pub(super) async fn series(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.query()?;
    params.finish()?;
    cached(&app, ("series", raw.as_deref()), query, |engine, query| {
        json(engine, &query::series(engine, query)?)
    })
    .await
}

pub(super) async fn timeline(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.required_query()?;
    let step = params.text("step")?;
    let step = step.map(|step| time::duration(&step)).transpose();
    let options = TimelineOptions {
        step: step.map_err(QueryError::from)?,
        group_by: params.text("group_by")?.map(Into::into),
        max_groups: params.number("limit", TIMELINE_GROUPS)?,
    };
    params.finish()?;
    cached(&app, ("timeline", raw.as_deref()), query, move |engine, query| {
        json(engine, &query::timeline(engine, query, &options)?)
    })
    .await
}

pub(super) async fn top(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let (query, span) = params.spanned_query()?;
    let by = params.choice(
        "by",
        &[
            ("function", TopBy::Function),
            ("module", TopBy::Module),
            ("file", TopBy::File),
            ("service", TopBy::Service),
        ],
    )?;
    let limit = params.number("limit", TOP_ROWS)?;
    params.finish()?;
    cached(&app, ("top", raw.as_deref()), query, move |engine, query| {
        query::spanned(engine, query, span, |engine| {
            json_of(engine, span, &query::top(engine, query, by, limit)?)
        })
    })
    .await
}
