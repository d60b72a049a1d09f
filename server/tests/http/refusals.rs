//! What the API refuses, and how it says so.

use serde_json::Value;

use crate::support::Api;

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_with_status_code_message_and_hint() {
    let api = Api::start().await;
    for (path, status, code, message, hint) in [
        (
            "/api/v1/top?query=cpu%7Ba%3Db%7D&",
            400,
            "bad_selector",
            "at character 7",
            "write a=\"b\"",
        ),
        ("/api/v1/labels?query=cpus&", 400, "bad_selector", "\"cpus\"", "cpu"),
        (
            "/api/v1/top?query=cpu%7Bzone%3D%22x%22%7D&",
            404,
            "unknown_label",
            "\"zone\"",
            "service_name",
        ),
        ("/api/v1/labels/zone/values?", 404, "unknown_label", "\"zone\"", "comm"),
        ("/api/v1/top?query=cpu&from=now&until=now-1h", 400, "bad_time", "upside down", "earlier"),
        ("/api/v1/top?query=cpu&from=monday", 400, "bad_time", "from: \"monday\"", "RFC 3339"),
        ("/api/v1/timeline?query=cpu&step=soon", 400, "bad_time", "\"soon\"", "30s"),
        ("/api/v1/timeline?query=cpu&from=0&step=10s", 400, "too_many_points", "points", "step"),
        ("/api/v1/top", 400, "bad_parameter", "query is missing", "query=cpu"),
        ("/api/v1/top?query=%7B%7D", 400, "missing_profile_type", "{}", "cpu{"),
        ("/api/v1/flamegraph?query=%7B%7D&format=svg", 400, "missing_profile_type", "{}", "cpu{"),
        ("/api/v1/top?query=cpu&by=line", 400, "bad_parameter", "by=\"line\"", "function, module"),
        ("/api/v1/top?query=cpu&limit=-1", 400, "bad_parameter", "limit=\"-1\"", "100"),
        ("/api/v1/top?query=cpu&fron=now-1h", 400, "bad_parameter", "\"fron\"", "from"),
        ("/api/v1/top?query=cpu&query=cpu", 400, "bad_parameter", "more than once", "once"),
        ("/api/v1/flamegraph?query=cpu&format=pdf", 400, "bad_parameter", "pdf", "pprof"),
        ("/api/v1/agents?x=1", 400, "bad_parameter", "\"x\"", "no parameters"),
        ("/api/v1/flames", 404, "unknown_endpoint", "/api/v1/flames", "flamegraph"),
        ("/api/", 404, "unknown_endpoint", "/api/", "flamegraph"),
        ("/missing.js", 404, "no_such_file", "/missing.js", "open /"),
    ] {
        let response = api.get(path).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["content-type"], "application/json", "{path}");
        let error = &response.json::<Value>().await.unwrap()["error"];
        assert_eq!(error["code"], code, "{path}: {error}");
        let page = include_str!("../../../docs/api.md");
        assert!(page.contains(&format!("`{code}`")), "docs/api.md does not list {code}");
        assert!(error["message"].as_str().unwrap().contains(message), "{path}: {error}");
        assert!(error["hint"].as_str().unwrap().contains(hint), "{path}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let api = Api::start().await;
    let request = |headers: &str| {
        format!("GET /api/v1/agents HTTP/1.1\r\n{headers}connection: close\r\n\r\n")
    };
    for (headers, status, code) in [
        ("host: localhost\r\n", "200", ""),
        ("host: [::1]:4040\r\n", "200", ""),
        ("host: stoker.example.com\r\n", "200", ""),
        ("host: localhost\r\norigin: http://localhost\r\n", "200", ""),
        ("host: localhost\r\nsec-fetch-site: same-origin\r\n", "200", ""),
        ("host: evil.com\r\n", "403", "host_not_allowed"),
        ("host: 10.0.0.1\r\n", "403", "host_not_allowed"),
        ("host: \r\n", "403", "host_not_allowed"),
        ("host: localhost\r\norigin: http://evil.com\r\n", "403", "origin_not_allowed"),
        ("host: localhost\r\norigin: null\r\n", "403", "origin_not_allowed"),
        (
            "host: localhost\r\nsec-fetch-site: cross-site\r\nsec-fetch-mode: cors\r\n",
            "403",
            "origin_not_allowed",
        ),
    ] {
        let (line, body) = api.raw(&request(headers));
        assert!(line.contains(status), "{headers}: {line}");
        assert!(body.contains(code), "{headers}: {body}");
    }
    let post = "POST /api/v1/agents HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (line, body) = api.raw(post);
    assert!(line.contains("405") && body.contains("method_not_allowed"), "{line} {body}");
    let long = format!(
        "GET /api/v1/top?query={} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "x".repeat(20_000)
    );
    let (line, body) = api.raw(&long);
    assert!(line.contains("413") && body.contains("too_large"), "{line} {body}");
}
