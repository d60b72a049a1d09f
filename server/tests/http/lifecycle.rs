//! Starting and stopping a whole server.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use stoker_server::ServerConfig;

use crate::support::Api;

fn config(dir: &tempfile::TempDir) -> ServerConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let data_dir = dir.path().join("data");
    ServerConfig { data_dir, http: any, grpc: any, ..ServerConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_answers_and_stops_within_two_seconds() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let server = stoker_server::start(config(&dir)).await.unwrap();
        let api = Api { address: server.http_addr };
        assert_eq!(api.json("/api/v1/flamegraph?query=cpu&").await["total"], 0);
        assert_eq!(api.get("/readyz").await.status(), 200);
        let metrics = api.get("/metrics").await.text().await.unwrap();
        assert!(metrics.contains("stoker_store_batches_total 0"), "{metrics}");
        all_are_documented(&metrics);
        let idle = TcpStream::connect(server.http_addr).unwrap();
        let asked = Instant::now();
        server.shutdown().await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        drop(idle);
    }
}

/// Every metric stands in the table of docs/operations.md.
fn all_are_documented(metrics: &str) {
    let page = include_str!("../../../docs/operations.md");
    for line in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let end = if kind == "counter" { "_total" } else { "" };
        let row = page.lines().find(|row| {
            row.starts_with(&format!("| `{name}{end}`"))
                || row.starts_with(&format!("| `{name}{end}{{"))
        });
        assert!(row.is_some_and(|row| row.contains(&format!("| {kind} |"))), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_server_from_starting_is_said_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let held = TcpListener::bind(taken).unwrap();
    let refused = |config: ServerConfig| async move {
        stoker_server::start(config).await.map(|_| ()).unwrap_err().to_string()
    };
    let error = refused(ServerConfig { http: taken, ..config(&dir) }).await;
    assert!(error.contains(&format!("port {} is in use", taken.port())), "{error}");
    assert!(error.contains("--http"), "{error}");
    let error = refused(ServerConfig { grpc: taken, ..config(&dir) }).await;
    assert!(error.contains("--grpc"), "{error}");
    let open = "0.0.0.0:0".parse().unwrap();
    let error = refused(ServerConfig { http: open, ..config(&dir) }).await;
    assert!(error.contains("--insecure"), "{error}");
    assert!(!dir.path().join("data").exists(), "nothing was written");
    drop(held);
    let first = stoker_server::start(config(&dir)).await.unwrap();
    let error = refused(config(&dir)).await;
    assert!(error.contains("is in use by process"), "{error}");
    first.shutdown().await.unwrap();
    let insecure = ServerConfig { http: open, insecure: true, ..config(&dir) };
    stoker_server::start(insecure).await.unwrap().shutdown().await.unwrap();
}
