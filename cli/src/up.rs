//! `stoker up`: server, agent and viewer in one process, profiling this machine.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stoker_agent::kernel::Target;
use stoker_agent::run::{Agent, AgentConfig, AgentReport, DEFAULT_SPOOL_BYTES};
use stoker_server::config::{DEFAULT_DATA_DIR, DEFAULT_GRPC, DEFAULT_HTTP};
use stoker_server::{RunningServer, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};

/// Between batches: short, so that the picture is live.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// How long the last batches may take; together with the server's own end it stays below two
/// seconds.
const PATIENCE: Duration = Duration::from_millis(600);

const EXAMPLES: &str = "\
Examples:
  sudo stoker up                          profile this machine; look at http://localhost:4040
  sudo stoker up --data-dir /tmp/stoker   keep the data elsewhere
  sudo stoker up --frequency 19           sample more rarely
  sudo stoker up --detailed               with a heatmap: what happens within a second

Ctrl-C stops within two seconds and keeps everything; starting again shows the old data too.
Sampling needs root and a kernel with BTF, 5.12 or newer.";

/// Profile this machine, live: server, agent and viewer in one process.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    /// Folder for data; made when it is not there
    #[arg(long, env = "STOKER_DATA_DIR", value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    data_dir: PathBuf,
    /// Address of the API and the viewer
    #[arg(long, env = "STOKER_HTTP", value_name = "ADDRESS", default_value_t = DEFAULT_HTTP)]
    http: SocketAddr,
    /// Address for agents of other machines
    #[arg(long, env = "STOKER_GRPC", value_name = "ADDRESS", default_value_t = DEFAULT_GRPC)]
    grpc: SocketAddr,
    /// Allow addresses that other machines can reach, although nothing is encrypted and nobody is
    /// asked who they are
    #[arg(long, env = "STOKER_INSECURE")]
    insecure: bool,
    /// Samples per second on each CPU
    #[arg(long, short = 'F', env = "STOKER_FREQUENCY", value_name = "HZ", default_value_t = 99,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// Keep samples one by one: when, in which thread, on which CPU. The viewer's heatmap needs that
    #[arg(long, env = "STOKER_DETAILED")]
    detailed: bool,
    /// What is logged: a level, or targets with levels
    #[arg(long, env = "STOKER_LOG", value_name = "FILTER", default_value = "warn")]
    log: String,
}

/// Runs until Ctrl-C.
pub(crate) fn run(args: &UpArgs) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&args.log);
    let filter =
        filter.with_context(|| format!("--log {:?} is no filter: write info", args.log))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr())
        && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(profile(args))
}

async fn profile(args: &UpArgs) -> Result<()> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let server = stoker_server::start(server_config(args)).await?;
    let agent = match Agent::start(agent_config(args, &server)).await {
        Ok(agent) => agent,
        Err(error) => {
            server.shutdown().await?;
            return Err(error.into());
        }
    };
    say(&format!(
        "Stoker is profiling {} at {} Hz ({}).\n\n    http://{}\n\nData in {}. Ctrl-C stops.",
        agent.host(),
        args.frequency,
        agent.source().name(),
        shown(server.http_addr),
        args.data_dir.display(),
    ));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let report = agent.shutdown(PATIENCE).await;
    server.shutdown().await?;
    say(&summary(&report));
    Ok(())
}

fn server_config(args: &UpArgs) -> ServerConfig {
    ServerConfig {
        data_dir: args.data_dir.clone(),
        http: args.http,
        grpc: args.grpc,
        insecure: args.insecure,
        ..ServerConfig::default()
    }
}

fn agent_config(args: &UpArgs, server: &RunningServer) -> AgentConfig {
    AgentConfig {
        server: format!("http://{}", connectable(server.grpc_addr)),
        state_dir: args.data_dir.join("agent"),
        host: None,
        labels: Vec::new(),
        frequency_hz: args.frequency,
        target: Target::All,
        detailed: args.detailed,
        flush_every: FLUSH_EVERY,
        spool_max_bytes: DEFAULT_SPOOL_BYTES,
        ..AgentConfig::default()
    }
}

/// An address that is bound everywhere is reached on loopback.
fn connectable(address: SocketAddr) -> SocketAddr {
    match (address.ip().is_unspecified(), address) {
        (true, SocketAddr::V4(_)) => ([127, 0, 0, 1], address.port()).into(),
        (true, SocketAddr::V6(_)) => (std::net::Ipv6Addr::LOCALHOST, address.port()).into(),
        (false, address) => address,
    }
}

/// As people write it.
fn shown(address: SocketAddr) -> String {
    let address = connectable(address);
    if address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

fn summary(report: &AgentReport) -> String {
    let tally = &report.tally;
    let waiting = match report.waiting_batches {
        0 => String::new(),
        some => format!(" {some} batches wait in the spool for the next start."),
    };
    format!("Stopped: {} samples taken, {} lost.{waiting}", tally.taken, tally.lost)
}

fn say(text: &str) {
    // Without a standard output nobody is there to be told.
    let _ = writeln!(std::io::stdout(), "{text}");
}
