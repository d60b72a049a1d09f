//! The `stoker` command as a person or a program runs it, against a server over parts in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

use std::process::Output;
use std::sync::Arc;

use stoker_dag::{Frame, LabelSet, ProfileType, UnixNanos};
use stoker_server::http::{AgentEntry, AllowedHosts, Backend, HttpConfig, router};
use stoker_server::query::{MemoryPart, MemoryParts, Parts};

const START: u64 = 1_760_000_000;
const RANGE: &str = "1760000000..1760000010";

struct Memory(MemoryParts);

impl Backend for Memory {
    fn parts(&self) -> &dyn Parts {
        &self.0
    }

    fn agents(&self) -> Vec<AgentEntry> {
        vec![AgentEntry { host: "web-1".into(), cpus: 4, ..AgentEntry::default() }]
    }
}

fn memory() -> Memory {
    let frame = |function: &str| Frame::Interpreted {
        runtime: "test".into(),
        module: "app".into(),
        function: function.into(),
        line: 0,
    };
    let mut part = MemoryPart::default();
    let at = (UnixNanos(START * 1_000_000_000), &ProfileType::cpu());
    let labels = (&LabelSet::new([("service_name", "api")]), &LabelSet::default());
    part.add(at, labels, &[frame("main"), frame("hot")], (3_000_000_000, 300));
    part.add(at, labels, &[frame("main"), frame("red\u{1b}[31m")], (1_000_000_000, 100));
    Memory(MemoryParts { parts: vec![part], ..MemoryParts::default() })
}

/// Starts a server and gives its address.
async fn serve() -> String {
    serve_parts(memory()).await
}

async fn serve_parts(memory: Memory) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = HttpConfig { allowed: AllowedHosts::new(address, &[]), ..HttpConfig::default() };
    let router = router(Arc::new(memory), &config);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn stoker(server: &str, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_stoker"));
    command.args(arguments).env("STOKER_SERVER", server).env_remove("COLUMNS");
    command.output().await.unwrap()
}

