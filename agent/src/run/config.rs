//! What an agent is told.

use std::path::PathBuf;
use std::time::Duration;

use crate::guard::Budget;
use crate::kernel::{DEFAULT_UNWIND_BYTES, Target};

/// How large the spool may grow unless told otherwise.
pub const DEFAULT_SPOOL_BYTES: u64 = 256 << 20;

/// What an agent is told.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// `http://host:port` of the server's gRPC side.
    pub server: String,
    /// The agent's own folder: spool and identity.
    pub state_dir: PathBuf,
    /// The host's name; the machine's own where it is not given.
    pub host: Option<String>,
    /// Labels that every series carries.
    pub labels: Vec<(String, String)>,
    /// Samples per second and CPU.
    pub frequency_hz: u32,
    /// Whom to sample.
    pub target: Target,
    /// Whether samples are told one by one, beside the rows that count them: when, in which thread, on
    /// which CPU.
    pub detailed: bool,
    /// How often batches are cut.
    pub flush_every: Duration,
    /// How large the spool may grow.
    pub spool_max_bytes: u64,
    /// Kernel memory for the pages of unwinding tables; 0 for frame pointers only.
    pub unwind_bytes: u64,
    /// What the agent may use.
    pub budget: Budget,
    /// The file that switches sampling off while it exists; none without.
    pub kill_switch: Option<PathBuf>,
}

impl Default for AgentConfig {
    /// An agent beside a server on the same machine, without budgets or kill switch.
    fn default() -> Self {
        Self {
            server: "http://127.0.0.1:4041".into(),
            state_dir: "/var/lib/stoker-agent".into(),
            host: None,
            labels: Vec::new(),
            frequency_hz: 19,
            target: Target::All,
            detailed: false,
            flush_every: Duration::from_secs(5),
            spool_max_bytes: DEFAULT_SPOOL_BYTES,
            unwind_bytes: DEFAULT_UNWIND_BYTES,
            budget: Budget::default(),
            kill_switch: None,
        }
    }
}

impl AgentConfig {
    /// The part that can change while the agent runs.
    #[must_use]
    pub fn live(&self) -> LiveConfig {
        LiveConfig {
            frequency_hz: self.frequency_hz,
            labels: self.labels.clone(),
            budget: self.budget,
        }
    }
}

/// What can change while the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveConfig {
    /// Samples per second and CPU.
    pub frequency_hz: u32,
    /// Labels that every series carries.
    pub labels: Vec<(String, String)>,
    /// What the agent may use.
    pub budget: Budget,
}
