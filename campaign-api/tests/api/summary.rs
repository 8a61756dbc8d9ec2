//! The summary that matters, against the answers for each contact.

use std::{collections::BTreeMap, io::Write as _};

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::people::{CAMPAIGNS, People};

const PARTS: [&str; 6] = ["callable_now", "later_today", "later", "never", "under_way", "finished"];

fn count(summary: &Value, part: &str) -> u64 {
    summary[part].as_u64().unwrap()
}

fn unlocks(summary: &Value, word: &str) -> u64 {
    let found = summary["unlock"].as_array().unwrap().iter();
    found.filter(|it| it["waits_for"] == word).map(|it| count(it, "contacts")).sum()
}

/// Where a contact belongs, from the answer about it.
fn part(answer: &Value) -> &'static str {
    match (answer["state"]["word"].as_str().unwrap(), answer["verdict"].as_str().unwrap()) {
        ("leased", _) => "under_way",
        ("finished", _) => "finished",
        (_, "permit") => "callable_now",
        (_, "refuse") => "never",
        _ => {
            let moment =
                |field: &str| -> DateTime<Utc> { answer[field].as_str().unwrap().parse().unwrap() };
            let zones = answer["numbers"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|number| number["verdict"] == "defer")
                .flat_map(|number| number["reasons"].as_array().unwrap())
                .flat_map(|reason| reason["local_times"].as_array().unwrap())
                .map(|at| at["zone"].as_str().unwrap().parse::<chrono_tz::Tz>().unwrap());
            let day = |field, zone| moment(field).with_timezone(&zone).date_naive();
            let mut zones = zones.peekable();
            assert!(zones.peek().is_some(), "{answer}");
            if zones.all(|zone| day("at", zone) == day("first_lawful_at", zone)) {
                "later_today"
            } else {
                "later"
            }
        }
    }
}

#[tokio::test]
async fn every_contact_is_counted_once_and_as_the_answer_about_it_says() {
    let people = People::start("summary").await;
    let world = &people.world;
    let trunk = world.trunk().await;
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut campaigns = Vec::new();
    for terms in CAMPAIGNS {
        campaigns.push(people.campaign(terms, &trunk).await);
    }
    people.past().await;
    for (campaign, list) in campaigns {
        let contacts = people.contacts(&campaign).await;
        for (contact, state) in contacts.iter().rev().zip([3, 5, 5]) {
            let id: dialer_types::ContactId = contact["id"].as_str().unwrap().parse().unwrap();
            world
                .execute(&format!(
                    "UPDATE contact SET state = {state} WHERE id = '{}'",
                    Uuid::from_u128(id.0)
                ))
                .await;
        }
        let (status, summary) = world.get(&format!("/v1/campaigns/{campaign}/summary")).await;
        assert_eq!(status, StatusCode::OK, "{summary}");
        let (_, of_list) = world.get(&format!("/v1/lists/{list}/summary")).await;
        assert_eq!(count(&summary, "contacts"), contacts.len() as u64);
        assert_eq!(
            PARTS.iter().map(|part| count(&summary, part)).sum::<u64>(),
            contacts.len() as u64
        );
        let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
        let mut denied: BTreeMap<String, u64> = BTreeMap::new();
        for contact in &contacts {
            let answer = people.why(&campaign, contact).await;
            let part = part(&answer);
            *expected.entry(part).or_default() += 1;
            if ["later_today", "later", "never"].contains(&part) {
                let reasons = answer["numbers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(|number| number["reasons"].as_array().unwrap());
                let rules: std::collections::BTreeSet<_> =
                    reasons.map(|reason| reason["rule"].as_str().unwrap().to_owned()).collect();
                for rule in rules {
                    *denied.entry(rule).or_default() += 1;
                }
            }
        }
        for part in PARTS {
            assert_eq!(
                count(&summary, part),
                expected.get(part).copied().unwrap_or(0),
                "{part}: {summary}"
            );
            assert_eq!(count(&of_list, part), count(&summary, part), "{part}");
            *seen.entry(part).or_default() += count(&summary, part);
        }
        let blocked: BTreeMap<String, u64> = summary["blocked_by"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["rule"].as_str().unwrap().to_owned(), count(it, "contacts")))
            .collect();
        assert_eq!(blocked, denied);
        assert_eq!(summary["one_in"], 1);
    }
    assert!(PARTS.iter().all(|part| seen[part] > 0), "{seen:?}");
}

