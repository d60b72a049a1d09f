//! A server over parts in memory, and a client.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use stoker_server::annotations::Annotations;
use stoker_server::http::{
    AgentEntry, AllowedHosts, Backend, HttpConfig, Metric, MetricKind, NameCounts, router,
};
use stoker_server::links::Links;
use stoker_server::query::{Limits, MemoryParts, Parts, Prices};
use stoker_wire::BrokenStacks;

use crate::fixture::{START, parts};

pub struct Memory {
    pub parts: MemoryParts,
    pub ready: AtomicBool,
    /// With the folder that they lie in.
    pub annotations: Option<(Annotations, tempfile::TempDir)>,
    pub links: Option<Links>,
}

impl Backend for Memory {
    fn parts(&self) -> &dyn Parts {
        &self.parts
    }

    fn annotations(&self) -> Option<Annotations> {
        self.annotations.as_ref().map(|(notes, _)| notes.clone())
    }

    fn links(&self) -> Option<Links> {
        self.links.clone()
    }

    fn agents(&self) -> Vec<AgentEntry> {
        let broken = vec![BrokenStacks { file: "libx.so".into(), reason: "gap".into(), stacks: 2 }];
        let names = NameCounts { named: 9, nameless: 1 };
        let host = "web-1".into();
        vec![AgentEntry { host, cpus: 2, names, broken, ..AgentEntry::default() }]
    }

    fn metrics(&self) -> Vec<Metric> {
        let metric = |name, kind, label| Metric { name, help: "Help", kind, label, value: 7 };
        vec![
            metric("store_rows", MetricKind::Counter, None),
            metric("store_segments", MetricKind::Gauge, None),
            metric("ingest_refusals", MetricKind::Counter, Some(("code", "too_large"))),
        ]
    }

    fn ready(&self) -> Result<(), String> {
        self.ready.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "The store closes.".into())
    }
}

pub struct Api {
    pub address: SocketAddr,
}

impl Api {
    pub async fn over(backend: Arc<dyn Backend>, limits: Limits) -> Self {
        Self::with_prices(backend, limits, Arc::default()).await
    }

    pub async fn with_prices(
        backend: Arc<dyn Backend>,
        limits: Limits,
        prices: Arc<Prices>,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let allowed = AllowedHosts::new(address, &["stoker.example.com".to_owned()]);
        let cache_bytes = 1 << 20;
        let config = HttpConfig { allowed, limits, concurrent_queries: 2, cache_bytes, prices };
        let router = router(backend, &config);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address }
    }

    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let annotations = Some((Annotations::open(dir.path()).unwrap(), dir));
        let (ready, links) = (AtomicBool::new(true), None);
        let memory = Memory { parts: parts(), ready, annotations, links };
        Self::over(Arc::new(memory), Limits::default()).await
    }

    /// A server over `parts` that keeps links.
    pub async fn with_links(parts: MemoryParts, links: Links) -> Self {
        let (ready, links) = (AtomicBool::new(true), Some(links));
        let memory = Memory { parts, ready, annotations: None, links };
        Self::over(Arc::new(memory), Limits::default()).await
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.post(format!("http://{}{path}", self.address)).body(body).send().await.unwrap()
    }

    /// Asks with the range of the fixture where `path` ends with `&`.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        let range = format!("from={START}&until={}", START + 30);
        let path = if path.ends_with(['&', '?']) { format!("{path}{range}") } else { path.into() };
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "application/json", "{path}");
        response.json().await.unwrap()
    }

    /// Sends bytes as they are, and gives the status line and the body.
    pub fn raw(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }
}
