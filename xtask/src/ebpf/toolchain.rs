//! The tools that build for the kernel: Debian's `rustc` with its BPF standard library, and
//! bpf-linker on Debian's LLVM. What is missing is installed, and said.
//!
//! Debian's compiler rather than a nightly, because it comes with `core` built for BPF. bpf-linker
//! takes minutes to build and is kept in `.tools/`, which git ignores.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{host, packages};

const PACKAGES: [&str; 5] =
    ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf", "llvm-22-dev", "libpolly-22-dev"];
const LINKER_VERSION: &str = "0.13.0";
const LLVM_FEATURE: &str = "llvm-22";
const LLVM_CONFIG: &str = "llvm-config-22";

/// Where the tools are.
pub struct Tools {
    /// Debian's cargo.
    pub cargo: PathBuf,
    /// Debian's rustc.
    pub rustc: PathBuf,
    /// bpf-linker, in `.tools/bin`.
    pub linker: PathBuf,
    /// Removes the debug information that BTF was made from.
    pub strip: PathBuf,
}

impl Tools {
    /// Versions, on one line.
    pub fn describe(&self) -> String {
        let rustc = host::output(&self.rustc, &["--version"]).unwrap_or_default();
        let llvm = host::output(LLVM_CONFIG, &["--version"]).unwrap_or_default();
        format!("{rustc}; bpf-linker {LINKER_VERSION}; LLVM {llvm}")
    }
}

/// Finds the tools, installing what is missing where `install` allows it.
pub fn ensure(root: &Path, install: bool) -> Result<Tools> {
    packages::ensure("ebpf", &PACKAGES, install)?;
    let tools = Tools {
        cargo: "/usr/bin/cargo".into(),
        rustc: "/usr/bin/rustc".into(),
        linker: root.join(".tools/bin/bpf-linker"),
        strip: "llvm-strip-22".into(),
    };
    ensure_linker(root, &tools.linker, install)?;
    Ok(tools)
}

fn ensure_linker(root: &Path, linker: &Path, install: bool) -> Result<()> {
    let version = host::output(linker, &["--version"]).unwrap_or_default();
    if version.split(' ').next_back() == Some(LINKER_VERSION) {
        return Ok(());
    }
    if !install {
        bail!("missing: bpf-linker {LINKER_VERSION} in .tools/");
    }
    host::say(&format!(
        "ebpf: building bpf-linker {LINKER_VERSION} into .tools/ (a few minutes, once)"
    ));
    let prefix = host::output(LLVM_CONFIG, &["--prefix"])
        .with_context(|| format!("{LLVM_CONFIG} does not run"))?;
    let tools = root.join(".tools");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["install", "bpf-linker", "--locked", "--force", "--version", LINKER_VERSION])
        .args(["--no-default-features", "--features", LLVM_FEATURE])
        .arg("--root")
        .arg(&tools)
        .env("CARGO_TARGET_DIR", tools.join("build"))
        .env("LLVM_PREFIX", &prefix)
        .env("RUSTFLAGS", format!("-L {prefix}/lib"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    host::run(&mut command)
}
