//! From sources to an object, the same bytes wherever it is done.
//!
//! File names end up in BTF, so the folders of this machine are mapped to fixed names; the rest of
//! the debug information is stripped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::toolchain::Tools;
use crate::host;

const TARGET: &str = "bpfel-unknown-none";

/// Builds the programs and returns the object's bytes.
pub fn object(root: &Path, tools: &Tools, measure: bool) -> Result<Vec<u8>> {
    let target_dir = root.join(if measure { "target/ebpf-measure" } else { "target/ebpf" });
    host::run(cargo(root, tools).args(["fetch", "--quiet", "--locked"]))
        .context("cannot fetch what the kernel-side programs depend on")?;
    let mut build = cargo(root, tools);
    build.args(["build", "--quiet", "--release", "--locked", "--target", TARGET, "--target-dir"]);
    build.arg(&target_dir).env("CARGO_ENCODED_RUSTFLAGS", flags(root, tools)?);
    if measure {
        build.args(["--features", "measure"]);
    }
    host::run(&mut build).context("the kernel-side programs do not build")?;
    let built = target_dir.join(TARGET).join("release/stoker");
    let stripped = built.with_extension("bpf.o");
    fs::copy(&built, &stripped).with_context(|| format!("cannot copy {}", built.display()))?;
    host::run(Command::new(&tools.strip).arg("--strip-debug").arg(&stripped))?;
    fs::read(&stripped).with_context(|| format!("cannot read {}", stripped.display()))
}

/// Debian's cargo in `ebpf/`, out of reach of the outer cargo's and rustup's environment.
fn cargo(root: &Path, tools: &Tools) -> Command {
    let mut command = Command::new(&tools.cargo);
    command.current_dir(root.join("ebpf")).env("RUSTC", &tools.rustc).env("RUSTC_BOOTSTRAP", "1");
    for name in ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "RUSTC_WRAPPER", "CARGO", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    command
}

fn flags(root: &Path, tools: &Tools) -> Result<String> {
    let mut flags = vec![
        format!("-Clinker={}", tools.linker.display()),
        "-Clink-arg=--btf".to_owned(),
        // The registers' layout; the only one so far.
        "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
        format!("--remap-path-prefix={}=/stoker", root.display()),
    ];
    for registry in registries()? {
        flags.push(format!("--remap-path-prefix={}=/crates", registry.display()));
    }
    Ok(flags.join("\x1f"))
}

/// The folders in which cargo keeps unpacked crates.
fn registries() -> Result<Vec<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")));
    let sources = home.context("neither CARGO_HOME nor HOME is set")?.join("registry/src");
    let entries =
        fs::read_dir(&sources).with_context(|| format!("cannot read {}", sources.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
