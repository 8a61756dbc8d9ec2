//! What happened elsewhere, and what really happened, count as the rules say: asked of the gate's
//! own evaluator, over the heads that the API moved.

use std::collections::BTreeSet;

use dialer_types::UnixMillis;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, settings};

/// A seller that collects debts, and one person in Florida with an account.
async fn collections(world: &World) -> (String, String) {
    let (seller, trunk) = (world.seller("one").await, world.trunk().await);
    let mut campaign = settings(&seller, "c", &[&trunk]);
    campaign["purpose"] = "debt_collection".into();
    campaign["technology"] = "manual".into();
    let (status, campaign) = world.post("/v1/campaigns", &campaign).await;
    assert_eq!(status, StatusCode::CREATED, "{campaign}");
    let campaign = campaign["id"].as_str().unwrap().to_owned();
    let csv = "external_id,phone_1,account,country,region,time_zone\n\
               ann,+13055550101,loan-1,US,FL,America/New_York\n";
    let (_, list) = world.csv(&format!("/v1/campaigns/{campaign}/lists?name=l"), csv).await;
    assert_eq!(list["imported"], 1, "{list}");
    (seller, campaign)
}

/// The rules that deny a call to her now.
async fn denying(world: &World, campaign: &str) -> BTreeSet<String> {
    let (status, said) =
        world.get(&format!("/v1/eligibility?campaign={campaign}&person=ann")).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let reasons = said["numbers"][0]["reasons"].as_array().unwrap_or_else(|| panic!("{said}"));
    reasons.iter().map(|reason| reason["rule"].as_str().unwrap().to_owned()).collect()
}

/// So many hours ago.
fn ago(world: &World, hours: i64) -> String {
    let at = world.app.now().0 - hours * 3_600_000;
    dialer_audit::page::time(UnixMillis(at))
}

fn earlier(seller: &str, at: &str, outcome: &str, inbound: bool) -> Value {
    json!({ "seller": seller, "number": "+13055550101", "person": "ann", "account": "loan-1",
        "at": at, "outcome": outcome, "purpose": "debt_collection", "technology": "manual",
        "inbound": inbound })
}

const CAP: &str = "us.regf.7in7";
const WAIT: &str = "us.regf.post_conversation";

#[tokio::test]
async fn earlier_attempts_use_up_a_cap_by_json_and_by_csv() {
    let world = World::start().await;
    let (seller, campaign) = collections(&world).await;
    assert!(!denying(&world, &campaign).await.contains(CAP));
    let six: Vec<Value> =
        (1..7).map(|n| earlier(&seller, &ago(&world, 10 * n), "no_answer", false)).collect();
    let (status, report) = world.post("/v1/earlier-attempts", &json!(six)).await;
    assert_eq!((status, &report["recorded"]), (StatusCode::OK, &json!(6)), "{report}");
    assert!(!denying(&world, &campaign).await.contains(CAP), "six of seven");
    let csv = format!(
        "seller,number,person,account,at,outcome,purpose,technology\n\
         {seller},+13055550101,ann,loan-1,{},voicemail,debt_collection,manual\n",
        ago(&world, 5)
    );
    let (status, report) = world.csv("/v1/earlier-attempts", csv).await;
    assert_eq!((status, &report["recorded"]), (StatusCode::OK, &json!(1)), "{report}");
    let rules = denying(&world, &campaign).await;
    assert!(rules.contains(CAP) && !rules.contains(WAIT), "{rules:?}");
}

