//! The agent at work: one thread that drains the kernel, resolves, counts and cuts batches, and one
//! task that ships them.
//!
//! Everything that could stall (a server that is away, a file that is hard to read) happens on the
//! other side of a queue; the thread only touches the kernel's rings, its own tables and one small
//! file per flush.

mod clock;
mod config;
mod events;
mod facts;
mod family;
mod folding;
mod governing;
mod identity;
mod moments;
mod naming;
mod pipeline;
mod recorder;
mod resolve;
mod sampling;
mod status;
mod taking;
mod unwinding;
mod work;

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use stoker_wire::{PROTOCOL_MINOR, proto};

pub use config::{AgentConfig, DEFAULT_SPOOL_BYTES, LiveConfig};
pub use events::process_event;
pub use identity::IdentityError;
pub use moments::{Moment, ThreadMoments};
pub use pipeline::Tally;
pub use recorder::{Recorded, Recorder, RecorderConfig, RecorderProgress, Sight};
pub use sampling::Off;
pub use status::{AgentStatus, Guarded, UnwindStatus};
pub use unwinding::Unwinding;

use crate::kernel::{KernelError, SampleSource};
use crate::ship::{ShipError, ShipSnapshot, Shipper, ShipperConfig, SpoolConfig};
use identity::HostIdentity;
use pipeline::{Command, Pipeline};
use status::Published;

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The kernel side.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The shipping side.
    #[error(transparent)]
    Ship(#[from] ShipError),
    /// Who this host is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No thread.
    #[error("cannot start the sampling thread: {0}")]
    Thread(std::io::Error),
}

/// What an agent did in its life.
#[derive(Debug, Clone, Default)]
pub struct AgentReport {
    /// Samples, by what became of them.
    pub tally: Tally,
    /// What was shipped.
    pub shipped: ShipSnapshot,
    /// Batches that wait in the spool for the next start.
    pub waiting_batches: usize,
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<Tally>,
    published: Published,
    shipper: Arc<Shipper>,
    source: SampleSource,
    host: Arc<str>,
}

impl Agent {
    /// Starts to sample and to ship. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the kernel side cannot be loaded or the state folder cannot be used; nothing is left
    /// running then.
    pub async fn start(config: AgentConfig) -> Result<Self, AgentError> {
        // Before anything is written: a host that cannot be sampled is left as it was.
        for check in crate::kernel::preflight() {
            check.outcome?;
        }
        let identity = HostIdentity::establish(&config.state_dir, config.host.as_deref())?;
        let shipper = Arc::new(Shipper::start(ShipperConfig {
            server: config.server.clone(),
            hello: hello(&identity),
            spool: SpoolConfig {
                dir: config.state_dir.join("spool"),
                max_bytes: config.spool_max_bytes,
            },
        })?);
        let published = Published::default();
        let (commands, told) = mpsc::channel();
        let (ready, started) = tokio::sync::oneshot::channel();
        let body = body(&config, &identity, &shipper, published.clone());
        let thread = std::thread::Builder::new().name("stoker-sampler".into());
        let thread = thread.spawn(move || body(ready, told)).map_err(AgentError::Thread)?;
        match started.await {
            Ok(Ok(source)) => {
                Ok(Self { commands, thread, published, shipper, source, host: identity.name })
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(AgentError::Thread(std::io::Error::other("it ended at once"))),
        }
    }

    /// What makes the CPUs take samples here.
    #[must_use]
    pub fn source(&self) -> SampleSource {
        self.source
    }

    /// The host's name, as samples carry it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Goes on with other settings; they count from the next drain on.
    pub fn reload(&self, live: LiveConfig) {
        // It is not there to be told when it has ended.
        let _ = self.commands.send(Command::Reload(live));
    }

    /// Looks at the kill switch now, not within the next second.
    pub fn look_now(&self) {
        let _ = self.commands.send(Command::LookNow);
    }

    /// What the agent knows of itself; at most a second or so old.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        self.published.lock().clone()
    }

    /// Reads what the agent knows of itself from wherever it is called.
    #[must_use]
    pub fn watcher(&self) -> AgentWatcher {
        AgentWatcher { published: self.published.clone(), shipper: Arc::clone(&self.shipper) }
    }

    /// Stops sampling, takes in what the kernel still holds, ships it or leaves it in the spool.
    pub async fn shutdown(self, patience: Duration) -> AgentReport {
        let _ = self.commands.send(Command::Stop);
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        let tally = joined.ok().and_then(Result::ok).unwrap_or_default();
        let waiting_batches = self.shipper.drain(patience).await;
        AgentReport { tally, shipped: self.shipper.metrics().snapshot(), waiting_batches }
    }
}

fn hello(identity: &HostIdentity) -> proto::Hello {
    proto::Hello {
        protocol_minor: PROTOCOL_MINOR,
        host_id: identity.id.to_vec().into(),
        host_name: identity.name.to_string(),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        ..proto::Hello::default()
    }
}

/// Reads what an agent knows of itself.
#[derive(Debug, Clone)]
pub struct AgentWatcher {
    published: Published,
    shipper: Arc<Shipper>,
}

impl AgentWatcher {
    /// What the sampling thread counts; at most a second or so old.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        self.published.lock().clone()
    }

    /// What happened to batches, and how many, of how many bytes, wait in the spool.
    #[must_use]
    pub fn shipped(&self) -> (ShipSnapshot, (usize, u64)) {
        (self.shipper.metrics().snapshot(), self.shipper.waiting())
    }
}

type Ready = tokio::sync::oneshot::Sender<Result<SampleSource, KernelError>>;

/// What the sampling thread does.
fn body(
    config: &AgentConfig,
    identity: &HostIdentity,
    shipper: &Arc<Shipper>,
    published: Published,
) -> impl FnOnce(Ready, mpsc::Receiver<Command>) -> Tally + Send + 'static {
    let (config, host) = (config.clone(), Arc::clone(&identity.name));
    let shipper = Arc::clone(shipper);
    move |ready, commands| match Pipeline::start(&config, &host, shipper, published) {
        Ok(mut pipeline) => {
            let _ = ready.send(Ok(pipeline.source()));
            pipeline.run(&commands)
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            Tally::default()
        }
    }
}
