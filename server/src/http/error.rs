//! Errors as answers: `{"error": {"code", "message", "hint"}}` with the right status.

use axum::Json;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stoker_formats::WriteError;

use crate::query::{ErrorKind, QueryError};

/// Why a request has no other answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: String,
}

/// What is said of endpoints that take.
const USE_POST: &str = "use POST";

#[derive(Serialize)]
struct Body<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: &'a str,
    message: &'a str,
    hint: &'a str,
}

/// The one table from sorts of failure to statuses.
const fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Input => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ApiError {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { status, code, message: message.into(), hint: hint.into() }
    }

    /// A parameter that is wrong, missing or unknown.
    pub(super) fn parameter(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message, hint)
    }

    pub(super) fn unknown_endpoint(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let message = format!("there is no endpoint {path}");
        let hint = "the endpoints are profile-types, labels, labels/{name}/values, series, \
                    flamegraph, timeline, top, search, sandwich, compare, annotations, agents, push, parse, \
                    links, links/{id}/{question} and symbols/{build_id}, all below /api/v1/";
        Self::new(StatusCode::NOT_FOUND, "unknown_endpoint", message, hint)
    }

    pub(super) fn wrong_method(method: &Method, path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let message = format!("{path} does not answer {method}");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let takes = [super::PUSH, super::PARSE].contains(&&*path);
        let takes = takes || path.starts_with("/api/v1/symbols/");
        let hint = if takes { USE_POST } else { "use GET" };
        Self::new(status, "method_not_allowed", message, hint)
    }

    pub(super) fn busy() -> Self {
        let message = "too many queries are running, and none ended in time";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "busy", message, "ask again in a moment")
    }

    pub(super) fn internal(what: &str) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "internal", what, "the server's log says more; please report it")
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let status = status_of(error.kind());
        Self::new(status, error.code(), error.to_string(), error.hint())
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        let hint = "narrow the range, or ask for format=json";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", error.to_string(), hint)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body =
            Body { error: Detail { code: self.code, message: &self.message, hint: &self.hint } };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            let allow = if self.hint == USE_POST { "POST" } else { "GET, HEAD" };
            let allow = header::HeaderValue::from_static(allow);
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let pause = header::HeaderValue::from_static("2");
            response.headers_mut().insert(header::RETRY_AFTER, pause);
        }
        response
    }
}
