//! The project's own commands. One module per command; this file only chooses.
//!
//! Names nothing of ours: xtask must build and say what is wrong when the rest does not.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod ebpf;
mod host;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Stoker's own commands", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the kernel-side programs, or check the committed object against its source
    Ebpf(ebpf::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Ebpf(args) => ebpf::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            host::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
