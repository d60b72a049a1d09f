//! `/api/v1/heatmap`, and the parameter `span` of those that answer about an exact stretch of time.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;

use super::Shared;
use super::error::ApiError;
use super::params::Params;
use super::run::{Answer, cached, json};
use crate::query::{
    DEFAULT_COLUMNS, DEFAULT_ROWS, Engine, HeatmapOptions, Query, QueryError, Span, heatmap,
};

pub(super) async fn answer(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let mut params = Params::read(raw.as_deref())?;
    let query = params.required_query()?;
    let columns = params.number("columns", DEFAULT_COLUMNS)?;
    let rows = params.number("rows", DEFAULT_ROWS)?;
    params.finish()?;
    let options = HeatmapOptions { columns, rows };
    cached(&app, ("heatmap", raw.as_deref()), query, move |engine, query| {
        json(engine, &heatmap(engine, query, options)?)
    })
    .await
}

impl Params {
    /// `query` with its range, or with a `span`, whose windows are the range then.
    pub(super) fn spanned_query(&mut self) -> Result<(Query, Option<Span>), ApiError> {
        let mut query = self.required_query()?;
        let Some(text) = self.text("span")? else { return Ok((query, None)) };
        let span = Span::parse(&text).map_err(|mut error| {
            error.message = format!("span: {}", error.message);
            ApiError::from(QueryError::from(error))
        })?;
        query.range = span.range();
        Ok((query, Some(span)))
    }
}

/// An answer about a span says which.
#[derive(Serialize)]
struct Spanned<'a, T> {
    span: String,
    #[serde(flatten)]
    answer: &'a T,
}

/// `answer` as JSON, with the span that it is about.
pub(super) fn json_of(
    engine: Engine<'_>,
    span: Option<Span>,
    answer: &impl Serialize,
) -> Result<Answer, ApiError> {
    match span {
        None => json(engine, answer),
        Some(span) => json(engine, &Spanned { span: span.to_string(), answer }),
    }
}
