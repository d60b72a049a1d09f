//! The shipper: owns the spool, keeps a stream to the server open, and says what was lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;
use stoker_wire::{BatchBody, Dictionary, LostSamples, proto};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use super::backoff::Backoff;
use super::metrics::{ShipMetrics, add};
use super::spool::{Spool, SpoolConfig, SpoolError};
use super::stream::{self, Ended};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Between attempts of an agent that is about to stop.
const HURRIED_PAUSE: Duration = Duration::from_millis(200);

/// Where batches go and who sends them.
#[derive(Debug, Clone)]
pub struct ShipperConfig {
    /// `http://host:port` of the server's gRPC side.
    pub server: String,
    /// Who opens the stream. The spool's id is filled in by the shipper.
    pub hello: proto::Hello,
    /// The spool.
    pub spool: SpoolConfig,
}

/// What the sampling thread and the sending task share.
#[derive(Debug)]
pub(super) struct Shared {
    spool: Mutex<Spool>,
    lost: Mutex<FxHashMap<&'static str, u64>>,
    pub(super) metrics: ShipMetrics,
    pub(super) pushed: Notify,
    pub(super) acked: Notify,
    /// Ends a pause between attempts: somebody waits for the spool to be empty.
    hurry: Notify,
}

impl Shared {
    pub(super) fn spool(&self) -> std::sync::MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lose(&self, reason: &'static str, samples: u64) {
        if samples > 0 {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            *lost.entry(reason).or_default() += samples;
        }
    }
}

/// Ships batches in the background.
#[derive(Debug)]
pub struct Shipper {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Shipper {
    /// Opens the spool and starts to send what it holds. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the address makes no sense or the spool cannot be opened.
    pub fn start(config: ShipperConfig) -> Result<Self, ShipError> {
        let endpoint = Endpoint::from_shared(config.server.clone())
            .map_err(|_| ShipError::Address(config.server.clone()))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_while_idle(true);
        let spool = Spool::open(config.spool)?;
        let hello = proto::Hello { spool_id: spool.id().to_vec().into(), ..config.hello };
        let shared = Arc::new(Shared {
            spool: Mutex::new(spool),
            lost: Mutex::default(),
            metrics: ShipMetrics::default(),
            pushed: Notify::new(),
            acked: Notify::new(),
            hurry: Notify::new(),
        });
        let task = tokio::spawn(run(endpoint, config.server, hello, Arc::clone(&shared)));
        Ok(Self { shared, task })
    }

    /// Puts a batch into the spool; it is sent as soon as a server is there. What had to go for it
    /// is counted as lost. Blocks for one small file write.
    pub fn push(&self, dictionary: &Dictionary, body: &BatchBody) {
        match self.shared.spool().push(dictionary, body) {
            Ok(evicted) => self.shared.lose("spool full", evicted.samples),
            Err(error) => {
                tracing::error!(%error, "a batch could not be spooled and is lost");
                self.shared.lose("spool not writable", body.samples());
            }
        }
        self.shared.pushed.notify_one();
    }

    /// What was lost since the last call, by reason.
    #[must_use]
    pub fn take_lost(&self) -> Vec<LostSamples> {
        let mut lost = self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *lost);
        taken
            .into_iter()
            .map(|(reason, samples)| LostSamples { reason: reason.into(), samples })
            .collect()
    }

    /// Counters.
    #[must_use]
    pub fn metrics(&self) -> &ShipMetrics {
        &self.shared.metrics
    }

    /// Batches and bytes that wait in the spool.
    #[must_use]
    pub fn waiting(&self) -> (usize, u64) {
        let spool = self.shared.spool();
        (spool.len(), spool.bytes())
    }

    /// Waits, at most so long, until the server has acknowledged all, then stops sending. Gives how
    /// many batches stay in the spool for the next start. A pause between attempts is cut short: a
    /// server that came back meanwhile shall not be missed.
    pub async fn drain(&self, patience: Duration) -> usize {
        let drained = async {
            while !self.shared.spool().is_empty() {
                self.shared.hurry.notify_one();
                let acked = self.shared.acked.notified();
                let _ = tokio::time::timeout(HURRIED_PAUSE, acked).await;
            }
        };
        if tokio::time::timeout(patience, drained).await.is_err() {
            tracing::warn!("the server did not take all in time; the rest waits in the spool");
        }
        self.task.abort();
        self.shared.spool().len()
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why the shipper cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// No address.
    #[error("{0:?} is no server address; write it as http://HOST:4041")]
    Address(String),
    /// No spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

async fn run(endpoint: Endpoint, server: String, hello: proto::Hello, shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    let mut was_up = true;
    loop {
        let channel: Channel = endpoint.connect_lazy();
        let ended = stream::run(channel, &hello, &shared, &mut backoff).await;
        if let Ended::Resend = ended {
            continue;
        }
        add(&shared.metrics.streams_broken, 1);
        let pause = backoff.next_pause();
        match ended {
            Ended::Broken(why) if was_up => {
                tracing::warn!(%server, %why, "no server; samples wait in the spool");
            }
            Ended::Broken(why) => tracing::debug!(%server, %why, "still no server"),
            Ended::Resend => {}
        }
        was_up = false;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.hurry.notified() => {}
        }
    }
}
