//! The API's description is true: it names what docs/api.md names, no more, and answers fit its schemas.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fixture::*;
use crate::support::Api;

const API_PAGE: &str = include_str!("../../../docs/api.md");
/// Described in docs/operations.md, and no part of the API.
const OPERATIONS: [&str; 2] = ["/debug/pprof/profile", "/metrics"];

/// `GET /path?a&b` of each operation, parameters in order.
type Operations = BTreeSet<(String, String, Vec<String>)>;

fn described(document: &Value) -> Operations {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, operations)| {
        operations.as_object().unwrap().iter().map(move |(method, operation)| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let named = parameters.filter(|parameter| parameter["in"] == "query");
            let names = named.map(|parameter| parameter["name"].as_str().unwrap().to_owned());
            (method.to_uppercase(), path.clone(), names.collect::<Vec<_>>())
        })
    });
    all.collect()
}

/// What the headings of the page say: `` ### `GET /path?a=&b=x|y`, `GET /other` ``.
fn headings() -> Operations {
    let lines = API_PAGE.lines().filter_map(|line| line.strip_prefix("### "));
    let named = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    let operations = named.filter_map(|named| {
        let (method, address) = named.split_once(' ')?;
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let names = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
        Some((method.to_owned(), path.to_owned(), names.collect::<Vec<_>>()))
    });
    operations.filter(|(_, path, _)| !OPERATIONS.contains(&&**path)).collect()
}

/// Whether a value fits a schema, by the words that the description uses; panics where it does not.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        return fits(document, document.pointer(pointer).expect("is there"), value, at);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fits(document, part, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let of = if value.is_null() { any.last() } else { any.first() };
        return fits(document, of.unwrap(), value, at);
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let is_kind = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    assert!(kinds.iter().any(is_kind), "{at} is {value}, and not {kinds:?}");
    let known = |word: &Value| schema["enum"].as_array().is_none_or(|words| words.contains(word));
    assert!(known(value), "{at} is {value}");
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(required.as_str().unwrap()).is_some(), "{at} lacks {required}");
    }
    for (name, part) in value.as_object().into_iter().flatten() {
        let described =
            schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
        let is_open = !schema["properties"].is_object();
        assert!(described.is_some() || is_open, "{at}.{name} is not described");
        fits(document, described.unwrap_or(&Value::Null), part, &format!("{at}.{name}"));
    }
    for part in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], part, &format!("{at}[]"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_what_the_page_names() {
    let api = Api::start().await;
    let document = api.json("/api/v1/openapi.json").await;
    let (described, mut headings) = (described(&document), headings());
    headings.remove(&("GET".to_owned(), "/api/v1/openapi.json".to_owned(), Vec::new()));
    let only = |a: &Operations, b: &Operations| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!(only(&described, &headings), [], "described, and not on the page as it is");
    assert_eq!(only(&headings, &described), [], "on the page, and not described as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_fit_their_schemas() {
    let api = Api::start().await;
    let document = api.json("/api/v1/openapi.json").await;
    let questions = [
        "profile-types?",
        "labels?",
        "series?",
        "flamegraph?query=cpu&",
        "flamegraph?query=cpu&max_nodes=3&group_by=host&",
        "timeline?query=cpu&group_by=service_name&",
        "top?query=cpu&by=module&",
        "heatmap?query=cpu&",
        "search?query=cpu&q=e&",
        "sandwich?query=cpu&name=main&",
        "compare?query=cpu&",
        "diff?base=cpu%7Bservice_name%3D%22api%22%7D&new=cpu%7Bservice_name%3D%22web%22%7D&",
        "capacity/services?by=host&",
        "capacity/functions?",
        "annotations?",
        "agents",
    ];
    for question in questions {
        let path = format!("/api/v1/{}", question.split('?').next().unwrap());
        let answer = api.json(&format!("/api/v1/{question}")).await;
        let operation = &document["paths"][&path]["get"];
        let content = &operation["responses"]["200"]["content"]["application/json"];
        assert!(content["schema"].is_object(), "{path} has no schema");
        fits(&document, &content["schema"], &answer, question);
    }
    let values = api.json("/api/v1/labels/host/values?").await;
    fits(&document, &document["components"]["schemas"]["LabelValues"], &values, "values");
    let refused = api.get(&format!("/api/v1/top?query=%7B&from={START}")).await;
    let refused: Value = refused.json().await.unwrap();
    fits(&document, &document["components"]["schemas"]["Error"], &refused, "error");
}
