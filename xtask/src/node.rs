//! Node for the viewer: the machine's own where it is new enough, else one in `.tools/node`.
//!
//! Debian 12's Node is too old for the viewer's build. A newer one is a package of the npm registry
//! like any other, so Debian's npm fetches it; nothing outside the repository changes but Debian's
//! own packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{host, packages};

/// The oldest Node that the viewer's build tool takes.
const OLDEST: (u32, u32) = (20, 19);
const NODE_VERSION: &str = "22";
const NPM_VERSION: &str = "11";
/// Debian's list of certificate authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A Node that is new enough, with its npm.
pub struct Node {
    /// What to put before `PATH`; none for the machine's own.
    bin: Vec<PathBuf>,
}

impl Node {
    /// Finds Node or installs it.
    pub fn ensure(root: &Path) -> Result<Self> {
        if new_enough("node") && host::output("npm", &["--version"]).is_some() {
            return Ok(Self { bin: vec![] });
        }
        let modules = root.join(".tools/node/node_modules");
        let package = format!("node-linux-{}", architecture()?);
        let node = Self { bin: vec![modules.join(&package).join("bin"), modules.join(".bin")] };
        if !new_enough(node.bin[0].join("node")) {
            packages::ensure("viewer", &["npm"], true)?;
            host::say(&format!("viewer: installing Node {NODE_VERSION} into .tools/node"));
            let prefix = root.join(".tools/node");
            host::run(
                Command::new("npm")
                    .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
                    .arg(&prefix)
                    .args([format!("{package}@{NODE_VERSION}"), format!("npm@{NPM_VERSION}")]),
            )?;
        }
        Ok(node)
    }

    /// A command of npm or node, in `web/`.
    pub fn command(&self, root: &Path, program: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = self.bin.iter().cloned().chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        // A path that cannot be joined holds a colon: then the machine's own Node has to do.
        command
            .env("PATH", std::env::join_paths(all).unwrap_or(path))
            .current_dir(root.join("web"));
        // A Node that is not Debian's own brings its own list of authorities; what the machine
        // trusts beside those (a company's proxy, say) it has to be told.
        if std::env::var_os("NODE_EXTRA_CA_CERTS").is_none() && Path::new(AUTHORITIES).exists() {
            command.env("NODE_EXTRA_CA_CERTS", AUTHORITIES);
        }
        command
    }
}

fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("x64"),
        "aarch64" => Ok("arm64"),
        _ => None.context("there is no Node package for this processor; install Node 22 by hand"),
    }
}

fn new_enough(node: impl AsRef<std::ffi::OsStr>) -> bool {
    let version = host::output(node, &["--version"]).unwrap_or_default();
    let mut parts = version.trim_start_matches('v').split('.').map_while(|part| part.parse().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST,
        _ => false,
    }
}
