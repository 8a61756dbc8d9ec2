//! The chart, rendered as `helm template` does: values over values, the schema, the templates.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use gotmpl::{MissingKey, Template, TemplateError, Value};
use serde_json::{Map, Value as Json, json};

use crate::{
    functions::{Itself, all, from_json},
    yaml,
};

/// Why there is no rendering.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    /// `values.schema.json` refuses the values.
    #[error("the values are refused: {0}")]
    Values(String),
    /// A template fails.
    #[error("{0}: {1}")]
    Template(String, TemplateError),
    /// What came out is no YAML.
    #[error("{0}: {1}\n{2}")]
    Yaml(String, String, String),
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn folder() -> PathBuf {
    root().join("helm")
}

/// One file of the chart.
pub(crate) fn file(path: &str) -> String {
    let path = folder().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `values.yaml`.
pub(crate) fn shipped_values() -> Json {
    yaml::one(&file("values.yaml")).unwrap()
}

/// The values files that the tests render, by name.
pub(crate) fn values_files() -> Vec<(String, Json)> {
    let mut found: Vec<_> = fs::read_dir(folder().join("ci"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .map(|name| (name.clone(), yaml::one(&file(&format!("ci/{name}"))).unwrap()))
        .collect();
    found.sort_by(|left, right| left.0.cmp(&right.0));
    assert!(found.len() >= 4, "{found:?}");
    found
}

/// Maps into maps, all else replaces; a null takes a key away.
pub(crate) fn merged(base: &Json, over: &Json) -> Json {
    let (Json::Object(base), Json::Object(over)) = (base, over) else { return over.clone() };
    let mut whole = base.clone();
    for (key, value) in over {
        if value.is_null() {
            whole.remove(key);
        } else {
            let below = whole.get(key).map_or_else(|| value.clone(), |old| merged(old, value));
            whole.insert(key.clone(), below);
        }
    }
    Json::Object(whole)
}

/// What `values.schema.json` says about values, faults one a line.
pub(crate) fn check_values(values: &Json) -> Result<(), String> {
    let schema: Json = serde_json::from_str(&file("values.schema.json")).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("values.schema.json", schema).unwrap();
    let schema = compiler.compile("values.schema.json", &mut schemas).unwrap();
    schemas.validate(values, schema).map_err(|error| format!("{error:#}"))
}

/// Every document that the values bring forth.
pub(crate) fn render(over: &Json) -> Result<Vec<Json>, RenderError> {
    render_named("trial", over)
}

/// The same for a release of another name.
pub(crate) fn render_named(release: &str, over: &Json) -> Result<Vec<Json>, RenderError> {
    let values = merged(&shipped_values(), over);
    check_values(&values).map_err(RenderError::Values)?;
    let chart = yaml::one(&file("Chart.yaml")).unwrap();
    let mut upper = Map::new();
    for (key, value) in chart.as_object().unwrap() {
        let mut letters = key.chars();
        let first = letters.next().unwrap().to_uppercase();
        upper.insert(first.chain(letters).collect(), value.clone());
    }
    let data = from_json(&json!({
        "Values": values,
        "Chart": upper,
        "Release": { "Name": release, "Namespace": "voice", "Service": "Helm" },
    }));
    let (mut shared, mut own) = (String::new(), Vec::new());
    for entry in fs::read_dir(folder().join("templates")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let text = file(&format!("templates/{name}"));
        match name.rsplit_once('.') {
            Some((_, "tpl")) => shared.push_str(&text),
            _ => own.push((name, text)),
        }
    }
    own.sort();
    let mut documents = Vec::new();
    for (name, text) in own {
        let rendered = expand(&shared, &text, &data)
            .map_err(|error| RenderError::Template(name.clone(), error))?;
        if name.ends_with(".yaml") {
            let found = yaml::every(&rendered)
                .map_err(|error| RenderError::Yaml(name.clone(), error, rendered))?;
            documents.extend(found);
        } else {
            assert_eq!(name, "NOTES.txt");
            assert!(!rendered.trim().is_empty());
        }
    }
    Ok(documents)
}

/// What `helm install` says at the end.
pub(crate) fn notes(over: &Json) -> String {
    let values = merged(&shipped_values(), over);
    let data = from_json(&json!({
        "Values": values,
        "Chart": { "Name": "ringfence", "AppVersion": "0" },
        "Release": { "Name": "trial", "Namespace": "voice", "Service": "Helm" },
    }));
    let shared = file("templates/_names.tpl");
    expand(&shared, &file("templates/NOTES.txt"), &data).unwrap()
}

/// One file of templates. Our engine calls functions, not methods, hence the two other names; and it fails at a key
/// that is not there, where Helm prints nothing: whatever a template reads must stand in values.yaml.
fn expand(shared: &str, text: &str, data: &Value) -> Result<String, TemplateError> {
    let spelled = |text: &str| {
        let text = text.replace("$.Files.Get ", "filesGet ").replace(".Files.Get ", "filesGet ");
        text.replace("$.Files.Glob ", "filesGlob ").replace(".Files.Glob ", "filesGlob ")
    };
    let itself: Itself = Arc::new(OnceLock::new());
    let template = Template::new("chart")
        .missing_key(MissingKey::Error)
        .funcs(all(&itself, &folder()))
        .parse(&spelled(shared))?
        .parse(&spelled(text))?;
    itself.get_or_init(|| template).execute_to_string(data)
}
