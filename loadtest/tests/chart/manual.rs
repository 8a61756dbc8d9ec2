//! What the documents for operators name exists: objects of the release, values, files.

use std::{collections::BTreeSet, fs};

use serde_json::{Value as Json, json};

use crate::{
    documents::{Documents, words},
    helm::{merged, render_named, root, shipped_values, values_files},
    yaml,
};

const MANUALS: [&str; 2] = ["docs/operations.md", "helm/README.md"];

fn manuals() -> String {
    MANUALS.map(|path| fs::read_to_string(root().join(path)).unwrap()).join("\n")
}

#[test]
fn every_object_that_the_manuals_name_is_made_by_a_release_of_the_name_they_use() {
    let production = values_files().into_iter().find(|(name, _)| name == "production.yaml");
    let documents = Documents(render_named("ringfence", &production.unwrap().1).unwrap());
    let mut found = 0;
    for word in manuals().split(|letter: char| letter.is_whitespace() || letter == '`') {
        let Some((kind, name)) = word.split_once('/') else { continue };
        let kind = match kind {
            "statefulset" => "StatefulSet",
            "deploy" | "deployment" => "Deployment",
            "service" => "Service",
            "job" => "Job",
            _ => continue,
        };
        found += 1;
        let named =
            documents.of_kind(kind).iter().any(|one| words(&one["metadata"]["name"]) == name);
        assert!(named, "no {kind} {name}");
    }
    assert!(found >= 6, "{found}");
}

#[test]
fn every_value_that_the_manuals_set_is_one_and_every_secret_is_made_as_the_chart_reads_it() {
    let (text, values) = (manuals(), shipped_values());
    let mut found = 0;
    for (at, _) in text.match_indices("--set ") {
        let rest = text.split_at(at + "--set ".len()).1.trim_start_matches('\'');
        let key = rest.split('=').next().unwrap();
        let pointer = format!("/{}", key.replace('.', "/"));
        assert!(values.pointer(&pointer).is_some(), "--set {key}");
        found += 1;
    }
    assert!(found >= 3, "{found}");
    for (secret, keys) in [("stores", &values["stores"]["keys"]), ("keys", &values["keys"])] {
        let name = words(&values[secret]["existingSecret"]);
        let command = text.lines().find(|line| line.contains(&format!("generic {name} "))).unwrap();
        let keys = keys.as_object().unwrap().iter().filter(|(key, _)| *key != "existingSecret");
        for (_, key) in keys {
            assert!(command.contains(&format!("--from-file={}", words(key))), "{command}: {key}");
        }
    }
}

/// The commands of a manual: lines of its boxes, continued lines as one.
fn commands(manual: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manual)).unwrap().replace("\\\n", " ");
    let mut boxed = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            boxed = line == "```sh";
        } else if boxed {
            found.extend(line.split(" && ").map(str::to_owned));
        }
    }
    found
}

/// What `--set KEY=VALUE` says, over values.
fn set(values: &Json, word: &str) -> Json {
    let (key, value) = word.trim_matches('\'').split_once('=').unwrap();
    let value = match value.strip_prefix('{').and_then(|list| list.strip_suffix('}')) {
        Some(list) => list.split(',').collect(),
        None => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
    };
    merged(values, &key.rsplit('.').fold(value, |below, key| json!({ key: below })))
}

/// A `helm install` or `upgrade` of a manual: the command, the values without and with each `--set`.
struct Release {
    command: String,
    values: Vec<Json>,
}

impl Release {
    /// Those of a manual. The file of values is the one that the manual copies.
    fn of(manual: &str) -> Vec<Self> {
        let commands = commands(manual);
        let copied = |name: &str| {
            let copy = commands.iter().find(|line| line.starts_with("cp ") && line.ends_with(name));
            let copy = copy.unwrap_or_else(|| panic!("{manual}: nothing makes {name}"));
            let source = copy.split(' ').nth(1).unwrap();
            yaml::one(&fs::read_to_string(root().join(source)).unwrap()).unwrap()
        };
        let helm =
            |line: &&String| line.starts_with("helm install ") || line.starts_with("helm upgrade ");
        let releases = commands.iter().filter(helm).map(|command| {
            let words: Vec<&str> = command.split_whitespace().collect();
            let after = |flag: &'static str| {
                words.windows(2).filter(move |two| two[0] == flag).map(|two| two[1])
            };
            let mut values = vec![after("--values").next().map_or_else(|| json!({}), copied)];
            for word in after("--set") {
                values.push(set(values.last().unwrap(), word));
            }
            Self { command: command.clone(), values }
        });
        releases.collect()
    }

    fn documents(&self) -> Documents {
        Documents(render_named("ringfence", self.values.last().unwrap()).unwrap())
    }
}

#[test]
fn every_value_that_a_manual_sets_changes_what_is_installed() {
    let mut found = 0;
    for manual in MANUALS {
        for release in Release::of(manual) {
            for two in release.values.windows(2) {
                let [without, with] = [&two[0], &two[1]].map(|values| {
                    render_named("ringfence", values).unwrap_or_else(|error| panic!("{error}"))
                });
                assert!(without != with, "{manual}: a --set changes nothing: {}", release.command);
                found += 1;
            }
        }
    }
    assert!(found >= 3, "{found}");
}

