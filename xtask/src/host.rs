//! What commands do to the machine they run on: say things, run programs, find the repository.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// The repository's root: the folder above this crate.
pub fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().context("the xtask crate has no parent folder")?;
    Ok(root.to_path_buf())
}

/// One line to the person who runs the command.
#[expect(clippy::print_stderr, reason = "commands talk to a person; output proper goes to files")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Runs a program to its end; an exit code other than 0 is an error that names the program.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_owned();
    let status = command.status().with_context(|| format!("cannot run {}", name.display()))?;
    if !status.success() {
        bail!("{} failed ({status})", name.display());
    }
    Ok(())
}

/// What a program prints, trimmed; `None` where it does not run or fails.
pub fn output(program: impl AsRef<OsStr>, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
