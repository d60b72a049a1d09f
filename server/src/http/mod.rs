//! The HTTP API of `docs/api.md`, `/metrics`, health, and the viewer.
//!
//! Handlers only translate: parameters in, a query on a blocking thread, an answer or an error out.
//! Every request passes the same gates in the same order: it is counted, its `Host` and `Origin` are
//! checked (a page elsewhere must not read this server through a visitor's browser), and its answer
//! gets the security headers. A query stops when its client leaves.

mod agents;
mod annotations;
mod answers;
mod api;
mod assets;
mod backend;
mod capacity;
mod diff;
mod error;
mod explore;
mod export;
mod gate;
mod heatmap;
mod links;
mod metrics;
mod params;
mod parse;
mod profile_self;
mod push;
mod run;
mod symbols;
#[cfg(feature = "parquet")]
mod tables;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

use crate::query::{Limits, Prices};

pub use agents::{AgentEntry, NameCounts, UnwindCounts};
pub use backend::{Backend, Metric, MetricKind};
pub use error::ApiError;
pub use gate::AllowedHosts;

/// How the API is set up.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// Which `Host` headers are answered.
    pub allowed: AllowedHosts,
    /// What one query may take.
    pub limits: Limits,
    /// Queries that run at a time; others wait their turn. 0 is one for each CPU and one more.
    pub concurrent_queries: usize,
    /// Bytes of answers that are kept.
    pub cache_bytes: usize,
    /// What CPU costs.
    pub prices: Arc<Prices>,
}

/// What handlers share.
pub(crate) struct App {
    backend: Arc<dyn Backend>,
    allowed: AllowedHosts,
    limits: Limits,
    slots: Arc<Semaphore>,
    answers: answers::Answers,
    prices: Arc<Prices>,
    metrics: Arc<metrics::HttpMetrics>,
}

type Shared = Arc<App>;

/// Where profiles of others are taken.
const PUSH: &str = "/api/v1/push";
/// Where they are looked at without being stored.
const PARSE: &str = "/api/v1/parse";

/// Where two selections are compared, or a file and a selection.
const COMPARE: &str = "/api/v1/compare";

/// Where short links are made.
const LINKS: &str = "/api/v1/links";

/// Where debug information is taken.
const SYMBOLS: &str = "/api/v1/symbols/{build_id}";

/// The whole HTTP side of a server over `backend`.
pub fn router(backend: Arc<dyn Backend>, config: &HttpConfig) -> Router {
    let slots = match config.concurrent_queries {
        0 => std::thread::available_parallelism().map_or(2, usize::from) + 1,
        slots => slots,
    };
    let app = Arc::new(App {
        metrics: Arc::new(metrics::HttpMetrics::new(Arc::clone(&backend))),
        backend,
        allowed: config.allowed.clone(),
        limits: config.limits,
        slots: Arc::new(Semaphore::new(slots)),
        answers: answers::Answers::new(config.cache_bytes),
        prices: Arc::clone(&config.prices),
    });
    // Files that are compressed already gain nothing from a second time.
    let worth_it = DefaultPredicate::new()
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(NotForContentType::const_new("font/"));
    routes()
        .fallback(fallback)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(answers::conditional))
        .layer(CompressionLayer::new().compress_when(worth_it))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), gate::check))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), metrics::count))
        .layer(middleware::map_response(gate::add_security_headers))
        .with_state(app)
}

fn routes() -> Router<Shared> {
    questions()
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1/agents", get(agents::agents))
        .route(PUSH, post(push::push).layer(DefaultBodyLimit::max(push::MAX_BODY)))
        .route(
            "/api/v1/annotations",
            post(annotations::add).layer(DefaultBodyLimit::max(annotations::MAX_BODY)),
        )
        .route(
            LINKS,
            get(links::list).post(links::make).layer(DefaultBodyLimit::max(links::MAX_BODY)),
        )
        .route(
            COMPARE,
            post(explore::compare_with_file).layer(DefaultBodyLimit::max(push::MAX_BODY)),
        )
        .route("/api/v1/links/{id}", get(links::about))
        .route("/api/v1/links/{id}/{*question}", get(links::ask))
        .route(PARSE, post(parse::parse).layer(DefaultBodyLimit::max(push::MAX_BODY)))
        .route("/api/v1/symbols", get(symbols::list))
        .route(SYMBOLS, post(symbols::push).layer(DefaultBodyLimit::disable()))
        .route("/debug/pprof/profile", get(profile_self::profile))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}

/// What can be asked of rows, wherever they are: those of the store, and those of a link.
fn questions() -> Router<Shared> {
    let routes = Router::new();
    #[cfg(feature = "parquet")]
    let routes = routes.route("/api/v1/export", get(tables::export));
    routes
        .route("/api/v1/profile-types", get(api::profile_types))
        .route("/api/v1/labels", get(api::labels))
        .route("/api/v1/labels/{name}/values", get(api::values))
        .route("/api/v1/series", get(api::series))
        .route("/api/v1/flamegraph", get(export::flamegraph))
        .route("/api/v1/timeline", get(api::timeline))
        .route("/api/v1/top", get(api::top))
        .route("/api/v1/heatmap", get(heatmap::answer))
        .route("/api/v1/diff", get(diff::answer))
        .route("/api/v1/capacity/services", get(capacity::services))
        .route("/api/v1/capacity/functions", get(capacity::functions))
        .route("/api/v1/search", get(explore::search))
        .route("/api/v1/sandwich", get(explore::sandwich))
        .route(COMPARE, get(explore::compare))
        .route("/api/v1/annotations", get(annotations::list))
}

/// The API, described as OpenAPI 3.1; a test holds it to docs/api.md and to what is answered.
async fn description() -> Response {
    let json = axum::http::HeaderValue::from_static("application/json");
    ([(axum::http::header::CONTENT_TYPE, json)], include_str!("openapi.json")).into_response()
}

async fn healthz(app: axum::extract::State<Shared>) -> String {
    let troubles = app.backend.troubles().into_iter().map(|trouble| trouble + "\n");
    "The server runs.\n".to_owned() + &troubles.collect::<String>()
}

async fn readyz(app: axum::extract::State<Shared>) -> Response {
    match app.backend.ready() {
        Ok(()) => "The server takes batches and answers queries.\n".into_response(),
        Err(why) => (axum::http::StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
    }
}

async fn fallback(method: Method, uri: Uri, headers: axum::http::HeaderMap) -> Response {
    let path = uri.path();
    if path.starts_with("/api/") {
        return ApiError::unknown_endpoint(path).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return ApiError::wrong_method(&method, path).into_response();
    }
    assets::serve(path, &headers)
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::wrong_method(&method, uri.path())
}