async fn printed(server: &str, arguments: &[&str]) -> String {
    let output = stoker(server, arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that is refused.
async fn refused(server: &str, arguments: &[&str]) -> String {
    let output = stoker(server, arguments).await;
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_tables_for_people_and_json_for_programs() {
    let server = serve().await;
    let cpu = &format!("cpu{{service_name=\"api\"}}@{RANGE}");
    let table = [
        "  SELF   SELF%   TOTAL   TOTAL%  FUNCTION  MODULE",
        "3.00 s  75.00%  3.00 s   75.00%  hot       app",
        "1.00 s  25.00%  1.00 s   25.00%  red\u{fffd}[31m  app",
        "     0   0.00%  4.00 s  100.00%  main      app",
        "4.00 s in 400 samples\n",
    ];
    assert_eq!(printed(&server, &["query", cpu]).await, table.join("\n"));
    let table = [
        "CORES  ±    CPU    CPU%  SERVICE",
        "0.400     4.0 s  100.0%  api",
        "4.0 CPU-seconds; the hosts do not say what they used; ± is one standard error\n",
    ];
    assert_eq!(
        printed(&server, &["top", cpu, "--by", "service", "--cost"]).await,
        table.join("\n")
    );
    let used = printed(&server, &["top", cpu, "--cost", "-n", "1"]).await;
    assert!(used.contains("main") && used.contains("1 of 3 rows"), "{used}");
    let by_file = refused(&server, &["top", cpu, "--by", "file", "--cost"]).await;
    assert!(by_file.contains("--cost is by service, function or module"), "{by_file}");
    let json = printed(&server, &["query", cpu, "top", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"][0]["self"], 3_000_000_000u64);
    let tree = printed(&server, &["query", cpu, "flamegraph"]).await;
    assert!(tree.contains("75.00%   75.00%      hot · app\n"), "{tree}");
    let timeline =
        printed(&server, &["query", cpu, "timeline", "--group-by", "service_name"]).await;
    assert!(timeline.contains("api    4.00 s  100.00%  █\n"), "{timeline}");
    let flags = ["--from", "1760000000", "--until", "1760000010"];
    let values = printed(
        &server,
        &[&["query", "cpu", "values", "--label", "service_name"][..], &flags].concat(),
    )
    .await;
    assert_eq!(values, "api\n");
    assert_eq!(
        printed(&server, &[&["query", "labels"][..], &flags].concat()).await,
        "service_name\n"
    );
    assert!(printed(&server, &["query", "agents"]).await.contains("web-1"));
    assert!(printed(&server, &["completions", "bash"]).await.contains("_stoker()"));
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_go_by_extension_or_format() {
    let server = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let source = &format!("cpu@{RANGE}");
    for (name, start) in [
        ("a.collapsed", &b"main;hot 3000000000\n"[..]),
        ("a.pb.gz", &[0x1f, 0x8b]),
        ("a.svg", b"<?xml"),
        ("a.json", b"{\"query\":\"cpu\""),
    ] {
        let path = folder.path().join(name);
        let output = path.to_str().unwrap();
        assert_eq!(printed(&server, &["export", source, "-o", output]).await, "");
        assert!(std::fs::read(&path).unwrap().starts_with(start), "{name}");
    }
    let text = printed(&server, &["export", source, "-o", "-", "--format", "collapsed"]).await;
    assert_eq!(text.lines().count(), 2);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "nothing else is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_written_for_other_programs() {
    let server = serve().await;
    let dir = tempfile::tempdir().unwrap();
    let cpu = &format!("cpu{{service_name=\"api\"}}@{RANGE}");
    for table in ["rows", "nodes", "functions"] {
        let path = dir.path().join(format!("{table}.parquet"));
        let path = path.to_str().unwrap();
        printed(&server, &["export", cpu, "-o", path, "--table", table]).await;
        let bytes = std::fs::read(path).unwrap();
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{table}");
    }
    let file = dir.path().join("a.collapsed");
    std::fs::write(&file, "main;hot 7\n").unwrap();
    let of_file = refused(&server, &["export", file.to_str().unwrap(), "-o", "x.parquet"]).await;
    assert!(of_file.contains("push the files"), "{of_file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_what_to_do() {
    let server = serve().await;
    let missing = "/nowhere/at/all.svg";
    for (arguments, message, hint) in [
        (&["query", "cpu{a=b}"][..], "character 7", "a=\"b\""),
        (&["query", "cpu@now"], "no range", "now-2h..now-1h"),
        (&["query", "cpu", "--from", "monday"], "\"monday\"", "RFC 3339"),
        (&["query", "cpu@now..now-1h"], "upside down", "earlier"),
        (&["query", "cpu@1..2", "--from", "now-1h"], "twice", "leave one"),
        (&["query", "cpu", "values"], "which label", "--label"),
        (&["query", "cpu", "values", "--label", "zone"], "\"zone\"", "widen"),
        (&["query", "{a=\"b\"}"], "names no profile type", "cpu{"),
        (&["query", "cpu", "agents"], "not selected", "stoker query agents"),
        (&["export", "cpu", "-o", "a.gz"], "no format", "--format"),
        (&["export", "cpu", "-o", "-"], "no extension", "--format"),
        (&["export", "cpu", "-o", missing], "cannot write /nowhere/at/all.svg", "-o"),
        (&["export", "Cargo.toml", "-o", "a.svg"], "Cargo.toml", "pprof"),
        (&["query", "cpu", "--server", "ftp://x"], "http only", "http://localhost:4040"),
        (&["query", "cpu", "--bogus"], "--bogus", "--help"),
    ] {
        let errors = refused(&server, arguments).await;
        assert!(errors.contains(message) && errors.contains(hint), "{arguments:?}: {errors}");
    }
    let errors = refused("http://127.0.0.1:1", &["query", "cpu"]).await;
    assert!(
        errors.contains("cannot reach http://127.0.0.1:1/") && errors.contains("stoker up"),
        "{errors}"
    );
}

/// Two versions on six hosts each, on which `hot` costs `cost` thousandths more in the new one.
fn versions(cost: u64) -> Memory {
    let frame = |function: &str| Frame::Interpreted {
        runtime: "test".into(),
        module: "app".into(),
        function: function.into(),
        line: 0,
    };
    let mut part = MemoryPart::default();
    let at = (UnixNanos(START * 1_000_000_000), &ProfileType::cpu());
    for host in 0..12u64 {
        let is_new = host >= 6;
        let (name, version) = (format!("web-{host}"), if is_new { "2" } else { "1" });
        let labels = LabelSet::new([("host", name.as_str()), ("version", version)]);
        let labels = (&labels, &LabelSet::default());
        let more = if is_new { 1000 + cost } else { 1000 };
        for (function, samples) in [("hot", 3000 * more / 1000), ("idle", 7000), ("rest", 5000)] {
            let samples = samples + host * 7919 % 41;
            let value = (samples * 10_000_000, samples);
            part.add(at, labels, &[frame("main"), frame(function)], value);
        }
    }
    Memory(MemoryParts { parts: vec![part], ..MemoryParts::default() })
}

#[tokio::test]
async fn hosts_of_two_selectors_are_replicates_and_a_gate_decides() {
    let sides =
        ["cpu{version=\"1\"}@1760000000..1760000010", "cpu{version=\"2\"}@1760000000..1760000010"];
    for (cost, code) in [(300, 1), (0, 0)] {
        let server = serve_parts(versions(cost)).await;
        let arguments = ["diff", sides[0], sides[1], "--json", "--fail-on", "function > 2%"];
        let output = stoker(&server, &arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&answer["base"]["replicates"], &answer["by"]), (&6.into(), &"function".into()));
        let found = answer["findings"].as_array().unwrap();
        let names: Vec<_> = found.iter().map(|found| found["name"].as_str().unwrap()).collect();
        assert_eq!(names, if cost > 0 { vec!["hot"] } else { vec![] }, "{answer:#}");
        // The API says the same to whoever asks it without the command.
        let asked = [
            ("base", "cpu{version=\"1\"}"),
            ("new", "cpu{version=\"2\"}"),
            ("from", "1760000000"),
            ("until", "1760000010"),
            ("gate", "function > 2%"),
            ("limit", "30"),
        ];
        let api = format!("{server}/api/v1/diff");
        let response = reqwest::Client::new().get(api).query(&asked).send().await.unwrap();
        let direct: serde_json::Value =
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(direct, answer);
    }
    let server = serve_parts(versions(0)).await;
    let twice = refused(&server, &["diff", sides[0], "cpu@1760000000..1760000010"]).await;
    assert!(twice.contains("select the same data"), "{twice}");
    let empty = "cpu{version=\"1\"}@1750000000..1750000010";
    let nothing = refused(&server, &["diff", sides[0], empty]).await;
    assert!(nothing.contains("no samples") || nothing.contains("version"), "{nothing}");
}
