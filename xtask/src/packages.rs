//! Debian packages: what is missing is installed, and said.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::host;

/// Sees to it that these packages are there. `what_for` opens each line to the person.
pub fn ensure(what_for: &str, packages: &[&str], install: bool) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !install {
        bail!("missing Debian packages: {list}");
    }
    host::say(&format!("{what_for}: installing Debian packages: {list}"));
    apt(&["update", "-q"])?;
    let args = ["install", "-q", "-y", "--no-install-recommends"];
    apt(&[&args, &*missing].concat())
        .with_context(|| format!("cannot install {list} (are you root, on Debian or Ubuntu?)"))
}

fn apt(args: &[&str]) -> Result<()> {
    let mut command = match is_root() {
        true => Command::new("apt-get"),
        false => {
            let mut sudo = Command::new("sudo");
            sudo.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
            sudo
        }
    };
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(std::process::Stdio::null());
    host::run(&mut command)
}

/// Whether commands run as root here.
pub fn is_root() -> bool {
    host::output("id", &["-u"]).as_deref() == Some("0")
}

fn installed(package: &str) -> bool {
    host::output("dpkg-query", &["-W", "-f", "${db:Status-Status}", package])
        .is_some_and(|status| status == "installed")
}
