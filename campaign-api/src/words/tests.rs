//! Every sentence that a person may read has a Chinese line, and no line is left over.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use dialer_types::{AttemptId, ContactId, Disposition, E164, Language, Purpose, Say};

use super::{CHINESE, chinese, in_language};

/// Text that is the same in every language, by file, with the reason.
const RAW: [(&str, usize, &str); 3] = [
    ("http/lists/report.rs", 1, "a fault kept by an earlier version, as text"),
    ("http/trunk_health.rs", 1, "a word of the database that this version does not know"),
    ("words/codes.rs", 2, "a word of the database that this version does not know"),
];

/// A piece of source: a text literal, or anything else.
#[derive(Debug, PartialEq)]
enum Token {
    Text(String),
    Word(String),
    Sign(char),
}

fn lines() -> &'static BTreeMap<String, String> {
    CHINESE.as_ref().unwrap()
}

/// Every source file but tests, with its path under `src`.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.push((name, code));
            }
        }
    }
    found
}

/// The text of a literal and how many characters it takes; `from` stands after the quote.
fn literal(code: &[char], mut at: usize) -> (String, usize) {
    let mut text = String::new();
    while at < code.len() && code[at] != '"' {
        if code[at] == '\\' {
            at += 1;
            match code[at] {
                'n' => text.push('\n'),
                '\n' => {
                    while code[at + 1].is_whitespace() {
                        at += 1;
                    }
                }
                other => text.push(other),
            }
        } else {
            text.push(code[at]);
        }
        at += 1;
    }
    (text, at + 1)
}

fn tokens(code: &str) -> Vec<Token> {
    let code: Vec<char> = code.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < code.len() {
        match code[at] {
            '/' if code.get(at + 1) == Some(&'/') => {
                while at < code.len() && code[at] != '\n' {
                    at += 1;
                }
            }
            '"' => {
                let (text, end) = literal(&code, at + 1);
                found.push(Token::Text(text));
                at = end;
            }
            // A character literal; a lifetime has no closing quote so near.
            '\'' if code.get(at + 1) == Some(&'\\') => at += 4,
            '\'' if code.get(at + 2) == Some(&'\'') => at += 3,
            one if one.is_alphanumeric() || one == '_' => {
                let from = at;
                while at < code.len() && (code[at].is_alphanumeric() || code[at] == '_') {
                    at += 1;
                }
                found.push(Token::Word(code[from..at].iter().collect()));
            }
            one if one.is_whitespace() => at += 1,
            one => {
                found.push(Token::Sign(one));
                at += 1;
            }
        }
    }
    found
}

/// Whether the tokens before `at` are these words and signs.
fn after(tokens: &[Token], at: usize, before: &[&str]) -> bool {
    at >= before.len()
        && tokens[at - before.len()..at].iter().zip(before).all(|(token, wanted)| match token {
            Token::Word(word) => word == wanted,
            Token::Sign(sign) => wanted.chars().eq([*sign]),
            Token::Text(_) => false,
        })
}

/// The functions whose argument becomes a sentence, and which argument.
const TELLERS: [(&[&str], usize); 13] = [
    (&[".", "add"], 1),
    (&[".", "fault"], 1),
    (&["Fault", ":", ":", "of"], 1),
    (&["Problem", ":", ":", "malformed"], 0),
    (&["Problem", ":", ":", "too_large"], 0),
    (&["Problem", ":", ":", "role"], 0),
    (&["Problem", ":", ":", "not_found"], 0),
    (&["Problem", ":", ":", "conflict"], 1),
    (&["Problem", ":", ":", "unavailable"], 1),
    (&["Self", ":", ":", "conflict"], 1),
    (&["Self", ":", ":", "unavailable"], 1),
    (&["Self", ":", ":", "new"], 2),
    (&["Self", ":", ":", "new"], 3),
];

/// The literals that become sentences.
fn sentences(tokens: &[Token]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // Open brackets, with whose argument is being read and which.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => open.push((at, 0)),
            Token::Sign(')' | ']' | '}') => drop(open.pop()),
            Token::Sign(',') => {
                if let Some((_, argument)) = open.last_mut() {
                    *argument += 1;
                }
            }
            Token::Text(text) => {
                let made = after(tokens, at, &["say", "!", "("])
                    || after(tokens, at, &["Say", ":", ":", "of", "("])
                    || after(tokens, at, &["let", "detail", "="])
                    || after(tokens, at, &["let", "title", "="])
                    || after(tokens, at, &["let", "reason", "="]);
                let turned = text.contains(' ')
                    && after(tokens, at + 3, &[".", "into"])
                    && matches!(tokens.get(at), Some(Token::Text(_)));
                let told = open.last().is_some_and(|(bracket, argument)| {
                    TELLERS
                        .iter()
                        .any(|(name, nth)| nth == argument && after(tokens, *bracket, name))
                });
                if made || turned || told {
                    found.insert(text.clone());
                }
            }
            _ => {}
        }
    }
    found
}

