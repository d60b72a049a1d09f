//! Tools that check the tree, kept in `.tools/`: built or fetched once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{host, packages};

const CARGO_DENY: &str = "0.20.2";
const TYPOS: &str = "1.52.0";
const DUCKDB: &str = "2.0.0";

/// cargo-deny: licences, sources and duplicates of dependencies.
pub fn cargo_deny(root: &Path) -> Result<PathBuf> {
    let tools = root.join(".tools");
    let binary = tools.join("bin/cargo-deny");
    let version = host::output(&binary, &["--version"]).unwrap_or_default();
    if version.split(' ').next_back() != Some(CARGO_DENY) {
        host::say(&format!("lint: building cargo-deny {CARGO_DENY} into .tools/ (minutes, once)"));
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["install", "cargo-deny", "--locked", "--quiet", "--version", CARGO_DENY]);
        command.arg("--root").arg(&tools).env("CARGO_TARGET_DIR", tools.join("build"));
        host::run(&mut command)?;
    }
    Ok(binary)
}

/// typos: spelling. A Rust program that is also packaged for Python, which saves building it.
pub fn typos(root: &Path) -> Result<PathBuf> {
    let folder = root.join(".tools/typos");
    let binary = folder.join("bin/typos");
    let version = host::output(&binary, &["--version"]).unwrap_or_default();
    if version.split(' ').next_back() != Some(TYPOS) {
        install_python("lint", "typos", TYPOS, &folder)?;
    }
    Ok(binary)
}

/// DuckDB for Python, with which a test reads the Parquet files that Stoker writes. Where it cannot be
/// installed that test counts as skipped.
pub fn duckdb(root: &Path) {
    let folder = root.join(".tools/duckdb");
    if folder.join(format!("duckdb-{DUCKDB}.dist-info")).exists() {
        return;
    }
    if let Err(error) = install_python("test", "duckdb", DUCKDB, &folder) {
        host::say(&format!("test: no DuckDB: {error:#}"));
    }
}

fn install_python(stage: &str, package: &str, version: &str, folder: &Path) -> Result<()> {
    if host::output("python3", &["-m", "pip", "--version"]).is_none() {
        packages::ensure(stage, &["python3-pip"], true)?;
    }
    host::say(&format!("{stage}: installing {package} {version} into .tools/"));
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--upgrade", "--no-deps"]);
    command.arg("--target").arg(folder).arg(format!("{package}=={version}"));
    host::run(&mut command).with_context(|| format!("cannot install {package}"))
}
