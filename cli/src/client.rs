//! Asking a server.

use std::time::Duration;

use clap::Args;
use reqwest::{Body, Client, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use stoker_formats::text::harmless;

use crate::failure::Failure;

/// How long a server may take to answer; it gives up on a query long before.
const PATIENCE: Duration = Duration::from_secs(600);

/// Which server.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The server's address
    #[arg(
        long,
        env = "STOKER_SERVER",
        value_name = "URL",
        default_value = "http://localhost:4040",
        global = true
    )]
    server: String,
}

/// A server that can be asked.
#[derive(Debug)]
pub struct Server {
    base: Url,
    client: Client,
}

/// Why something that was sent was not taken.
#[derive(Debug)]
pub enum PostError {
    /// Nobody answers: nothing else will be taken either.
    Unreachable(Failure),
    /// Later, perhaps.
    Busy(Failure),
    /// Never.
    Refused(Failure),
}

#[derive(Deserialize)]
struct Refusal {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    message: String,
    #[serde(default)]
    hint: String,
}

impl ServerArgs {
    /// The server that they name.
    pub fn open(&self) -> Result<Server, Failure> {
        let example = "write it like http://localhost:4040";
        let base: Url = self.server.parse().map_err(|error| {
            let message = format!("--server {:?} is no address: {error}", self.server);
            Failure::new(message, example)
        })?;
        if base.scheme() != "http" {
            let message = format!("--server {:?}: this version speaks http only", self.server);
            return Err(Failure::new(message, example));
        }
        let client = Client::builder().connect_timeout(Duration::from_secs(5)).timeout(PATIENCE);
        // A proxy that is set up for the world must not come between us and this machine.
        let client = if is_loopback(&base) { client.no_proxy() } else { client };
        let client = client.build();
        let client = client.map_err(|error| Failure::new(error.to_string(), ""))?;
        Ok(Server { base, client })
    }
}

fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_address = host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    is_address || host == "localhost" || host.ends_with(".localhost")
}

impl Server {
    /// The answer of an endpoint below `/api/v1/`, read as JSON.
    pub async fn json<T: DeserializeOwned>(
        &self,
        endpoint: &[&str],
        parameters: &[(&str, String)],
    ) -> Result<T, Failure> {
        let bytes = self.bytes(endpoint, parameters).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("{} does not answer as Stoker does: {error}", self.base);
            Failure::new(message, "is it a Stoker server, of this version?")
        })
    }

    /// The answer as it is.
    pub async fn bytes(
        &self,
        endpoint: &[&str],
        parameters: &[(&str, String)],
    ) -> Result<Vec<u8>, Failure> {
        let response = self.get(endpoint, parameters).await?;
        let bytes = response.bytes().await.map_err(|error| {
            let message = format!("the answer of {} broke off: {}", self.base, cause(&error));
            Failure::new(message, "ask again")
        })?;
        Ok(bytes.to_vec())
    }

    /// Sends a body to an endpoint below `/api/v1/`, and gives its answer, read as JSON.
    pub async fn post<T: DeserializeOwned>(
        &self,
        endpoint: &[&str],
        parameters: &[(String, String)],
        body: impl Into<Body>,
    ) -> Result<T, PostError> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(endpoint);
        }
        let sent = self.client.post(url).query(parameters).body(body).send().await;
        let response = sent.map_err(|error| PostError::Unreachable(self.unreachable(&error)))?;
        let status = response.status();
        if status == reqwest::StatusCode::SERVICE_UNAVAILABLE {
            return Err(PostError::Busy(self.refused(response).await));
        }
        if !status.is_success() {
            return Err(PostError::Refused(self.refused(response).await));
        }
        response.json().await.map_err(|error| {
            let message = format!("{} does not answer as Stoker does: {error}", self.base);
            PostError::Refused(Failure::new(message, "is it a Stoker server, of this version?"))
        })
    }

    async fn get(
        &self,
        endpoint: &[&str],
        parameters: &[(&str, String)],
    ) -> Result<Response, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(endpoint);
        }
        let asked = self.client.get(url).query(parameters).send().await;
        let response = asked.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let message = format!("cannot reach {}: {}", self.base, cause(error));
        let hint =
            "start a server with `stoker up`, or name another with --server or STOKER_SERVER";
        Failure::new(message, hint)
    }

    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(Refusal { error }) => Failure::new(error.message, error.hint),
            Err(_) => {
                let text = String::from_utf8_lossy(&body);
                let text: String = harmless(&text).chars().take(200).collect();
                let message = format!("{} answered {status}: {text}", self.base);
                Failure::new(message, "is it a Stoker server?")
            }
        }
    }
}

/// The innermost cause, which says what happened; the outer ones say where.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
