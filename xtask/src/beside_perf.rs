//! `cargo xtask beside-perf`: the same programs under `stoker record` and `perf record`.

use std::process::Command;

use anyhow::Result;

use crate::{host, packages};

/// Installs perf and the programs, builds, and records.
pub fn run() -> Result<()> {
    let root = host::root()?;
    let programs = ["linux-perf", "gcc", "python3", "sqlite3", "xz-utils"];
    packages::ensure("beside-perf", &programs, true)?;
    let cargo = || {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&root);
        cargo
    };
    let build = ["build", "--release", "--locked", "-p", "stoker-cli", "-p", "stoker-benches"];
    host::run(cargo().args(build).args(["--bins", "--lib"]))?;
    host::say("beside-perf: some minutes; leave the machine alone meanwhile");
    let bench = ["run", "--release", "--locked", "--quiet", "-p", "stoker-benches"];
    host::run(cargo().args(bench).args(["--bin", "beside_perf"]))
}
