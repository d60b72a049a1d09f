//! `stoker-agent`: the daemon on every node.

#![forbid(unsafe_code)]

mod args;
mod daemon;
mod settings;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

/// Exit code for wrong use, and for what cannot run.
const CANNOT_RUN: u8 = 2;

fn main() -> ExitCode {
    stoker_agent::symbolize::dispatch_worker();
    let args = args::Args::parse();
    let done = match &args.command {
        None => daemon::run(&args.flags).map(|()| ExitCode::SUCCESS),
        Some(args::Command::Doctor(doctor)) => examine(doctor),
    };
    done.unwrap_or_else(|error| {
        // Without a standard error nobody is there to be told.
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::from(CANNOT_RUN)
    })
}

fn examine(args: &args::DoctorArgs) -> anyhow::Result<ExitCode> {
    let daemon = args.flags.settings()?.into_daemon()?;
    let report = stoker_agent::doctor::examine(&daemon.agent, daemon.http);
    let out = std::io::stdout();
    let written = match args.json {
        true => report.write_json(&mut out.lock()),
        false => report.write_text(&mut out.lock(), out.is_terminal() && use_colours()),
    };
    // A reader that went away has seen what it wanted.
    let _ = written;
    Ok(ExitCode::from(report.exit_code()))
}

/// Whether the person has nothing against colours (no-color.org).
fn use_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
