//! Two agents and one server: different load addresses, one without symbols; one identity.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::Duration;

use stoker_tests::{Language, Running, Server, build_workload, can_sample, wait_for};

fn samples(graph: &serde_json::Value) -> u64 {
    graph["samples"].as_u64().unwrap()
}

fn names(graph: &serde_json::Value) -> Vec<&str> {
    graph["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn hosts_agree_on_ids_and_share_names() {
    if !can_sample("hosts_agree_on_ids_and_share_names") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(dir.path());
    let _running = server.start();
    let named = dir.path().join("with-symbols/shared-burn");
    let bare = dir.path().join("without-symbols/shared-burn");
    for folder in ["with-symbols", "without-symbols"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    build_workload(Language::C, &named).expect("gcc is there where Rust links");
    let strip = Command::new("strip").arg("-o").arg(&bare).arg(&named).status().unwrap();
    assert!(strip.success());

    let burn = |program: &std::path::Path, log: &str| {
        Running::start(Command::new(program).arg("600"), &dir.path().join(log))
    };
    // A process that only ever sees the stripped file, under the same path, in its own namespace.
    let (bare, path) = (bare.display(), named.display());
    let script = format!("mount --bind {bare} {path} && exec {path} 600");
    let hidden = Running::start(
        Command::new("unshare").args(["--mount", "sh", "-c", &script]),
        &dir.path().join("hidden.log"),
    );
    let hidden_pid = hidden.pid().to_string();
    let hidden_agent = server.start_agent("bare", &["-F", "99", "--pid", &hidden_pid]);
    let only_bare = "cpu{host=\"bare\",comm=\"shared-burn\"}";
    wait_for("samples without names", || {
        (samples(&server.flamegraph(only_bare)) > 200).then_some(())
    });
    let before = server.flamegraph(only_bare);
    assert!(!names(&before).contains(&"hot_half"), "{:?}", names(&before));
    wait_for("the file without names beside the list of agents", || {
        let agents = server.json("/api/v1/agents", &[]);
        let is_it = |file: &serde_json::Value| {
            file["file"] == "shared-burn" && file["nameless"].as_u64() > Some(0)
        };
        agents["nameless"].as_array().unwrap().iter().any(is_it).then_some(())
    });

    let seen = burn(&named, "seen.log");
    let seen_pid = seen.pid().to_string();
    let named_agent = server.start_agent("named", &["-F", "99", "--pid", &seen_pid]);
    let only_named = "cpu{host=\"named\",comm=\"shared-burn\"}";
    wait_for("names from the other host", || {
        let theirs = server.flamegraph(only_named);
        let ours = server.flamegraph(only_bare);
        (names(&theirs).contains(&"hot_half") && names(&ours).contains(&"hot_half")).then_some(())
    });
    drop((seen, hidden));
    std::thread::sleep(Duration::from_secs(1));
    named_agent.interrupt();
    hidden_agent.interrupt();

    let (a, b) = (server.flamegraph(only_bare), server.flamegraph(only_named));
    let both = server.flamegraph("cpu{comm=\"shared-burn\"}");
    assert_eq!(samples(&both), samples(&a) + samples(&b));
    assert_eq!(
        both["total"].as_u64(),
        Some(a["total"].as_u64().unwrap() + b["total"].as_u64().unwrap())
    );
    // One identity: what both hosts ran is one box, not two beside one another.
    let boxes = |graph: &serde_json::Value, name: &str| {
        let at = names(graph).iter().position(|held| *held == name).unwrap();
        let column = graph["nodes"]["name"].as_array().unwrap();
        column.iter().filter(|ix| ix.as_u64() == Some(at as u64)).count()
    };
    assert_eq!(boxes(&both, "hot_half"), boxes(&b, "hot_half").max(boxes(&a, "hot_half")));
}
