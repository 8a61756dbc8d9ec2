//! Readable values of a record, in a fixed order: what JSON Lines and CSV rows are made of.
//!
//! Not `serde_json::Value`: its order of members depends on a feature that any crate of a build may
//! switch on, and a verifier built elsewhere must write the same line.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

/// A readable value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(&'static str, Self)>),
}

impl Shown {
    /// The member of an object; nothing if there is none.
    pub(crate) fn get(&self, name: &str) -> &Self {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(key, _)| *key == name)
                .map_or(&Self::Nothing, |(_, value)| value),
            _ => &Self::Nothing,
        }
    }

    /// As a CSV cell: scalars as they are, lists of scalars joined by a blank, the rest as JSON.
    pub(crate) fn cell(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(items) if items.iter().all(Self::is_scalar) => {
                items.iter().map(Self::cell).collect::<Vec<_>>().join(" ")
            }
            Self::List(_) | Self::Object(_) => self.json(),
        }
    }

    /// As JSON text, members in order, no spaces.
    pub(crate) fn json(&self) -> String {
        // Writing these shapes to a string has no way to fail; an empty text would fail verification.
        serde_json::to_string(self).unwrap_or_default()
    }

    const fn is_scalar(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Object(_))
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Object(members) => {
                let mut object = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    object.serialize_entry(name, value)?;
                }
                object.end()
            }
        }
    }
}
