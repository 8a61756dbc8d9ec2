//! The dry run of the next seven days, against the answers for each contact; and that it changes
//! nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::people::{CAMPAIGNS, People};

fn count(value: &Value, part: &str) -> u64 {
    value[part].as_u64().unwrap_or_else(|| panic!("{part} of {value}"))
}

/// All that a campaign run or an import could write.
const TABLES: [&str; 9] = [
    "contact",
    "due",
    "parked",
    "subject_head",
    "attempt",
    "placement",
    "audit_record",
    "consent_event",
    "suppression",
];

impl People {
    async fn digest(&self) -> Vec<String> {
        let mut found = Vec::new();
        for table in TABLES {
            let exists: bool =
                self.world.sql(&format!("SELECT to_regclass('{table}') IS NOT NULL")).await;
            if exists {
                let sql = format!(
                    "SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {table} t"
                );
                found.push(format!("{table} {}", self.world.sql::<String>(&sql).await));
            }
        }
        assert!(found.len() > 5, "{found:?}");
        found
    }
}

#[tokio::test]
async fn a_forecast_counts_every_contact_once_agrees_with_the_answers_and_changes_nothing() {
    let people = People::start("forecast").await;
    let world = &people.world;
    let trunk = world.trunk().await;
    let mut campaigns = Vec::new();
    for terms in CAMPAIGNS {
        campaigns.push(people.campaign(terms, &trunk).await);
    }
    people.past().await;
    let before = people.digest().await;
    let mut seen = [0; 3];
    for (campaign, list) in campaigns {
        let path = format!("/v1/campaigns/{campaign}/forecast");
        let (status, forecast) = world.post(&path, &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{forecast}");
        let (_, of_list) = world.post(&path, &json!({ "list": list })).await;
        assert_eq!(of_list["hours"], forecast["hours"]);
        let contacts = people.contacts(&campaign).await;
        let parts = ["callable", "beyond", "never", "under_way", "finished"];
        let sum: u64 = parts.iter().map(|part| count(&forecast, part)).sum();
        assert_eq!((sum, count(&forecast, "contacts")), (36, 36), "{forecast}");
        for (seen, part) in seen.iter_mut().zip(parts) {
            *seen += count(&forecast, part);
        }
        let hours = forecast["hours"].as_array().unwrap();
        assert_eq!(hours.len(), 168);
        assert_eq!(hours[0]["from"], "2026-12-01T15:00:00.000Z");
        // The first hour against the answers: who may be called now, or within the hour.
        let mut expected = 0;
        let mut ever = 0;
        for contact in &contacts {
            let answer = people.why(&campaign, contact).await;
            let verdict = answer["verdict"].as_str().unwrap();
            let first = answer["first_lawful_at"].as_str().unwrap_or("9");
            expected += u64::from(verdict == "permit");
            expected += u64::from(verdict == "defer" && first < "2026-12-01T16:00:00");
            ever += u64::from(verdict == "permit");
            ever += u64::from(verdict == "defer" && first < "2026-12-08T15:00:00");
        }
        assert_eq!(count(&hours[0], "callable"), expected, "{forecast}");
        assert!(count(&forecast, "callable") <= ever, "{forecast}");
        for hour in hours {
            assert!(count(hour, "callable") <= count(&forecast, "callable"));
        }
        for held in forecast["held_by"].as_array().unwrap() {
            let by_hour = held["by_hour"].as_array().unwrap();
            assert_eq!(by_hour.len(), 168);
            let most = by_hour.iter().map(|it| it.as_u64().unwrap()).max().unwrap();
            assert!(most >= 1 && most <= count(held, "contacts"), "{held}");
            for (hour, count_of) in hours.iter().zip(by_hour) {
                let all = count(hour, "callable") + count_of.as_u64().unwrap();
                assert!(all <= 36, "{held}");
            }
            for member in ["rule", "title", "citation", "sentence"] {
                assert!(!held[member].as_str().unwrap().is_empty(), "{held}");
            }
        }
    }
    assert!(seen[0] > 0 && seen[2] > 0, "{seen:?}");
    assert_eq!(people.digest().await, before, "it changed something");
}

#[tokio::test]
async fn a_forecast_is_told_in_the_asked_language_and_zone_and_refuses_what_it_does_not_know() {
    let people = People::start("forecast-words").await;
    let world = &people.world;
    let trunk = world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[1], &trunk).await;
    let (other, of_other) = people.campaign(CAMPAIGNS[0], &trunk).await;
    let path = format!("/v1/campaigns/{campaign}/forecast");
    let request = world.request(Some("admin"), Method::POST, &path);
    let response = request.header("accept-language", "zh").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "no body is needed");
    let told: Value = response.json().await.unwrap();
    for held in told["held_by"].as_array().unwrap() {
        let sentence = held["sentence"].as_str().unwrap();
        assert!(sentence.chars().any(|one| one > '\u{4e00}'), "{sentence}");
    }
    assert!(told["unlock"].as_array().unwrap().iter().any(|it| it["waits_for"] == "consent"));
    let (_, india) = world.post(&path, &json!({ "zone": "Asia/Kolkata" })).await;
    assert_eq!(india["hours"][0]["from"], "2026-12-01T14:30:00.000Z");
    assert_eq!(india["hours"][0]["local"], "2026-12-01T20:00:00+05:30");
    assert_eq!(india["until"], "2026-12-08T14:30:00.000Z");
    for (body, status) in [
        (json!({ "zone": "Moon/Crater" }), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({ "list": "01J" }), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({ "lists": of_other }), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({ "list": of_other }), StatusCode::NOT_FOUND),
    ] {
        let (found, problem) = world.post(&path, &body).await;
        assert_eq!(found, status, "{problem}");
    }
    let nowhere = format!("/v1/campaigns/{of_other}/forecast");
    assert_eq!(world.post(&nowhere, &json!({})).await.0, StatusCode::NOT_FOUND);
    // A list that is imported while another is judged: the next forecast has it.
    let (_, before) = world.post(&format!("/v1/campaigns/{other}/forecast"), &json!({})).await;
    assert_eq!(count(&before, "contacts"), 36);
}

