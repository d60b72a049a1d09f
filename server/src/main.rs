//! `stoker-server`: reads settings, starts the server, waits for a signal.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use stoker_server::config::{LogFormat, Settings, parse_address};
use stoker_server::upkeep::{run_check, run_repair};
use stoker_server::{ServerConfig, start};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Exit code for wrong use and broken input.
const WRONG_USE: u8 = 2;

/// Stoker's server: takes profiles from agents, keeps them, and shows them.
///
/// Settings come from flags, else from the environment, else from the file given with --config.
#[derive(Debug, Parser)]
#[command(name = "stoker-server", version, after_help = EXAMPLES)]
struct Args {
    /// Folder for data; made when it is not there [default: stoker-data]
    #[arg(long, env = "STOKER_DATA_DIR", value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Address of the API and the viewer; port 0 takes any free one [default: 127.0.0.1:4040]
    #[arg(long, env = "STOKER_HTTP", value_name = "ADDRESS", value_parser = parse_address)]
    http: Option<SocketAddr>,
    /// Address for agents; port 0 takes any free one [default: 127.0.0.1:4041]
    #[arg(long, env = "STOKER_GRPC", value_name = "ADDRESS", value_parser = parse_address)]
    grpc: Option<SocketAddr>,
    /// Allow addresses that other machines can reach, although nothing is encrypted and nobody is
    /// asked who they are
    #[arg(long, env = "STOKER_INSECURE", num_args = 0..=1, default_missing_value = "true")]
    insecure: Option<bool>,
    /// Another name that browsers may know this server by; may be given more than once
    #[arg(long, env = "STOKER_ALLOWED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    allowed_host: Option<Vec<String>>,
    /// How long a query may take [default: 30s]
    #[arg(long, env = "STOKER_QUERY_TIMEOUT", value_name = "DURATION")]
    query_timeout: Option<String>,
    /// Queries that run at a time [default: one for each CPU and one more]
    #[arg(long, env = "STOKER_CONCURRENT_QUERIES", value_name = "N")]
    concurrent_queries: Option<usize>,
    /// Memory that one query may take, such as 1GiB [default: 1GiB]
    #[arg(long, env = "STOKER_QUERY_MEMORY", value_name = "BYTES")]
    query_memory: Option<String>,
    /// Memory for answers that are asked for again; 0 keeps none [default: 64MiB]
    #[arg(long, env = "STOKER_QUERY_CACHE", value_name = "BYTES")]
    query_cache: Option<String>,
    /// Memory for what questions read of the store, decoded [default: 256MiB]
    #[arg(long, env = "STOKER_BLOCK_CACHE", value_name = "BYTES")]
    block_cache: Option<String>,
    /// Debug information that is kept for `stoker symbols push`, in MiB; past it those files go that
    /// were used longest ago. 0 takes none [default: 4096]
    #[arg(long, env = "STOKER_MAX_SYMBOLS", value_name = "MIB")]
    max_symbols: Option<u64>,
    /// Data of short links that are kept, in MiB; past it the oldest links go. 0 makes none
    /// [default: 1024]
    #[arg(long, env = "STOKER_MAX_LINKS", value_name = "MIB")]
    max_links: Option<u64>,
    /// How long profiles are kept as they came; `forever` keeps them until the disk's share is used
    /// up [default: 7d]
    #[arg(long, env = "STOKER_RETAIN_RAW", value_name = "DURATION")]
    retain_raw: Option<String>,
    /// How long stacks are kept by the hour and without hosts, counted from when they were taken;
    /// 0 for not at all [default: 90d]
    #[arg(long, env = "STOKER_RETAIN_HOURLY", value_name = "DURATION")]
    retain_hourly: Option<String>,
    /// How long functions are kept by the hour, without stacks, counted likewise; 0 for not at all
    /// [default: 400d]
    #[arg(long, env = "STOKER_RETAIN_FUNCTIONS", value_name = "DURATION")]
    retain_functions: Option<String>,
    /// A label or attribute that is kept by the hour too, beside service_name, version, namespace,
    /// cpu_model, instance_type, zone and region; may be given more than once
    #[arg(long, env = "STOKER_ROLLUP_LABELS", value_name = "LABEL", value_delimiter = ',')]
    rollup_labels: Option<Vec<String>>,
    /// How much disk logs and segments may take, such as 20GiB; the oldest go first
    /// [default: no limit]
    #[arg(long, env = "STOKER_MAX_DISK", value_name = "BYTES")]
    max_disk: Option<String>,
    /// How much of the disk stays free: with less, nothing is stored until there is room, such as 1GiB
    /// [default: a twentieth of the disk, at most 1GiB]
    #[arg(long, env = "STOKER_MIN_FREE_DISK", value_name = "BYTES")]
    min_free_disk: Option<String>,
    /// Memory for taking, sealing and merging batches: past it agents are told to wait, such as 2GiB
    /// [default: 1GiB]
    #[arg(long, env = "STOKER_INGEST_MEMORY", value_name = "BYTES")]
    ingest_memory: Option<String>,
    /// Series in use at most; batches with more are refused [default: 100000]
    #[arg(long, env = "STOKER_MAX_SERIES", value_name = "N")]
    max_series: Option<usize>,
    /// Sets of attributes in use at most; rows with more are stored without theirs [default: 500000]
    #[arg(long, env = "STOKER_MAX_ATTRIBUTE_SETS", value_name = "N")]
    max_attribute_sets: Option<usize>,
    /// What CPU costs: a TOML file of prices by label, for capacity
    #[arg(long, env = "STOKER_PRICES", value_name = "FILE")]
    prices: Option<PathBuf>,
    /// What is logged: a level, or targets with levels [default: info]
    #[arg(long, env = "STOKER_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, env = "STOKER_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// TOML file with settings, named as the flags are with _ for -
    #[arg(long, env = "STOKER_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Read all of the data folder and say what is wrong; changes nothing. The server must be stopped.
    /// Exit code 1 where something is wrong
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Keep what is sound of the data folder, set the rest aside and say what is lost. The server must
    /// be stopped. Exit code 1 where rows are lost
    Repair {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

const EXAMPLES: &str = "Examples:
  stoker-server                                 keep data in ./stoker-data, serve this machine
  stoker-server --http 0.0.0.0:4040 --insecure  on a network that is trusted
  stoker-server --log stoker_server=debug,info  say more
  stoker-server check --data-dir DIR            is all that is stored sound?";

impl Args {
    fn settings(self) -> anyhow::Result<Settings> {
        let file = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        let flags = Settings {
            data_dir: self.data_dir,
            http: self.http,
            grpc: self.grpc,
            insecure: self.insecure,
            allowed_hosts: self.allowed_host,
            query_timeout: self.query_timeout,
            concurrent_queries: self.concurrent_queries,
            query_memory: self.query_memory,
            query_cache: self.query_cache,
            block_cache: self.block_cache,
            max_symbols: self.max_symbols,
            max_links: self.max_links,
            retain_raw: self.retain_raw,
            retain_hourly: self.retain_hourly,
            retain_functions: self.retain_functions,
            rollup_labels: self.rollup_labels,
            max_disk: self.max_disk,
            min_free_disk: self.min_free_disk,
            ingest_memory: self.ingest_memory,
            max_series: self.max_series,
            max_attribute_sets: self.max_attribute_sets,
            prices: self.prices,
            log: self.log,
            log_format: self.log_format,
        };
        Ok(flags.or(file))
    }
}

fn main() -> ExitCode {
    // Reads debug information in a process of its own; never comes back then.
    stoker_symbols::dispatch_worker();
    match run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Without a standard error nobody is there to be told.
            let _ = writeln!(io::stderr(), "error: {}", sentence(&error));
            ExitCode::from(WRONG_USE)
        }
    }
}

/// The error with its causes, each said once.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| match cause.to_string() {
        cause if said.is_empty() => cause,
        cause if said.contains(&cause) => said,
        cause => format!("{said}: {cause}"),
    })
}

fn run(args: Args) -> anyhow::Result<ExitCode> {
    let command = args.command;
    let settings = args.settings()?;
    let quiet = if command.is_some() { "error" } else { "info" };
    let log = settings.log.clone().unwrap_or_else(|| quiet.to_owned());
    let log_format = settings.log_format.unwrap_or_default();
    let config = settings.into_config()?;
    start_log(&log, log_format)?;
    match command {
        Some(Command::Check { json }) => run_check(&config.data_dir, json),
        Some(Command::Repair { json }) => run_repair(&config.data_dir, json),
        None => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(serve(config))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn start_log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("--log {filter:?} is no filter: write info, or target=debug"))?;
    let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let log = log.with_ansi(colour);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

async fn serve(config: ServerConfig) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let server = start(config).await?;
    // Standard output is for programs that start this one with port 0.
    let _ = writeln!(io::stdout(), "http://{}\ngrpc://{}", server.http_addr, server.grpc_addr);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    server.shutdown().await?;
    Ok(())
}
