//! The real Helm as the judge of our rendering. Not part of every run, because no package brings `helm`:
//! `cargo test -p loadtest --test chart -- --ignored helm` with `helm` on the path.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value as Json;

use crate::{
    helm::{folder, render, values_files},
    yaml,
};

fn by_name(documents: Vec<Json>) -> BTreeMap<String, Json> {
    let named = |document: Json| {
        (format!("{} {}", document["kind"], document["metadata"]["name"]), document)
    };
    documents.into_iter().map(named).collect()
}

fn helm(arguments: &[&str]) -> String {
    let output = Command::new("helm").args(arguments).current_dir(folder()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "helm {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs helm on the path"]
fn helm_renders_the_same_documents_and_finds_nothing_to_complain_of() {
    for (name, values) in values_files() {
        let file = format!("ci/{name}");
        let words = ["template", "trial", ".", "--namespace", "voice", "--values", &file];
        let theirs = by_name(yaml::every(&helm(&words)).unwrap());
        let ours = by_name(render(&values).unwrap());
        assert_eq!(
            ours.keys().collect::<Vec<_>>(),
            theirs.keys().collect::<Vec<_>>(),
            "{name}: names of the documents"
        );
        for (document, rendered) in &ours {
            assert_eq!(rendered, &theirs[document], "{name}: {document}");
        }
        helm(&["lint", ".", "--strict", "--values", &file]);
    }
}
