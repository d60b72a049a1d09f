//! Starting and stopping: ports first, then the data folder, then service; and back in that order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http;
use axum::serve::ListenerExt as _;
use stoker_wire::proto::profile_ingest_server::{ProfileIngest, ProfileIngestServer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::server::TcpIncoming;
use tower::util::MapRequestLayer;

use crate::annotations::Annotations;
use crate::config::ServerConfig;
use crate::ingest;
use crate::links::Links;
use crate::query::TenantParts;
use crate::store::{Store, StoreConfig, StoreError, TenantId};
use crate::store_backend::StoreBackend;
use crate::symbols::{NamedParts, Symbols, SymbolsError};

/// How long answers that are under way may take once the server stops.
const DRAIN: Duration = Duration::from_millis(500);
/// How often a silent agent is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Bytes that an agent may send before they are read: one batch of the usual size, several times over.
const STREAM_WINDOW: u32 = 256 << 10;

/// Why a server does not start, or does not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address that others can reach, without leave to bind it.
    #[error(
        "{flag} {address} can be reached from other machines, and this version neither encrypts \
         nor asks who is there: bind 127.0.0.1, or add --insecure if the network is trusted"
    )]
    Exposed {
        /// Which address.
        flag: &'static str,
        /// What it is.
        address: SocketAddr,
    },
    /// Another process has the port.
    #[error(
        "port {} is in use: stop the process that has it, or choose another with {flag} {}:PORT \
         (port 0 takes any free one)",
        address.port(), address.ip()
    )]
    PortInUse {
        /// Which address.
        flag: &'static str,
        /// What it is.
        address: SocketAddr,
    },
    /// The address cannot be bound for another reason.
    #[error("cannot listen at {address}: {source}; choose another address with {flag}")]
    Bind {
        /// Which address.
        flag: &'static str,
        /// What it is.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The store does not open or close.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of annotations does not open.
    #[error("the annotations in the data folder cannot be read: {0}")]
    Annotations(#[source] io::Error),
    /// The folder of debug information does not open.
    #[error(transparent)]
    Symbols(#[from] SymbolsError),
}

/// A server that runs until it is shut down.
#[derive(Debug)]
pub struct RunningServer {
    /// Where API and viewer answer.
    pub http_addr: SocketAddr,
    /// Where agents send to.
    pub grpc_addr: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    store: Store,
}

/// Binds both ports, opens the data folder, and serves.
///
/// # Errors
/// When an address may not or cannot be bound, or the data folder cannot be opened. Nothing is left
/// behind then.
pub async fn start(config: ServerConfig) -> Result<RunningServer, ServerError> {
    let http_listener = bind("--http", config.http, config.insecure).await?;
    let grpc_listener = bind("--grpc", config.grpc, config.insecure).await?;
    let (http_addr, grpc_addr) = (
        address("--http", config.http, &http_listener)?,
        address("--grpc", config.grpc, &grpc_listener)?,
    );
    let store_config = StoreConfig { dir: config.data_dir.clone(), ..config.store.clone() };
    let opened = tokio::task::spawn_blocking(move || Store::open(store_config)).await;
    let store = opened.unwrap_or(Err(StoreError::Closed))?;
    let (dir, symbols) = (config.data_dir.join("symbols"), config.symbols.clone());
    let opened = tokio::task::spawn_blocking(move || Symbols::open(&dir, symbols)).await;
    let symbols = opened.map_err(|_| StoreError::Closed)??;
    store.name_by(Arc::new(symbols.clone()));
    let dir = config.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || Annotations::open(&dir)).await;
    let annotations = opened.map_err(|_| StoreError::Closed)?.map_err(ServerError::Annotations)?;
    if annotations.unreadable() > 0 {
        tracing::warn!(
            lines = annotations.unreadable(),
            "annotations that cannot be read are gone"
        );
    }
    let tenant = TenantId::default_tenant();
    let (dir, of, max) = (config.data_dir.join("links"), tenant.clone(), config.max_links);
    let opened = tokio::task::spawn_blocking(move || Links::open(&dir, of, max)).await;
    let links = opened.map_err(|_| StoreError::Closed)??;
    let agents = ingest::Agents::default();
    let counts = Arc::<ingest::IngestMetrics>::default();
    let backend = StoreBackend {
        parts: NamedParts { rows: TenantParts { store: store.clone(), tenant }, symbols },
        agents: agents.clone(),
        annotations,
        links,
        ingest: Arc::clone(&counts),
    };
    let (stop, stopped) = watch::channel(false);
    let router = crate::http::router(Arc::new(backend), &config.http_config(http_addr));
    let ingest = ingest::service(store.clone(), agents, counts);
    let reading = ingest::Reading::new(config.store.reading_memory());
    let tasks = vec![
        tokio::spawn(serve_http(http_listener, router, stopped.clone())),
        tokio::spawn(serve_grpc(grpc_listener, (ingest, reading), stopped)),
    ];
    tracing::info!(%http_addr, %grpc_addr, data_dir = %config.data_dir.display(), "serving");
    Ok(RunningServer { http_addr, grpc_addr, stop, tasks, store })
}

impl RunningServer {
    /// Takes no more requests, lets those under way end within half a second, makes all that was
    /// acknowledged durable in segments, and lets go of the data folder.
    ///
    /// # Errors
    /// When the store could not be closed cleanly; nothing is lost, it is recovered at the next start.
    pub async fn shutdown(self) -> Result<(), ServerError> {
        // Both tasks hold a receiver; when they are gone there is nothing to tell.
        let _ = self.stop.send(true);
        let end = Instant::now() + DRAIN;
        for mut task in self.tasks {
            if tokio::time::timeout_at(end, &mut task).await.is_err() {
                task.abort();
            }
        }
        self.store.flush_and_close().await?;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn bind(
    flag: &'static str,
    address: SocketAddr,
    insecure: bool,
) -> Result<TcpListener, ServerError> {
    if !address.ip().to_canonical().is_loopback() && !insecure {
        return Err(ServerError::Exposed { flag, address });
    }
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServerError::PortInUse { flag, address },
        _ => ServerError::Bind { flag, address, source },
    })
}

/// Where a listener ended up, which port 0 leaves open.
fn address(
    flag: &'static str,
    asked: SocketAddr,
    listener: &TcpListener,
) -> Result<SocketAddr, ServerError> {
    let bound = listener.local_addr();
    bound.map_err(|source| ServerError::Bind { flag, address: asked, source })
}

async fn serve_http(listener: TcpListener, router: axum::Router, stopped: watch::Receiver<bool>) {
    let listener = listener.tap_io(send_at_once);
    let serving = axum::serve(listener, router).with_graceful_shutdown(wait(stopped));
    if let Err(error) = serving.await {
        tracing::error!(%error, "the HTTP side has ended");
    }
}

/// Sends what is there without waiting for more.
fn send_at_once(stream: &mut TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may wait for the peer to confirm earlier ones");
    }
}

async fn serve_grpc(
    listener: TcpListener,
    (ingest, reading): (ProfileIngestServer<impl ProfileIngest>, ingest::Reading),
    stopped: watch::Receiver<bool>,
) {
    let serving = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW)
        .layer(MapRequestLayer::new(move |request: http::Request<tonic::body::Body>| {
            request.map(|body| reading.body(body))
        }))
        .add_service(ingest)
        .serve_with_incoming_shutdown(
            // An acknowledgement is a few bytes: held back until the peer confirms the last one, which it
            // does after 40 ms, it would make the slowest of batches of what is durable in one.
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            wait(stopped),
        );
    if let Err(error) = serving.await {
        tracing::error!(%error, "the gRPC side has ended");
    }
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error means that nobody can say stop any more, which is the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}
