//! The `stoker` command: reads its arguments and hands over. What it prints is for people unless
//! `--json` is given; errors go to standard error and say what was wrong, where, and what to do.
//!
//! Exit codes: 0 fine, 1 a gate failed, 2 wrong use or broken input, 3 not enough data to decide.

#![forbid(unsafe_code)]

mod bench;
mod client;
mod diff;
mod export;
mod failure;
mod files;
mod local;
mod manual;
mod output;
mod push;
mod query;
mod record;
mod source;
mod symbols;
mod table;
mod top;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sudo stoker up                                      profile this machine; look at it in a browser
  sudo stoker record -o build.svg -- make -j4         one command, no server
  stoker top cpu.pb.gz                                the hottest functions of a file
  stoker diff before.pb.gz after.pb.gz                what changed
  stoker push 'profiles/*.pb.gz' --label service_name=api

`stoker COMMAND --help` has examples of each command.";

/// Continuous profiling for this machine and for fleets.
#[derive(Debug, Parser)]
#[command(name = "stoker", version, propagate_version = true, after_help = EXAMPLES)]
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
    BenchDiff(bench::BenchArgs),
    Export(export::ExportArgs),
    Push(push::PushArgs),
    Symbols(symbols::SymbolsArgs),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

fn main() -> ExitCode {
    stoker_agent::symbolize::dispatch_worker();
    record::dispatch();
    let code = match Cli::parse().command {
        Command::Up(args) => done(up::run(&args).map_err(|error| Failure::from_chain(&error))),
        Command::Record(args) => record::run(&args),
        Command::Diff(args) => block_on(diff::run(args)),
        Command::BenchDiff(args) => bench::run(&args),
        Command::Top(args) => done(block_on(top::run(args))),
        Command::Query(args) => done(block_on(query::run(args))),
        Command::Export(args) => done(block_on(export::run(args))),
        Command::Push(args) => block_on(push::run(args)),
        Command::Symbols(args) => block_on(symbols::run(args)),
        Command::Completions(args) => done(manual::completions(&args, Cli::command())),
        Command::Man(args) => done(manual::man(&args, Cli::command())),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_s_help_has_examples() {
        Cli::command().debug_assert();
        let commands = Cli::command();
        for command in commands.get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:"), "{} has none", command.get_name());
        }
    }
}
