//! What Kubernetes makes of a document: the schemas of its oldest and newest version that we ask for.

use serde_json::{Map, Value as Json};

/// Every schema of one version, and the custom resources of the Prometheus operator.
pub(crate) struct Kubernetes {
    kinds: Map<String, Json>,
    whole: Json,
}

const OPERATOR: &str = include_str!("schemas/prometheus-operator-0.93.json");

impl Kubernetes {
    /// 1.30, the oldest that `Chart.yaml` allows, and 1.37.
    pub(crate) fn versions() -> [(&'static str, Self); 2] {
        [
            ("1.30", Self::read(include_str!("schemas/kubernetes-1.30.json"))),
            ("1.37", Self::read(include_str!("schemas/kubernetes-1.37.json"))),
        ]
    }

    fn read(text: &str) -> Self {
        let mut whole: Json = serde_json::from_str(text).unwrap();
        let operator: Json = serde_json::from_str(OPERATOR).unwrap();
        for part in ["kinds", "$defs"] {
            let more = operator[part].as_object().unwrap().clone();
            whole[part].as_object_mut().unwrap().extend(more);
        }
        Self { kinds: whole["kinds"].as_object().unwrap().clone(), whole }
    }

    /// What is wrong with each document, by its kind and name.
    pub(crate) fn faults(&self, documents: &[Json]) -> Vec<String> {
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.add_resource("kubernetes.json", self.whole.clone()).unwrap();
        let mut faults = Vec::new();
        for document in documents {
            let word = |key: &str| document[key].as_str().unwrap_or_default();
            let kind = format!("{} {}", word("apiVersion"), word("kind"));
            let Some(name) = self.kinds.get(&kind).and_then(Json::as_str) else {
                faults.push(format!("no such kind: {kind}"));
                continue;
            };
            let place = format!("kubernetes.json#/$defs/{name}");
            let schema = compiler.compile(&place, &mut schemas).unwrap();
            if let Err(error) = schemas.validate(document, schema) {
                faults.push(format!("{kind} {}: {error:#}", document["metadata"]["name"]));
            }
        }
        faults
    }
}
