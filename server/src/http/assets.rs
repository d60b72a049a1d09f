//! The viewer's files, embedded when the server is built.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

/// One file of `web/dist`.
struct Asset {
    /// From the folder's root, without a leading slash.
    path: &'static str,
    bytes: &'static [u8],
    /// Changes with the content.
    tag: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const INDEX: &str = "index.html";
const NOT_BUILT: &str = "The viewer was not built into this server: run `npm ci && npm run build` \
                         in web/ and build the server again; the API answers below /api/v1/.\n";

/// The file at `path`; the viewer's page for what is no file, so that its deep links open.
pub(super) fn serve(path: &str, headers: &HeaderMap) -> Response {
    let path = path.trim_start_matches('/');
    if let Some(asset) = find(path) {
        return send(asset, headers);
    }
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    match find(INDEX) {
        Some(index) if !is_file => send(index, headers),
        None if !is_file => (StatusCode::OK, NOT_BUILT).into_response(),
        _ => {
            let path: String = path.chars().take(200).collect();
            let message = format!("there is no file /{path}");
            ApiError::new(StatusCode::NOT_FOUND, "no_such_file", message, "open /").into_response()
        }
    }
}

fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

fn send(asset: &'static Asset, headers: &HeaderMap) -> Response {
    // Vite puts a hash of the content into the names below assets/.
    let cache = match asset.path.starts_with("assets/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let common = [
        (header::ETAG, HeaderValue::from_static(asset.tag)),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
    if known.is_some_and(|known| known.contains(asset.tag)) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let content_type = HeaderValue::from_static(content_type(asset.path));
    (common, [(header::CONTENT_TYPE, content_type)], asset.bytes).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
