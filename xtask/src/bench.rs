//! `cargo xtask bench`: release binaries, measured; one line more in `benches/history/`.

use std::process::Command;

use anyhow::Result;

use crate::{host, packages, web};

/// Builds and runs the benchmarks.
pub fn run() -> Result<()> {
    let root = host::root()?;
    packages::ensure("bench", &["gcc", "iproute2"], true)?;
    web::build(&root)?;
    let cargo = || {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&root);
        cargo
    };
    host::run(cargo().args(["build", "--release", "--locked", "--workspace", "--bins"]))?;
    host::say("bench: about three minutes; leave the machine alone meanwhile");
    host::run(cargo().args(["run", "--release", "--locked", "--quiet", "-p", "stoker-benches"]))
}
