//! Names that come late: a program is profiled stripped, and what was pushed later names it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "symbols/debuginfod.rs"]
mod debuginfod;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stoker_tests::{Running, Server, binary, can_sample, free_port, get, wait_for};

const PROGRAM: &str = r#"
#include <stdlib.h>
#include <time.h>
volatile unsigned long sink;
static inline __attribute__((always_inline)) void inlined_step(unsigned long n) {
    for (unsigned long i = 0; i < n; i++)
        sink += i * i;                  /* line 7 */
}
__attribute__((noinline)) static void hidden_work(unsigned long n) {
    inlined_step(n);                    /* line 10 */
    sink++;
}
int main(int argc, char **argv) {
    clock_t end = (argc > 1 ? atoi(argv[1]) : 3) * CLOCKS_PER_SEC;
    while (clock() < end) hidden_work(1000000);
    return 0;
}
"#;

/// The program in `dir`, with all its debug information, and what it is when it is stripped.
fn programs(dir: &Path) -> (PathBuf, PathBuf) {
    let (source, full, stripped) =
        (dir.join("late.c"), dir.join("late-full"), dir.join("late-names"));
    fs::write(&source, PROGRAM).unwrap();
    let flags = ["-O2", "-g", "-fno-omit-frame-pointer", "-o"];
    run(Command::new("gcc").args(flags).args([&full, &source]));
    run(Command::new("strip").arg("-o").args([&stripped, &full]));
    (full, stripped)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn stoker(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(binary("stoker"));
    command.args(arguments).env("STOKER_SERVER", format!("http://{}", server.http));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code().unwrap(), text(&stdout), text(&stderr))
}

fn push(server: &Server, file: &Path) -> String {
    let (code, out, err) = stoker(server, &["symbols", "push", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    out
}

/// Names, with what stands above them, files and lines of all boxes of a flame graph.
fn boxes(graph: &Value) -> Vec<(String, String, u64, bool)> {
    let text = |list: &str, at: &Value| {
        graph[list][usize::try_from(at.as_u64().unwrap()).unwrap()].as_str().unwrap().to_owned()
    };
    let nodes = &graph["nodes"];
    let column = |name: &str| nodes[name].as_array().unwrap().clone();
    let (names, files, lines, inlined) =
        (column("name"), column("file"), column("line"), column("inlined"));
    (0..names.len())
        .map(|at| {
            let name = text("names", &names[at]);
            (name, text("files", &files[at]), lines[at].as_u64().unwrap(), inlined[at] == 1)
        })
        .collect()
}

fn is_named(server: &Server) -> bool {
    let boxes = boxes(&server.flamegraph("cpu{comm=\"late-names\"}"));
    let work = boxes.iter().any(|(name, file, line, inlined)| {
        name == "hidden_work" && file.ends_with("late.c") && *line == 10 && !inlined
    });
    // Of a loop over several lines no single one is true.
    let step = boxes.iter().any(|(name, file, _, inlined)| {
        name == "inlined_step" && file.ends_with("late.c") && *inlined
    });
    work && step
}

#[test]
fn a_stripped_program_gets_its_names_when_they_are_pushed() {
    if !can_sample("a_stripped_program_gets_its_names_when_they_are_pushed") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (full, stripped) = programs(dir.path());
    let server = Server::new(dir.path());
    let running = server.start();
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let agent = server.start_agent("late", &["--frequency", "99", "--http", &http.to_string()]);
    run(Command::new(&stripped).arg("3"));
    wait_for("its samples", || (server.samples("cpu{comm=\"late-names\"}") > 150).then_some(()));
    // The agent says which file has no names.
    wait_for("its file among those without names", || {
        let text = String::from_utf8(get(http, "/metrics")?.body).unwrap();
        let mut lines = text.lines().filter(|line| line.starts_with("stoker_agent_file_frames{"));
        let is_it = |line: &str| {
            let frames = line.rsplit_once(' ').and_then(|(_, frames)| frames.parse().ok());
            line.contains("file=\"late-names\"")
                && line.contains("result=\"nameless\"")
                && frames.is_some_and(|frames: u64| frames > 0)
        };
        lines.any(is_it).then_some(())
    });
    agent.interrupt();
    let before = boxes(&server.flamegraph("cpu{comm=\"late-names\"}"));
    assert!(before.iter().any(|(name, ..)| name.starts_with("0x")), "{before:?}");
    assert!(!before.iter().any(|(name, ..)| name.contains("hidden")), "{before:?}");
    let total = server.flamegraph("cpu{comm=\"late-names\"}")["total"].clone();

    let said = push(&server, &full);
    assert!(said.contains(": new for "), "{said}");
    assert!(is_named(&server), "{:?}", boxes(&server.flamegraph("cpu{comm=\"late-names\"}")));
    assert_eq!(server.flamegraph("cpu{comm=\"late-names\"}")["total"], total, "nothing else moved");

    // It outlives the server, even one that dies.
    running.kill();
    let running = server.start();
    assert!(is_named(&server));
    // What says less changes nothing.
    let symbols = dir.path().join("late-symtab");
    run(Command::new("strip").args(["--strip-debug", "-o"]).args([&symbols, &full]));
    assert!(push(&server, &symbols).contains(": kept for "));
    assert!(is_named(&server));
    assert_eq!(metric(&server, "symbols_files"), 1);
    assert!(metric(&server, "symbols_frames_named_total") > 0);
    drop(running);
}

fn metric(server: &Server, name: &str) -> u64 {
    let text = String::from_utf8(get(server.http, "/metrics").unwrap().body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("stoker_{name} ")));
    line.unwrap_or_else(|| panic!("there is no {name}: {text}")).parse().unwrap()
}

/// What the command says of a file that is not taken.
fn refused(server: &Server, arguments: &[&str]) -> String {
    let (code, out, err) = stoker(server, &[&["symbols", "push"], arguments].concat());
    assert_eq!(code, 2, "{arguments:?}: {out}{err}");
    assert!(err.starts_with("error: ") && err.contains(" hint: "), "{err}");
    err
}

/// What the server says to a body under a build id: status and code.
fn posted(server: &Server, build_id: &str, file: &Path) -> (String, String) {
    let url = format!("http://{}/api/v1/symbols/{build_id}", server.http);
    let body = format!("@{}", file.display());
    let output = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "-X", "POST", "-w", "\n%{http_code}", "--data-binary"])
        .args([&body, &url])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    (status.to_owned(), body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn what_is_no_debug_information_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (full, stripped) = programs(dir.path());
    let server = Server::new(dir.path());
    let _running = server.start();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let bytes = fs::read(&full).unwrap();
    let truncated = file("truncated", &bytes[..bytes.len() / 2]);
    let no_elf = file("no-elf", b"#!/bin/sh\necho no\n");
    let empty = file("empty", b"");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    assert!(refused(&server, &[&path(&truncated)]).contains("truncated"));
    assert!(refused(&server, &[&path(&no_elf)]).contains("not an ELF file"));
    assert!(refused(&server, &[&path(&empty)]).contains("not an ELF file"));
    assert!(refused(&server, &[&path(&stripped)]).contains("it is stripped"));
    let wrong = refused(&server, &["--build-id", "0011223344556677", &path(&full)]);
    assert!(wrong.contains("it has the build id"), "{wrong}");
    refused(&server, &[&path(&dir.path().join("nowhere"))]);
    // A bad file stops nothing.
    let err = refused(&server, &[&path(&no_elf), &path(&full)]);
    assert!(err.contains("not an ELF file"), "{err}");
    assert_eq!(metric(&server, "symbols_files"), 1);

    // Whoever asks the server itself gets the same.
    let id = own_build_id(&server);
    for (build_id, path, status, code) in [
        ("00112233445566778899", &full, "400", "other_build"),
        (&*id, &truncated, "400", "truncated"),
        (&id, &no_elf, "400", "not_elf"),
        (&id, &stripped, "400", "no_symbols"),
        ("zz", &full, "400", "bad_build_id"),
        ("aabb", &full, "400", "bad_build_id"),
        ("..%2f..%2fetc", &full, "400", "bad_build_id"),
    ] {
        assert_eq!(posted(&server, build_id, path), (status.into(), code.into()), "{build_id}");
    }
    assert_eq!(metric(&server, "symbols_refused_total"), 7);
    let left = fs::read_dir(dir.path().join("data/symbols/default")).unwrap().count();
    assert_eq!(left, 1, "what was refused leaves nothing behind");
}

