//! The Helm chart, rendered without Helm: by a Go-template engine with the functions of Helm that the chart uses.
//! Every document is validated against the schemas of Kubernetes, and documents are checked against each other and
//! against the programs. `oracle` compares the rendering with a real `helm`, where one is on the path.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test: a missing key of a JSON value reads as null, and what is not there fails it"
)]

mod documents;
mod functions;
mod helm;
mod image;
mod kubernetes;
mod manual;
mod oracle;
mod pods;
mod run;
mod values;
mod yaml;

use std::fs;

use documents::Documents;
use helm::{RenderError, notes, render, values_files};
use kubernetes::Kubernetes;
use serde_json::{Value as Json, json};

/// What each values file brings forth, by the file's name.
fn renderings() -> Vec<(String, Json, Documents)> {
    values_files()
        .into_iter()
        .map(|(name, values)| {
            let documents = render(&values).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, values, Documents(documents))
        })
        .collect()
}

fn rendering(name: &str) -> Documents {
    renderings().into_iter().find(|(file, ..)| file == name).unwrap().2
}

#[test]
fn every_document_of_every_values_file_is_one_that_kubernetes_knows() {
    for (name, _, documents) in renderings() {
        assert!(documents.0.len() >= 7, "{name}: {} documents", documents.0.len());
        for (version, kubernetes) in Kubernetes::versions() {
            let faults = kubernetes.faults(&documents.0);
            assert!(faults.is_empty(), "{name}, Kubernetes {version}:\n{}", faults.join("\n"));
        }
    }
}

#[test]
fn the_values_files_bring_forth_every_kind_that_the_chart_has() {
    let mut kinds: Vec<String> = renderings()
        .iter()
        .flat_map(|(.., documents)| documents.0.iter())
        .map(|document| document["kind"].as_str().unwrap().to_owned())
        .collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "ConfigMap",
            "Deployment",
            "Ingress",
            "Job",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "PodMonitor",
            "PrometheusRule",
            "Service",
            "ServiceAccount",
            "StatefulSet"
        ]
    );
}

