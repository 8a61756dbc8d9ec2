//! The public vectors, judged by the checker: where its table reaches, it must agree with them.

use std::collections::{HashMap, HashSet};

use dialer_types::Outcome;
use loadtest::checker::{
    history::History,
    judge::{Denial, Judge, Kind, View},
    place::places,
    world::{Consent, Contact, Earlier, House, NationalList, Suppression, World},
};
use serde_json::Value;

use crate::planted::{at, contact, world};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn each<'a>(case: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    case[name].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn called(call: &Value) -> Contact {
    let address = &call["address"];
    let mut person =
        contact("p", text(call, "number"), text(address, "country"), text(address, "region"));
    text(address, "time_zone").clone_into(&mut person.time_zone);
    person.numbers[0].1 = text(call, "line_type").parse().unwrap();
    person.party = text(call, "party_type").parse().unwrap();
    text(call, "account").clone_into(&mut person.account);
    if let Ok(role) = text(call, "party_role").parse() {
        person.role = role;
    }
    let relationship = &call["relationship"];
    person.relationship = text(relationship, "since")
        .parse()
        .ok()
        .map(|since| (text(relationship, "kind").to_owned(), since));
    person
}

fn consent(given: &Value) -> Consent {
    Consent {
        form: text(given, "form").to_owned(),
        purpose: text(&given["scope"], "purpose").parse().unwrap(),
        technology: text(&given["scope"], "technology").parse().ok(),
        at: at(text(given, "given_at")),
        revoked_at: given["revoked_at"].as_str().map(at),
    }
}

fn earlier(entry: &Value) -> Earlier {
    Earlier {
        seller: text(entry, "seller").to_owned(),
        number: text(entry, "number").to_owned(),
        external_id: None,
        account: entry["account"].as_str().map(str::to_owned),
        inbound: false,
        purpose: text(entry, "purpose").parse().unwrap(),
        technology: text(entry, "technology").parse().unwrap(),
        outcome: serde_json::from_value::<Outcome>(entry["outcome"].clone()).unwrap(),
        at: Some(at(text(entry, "at"))),
    }
}

fn world_of(case: &Value) -> World {
    let call = &case["call"];
    let person = called(call);
    let purpose = text(call, "purpose").parse().unwrap();
    let technology = text(call, "technology").parse().unwrap();
    let mut world = world(purpose, technology, person);
    text(call, "seller").clone_into(&mut world.plan.campaigns[0].seller);
    world.plan.house = House { person_day_cap: u32::MAX, min_gap_s: 0 };
    for given in each(case, "consents") {
        let key = (text(&given["scope"], "seller").to_owned(), "p".to_owned());
        world.consents.entry(key).or_default().push(consent(given));
    }
    for entry in each(case, "suppressions") {
        world.suppressions.push(Suppression {
            seller: None,
            number: Some(text(call, "number").to_owned()),
            external_id: None,
            at: Some(at(text(entry, "added_at"))),
            answered_at: None,
        });
    }
    world.earlier = each(case, "history").map(earlier).collect();
    world.lists = lists(case, text(call, "number"));
    world
}

fn lists(case: &Value, number: &str) -> HashMap<String, NationalList> {
    let lists = case["lists"].as_object().into_iter().flatten();
    lists
        .map(|(id, list)| {
            let contains = list["contains"].as_bool().unwrap();
            let numbers: HashSet<_> = contains.then(|| number.to_owned()).into_iter().collect();
            (id.clone(), NationalList { as_of: text(list, "as_of").parse().unwrap(), numbers })
        })
        .collect()
}

/// The law's own denials: what this build cannot carry out is no part of the vectors.
fn law(denial: &Denial) -> bool {
    denial.kind != Kind::Other || matches!(denial.rule, "us.regf.third_party" | "cn.debt.contacts")
}

#[test]
fn the_checkers_own_rules_agree_with_the_public_vectors() {
    let (mut judged, mut rules_seen) = (0, HashSet::new());
    for line in include_str!("vectors.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let world = world_of(&case);
        let contact = &world.contacts[0];
        let (number, _) = &contact.numbers[0];
        let places = places(number, &contact.country, &contact.region, &contact.time_zone);
        if !places.covered || places.partly {
            continue;
        }
        judged += 1;
        let history = History::of(&world);
        let judge = Judge { world: &world, history: &history };
        let subject = judge.subject(contact, 0).unwrap();
        let now = at(text(&case, "now"));
        let denials: Vec<_> = judge
            .denials(&subject, now, usize::MAX, View::Eventual)
            .into_iter()
            .filter(law)
            .collect();
        let verdict = match denials.iter().map(|denial| denial.passes_with_time).min() {
            None => "permit",
            Some(true) => "defer",
            Some(false) => "refuse",
        };
        let (id, expect) = (text(&case, "id"), &case["expect"]);
        assert_eq!(verdict, text(expect, "verdict"), "{id}: {denials:?}");
        let found = |rule: &str| denials.iter().any(|denial| denial.rule == rule);
        for rule in each(expect, "rules_include").filter_map(Value::as_str) {
            let own = if rule.ends_with("internal_dnc") { "suppression" } else { rule };
            assert!(found(own), "{id}: {rule} not in {denials:?}");
            rules_seen.insert(rule.to_owned());
        }
        for rule in each(expect, "rules_exclude").filter_map(Value::as_str) {
            assert!(!found(rule), "{id}: {rule} in {denials:?}");
        }
    }
    assert_eq!(judged, 27, "vectors in covered places");
    assert!(rules_seen.len() >= 19, "only {rules_seen:?}");
}