#[tokio::test]
async fn what_is_tried_again_later_is_not_due_and_a_stale_list_closes_the_days_after() {
    let people = People::start("forecast-due").await;
    let world = &people.world;
    let trunk = world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[0], &trunk).await;
    let path = format!("/v1/campaigns/{campaign}/forecast");
    let (_, before) = world.post(&path, &json!({})).await;
    let now = before["hours"][0]["callable"].as_u64().unwrap();
    assert!(now > 0, "{before}");
    // Everybody is tried again in three hours, after a busy line.
    let sql = "UPDATE contact SET state = 2; DELETE FROM due;
        INSERT INTO due (contact_id, campaign_id, due_at, because)
        SELECT id, campaign_id, (extract(epoch FROM TIMESTAMPTZ '2026-12-01T18:00:30Z') * 1000)::bigint, 'busy'
        FROM contact";
    world.execute(sql).await;
    let (_, after) = world.post(&path, &json!({})).await;
    for hour in 0..3 {
        assert_eq!(after["hours"][hour]["callable"], 0, "{after}");
        assert_eq!(after["hours"][hour]["not_due"], 36, "{after}");
    }
    assert_eq!(after["hours"][3]["not_due"], 0);
    assert_eq!(after["hours"][3]["callable"], before["hours"][3]["callable"]);
    // A copy that is thirty days old is fresh for one day more.
    let text = "# demo list\n# id: us.national_dnc\n# as_of: 2026-10-31\n+13055550003\n";
    std::fs::write(people.lists.join("dnc.txt"), text).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let (_, stale) = world.post(&path, &json!({})).await;
    let held = stale["held_by"].as_array().unwrap().iter();
    let mut held = held.filter(|it| it["waits_for"] == "list:us.national_dnc");
    let by_hour = held.next().unwrap()["by_hour"].as_array().unwrap().clone();
    assert!(by_hour[120].as_u64() > by_hour[6].as_u64(), "{by_hour:?}");
}