/// The check of documents sees what it is for: one planted fault each, at every depth.
#[test]
fn a_misspelt_or_wrong_field_is_found_at_every_depth() {
    type Plant = (&'static str, fn(&mut Json));
    let planted: &[Plant] = &[
        ("StatefulSet", |d| d["spec"]["replica"] = json!(2)),
        ("StatefulSet", |d| d["spec"]["replicas"] = json!("two")),
        ("StatefulSet", |d| d["spec"]["serviceName"] = Json::Null),
        ("StatefulSet", |d| {
            d["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = json!({});
        }),
        ("StatefulSet", |d| {
            d["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"][1]["secret"]["item"] =
                json!([]);
        }),
        ("Deployment", |d| {
            d["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["second"] =
                json!(1);
        }),
        ("Deployment", |d| {
            d["spec"]["template"]["spec"]["securityContext"]["runAsNonRot"] = json!(true);
        }),
        ("Service", |d| d["spec"]["ports"][0]["targetPorts"] = json!("http")),
        ("NetworkPolicy", |d| d["spec"]["policyType"] = json!(["Egress"])),
        ("NetworkPolicy", |d| d["spec"]["egress"][0]["ports"][0]["protocoll"] = json!("UDP")),
        ("PodDisruptionBudget", |d| d["spec"]["maxUnavailabel"] = json!(1)),
        ("Ingress", |d| d["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = Json::Null),
        ("ConfigMap", |d| d["data"] = json!({ "ringfence.toml": 3 })),
        ("PodMonitor", |d| d["spec"]["podMetricsEndpoints"][0]["intervall"] = json!("15s")),
        ("PrometheusRule", |d| d["spec"]["groups"] = json!([{ "nam": "x" }])),
        ("Job", |d| d["apiVersion"] = json!("batch/v1beta1")),
    ];
    let sound = rendering("production.yaml");
    for (version, kubernetes) in Kubernetes::versions() {
        for (at, (kind, plant)) in planted.iter().enumerate() {
            let mut document = sound.of_kind(kind)[0].clone();
            assert!(kubernetes.faults(std::slice::from_ref(&document)).is_empty());
            plant(&mut document);
            let faults = kubernetes.faults(&[document]);
            assert_eq!(faults.len(), 1, "{version}: planted fault {at} in {kind} goes unseen");
        }
    }
}

#[test]
fn a_key_that_stands_twice_in_a_document_is_found() {
    assert!(yaml::every("a: 1\nb: 2\na: 3\n").is_err());
}

#[test]
fn dashboards_and_rules_arrive_byte_for_byte() {
    let documents = rendering("minimal.yaml");
    let held: Vec<(&String, &Json)> = documents
        .of_kind("ConfigMap")
        .into_iter()
        .filter_map(|document| document["data"].as_object())
        .flatten()
        .collect();
    let dashboards = fs::read_dir(helm::folder().join("dashboards")).expect("helm/dashboards");
    let dashboards = dashboards
        .map(|entry| format!("dashboards/{}", entry.unwrap().file_name().to_string_lossy()))
        .filter(|path| path.ends_with(".json"));
    let mut files: Vec<_> = dashboards.collect();
    assert!(files.len() >= 2, "{files:?}");
    files.push("rules/ringfence.yaml".to_owned());
    for path in files {
        let name = path.split('/').next_back().unwrap();
        let found: Vec<_> = held.iter().filter(|(key, _)| *key == name).collect();
        assert_eq!(found.len(), 1, "{path}");
        assert_eq!(found[0].1.as_str().unwrap(), helm::file(&path), "{path}");
    }
}

#[test]
fn the_rule_of_the_operator_says_what_the_rules_say() {
    let documents = rendering("production.yaml");
    let rule = documents.of_kind("PrometheusRule")[0].clone();
    assert_eq!(rule["spec"], yaml::one(&helm::file("rules/ringfence.yaml")).unwrap());
    assert!(!rule["spec"]["groups"].as_array().unwrap().is_empty());
}

#[test]
fn what_can_be_off_is_off() {
    let bare = rendering("bare.yaml");
    for kind in
        ["Job", "NetworkPolicy", "ServiceAccount", "PodMonitor", "PrometheusRule", "Ingress"]
    {
        assert!(bare.of_kind(kind).is_empty(), "{kind}");
    }
    assert_eq!(bare.of_kind("ConfigMap").len(), 1, "the configuration alone");
}

#[test]
fn values_that_make_no_sense_together_are_refused_with_the_reason() {
    let refused = |values: Json| match render(&values) {
        Err(RenderError::Template(_, error)) => error.to_string(),
        other => panic!("{values} is rendered: {:?}", other.is_ok()),
    };
    let said = refused(json!({ "dialer": { "advertise": "192.0.2.1", "replicas": 2 } }));
    assert!(said.contains("one literal address serves one replica only"), "{said}");
    let said = refused(json!({ "dialer": { "advertise": "hostIP" } }));
    assert!(said.contains("hostIP needs hostNetwork: true"), "{said}");
    let said = refused(json!({ "dialer": { "rtp": { "firstPort": 30_000, "endPort": 30_000 } } }));
    assert!(said.contains("endPort must be greater"), "{said}");
    let said = refused(json!({ "dialer": { "sip": { "port": 20_500 } } }));
    assert!(said.contains("lies among the ports"), "{said}");
    let said = refused(json!({ "api": { "port": 9101 } }));
    assert!(said.contains("api.port and api.admin.port are the same"), "{said}");
    let said = refused(json!({ "monitoring": { "podMonitor": { "enabled": true } } }));
    assert!(said.contains("networkPolicy.metricsPeers is empty"), "{said}");
    let said = refused(json!({ "api": { "ingress": { "enabled": true } } }));
    assert!(said.contains("api.ingress.enabled: networkPolicy.apiPeers is empty"), "{said}");
    let said = refused(json!({ "api": { "service": { "type": "NodePort" } } }));
    assert!(said.contains("service.type NodePort: networkPolicy.apiPeers is empty"), "{said}");
}

#[test]
fn values_that_only_look_like_a_contradiction_are_taken() {
    let peers = json!([{ "podSelector": {} }]);
    let open = json!({
        "api": { "ingress": { "enabled": true }, "service": { "type": "LoadBalancer" } },
        "monitoring": { "podMonitor": { "enabled": true } },
    });
    for values in [
        // SIP is UDP, the metrics are TCP.
        json!({ "dialer": { "admin": { "port": 5070 } } }),
        json!({ "dialer": { "advertise": "hostIP", "hostNetwork": true } }),
        json!({ "dialer": { "advertise": "podIP", "hostNetwork": true } }),
        // Without policies everybody is a peer.
        helm::merged(&open, &json!({ "networkPolicy": { "enabled": false } })),
        helm::merged(
            &open,
            &json!({ "networkPolicy": { "apiPeers": peers, "metricsPeers": peers } }),
        ),
    ] {
        render(&values).unwrap_or_else(|error| panic!("{values}: {error}"));
    }
}

#[test]
fn the_closing_words_name_the_release_and_what_is_still_open() {
    let said = notes(&json!({}));
    assert!(said.contains("rollout status statefulset/trial-ringfence-dialer"), "{said}");
    assert!(said.contains("NO CALL CAN BE PLACED YET"), "{said}");
    let said = notes(&json!({ "networkPolicy": { "trunkCIDRs": ["203.0.113.0/28"] } }));
    assert!(!said.contains("NO CALL"), "{said}");
    let said = notes(&json!({ "dialer": { "hostNetwork": true } }));
    assert!(
        said.contains("NetworkPolicies do not hold") && said.contains("20000 to 20999"),
        "{said}"
    );
    assert!(said.contains("UDP 5070") && said.contains("TCP 9102 from your Prometheus"), "{said}");
    let said = notes(&json!({ "dialer": { "hostNetwork": true, "admin": { "port": 9333 } } }));
    assert!(said.contains("TCP 9333 from your Prometheus"), "{said}");
}
