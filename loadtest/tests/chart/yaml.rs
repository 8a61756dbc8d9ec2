//! YAML as JSON. A key that stands twice is a fault.

use serde::Deserialize as _;
use serde_json::Value as Json;

/// Every document that is not empty.
pub(crate) fn every(text: &str) -> Result<Vec<Json>, String> {
    let mut found = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        // Through the own value of the parser, which alone sees a key that stands twice.
        let value = serde_norway::Value::deserialize(document).map_err(|e| e.to_string())?;
        let value: Json = serde_norway::from_value(value).map_err(|e| e.to_string())?;
        if !value.is_null() {
            found.push(value);
        }
    }
    Ok(found)
}

/// The only document.
pub(crate) fn one(text: &str) -> Result<Json, String> {
    let mut found = every(text)?;
    match (found.pop(), found.is_empty()) {
        (Some(value), true) => Ok(value),
        (None, _) => Ok(Json::Object(serde_json::Map::new())),
        _ => Err("more than one document".to_owned()),
    }
}
