//! `cargo xtask up`: from a fresh clone to a live flame graph of this machine.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{ebpf, host, packages, web};

/// Everything after `up` goes to `stoker up`.
#[derive(clap::Args)]
pub struct Args {
    /// Options of `stoker up`: --data-dir D, --http ADDR, --grpc ADDR, --frequency HZ, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Sets up, builds, and becomes `stoker up`.
pub fn run(args: &Args) -> Result<()> {
    let root = host::root()?;
    packages::ensure("up", &["gcc", "libc6-dev"], true)?;
    ebpf::check(&root)?;
    web::build(&root)?;
    host::say("up: building stoker (the first time takes some minutes)");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    host::run(
        Command::new(cargo)
            .args(["build", "--release", "--locked", "--package", "stoker-cli"])
            .current_dir(&root),
    )?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let stoker = target.join("release/stoker");
    let mut command = if packages::is_root() {
        Command::new(&stoker)
    } else {
        host::say("up: sampling every process needs root; asking sudo");
        let mut sudo = Command::new("sudo");
        sudo.arg(&stoker);
        sudo
    };
    // Becoming the program, rather than waiting for it, gives it Ctrl-C and its own exit code.
    let error = command.arg("up").args(&args.options).exec();
    Err(error).with_context(|| format!("cannot run {}", stoker.display()))
}
