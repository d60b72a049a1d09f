//! `/metrics`, in the text format that Prometheus reads. `docs/operations.md` has the table.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Shared;
use super::backend::{Backend, Metric, MetricKind};
use super::error::ApiError;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the buckets of query times, in seconds.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    endpoint: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PushLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    code: &'static str,
}

/// What the HTTP side counts.
pub(super) struct HttpMetrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    open: Gauge,
    query_seconds: Family<QueryLabels, Histogram, fn() -> Histogram>,
    query_rows: Counter,
    query_errors: Family<ErrorLabels, Counter>,
    pushes: Family<PushLabels, Counter>,
    pushed_samples: Counter,
    cached: Family<CacheLabels, Counter>,
}

impl HttpMetrics {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        let mut registry = Registry::with_prefix("stoker");
        let requests = Family::default();
        let open = Gauge::default();
        let query_seconds: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        let query_rows = Counter::default();
        let query_errors = Family::default();
        let help = "HTTP requests that were answered";
        registry.register("http_requests", help, requests.clone());
        let help = "HTTP requests that are being answered";
        registry.register("http_requests_open", help, Gauge::clone(&open));
        let help = "Time that a query took";
        registry.register_with_unit("query_duration", help, Unit::Seconds, query_seconds.clone());
        let help = "Rows that queries read";
        registry.register("query_rows", help, Counter::clone(&query_rows));
        let help = "Queries without an answer, by code";
        registry.register("query_errors", help, query_errors.clone());
        let pushes = Family::default();
        let help = "Profiles that came to /api/v1/push, by what became of them";
        registry.register("push_files", help, pushes.clone());
        let pushed_samples = Counter::default();
        let help = "Samples of profiles that were pushed and were new";
        registry.register("push_samples", help, Counter::clone(&pushed_samples));
        let cached = Family::default();
        let help = "Questions whose answer was looked for among those that were given before";
        registry.register("query_cache_lookups", help, cached.clone());
        registry.register_collector(Box::new(FromBackend(backend)));
        Self {
            registry,
            requests,
            open,
            query_seconds,
            query_rows,
            query_errors,
            pushes,
            pushed_samples,
            cached,
        }
    }

    pub(super) fn looked_up(&self, is_hit: bool) {
        let outcome = if is_hit { "hit" } else { "miss" };
        self.cached.get_or_create(&CacheLabels { outcome }).inc();
    }

    pub(super) fn pushed(&self, outcome: &'static str, samples: u64) {
        self.pushes.get_or_create(&PushLabels { outcome }).inc();
        self.pushed_samples.inc_by(samples);
    }

    pub(super) fn query(
        &self,
        endpoint: &'static str,
        rows: u64,
        spent: Duration,
        error: Option<&ApiError>,
    ) {
        let labels = QueryLabels { endpoint };
        self.query_seconds.get_or_create(&labels).observe(spent.as_secs_f64());
        self.query_rows.inc_by(rows);
        if let Some(error) = error {
            let labels = ErrorLabels { code: error.code() };
            self.query_errors.get_or_create(&labels).inc();
        }
    }
}

/// Shows what store and ingest count at the moment of the scrape.
struct FromBackend(Arc<dyn Backend>);

impl fmt::Debug for FromBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromBackend")
    }
}

impl Collector for FromBackend {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let metrics = self.0.metrics();
        for family in metrics.chunk_by(|a, b| a.name == b.name) {
            let Metric { name, help, kind, .. } = family[0];
            let kind = match kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
            };
            let mut out = encoder.encode_descriptor(name, help, None, kind)?;
            if let [metric @ Metric { label: None, .. }] = family {
                number(metric, out)?;
                continue;
            }
            for metric in family {
                let label = metric.label.unwrap_or_default();
                number(metric, out.encode_family(&[label])?)?;
            }
        }
        Ok(())
    }
}

fn number(metric: &Metric, out: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match metric.kind {
        MetricKind::Counter => ConstCounter::new(metric.value).encode(out),
        MetricKind::Gauge => ConstGauge::new(metric.value).encode(out),
    }
}

pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &app.metrics.registry) {
        Ok(()) => {
            let content_type = HeaderValue::from_static(CONTENT_TYPE);
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(_) => ApiError::internal("the metrics could not be written").into_response(),
    }
}

/// Counts a request and logs it.
pub(super) async fn count(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let endpoint = request.extensions().get::<MatchedPath>();
    let endpoint = endpoint.map_or_else(|| "viewer".to_owned(), |path| path.as_str().to_owned());
    let open = OpenRequest::new(&app.metrics.open);
    let response = next.run(request).await;
    drop(open);
    let status = response.status().as_u16();
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(target: "stoker::http", %method, endpoint, status, ms, "request");
    let labels = RequestLabels { endpoint, status };
    app.metrics.requests.get_or_create(&labels).inc();
    response
}

/// Counts down when the answer is there or the client has left.
struct OpenRequest(Gauge);

impl OpenRequest {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}
