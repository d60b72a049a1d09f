//! Heatmaps and spans: samples that are kept one by one, and what is said of those that are not.

use serde_json::{Value, json};
use stoker_dag::{Frame, ProfileType, UnixNanos};
use stoker_server::links::Links;
use stoker_server::query::{MemoryPart, MemoryParts};
use stoker_server::store::{DetailedRow, TenantId, WindowDetails};
use stoker_wire::{CpuId, ThreadId};

use crate::fixture::*;
use crate::support::Api;

/// One sample of a stack, told by itself, at so many milliseconds from the start on.
fn add(part: &mut MemoryPart, at_ms: u64, stack: &[Frame]) {
    let at = UnixNanos(START * 1_000_000_000 + at_ms * 1_000_000);
    let cpu = ProfileType::cpu();
    let labels = (&series("web-1", "api"), &comm("worker"));
    part.add((at, &cpu), labels, stack, (PERIOD, 1));
    let row = *part.windows.last().unwrap().rows.last().unwrap();
    let sample = DetailedRow {
        series: row.series,
        attributes: row.attributes,
        node: row.node,
        thread: ThreadId(7),
        cpu: CpuId(0),
        offset_us: u32::try_from((at.0 - at.window_start().0) / 1000).unwrap(),
        value: PERIOD,
    };
    let (window, profile_type) = (at.window_start(), cpu);
    match part.details.last_mut().filter(|held| held.window == window) {
        Some(held) => held.samples.push(sample),
        None => part.details.push(WindowDetails { window, profile_type, samples: vec![sample] }),
    }
}

/// Twenty seconds: `serve` in the first tenth of each, `memcpy` once in the middle. A window later,
/// samples that are only counted.
fn striped() -> MemoryParts {
    let mut part = MemoryPart::default();
    for second in 0..20 {
        for step in 0..10 {
            add(&mut part, second * 1000 + step * 10, &[native("aa", 0x10), native("aa", 0x28)]);
        }
        add(&mut part, second * 1000 + 500, &[native("aa", 0x10), native("bb", 0x40)]);
    }
    let labels = (&series("web-1", "api"), &comm("worker"));
    let stack = [native("aa", 0x10)];
    part.add((window(2), &ProfileType::cpu()), labels, &stack, (6 * PERIOD, 6));
    MemoryParts { parts: vec![part], names: names() }
}

async fn start(dir: &tempfile::TempDir, parts: MemoryParts) -> Api {
    let links = Links::open(dir.path(), TenantId::default_tenant(), 1 << 20).unwrap();
    Api::with_links(parts, links).await
}

const STRIPE: &str = "heatmap?query=cpu&rows=10&";