#[tokio::test]
async fn the_same_earlier_attempt_counts_once_however_often_it_is_recorded() {
    let world = World::start().await;
    let (seller, campaign) = collections(&world).await;
    let mut csv = "seller,number,person,account,at,outcome,purpose,technology\n".to_owned();
    let [ten, twenty] = [10, 20].map(|minutes| ago(&world, minutes));
    for at in [&ten, &twenty, &twenty] {
        csv += &format!("{seller},+13055550101,ann,loan-1,{at},no_answer,debt_collection,manual\n");
    }
    for (recorded, duplicates) in [(2, 1), (0, 3), (0, 3), (0, 3)] {
        let (status, report) = world.csv("/v1/earlier-attempts", csv.clone()).await;
        assert_eq!(status, StatusCode::OK, "{report}");
        let counts = (&report["recorded"], &report["duplicates"], &report["rejected"]);
        assert_eq!(counts, (&json!(recorded), &json!(duplicates), &json!(0)), "{report}");
    }
    let again = [earlier(&seller, &ten, "no_answer", false)];
    let (_, report) = world.post("/v1/earlier-attempts", &json!(again)).await;
    assert_eq!((&report["recorded"], &report["duplicates"]), (&json!(0), &json!(1)), "{report}");
    assert!(!denying(&world, &campaign).await.contains(CAP), "two of seven");
    // Another outcome at the same moment is another record.
    let other = [earlier(&seller, &ten, "voicemail", false)];
    let (_, report) = world.post("/v1/earlier-attempts", &json!(other)).await;
    assert_eq!(report["recorded"], 1, "{report}");
}

#[tokio::test]
async fn an_inbound_conversation_starts_the_seven_days_and_counts_in_no_cap() {
    let world = World::start().await;
    let (seller, campaign) = collections(&world).await;
    // Seven times, by CSV: were they attempts, the cap would be used up.
    let mut csv = "seller,number,person,account,at,outcome,purpose,technology,inbound\n".to_owned();
    for n in 1..8 {
        let at = ago(&world, 5 * n);
        csv += &format!(
            "{seller},+13055550101,ann,loan-1,{at},conversation,debt_collection,manual,true\n"
        );
    }
    let (status, report) = world.csv("/v1/earlier-attempts", csv).await;
    assert_eq!((status, &report["recorded"]), (StatusCode::OK, &json!(7)), "{report}");
    let rules = denying(&world, &campaign).await;
    assert!(rules.contains(WAIT) && !rules.contains(CAP), "{rules:?}");
    let kept: i64 = world.sql("SELECT count(*) FROM earlier_contact WHERE inbound").await;
    assert_eq!(kept, 7);
}

#[tokio::test]
async fn a_correction_to_a_conversation_starts_the_seven_days_and_one_back_ends_them() {
    let world = World::start().await;
    let (seller, campaign) = collections(&world).await;
    let two = [earlier(&seller, &ago(&world, 30), "no_answer", false)];
    world.post("/v1/earlier-attempts", &json!(two)).await;
    // The placement that the entry stands for, as the dialer would have left it.
    world
        .execute(
            "INSERT INTO attempt SELECT c.id, 1, c.campaign_id, k.seller_id, 1000
                 FROM contact c JOIN campaign k ON k.id = c.campaign_id;
             INSERT INTO placement SELECT e.id, c.id, 1, c.campaign_id, e.number_subject,
                 e.person_subject, e.account_subject, t.id, gen_random_uuid(), 1000, 9000, 'call-1@x'
                 FROM contact c, trunk t, earlier_contact e;
             INSERT INTO outcome (placement_id, disposition, ended_at, recorded_by)
                 SELECT id, 3, 2000, gen_random_uuid() FROM placement;",
        )
        .await;
    let (_, attempts) = world.get("/v1/attempts").await;
    let id = attempts["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(!denying(&world, &campaign).await.contains(WAIT));
    let path = format!("/v1/attempts/{id}/correction");
    for (disposition, waits) in [("answered", true), ("no_answer", false), ("answered", true)] {
        let (status, said) = world.post(&path, &json!({ "disposition": disposition })).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        assert_eq!(denying(&world, &campaign).await.contains(WAIT), waits, "{disposition}");
    }
    let kept: i64 = world.sql("SELECT count(*) FROM outcome").await;
    assert_eq!(kept, 4, "every version stays");
}
