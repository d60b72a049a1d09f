//! Queries that end early.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use stoker_server::http::Backend;
use stoker_server::query::{Limits, Parts};
use stoker_server::store::{DictionaryId, Names, PartView, PartVisitor, StoreError, Wanted};

use crate::support::Api;

/// Parts that never end, until the query is told to stop.
struct Endless {
    started: AtomicBool,
    stopped: AtomicBool,
}

impl Parts for Endless {
    fn visit(&self, _: Wanted<'_>, visit: &mut PartVisitor<'_>) -> Result<(), StoreError> {
        self.started.store(true, Ordering::Relaxed);
        let dictionary = stoker_wire::Dictionary::default();
        while visit(PartView::raw(&dictionary, DictionaryId::of(0), &[], &[])).is_continue() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.stopped.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn names(&self, read: &mut dyn FnMut(&Names)) {
        read(&Names::default());
    }
}

struct Slow(Endless);

impl Backend for Slow {
    fn parts(&self) -> &dyn Parts {
        &self.0
    }
}

fn slow() -> Arc<Slow> {
    let (started, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
    Arc::new(Slow(Endless { started, stopped }))
}

async fn becomes(flag: &AtomicBool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !flag.load(Ordering::Relaxed) {
        assert!(Instant::now() < end, "it did not happen within ten seconds");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_stops_when_its_client_leaves() {
    let backend = slow();
    let api = Api::over(backend.clone(), Limits::default()).await;
    let mut stream = TcpStream::connect(api.address).unwrap();
    stream.write_all(b"GET /api/v1/top?query=cpu HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    becomes(&backend.0.started).await;
    assert!(!backend.0.stopped.load(Ordering::Relaxed));
    drop(stream);
    becomes(&backend.0.stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_too_long_says_so() {
    let limits = Limits { timeout: Duration::from_millis(50), ..Limits::default() };
    let api = Api::over(slow(), limits).await;
    let response = api.get("/api/v1/top?query=cpu&").await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"2".parse().unwrap())
    );
    let error = &response.json::<Value>().await.unwrap()["error"];
    assert_eq!(error["code"], "query_timeout", "{error}");
}