#[tokio::test]
async fn a_fact_that_comes_moves_as_many_contacts_as_it_was_said_to_unlock() {
    let people = People::start("unlock").await;
    let world = &people.world;
    let trunk = world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[1], &trunk).await;
    let path = format!("/v1/campaigns/{campaign}/summary");
    let (_, before) = world.get(&path).await;
    let promised = unlocks(&before, "consent");
    assert!(promised > 5, "{before}");
    for contact in people.contacts(&campaign).await {
        let consent = json!({ "seller": people.seller, "person": contact["person"], "kind": "grant",
            "form": "prior_express_written", "purpose": CAMPAIGNS[1].0, "source": "form" });
        let (status, body) = world.post("/v1/consents", &consent).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let consent = json!({ "seller": people.seller, "person": contact["person"], "kind": "grant",
            "form": "prior_express", "purpose": CAMPAIGNS[1].0, "source": "form" });
        world.post("/v1/consents", &consent).await;
    }
    let (_, after) = world.get(&path).await;
    assert_eq!(unlocks(&after, "consent"), 0, "{after}");
    assert_eq!(count(&before, "never") - count(&after, "never"), promised, "{before}\n{after}");

    // A list that grows stale: what it unlocks is as many as its coming back moves.
    let (sales, _) = people.campaign(CAMPAIGNS[0], &trunk).await;
    let path = format!("/v1/campaigns/{sales}/summary");
    let (_, fresh) = world.get(&path).await;
    std::fs::remove_file(people.lists.join("dnc.txt")).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let (_, stale) = world.get(&path).await;
    let moved = count(&stale, "never") - count(&fresh, "never");
    assert!(moved > 0, "{fresh}\n{stale}");
    let said = unlocks(&stale, "list:us.national_dnc") - unlocks(&fresh, "list:us.national_dnc");
    assert_eq!(said, moved, "{fresh}\n{stale}");
}

#[tokio::test]
async fn an_opt_out_is_not_said_to_be_unlocked_by_anything() {
    let people = People::start("barred").await;
    let world = &people.world;
    let trunk = world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[1], &trunk).await;
    let path = format!("/v1/campaigns/{campaign}/summary");
    let barred = |summary: &Value| -> u64 {
        let found = summary["blocked"].as_array().unwrap().iter();
        found.filter(|it| it["waits_for"] == "suppression").map(|it| count(it, "contacts")).sum()
    };
    let (_, before) = world.get(&path).await;
    assert_eq!(barred(&before), 0, "{before}");
    // One who could be called, and one who lacks a consent besides.
    for person in ["p1", "p0"] {
        let entry = json!({ "seller": people.seller, "person": person, "reason": "asked" });
        world.post("/v1/suppressions", &entry).await;
    }
    let (_, after) = world.get(&path).await;
    assert_eq!(barred(&after), 2, "{after}");
    let facts = ["consent", "address", "feed", "contact"];
    for unlock in after["unlock"].as_array().unwrap() {
        let word = unlock["waits_for"].as_str().unwrap();
        assert!(facts.contains(&word) || word.starts_with("list:"), "{unlock}");
    }
    let said = after["blocked"].as_array().unwrap().iter();
    let said: Vec<_> = said.map(|it| it["sentence"].as_str().unwrap()).collect();
    assert!(
        said.contains(&"keeps 2 from being called: Nobody calls as long as the entry stands."),
        "{said:?}"
    );
}

/// Not a check: contacts judged a second, on a list of 20,000 with consents.
#[tokio::test]
#[ignore = "measures"]
async fn how_fast_a_list_is_summed_up() {
    let people = People::start("speed").await;
    let world = &people.world;
    let trunk = world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[0], &trunk).await;
    let mut csv = String::from(
        "external_id,phone_1,country,region,time_zone,consent_form,consent_purpose,consent_at\n",
    );
    for index in 0..20_000 {
        csv.push_str(&format!(
            "s{index},+1305{:07},US,FL,America/New_York,prior_express_written,telemarketing,2026-11-01T00:00:00Z\n",
            2_000_000 + index
        ));
    }
    let (status, list) = world.csv(&format!("/v1/campaigns/{campaign}/lists?name=many"), csv).await;
    assert_eq!((status, &list["imported"]), (StatusCode::CREATED, &json!(20_000)), "{list}");
    let began = campaign_api::clock::mono();
    let path = format!("/v1/lists/{}/summary", list["id"].as_str().unwrap());
    let (status, summary) = world.get(&path).await;
    let took = began.elapsed();
    assert_eq!((status, count(&summary, "contacts")), (StatusCode::OK, 20_000), "{summary}");
    let rate = 20_000.0 / took.as_secs_f64();
    writeln!(std::io::stderr(), "20,000 contacts in {took:?}: {rate:.0} a second").unwrap();
}
