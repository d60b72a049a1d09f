//! The viewer on live data: `stoker up` on free ports, something to look at, and Chromium.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::node::Node;
use crate::{host, packages};

/// How long the server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// A child that ends with its owner.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the browser test against a fresh server.
pub fn run(root: &Path, node: &Node) -> Result<()> {
    if !packages::is_root() {
        bail!("the browser test samples this machine, which needs root");
    }
    let data = root.join("target/browser-data");
    let _ = std::fs::remove_dir_all(&data);
    let (http, grpc) = (free_address()?, free_address()?);
    let mut up = Command::new(root.join("target/debug/stoker"));
    up.args(["up", "--detailed", "--http", &http, "--grpc", &grpc, "--data-dir"]).arg(&data);
    let _server = background(&mut up)?;
    // Something to look at: a process that is always busy.
    let _busy = background(Command::new("sh").args(["-c", "while :; do :; done"]))?;
    wait_ready(&http)?;
    let mut test = node.command(root, "npm");
    test.args(["run", "--silent", "e2e"]).env("STOKER_URL", format!("http://{http}"));
    host::run(&mut test)
}

fn background(command: &mut Command) -> Result<Background> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    Ok(Background(child.with_context(|| format!("cannot start {command:?}"))?))
}

fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.to_string())
}

fn wait_ready(http: &str) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(http).is_err() {
        if Instant::now() > end {
            bail!("stoker up did not listen on {http}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
