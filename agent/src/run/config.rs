//! What an agent is told.

use std::path::PathBuf;
use std::time::Duration;

use crate::kernel::Target;

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
    /// How often batches are cut.
    pub flush_every: Duration,
    /// How large the spool may grow.
    pub spool_max_bytes: u64,
}
