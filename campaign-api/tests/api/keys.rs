//! Keys, roles, the document, and the shape of problems.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::World;

/// Every operation, and who may call it besides admin.
const ROLES: &[(&str, &str, &[&str])] = &[
    ("POST", "/v1/sellers", &["campaign_manager"]),
    ("GET", "/v1/sellers", &["campaign_manager", "compliance", "operator"]),
    ("POST", "/v1/sellers/{id}/narrowing", &["compliance"]),
    ("POST", "/v1/trunks", &["operator"]),
    ("GET", "/v1/trunks", &["campaign_manager", "compliance", "operator"]),
    ("POST", "/v1/campaigns", &["campaign_manager"]),
    ("GET", "/v1/campaigns", &["campaign_manager", "compliance", "operator"]),
    ("GET", "/v1/campaigns/{id}", &["campaign_manager", "compliance", "operator"]),
    ("POST", "/v1/campaigns/{id}/start", &["campaign_manager"]),
    ("POST", "/v1/campaigns/{id}/pause", &["campaign_manager"]),
    ("POST", "/v1/campaigns/{id}/stop", &["campaign_manager"]),
    ("GET", "/v1/campaigns/{id}/contacts", &["campaign_manager", "compliance", "operator"]),
    ("POST", "/v1/campaigns/{id}/lists", &["campaign_manager"]),
    ("GET", "/v1/campaigns/{id}/lists", &["campaign_manager", "compliance", "operator"]),
    ("POST", "/v1/lists", &["campaign_manager"]),
    ("POST", "/v1/lists/preview", &["campaign_manager"]),
    ("GET", "/v1/lists/template", &["campaign_manager", "compliance", "operator"]),
    ("GET", "/v1/lists/{id}", &["campaign_manager", "compliance", "operator"]),
    ("GET", "/v1/lists/{id}/faults", &["campaign_manager", "compliance", "operator"]),
    ("GET", "/v1/lists/{id}/summary", &["campaign_manager", "compliance"]),
    ("GET", "/v1/campaigns/{id}/summary", &["campaign_manager", "compliance"]),
    ("POST", "/v1/campaigns/{id}/forecast", &["campaign_manager", "compliance"]),
    ("GET", "/v1/eligibility", &["campaign_manager", "compliance"]),
    ("POST", "/v1/eligibility:check", &["campaign_manager", "compliance", "dialer"]),
    ("POST", "/v1/permits", &["dialer"]),
    ("GET", "/v1/permits/{id}", &["dialer"]),
    ("POST", "/v1/permits/{id}/outcome", &["dialer"]),
    ("POST", "/v1/consents", &["campaign_manager", "compliance"]),
    ("POST", "/v1/suppressions", &["campaign_manager", "compliance", "dialer"]),
    ("POST", "/v1/wishes", &["campaign_manager", "compliance"]),
    ("GET", "/v1/wishes", &["campaign_manager", "compliance"]),
    ("POST", "/v1/number-checks", &["campaign_manager", "compliance"]),
    ("GET", "/v1/number-checks", &["campaign_manager", "compliance"]),
    ("POST", "/v1/licences", &["compliance"]),
    ("GET", "/v1/licences", &["campaign_manager", "compliance", "operator"]),
    ("POST", "/v1/counters", &["compliance", "operator"]),
    ("GET", "/v1/counters", &["campaign_manager", "compliance", "operator"]),
    ("GET", "/v1/suppressions", &["campaign_manager", "compliance"]),
    ("POST", "/v1/earlier-attempts", &["campaign_manager", "compliance"]),
    ("GET", "/v1/attempts", &["campaign_manager", "compliance"]),
    ("GET", "/v1/attempts/{id}", &["campaign_manager", "compliance"]),
    ("POST", "/v1/attempts/{id}/correction", &["compliance"]),
    ("GET", "/v1/attempts/{id}/story", &["campaign_manager", "compliance"]),
    ("POST", "/v1/corrections", &["compliance"]),
    ("GET", "/v1/audit/dictionary", &["campaign_manager", "compliance"]),
    ("GET", "/v1/audit/export", &["campaign_manager", "compliance"]),
    ("GET", "/v1/audit/checkpoint", &["campaign_manager", "compliance"]),
    ("GET", "/v1/audit/key", &["campaign_manager", "compliance"]),
];

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

fn document() -> Value {
    serde_json::to_value(campaign_api::http::openapi()).unwrap()
}

#[test]
fn the_openapi_document_is_the_one_in_the_repository() {
    let written: Value = serde_json::from_str(&std::fs::read_to_string(GOLDEN).unwrap()).unwrap();
    assert_eq!(written["openapi"], "3.1.0");
    assert_eq!(
        document(),
        written,
        "write it anew: cargo test -p campaign-api --test api -- --ignored write_openapi"
    );
}

