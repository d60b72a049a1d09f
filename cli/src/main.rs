//! The `stoker` command: reads its arguments and hands over. What it prints is for people unless
//! `--json` is given; errors go to standard error and say what was wrong, where, and what to do.
//!
//! Exit codes: 0 fine, 2 wrong use or broken input.

#![forbid(unsafe_code)]

mod client;
mod diff;
mod export;
mod failure;
mod files;
mod local;
mod output;
mod push;
mod query;
mod record;
mod source;
mod table;
mod top;
mod up;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use failure::Failure;

/// Continuous profiling for this machine and for fleets.
#[derive(Debug, Parser)]
#[command(name = "stoker", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::UpArgs),
    Record(record::RecordArgs),
    Query(query::QueryArgs),
    Top(top::TopArgs),
    Diff(diff::DiffArgs),
    Export(export::ExportArgs),
    Push(push::PushArgs),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    stoker_agent::symbolize::dispatch_worker();
    record::dispatch();
    let code = match Cli::parse().command {
        Command::Up(args) => done(up::run(&args).map_err(|error| Failure::from_chain(&error))),
        Command::Record(args) => record::run(&args),
        Command::Diff(args) => done(block_on(diff::run(args))),
        Command::Top(args) => done(block_on(top::run(args))),
        Command::Query(args) => done(block_on(query::run(args))),
        Command::Export(args) => done(block_on(export::run(args))),
        Command::Push(args) => block_on(push::run(args)),
        Command::Completions { shell } => done(completions(shell)),
    };
    code.unwrap_or_else(|failure| failure.report())
}

fn done(result: Result<(), Failure>) -> Result<ExitCode, Failure> {
    result.map(|()| ExitCode::SUCCESS)
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}"), ""))?;
    runtime.block_on(work)
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "stoker", &mut script);
    io::stdout().write_all(&script).map_err(Failure::from_output)
}
