//! What the viewer explores with: search, sandwiches, subtrees, files that are looked at.

use serde_json::{Value, json};

use crate::fixture::*;
use crate::support::Api;

fn names(columns: &Value) -> Vec<String> {
    let text =
        |ix: &Value| columns["names"][usize::try_from(ix.as_u64().unwrap()).unwrap()].clone();
    let names = columns["nodes"]["name"].as_array().unwrap().iter().map(text);
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_sees_what_a_pruned_picture_does_not() {
    let api = Api::start().await;
    let found = api.json("/api/v1/search?query=cpu&q=MEMC&").await;
    assert_eq!((&found["whole"], &found["total"]), (&json!(140 * PERIOD), &json!(30 * PERIOD)));
    assert_eq!((&found["self"], &found["boxes"]), (&json!(30 * PERIOD), &json!(1)));
    assert_eq!(found["functions"][0]["name"], "memcpy");
    assert_eq!(found["functions"][0]["module"], "libc.so");
    let regex = api.json("/api/v1/search?query=cpu&q=^(parse|memcpy)$&mode=regex&limit=1&").await;
    assert_eq!((&regex["total"], &regex["functions_total"]), (&json!(70 * PERIOD), &json!(2)));
    assert_eq!(regex["functions"].as_array().unwrap().len(), 1);
    let exact = api.json("/api/v1/search?query=cpu&q=mem&mode=exact&").await;
    assert_eq!((&exact["total"], &exact["functions"]), (&json!(0), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandwich_has_callers_and_callees() {
    let api = Api::start().await;
    let path = "/api/v1/sandwich?query=cpu&name=serve&module=api&";
    let found = api.json(path).await;
    assert_eq!((&found["total"], &found["self"]), (&json!(70 * PERIOD), &json!(0)));
    assert_eq!(found["whole"], 140 * PERIOD);
    assert_eq!(names(&found["callers"]), ["serve", "main"]);
    assert_eq!(names(&found["callees"]), ["serve", "memcpy", "parse"]);
    assert_eq!(found["callees"]["nodes"]["total"], json!([70 * PERIOD, 30 * PERIOD, 40 * PERIOD]));
    let pruned = api.json("/api/v1/sandwich?query=cpu&name=serve&module=api&max_nodes=1&").await;
    assert_eq!(names(&pruned["callees"]), ["serve", "(other)"]);
    assert_eq!(pruned["callees"]["nodes_before_pruning"], 3);
    let none = api.json("/api/v1/sandwich?query=cpu&name=serve&").await;
    assert_eq!((&none["total"], &none["callers"]["nodes"]["total"]), (&json!(0), &json!([0])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_has_its_lines_and_builds() {
    let api = Api::start().await;
    let found = api.json("/api/v1/sandwich?query=cpu&name=serve&module=api&").await;
    let line = |line: u64, own: u64, total: u64| json!({"file": "src/serve.rs", "line": line, "self": own * PERIOD, "total": total * PERIOD});
    // What was inlined into a line ends in the inlined function.
    assert_eq!(found["lines"], json!([line(20, 0, 40), line(25, 0, 30)]));
    assert_eq!(found["lines_total"], 2);
    let build =
        json!([{"build_id": "aa", "named_by": "debug_info", "addresses": 2, "total": 70 * PERIOD}]);
    assert_eq!(found["builds"], build);
    let inlined = api.json("/api/v1/sandwich?query=cpu&name=parse&module=api&").await;
    assert_eq!(inlined["lines"][0]["line"], 3);
    assert_eq!(inlined["lines"][0]["self"], 40 * PERIOD);
    let unnamed = api.json("/api/v1/sandwich?query=cpu&name=0x4f2a1&module=build%20cc&").await;
    assert_eq!(
        (&unnamed["lines"][0]["file"], &unnamed["lines"][0]["line"]),
        (&json!(""), &json!(0))
    );
    assert_eq!(unnamed["builds"][0]["named_by"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_says_which_builds_its_modules_have() {
    let api = Api::start().await;
    let graph = api.json("/api/v1/flamegraph?query=cpu&").await;
    let modules = graph["modules"].as_array().unwrap();
    let of = |module: &str| {
        let at = modules.iter().position(|held| held == module).unwrap();
        graph["builds"][at].clone()
    };
    assert_eq!(of("api"), json!({"count": 1, "ids": ["aa"]}));
    assert_eq!(of("app.py"), json!({"count": 0, "ids": []}));
    assert_eq!(graph["builds"].as_array().unwrap().len(), modules.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_compared_with_a_selection_and_not_stored() {
    let api = Api::start().await;
    let range = format!("from={START}&until={}", START + 30);
    let ask = |more: &str| format!("/api/v1/compare?query=cpu&name=a.collapsed&{range}{more}");
    // No modules and no kinds: names alone say what is what.
    let body = "main;serve;memcpy 3\nmain;added 1\n";
    let answer = api.post(&ask(""), body).await;
    assert_eq!(answer.status(), 200);
    let found: Value = answer.json().await.unwrap();
    assert_eq!(
        (&found["base"]["query"], &found["base"]["total"]),
        (&json!("a.collapsed"), &json!(4))
    );
    assert_eq!(found["new"]["total"], 140 * PERIOD);
    assert_eq!(
        (&found["base"]["unit"], &found["new"]["unit"]),
        (&json!("count"), &json!("nanoseconds"))
    );
    let functions = found["functions"].as_array().unwrap();
    let row = |name: &str| functions.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(row("memcpy")["base_self"], 3);
    assert_eq!(row("memcpy")["new_self"], 30 * PERIOD);
    assert_eq!((&row("added")["base_self"], &row("added")["new_self"]), (&json!(1), &json!(0)));
    let turned: Value = api.post(&ask("&file=new"), body).await.json().await.unwrap();
    assert_eq!(turned["new"]["query"], "a.collapsed");
    for (path, body, code) in [
        (ask(""), "\u{1}\u{2}", "bad_profile"),
        (ask("&file=both"), body, "bad_parameter"),
        (ask("&type=cpu"), body, "bad_parameter"),
        (format!("/api/v1/compare?{range}"), body, "bad_parameter"),
    ] {
        let refused = api.post(&path, body).await;
        assert_eq!(refused.status(), 400, "{path}");
        assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], code, "{path}");
    }
    let graph = api.json("/api/v1/flamegraph?query=cpu&").await;
    assert_eq!(graph["total"], 140 * PERIOD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subtree_is_shown_in_its_place_with_more_boxes() {
    let api = Api::start().await;
    let few = api.json("/api/v1/flamegraph?query=cpu&max_nodes=2&").await;
    assert_eq!(names(&few), ["all", "main", "(other)", "(other)"]);
    let key = |name, kind| stoker_analysis::path::key(name, "app.py", kind, false);
    let run = key("run", stoker_dag::BoxKind::Interpreted);
    for (path, wanted) in [
        (vec![run], vec!["all", "main", "(other)", "run", "run", "(other)"]),
        (vec![run, run], vec!["all", "main", "(other)", "run", "run", "(other)"]),
        // The steps that there are lead to `run`.
        (vec![run, 7], vec!["all", "main", "(other)", "run", "run", "(other)"]),
        (vec![7], vec!["all", "main", "(other)", "(other)"]),
    ] {
        let root = stoker_analysis::path::format(&path);
        let graph =
            api.json(&format!("/api/v1/flamegraph?query=cpu&max_nodes=2&root={root}&")).await;
        assert_eq!(names(&graph), wanted, "{path:?}");
        assert_eq!(graph["nodes"]["total"][0], 140 * PERIOD);
    }
    let refused = api.get("/api/v1/flamegraph?query=cpu&root=short&").await;
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "bad_parameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_terms_are_refused_with_what_is_wrong() {
    let api = Api::start().await;
    for (path, wanted) in [
        ("/api/v1/search?query=cpu&", "nothing to search"),
        ("/api/v1/search?query=cpu&q=(&mode=regex&", "does not compile"),
        ("/api/v1/search?query=cpu&q=a&mode=fuzzy&", "not known"),
        ("/api/v1/search?q=a&", "query is missing"),
        ("/api/v1/sandwich?query=%7B%7D&name=a&", "profile type"),
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status(), 400, "{path}");
        let message = answer.json::<Value>().await.unwrap()["error"]["message"].to_string();
        assert!(message.contains(wanted), "{path}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_shown_and_not_stored() {
    let api = Api::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |query: &str, body: &'static str| {
        client.post(format!("http://{}/api/v1/parse{query}", api.address)).body(body).send()
    };
    let answer = post("?name=a.collapsed", "main;<script>x 3\nmain 2\n").await.unwrap();
    assert_eq!(answer.status(), 200);
    let parsed: Value = answer.json().await.unwrap();
    assert_eq!((&parsed["format"], &parsed["total"]), (&json!("collapsed"), &json!(5)));
    assert_eq!(names(&parsed), ["all", "main", "<script>x"]);
    let broken = post("", "\u{1}\u{2}").await.unwrap();
    assert_eq!(broken.status(), 400);
    assert_eq!(broken.json::<Value>().await.unwrap()["error"]["code"], "bad_profile");
    let unknown = post("?type=heap", "main 2\n").await.unwrap();
    assert_eq!(unknown.status(), 400);
    assert_eq!(api.get("/api/v1/parse").await.status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_selections_are_aligned() {
    let api = Api::start().await;
    let path = "/api/v1/compare?query=cpu%7Bservice_name%3D%22api%22%7D&";
    let later = format!("{path}from={}&until={}", START + 10, START + 20);
    let same = api.json(&later).await;
    assert_eq!(same["base"], same["new"]);
    assert_eq!(same["nodes"]["base_total"], same["nodes"]["new_total"]);
    let sides = format!("{later}&base_from={START}&base_until={}&max_nodes=3", START + 10);
    let found = api.json(&sides).await;
    assert_eq!(
        (&found["base"]["total"], &found["new"]["total"]),
        (&json!(60 * PERIOD), &json!(25 * PERIOD))
    );
    assert_eq!(found["nodes_before_pruning"], 7);
    assert_eq!(found["nodes"]["base_total"][0], 60 * PERIOD);
    let own = |column: &str| -> u64 {
        found["nodes"][column].as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).sum()
    };
    assert_eq!((own("base_self"), own("new_self")), (60 * PERIOD, 25 * PERIOD));
    let first = &found["functions"][0];
    assert_eq!(
        (&first["name"], &first["base_self"], &first["new_self"]),
        (&json!("parse"), &json!(40 * PERIOD), &json!(0))
    );
    let types =
        api.get("/api/v1/compare?query=cpu&base=wall:wall:nanoseconds:wall:nanoseconds&").await;
    assert_eq!(types.status(), 400);
    assert_eq!(types.json::<Value>().await.unwrap()["error"]["code"], "different_profile_types");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_files_of_others_are_downloads() {
    let api = Api::start().await;
    for (format, extension) in [("html", "html"), ("speedscope", "speedscope.json")] {
        let answer = api.get(&format!("/api/v1/flamegraph?query=cpu&format={format}&")).await;
        assert_eq!(answer.status(), 200);
        let name = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
        assert_eq!(name, format!("attachment; filename=\"cpu-{START}.{extension}\""));
        let text = answer.text().await.unwrap();
        assert!(text.contains("memcpy"), "{format}");
        assert!(format != "html" || !text.contains("<script>alert"), "{text}");
        if format == "speedscope" {
            let file: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(file["profiles"][0]["endValue"], 140 * PERIOD);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_are_noted_and_listed() {
    let api = Api::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |body: String| {
        client.post(format!("http://{}/api/v1/annotations", api.address)).body(body).send()
    };
    let noted =
        post(format!(r#"{{"text": " deploy <b>1.5</b> ", "at": "{START}"}}"#)).await.unwrap();
    assert_eq!(noted.status(), 201);
    let wanted = json!({"at_ms": START * 1000, "text": "deploy <b>1.5</b>"});
    assert_eq!(noted.json::<Value>().await.unwrap(), wanted);
    let listed = api.json("/api/v1/annotations?").await;
    assert_eq!(listed["annotations"], json!([wanted]));
    let later =
        api.json(&format!("/api/v1/annotations?from={}&until={}", START + 10, START + 20)).await;
    assert_eq!(later["annotations"], json!([]));
    for body in [
        "",
        "{}",
        r#"{"text": " "}"#,
        r#"{"text": "a", "at": "monday"}"#,
        r#"{"text": "a", "x": 1}"#,
    ] {
        assert_eq!(post(body.to_owned()).await.unwrap().status(), 400, "{body}");
    }
    let long = format!(r#"{{"text": "{}"}}"#, "x".repeat(1025));
    assert_eq!(post(long).await.unwrap().status(), 400);
}
