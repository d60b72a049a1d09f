//! Fuzz targets, some seconds each: coverage-guided, on the stable compiler.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{host, packages};

/// What cargo-fuzz passes, without the sanitizers that need a nightly compiler.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";
const SECONDS_EACH: u32 = 8;
/// More memory than this for one input is a finding.
const MEMORY_MIB: u32 = 1024;

/// Builds the targets and runs each for a while.
pub fn run(root: &Path) -> Result<()> {
    packages::ensure("fuzz", &["g++"], true)?;
    let folder = root.join("fuzz");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = root.join("target/fuzz");
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--quiet", "--locked", "--bins", "--target"]).arg(triple()?);
    build.current_dir(&folder).env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", &target);
    host::run(&mut build)?;
    for name in targets(&folder)? {
        let corpus = target.join("corpus").join(&name);
        std::fs::create_dir_all(&corpus).context("cannot create the corpus folder")?;
        host::say(&format!("fuzz: {name} for {SECONDS_EACH} s"));
        let mut fuzz = Command::new(target.join(triple()?).join("release").join(&name));
        fuzz.arg(&corpus);
        // Inputs to begin with, where a target would take long to find their form.
        let seeds = folder.join("seeds").join(&name);
        if seeds.is_dir() {
            fuzz.arg(seeds);
        }
        fuzz.current_dir(&target).args([
            format!("-max_total_time={SECONDS_EACH}"),
            format!("-rss_limit_mb={MEMORY_MIB}"),
            // The same inputs in every run of one build: a check that is red is red for a reason.
            "-seed=1".into(),
            "-verbosity=0".into(),
            "-print_funcs=0".into(),
            "-timeout=5".into(),
        ]);
        host::run(&mut fuzz).with_context(|| format!("fuzz target {name} found something"))?;
    }
    Ok(())
}

/// With an explicit target the coverage flags do not reach build scripts.
fn triple() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("x86_64-unknown-linux-gnu"),
        "aarch64" => Ok("aarch64-unknown-linux-gnu"),
        other => anyhow::bail!("fuzzing is not set up for {other}"),
    }
}

fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.join("fuzz_targets")).context("no fuzz targets")? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
