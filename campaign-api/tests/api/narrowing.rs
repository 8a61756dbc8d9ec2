//! Believing verified addresses: by choice, by mark, and only where the address agrees with itself.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::people::{CAMPAIGNS, People};

/// A number of Los Angeles, where it is 07:00, and an address in New York, where it is 10:00.
const LIST: &str = "external_id,phone_1,country,region,postal_code,address_verified\n\
    verified,+12135550701,US,NY,10001,yes\n\
    stated,+12135550702,US,NY,10001,\n\
    contradicts,+12135550703,US,NY,33101,yes\n\
    unknown,+12135550704,US,NY,00000,yes\n\
    doubtful,+12135550705,US,NY,10001,perhaps\n";

fn from<'a>(answer: &'a Value, basis: &str) -> Option<&'a Value> {
    let all = answer["numbers"][0]["places_from"].as_array().unwrap();
    all.iter().find(|from| from["basis"] == basis)
}

#[tokio::test]
async fn a_verified_address_is_believed_by_choice_only_and_the_answer_says_so() {
    let people = People::start("narrowing").await;
    let trunk = people.world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[2], &trunk).await;
    let world = &people.world;
    let path = format!("/v1/campaigns/{campaign}/lists?name=addresses");
    let (_, list) = world.csv(&path, LIST).await;
    assert_eq!((&list["imported"], &list["rejected"]), (&json!(4), &json!(1)), "{list}");
    let report = world.text(&format!("{}?about=all", list["faults"].as_str().unwrap())).await;
    assert!(report.contains("6,address_verified,") && report.contains("must be yes"), "{report}");

    let ask = async |person: &str| {
        world.get(&format!("/v1/eligibility?campaign={campaign}&person={person}")).await.1
    };
    let choose = async |role: &str, chosen: bool| {
        let path = format!("/v1/sellers/{}/narrowing", people.seller);
        let request = world.request(Some(role), Method::POST, &path);
        let body = json!({ "narrows_by_verified_address": chosen, "reason": "by letter" });
        request.json(&body).send().await.unwrap().status()
    };
    // Nobody chose it: the number counts, too.
    let answer = ask("verified").await;
    assert_eq!(answer["verdict"], "defer", "{answer}");
    assert_eq!(from(&answer, "number").unwrap()["places"], json!(["US-CA"]), "{answer}");
    assert_eq!(from(&answer, "address").unwrap()["places"], json!(["US-NY"]), "{answer}");
    assert_eq!(from(&answer, "postal_code").unwrap()["zones"], json!(["America/New_York"]));
    assert_eq!(answer["numbers"][0]["postal_code"], "known");
    assert_eq!(answer["numbers"][0]["narrowed"], false);

    assert_eq!(choose("campaign_manager", true).await, StatusCode::FORBIDDEN);
    assert_eq!(choose("compliance", true).await, StatusCode::OK);
    let (_, sellers) = world.get("/v1/sellers").await;
    assert_eq!(sellers["items"][0]["narrows_by_verified_address"], true, "{sellers}");
    let answer = ask("verified").await;
    assert_eq!(answer["numbers"][0]["narrowed"], true, "{answer}");
    assert_eq!(answer["verdict"], "permit", "{answer}");
    assert!(from(&answer, "number").is_none(), "{answer}");
    for (person, postal) in [("stated", "known"), ("contradicts", "known"), ("unknown", "unknown")]
    {
        let answer = ask(person).await;
        assert_eq!(answer["verdict"], "defer", "{person}: {answer}");
        assert_eq!(answer["numbers"][0]["narrowed"], false, "{person}: {answer}");
        assert_eq!(answer["numbers"][0]["postal_code"], postal, "{person}: {answer}");
    }
    let answer = ask("contradicts").await;
    assert_eq!(from(&answer, "postal_code").unwrap()["places"], json!(["US-FL"]), "{answer}");

    assert_eq!(choose("compliance", false).await, StatusCode::OK);
    let leaves = "SELECT count(*) FROM audit_entry WHERE kind = 13 AND leaf LIKE '%by letter%'";
    assert_eq!(world.sql::<i64>(leaves).await, 2, "both choices are on record");
    assert_eq!(ask("verified").await["verdict"], "defer");
}
