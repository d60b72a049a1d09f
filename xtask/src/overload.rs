//! `cargo xtask overload`: ten times the load that a server takes, with its memory watched and drawn.

use std::process::Command;

use anyhow::Result;

use crate::host;

#[derive(clap::Args)]
pub struct Args {
    /// How long
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// The server's `--ingest-memory`
    #[arg(long, default_value = "256MiB")]
    ingest_memory: String,
}

/// Builds the server and overloads it; the picture is `docs/images/overload.svg`.
pub fn run(args: &Args) -> Result<()> {
    let root = host::root()?;
    let cargo = || {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&root);
        cargo
    };
    host::run(cargo().args(["build", "--release", "--locked", "-p", "stoker-server", "--bins"]))?;
    let mut overload = cargo();
    overload.args(["run", "--release", "--locked", "--quiet", "-p", "stoker-benches"]);
    overload.args(["--bin", "overload", "--", "--seconds", &args.seconds.to_string()]);
    overload.args(["--ingest-memory", &args.ingest_memory, "--svg", "docs/images/overload.svg"]);
    host::run(&mut overload)
}
