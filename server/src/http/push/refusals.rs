//! Why a push is not stored, for whoever sent it.

use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;

use super::MAX_BODY;
use crate::http::error::ApiError;
use crate::ingest::ImportedBatches;
use crate::store::StoreError;

pub(in crate::http) fn unread(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!("the body has more than {MAX_BODY} bytes");
        let hint = "gzip it, or push less at a time";
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, hint);
    }
    let message = format!("the body could not be read: {}", rejection.body_text());
    ApiError::new(StatusCode::BAD_REQUEST, "bad_profile", message, "send it again")
}

pub(in crate::http) fn bad_profile(error: &stoker_formats::ReadError) -> ApiError {
    let hint = "push pprof, collapsed stacks, the text of perf script, or speedscope JSON";
    ApiError::new(StatusCode::BAD_REQUEST, "bad_profile", error.to_string(), hint)
}

pub(super) fn nothing_to_store(made: &ImportedBatches) -> ApiError {
    let reasons =
        made.skipped.iter().map(|(profile_type, why)| format!("{profile_type} has {why}"));
    let message = reasons.collect::<Vec<_>>().join("; ");
    let hint = "push profiles with a duration, such as CPU profiles";
    ApiError::new(StatusCode::BAD_REQUEST, "not_stored", message, hint)
}

pub(super) fn not_stored(error: &StoreError) -> ApiError {
    let (status, code, hint) = match error {
        StoreError::TooLarge(_) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "push less at a time")
        }
        StoreError::TooManySeries { .. } => {
            (StatusCode::BAD_REQUEST, "too_many_series", "use fewer distinct labels")
        }
        StoreError::BeyondRetention { .. } => {
            let hint = "keep data for longer: --retain-functions, --retain-hourly, --retain-raw";
            (StatusCode::BAD_REQUEST, "beyond_retention", hint)
        }
        StoreError::Full { .. } => {
            (StatusCode::INSUFFICIENT_STORAGE, "disk_full", "give the server more: --max-disk")
        }
        StoreError::DiskFull { .. } => {
            let hint = "make room on the disk, or give the server less to keep: --max-disk";
            (StatusCode::INSUFFICIENT_STORAGE, "disk_full", hint)
        }
        StoreError::ReadOnly { .. } => {
            let hint = "make the disk writable and start the server again";
            (StatusCode::SERVICE_UNAVAILABLE, "read_only", hint)
        }
        StoreError::Crashed { .. } => {
            let hint = "please report it, with the file if you can";
            (StatusCode::INTERNAL_SERVER_ERROR, "internal", hint)
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "busy", "push it again in a moment"),
    };
    ApiError::new(status, code, error.to_string(), hint)
}
