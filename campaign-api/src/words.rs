//! Sentences in the language of whoever asked.

pub(crate) mod codes;

use std::{collections::BTreeMap, sync::LazyLock};

use dialer_types::{Language, Say};
use serde::Serializer;

tokio::task_local! {
    /// What the request that is being answered asked for.
    pub(crate) static ASKED: Language;
}

/// `zh.toml`: English template to Chinese template.
static CHINESE: LazyLock<Result<BTreeMap<String, String>, toml::de::Error>> =
    LazyLock::new(|| toml::from_str(include_str!("zh.toml")));

/// Whether the catalogue can be read: asked at the start, so that nobody finds out by its silence.
pub(crate) fn check() -> Result<(), String> {
    CHINESE.as_ref().map(|_| ()).map_err(|error| format!("the Chinese sentences: {error}"))
}

/// The Chinese template for an English one: of this crate, or of the rules.
fn chinese(template: &str) -> Option<&'static str> {
    let ours = CHINESE.as_ref().ok().and_then(|lines| lines.get(template)).map(String::as_str);
    ours.or_else(|| dialer_policy::chinese(template))
}

/// The language of the request that is being answered; English outside of one. A body that is
/// streamed is made after the answer: ask before.
#[must_use]
pub fn language() -> Language {
    ASKED.try_with(|language| *language).unwrap_or_default()
}

/// A sentence in a language.
#[must_use]
pub fn in_language(say: &Say, language: Language) -> String {
    match language {
        Language::English => say.to_string(),
        Language::Chinese => say.text(&chinese),
    }
}

/// A sentence in the language of the request that is being answered.
#[must_use]
pub fn told(say: &Say) -> String {
    in_language(say, language())
}

/// For `serialize_with`: a sentence as text in the language of the request.
pub(crate) fn spoken<S: Serializer>(say: &Say, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&told(say))
}

#[cfg(test)]
mod tests;
