//! Every case of `VECTORS.md` against the packs that ship. None is skipped.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use dialer_policy::{Options, Ruleset, check::judge_line};
use serde_json::Value;

const VECTORS: &str = include_str!("vectors.jsonl");

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn complaint(rules: &Ruleset, line: &str) -> Option<String> {
    let case: Value = serde_json::from_str(line).unwrap();
    let answer = judge_line(rules, line).map_err(|error| error.to_string());
    let Ok(answer) = answer else {
        return Some(format!("{}: {answer:?}", case["id"]));
    };
    let given: Value = serde_json::from_str(&answer).unwrap();
    let expect = &case["expect"];
    let named = strings(&given["rules"]);
    let missing = strings(&expect["rules_include"]).iter().any(|rule| !named.contains(rule));
    let extra = strings(&expect["rules_exclude"]).iter().any(|rule| named.contains(rule));
    let until_differs = !expect["until"].is_null() && expect["until"] != given["until"];
    let right = expect["verdict"] == given["verdict"]
        && !missing
        && !extra
        && !until_differs
        && given["obligations"].is_array()
        && given["id"] == case["id"];
    (!right).then(|| format!("expected {expect}\n     got {answer}"))
}

#[test]
fn all_79_public_vectors_pass() {
    let rules = Ruleset::shipped(Options { house: false }).unwrap();
    let lines: Vec<&str> = VECTORS.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 79);
    let wrong: Vec<String> = lines.iter().filter_map(|line| complaint(&rules, line)).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn expect_does_not_influence_the_verdict() {
    let rules = Ruleset::shipped(Options { house: false }).unwrap();
    for line in VECTORS.lines() {
        let mut case: Value = serde_json::from_str(line).unwrap();
        let with = judge_line(&rules, line).unwrap();
        case.as_object_mut().unwrap().remove("expect");
        assert_eq!(judge_line(&rules, &case.to_string()).unwrap(), with);
    }
}
