//! The agent's own small HTTP side: is it well, what does it count.
//!
//! Off unless asked for, and on loopback unless somebody insists: it asks nobody who they are. It
//! answers from what the sampling thread publishes each second and never waits for it.

mod metrics;
mod names;
mod pprof;
mod profile;

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::run::AgentWatcher;

/// The text format of Prometheus.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why there is no HTTP side.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another with --http")]
pub struct HttpError {
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

/// Serves until the runtime ends; gives the address, whose port is real where 0 was asked for.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(address: SocketAddr, agent: AgentWatcher) -> Result<SocketAddr, HttpError> {
    let failed = |source| HttpError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let mut app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/debug/pprof/profile", get(profile::profile))
        .with_state(agent);
    if bound.ip().is_loopback() {
        app = app.layer(middleware::from_fn(refuse_strange_hosts));
    }
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the agent's http side has ended");
        }
    });
    Ok(bound)
}

async fn metrics(State(agent): State<AgentWatcher>) -> impl IntoResponse {
    let (shipped, waiting) = agent.shipped();
    let text = metrics::text(&agent.status(), &shipped, waiting);
    ([(header::CONTENT_TYPE, METRICS_TYPE)], text)
}

/// 200 while the agent does what it is told; sampling that is off by the kill switch is that.
async fn healthz(State(agent): State<AgentWatcher>) -> (StatusCode, String) {
    let status = agent.status();
    let Some(off) = status.off else { return (StatusCode::OK, "ok\n".into()) };
    let code = match off {
        crate::run::Off::Failed => StatusCode::SERVICE_UNAVAILABLE,
        crate::run::Off::KillSwitch | crate::run::Off::Budget => StatusCode::OK,
    };
    (code, format!("sampling is off: {}\n", off.reason()))
}

/// On loopback only this machine asks; a page from elsewhere whose name was made to lead here (DNS
/// rebinding) has a name, and is refused.
async fn refuse_strange_hosts(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_none_or(is_local) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "ask for localhost or an address\n").into_response()
}

fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let name = name.map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_local() {
        for host in ["localhost", "localhost:4042", "127.0.0.1:4042", "[::1]:4042", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["evil.example", "evil.example:4042", "localhost.evil.example:1", ""] {
            assert!(!is_local(host), "{host}");
        }
    }
}
