//! Documents against each other: who selects whom, which port is whose, what is called how.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value as Json, json};

use crate::{
    helm::{file, render_named, root},
    renderings,
};

/// What one set of values brings forth.
pub(crate) struct Documents(pub(crate) Vec<Json>);

impl Documents {
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Json> {
        self.0.iter().filter(|document| document["kind"] == kind).collect()
    }

    /// The pods that the documents ask for: component, labels, specification.
    pub(crate) fn pods(&self) -> Vec<(String, &Json, &Json)> {
        self.0
            .iter()
            .map(|document| &document["spec"]["template"])
            .filter(|template| template.is_object())
            .map(|template| {
                let labels = &template["metadata"]["labels"];
                (words(&labels["app.kubernetes.io/component"]), labels, &template["spec"])
            })
            .collect()
    }

    pub(crate) fn pod(&self, component: &str) -> &Json {
        self.pods().into_iter().find(|(name, ..)| name == component).unwrap().2
    }

    /// Components whose pods carry all these labels.
    fn selected(&self, selector: &Json) -> Vec<String> {
        let wanted = selector.as_object().unwrap();
        assert!(!wanted.is_empty(), "an empty selector takes every pod of the namespace");
        let carries = |labels: &Json| wanted.iter().all(|(key, value)| &labels[key] == value);
        self.pods().into_iter().filter(|(_, labels, _)| carries(labels)).map(|pod| pod.0).collect()
    }
}

