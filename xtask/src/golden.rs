//! `cargo xtask golden`: renews golden outputs, to be read as a diff before they are committed.
//!
//! Golden bytes of formats that have been released are not renewed here or anywhere: a new version
//! gets a new file.

use std::process::Command;

use anyhow::Result;

use crate::host;

/// Crates with golden outputs.
const CRATES: [&str; 2] = ["stoker-formats", "stoker-server"];

/// Runs the tests that hold goldens, told to write them.
pub fn run() -> Result<()> {
    let root = host::root()?;
    for name in CRATES {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["test", "--quiet", "--package", name]).env("STOKER_GOLDEN", "write");
        host::run(command.current_dir(&root))?;
    }
    host::say("golden: renewed; read the diff with `git diff` before you commit it");
    Ok(())
}
