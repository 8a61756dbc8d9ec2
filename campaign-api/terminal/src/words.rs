//! What is said to people, in their language. Sentences are [`Say`]s by template, single words of
//! the API ("no_answer") by the word; both find their Chinese in `zh.toml`.

use std::{collections::BTreeMap, sync::LazyLock};

use dialer_types::{Language, Say};

/// `zh.toml`: English template to Chinese template.
static CHINESE: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| toml::from_str(include_str!("zh.toml")).unwrap_or_default());

/// Who speaks a language.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tongue(pub(crate) Language);

impl Tongue {
    /// A sentence or a label.
    pub(crate) fn tell(self, say: &Say) -> String {
        match self.0 {
            Language::English => say.to_string(),
            Language::Chinese => say.text(&|template| CHINESE.get(template).map(String::as_str)),
        }
    }

    /// A word of the API for people: `no_answer` as `no answer` or `无人接听`.
    pub(crate) fn word(self, word: &str) -> String {
        match self.0 {
            Language::Chinese => match CHINESE.get(word) {
                Some(chinese) => chinese.clone(),
                None => word.replace('_', " "),
            },
            Language::English => word.replace('_', " "),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use dialer_types::{Disposition, Outcome, Purpose, Technology};

    use super::*;

    /// Every template after `say!(` in a source file.
    fn templates(source: &str, found: &mut Vec<String>) {
        // In two parts, so that this line is not found itself.
        for after in source.split(concat!("say", "!(")).skip(1) {
            let Some(rest) = after.trim_start().strip_prefix('"') else { continue };
            let mut text = String::new();
            let mut characters = rest.chars();
            while let Some(character) = characters.next() {
                match character {
                    '"' => break,
                    '\\' => text.extend(characters.next()),
                    other => text.push(other),
                }
            }
            found.push(text);
        }
    }

    fn read(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                templates(&fs::read_to_string(path).unwrap(), found);
            }
        }
    }

    /// The names of the places of a template, in the order of the alphabet.
    fn places(template: &str) -> Vec<&str> {
        let mut names: Vec<&str> = template
            .split('{')
            .skip(1)
            .filter_map(|after| after.split_once('}').map(|(name, _)| name))
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_label_and_sentence_has_a_chinese_line_with_the_same_places() {
        let chinese: BTreeMap<String, String> = toml::from_str(include_str!("zh.toml")).unwrap();
        let mut found = Vec::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        found.retain(|template| !template.is_empty());
        assert!(found.len() > 100, "the search finds the templates: {}", found.len());
        let missing: Vec<&String> =
            found.iter().filter(|template| !chinese.contains_key(*template)).collect();
        assert!(missing.is_empty(), "no Chinese for {missing:#?}");
        for (english, told) in &chinese {
            assert_eq!(places(english), places(told), "{english}");
            assert!(!told.is_ascii(), "{english} is not translated");
        }
    }

    #[test]
    fn every_word_of_the_api_that_is_shown_has_a_chinese_word() {
        let tongue = Tongue(Language::Chinese);
        let mut words: Vec<&str> = [
            "draft",
            "running",
            "paused",
            "stopped",
            "ended",
            "importing",
            "imported",
            "failed",
            "waiting",
            "due",
            "leased",
            "parked",
            "finished",
            "unknown",
            "permit",
            "defer",
            "refuse",
            "good",
            "repaired",
            "rejected",
            "duplicate",
            "quarantined",
            "consent",
            "address",
            "list",
            "feed",
            "pack",
            "suppression",
            "obligation",
            "grant",
            "revoke",
            "up",
            "down",
            "partly_down",
            "fault",
            "repair",
            "completed",
            "tries",
            "link",
            "contact",
            "never",
            // What a prompt announces and a campaign must do: the abilities of the rule packs.
            "identity",
            "purpose_statement",
            "callback_number",
            "opt_out_key",
            "ai_disclosure",
            "recording_notice",
            "caller_id",
            "caller_id_range",
            "min_ring",
            "abandon_message",
            "abandonment_control",
            "retention",
            "reassigned_numbers",
            // Who calls: our dialers, or somebody else's by permits.
            "dialer",
            "permits",
        ]
        .to_vec();
        words.extend(Disposition::ALL.iter().map(|word| word.as_str()));
        words.extend(Outcome::ALL.iter().map(|word| word.as_str()));
        words.extend(Purpose::ALL.iter().map(|word| word.as_str()));
        words.extend(Technology::ALL.iter().map(|word| word.as_str()));
        let missing: Vec<&&str> =
            words.iter().filter(|word| tongue.word(word).is_ascii()).collect();
        assert!(missing.is_empty(), "no Chinese for {missing:?}");
        assert_eq!(Tongue(Language::English).word("no_answer"), "no answer");
        assert_eq!(tongue.word("us.tsr.window"), "us.tsr.window");
    }
}
