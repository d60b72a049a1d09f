//! `cargo xtask bench`: release binaries, measured; two lines more in `benches/history/`.

use std::process::Command;

use anyhow::Result;

use crate::{host, packages, web};

/// Builds and runs the benchmarks.
pub fn run() -> Result<()> {
    let root = host::root()?;
    // The last two are for the rival that sums pprof files.
    let needed = ["gcc", "iproute2", "golang-go", "golang-github-google-pprof-dev"];
    packages::ensure("bench", &needed, true)?;
    web::build(&root)?;
    let cargo = || {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&root);
        cargo
    };
    host::run(cargo().args(["build", "--release", "--locked", "--workspace", "--bins"]))?;
    host::say("bench: about ten minutes; leave the machine alone meanwhile");
    let run = ["run", "--release", "--locked", "--quiet", "-p", "stoker-benches"];
    host::run(cargo().args(run))?;
    // The store by itself, which needs neither root nor BPF: a row of its own.
    host::run(cargo().args(run).args(["--bin", "scaling", "--", "--rows", "1000000", "--history"]))
}
