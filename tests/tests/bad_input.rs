//! Wrong use and broken input: one clear sentence, exit code 2, nothing written, nothing lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use stoker_tests::{Server, binary, can_sample, get};

/// Runs a command that must fail with exit code 2 and say these words on its standard error.
fn refused(command: &mut Command, words: &[&str]) {
    let Output { status, stderr, .. } = command.env_remove("RUST_BACKTRACE").output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(2), "{command:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{command:?} does not say {word:?}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

const ANY: &str = "127.0.0.1:0";
const NOBODY: &str = "http://127.0.0.1:1";

fn server(dir: &Path, http: &str, grpc: &str) -> Command {
    let mut command = Command::new(binary("stoker-server"));
    command.args(["--http", http, "--grpc", grpc, "--data-dir"]).arg(dir);
    command
}

fn agent(dir: &Path, server: &str) -> Command {
    let mut command = Command::new(binary("stoker-agent"));
    command.args(["--server", server, "--state-dir"]).arg(dir);
    command
}

#[test]
fn wrong_flags_are_refused() {
    for name in ["stoker-server", "stoker-agent", "stoker"] {
        refused(Command::new(binary(name)).arg("--nonsense"), &["--nonsense", "--help"]);
    }
    let dir = tempfile::tempdir().unwrap();
    refused(agent(dir.path(), NOBODY).args(["--frequency", "0"]), &["--frequency", "1..=10000"]);
    refused(agent(dir.path(), NOBODY).args(["--label", "no-value"]), &["NAME=VALUE"]);
    refused(&mut server(dir.path(), "elsewhere", ANY), &["--http"]);
    refused(&mut server(dir.path(), "0.0.0.0:0", ANY), &["--http", "--insecure"]);
}

#[test]
fn a_port_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&mut server(dir.path(), &address, ANY), &["in use", &port, "--http"]);
    refused(&mut server(dir.path(), ANY, &address), &["in use", &port, "--grpc"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was written");
}

#[test]
fn a_folder_of_a_newer_version_or_of_another_process_is_left_alone() {
    let newer = tempfile::tempdir().unwrap();
    let first = Server::new(newer.path());
    first.start().interrupt();
    let format = newer.path().join("data/FORMAT");
    let written = std::fs::read_to_string(&format).unwrap();
    let digits = |c: char| c.is_ascii_digit();
    assert!(written.contains(digits), "{written}");
    let future: String = written.chars().map(|c| if digits(c) { '9' } else { c }).collect();
    std::fs::write(&format, future).unwrap();
    refused(&mut server(&newer.path().join("data"), ANY, ANY), &["newer"]);

    let shared = tempfile::tempdir().unwrap();
    let owner = Server::new(shared.path());
    let running = owner.start();
    let pid = running.pid().to_string();
    refused(&mut server(&shared.path().join("data"), ANY, ANY), &["in use", &pid]);
    assert_eq!(get(owner.http, "/readyz").unwrap().status, 200, "the owner goes on");
}

#[test]
fn an_agent_says_what_it_lacks() {
    if !can_sample("an_agent_says_what_it_lacks") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    // Where the binary stands may be closed to others; a copy is not.
    let copy = dir.path().join("stoker-agent");
    std::fs::copy(binary("stoker-agent"), &copy).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&copy);
    nobody.args(["--server", NOBODY, "--state-dir"]).arg(&state);
    refused(&mut nobody, &["root"]);
    let mut without_btf = Command::new("unshare");
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
    without_btf.args(["--mount", "sh", "-c", hide]).arg(&copy);
    without_btf.args(["--server", NOBODY, "--state-dir"]).arg(&state);
    refused(&mut without_btf, &["BTF"]);
    assert!(!state.exists(), "something was written");
    refused(&mut agent(&state, "not an address"), &["http://"]);
}
