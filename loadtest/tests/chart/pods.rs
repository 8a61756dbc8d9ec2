//! Pods against the configuration they mount and the programs they run.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use schema::config::{Config, Keys};
use serde_json::{Value as Json, json};

use crate::{
    documents::{Documents, ports, words},
    helm::{render, root},
    rendering, renderings, yaml,
};

/// What the Secrets of a test hold, by the file in the pod that is made of them.
pub(crate) struct Held<'a> {
    pub(crate) postgres: &'a str,
    pub(crate) redis: &'a str,
    pub(crate) keys: &'a str,
}

/// Lays out, below a folder, what a pod has mounted at /etc/ringfence: the sources of its projected volume, item by
/// item, as the kubelet would.
pub(crate) fn lay_out(
    documents: &Documents,
    values: &Json,
    pod: &Json,
    held: &Held<'_>,
    to: &Path,
) {
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["mountPath"] == "/etc/ringfence").unwrap();
    let volumes = pod["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
    let values = crate::helm::merged(&crate::helm::shipped_values(), values);
    let put = |path: &str, text: &str| {
        let path = to.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for source in volume["projected"]["sources"].as_array().unwrap() {
        if source["configMap"].is_object() {
            let maps = documents.of_kind("ConfigMap");
            let map = maps
                .iter()
                .find(|map| map["metadata"]["name"] == source["configMap"]["name"])
                .expect("the ConfigMap that is mounted");
            for (key, text) in map["data"].as_object().unwrap() {
                put(key, text.as_str().unwrap());
            }
            continue;
        }
        let (stores, keys) = (&values["stores"], &values["keys"]);
        for item in source["secret"]["items"].as_array().unwrap() {
            let (name, key) = (&source["secret"]["name"], &item["key"]);
            let of_stores = name == &stores["existingSecret"];
            let text = if of_stores && key == &stores["keys"]["postgres"] {
                held.postgres
            } else if of_stores && key == &stores["keys"]["redis"] {
                held.redis
            } else if name == &keys["existingSecret"] && key == &keys["key"] {
                held.keys
            } else {
                panic!("no Secret {name} has a key {key}");
            };
            put(&words(&item["path"]), text);
        }
    }
}

/// A folder that goes when it is dropped.
pub(crate) struct Folder(pub(crate) std::path::PathBuf);

impl Folder {
    pub(crate) fn make(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringfence-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub(crate) fn some_keys() -> String {
    Keys::generate(&[7; 96], "chart.ringfence.test/audit")
}

#[test]
fn what_a_pod_mounts_is_a_configuration_that_both_programs_take() {
    let keys = some_keys();
    let held = Held {
        postgres: "postgres://login:pw@db:5432/ringfence\n",
        redis: "redis://cache:6379",
        keys: &keys,
    };
    for (name, values, documents) in renderings() {
        for component in ["dialer", "api"] {
            let pod = documents.pod(component);
            let folder = Folder::make(&format!("{component}-{name}"));
            lay_out(&documents, &values, pod, &held, &folder.0);
            let config = Config::load(&folder.0.join("ringfence.toml"))
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(config.postgres.url.expose(), held.postgres.trim());
            let number = |port: &str| ports(pod)[port].0;
            let agrees = |address: SocketAddr, port: &str| {
                assert_eq!(u64::from(address.port()), number(port), "{name}: {port}");
                assert!(
                    address.ip().is_unspecified(),
                    "{name}: {port} listens on the pod's address"
                );
            };
            if component == "dialer" {
                agrees(config.dialer.sip, "sip");
                agrees(config.dialer.admin, "admin");
                let folders = [&config.dialer.prompts, &config.dialer.lists];
                assert!(folders.iter().all(|path| is_mounted(pod, path)), "{name}: {folders:?}");
                let house = config.dialer.house.as_ref();
                let given = values["rules"]["house"].as_str();
                assert_eq!(house.map(|path| fs::read_to_string(path).unwrap()).as_deref(), given);
            } else {
                agrees(config.api.listen, "http");
                agrees(config.api.admin, "admin");
                assert!(
                    is_mounted(pod, &config.dialer.lists),
                    "{name}: the API judges by the lists, too"
                );
            }
        }
    }
}

fn is_mounted(pod: &Json, path: &Path) -> bool {
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| Path::new(&words(&mount["mountPath"])) == path);
    let volumes = pod["volumes"].as_array().unwrap();
    mount.is_some_and(|mount| {
        volumes.iter().filter(|volume| volume["name"] == mount["name"]).count() == 1
            && mount["readOnly"] == true
    })
}

#[test]
fn every_mount_has_its_volume_and_every_volume_its_mount() {
    for (name, _, documents) in renderings() {
        for (component, _, pod) in documents.pods() {
            let names = |list: &Json| -> Vec<String> {
                let list = list.as_array().cloned().unwrap_or_default();
                list.iter().map(|entry| words(&entry["name"])).collect()
            };
            let mounted = names(&pod["containers"][0]["volumeMounts"]);
            assert_eq!(names(&pod["volumes"]), mounted, "{name}: {component}");
        }
    }
}

#[test]
fn a_closed_gate_makes_a_dialer_unready_and_restarts_nothing() {
    for (_, _, documents) in renderings() {
        let probe = |component: &str, kind: &str| {
            documents.pod(component)["containers"][0][format!("{kind}Probe")].clone()
        };
        for kind in ["startup", "liveness"] {
            let http = probe("dialer", kind);
            assert_eq!(http["httpGet"], json!({ "path": "/healthz", "port": "admin" }), "{kind}");
            // The API's /healthz asks Postgres: no outage there may restart it.
            assert_eq!(probe("api", kind)["tcpSocket"], json!({ "port": "admin" }), "{kind}");
        }
        let ready = json!({ "path": "/readyz", "port": "admin" });
        assert_eq!(probe("dialer", "readiness")["httpGet"], ready);
        let ready = json!({ "path": "/healthz", "port": "admin" });
        assert_eq!(probe("api", "readiness")["httpGet"], ready);
        for budget in documents.of_kind("PodDisruptionBudget") {
            assert_eq!(budget["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow");
        }
    }
    let admin = fs::read_to_string(root().join("dialer/src/admin.rs")).unwrap();
    assert!(admin.contains("\"/healthz\"") && admin.contains("\"/readyz\""), "the dialer's routes");
}

/// Seconds of a constant in the sources of the dialer.
fn seconds(file: &str, constant: &str) -> u64 {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let start = format!("const {constant}: Duration = Duration::from_secs(");
    let at = text.find(&start).unwrap_or_else(|| panic!("{file} has no {constant} in seconds"));
    text.split_at(at + start.len()).1.split(')').next().unwrap().parse().unwrap()
}

/// The longest way through `App::drain`: calls end, calls are hung up, what is left is written down, the store is
/// told, the servers end.
fn longest_drain() -> Duration {
    let app = |constant| seconds("dialer/src/app.rs", constant);
    let patience = seconds("dialer/src/store.rs", "PATIENCE");
    let words = app("LAST_WORDS");
    Duration::from_secs(app("GRACE") + app("HANG_UP") + words + 2 * patience + patience + words)
}

#[test]
fn a_dialer_is_given_more_time_than_its_longest_drain_takes() {
    let drain = longest_drain();
    assert_eq!(
        drain,
        Duration::from_secs(51),
        "say the new figure in helm/values.yaml and docs/operations.md"
    );
    let least = drain.as_secs() + 5;
    for (name, _, documents) in renderings() {
        let given = documents.pod("dialer")["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(given >= least, "{name}: {given} s, the drain may take {} s", drain.as_secs());
    }
    let short = json!({ "dialer": { "terminationGracePeriodSeconds": least } });
    assert!(render(&short).is_err(), "the schema allows {least} s, too little");
}

#[test]
fn containers_may_do_nothing_that_they_need_not() {
    for (name, _, documents) in renderings() {
        for (component, _, pod) in documents.pods() {
            let which = format!("{name}: {component}");
            assert_eq!(pod["automountServiceAccountToken"], false, "{which}");
            let security = &pod["securityContext"];
            assert_eq!(security["runAsNonRoot"], true, "{which}");
            assert!(security["runAsUser"].as_u64().unwrap() > 0, "{which}");
            assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{which}");
            assert!(pod["hostPID"].is_null() && pod["hostIPC"].is_null(), "{which}");
            let containers = pod["containers"].as_array().unwrap();
            assert_eq!(containers.len(), 1, "{which}");
            let only = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            });
            assert_eq!(containers[0]["securityContext"], only, "{which}");
            assert!(containers[0]["resources"]["limits"]["memory"].is_string(), "{which}");
            assert!(containers[0]["resources"]["requests"]["cpu"].is_string(), "{which}");
        }
        for account in documents.of_kind("ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false, "{name}");
        }
    }
}

#[test]
fn images_are_pinned_and_a_digest_goes_before_the_tag() {
    let image = |documents: &Documents| words(&documents.pod("dialer")["containers"][0]["image"]);
    for (name, _, documents) in renderings() {
        for (component, _, pod) in documents.pods() {
            assert_eq!(
                words(&pod["containers"][0]["image"]),
                image(&documents),
                "{name}: {component}"
            );
        }
        let image = image(&documents);
        let last = image.rsplit('/').next().unwrap();
        assert!(last.contains(':') && !last.ends_with(":latest"), "{name}: {image}");
    }
    assert!(image(&rendering("bare.yaml")).contains("@sha256:"));
    let chart = yaml::one(&crate::helm::file("Chart.yaml")).unwrap();
    assert_eq!(
        chart["appVersion"],
        env!("CARGO_PKG_VERSION"),
        "the chart's version of the programs"
    );
    assert_eq!(
        image(&rendering("minimal.yaml")),
        format!("ringfence:{}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn no_document_holds_a_secret() {
    for (name, _, documents) in renderings() {
        assert!(documents.of_kind("Secret").is_empty(), "{name}");
        for document in &documents.0 {
            let text = document.to_string();
            for word in
                ["postgres://", "postgresql://", "redis://", "audit_signing", "numbers_cipher"]
            {
                assert!(!text.contains(word), "{name}: {word} in {}", document["metadata"]["name"]);
            }
        }
        for (component, _, pod) in documents.pods() {
            for variable in pod["containers"][0]["env"].as_array().unwrap() {
                let plain =
                    ["RUST_LOG", "RINGFENCE_ADVERTISE"].contains(&&*words(&variable["name"]));
                assert!(plain || variable["value"].is_null(), "{name}: {component}: {variable}");
            }
        }
    }
}

#[test]
fn a_change_of_configuration_changes_the_pods() {
    let sums = |values: Json| {
        let documents = Documents(render(&values).unwrap());
        let of = |kind: &str| {
            documents.of_kind(kind)[0]["spec"]["template"]["metadata"]["annotations"].to_string()
        };
        (of("StatefulSet"), of("Deployment"))
    };
    let before = sums(json!({}));
    let other = sums(json!({ "stores": { "postgresConnections": 17 } }));
    assert!(before.0 != other.0 && before.1 != other.1);
    let house = sums(json!({ "rules": { "house": "# another" } }));
    let twice = sums(json!({ "rules": { "house": "# yet another" } }));
    // That there are any stands in the configuration; what they say is read again while pods run.
    assert!(before.0 != house.0 && before.1 != house.1);
    assert_eq!(house, twice);
    let documents = Documents(render(&json!({ "rules": { "house": "# another" } })).unwrap());
    for (component, _, pod) in documents.pods() {
        let container = &pod["containers"][0];
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        // A file that is mounted by itself never changes.
        assert!(mounts.clone().all(|mount| mount["subPath"].is_null()), "{component}");
    }
}

#[test]
fn a_pod_tells_the_dialer_its_name_and_the_address_that_carriers_see() {
    let variable = |documents: &Documents, name: &str| {
        let pod = documents.pod("dialer");
        let all = pod["containers"][0]["env"].as_array().unwrap().clone();
        all.into_iter().find(|variable| variable["name"] == name).unwrap()
    };
    for (_, _, documents) in renderings() {
        let named = variable(&documents, "RINGFENCE_DIALER_NAME");
        assert_eq!(named["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");
    }
    let seen = |file: &str| variable(&rendering(file), "RINGFENCE_ADVERTISE");
    let from = |file: &str| words(&seen(file)["valueFrom"]["fieldRef"]["fieldPath"]);
    assert_eq!(from("minimal.yaml"), "status.podIP");
    assert_eq!(from("production.yaml"), "status.hostIP");
    assert_eq!(seen("everything.yaml")["value"], "198.51.100.7");
}
