//! What the words of the API mean, in sentences: states, causes, endings. The words stay the same
//! in every language, because programs match them.

use std::{collections::BTreeMap, sync::LazyLock};

use dialer_policy::{Options, Ruleset, Wait, waits_sentence};
use dialer_types::{Disposition, Say, say};

use super::{language, told};

/// For titles of rules only. A deployment's own packs adjust rules of the house and name none.
static RULES: LazyLock<Option<Ruleset>> =
    LazyLock::new(|| Ruleset::shipped(Options { house: true }).ok());

/// A campaign's status.
pub(crate) fn status(word: &str) -> Say {
    match word {
        "draft" => "the campaign is a draft: it has not been started".into(),
        "running" => "the campaign is running".into(),
        "paused" => "the campaign is paused".into(),
        "stopped" => "the campaign is stopped".into(),
        "ended" => "the campaign has ended".into(),
        other => say!("the campaign is {other}", other),
    }
}

/// A contact's state.
pub(crate) fn state(word: &str) -> Say {
    match word {
        "waiting" => "waits for the campaign to start".into(),
        "due" => "is called next".into(),
        "leased" => "is being called or judged right now".into(),
        "parked" => "is not called until something changes".into(),
        "finished" => "is done with: it is not called again".into(),
        other => Say::raw(other),
    }
}

/// What a parked contact waits for.
pub(crate) fn cause(word: &str) -> String {
    match Wait::from_word(word) {
        Some(wait) => waits_sentence(&wait, language()),
        None => told(&say!("waits for {word}", word)),
    }
}

/// Why a contact is finished: a word of its own, or the disposition that ended it.
pub(crate) fn finished(word: &str) -> String {
    let said = match word {
        "tries_used_up" => "every attempt that the campaign allows has been made".into(),
        "finished" => state(word),
        _ => match word.parse::<Disposition>() {
            Ok(disposition) => disposition.say(),
            Err(_) => Say::raw(word),
        },
    };
    told(&said)
}

/// How an attempt ended.
pub(crate) fn disposition(word: &str) -> String {
    match word.parse::<Disposition>() {
        Ok(disposition) => told(&disposition.say()),
        Err(_) => word.to_owned(),
    }
}

/// What a rule is called; its id where no pack has it.
pub(crate) fn rule(id: &str) -> String {
    let names = RULES.as_ref().and_then(|rules| rules.names_of(id, language()));
    names.map_or_else(|| id.to_owned(), |(title, _)| title.to_owned())
}

/// Because of what a contact is due later: a rule, or a disposition that is tried again.
pub(crate) fn because(word: &str) -> String {
    if word.contains('.') { rule(word) } else { disposition(word) }
}

/// Each word with its sentence.
pub(crate) fn sentences<'a>(
    words: impl IntoIterator<Item = &'a String>,
    said: fn(&str) -> String,
) -> BTreeMap<String, String> {
    words.into_iter().map(|word| (word.clone(), said(word))).collect()
}