/// Not a check.
#[test]
#[ignore = "writes openapi.json"]
fn write_openapi() {
    let text = serde_json::to_string_pretty(&document()).unwrap();
    std::fs::write(GOLDEN, text + "\n").unwrap();
}

#[test]
fn the_table_of_this_test_names_every_operation() {
    let mut documented = Vec::new();
    let mut ids = BTreeSet::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            documented.push((method.to_uppercase(), path.clone()));
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(ids.insert(id.clone()), "two operations have the id {id}");
        }
    }
    let mut listed: Vec<_> =
        ROLES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    documented.sort();
    listed.sort();
    assert_eq!(documented, listed);
}

fn address(path: &str) -> String {
    const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    // A campaign manager exports one campaign at a time.
    let of = if path == "/v1/audit/export" { format!("?campaign={ID}") } else { String::new() };
    path.replace("{id}", ID) + &of
}

#[tokio::test]
async fn nothing_but_health_answers_without_a_key_of_a_user() {
    let world = World::start().await;
    let paths = ROLES.iter().map(|(method, path, _)| (*method, address(path)));
    let more = [
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("DELETE", "/v1/sellers"),
        ("GET", "/metrics"),
    ];
    for (method, path) in paths.chain(more.map(|(method, path)| (method, path.to_owned()))) {
        let method: Method = method.parse().unwrap();
        for key in [None, Some("rfk_wrong"), Some("")] {
            let mut request = world.request(None, method.clone(), &path);
            if let Some(key) = key {
                request = request.bearer_auth(key);
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path} {key:?}");
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["code"], "key_required", "{method} {path}");
        }
    }
    let health = world.request(None, Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    world.execute("UPDATE api_key SET revoked_at = 1").await;
    assert_eq!(world.get("/v1/sellers").await.0, StatusCode::UNAUTHORIZED, "a revoked key");
}

#[tokio::test]
async fn each_operation_is_open_to_its_roles_and_to_no_other() {
    let world = World::start().await;
    for (method, path, allowed) in ROLES {
        for role in ["admin", "campaign_manager", "compliance", "operator"] {
            let request = world.request(Some(role), method.parse().unwrap(), &address(path));
            let response = request.json(&json!({})).send().await.unwrap();
            let status = response.status();
            let may = role == "admin" || allowed.contains(&role);
            assert_eq!(status != StatusCode::FORBIDDEN, may, "{role} {method} {path}: {status}");
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{role} {method} {path}");
            assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{role} {method} {path}");
        }
    }
}

#[tokio::test]
async fn bad_requests_are_problems_with_stable_codes() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let bad: BTreeMap<&str, (StatusCode, Value)> = [
        ("seller_exists", world.post("/v1/sellers", &json!({ "name": "one" })).await),
        ("invalid", world.post("/v1/sellers", &json!({ "name": "a\u{0}b" })).await),
        ("not_found", world.get("/v1/campaigns/not-an-id").await),
        ("malformed", world.get("/v1/attempts?limit=many").await),
    ]
    .into();
    for (code, (status, problem)) in bad {
        assert_eq!(problem["code"], code, "{status} {problem}");
    }
    for body in ["{", "", "[]"] {
        let request = world.request(Some("admin"), Method::POST, "/v1/sellers");
        let request = request.header("content-type", "application/json").body(body);
        let status = request.send().await.unwrap().status().as_u16();
        assert!(status == 400 || status == 422, "{body:?}: {status}");
    }
    let large = json!({ "name": "x".repeat(2_000_000) });
    let (status, problem) = world.post("/v1/sellers", &large).await;
    assert_eq!((status, &problem["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large")));
    let mut campaign = crate::world::settings(&seller, "c", &[]);
    campaign["caller_id"] = json!("555");
    campaign["prompt"] = json!("../../etc/passwd");
    campaign["announces"] = json!(["everything"]);
    campaign["retry"] = json!({ "buzy": 5 });
    campaign["ring_timeout_seconds"] = json!(1);
    campaign["calls_per_second"] = json!(0);
    let (status, problem) = world.post("/v1/campaigns", &campaign).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<&str> = problem["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["field"].as_str().unwrap())
        .collect();
    for field in [
        "caller_id",
        "prompt",
        "announces",
        "retry.buzy",
        "ring_timeout_seconds",
        "calls_per_second",
    ] {
        assert!(fields.contains(&field), "{field} in {problem}");
    }
    let unknown = crate::world::settings(&seller, "d", &["01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    assert_eq!(world.post("/v1/campaigns", &unknown).await.1["code"], "invalid");
    let delete = world.request(Some("admin"), Method::DELETE, "/v1/sellers").send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::METHOD_NOT_ALLOWED);
}
