//! What the shipped rules say, in Chinese.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use dialer_policy::{Options, Ruleset, check::judge_line_in};
use dialer_types::Language;
use serde_json::Value;

const VECTORS: &str = include_str!("vectors.jsonl");

fn has_letters(text: &str) -> bool {
    text.chars().any(|one| one.is_ascii_alphabetic())
}

#[test]
fn every_shipped_rule_has_a_chinese_title_and_the_house_chinese_citations() {
    let rules = Ruleset::shipped(Options { house: true }).unwrap();
    let ids: Vec<&str> = rules.rule_ids().map(dialer_types::RuleId::as_str).collect();
    assert!(ids.len() > 150);
    for id in ids.into_iter().chain(["house.suppression"]) {
        let (title, citation) = rules.names_of(id, Language::Chinese).unwrap();
        assert!(!has_letters(title) && !title.is_empty(), "{id}: {title}");
        if id.starts_with("house.") {
            assert!(!has_letters(citation), "{id}: {citation}");
        }
        let (english, _) = rules.names_of(id, Language::English).unwrap();
        assert!(has_letters(english), "{id}: {english}");
    }
    assert_eq!(rules.names_of("us.no_such_rule", Language::Chinese), None);
}

/// Without ids, zones, moments and codes of countries.
fn plain(sentence: &str) -> String {
    let ends = |one: char| !(one.is_ascii_alphanumeric() || "./_-:".contains(one));
    let token = |token: &&str| {
        let code = token.len() == 2 && token.chars().all(|one| one.is_ascii_uppercase());
        !(code || token.contains(['.', '/', '_']) || token.starts_with("20"))
    };
    sentence.split(ends).filter(token).collect()
}

#[test]
fn every_denial_of_the_vectors_is_told_in_chinese() {
    let rules = Ruleset::shipped(Options { house: false }).unwrap();
    let mut told = 0;
    for line in VECTORS.lines().filter(|line| !line.is_empty()) {
        let answer = judge_line_in(&rules, line, Language::Chinese).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let ids = answer["rules"].as_array().unwrap();
        for (id, reason) in ids.iter().zip(answer["reasons"].as_array().unwrap()) {
            let (reason, id) = (reason.as_str().unwrap(), id.as_str().unwrap());
            // The citation stands at the end, in the words of its source.
            let (sentence, _) = reason.rsplit_once(&format!("（{id}，")).unwrap();
            assert!(!has_letters(&plain(sentence)), "{reason}");
            told += 1;
        }
    }
    assert!(told > 60, "{told}");
}
