//! Why a query has no answer. An error is data: what sort it is, a stable code for programs, one
//! sentence for people, and what to do.

use std::time::Duration;

use super::selector::{Selector, SelectorError};
use super::time::TimeError;
use crate::store::StoreError;

/// What sort of failure it is; the HTTP layer has one status for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The question is wrong.
    Input,
    /// The question is right, but what it is about is not there.
    NotFound,
    /// The answer, or the way to it, is larger than a limit.
    TooLarge,
    /// It may work later.
    Unavailable,
    /// The server's fault.
    Internal,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A text that is no selector.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// A text that is no time, or a range that is none.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// The store could not be read.
    #[error("the stored data could not be read: {0}")]
    Store(#[from] StoreError),
    /// Nobody waits for the answer any more.
    #[error("the query was cancelled")]
    Cancelled,
    /// All else.
    #[error("{message}")]
    Other {
        /// What sort it is.
        kind: ErrorKind,
        /// A stable word for programs.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl QueryError {
    /// A failure of the query as it was put.
    #[must_use]
    pub fn input(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::other(ErrorKind::Input, code, message, hint)
    }

    /// Something that is not there.
    #[must_use]
    pub fn not_found(
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::other(ErrorKind::NotFound, code, message, hint)
    }

    /// Something that works when it is tried again.
    #[must_use]
    pub fn unavailable(
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::other(ErrorKind::Unavailable, code, message, hint)
    }

    /// More than the limit called `name` allows.
    #[must_use]
    pub fn too_large(name: &str, limit: usize, what: &str) -> Self {
        let message = format!("the query {what}: its limit {name} is {limit}");
        let hint = "narrow the range, or add matchers to the selector";
        Self::other(ErrorKind::TooLarge, "too_large", message, hint)
    }

    /// More time than allowed.
    #[must_use]
    pub fn timeout(after: Duration) -> Self {
        let message = format!("the query took longer than {after:?}");
        let hint = "narrow the range, add matchers, or start the server with a longer \
                    --query-timeout";
        Self::other(ErrorKind::Unavailable, "query_timeout", message, hint)
    }

    /// More memory than allowed.
    #[must_use]
    pub fn memory(limit: usize) -> Self {
        let message = format!("the query takes more than {limit} bytes of memory");
        let hint = "narrow the range, add matchers, or start the server with more --query-memory";
        Self::other(ErrorKind::TooLarge, "query_memory", message, hint)
    }

    /// A selector without a profile type, where sums are asked for.
    #[must_use]
    pub fn missing_profile_type(selector: &Selector) -> Self {
        let message = format!("the selector {selector} names no profile type");
        let hint = "put one before the braces: cpu{service_name=\"api\"}";
        Self::input("missing_profile_type", message, hint)
    }

    fn other(
        kind: ErrorKind,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Other { kind, code, message: message.into(), hint: hint.into() }
    }

    /// What sort it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Selector(_) | Self::Time(_) => ErrorKind::Input,
            Self::Cancelled => ErrorKind::Unavailable,
            Self::Store(_) => ErrorKind::Internal,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Selector(_) => "bad_selector",
            Self::Time(_) => "bad_time",
            Self::Cancelled => "cancelled",
            Self::Store(_) => "store_failed",
            Self::Other { code, .. } => code,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Selector(error) => &error.hint,
            Self::Time(error) => &error.hint,
            Self::Cancelled => "ask again",
            Self::Store(_) => "look at the server's log; `stoker_store_read_failures_total` counts",
            Self::Other { hint, .. } => hint,
        }
    }
}
