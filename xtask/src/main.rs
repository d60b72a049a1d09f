//! The project's own commands. One module per command; this file only chooses.
//!
//! Names nothing of ours: xtask must build and say what is wrong when the rest does not.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod beside_perf;
mod browser;
mod crash;
mod ebpf;
mod fuzz;
mod golden;
mod host;
mod node;
mod overload;
mod packages;
mod qemu;
mod test;
mod tools;
mod up;
mod web;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Stoker's own commands", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up, build, and profile this machine, live: viewer on http://localhost:4040
    Up(up::Args),
    /// Set up and run everything that CI runs
    Test(test::Args),
    /// Measure, and append a line to benches/history/
    Bench,
    /// Record the same programs with `stoker record` and `perf record`: cost, size, shares of functions
    BesidePerf,
    /// Boot Debian's kernel in an emulator, load the programs there and record
    Qemu(qemu::Args),
    /// Kill the server under load a thousand times, and run thousands of lives on the simulated disk
    Crash(crash::Args),
    /// Offer a server ten times the load that it takes, and draw its memory
    Overload(overload::Args),
    /// Build the viewer into web/dist, from where the server embeds it
    Web,
    /// Renew golden outputs
    Golden,
    /// Build the kernel-side programs, or check the committed object against its source
    Ebpf(ebpf::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up(args) => up::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench => bench::run(),
        Command::BesidePerf => beside_perf::run(),
        Command::Qemu(args) => qemu::run(&args),
        Command::Crash(args) => crash::run(&args),
        Command::Overload(args) => overload::run(&args),
        Command::Web => host::root().and_then(|root| web::build(&root).map(drop)),
        Command::Golden => golden::run(),
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
