//! Answers that are kept: the same as long as the data are, never a moment longer.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use stoker_server::ServerConfig;

use crate::support::Api;

async fn push(api: &Api, service: &str, at: u64, body: String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let range = format!("from={at}&until={}", at + 10);
    let url = format!("http://{}/api/v1/push?service_name={service}&{range}", api.address);
    let answer = client.post(url).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

async fn lookups(api: &Api) -> (u64, u64) {
    let metrics = api.get("/metrics").await.text().await.unwrap();
    let of = |outcome: &str| {
        let name = format!("stoker_query_cache_lookups_total{{outcome=\"{outcome}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&*name));
        line.map_or(0, |number| number.parse().unwrap())
    };
    (of("hit"), of("miss"))
}

struct Asked {
    status: u16,
    etag: Option<String>,
    body: String,
}

async fn ask(api: &Api, path: &str, known: Option<&str>) -> Asked {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.get(format!("http://{}{path}", api.address));
    if let Some(known) = known {
        request = request.header("if-none-match", known);
    }
    let answer = request.send().await.unwrap();
    let etag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    if status == 200 || status == 304 {
        assert_eq!(answer.headers()["cache-control"], "private, no-cache");
    }
    Asked { status, etag, body: answer.text().await.unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_until_its_data_change() {
    let dir = tempfile::tempdir().unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let data_dir = dir.path().join("data");
    let config = ServerConfig { data_dir, http: any, grpc: any, ..ServerConfig::default() };
    let server = stoker_server::start(config.clone()).await.unwrap();
    let api = Api { address: server.http_addr };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 10 * 10;
    let path = |endpoint: &str, from: u64, until: u64| {
        format!(
            "/api/v1/{endpoint}?query=process_cpu:samples:count:cpu:nanoseconds&from={from}&until={until}"
        )
    };
    let old = path("top", now - 1000, now - 900);
    push(&api, "api", now - 1000, "main;work 5".into()).await;
    push(&api, "api", now - 500, "main;work 7".into()).await;
    let before = lookups(&api).await;
    let first = ask(&api, &old, None).await;
    let again = ask(&api, &old, None).await;
    assert_eq!((first.status, &first.body, &first.etag), (200, &again.body, &again.etag));
    assert!(first.body.contains("work"));
    assert_eq!(lookups(&api).await, (before.0 + 1, before.1 + 1));
    // Other data of another time leave it, and a client that has it need not get it again.
    push(&api, "web", now - 500, "main;work 7".into()).await;
    let known = ask(&api, &old, first.etag.as_deref()).await;
    assert_eq!((known.status, &*known.body, &known.etag), (304, "", &first.etag));
    // One more row of its time does not, whatever the client has.
    push(&api, "api", now - 950, "main;work 8".into()).await;
    let changed = ask(&api, &old, first.etag.as_deref()).await;
    assert_eq!(changed.status, 200);
    assert_ne!((&changed.body, &changed.etag), (&first.body, &first.etag));
    // Nor are other questions mistaken for it.
    let bodies = [
        ask(&api, &old, None).await.body,
        ask(&api, &path("top", now - 1000, now - 890), None).await.body,
        ask(&api, &format!("{old}&by=module"), None).await.body,
        ask(&api, &path("timeline", now - 1000, now - 900), None).await.body,
        ask(&api, &path("labels/host/values", now - 1000, now - 900), None).await.body,
        ask(&api, &path("labels/service_name/values", now - 1000, now - 900), None).await.body,
    ];
    for (at, body) in bodies.iter().enumerate() {
        assert!(!bodies[..at].contains(body), "{at}: {body}");
    }
    let error = ask(&api, "/api/v1/top?query=nonsense", None).await;
    assert_eq!((error.status, error.etag), (400, None));
    server.shutdown().await.unwrap();
    // After a restart there is another log, and the same answer.
    let server = stoker_server::start(config).await.unwrap();
    let api = Api { address: server.http_addr };
    assert_eq!(ask(&api, &old, None).await.body, changed.body);
    server.shutdown().await.unwrap();
}

/// A comparison depends on the data of two ranges, and a diff of two times on those of the days before.
#[tokio::test(flavor = "multi_thread")]
async fn comparisons_are_kept_until_the_data_of_any_of_their_ranges_change() {
    let dir = tempfile::tempdir().unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let data_dir = dir.path().join("data");
    let config = ServerConfig { data_dir, http: any, grpc: any, ..ServerConfig::default() };
    let server = stoker_server::start(config).await.unwrap();
    let api = Api { address: server.http_addr };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 10 * 10;
    let (base, new, day) = (now - 2000, now - 1000, 86_400);
    for at in [base, new, base - day, new - day] {
        push(&api, "api", at, "main;work 5".into()).await;
    }
    let what = "process_cpu:samples:count:cpu:nanoseconds";
    let of_base = format!("base_from={base}&base_until={}", base + 100);
    let compare = format!("/api/v1/compare?query={what}&from={new}&until={}&{of_base}", new + 100);
    let diff = format!(
        "/api/v1/diff?base={what}&new={what}&{of_base}&new_from={new}&new_until={}",
        new + 100
    );
    for (path, ranges) in
        [(compare, vec![base, new]), (diff, vec![base, new, base - day, new - day])]
    {
        let mut last = ask(&api, &path, None).await;
        assert_eq!(last.status, 200, "{}", last.body);
        for (turn, at) in ranges.into_iter().enumerate() {
            let hits = lookups(&api).await.0;
            let again = ask(&api, &path, last.etag.as_deref()).await;
            assert_eq!((again.status, lookups(&api).await.0), (304, hits + 1), "{path}");
            push(&api, "api", at + 50, format!("main;{};n{turn} 8", &path[8..12])).await;
            let changed = ask(&api, &path, last.etag.as_deref()).await;
            assert_eq!(changed.status, 200, "{path}: data of {at}");
            assert_ne!(changed.etag, last.etag);
            last = changed;
        }
        let hits = lookups(&api).await.0;
        push(&api, "api", now - 500, "main;work 5".into()).await;
        let kept = ask(&api, &path, None).await;
        assert_eq!((kept.body, lookups(&api).await.0), (last.body, hits + 1), "{path}");
    }
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_cannot_say_when_they_change_are_asked_each_time() {
    let api = Api::start().await;
    let answer = api.get("/api/v1/top?query=cpu&").await;
    assert_eq!((answer.status().as_u16(), answer.headers().get("etag")), (200, None));
    assert_eq!(answer.headers()["cache-control"], "no-store");
}