pub(crate) fn words(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Name, number and protocol of the ports of a pod's only container.
pub(crate) fn ports(pod: &Json) -> BTreeMap<String, (u64, String)> {
    let ports = pod["containers"][0]["ports"].as_array().unwrap();
    let told = |port: &Json| {
        (words(&port["name"]), (port["containerPort"].as_u64().unwrap(), words(&port["protocol"])))
    };
    ports.iter().map(told).collect()
}

#[test]
fn every_selector_takes_the_pods_of_one_component_and_no_other() {
    for (name, _, documents) in renderings() {
        for document in &documents.0 {
            let spec = &document["spec"];
            let selector = match words(&document["kind"]).as_str() {
                "Service" => &spec["selector"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                "StatefulSet" | "Deployment" | "PodDisruptionBudget" | "PodMonitor" => {
                    &spec["selector"]["matchLabels"]
                }
                _ => continue,
            };
            let component = words(&document["metadata"]["labels"]["app.kubernetes.io/component"]);
            assert_eq!(
                documents.selected(selector),
                [component],
                "{name}: {} {}",
                document["kind"],
                document["metadata"]["name"]
            );
        }
    }
}

#[test]
fn services_monitors_and_probes_name_ports_that_the_pods_have() {
    for (name, _, documents) in renderings() {
        for service in documents.of_kind("Service") {
            let pod = documents.pod(&documents.selected(&service["spec"]["selector"])[0]);
            for port in service["spec"]["ports"].as_array().unwrap() {
                let (number, protocol) = &ports(pod)[&words(&port["targetPort"])];
                assert_eq!(&words(&port["protocol"]), protocol, "{name}");
                if service["spec"]["clusterIP"] == "None" {
                    assert_eq!(port["port"], *number, "{name}: a headless service maps no port");
                }
            }
        }
        for monitor in documents.of_kind("PodMonitor") {
            let selector = &monitor["spec"]["selector"]["matchLabels"];
            let pod = documents.pod(&documents.selected(selector)[0]);
            let port = words(&monitor["spec"]["podMetricsEndpoints"][0]["port"]);
            assert_eq!(ports(pod)[&port].1, "TCP", "{name}");
        }
        for ingress in documents.of_kind("Ingress") {
            let backend = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
            let services = documents.of_kind("Service");
            let service =
                services.iter().find(|one| one["metadata"]["name"] == backend["name"]).unwrap();
            let named = &service["spec"]["ports"][0]["name"];
            assert_eq!(named, &backend["port"]["name"], "{name}");
        }
    }
}

/// The jobs of Prometheus, by the component whose pods they scrape.
const JOBS: [(&str, &str); 2] = [("api", "ringfence-campaign-api"), ("dialer", "ringfence-dialer")];

/// Names of the jobs that queries ask for: `job="a"` and `job=~"a|b"`, without patterns.
fn jobs_of(text: &str) -> BTreeSet<String> {
    let text = text.replace("\\\"", "\"");
    let after = text.split("job=").skip(1).map(|rest| rest.trim_start_matches('~'));
    let named = after.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
    named.flat_map(|names| names.split('|').map(str::to_owned)).collect()
}

#[test]
fn alerts_and_dashboards_ask_for_the_jobs_that_scrapes_have_and_for_those_of_nobody_else() {
    let all: BTreeSet<String> = JOBS.iter().map(|(_, job)| (*job).to_owned()).collect();
    let boards = [file("dashboards/overview.json"), file("dashboards/trunks.json")].concat();
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    for (what, text) in
        [("rules", file("rules/ringfence.yaml")), ("dashboards", boards), ("runbook", runbook)]
    {
        assert_eq!(jobs_of(&text), all, "{what}");
        // What other people's programs have, too, is never asked for without a job.
        for metric in ["up{", "process_"] {
            for (before, rest) in text.match_indices(metric).map(|(at, _)| text.split_at(at)) {
                let whole =
                    !before.ends_with(|letter: char| letter == '_' || letter.is_alphanumeric());
                let selector = rest.split_once('{').unwrap_or_default().1;
                assert!(!whole || selector.starts_with("job="), "{what}: {rest:.60}");
            }
        }
    }
    let mut monitors = 0;
    for (name, _, documents) in renderings() {
        for monitor in documents.of_kind("PodMonitor") {
            let component = words(&monitor["metadata"]["labels"]["app.kubernetes.io/component"]);
            let rules = &monitor["spec"]["podMetricsEndpoints"][0]["relabelings"];
            let (_, job) = JOBS.iter().find(|(of, _)| *of == component).unwrap();
            let named = json!([{ "action": "replace", "targetLabel": "job", "replacement": job }]);
            assert_eq!(rules, &named, "{name}: {component}");
            monitors += 1;
        }
    }
    assert_eq!(monitors, 4);
    let demo = fs::read_to_string(root().join("loadtest/src/stack/prometheus.rs")).unwrap();
    for job in &all {
        assert!(demo.contains(&format!("job_name: {job},")), "the demo does not scrape {job}");
    }
}

#[test]
fn a_hook_finds_what_it_needs_because_that_is_a_hook_of_less_weight() {
    let mut found = 0;
    for (name, values, documents) in renderings() {
        let annotation = |document: &Json, key: &str| {
            words(&document["metadata"]["annotations"][format!("helm.sh/{key}")])
        };
        for job in documents.of_kind("Job") {
            let spec = &job["spec"]["template"]["spec"];
            assert!(spec["serviceAccountName"].is_null(), "{name}: it comes after the hooks");
            assert!(spec["volumes"].is_null(), "{name}: a ConfigMap comes after the hooks");
            if values["networkPolicy"]["enabled"] == json!(false) {
                continue;
            }
            let labels =
                &job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"];
            let policies = documents.of_kind("NetworkPolicy");
            let policy = policies
                .iter()
                .find(|one| {
                    &one["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                        == labels
                })
                .unwrap();
            assert_eq!(annotation(policy, "hook"), annotation(job, "hook"), "{name}");
            assert_eq!(annotation(policy, "hook-delete-policy"), "before-hook-creation", "{name}");
            let weight = |document: &Json| annotation(document, "hook-weight").parse::<i32>();
            assert!(weight(policy).unwrap() < weight(job).unwrap(), "{name}");
            found += 1;
        }
        // What the release itself needs is none: hooks are not taken back with a release.
        for document in &documents.0 {
            let component = &document["metadata"]["labels"]["app.kubernetes.io/component"];
            let is_hook = !annotation(document, "hook").is_empty();
            assert_eq!(
                is_hook,
                component == "migrations",
                "{name}: {}",
                document["metadata"]["name"]
            );
        }
    }
    assert_eq!(found, 3);
}

#[test]
fn a_stateful_set_names_the_headless_service_that_selects_its_pods() {
    for (name, _, documents) in renderings() {
        let set = documents.of_kind("StatefulSet")[0];
        let service = documents
            .of_kind("Service")
            .into_iter()
            .find(|service| service["metadata"]["name"] == set["spec"]["serviceName"])
            .unwrap_or_else(|| panic!("{name}: no service {}", set["spec"]["serviceName"]));
        assert_eq!(service["spec"]["clusterIP"], "None");
        assert_eq!(service["spec"]["selector"], set["spec"]["selector"]["matchLabels"]);
    }
}

#[test]
fn no_two_documents_have_one_name_and_every_name_is_short_enough() {
    let long = "a-release-with-a-name-as-long-as-helm-allows-fifty-3";
    assert_eq!(long.len(), 52);
    let mut all = renderings();
    let monitored = json!({
        "monitoring": { "podMonitor": { "enabled": true } },
        "networkPolicy": { "metricsPeers": [{ "podSelector": {} }] },
    });
    let named = render_named(long, &monitored);
    all.push((long.to_owned(), json!({}), Documents(named.unwrap())));
    for (name, _, documents) in all {
        let mut seen = BTreeMap::new();
        for document in &documents.0 {
            let called = words(&document["metadata"]["name"]);
            let key = (words(&document["kind"]), called.clone());
            assert!(seen.insert(key, ()).is_none(), "{name}: {called} twice");
            // A StatefulSet's pods are labelled with its name and a hash of ten letters, a label has 63.
            let most = if document["kind"] == "StatefulSet" { 52 } else { 63 };
            assert!(called.len() <= most, "{name}: {called}");
            let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
            assert!(called.chars().all(|letter| fits(letter) || letter == '-'), "{name}: {called}");
            assert!(called.ends_with(fits) && called.starts_with(fits), "{name}: {called}");
        }
    }
}

/// The network, document by document: who is let in where, who gets out where to.
#[test]
fn the_network_lets_through_what_is_named_and_nothing_else() {
    for (name, values, documents) in renderings() {
        let policies = documents.of_kind("NetworkPolicy");
        let on = values["networkPolicy"]["enabled"] != json!(false);
        for (component, _, pod) in documents.pods() {
            let over = policies.iter().filter(|policy| {
                let selector = &policy["spec"]["podSelector"]["matchLabels"];
                documents.selected(selector) == [component.as_str()]
            });
            let over: Vec<_> = over.collect();
            let holds = on && pod["hostNetwork"] != json!(true);
            assert_eq!(over.len(), usize::from(holds), "{name}: {component}");
            for policy in over {
                let spec = &policy["spec"];
                assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]), "{name}");
                for rule in spec["ingress"].as_array().unwrap() {
                    assert!(!rule["from"].as_array().unwrap().is_empty(), "{name}: from anywhere");
                    assert!(!rule["ports"].as_array().unwrap().is_empty(), "{name}: to any port");
                }
                for rule in spec["egress"].as_array().unwrap() {
                    assert!(!rule["ports"].as_array().unwrap().is_empty(), "{name}: to any port");
                }
            }
        }
    }
}