fn places(template: &str) -> BTreeSet<&str> {
    template.split('{').skip(1).filter_map(|part| part.split('}').next()).collect()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn every_sentence_has_a_chinese_line_with_the_same_places() {
    let mut missing = Vec::new();
    let mut seen = 0;
    for (file, code) in sources(&src()) {
        for sentence in sentences(&tokens(&code)) {
            seen += 1;
            match chinese(&sentence) {
                None => missing.push(format!("{file}: {sentence:?}")),
                Some(line) if places(line) != places(&sentence) => {
                    missing.push(format!("{file}: {sentence:?} has other places than {line:?}"));
                }
                Some(_) => {}
            }
        }
    }
    assert!(missing.is_empty(), "{} of {seen}:\n{}", missing.len(), missing.join("\n"));
    assert!(seen > 80, "the scan sees {seen} sentences only");
}

#[test]
fn no_chinese_line_is_left_over_and_each_is_chinese() {
    let types = src().join("../../dialer/types/src");
    let files = sources(&src()).into_iter().chain(sources(&types));
    let literals: BTreeSet<String> = files
        .flat_map(|(_, code)| tokens(&code))
        .filter_map(|token| match token {
            Token::Text(text) => Some(text),
            _ => None,
        })
        .collect();
    let unused: Vec<&String> = lines().keys().filter(|line| !literals.contains(*line)).collect();
    assert!(unused.is_empty(), "{unused:#?}");
    for (english, line) in lines() {
        assert_eq!(places(line), places(english), "{english}");
        let words = english.chars().any(char::is_alphabetic) && !places(english).is_empty();
        let han = line.chars().any(|one| ('\u{4E00}'..='\u{9FFF}').contains(&one));
        assert!(han || words, "{english} = {line}");
    }
}

#[test]
fn text_that_nobody_translates_is_counted() {
    let mut counted = BTreeMap::new();
    for (file, code) in sources(&src()) {
        let tokens = tokens(&code);
        let raw = |at: &usize| after(&tokens, *at, &["Say", ":", ":", "raw"]);
        let count = (0..tokens.len()).filter(raw).count();
        if count > 0 {
            counted.insert(file, count);
        }
    }
    let expected: BTreeMap<String, usize> =
        RAW.iter().map(|(file, count, _)| ((*file).to_owned(), *count)).collect();
    assert_eq!(counted, expected, "a new one needs a reason in RAW");
}

fn is_chinese_only(text: &str) -> bool {
    !text.chars().any(|one| one.is_ascii_alphabetic())
}

#[test]
fn how_attempts_end_is_told_in_chinese() {
    for ending in Disposition::ALL {
        let text = in_language(&ending.say(), Language::Chinese);
        assert!(is_chinese_only(&text), "{ending}: {text}");
    }
}

#[test]
fn what_is_no_number_no_id_and_no_word_is_told_in_chinese() {
    let number = |text: &str| Say::from(text.parse::<E164>().unwrap_err());
    let told = |said: &Say| in_language(said, Language::Chinese);
    for text in ["1", "+1x", "+12", "+01234567"] {
        assert!(is_chinese_only(&told(&number(text))), "{text}: {}", told(&number(text)));
    }
    for said in [
        Say::from("x".parse::<ContactId>().unwrap_err()),
        Say::from("x".parse::<AttemptId>().unwrap_err()),
    ] {
        assert!(told(&said).starts_with("不是有效的编号"), "{}", told(&said));
    }
    let word = Say::from("selling".parse::<Purpose>().unwrap_err());
    assert!(told(&word).starts_with("不认识的呼叫目的 \"selling\"；可用的词：telemarketing, "));
}

#[test]
fn the_catalogue_can_be_read() {
    super::check().unwrap();
    assert!(lines().len() > 100);
}

#[test]
fn the_scan_finds_sentences_however_they_are_made() {
    let code = r#"
        // say!("in a comment")
        say!("one {a}", a); Say::of("two"); faults.add("field", "three"); let detail = "four";
        Problem::conflict("code", "five"); "six words".into(); Problem::not_found(say!("seven"));
        let c = '"'; faults.add("field", other("not one")); let s: String = "word".into();
    "#;
    let found: Vec<String> = sentences(&tokens(code)).into_iter().collect();
    assert_eq!(found, ["five", "four", "one {a}", "seven", "six words", "three", "two"]);
}