fn own_build_id(server: &Server) -> String {
    let list = server.json("/api/v1/symbols", &[]);
    list["files"][0]["build_id"].as_str().unwrap().to_owned()
}

#[test]
fn files_past_the_bound_are_refused_and_old_ones_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let (full, _) = programs(dir.path());
    let padded = |name: &str, id: &str, mib: usize| {
        let path = dir.path().join(name);
        let padding = dir.path().join("padding");
        fs::write(&padding, vec![0; mib << 20]).unwrap();
        run(Command::new("gcc")
            .args(["-g", &format!("-Wl,--build-id=0x{id}"), "-o"])
            .args([&path, &dir.path().join("late.c")]));
        let section = format!(".padding={}", padding.display());
        run(Command::new("objcopy").args(["--add-section", &section]).arg(&path));
        path
    };
    let server = Server::new(dir.path());
    let mut command = Command::new(binary("stoker-server"));
    command.arg("--data-dir").arg(dir.path().join("data")).args(["--max-symbols", "2"]);
    command.args(["--http", &server.http.to_string(), "--grpc", &server.grpc.to_string()]);
    let _running = Running::start(&mut command, &dir.path().join("server.log"));
    wait_for("the server", || get(server.http, "/readyz"));
    let large = padded("large", "aaaaaaaaaaaaaaaa", 3);
    let err = refused(&server, &[large.to_str().unwrap()]);
    assert!(err.contains("bytes, and the server takes 2097152"), "{err}");
    let (status, code) = posted(&server, "aaaaaaaaaaaaaaaa", &large);
    assert_eq!((&*status, &*code), ("413", "too_large"));
    push(&server, &padded("first", "bbbbbbbbbbbbbbbb", 1));
    push(&server, &full);
    assert_eq!(metric(&server, "symbols_files"), 2);
    push(&server, &padded("second", "cccccccccccccccc", 1));
    assert_eq!(metric(&server, "symbols_evicted_total"), 1);
    let list = server.json("/api/v1/symbols", &[]).to_string();
    assert!(!list.contains("bbbbbbbbbbbbbbbb") && list.contains("cccccccccccccccc"), "{list}");
}
