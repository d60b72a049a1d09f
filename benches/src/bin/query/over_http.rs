//! The same over HTTP, by a server in this process: what a viewer waits for.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use stoker_benches::store::config;
use stoker_server::http::{AllowedHosts, Backend, HttpConfig, router};
use stoker_server::query::{Limits, Parts, TenantParts};
use stoker_server::store::{Store, TenantId};

use crate::quantiles;

struct Rows(TenantParts);

impl Backend for Rows {
    fn parts(&self) -> &dyn Parts {
        &self.0
    }
}

/// Asks for the flame graph of all, plain and compressed, without and with kept answers.
pub(crate) fn ask(dir: &Path, times: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for (kept, cache_bytes) in [("no answer is kept", 0), ("answers are kept", 64 << 20)] {
        let store = Store::open(config(dir))?;
        let rows = Rows(TenantParts { store: store.clone(), tenant: TenantId::default_tenant() });
        let (address, server) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let config = HttpConfig {
                allowed: AllowedHosts::new(address, &[]),
                limits: Limits::default(),
                concurrent_queries: 2,
                cache_bytes,
                prices: Arc::default(),
            };
            let app = router(Arc::new(rows), &config);
            anyhow::Ok((address, tokio::spawn(async move { axum::serve(listener, app).await })))
        })?;
        for (what, encoding) in [("plain", "identity"), ("gzip", "gzip"), ("zstd", "zstd")] {
            let (mut taken, mut bytes) = (Vec::new(), 0);
            for _ in 0..=times {
                let start = Instant::now();
                bytes = get(address, encoding)?;
                taken.push(start.elapsed().as_secs_f64() * 1000.0);
            }
            taken.remove(0);
            let (p50, p99) = quantiles(taken);
            println!("over HTTP, {what}, {kept}: p50 {p50:.2} p99 {p99:.2} ms, {bytes} bytes");
        }
        server.abort();
        runtime.block_on(store.flush_and_close())?;
    }
    Ok(())
}

/// How many bytes an answer is, its head included.
fn get(address: SocketAddr, encoding: &str) -> Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    let path = "/api/v1/flamegraph?query=cpu&from=0&until=4000000000&max_nodes=8192";
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept-Encoding: {encoding}\r\n\
         Connection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.split(|byte| *byte == b'\r').next().context("no answer")?;
    ensure!(head == b"HTTP/1.1 200 OK", "{}", String::from_utf8_lossy(head));
    Ok(answer.len())
}