fn span(from_ms: u64, until_ms: u64) -> String {
    let seconds = |ms: u64| format!("{}.{:03}", START + ms / 1000, ms % 1000);
    format!("span={}..{}", seconds(from_ms), seconds(until_ms))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_each_second_is_a_stripe() {
    let dir = tempfile::tempdir().unwrap();
    let api = start(&dir, striped()).await;
    let map = api.json(&format!("/api/v1/{STRIPE}")).await;
    check_golden("heatmap.json", &(serde_json::to_string(&map).unwrap() + "\n"));
    assert_eq!(
        (&map["columns"], &map["rows"], &map["column_ms"]),
        (&json!(30), &json!(10), &json!(1000))
    );
    assert_eq!((&map["with_time"], &map["without_time"]), (&json!(220), &json!(6)));
    assert_eq!(map["max"], 10);
    let counts = map["counts"].as_array().unwrap();
    for (at, count) in counts.iter().enumerate() {
        let (second, row) = (at / 10, at % 10);
        let wanted = if second >= 20 { 0 } else { [10, 0, 0, 0, 0, 1, 0, 0, 0, 0][row] };
        assert_eq!(*count, wanted, "second {second}, row {row}");
    }
    let wide = api.json("/api/v1/heatmap?query=cpu&rows=10&columns=10&").await;
    assert_eq!((&wide["columns"], &wide["column_ms"]), (&json!(10), &json!(3000)));
    assert_eq!(wide["with_time"], 220);
    let one = api.json("/api/v1/heatmap?query=cpu%7B__frame__%3D%22memcpy%22%7D&").await;
    assert_eq!((&one["with_time"], &one["without_time"]), (&json!(20), &json!(0)));
    let none = api.json("/api/v1/heatmap?query=cpu%7Bhost%3D%22other%22%7D&").await;
    assert_eq!((&none["with_time"], &none["without_time"]), (&json!(0), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_shows_just_that() {
    let dir = tempfile::tempdir().unwrap();
    let api = start(&dir, striped()).await;
    let stripe = span(3000, 3100);
    let found = api.json(&format!("/api/v1/flamegraph?query=cpu&{stripe}")).await;
    assert_eq!((&found["total"], &found["samples"]), (&json!(10 * PERIOD), &json!(10)));
    assert_eq!(found["span"], format!("{}..{}.1", START + 3, START + 3));
    assert_eq!(
        (&found["from_ms"], &found["until_ms"]),
        (&json!(START * 1000), &json!((START + 10) * 1000))
    );
    assert!(found["warnings"].is_null() || found["warnings"] == json!([]), "{found}");
    let rest = span(3100, 4000);
    let text = api.get(&format!("/api/v1/flamegraph?query=cpu&format=collapsed&{rest}")).await;
    assert_eq!(
        text.text().await.unwrap(),
        format!("main;serve;memcpy {PERIOD}\n").replace("serve;", "")
    );
    // Half-open, and over several seconds: from the third sample of one to the second of another.
    let some = span(3020, 5020);
    let top = api.json(&format!("/api/v1/top?query=cpu&{some}")).await;
    assert_eq!(top["samples"], 8 + 1 + 10 + 1 + 2);
    assert_eq!(top["rows"][0]["name"], "serve");
    let search = api.json(&format!("/api/v1/search?query=cpu&q=memcpy&{some}")).await;
    assert_eq!((&search["total"], &search["whole"]), (&json!(2 * PERIOD), &json!(22 * PERIOD)));
    let sandwich =
        api.json(&format!("/api/v1/sandwich?query=cpu&name=serve&module=api&{stripe}")).await;
    assert_eq!(sandwich["total"], 10 * PERIOD);
    // What was only counted is not there, and the answer says so.
    let partial = api.json(&format!("/api/v1/flamegraph?query=cpu&{}", span(19_000, 21_000))).await;
    assert_eq!(partial["samples"], 11);
    let warning = partial["warnings"][0].as_str().unwrap();
    assert!(warning.contains("6 of 116 samples"), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_details_it_says_how_many_are_missing() {
    let api = Api::start().await;
    let map = api.json("/api/v1/heatmap?query=cpu&").await;
    assert_eq!(
        (&map["with_time"], &map["without_time"], &map["max"]),
        (&json!(0), &json!(140), &json!(0))
    );
    assert_eq!(map["lost_samples"], 7);
    assert_eq!(map["counts"].as_array().unwrap().len(), 30 * 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let api = start(&dir, striped()).await;
    let selection =
        json!({"query": "cpu", "from": START.to_string(), "until": (START + 30).to_string()});
    let twice = json!({"view": "", "selections": [selection, selection]}).to_string();
    let made: Value = api.post("/api/v1/links", twice).await.json().await.unwrap();
    let id = made["id"].as_str().unwrap();
    let later = start(&dir, MemoryParts::default()).await;
    for question in [STRIPE.to_owned(), format!("flamegraph?query=cpu&{}", span(3000, 3100))] {
        let wanted = api.json(&format!("/api/v1/{question}")).await;
        assert_eq!(later.json(&format!("/api/v1/links/{id}/{question}")).await, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_said() {
    let api = Api::start().await;
    for (ask, code) in [
        ("heatmap?", "bad_parameter"),
        ("heatmap?query=%7B%7D&", "missing_profile_type"),
        ("heatmap?query=cpu&rows=0&", "bad_parameter"),
        ("heatmap?query=cpu&columns=4000&", "bad_parameter"),
        ("heatmap?query=cpu&span=1..2&", "bad_parameter"),
        ("flamegraph?query=cpu&span=now-1m..now&", "bad_time"),
        ("top?query=cpu&span=2..1&", "bad_time"),
        ("timeline?query=cpu&span=1..2&", "bad_parameter"),
    ] {
        let answer = api.get(&format!("/api/v1/{ask}")).await;
        assert_eq!(answer.status(), 400, "{ask}");
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["code"], code, "{ask}: {error}");
        assert!(error["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{ask}");
    }
}
