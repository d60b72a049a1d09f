//! What the agent needs beside the kernel: a folder, a server, and nobody who has switched it off.

use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use super::Finding;
use crate::guard::KillSwitch;
use crate::run::AgentConfig;

/// How long the server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// gRPC's port unless the address names one.
const DEFAULT_PORT: u16 = 4041;

pub(super) fn examine(config: &AgentConfig) -> Vec<Finding> {
    let mut findings = vec![state_dir(config), server(&config.server), budgets(config)];
    findings.extend(config.kill_switch.as_deref().map(kill_switch));
    findings
}

fn state_dir(config: &AgentConfig) -> Finding {
    const NAME: &str = "state folder";
    let dir = config.state_dir.as_path();
    let shown = dir.display();
    if let Err(error) = writable(dir) {
        let mend = "give another with --state-dir, or make it writable for the agent's user";
        return Finding::broken(NAME, format!("{shown}: {error}"), Some(mend.into()));
    }
    let spool = fs::read_dir(dir.join("spool"));
    let batches = spool.map_or(0, |files| {
        let files = files.flatten().map(|file| file.path());
        files.filter(|path| path.extension().is_some_and(|e| e == "batch")).count()
    });
    let free = rustix::fs::statvfs(existing(dir)).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
    let found = format!("{shown}: {batches} batches wait, {} MiB free", free >> 20);
    if free < config.spool_max_bytes {
        let most = config.spool_max_bytes >> 20;
        let mend = format!("the spool may grow to {most} MiB: lower --spool-bytes, or make room");
        return Finding::degraded(NAME, found, mend);
    }
    Finding::fine(NAME, found)
}

/// The folder, or what of its path is there.
fn existing(dir: &Path) -> &Path {
    dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

/// Whether the folder can be written, or made; asks the kernel and writes nothing.
fn writable(dir: &Path) -> Result<(), String> {
    let existing = existing(dir);
    if !existing.is_dir() {
        return Err(format!("{} is no folder", existing.display()));
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::accessat(rustix::fs::CWD, existing, access, rustix::fs::AtFlags::EACCESS)
        .map_err(|error| format!("{} cannot be written: {error}", existing.display()))
}

fn server(url: &str) -> Finding {
    const NAME: &str = "server";
    match connect(url) {
        Ok(address) => Finding::fine(NAME, format!("{url} accepts connections ({address})")),
        Err(error) => Finding::degraded(
            NAME,
            format!("{url}: {error}"),
            "batches wait in the state folder meanwhile: start the server, correct --server, or \
             let port 4041 through",
        ),
    }
}

fn connect(url: &str) -> Result<std::net::SocketAddr, String> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port { host.to_owned() } else { format!("{host}:{DEFAULT_PORT}") };
    let found = host.to_socket_addrs().map_err(|error| error.to_string())?;
    let mut last = "the name has no address".to_owned();
    for address in found {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(_) => return Ok(address),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

fn budgets(config: &AgentConfig) -> Finding {
    let budget = &config.budget;
    let cpu =
        budget.cpu_percent.map_or("no bound".into(), |percent| format!("{percent} % of a core"));
    let memory =
        budget.memory_bytes.map_or("no bound".into(), |bytes| format!("{} MiB", bytes >> 20));
    Finding::info("budgets", format!("CPU: {cpu}, memory: {memory}"))
}

fn kill_switch(path: &Path) -> Finding {
    const NAME: &str = "kill switch";
    if KillSwitch::at(path.into()).is_on() {
        let mend = "sampling is off while the file exists: remove it";
        return Finding::degraded(NAME, format!("{} exists", path.display()), mend);
    }
    Finding::fine(NAME, format!("{} does not exist", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_and_its_absence_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        assert_eq!(connect(&format!("http://{address}")), Ok(address));
        drop(listener);
        assert!(connect(&format!("http://{address}")).is_err());
    }

    #[test]
    fn a_folder_below_a_file_cannot_be_made() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(writable(&file.path().join("x")).is_err());
        assert!(writable(&std::env::temp_dir().join("not/yet/there")).is_ok());
    }
}
