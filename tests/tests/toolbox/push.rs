//! `stoker push` and `/debug/pprof/profile` against a real server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};

use serde_json::Value;
use stoker_tests::{Server, get};

use crate::support::{done, stoker, text};

pub fn with_server(server: &Server, arguments: &[&str]) -> Command {
    let mut command = stoker(arguments);
    command.env("STOKER_SERVER", format!("http://{}", server.http));
    command
}

/// The total of collapsed stacks that were pushed with this label.
fn total(server: &Server, service: &str) -> u64 {
    let selector =
        format!("process_cpu:samples:count:cpu:nanoseconds{{service_name=\"{service}\"}}");
    server.flamegraph(&selector)["total"].as_u64().unwrap()
}

pub fn push(server: &Server, arguments: &[&str]) -> Value {
    let all = [&["push", "--json"], arguments].concat();
    let (printed, _) = done(&mut with_server(server, &all));
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn a_file_pushed_twice_counts_once_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let running = server.start();
    let file = dir.path().join("a.collapsed");
    fs::write(&file, "main;hot 70\nmain;cold 30\n").unwrap();
    let label = ["--label", "service_name=twice"];
    let arguments = [&[text(&file)], &label[..]].concat();
    let first = push(&server, &arguments);
    assert_eq!((&first["new"], &first["duplicates"]), (&1.into(), &0.into()), "{first}");
    let again = push(&server, &arguments);
    assert_eq!((&again["new"], &again["duplicates"]), (&0.into(), &1.into()), "{again}");
    assert_eq!(total(&server, "twice"), 100);
    running.kill();
    let _running = server.start();
    let again = push(&server, &arguments);
    assert_eq!(again["duplicates"], 1, "{again}");
    assert_eq!(total(&server, "twice"), 100);
    // Other labels make it another profile.
    assert_eq!(push(&server, &[text(&file), "--label", "service_name=other"])["new"], 1);
    assert_eq!((total(&server, "twice"), total(&server, "other")), (100, 100));
    let selector = "process_cpu:samples:count:cpu:nanoseconds{service_name=\"twice\"}";
    let top = server.top(selector);
    assert_eq!((&top["rows"][0]["name"], &top["rows"][0]["self"]), (&"hot".into(), &70.into()));
    // And the command reads it back in every way.
    let exported = dir.path().join("out.speedscope.json");
    let arguments = ["export", selector, "-o", text(&exported)];
    done(&mut with_server(&server, &arguments));
    assert!(fs::read_to_string(&exported).unwrap().contains("hot"));
    let (diff, _) = done(&mut with_server(&server, &["diff", text(&file), selector, "--json"]));
    let diff: Value = serde_json::from_str(&diff).unwrap();
    assert!(diff["rows"].as_array().unwrap().iter().all(|row| row["self_change"] == 0), "{diff}");
}

#[test]
fn bad_files_are_listed_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _running = server.start();
    let files = dir.path().join("files");
    fs::create_dir(&files).unwrap();
    for n in 0..300 {
        let stacks = format!("main;f{} {}\n", n % 10, n + 1);
        fs::write(files.join(format!("{n}.collapsed")), stacks).unwrap();
    }
    let packed = files.join("good.pb.gz");
    done(&mut stoker(&["export", text(&files.join("0.collapsed")), "-o", text(&packed)]));
    let bytes = fs::read(&packed).unwrap();
    fs::write(files.join("truncated.pb.gz"), &bytes[..bytes.len() - 9]).unwrap();
    fs::write(files.join("wrong.elf"), b"\x7fELF\x02\x01\x01").unwrap();
    fs::write(files.join("hostile.json"), vec![b'['; 1 << 20]).unwrap();
    fs::write(files.join("empty"), b"").unwrap();
    let glob = files.join("*");
    let arguments = ["push", text(&glob), "--label", "service_name=many"];
    for (new, there) in [(301, 0), (0, 301)] {
        let Output { status, stdout, stderr } = with_server(&server, &arguments).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(2), "{out}{err}");
        let wanted = format!("{new} new");
        assert!(out.starts_with(&wanted), "{out}");
        assert!(out.contains(&format!("{there} there already, 4 not taken")), "{out}");
        for name in ["truncated.pb.gz", "wrong.elf", "hostile.json", "empty"] {
            assert!(err.contains(&format!("{name}: ")), "{name} is not listed: {err}");
        }
        assert_eq!(err.matches("error: ").count(), 4, "{err}");
    }
    // The packed one is 0.collapsed once more.
    assert_eq!(total(&server, "many"), 300 * 301 / 2 + 1);
}

