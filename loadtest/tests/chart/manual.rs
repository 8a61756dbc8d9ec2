//! What the documents for operators name exists: objects of the release, values, files.

use std::fs;

use crate::{
    documents::{Documents, words},
    helm::{merged, render_named, root, shipped_values, values_files},
};

fn manuals() -> String {
    ["docs/operations.md", "helm/README.md"]
        .map(|path| fs::read_to_string(root().join(path)).unwrap())
        .join("\n")
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
