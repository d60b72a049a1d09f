//! The daemon's life: settings, rights, sampling, signals, end.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stoker_agent::guard::KillSwitch;
use stoker_agent::run::Agent;
use stoker_agent::{http, privileges};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Flags;
use crate::settings::Daemon;

/// How long the last batches may take to reach the server; what does not waits in the spool.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs until told to stop.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let daemon = flags.settings()?.into_daemon()?;
    start_log(&daemon.log)?;
    // Rights belong to threads: what is given up before there are others, none of them has.
    let kept = privileges::give_up_capabilities().context("cannot give up capabilities")?;
    tracing::debug!(capabilities = %kept, "kept");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(live(flags, daemon))
}

fn start_log(filter: &str) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .with_context(|| format!("--log {filter:?} is no filter: write info, or target=debug"))?;
    let colours = std::io::stderr().is_terminal() && crate::use_colours();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(std::io::stderr).init();
    Ok(())
}

/// The signals that mean something to the agent.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    reload: Signal,
    off: Signal,
    on: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            reload: signal(SignalKind::hangup())?,
            off: signal(SignalKind::user_defined1())?,
            on: signal(SignalKind::user_defined2())?,
        })
    }
}

async fn live(flags: &Flags, mut daemon: Daemon) -> Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let agent = Agent::start(daemon.agent.clone()).await?;
    let served = match daemon.http {
        Some(address) => Some(http::serve(address, agent.watcher()).await?),
        None => None,
    };
    if daemon.seccomp {
        privileges::give_up_system_calls()
            .context("cannot give up system calls (--seccomp false leaves them)")?;
    }
    let frequency_hz = daemon.agent.frequency_hz;
    tracing::info!(host = agent.host(), source = agent.source().name(), frequency_hz, "sampling");
    if let Some(address) = served {
        tracing::info!(%address, "metrics on http");
    }
    loop {
        tokio::select! {
            _ = signals.interrupt.recv() => break,
            _ = signals.terminate.recv() => break,
            _ = signals.reload.recv() => reload(flags, &mut daemon, &agent),
            _ = signals.off.recv() => switch(&daemon, &agent, true),
            _ = signals.on.recv() => switch(&daemon, &agent, false),
        }
    }
    stop(agent).await;
    Ok(())
}

async fn stop(agent: Agent) {
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
}

/// Reads the configuration again; one that cannot be used changes nothing.
fn reload(flags: &Flags, daemon: &mut Daemon, agent: &Agent) {
    let new = match flags.settings().and_then(crate::settings::Settings::into_daemon) {
        Ok(new) => new,
        Err(error) => {
            tracing::error!("{error}; the settings stay as they were");
            return;
        }
    };
    let waiting = daemon.needs_restart(&new);
    if !waiting.is_empty() {
        tracing::warn!(settings = waiting.join(", "), "these count only after a restart");
    }
    let live = new.agent.live();
    agent.reload(live.clone());
    // What was not taken over stays what it is, so that the next reload tells it again.
    daemon.agent.frequency_hz = live.frequency_hz;
    daemon.agent.labels = live.labels;
    daemon.agent.budget = live.budget;
}

/// SIGUSR1 and SIGUSR2: the kill switch by hand.
fn switch(daemon: &Daemon, agent: &Agent, off: bool) {
    let Some(path) = &daemon.agent.kill_switch else { return };
    match KillSwitch::at(path.clone()).set(off) {
        Ok(()) => agent.look_now(),
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "cannot set the kill switch");
        }
    }
}