/// UDP ports of a policy's rules, as first and last.
fn udp(rules: &Json) -> Vec<(u64, u64)> {
    let ports = rules.as_array().unwrap().iter().flat_map(|rule| rule["ports"].as_array().unwrap());
    let udp = ports.filter(|port| port["protocol"] == "UDP");
    udp.filter_map(|port| {
        let first = port["port"].as_u64()?;
        Some((first, port["endPort"].as_u64().unwrap_or(first)))
    })
    .collect()
}

#[test]
fn carriers_reach_sip_and_media_and_without_carriers_no_call_gets_out() {
    let policy = |documents: &Documents| {
        let policies = documents.of_kind("NetworkPolicy");
        let mine = |policy: &&&Json| words(&policy["metadata"]["name"]).ends_with("-dialer");
        (*policies.iter().find(mine).unwrap()).clone()
    };
    let with = policy(&crate::rendering("everything.yaml"));
    assert_eq!(udp(&with["spec"]["ingress"]), [(5060, 5060), (40_000, 40_099)]);
    assert_eq!(udp(&with["spec"]["egress"]), [(5080, 5080), (1024, 65_535)]);
    let carriers = json!([
        { "ipBlock": { "cidr": "198.51.100.0/24" } },
        { "ipBlock": { "cidr": "2001:db8::/32" } }
    ]);
    assert_eq!(with["spec"]["ingress"][0]["from"], carriers);
    assert_eq!(with["spec"]["egress"].as_array().unwrap().last().unwrap()["to"], carriers);
    let without = policy(&crate::rendering("minimal.yaml"));
    assert_eq!(without["spec"]["ingress"], json!([]));
    assert_eq!(udp(&without["spec"]["egress"]), [(53, 53)], "names only");
}
