//! Short links: what they show is what was seen, and stays when the data are gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use stoker_server::http::Backend;
use stoker_server::links::{LinkId, Links};
use stoker_server::query::{Limits, MemoryParts, Parts};
use stoker_server::store::{
    Level, Names, PartView, PartVisitor, Rollups, StoreError, TenantId, TimeRange, Wanted,
};

use crate::fixture::*;
use crate::support::Api;

const MIB: u64 = 1 << 20;

fn open(dir: &tempfile::TempDir, max_bytes: u64) -> Links {
    Links::open(dir.path(), TenantId::default_tenant(), max_bytes).unwrap()
}

fn selection(query: &str) -> Value {
    json!({"query": query, "from": START.to_string(), "until": (START + 30).to_string()})
}

async fn make(api: &Api, view: &str, selections: &[Value]) -> Value {
    let body = json!({"view": view, "selections": selections}).to_string();
    let answer = api.post("/api/v1/links", body).await;
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

/// Everything a view may ask.
const QUESTIONS: [&str; 10] = [
    "flamegraph?query=cpu&",
    "flamegraph?query=cpu&group_by=service_name&max_nodes=3&",
    "flamegraph?query=cpu&format=collapsed&",
    "top?query=cpu&",
    "top?query=cpu&by=service&",
    "timeline?query=cpu&group_by=host&",
    "search?query=cpu&q=mem&",
    "sandwich?query=cpu&name=serve&module=api&",
    "labels?",
    "labels/host/values?",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_link_answers_as_the_store_did_when_the_store_has_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::with_links(parts(), open(&dir, MIB)).await;
    let made = make(&api, "?query=cpu&zoom=abcdef", &[selection("cpu")]).await;
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(made["path"], format!("/l/{id}"));
    assert_eq!((&made["samples"], &made["rows"]), (&json!(140), &json!(8)));
    let mut wanted = Vec::new();
    for question in QUESTIONS {
        wanted.push(api.get(&format!("/api/v1/{question}")).await.text().await.unwrap());
    }
    // Another process, whose store is empty.
    let later = Api::with_links(MemoryParts::default(), open(&dir, MIB)).await;
    let about = later.json(&format!("/api/v1/links/{id}")).await;
    assert_eq!(about, made);
    for (question, wanted) in QUESTIONS.iter().zip(wanted) {
        let answer = later.get(&format!("/api/v1/links/{id}/{question}")).await;
        assert_eq!(answer.status(), 200, "{question}");
        assert_eq!(answer.text().await.unwrap(), wanted, "{question}");
    }
    let empty = later.json("/api/v1/flamegraph?query=cpu&").await;
    assert_eq!(empty["total"], 0);
    let listed = later.json("/api/v1/links").await;
    assert_eq!((&listed["links"][0]["id"], &listed["max_bytes"]), (&json!(id), &json!(MIB)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_view_of_the_same_data_is_one_link_and_another_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let links = open(&dir, MIB);
    let api = Api::with_links(parts(), links.clone()).await;
    let one = make(&api, "?a=1", &[selection("cpu")]).await;
    assert_eq!(make(&api, "?a=1", &[selection("cpu")]).await, one);
    assert_ne!(make(&api, "?a=2", &[selection("cpu")]).await["id"], one["id"]);
    assert_ne!(make(&api, "?a=1", &[selection("cpu{host=\"web-1\"}")]).await["id"], one["id"]);
    assert_eq!((links.counts().links, links.counts().made), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_comparison_are_kept_and_no_row_twice() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::with_links(parts(), open(&dir, MIB)).await;
    let sides = [selection("cpu{host=\"web-1\"}"), selection("cpu")];
    let made = make(&api, "?page=compare", &sides).await;
    assert_eq!(made["samples"], 140);
    let id = made["id"].as_str().unwrap();
    let ask = "compare?query=cpu&base=cpu%7Bhost%3D%22web-1%22%7D&";
    let wanted = api.json(&format!("/api/v1/{ask}")).await;
    assert_eq!(api.json(&format!("/api/v1/links/{id}/{ask}")).await, wanted);
    // What hosts said stands there once too.
    let lost = api.json(&format!("/api/v1/links/{id}/flamegraph?query=cpu&")).await;
    assert_eq!(lost["lost_samples"], 7);
    // One function on one side, all that the host ran on the other.
    let sides = [selection("cpu{__frame__=\"serve\"}"), selection("cpu{host=\"web-1\"}")];
    assert_eq!(make(&api, "?page=compare", &sides).await["samples"], 100);
    let only = make(&api, "", &[selection("cpu{service_name=\"web\"}")]).await;
    assert_eq!(only["samples"], 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_quota_the_oldest_go_and_one_too_large_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = {
        let api = Api::with_links(parts(), open(&dir, MIB)).await;
        make(&api, "?a=1", &[selection("cpu")]).await
    };
    let bytes = first["bytes"].as_u64().unwrap();
    // Room for four of them.
    let links = open(&dir, 4 * bytes + bytes / 2);
    let api = Api::with_links(parts(), links.clone()).await;
    for view in ["?a=2", "?a=3", "?a=4", "?a=5"] {
        // Links are as old as the clock says.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        make(&api, view, &[selection("cpu")]).await;
    }
    assert_eq!((links.counts().links, links.counts().evicted), (4, 1));
    let id = first["id"].as_str().unwrap();
    for path in [format!("/api/v1/links/{id}"), format!("/api/v1/links/{id}/top?query=cpu&")] {
        let gone = api.get(&path).await;
        assert_eq!(gone.status(), 404, "{path}");
        assert_eq!(gone.json::<Value>().await.unwrap()["error"]["code"], "no_such_link");
    }
    let kept = open(&dir, bytes).counts();
    assert_eq!((kept.links, kept.evicted), (1, 3));
    let small = Api::with_links(parts(), open(&dir, bytes)).await;
    let body = json!({"view": "?b", "selections": [selection("cpu")]}).to_string();
    let refused = small.post("/api/v1/links", body.clone()).await;
    assert_eq!(refused.status(), 413);
    let off = Api::with_links(parts(), open(&dir, 0)).await;
    let refused = off.post("/api/v1/links", body).await;
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "no_links");
    // What is there stays.
    assert_eq!(off.json("/api/v1/links").await["links"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::with_links(parts(), open(&dir, MIB)).await;
    let many = vec![selection("cpu"); 3];
    for body in [
        "{".to_owned(),
        json!({"view": "?"}).to_string(),
        json!({"view": "//evil.example", "selections": [selection("cpu")]}).to_string(),
        json!({"view": format!("?{}", "x".repeat(20_000)), "selections": [selection("cpu")]})
            .to_string(),
        json!({"view": "?", "selections": []}).to_string(),
        json!({"view": "?", "selections": many}).to_string(),
        json!({"view": "?", "selections": [selection("cpu{")]}).to_string(),
        json!({"view": "?", "selections": [selection("cpu")], "more": 1}).to_string(),
    ] {
        let refused = api.post("/api/v1/links", body.clone()).await;
        assert_eq!(refused.status(), 400, "{body:.80}");
    }
    let made = make(&api, "?", &[selection("cpu")]).await;
    let id = made["id"].as_str().unwrap();
    for path in [
        "/api/v1/links/0000000000000".to_owned(),
        "/api/v1/links/..%2F..%2Fetc".to_owned(),
        "/api/v1/links/ilou".to_owned(),
        format!("/api/v1/links/{id}/push"),
        format!("/api/v1/links/{id}/agents"),
        format!("/api/v1/links/{id}/links/{id}/top"),
    ] {
        assert_eq!(api.get(&path).await.status(), 404, "{path}");
    }
    let refused = api.post(&format!("/api/v1/links/{id}/annotations"), "{}").await;
    assert_eq!(refused.status(), 405);
    assert!(Api::start().await.get("/api/v1/links").await.status() == 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_no_link_and_damage_is_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = {
        let api = Api::with_links(parts(), open(&dir, MIB)).await;
        (
            make(&api, "?a=1", &[selection("cpu")]).await,
            make(&api, "?a=2", &[selection("cpu")]).await,
        )
    };
    let about = |made: &Value| {
        dir.path().join(format!("about/default/{}.json", made["id"].as_str().unwrap()))
    };
    let segment = |made: &Value| {
        let id: LinkId = made["id"].as_str().unwrap().parse().unwrap();
        dir.path().join(format!("segments/default/{:016x}.seg", id.0))
    };
    // Written, and cut before it was known; and one that was being written.
    std::fs::remove_file(about(&one)).unwrap();
    std::fs::write(dir.path().join("segments/default/00.seg.unfinished"), "x").unwrap();
    let mut bytes = std::fs::read(segment(&two)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(segment(&two), bytes).unwrap();
    let links = open(&dir, MIB);
    assert_eq!(links.counts().links, 1);
    assert!(!segment(&one).exists());
    let api = Api::with_links(parts(), links).await;
    let id = two["id"].as_str().unwrap();
    let answer = api.get(&format!("/api/v1/links/{id}/flamegraph?query=cpu&")).await;
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "store_failed");
    // A link that cannot be read is named and keeps its data.
    std::fs::write(about(&two), "rubbish").unwrap();
    let links = open(&dir, MIB);
    assert_eq!((links.counts().links, links.counts().unreadable), (0, 1));
    assert!(segment(&two).exists());
}

/// The fixture as rollups have it: the first part by the hour, the second by function.
struct Rolled {
    parts: MemoryParts,
    links: Links,
}

impl Parts for Rolled {
    fn visit(&self, wanted: Wanted<'_>, visit: &mut PartVisitor<'_>) -> Result<(), StoreError> {
        let mut level = Level::Hourly;
        self.parts.visit(wanted, &mut |part| {
            let flow = visit(PartView { level, ..part });
            if level == Level::Functions && flow.is_continue() {
                return visit(PartView {
                    level,
                    windows: &[],
                    facts: &[],
                    totals: part.windows,
                    ..part
                });
            }
            level = Level::Functions;
            flow
        })
    }

    fn names(&self, read: &mut dyn FnMut(&Names)) {
        self.parts.names(read);
    }

    fn rollups(&self, range: TimeRange) -> Option<Rollups> {
        Some(Rollups { range, dropped: BTreeSet::from(["pod".to_owned()]), until: range.until() })
    }
}

impl Backend for Rolled {
    fn parts(&self) -> &dyn Parts {
        self
    }

    fn links(&self) -> Option<Links> {
        Some(self.links.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_by_the_hour_and_by_function_is_copied_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let rolled = Rolled { parts: parts(), links: open(&dir, MIB) };
    let api = Api::over(Arc::new(rolled), Limits::default()).await;
    let made = make(&api, "?", &[selection("cpu")]).await;
    assert_eq!(made["levels"], json!(["hourly", "functions"]));
    assert_eq!(made["samples"], 140);
    let id = made["id"].as_str().unwrap();
    for question in ["top?query=cpu&", "flamegraph?query=cpu&"] {
        let wanted = api.json(&format!("/api/v1/{question}")).await;
        assert_eq!(wanted["level"], "hourly+functions");
        let mut kept = api.json(&format!("/api/v1/links/{id}/{question}")).await;
        // Whole hours are kept, and asked for.
        let hour = |ms: u64, up: u64| json!((ms + up * 3_599_999) / 3_600_000 * 3_600_000);
        assert_eq!(kept["from_ms"], hour(START * 1000, 0));
        assert_eq!(kept["until_ms"], hour((START + 30) * 1000, 1));
        (kept["from_ms"], kept["until_ms"]) =
            (wanted["from_ms"].clone(), wanted["until_ms"].clone());
        assert_eq!(kept, wanted, "{question}");
    }
    let refused = api.get(&format!("/api/v1/links/{id}/top?query=cpu%7Bpod%3D%22a%22%7D&")).await;
    assert_eq!(refused.status(), 400);
    let error = refused.json::<Value>().await.unwrap();
    assert_eq!(error["error"]["code"], "beyond_raw_retention");
}
