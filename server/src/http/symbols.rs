//! `POST /api/v1/symbols/{build_id}`: debug information for a build, whole or not at all; and the list
//! of what there is.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::Serialize;
use stoker_dag::{BuildId, BuildIdKind};

use super::Shared;
use super::error::ApiError;
use super::params::Params;
use crate::symbols::{MAX_FILE_BYTES, NamedParts, SymbolFile, Symbolled, SymbolsError, Upload};

/// Bytes of a GNU build id: 8 to 64 hexadecimal digits.
const GNU_BYTES: std::ops::RangeInclusive<usize> = 4..=32;

/// What became of a push.
#[derive(Serialize)]
struct Pushed {
    /// `new`, `replaced`, or `kept` where the file that was there says more.
    status: &'static str,
    #[serde(flatten)]
    file: Listed,
}

/// A file of debug information, as it is listed.
#[derive(Serialize)]
struct Listed {
    build_id: String,
    bytes: u64,
    /// Whether it has DWARF.
    debug_info: bool,
    /// Whether it has a symbol table.
    symbols: bool,
    pushed_ms: u64,
}

#[derive(Serialize)]
struct List {
    max_bytes: u64,
    max_file_bytes: u64,
    files: Vec<Listed>,
}

pub(super) async fn push(
    State(app): State<Shared>,
    Path(build_id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    Params::read(raw.as_deref())?.finish()?;
    let parts = app.backend.symbols().ok_or_else(|| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        ApiError::new(status, "busy", "this server keeps no debug information", "")
    })?;
    let taken = take(&parts, &build_id, &headers, body).await;
    if taken.is_err() {
        parts.symbols.refused();
    }
    let (build_id, file) = taken?;
    let status = match file.outcome {
        Symbolled::New => "new",
        Symbolled::Replaced => "replaced",
        Symbolled::Poorer => "kept",
    };
    tracing::info!(%build_id, bytes = file.bytes, status, "debug information was pushed");
    Ok(axum::Json(Pushed { status, file: listed(&build_id, &file) }).into_response())
}

pub(super) async fn list(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    Params::read(raw.as_deref())?.finish()?;
    let Some(parts) = app.backend.symbols() else {
        let none = List { max_bytes: 0, max_file_bytes: MAX_FILE_BYTES, files: Vec::new() };
        return Ok(axum::Json(none).into_response());
    };
    let files = parts.symbols.list(&parts.rows.tenant);
    let files = files.iter().map(|(build_id, file)| listed(build_id, file)).collect();
    let max_bytes = parts.symbols.max_bytes();
    Ok(axum::Json(List { max_bytes, max_file_bytes: MAX_FILE_BYTES, files }).into_response())
}

async fn take(
    parts: &NamedParts,
    build_id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<(BuildId, SymbolFile), ApiError> {
    let build_id = parse(build_id)?;
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse().ok());
    let upload = parts.symbols.upload(&parts.rows.tenant, &build_id, length)?;
    let upload = receive(upload, body).await?;
    let symbols = parts.symbols.clone();
    Ok((build_id, blocking(move || symbols.keep(&upload)).await?))
}

/// Writes the body to disk as it comes.
async fn receive(mut upload: Upload, body: Body) -> Result<Upload, ApiError> {
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            let message = format!("the body broke off: {error}");
            ApiError::new(StatusCode::BAD_REQUEST, "truncated", message, "push it again")
        })?;
        upload = blocking(move || upload.append(&chunk).map(|()| upload)).await?;
    }
    Ok(upload)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SymbolsError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ApiError::internal("the file could not be kept")),
    }
}

fn parse(text: &str) -> Result<BuildId, ApiError> {
    let wrong = |why: String| {
        let message = format!("{text:.80?} is no build id: {why}");
        let hint =
            "`readelf -n FILE` shows a file's build id; `stoker symbols push` reads it itself";
        ApiError::new(StatusCode::BAD_REQUEST, "bad_build_id", message, hint)
    };
    let build_id: BuildId = text.parse().map_err(|error| wrong(format!("{error}")))?;
    let length = build_id.as_bytes().len();
    if build_id.kind() == BuildIdKind::Gnu && !GNU_BYTES.contains(&length) {
        return Err(wrong(format!("it has {} digits, not 8 to 64", 2 * length)));
    }
    Ok(build_id)
}

fn listed(build_id: &BuildId, file: &SymbolFile) -> Listed {
    Listed {
        build_id: build_id.to_string(),
        bytes: file.bytes,
        debug_info: file.inventory.debug_info,
        symbols: file.inventory.symbols,
        pushed_ms: file.pushed.0 / 1_000_000,
    }
}

impl From<SymbolsError> for ApiError {
    fn from(error: SymbolsError) -> Self {
        let status = match &error {
            SymbolsError::Elf(_) | SymbolsError::OtherBuild { .. } | SymbolsError::Stripped => {
                StatusCode::BAD_REQUEST
            }
            SymbolsError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            SymbolsError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            SymbolsError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.code(), error.to_string(), error.hint())
    }
}