#[test]
fn a_push_without_a_server_says_so_once() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..20 {
        fs::write(dir.path().join(format!("{n}.collapsed")), "a 1\n").unwrap();
    }
    let glob = dir.path().join("*.collapsed");
    let mut command = stoker(&["push", text(&glob), "--server", "http://127.0.0.1:1"]);
    let said = crate::support::refused(&mut command, &["cannot reach", "stoker up"]);
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
}

/// Sends a request as it stands and gives the status and the body.
fn raw(server: &Server, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(server.http).unwrap();
    let length = body.len();
    write!(stream, "{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n").unwrap();
    // A server that refuses early closes early.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer}")).parse().unwrap();
    (status, answer)
}

#[test]
fn the_endpoint_is_guarded_and_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _running = server.start();
    let host = format!("Host: {}", server.http);
    let post = |path: &str, more: &str| format!("POST {path} HTTP/1.1\r\n{host}{more}");
    for (head, body, status, word) in [
        (post("/api/v1/push?service_name=a", ""), &b"main;a 1\n"[..], 200, "\"new\""),
        (post("/api/v1/push?a%20b=1", ""), b"main;a 1\n", 400, "bad_parameter"),
        (post("/api/v1/push?from=monday", ""), b"main;a 1\n", 400, "bad_time"),
        (post("/api/v1/push?from=now&until=now-1h", ""), b"main;a 1\n", 400, "bad_time"),
        (post("/api/v1/push?from=4000000000", ""), b"main;a 1\n", 400, "from_the_future"),
        (post("/api/v1/push", ""), b"\x7fELF", 400, "bad_profile"),
        (post("/api/v1/push", "\r\nOrigin: http://evil.com"), b"main;a 1\n", 403, "origin"),
        (post("/api/v1/top", ""), b"", 405, "use GET"),
        ("POST /api/v1/push HTTP/1.1\r\nHost: evil.com".into(), b"main;a 1\n", 403, "host"),
        (format!("GET /api/v1/push HTTP/1.1\r\n{host}"), b"", 405, "use POST"),
    ] {
        let (got, answer) = raw(&server, &head, body);
        assert_eq!(got, status, "{head}: {answer}");
        assert!(answer.contains(word), "{head}: {answer}");
    }
    let metrics = get(server.http, "/metrics").unwrap();
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("stoker_push_files_total{outcome=\"new\"} 1"), "{metrics}");
    assert!(metrics.contains("stoker_push_files_total{outcome=\"refused\"} 5"), "{metrics}");
    assert!(metrics.contains("stoker_push_samples_total 1"), "{metrics}");
}

#[test]
fn the_server_profiles_itself() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _running = server.start();
    let busy = std::thread::spawn({
        let address = server.http;
        move || {
            let end = std::time::Instant::now() + std::time::Duration::from_secs(3);
            while std::time::Instant::now() < end {
                let _ = get(address, "/metrics");
            }
        }
    });
    let profile = get(server.http, "/debug/pprof/profile?seconds=2").unwrap();
    assert_eq!(profile.status, 200, "{}", String::from_utf8_lossy(&profile.body));
    busy.join().unwrap();
    let file = dir.path().join("server.pb.gz");
    fs::write(&file, &profile.body).unwrap();
    let (printed, _) = done(&mut stoker(&["top", text(&file), "--json"]));
    let top: Value = serde_json::from_str(&printed).unwrap();
    assert!(top["samples"].as_u64().unwrap() > 0, "{top}");
    assert_eq!(top["unit"], "nanoseconds");
    assert_eq!(get(server.http, "/debug/pprof/profile?seconds=0").unwrap().status, 400);
    assert_eq!(get(server.http, "/debug/pprof/profile?second=1").unwrap().status, 400);
    let evil = "GET /debug/pprof/profile HTTP/1.1\r\nHost: evil.com";
    assert_eq!(raw(&server, evil, b"").0, 403);
}
