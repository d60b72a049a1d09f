//! Capacity: CPU time that adds up, with errors, coverage and money.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use stoker_server::query::{Limits, MemoryParts, Prices};

use crate::fixture::*;
use crate::support::{Api, Memory};

const PRICES: &str = "
currency = 'EUR'
[[price]]
labels = { host = 'web-2' }
cpu_core_hour = 7200
[[price]]
labels = { service_name = 'api' }
cpu_core_hour = 3600
";

/// The fixture's profiles, on hosts that say what they did.
fn observed() -> MemoryParts {
    let mut parts = parts();
    for (part, (host_id, busy_ms, seconds)) in
        parts.parts.iter_mut().zip([([1; 16], 1250, 10), ([2; 16], 750, 30)])
    {
        let held = &mut part.facts[0];
        held.host_id = host_id;
        held.facts.busy_ns = busy_ms * 1_000_000;
        held.facts.observed_ns = seconds * 1_000_000_000;
    }
    parts
}

async fn api(prices: &str) -> Api {
    let ready = AtomicBool::new(true);
    let memory = Memory { parts: observed(), ready, annotations: None, links: None };
    let prices = Arc::new(Prices::parse(prices).unwrap());
    Api::with_prices(Arc::new(memory), Limits::default(), prices).await
}

async fn csv(api: &Api, path: &str) -> String {
    let response = api.get(path).await;
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
    response.text().await.unwrap()
}

fn pretty(answer: &Value) -> String {
    format!("{answer:#}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_they_were() {
    let api = api(PRICES).await;
    let services = api.json("/api/v1/capacity/services?").await;
    check_golden("capacity-services.json", &pretty(&services));
    let functions = api.json("/api/v1/capacity/functions?by=service_name&limit=3&").await;
    check_golden("capacity-functions.json", &pretty(&functions));
    let path = "/api/v1/capacity/services?by=service_name,host&step=hour&format=csv&";
    check_golden("capacity-services.csv", &csv(&api, path).await);
    let path = "/api/v1/capacity/functions?step=day&format=csv&";
    check_golden("capacity-functions.csv", &csv(&api, path).await);
    let path = "/api/v1/capacity/functions?what=module&format=csv&";
    check_golden("capacity-modules.csv", &csv(&api, path).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_add_up_to_the_total() {
    let api = api("").await;
    let total = 1.4;
    for path in [
        "/api/v1/capacity/services?by=host,comm&",
        "/api/v1/capacity/services?query=cpu&step=hour&",
        "/api/v1/capacity/functions?",
        "/api/v1/capacity/functions?what=module&by=service_name&",
    ] {
        let answer = api.json(path).await;
        let rows = answer["rows"].as_array().unwrap();
        let own = |row: &Value| row["self_cpu_seconds"].as_f64().or(row["cpu_seconds"].as_f64());
        let sum: f64 = rows.iter().map(|row| own(row).unwrap()).sum();
        assert!((sum - total).abs() < 1e-9, "{path}: {sum}");
        assert_eq!(answer["cpu_seconds"], total, "{path}");
        assert!(rows.iter().all(|row| row["cpu_cost"].is_null()), "{path}: without prices");
        assert!(answer["warnings"].is_null(), "{path}: {}", answer["warnings"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_coverage_come_from_hosts() {
    let api = api("").await;
    let answer = api.json("/api/v1/capacity/services?query=%7Bservice_name%3D%22api%22%7D&").await;
    let row = &answer["rows"][0];
    assert_eq!((&row["name"], &row["cpu_seconds"]), (&json!("api"), &json!(1.0)));
    // 1 s on a host observed for 10 s, none on one observed for 30 s: Cochran's ratio estimator.
    let p: f64 = 1.0 / 40.0;
    let squares = (1.0 - 10.0 * p).powi(2) + (30.0 * p).powi(2);
    let wanted = (squares * 2.0 / 1600.0).sqrt() / p;
    let error = row["relative_error"].as_f64().unwrap();
    assert!((error - wanted).abs() < 1e-9, "{error} {wanted}");
    // Coverage is of all that ran there, whatever was selected.
    assert_eq!(answer["coverage"][0]["coverage"], 0.7);
    let answer = api.json("/api/v1/capacity/services?query=%7Bhost%3D%22web-1%22%7D&").await;
    assert_eq!(answer["coverage"][0]["coverage"], 0.8);
    assert!(answer["rows"][0]["relative_error"].is_null(), "one host tells nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let api = api("").await;
    for (path, code, word) in [
        (
            "/api/v1/capacity/services?query=memory:alloc:bytes:space:bytes&",
            "no_time",
            "does not count time",
        ),
        ("/api/v1/capacity/services?step=week&", "bad_parameter", "all, hour, day"),
        ("/api/v1/capacity/functions?what=file&", "bad_parameter", "function, module"),
        ("/api/v1/capacity/services?by=a,b,c,d,e,f,g,h,i&", "too_large", "too many labels"),
        ("/api/v1/capacity/cores?", "unknown_endpoint", "capacity"),
    ] {
        let answer: Value = api.get(path).await.json().await.unwrap();
        assert_eq!(answer["error"]["code"], code, "{path}: {answer}");
        assert!(answer.to_string().contains(word), "{path}: {answer}");
    }
}
