//! `values.schema.json`: what it takes, what it refuses, and that it knows every value.

use serde_json::{Value as Json, json};

use crate::helm::{check_values, file, merged, shipped_values, values_files};

fn checked(over: &Json) -> Result<(), String> {
    check_values(&merged(&shipped_values(), over))
}

#[test]
fn the_shipped_values_and_all_values_files_are_taken() {
    checked(&json!({})).unwrap();
    for (name, values) in values_files() {
        checked(&values).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn wrong_values_are_refused_at_their_place() {
    let wrong = [
        ("/dialer/replicas", json!({ "dialer": { "replicas": 0 } })),
        ("/dialer/replicas", json!({ "dialer": { "replicas": "2" } })),
        ("/dialer/replicas", json!({ "dialer": { "replicas": 1.5 } })),
        ("/dialer/sip/port", json!({ "dialer": { "sip": { "port": 80 } } })),
        ("/dialer/rtp/endPort", json!({ "dialer": { "rtp": { "endPort": 65_536 } } })),
        ("/dialer/advertise", json!({ "dialer": { "advertise": "sip.example.com" } })),
        (
            "/dialer/terminationGracePeriodSeconds",
            json!({ "dialer": { "terminationGracePeriodSeconds": 30 } }),
        ),
        ("/dialer", json!({ "dialer": { "replica": 2 } })),
        ("/dialer/prompts/volume", json!({ "dialer": { "prompts": { "volume": { "pvc": {} } } } })),
        (
            "/dialer/lists/volume",
            json!({ "dialer": { "lists": { "volume": { "nfs": {}, "emptyDir": {} } } } }),
        ),
        ("/dialer/resources", json!({ "dialer": { "resources": { "limit": {} } } })),
        ("/api/service/type", json!({ "api": { "service": { "type": "HeadLess" } } })),
        ("/api/ingress/enabled", json!({ "api": { "ingress": { "enabled": "yes" } } })),
        ("", json!({ "dialler": {} })),
        ("/image/tag", json!({ "image": { "tag": "latest" } })),
        ("/image/digest", json!({ "image": { "digest": "sha256:12" } })),
        ("/stores", json!({ "stores": { "url": "postgres://u:p@h/d" } })),
        ("/stores/existingSecret", json!({ "stores": { "existingSecret": "" } })),
        ("/stores/postgresConnections", json!({ "stores": { "postgresConnections": 201 } })),
        (
            "/networkPolicy/trunkCIDRs/0",
            json!({ "networkPolicy": { "trunkCIDRs": ["203.0.113.1"] } }),
        ),
        ("/networkPolicy/apiPeers", json!({ "networkPolicy": { "apiPeers": "all" } })),
        ("/networkPolicy/apiPeers/0", json!({ "networkPolicy": { "apiPeers": [{}] } })),
        ("/podSecurityContext/runAsUser", json!({ "podSecurityContext": { "runAsUser": 0 } })),
        (
            "/podSecurityContext/runAsNonRoot",
            json!({ "podSecurityContext": { "runAsNonRoot": false } }),
        ),
        ("/podSecurityContext", json!({ "podSecurityContext": { "seccompProfile": null } })),
        ("/commonLabels/cost", json!({ "commonLabels": { "cost": 3 } })),
        ("/fullnameOverride", json!({ "fullnameOverride": "Ring_Fence" })),
        (
            "/monitoring/podMonitor/interval",
            json!({ "monitoring": { "podMonitor": { "interval": "15" } } }),
        ),
    ];
    for (place, values) in wrong {
        let fault = checked(&values).expect_err(&format!("{values} is taken"));
        assert!(fault.contains(&format!("at '{place}'")), "{values}: {fault}");
    }
}

/// Every key of values.yaml is a property of the schema, and every property stands in values.yaml; below lists and
/// maps of free texts there is nothing to compare.
#[test]
fn the_schema_knows_every_value_and_no_other() {
    let schema: Json = serde_json::from_str(&file("values.schema.json")).unwrap();
    let mut compared = 0;
    compare(&schema, &schema, &shipped_values(), "", &mut compared);
    assert!(compared > 90, "{compared} keys compared");
}

/// Left out of values.yaml because they have no shipped value.
const SILENT: &[&str] = &[
    "/global",
    "/podSecurityContext/fsGroupChangePolicy",
    "/podSecurityContext/supplementalGroups",
    "/podSecurityContext/seLinuxOptions",
    "/podSecurityContext/seccompProfile/localhostProfile",
];

fn compare(schema: &Json, at: &Json, values: &Json, path: &str, compared: &mut usize) {
    let at = at["$ref"].as_str().map_or(at, |place| {
        schema.pointer(place.trim_start_matches('#')).expect("a definition of the schema")
    });
    let Some(values) = values.as_object() else { return };
    let Some(properties) = at["properties"].as_object() else {
        let free = at["additionalProperties"].is_object() || at["type"] == "object";
        assert!(free, "{path} is a map that the schema does not know");
        return;
    };
    assert_eq!(at["additionalProperties"], false, "{path} takes unknown keys");
    for (key, value) in values {
        let path = format!("{path}/{key}");
        let below = properties.get(key).unwrap_or_else(|| panic!("{path} is not in the schema"));
        *compared += 1;
        compare(schema, below, value, &path, compared);
    }
    let a_volume = path.ends_with("/volume");
    for key in properties.keys().filter(|key| !values.contains_key(*key) && !a_volume) {
        let path = format!("{path}/{key}");
        assert!(SILENT.contains(&path.as_str()), "{path} is not in values.yaml");
    }
}

/// Somebody reads values.yaml before anything else: nothing in it goes without a word.
#[test]
fn every_group_of_values_is_explained() {
    let text = file("values.yaml");
    let lines: Vec<&str> = text.lines().collect();
    for group in ["stores", "keys", "rules", "networkPolicy", "monitoring", "migrations", "dialer"]
    {
        let at = lines.iter().position(|line| line.starts_with(&format!("{group}:"))).unwrap();
        let near = &lines[at - 1..=at + 2];
        assert!(near.iter().any(|line| line.trim_start().starts_with('#')), "{group}: {near:?}");
    }
}
