//! Flags of `stoker-agent`. Each has an environment variable; a flag wins over it, and both over
//! the file given with `--config`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::settings::{FREQUENCY_HZ_MAX, Settings, SettingsError, check_label};

const EXAMPLES: &str = "\
Examples:
  stoker-agent --server http://stoker.example:4041
  stoker-agent --config /etc/stoker/agent.toml
  stoker-agent --server http://127.0.0.1:4041 --state-dir ./agent-1 --host web-1 --label zone=a
  stoker-agent --server http://127.0.0.1:4041 --pid 4711 --frequency 99
  stoker-agent doctor

Needs root, or CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and a few more (docs/agent.md), and a kernel
with BTF, 5.12 or newer. Batches wait in the state folder while no server answers.
SIGHUP reads the configuration again. SIGUSR1 switches sampling off, SIGUSR2 on.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  stoker-agent doctor                             what works here, and how to mend what does not
  stoker-agent doctor --config /etc/stoker/agent.toml
  stoker-agent doctor --json                      for programs, and for bug reports

Exit code: 0 all is well, 1 the agent runs but something is degraded, 2 it cannot run.";

/// Samples the stacks of every process on this machine and ships them to a Stoker server.
#[derive(Debug, clap::Parser)]
#[command(name = "stoker-agent", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// What to do instead of sampling.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say what works on this machine, what does not, and how to mend it
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
}

/// Flags of `stoker-agent doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Write JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// Settings as the command line and the environment give them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Flags {
    /// TOML file with settings, named as the flags are with _ for -
    #[arg(long, env = "STOKER_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's gRPC address [default: http://127.0.0.1:4041]
    #[arg(long, env = "STOKER_SERVER", value_name = "URL")]
    server: Option<String>,
    /// The agent's own folder: what waits to be sent, and who this host is [default:
    /// /var/lib/stoker-agent]
    #[arg(long, env = "STOKER_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The host's name in labels [default: the machine's own]
    #[arg(long, env = "STOKER_HOST", value_name = "NAME")]
    host: Option<String>,
    /// A label for every series; may be given several times
    #[arg(long, env = "STOKER_LABELS", value_name = "NAME=VALUE", value_delimiter = ',', value_parser = label)]
    label: Option<Vec<(String, String)>>,
    /// Samples per second on each CPU [default: 19]
    #[arg(long, short = 'F', env = "STOKER_FREQUENCY", value_name = "HZ",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(FREQUENCY_HZ_MAX)))]
    frequency: Option<u32>,
    /// Sample only this process and its children; may be given several times
    #[arg(long, short = 'p', value_name = "PID", conflicts_with = "cgroup")]
    pid: Option<Vec<u32>>,
    /// Sample only the processes of this control group (version 2) and below
    #[arg(long, value_name = "DIR")]
    cgroup: Option<PathBuf>,
    /// Tell samples one by one: when, in which thread, on which CPU. For heatmaps; takes some 4 bytes
    /// a sample on the wire and as much on the server's disk
    #[arg(long, env = "STOKER_DETAILED", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    detailed: Option<bool>,
    /// Seconds between batches, 1 to 60 [default: 5]
    #[arg(long, env = "STOKER_FLUSH_SECONDS", value_name = "S")]
    flush_seconds: Option<u64>,
    /// Bytes that may wait in the state folder; past it the oldest go and are counted [default:
    /// 268435456]
    #[arg(long, env = "STOKER_SPOOL_BYTES", value_name = "BYTES")]
    spool_bytes: Option<u64>,
    /// CPU time that the agent may use, in percent of one core; past it, it makes no names,
    /// samples more rarely, and at last rests. 0 for no bound [default: 5]
    #[arg(long, env = "STOKER_MAX_CPU", value_name = "PERCENT")]
    max_cpu: Option<u32>,
    /// Memory that the agent may use, in MiB; past it, it drops caches and at last rests. 0 for no
    /// bound [default: 256]
    #[arg(long, env = "STOKER_MAX_MEMORY", value_name = "MIB")]
    max_memory: Option<u64>,
    /// Kernel memory for unwinding tables, in MiB; 0 to unwind by frame pointers only [default: 32]
    #[arg(long, env = "STOKER_MAX_UNWIND_MEMORY", value_name = "MIB")]
    max_unwind_memory: Option<u64>,
    /// While this file exists, sampling is off [default: `off` in the state folder]
    #[arg(long, env = "STOKER_KILL_SWITCH", value_name = "PATH")]
    kill_switch: Option<PathBuf>,
    /// Serve the agent's own metrics, health and profile here, as 127.0.0.1:4042 [default: not at
    /// all]
    #[arg(long, env = "STOKER_AGENT_HTTP", value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Allow an --http address that other machines can reach, although nobody is asked who they are
    #[arg(long, env = "STOKER_AGENT_INSECURE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    insecure: Option<bool>,
    /// Whether the agent gives up the system calls that it does not need [default: true]
    #[arg(long, env = "STOKER_SECCOMP", value_name = "BOOL")]
    seccomp: Option<bool>,
    /// What to log, as `info` or `stoker_agent=debug` [default: info]
    #[arg(long, env = "STOKER_LOG", value_name = "FILTER")]
    log: Option<String>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    check_label(name)?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Flags {
    /// All settings; reads the configuration, each time it is called.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        let file = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        Ok(self.given().or(file))
    }

    fn given(&self) -> Settings {
        let flags = self.clone();
        Settings {
            server: flags.server,
            state_dir: flags.state_dir,
            host: flags.host,
            labels: flags.label.map(|labels| labels.into_iter().collect()),
            frequency: flags.frequency,
            pid: flags.pid,
            cgroup: flags.cgroup,
            detailed: flags.detailed,
            flush_seconds: flags.flush_seconds,
            spool_bytes: flags.spool_bytes,
            max_cpu: flags.max_cpu,
            max_memory: flags.max_memory,
            max_unwind_memory: flags.max_unwind_memory,
            kill_switch: flags.kill_switch,
            http: flags.http,
            insecure: flags.insecure,
            seccomp: flags.seccomp,
            log: flags.log,
        }
    }
}
