//! Names from a debuginfod server: elfutils' own client, and a server that knows one file.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use stoker_tests::{Server, binary, can_sample, skipped, wait_for};

use crate::{is_named, programs, run};

/// Answers every request for debug information with this file if it is of this build, else with 404.
fn debuginfod(build_id: &str, file: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let wanted = format!("GET /buildid/{build_id}/debuginfo ");
    let content = fs::read(file).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            let _headers = lines.map_while(Result::ok).find(String::is_empty);
            let (status, body) = match request.starts_with(&wanted) {
                true => ("200 OK", &content[..]),
                false => ("404 Not Found", &b""[..]),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // A client that asks for the head only does not wait for the rest.
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    format!("http://{address}")
}

fn build_id(file: &Path) -> String {
    let notes = Command::new("readelf").arg("-n").arg(file).output().unwrap();
    let notes = String::from_utf8(notes.stdout).unwrap();
    let line = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: ")).unwrap();
    line.to_owned()
}

#[test]
fn what_no_agent_could_name_is_fetched_from_debuginfod() {
    let test = "what_no_agent_could_name_is_fetched_from_debuginfod";
    if !can_sample(test) {
        return;
    }
    if Command::new("debuginfod-find").arg("--help").output().is_err() {
        return skipped(test, "needs debuginfod-find (Debian package debuginfod)");
    }
    let dir = tempfile::tempdir().unwrap();
    let (full, stripped) = programs(dir.path());
    let build_id = build_id(&full);
    let url = debuginfod(&build_id, &full);
    let server = Server::new(dir.path());
    let _running = server.start();
    let fetch = |arguments: &[&str]| {
        let mut command = Command::new(binary("stoker"));
        command.args(["symbols", "fetch", "--debuginfod", &url]).args(arguments);
        command.env("STOKER_SERVER", format!("http://{}", server.http));
        let output = command.env("DEBUGINFOD_CACHE_PATH", dir.path().join("cache")).output();
        let output = output.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, said) = fetch(&["00112233445566778899aabbccddeeff00112233"]);
    assert!(code == 2 && said.contains("no debuginfod server has it"), "{said}");
    let (code, said) = fetch(&["go:6162"]);
    assert!(code == 2 && said.contains("no GNU build id"), "{said}");

    let agent = server.start_agent("late", &["--frequency", "99"]);
    run(Command::new(&stripped).arg("3"));
    wait_for("its file among those without names", || {
        let agents = server.json("/api/v1/agents", &[]);
        let nameless = agents["nameless"].as_array()?;
        nameless.iter().any(|one| one["build_id"] == *build_id).then_some(())
    });
    agent.interrupt();
    assert!(!is_named(&server));
    let (code, said) = fetch(&[]);
    assert!(code == 0 && said.contains(&format!("late-names ({build_id}): new for")), "{said}");
    assert!(is_named(&server));
}
