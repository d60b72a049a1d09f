//! Disks that are full or read-only, real ones: a small one in memory, and a folder mounted again
//! without leave to write, each in a mount namespace of its own. Where those cannot be made the tests
//! count themselves as skipped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stoker_tests::{Running, Server, binary, get, skipped, wait_for};

const PUSHED: &str = "process_cpu:samples:count:cpu:nanoseconds{service_name=\"disk\"}";

/// A shell in namespaces that end with it, or nothing where there are none.
fn isolated(test: &str) -> Option<Command> {
    for root in [&[][..], &["--map-root-user"]] {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--fork", "--kill-child"]).args(root);
        let mount = ["sh", "-c", "mount -t tmpfs stoker /mnt"];
        let mut probe = Command::new("unshare");
        probe.args(unshare.get_args()).args(mount);
        if probe.output().is_ok_and(|output| output.status.success()) {
            unshare.args(["sh", "-c"]);
            return Some(unshare);
        }
    }
    skipped(test, "no namespace with a mount of its own can be made here");
    None
}

/// Runs the server on the mount, and again when it was stopped by the file `$stop1`.
const TWICE: &str = r#"stop="$1"; shift
for turn in 1 2; do
  "$@" & while [ ! -e "$stop$turn" ]; do sleep 0.05; done
  kill -TERM $!; wait $!; echo "ended with $?"
done"#;

fn start(mut shell: Command, mount: &str, server: &Server, options: &[&str]) -> Running {
    shell.arg(format!("{mount} && {TWICE}")).arg("sh").arg(server.dir.join("stop"));
    shell.arg(binary("stoker-server")).arg("--data-dir").arg(server.dir.join("disk/data"));
    shell.args(["--http", &server.http.to_string(), "--grpc", &server.grpc.to_string()]);
    Running::start(shell.args(options), &server.dir.join("server.log"))
}

fn serves(server: &Server, running: &Running) {
    let alive = || get(server.http, "/healthz").is_some_and(|answer| answer.status == 200);
    wait_for("the server to answer", || {
        let output = running.output();
        assert!(!output.contains("error: "), "{output}");
        alive().then_some(())
    });
}

/// Pushes a profile of stacks that nobody has seen; gives status and answer.
fn push(server: SocketAddr, turn: usize, stacks: usize) -> (u16, String) {
    let mut body = String::new();
    for n in 0..stacks {
        writeln!(body, "main;a_function_of_turn_{turn}_number_{n}_{} 1", n * 7919 % 65_537)
            .unwrap();
    }
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = body.len();
    let head = "POST /api/v1/push?service_name=disk&from=now-10s&until=now HTTP/1.0";
    write!(stream, "{head}\r\nHost: {server}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn gauge(server: &Server, name: &str) -> u64 {
    let text = String::from_utf8(get(server.http, "/metrics").unwrap().body).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn status(server: &Server, path: &str) -> u16 {
    get(server.http, path).unwrap().status
}

fn stop(dir: &Path, turn: u32, running: &Running) {
    std::fs::write(dir.join(format!("stop{turn}")), "").unwrap();
    let ended = |output: &str| output.matches("ended with 0").count() == turn as usize;
    wait_for("the server to end", || ended(&running.output()).then_some(()));
}

#[test]
fn the_disk_is_never_filled_and_what_is_stored_is_served() {
    let Some(shell) = isolated("the_disk_is_never_filled") else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("disk")).unwrap();
    let server = Server::new(dir.path());
    let mount = format!("mount -t tmpfs -o size=16m stoker {}", dir.path().join("disk").display());
    let running = start(shell, &mount, &server, &["--min-free-disk", "6MiB"]);
    serves(&server, &running);
    const STACKS: usize = 10_000;
    let mut taken = 0;
    let (status_code, answer) = loop {
        let (status, answer) = push(server.http, taken, STACKS);
        if status != 200 {
            break (status, answer);
        }
        taken += 1;
        assert!(taken < 500, "it never fills");
    };
    assert!(status_code == 507 && answer.contains("disk_full"), "{status_code}: {answer}");
    assert!(answer.contains("6291456 are kept free") && answer.contains("hint"), "{answer}");
    assert!(taken > 1, "{taken} pushes were taken");
    let free = gauge(&server, "stoker_store_disk_free_bytes");
    assert!((4 << 20..6 << 20).contains(&free), "{free} bytes are left");
    assert_eq!((status(&server, "/healthz"), status(&server, "/readyz")), (200, 503));
    let samples = (taken * STACKS) as u64;
    assert_eq!(server.samples(PUSHED), samples);
    // Sealed, the log takes a fraction, and there is room again.
    stop(dir.path(), 1, &running);
    serves(&server, &running);
    assert_eq!(server.samples(PUSHED), samples);
    wait_for("room", || (push(server.http, 1000, 10).0 == 200).then_some(()));
    assert_eq!(server.samples(PUSHED), samples + 10);
    stop(dir.path(), 2, &running);
}

#[test]
fn a_disk_that_is_read_only_is_served_and_nothing_is_stored() {
    let Some(shell) = isolated("a_disk_that_is_read_only") else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("disk")).unwrap();
    let server = Server::new(dir.path());
    // A segment, and a log that a crash left behind.
    for (turn, ends) in [(1, true), (2, false)] {
        let mut command = Command::new(binary("stoker-server"));
        command.arg("--data-dir").arg(dir.path().join("disk/data"));
        command.args(["--http", &server.http.to_string(), "--grpc", &server.grpc.to_string()]);
        let running = Running::start(&mut command, &dir.path().join("first.log"));
        serves(&server, &running);
        assert_eq!(push(server.http, turn, 10).0, 200);
        if ends { drop(running.interrupt()) } else { running.kill() }
    }
    let disk = dir.path().join("disk").display().to_string();
    let mount = format!("mount --bind {disk} {disk} && mount -o remount,bind,ro {disk}");
    let running = start(shell, &mount, &server, &[]);
    serves(&server, &running);
    assert_eq!(server.samples(PUSHED), 20);
    let (code, answer) = push(server.http, 3, 10);
    assert!(code == 503 && answer.contains("read-only"), "{code}: {answer}");
    assert_eq!((status(&server, "/healthz"), status(&server, "/readyz")), (200, 503));
    assert_eq!(gauge(&server, "stoker_store_read_only"), 1);
    assert_eq!(server.samples(PUSHED), 20);
    stop(dir.path(), 1, &running);
    stop(dir.path(), 2, &running);
}
