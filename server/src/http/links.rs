//! `/api/v1/links`: short links, and all questions over the data that a link keeps.
//!
//! A link answers below its own address what the store answers below `/api/v1/`: the same handlers
//! run over the link's rows. So whatever a view asks, its link can answer.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

use super::backend::Backend;
use super::error::ApiError;
use super::params::{Params, moment, now};
use super::run::{json, run};
use super::{App, Shared, questions};
use crate::annotations::Annotations;
use crate::links::{
    About, LinkError, LinkId, LinkIdError, LinkParts, Links, MAX_ROWS, MAX_SELECTIONS,
    MAX_VIEW_BYTES, Selection,
};
use crate::query::{Parts, Query, QueryError, Selector, copy};

/// Bytes of a body.
pub(super) const MAX_BODY: usize = 128 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    view: String,
    selections: Vec<WantedSelection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedSelection {
    query: String,
    from: String,
    until: String,
}

#[derive(Serialize)]
struct Listed {
    max_bytes: u64,
    links: Vec<About>,
}

/// A link and where the viewer opens it.
#[derive(Serialize)]
struct Made {
    path: String,
    #[serde(flatten)]
    about: About,
}

pub(super) async fn make(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    Params::read(raw.as_deref())?.finish()?;
    let (view, queries) = read(body)?;
    let links = kept(&app)?;
    let first = queries[0].clone();
    let answer = run(&app, "links", first, move |engine, _| {
        let queries: Vec<Query> =
            queries.into_iter().map(|query| query.widened(engine.parts)).collect();
        let selections = queries.iter().map(selection).collect();
        let copied = copy(engine, &queries, MAX_ROWS)?;
        let about = links.keep(&view, selections, copied)?;
        json(engine, &Made { path: format!("/l/{}", about.id), about })
    });
    let mut response = answer.await?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

pub(super) async fn list(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    Params::read(raw.as_deref())?.finish()?;
    let links = kept(&app)?;
    Ok(Json(Listed { max_bytes: links.max_bytes(), links: links.list() }).into_response())
}

pub(super) async fn about(
    State(app): State<Shared>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    Params::read(raw.as_deref())?.finish()?;
    let (links, id) = (kept(&app)?, named(&id)?);
    let about = links.get(id).ok_or_else(|| no_such_link(id))?;
    Ok(Json(Made { path: format!("/l/{id}"), about }).into_response())
}

/// Any question over the data of a link.
pub(super) async fn ask(
    State(app): State<Shared>,
    Path((id, question)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (links, id) = (kept(&app)?, named(&id)?);
    let late = app.backend.symbols();
    let opened = tokio::task::spawn_blocking(move || links.parts(id, late)).await;
    let opened = opened.map_err(|_| ApiError::internal("the link could not be read"))??;
    let parts = opened.ok_or_else(|| no_such_link(id))?;
    let backend = Arc::new(LinkBackend { parts, annotations: app.backend.annotations() });
    let of_link = Arc::new(App {
        backend,
        allowed: app.allowed.clone(),
        limits: app.limits,
        slots: Arc::clone(&app.slots),
        // What a link has is small and read seldom: its answers are made each time.
        answers: super::answers::Answers::new(0),
        metrics: Arc::clone(&app.metrics),
        prices: Arc::clone(&app.prices),
    });
    let path = format!("/api/v1/{question}");
    let address = raw.map_or_else(|| path.clone(), |raw| format!("{path}?{raw}"));
    // A request of its own: what the outer router found in the path is nothing to the inner one.
    let mut request = Request::builder()
        .uri(address)
        .body(Body::empty())
        .map_err(|_| ApiError::unknown_endpoint(&path))?;
    *request.headers_mut() = headers;
    let unknown = move || async move { ApiError::unknown_endpoint(&path) };
    let answered = questions().fallback(unknown).with_state(of_link).oneshot(request).await;
    answered.map_err(|never| match never {})
}

/// The data of a link as the API sees them.
struct LinkBackend {
    parts: LinkParts,
    annotations: Option<Annotations>,
}

impl Backend for LinkBackend {
    fn parts(&self) -> &dyn Parts {
        &self.parts
    }

    fn annotations(&self) -> Option<Annotations> {
        self.annotations.clone()
    }
}

fn kept(app: &Shared) -> Result<Links, ApiError> {
    app.backend.links().ok_or_else(|| LinkError::Off.into())
}

fn named(text: &str) -> Result<LinkId, ApiError> {
    text.parse().map_err(|error: LinkIdError| {
        let text: String = text.chars().take(40).collect();
        let message = format!("{text:?} names no link: {error}");
        ApiError::new(StatusCode::NOT_FOUND, "no_such_link", message, "look at the link again")
    })
}

fn no_such_link(id: LinkId) -> ApiError {
    let message = format!("there is no link {id}");
    let hint = "it was made at another server, or went to make room (--max-links)";
    ApiError::new(StatusCode::NOT_FOUND, "no_such_link", message, hint)
}

fn selection(query: &Query) -> Selection {
    Selection {
        query: query.selector.to_string(),
        from_ms: query.from_ms(),
        until_ms: query.until_ms(),
    }
}

fn read(body: Result<Bytes, BytesRejection>) -> Result<(String, Vec<Query>), ApiError> {
    let hint = "send {\"view\": \"?query=cpu\", \"selections\": [{\"query\": \"cpu\", \"from\": \
                \"now-15m\", \"until\": \"now\"}]} as JSON";
    let wrong = |message: String| ApiError::parameter(message, hint);
    let body = body.map_err(|rejection| wrong(format!("the body: {}", rejection.body_text())))?;
    let wanted: Wanted = serde_json::from_slice(&body)
        .map_err(|error| wrong(format!("the body describes no link: {error}")))?;
    if wanted.view.len() > MAX_VIEW_BYTES
        || !(wanted.view.is_empty() || wanted.view.starts_with('?'))
    {
        let message = format!("`view` must begin with ? and have at most {MAX_VIEW_BYTES} bytes");
        return Err(wrong(message));
    }
    let count = wanted.selections.len();
    if count == 0 || count > MAX_SELECTIONS {
        return Err(wrong(format!(
            "`selections` has {count} entries; 1 to {MAX_SELECTIONS} can be"
        )));
    }
    let now = now();
    let query = |wanted: WantedSelection| -> Result<Query, ApiError> {
        let selector = Selector::parse(&wanted.query).map_err(QueryError::from)?;
        let from = moment("from", &wanted.from, now)?;
        let until = moment("until", &wanted.until, now)?;
        Ok(Query::new(selector, from, until)?)
    };
    let queries: Result<Vec<Query>, ApiError> = wanted.selections.into_iter().map(query).collect();
    Ok((wanted.view, queries?))
}

impl From<LinkError> for ApiError {
    fn from(error: LinkError) -> Self {
        let message = error.to_string();
        match error {
            LinkError::Off => {
                let hint = "share the long link, which shows the same while the data are there";
                Self::new(StatusCode::NOT_FOUND, "no_links", message, hint)
            }
            LinkError::TooLarge { .. } => {
                let hint = "narrow the range or the selector, or start the server with a larger \
                            --max-links";
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, hint)
            }
            LinkError::Store(error) => QueryError::from(error).into(),
        }
    }
}
