//! `stoker-agent`: the daemon on every node.

#![forbid(unsafe_code)]

mod args;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use stoker_agent::run::Agent;
use tokio::signal::unix::{SignalKind, signal};

/// How long the last batches may take to reach the server; what does not waits in the spool.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    stoker_agent::symbolize::dispatch_worker();
    let args = args::Args::parse();
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(&args.log).with_ansi(colours);
    log.with_writer(std::io::stderr).init();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &args::Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(sample_until_told(args))
}

async fn sample_until_told(args: &args::Args) -> Result<()> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let config = args.config();
    let frequency_hz = config.frequency_hz;
    let agent = Agent::start(config).await?;
    tracing::info!(host = agent.host(), source = agent.source().name(), frequency_hz, "sampling");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let report = agent.shutdown(PATIENCE).await;
    tracing::info!(
        taken = report.tally.taken,
        counted = report.tally.counted,
        lost = report.tally.lost,
        acked = report.shipped.samples_acked,
        rows = report.shipped.rows_acked,
        waiting_batches = report.waiting_batches,
        "stopped"
    );
    Ok(())
}
