//! The functions of Helm and Sprig that the chart uses, and no others: a template that asks for one more fails here
//! until it is written down with Go's meaning.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use gotmpl::{FuncMap, Template, TemplateError, Value, ValueFunc};
use serde_json::{Number, Value as Json};
use sha2::{Digest, Sha256};

/// A template that its own functions can reach.
pub(crate) type Itself = Arc<OnceLock<Template>>;

/// Go reads every number of a values file as a float; so does this, with what follows from it in templates.
pub(crate) fn from_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or_default()),
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(map) => {
            let entries = map.iter().map(|(key, value)| (key.as_str().into(), from_json(value)));
            Value::Map(Arc::new(entries.collect()))
        }
    }
}

pub(crate) fn to_json(value: &Value) -> Result<Json, TemplateError> {
    let wrong = |what: &str| TemplateError::Exec(format!("{what} has no JSON"));
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) => Json::from(*number),
        Value::Uint(number) => Json::from(*number),
        Value::Float(number) => {
            let whole = format!("{number}").parse::<i64>().map(Number::from).ok();
            Json::Number(whole.or_else(|| Number::from_f64(*number)).ok_or_else(|| wrong("NaN"))?)
        }
        Value::String(text) => Json::String(text.to_string()),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| Ok((key.to_string(), to_json(value)?)));
            Json::Object(entries.collect::<Result<_, TemplateError>>()?)
        }
        Value::Function(_) => return Err(wrong("a function")),
    })
}

fn argument(args: &[Value], at: usize) -> Result<&Value, TemplateError> {
    args.get(at).ok_or_else(|| TemplateError::Exec(format!("argument {at} is missing")))
}

fn text(args: &[Value], at: usize) -> Result<&str, TemplateError> {
    let value = argument(args, at)?;
    value.as_str().ok_or_else(|| TemplateError::Exec(format!("{value} is no text")))
}

fn whole(args: &[Value], at: usize) -> Result<i64, TemplateError> {
    match argument(args, at)? {
        Value::Int(number) => Ok(*number),
        Value::Float(number) => Ok(format!("{number:.0}").parse().unwrap_or_default()),
        other => Err(TemplateError::Exec(format!("{other} is no number"))),
    }
}

fn told(text: impl AsRef<str>) -> Result<Value, TemplateError> {
    Ok(Value::String(text.as_ref().into()))
}

fn indented(spaces: i64, text: &str) -> String {
    let pad = " ".repeat(usize::try_from(spaces).unwrap_or_default());
    format!("{pad}{}", text.replace('\n', &format!("\n{pad}")))
}

fn shortened(text: &str, most: i64) -> String {
    text.chars().take(usize::try_from(most).unwrap_or_default()).collect()
}

type Function = fn(&[Value]) -> Result<Value, TemplateError>;

fn sprig() -> Vec<(&'static str, Function)> {
    vec![
        ("base", |args| told(text(args, 0)?.rsplit('/').next().unwrap_or_default())),
        ("contains", |args| Ok(Value::Bool(text(args, 1)?.contains(text(args, 0)?)))),
        ("default", |args| {
            let given = argument(args, 1)?;
            Ok(if given.is_truthy() { given } else { argument(args, 0)? }.clone())
        }),
        ("fail", |args| Err(TemplateError::Exec(text(args, 0)?.to_owned()))),
        ("int", |args| Ok(Value::Int(whole(args, 0)?))),
        ("list", |args| Ok(Value::List(args.into()))),
        ("nindent", |args| told(format!("\n{}", indented(whole(args, 0)?, text(args, 1)?)))),
        ("quote", |args| told(Json::from(argument(args, 0)?.to_string()).to_string())),
        ("replace", |args| told(text(args, 2)?.replace(text(args, 0)?, text(args, 1)?))),
        ("sha256sum", |args| {
            let digest = Sha256::digest(text(args, 0)?);
            told(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }),
        ("sub", |args| Ok(Value::Int(whole(args, 0)? - whole(args, 1)?))),
        ("toJson", |args| told(to_json(argument(args, 0)?)?.to_string())),
        ("toYaml", |args| {
            let yaml = serde_norway::to_string(&to_json(argument(args, 0)?)?);
            told(yaml.map_err(|error| TemplateError::Exec(error.to_string()))?.trim_end())
        }),
        ("trimSuffix", |args| {
            let whole = text(args, 1)?;
            told(whole.strip_suffix(text(args, 0)?).unwrap_or(whole))
        }),
        ("trunc", |args| told(shortened(text(args, 1)?, whole(args, 0)?))),
    ]
}

/// All functions: `itself` is for `include`, `folder` is where `.Files` looks.
pub(crate) fn all(itself: &Itself, folder: &Path) -> FuncMap {
    let mut functions: FuncMap = sprig()
        .into_iter()
        .map(|(name, function)| (name.to_owned(), Arc::new(function) as ValueFunc))
        .collect();
    let template = Arc::clone(itself);
    functions.insert(
        "include".to_owned(),
        Arc::new(move |args| {
            let template = template.get().ok_or(TemplateError::Exec("too early".to_owned()))?;
            told(template.execute_template_to_string(text(args, 0)?, argument(args, 1)?)?)
        }),
    );
    let root = folder.to_owned();
    functions.insert(
        "filesGet".to_owned(),
        // As in Helm: a file that is not there reads as nothing.
        Arc::new(move |args| {
            told(fs::read_to_string(root.join(text(args, 0)?)).unwrap_or_default())
        }),
    );
    let root = folder.to_owned();
    functions.insert("filesGlob".to_owned(), Arc::new(move |args| Ok(glob(&root, text(args, 0)?))));
    functions
}

/// `folder/*.ending`, the only shape of pattern that the chart uses.
fn glob(root: &Path, pattern: &str) -> Value {
    let (folder, ending) = pattern.split_once("/*").unwrap_or((pattern, ""));
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(ending) {
            found.insert(format!("{folder}/{name}").as_str().into(), Value::Bool(true));
        }
    }
    Value::Map(Arc::new(found))
}
