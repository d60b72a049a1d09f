//! `cargo xtask web`: builds the viewer into `web/dist`, from where the server embeds it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use crate::host;
use crate::node::Node;

/// Builds the viewer unless what is built is newer than all it is built from.
pub fn build(root: &Path) -> Result<Node> {
    let node = Node::ensure(root)?;
    install(root, &node)?;
    if is_fresh(root) {
        return Ok(node);
    }
    host::say("viewer: building");
    host::run(node.command(root, "npm").args(["run", "--silent", "build"]))?;
    Ok(node)
}

/// Installs what `package-lock.json` names, when it changed since the last time.
fn install(root: &Path, node: &Node) -> Result<()> {
    let web = root.join("web");
    let lock =
        fs::read(web.join("package-lock.json")).context("cannot read web/package-lock.json")?;
    let marker = web.join("node_modules/.stoker-lock");
    if fs::read(&marker).ok().as_deref() == Some(&lock[..]) {
        return Ok(());
    }
    host::say("viewer: installing what web/package-lock.json names");
    host::run(node.command(root, "npm").args(["ci", "--silent", "--no-audit", "--no-fund"]))?;
    fs::write(&marker, &lock).with_context(|| format!("cannot write {}", marker.display()))
}

fn is_fresh(root: &Path) -> bool {
    let web = root.join("web");
    let Some(built) = modified(&web.join("dist/index.html")) else { return false };
    let inputs = ["src", "public", "index.html", "package-lock.json", "vite.config.ts"];
    inputs.iter().all(|name| newest(&web.join(name)).is_none_or(|changed| changed <= built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn newest(path: &Path) -> Option<SystemTime> {
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    let below = below.filter_map(|entry| newest(&entry.path())).max();
    modified(path).max(below)
}
