//! What the API answers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use stoker_formats::pprof::proto;
use stoker_server::query::Limits;

use crate::fixture::*;
use crate::support::{Api, Memory};

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_answers_as_documented() {
    let api = Api::start().await;
    let types = api.json("/api/v1/profile-types").await;
    assert_eq!(types["profile_types"][0]["short"], "cpu");
    assert_eq!(types["profile_types"][0]["kind"], "delta");
    let labels = api.json("/api/v1/labels?").await;
    assert_eq!(labels["labels"], serde_json::json!(["comm", "host", "service_name"]));
    assert_eq!(labels["from_ms"], START * 1000);
    assert_eq!(labels["until_ms"], START * 1000 + 30_000);
    let values = api.json("/api/v1/labels/service_name/values?query=cpu&").await;
    assert_eq!(values["values"], serde_json::json!(["api", "web"]));
    let series = api.json("/api/v1/series?query=%7Bhost%3D%22web-1%22%7D&").await;
    assert_eq!(series["series"][0]["labels"]["service_name"], "api");
    let graph = api.json("/api/v1/flamegraph?query=cpu&").await;
    assert_eq!((&graph["total"], &graph["samples"]), (&(140 * PERIOD).into(), &140.into()));
    assert_eq!((&graph["level"], &graph["lost_samples"]), (&"raw".into(), &7.into()));
    let pruned = api.json("/api/v1/flamegraph?query=cpu&max_nodes=3&").await;
    assert_eq!(pruned["nodes"]["total"][0], 140 * PERIOD);
    assert!(pruned["names"].as_array().unwrap().contains(&"(other)".into()));
    let timeline = api.json("/api/v1/timeline?query=cpu&group_by=service_name&step=10s&").await;
    assert_eq!(timeline["step_ms"], 10_000);
    assert_eq!(timeline["groups"][0]["value"], "api");
    assert_eq!(
        timeline["groups"][0]["values"],
        serde_json::json!([60 * PERIOD, 25 * PERIOD, 15 * PERIOD])
    );
    let top = api.json("/api/v1/top?query=cpu&by=function&limit=2&").await;
    assert_eq!(top["rows"].as_array().unwrap().len(), 2);
    assert_eq!(top["rows"][0]["self"], 40 * PERIOD);
    let agents = api.json("/api/v1/agents").await;
    assert_eq!(agents["agents"][0]["host"], "web-1");
    assert_eq!(agents["agents"][0]["names"], serde_json::json!({"named": 9, "nameless": 1}));
    let broken = serde_json::json!([{"file": "libx.so", "reason": "gap", "stacks": 2, "hosts": 1}]);
    assert_eq!((&agents["broken"], &agents["nameless"]), (&broken, &serde_json::json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_security_headers_and_are_compressed() {
    let api = Api::start().await;
    for path in ["/", "/api/v1/agents", "/nothing.here", "/metrics"] {
        let response = api.get(path).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self';"), "{path}: {policy}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(response.headers()["x-frame-options"], "DENY", "{path}");
    }
    let svg = api.get("/api/v1/flamegraph?query=cpu&format=svg&").await;
    let policy = svg.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox allow-scripts; default-src 'none'"), "{policy}");
    let request = format!(
        "GET /api/v1/flamegraph?query=cpu&from={START}&until={} HTTP/1.1\r\nhost: localhost\r\n\
         accept-encoding: gzip\r\nconnection: close\r\n\r\n",
        START + 30
    );
    let mut stream = TcpStream::connect(api.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let head = String::from_utf8_lossy(&bytes).into_owned();
    assert!(head.contains("content-encoding: gzip"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_sum_to_the_total_and_are_as_they_were() {
    let api = Api::start().await;
    let collapsed = api.get("/api/v1/flamegraph?query=cpu&format=collapsed&").await;
    assert_eq!(collapsed.headers()["content-type"], "text/plain; charset=utf-8");
    let collapsed = collapsed.text().await.unwrap();
    let values = collapsed.lines().map(|line| line.rsplit(' ').next().unwrap());
    assert_eq!(values.map(|value| value.parse::<u64>().unwrap()).sum::<u64>(), 140 * PERIOD);
    check_golden("cpu.collapsed", &collapsed);

    let pprof = api.get("/api/v1/flamegraph?query=cpu&format=pprof&").await;
    assert_eq!(pprof.headers()["content-type"], "application/octet-stream");
    let name = pprof.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert_eq!(name, format!("attachment; filename=\"cpu-{START}.pb.gz\""));
    let mut bytes = Vec::new();
    let gzipped = pprof.bytes().await.unwrap();
    flate2::read::GzDecoder::new(&gzipped[..]).read_to_end(&mut bytes).unwrap();
    let profile = <proto::Profile as prost::Message>::decode(&bytes[..]).unwrap();
    assert_eq!(profile.sample.iter().map(|sample| sample.value[0]).sum::<i64>(), 140);
    assert_eq!(profile.period.unsigned_abs(), PERIOD);
    check_golden("cpu.pprof.txt", &format!("{profile:#?}\n"));

    let svg = api.get("/api/v1/flamegraph?query=cpu&format=svg&").await;
    assert_eq!(svg.headers()["content-type"], "image/svg+xml");
    let svg = svg.text().await.unwrap();
    assert!(!svg.contains("<script>alert") && svg.contains("script&gt;alert("), "{svg}");
    assert!(svg.contains("1.400 s, 2025-10-09T08:53:20Z to 2025-10-09T08:53:50Z"));
    check_golden("cpu.svg", &without_script(&svg));
}

/// The picture without inferno's script, one element to a line.
fn without_script(svg: &str) -> String {
    let start = svg.find("<script").expect("the picture has a script");
    let end = svg.find("</script>").expect("which ends") + "</script>".len();
    format!("{}{}", &svg[..start], &svg[end..]).replace("><", ">\n<")
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics() {
    let memory =
        Memory { parts: parts(), ready: AtomicBool::new(false), annotations: None, links: None };
    let api = Api::over(Arc::new(memory), Limits::default()).await;
    assert_eq!(api.get("/healthz").await.status(), 200);
    let waiting = api.get("/readyz").await;
    assert_eq!(waiting.status(), 503);
    assert_eq!(waiting.text().await.unwrap(), "The store closes.\n");
    api.get("/api/v1/flamegraph?query=cpu&").await;
    api.get("/api/v1/flamegraph?query=cpu%7Bx%3D%221%22%7D&").await;
    let text = api.get("/metrics").await.text().await.unwrap();
    for line in [
        "stoker_store_rows_total 7",
        "stoker_store_segments 7",
        "stoker_ingest_refusals_total{code=\"too_large\"} 7",
        "stoker_query_rows_total 16",
        "stoker_query_errors_total{code=\"unknown_label\"} 1",
        "stoker_http_requests_total{endpoint=\"/api/v1/flamegraph\",status=\"404\"} 1",
    ] {
        assert!(text.lines().any(|held| held == line), "{line} in\n{text}");
    }
}
