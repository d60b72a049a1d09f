//! Tables for other programs: what is written adds up, and others read it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::Value;

use crate::fixture::*;
use crate::support::Api;

async fn bytes(api: &Api, path: &str) -> axum::body::Bytes {
    let response = api.get(path).await;
    assert_eq!(response.headers()["content-type"], "application/vnd.apache.parquet", "{path}");
    let name = response.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(name.ends_with(&format!("-{START}.parquet\"")), "{name}");
    response.bytes().await.unwrap()
}

/// Rows as JSON, read by the crate that wrote them.
async fn table(api: &Api, path: &str) -> Vec<Value> {
    let file = SerializedFileReader::new(bytes(api, path).await).unwrap();
    let rows = file.get_row_iter(None).unwrap();
    rows.map(|row: Result<Row, _>| object(&row.unwrap())).collect()
}

fn object(row: &Row) -> Value {
    let value = |field: &Field| match field {
        Field::Str(text) => text.as_str().into(),
        Field::ULong(number) => (*number).into(),
        Field::Long(number) => (*number).into(),
        Field::Double(number) => (*number).into(),
        _ => Value::Null,
    };
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_nodes_are_the_profile() {
    let api = Api::start().await;
    let rows = table(&api, "/api/v1/export?query=cpu&").await;
    let sum = |of: &str| rows.iter().map(|row| row[of].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("value"), sum("samples")), (140 * PERIOD, 140));
    assert_eq!(rows[0]["label.service_name"], "api");
    assert_eq!((&rows[0]["window_seconds"], &rows[0]["level"]), (&10.into(), &"raw".into()));
    assert_eq!(rows[0]["profile_type"], "process_cpu:cpu:nanoseconds:cpu:nanoseconds");
    let nodes = table(&api, "/api/v1/export?query=cpu&table=nodes&").await;
    let by_id: BTreeMap<&str, &Value> =
        nodes.iter().map(|node| (node["node"].as_str().unwrap(), node)).collect();
    assert_eq!(by_id.len(), nodes.len());
    for row in &rows {
        let mut at = row["node"].as_str();
        while let Some(id) = at {
            let node = by_id[id];
            assert!(!node["function"].as_str().unwrap().is_empty());
            at = node["parent"].as_str();
        }
    }
    let serve = nodes.iter().find(|node| node["inlined"] == "parse").unwrap();
    assert_eq!((&serve["function"], &serve["module"]), (&"serve".into(), &"api".into()));
    assert_eq!((&serve["line"], &serve["offset"]), (&20.into(), &0x20.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_those_of_capacity() {
    let api = Api::start().await;
    let path = "/api/v1/export?query=cpu&table=functions&by=service_name&";
    let functions = table(&api, path).await;
    let capacity = api.json("/api/v1/capacity/functions?by=service_name&").await;
    let wanted: Vec<(&Value, &Value)> = capacity["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["function"], &row["cpu_seconds"]))
        .collect();
    let held: Vec<(&Value, &Value)> =
        functions.iter().map(|row| (&row["function"], &row["cpu_seconds"])).collect();
    assert_eq!(held, wanted);
    assert_eq!(functions[0]["label.service_name"], "api");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_table_is_refused() {
    let api = Api::start().await;
    for (path, word) in [
        ("/api/v1/export?query=cpu&table=stacks&", "rows, nodes, functions"),
        ("/api/v1/export?query=cpu&format=csv&", "parquet"),
        ("/api/v1/export?", "query is missing"),
    ] {
        let answer: Value = api.get(path).await.json().await.unwrap();
        assert!(answer["error"].to_string().contains(word), "{path}: {answer}");
    }
}

/// Where `cargo xtask test` puts DuckDB's Python package.
fn duckdb() -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/duckdb");
    package.exists().then_some(package)
}

const QUERY: &str = "
import duckdb, json, sys
rows, nodes, functions = sys.argv[1:]
print(json.dumps({
    'self': duckdb.sql(f'''
        select n.function, n.module, sum(r.value)::bigint from '{rows}' r
        join '{nodes}' n using (node) group by all order by 3 desc, 1''').fetchall(),
    'of_api': duckdb.sql(f'''
        select sum(samples)::bigint from '{rows}' where \"label.service_name\" = 'api' ''').fetchall(),
    'from': duckdb.sql(f'''select epoch_ns(min(window_start)) from '{rows}' ''').fetchall(),
    'cpu': duckdb.sql(f'''select sum(self_cpu_seconds) from '{functions}' ''').fetchall(),
}))";

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_reads_what_is_written() {
    let Some(package) = duckdb() else {
        stoker_tests::skipped(
            "duckdb_reads_what_is_written",
            "DuckDB is not in .tools/duckdb: `cargo xtask test rust` installs it",
        );
        return;
    };
    let api = Api::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", QUERY]).env("PYTHONPATH", package);
    for name in ["rows", "nodes", "functions"] {
        let path = dir.path().join(format!("{name}.parquet"));
        let held = bytes(&api, &format!("/api/v1/export?query=cpu&table={name}&")).await;
        std::fs::write(&path, held).unwrap();
        command.arg(path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["of_api"][0][0], 100);
    assert_eq!(answer["from"][0][0], START * 1_000_000_000);
    assert!((answer["cpu"][0][0].as_f64().unwrap() - 1.4).abs() < 1e-9, "{answer}");
    let sums: u64 =
        answer["self"].as_array().unwrap().iter().map(|row| row[2].as_u64().unwrap()).sum();
    assert_eq!(sums, 140 * PERIOD);
    // The outermost function of the hottest frame, into which `parse` was inlined.
    assert_eq!(answer["self"][0][0], "run");
}