/// Every Secret with its keys, and every image, that the pods of a release want.
fn wanted(documents: &Documents) -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let (mut secrets, mut images) = (BTreeSet::new(), BTreeSet::new());
    for (_, _, pod) in documents.pods() {
        let container = &pod["containers"][0];
        images.insert(words(&container["image"]));
        for variable in container["env"].as_array().into_iter().flatten() {
            let key = &variable["valueFrom"]["secretKeyRef"];
            secrets.extend(key.is_object().then(|| (words(&key["name"]), words(&key["key"]))));
        }
        for volume in pod["volumes"].as_array().into_iter().flatten() {
            for source in volume["projected"]["sources"].as_array().into_iter().flatten() {
                let secret = &source["secret"];
                for item in secret["items"].as_array().into_iter().flatten() {
                    secrets.insert((words(&secret["name"]), words(&item["key"])));
                }
            }
        }
    }
    (secrets, images)
}

#[test]
fn what_a_manual_installs_finds_the_secrets_and_the_image_that_it_makes() {
    for manual in MANUALS {
        let commands = commands(manual);
        let releases = Release::of(manual);
        assert!(!releases.is_empty(), "{manual}");
        for release in releases {
            let (secrets, images) = wanted(&release.documents());
            assert_eq!((secrets.len(), images.len()), (4, 1), "{secrets:?} {images:?}");
            for (name, key) in secrets {
                let made = commands.iter().any(|line| {
                    line.contains(&format!("create secret generic {name} "))
                        && line.split(' ').any(|word| word == format!("--from-file={key}"))
                });
                assert!(
                    made,
                    "{manual}: nobody makes {key} in the Secret {name}: {}",
                    release.command
                );
            }
            for image in images {
                for how in [format!("-t {image} "), format!("docker push {image}")] {
                    let made = commands.iter().any(|line| format!("{line} ").contains(&how));
                    assert!(made, "{manual}: no '{how}' for: {}", release.command);
                }
            }
        }
    }
}

/// What else a release needs in its namespace, the manual has to name.
#[test]
fn what_the_values_to_begin_with_refer_to_is_named_where_they_are_copied() {
    let manual = MANUALS[0];
    let text = fs::read_to_string(root().join(manual)).unwrap();
    let release = &Release::of(manual)[0];
    let (documents, values) = (release.documents(), &release.values[0]);
    let pod = documents.pod("dialer");
    let mut named: Vec<String> = Vec::new();
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    named.extend(list(&pod["imagePullSecrets"]).iter().map(|secret| words(&secret["name"])));
    let claims = list(&pod["volumes"]);
    let claims = claims.iter().map(|volume| words(&volume["persistentVolumeClaim"]["claimName"]));
    named.extend(claims.filter(|claim| !claim.is_empty()));
    named.extend(pod["nodeSelector"].as_object().into_iter().flatten().map(|(key, _)| key.clone()));
    named.extend(list(&pod["tolerations"]).iter().map(|taint| words(&taint["key"])));
    for key in ["/api/ingress/tlsSecret", "/api/ingress/className"] {
        named.extend(values.pointer(key).map(words));
    }
    assert!(named.len() >= 7, "{named:?}");
    for name in named {
        assert!(text.contains(&format!("`{name}`")), "{manual} does not name {name}");
    }
}

/// On the network of the machine nothing but a firewall stands before a dialer's ports.
#[test]
fn the_firewall_of_the_machines_is_told_every_port_of_a_dialer() {
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let section = text.split("\n## ").find(|part| part.starts_with("With `hostNetwork`")).unwrap();
    let values = shipped_values();
    for (key, protocol) in [
        ("/dialer/sip/port", "UDP"),
        ("/dialer/rtp/firstPort", "UDP"),
        ("/dialer/admin/port", "TCP"),
    ] {
        let (value, number) = (key.trim_start_matches('/').replace('/', "."), &values.pointer(key));
        let number = number.unwrap().to_string();
        let row = section.lines().find(|line| line.contains(&format!("{protocol} `{value}`")));
        let row = row.unwrap_or_else(|| panic!("no row of {value}"));
        assert!(row.contains(&number), "{row}: {number}");
    }
}

#[test]
fn every_value_in_code_marks_is_one() {
    let values = values_files().iter().fold(shipped_values(), |all, (_, more)| merged(&all, more));
    let tops: Vec<String> =
        values.as_object().unwrap().keys().map(|top| format!("{top}.")).collect();
    let text = manuals();
    let mut found = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let path = word.split(':').next().unwrap();
        let is_value = tops.iter().any(|top| path.starts_with(top.as_str()));
        let is_file = [".yaml", ".json", ".toml"].iter().any(|end| path.ends_with(end));
        if is_value && !is_file && !path.contains(' ') {
            let pointer = format!("/{}", path.replace('.', "/"));
            assert!(values.pointer(&pointer).is_some(), "{path} is no value");
            found += 1;
        }
    }
    assert!(found >= 6, "{found}");
}
