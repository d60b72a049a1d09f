//! Flags of `stoker-agent`. Each has an environment variable; a flag wins over it.

use std::path::PathBuf;
use std::time::Duration;

use stoker_agent::kernel::Target;
use stoker_agent::run::{AgentConfig, DEFAULT_SPOOL_BYTES};

const EXAMPLES: &str = "\
Examples:
  stoker-agent --server http://stoker.example:4041
  stoker-agent --server http://127.0.0.1:4041 --state-dir ./agent-1 --host web-1 --label zone=a
  stoker-agent --server http://127.0.0.1:4041 --pid 4711 --frequency 99

Needs root (or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE) and a kernel with BTF, 5.11 or newer.
Batches wait in the state folder while no server answers, and nothing is lost meanwhile.";

/// Samples the stacks of every process on this machine and ships them to a Stoker server.
#[derive(Debug, clap::Parser)]
#[command(name = "stoker-agent", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The server's gRPC address, as http://HOST:4041
    #[arg(
        long,
        env = "STOKER_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:4041"
    )]
    server: String,
    /// The agent's own folder: what waits to be sent, and who this host is
    #[arg(
        long,
        env = "STOKER_STATE_DIR",
        value_name = "DIR",
        default_value = "/var/lib/stoker-agent"
    )]
    state_dir: PathBuf,
    /// The host's name in labels [default: the machine's own]
    #[arg(long, env = "STOKER_HOST", value_name = "NAME")]
    host: Option<String>,
    /// A label for every series; may be given several times
    #[arg(long = "label", env = "STOKER_LABELS", value_name = "NAME=VALUE", value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,
    /// Samples per second on each CPU
    #[arg(long, short = 'F', env = "STOKER_FREQUENCY", value_name = "HZ", default_value_t = 19,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// Sample only this process and its children; may be given several times
    #[arg(long = "pid", short = 'p', value_name = "PID", conflicts_with = "cgroup")]
    pids: Vec<u32>,
    /// Sample only the processes of this control group (version 2) and below
    #[arg(long, value_name = "DIR")]
    cgroup: Option<PathBuf>,
    /// Seconds between batches
    #[arg(long, env = "STOKER_FLUSH_SECONDS", value_name = "S", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=60))]
    flush_seconds: u64,
    /// Bytes that may wait in the state folder; past it the oldest go and are counted
    #[arg(long, env = "STOKER_SPOOL_BYTES", value_name = "BYTES", default_value_t = DEFAULT_SPOOL_BYTES)]
    spool_bytes: u64,
    /// What to log, as `info` or `stoker_agent=debug`
    #[arg(long, env = "STOKER_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    let mut letters = name.chars();
    let first_fits = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !first_fits || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("{name:?} is no label name: use letters, digits and _"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl Args {
    /// What the agent is told.
    pub(crate) fn config(&self) -> AgentConfig {
        let target = match (&self.cgroup, &self.pids[..]) {
            (Some(cgroup), _) => Target::Cgroup(cgroup.clone()),
            (None, []) => Target::All,
            (None, pids) => Target::Pids(pids.to_vec()),
        };
        AgentConfig {
            server: self.server.clone(),
            state_dir: self.state_dir.clone(),
            host: self.host.clone(),
            labels: self.labels.clone(),
            frequency_hz: self.frequency,
            target,
            flush_every: Duration::from_secs(self.flush_seconds),
            spool_max_bytes: self.spool_bytes,
            ..AgentConfig::default()
        }
    }
}
