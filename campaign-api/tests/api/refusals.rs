//! What no road takes: payment card numbers anywhere, telephone numbers where the audit keeps text.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, settings};

const CARD: &str = "4111 1111 1111 1111";
/// Divided in a way that hiding digits in a row does not see.
const NAME: &str = "4111/1111/1111/1111";
const NOBODY: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV-1";

/// Refused as a card, and nothing of it is repeated.
fn refused(what: &str, (status, problem): (StatusCode, Value), field: &str) {
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {problem}");
    let text = problem.to_string();
    assert!(!text.contains("1111"), "{what}: {text}");
    assert!(text.contains("passes for a payment card number; nothing"), "{what}: {text}");
    assert_eq!(problem["faults"][0]["field"], field, "{what}: {text}");
}

#[tokio::test]
async fn a_card_number_is_refused_on_every_road_and_never_repeated() {
    let world = World::start().await;
    let seller = world.seller("acme").await;
    let campaign = world.campaign(&seller, "spring", &[]).await;
    let consent = json!({ "seller": seller, "person": "ann", "kind": "grant", "form": "opt_in",
        "purpose": "survey", "source": "form" });
    let entry = json!({ "seller": seller, "person": "ann", "reason": "asked" });
    let trunk = json!({ "name": "t", "address": "127.0.0.1:5060", "calls_per_second": 1.0,
        "max_concurrent": 1 });
    let earlier = json!({ "seller": seller, "number": "+13055550101", "person": "ann",
        "account": "a", "at": "2026-11-01T00:00:00Z", "outcome": "no_answer",
        "purpose": "survey", "technology": "manual" });
    let correction = json!({ "disposition": "busy", "reason": "r" });
    let correct = format!("/v1/attempts/{NOBODY}/correction");
    for (path, body, member) in [
        ("/v1/suppressions", &entry, "reason"),
        ("/v1/suppressions", &entry, "person"),
        ("/v1/suppressions", &entry, "number"),
        ("/v1/suppressions", &entry, "seller"),
        ("/v1/consents", &consent, "source"),
        ("/v1/consents", &consent, "person"),
        ("/v1/sellers", &json!({}), "name"),
        ("/v1/trunks", &trunk, "password"),
        ("/v1/campaigns", &settings(&seller, "x", &[]), "name"),
        ("/v1/campaigns", &settings(&seller, "x", &[]), "caller_id"),
        (correct.as_str(), &correction, "reason"),
    ] {
        let mut body = body.clone();
        body[member] = json!(CARD);
        refused(&format!("{path} {member}"), world.post(path, &body).await, member);
    }
    for member in ["person", "account"] {
        let mut item = earlier.clone();
        item[member] = json!(CARD);
        let said = world.post("/v1/earlier-attempts", &json!([earlier, item])).await;
        assert_eq!(said.1["faults"][0]["line"], 2, "{}", said.1);
        refused(member, said, member);
    }
    // As the name of a member, as a number, in a list.
    let mut named = json!({ "name": "x" });
    named[NAME] = json!(1);
    refused("a member's name", world.post("/v1/sellers", &named).await, "body");
    let number = json!({ "name": 4_111_111_111_111_111_u64 });
    refused("a number", world.post("/v1/sellers", &number).await, "name");
    let mut listed = settings(&seller, "x", &[]);
    listed["announces"] = json!(["identity", CARD]);
    refused("a list", world.post("/v1/campaigns", &listed).await, "announces[1]");
    let card = CARD.replace(' ', "%20");
    for (path, field) in [
        (format!("/v1/eligibility?campaign={campaign}&person={card}"), "person"),
        (format!("/v1/campaigns/{campaign}/contacts?cause={card}"), "cause"),
        (format!("/v1/attempts?{NAME}=1"), "query"),
        (format!("/v1/campaigns/{card}"), "id"),
    ] {
        refused(&path, world.get(&path).await, field);
    }
    for (table, count) in [
        ("person", 0),
        ("suppression_event", 0),
        ("consent_event", 0),
        ("trunk", 0),
        ("earlier_contact", 0),
        ("seller", 1),
        ("campaign", 1),
    ] {
        let kept: i64 = world.sql(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(kept, count, "{table}");
    }
}

#[tokio::test]
async fn a_row_with_a_card_number_is_left_out_and_the_others_are_kept() {
    let world = World::start().await;
    let seller = world.seller("acme").await;
    let columns = "seller,number,person,account,at,outcome,purpose,technology";
    let rest = "2026-11-01T00:00:00Z,no_answer,survey,manual";
    let csv = format!(
        "{columns}\n{seller},+13055550101,{CARD},,{rest}\n{seller},+13055550101,ann,{CARD},{rest}\n\
         {seller},+13055550101,ann,a,{rest}\n{seller},+13055550101,,,{CARD},no_answer,survey,manual\n"
    );
    let (status, report) = world.csv("/v1/earlier-attempts", csv).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    assert_eq!((&report["recorded"], &report["rejected"]), (&json!(1), &json!(3)), "{report}");
    let fields: Vec<_> =
        report["faults"].as_array().unwrap().iter().map(|it| &it["field"]).collect();
    assert_eq!(fields, ["person", "account", "at"], "{report}");
    assert!(!report.to_string().contains("1111"), "{report}");
    let csv = format!("attempt,disposition,reason\n{NOBODY},busy,{CARD}\n{CARD},busy,x\n");
    let (status, report) = world.csv("/v1/corrections", csv).await;
    assert_eq!((status, &report["rejected"]), (StatusCode::OK, &json!(2)), "{report}");
    assert!(!report.to_string().contains("1111"), "{report}");
    let reason = report["faults"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("nothing of the row was kept"), "{report}");
    for path in ["/v1/earlier-attempts", "/v1/corrections"] {
        let (status, problem) = world.csv(path, format!("{NAME},number\nx,y\n")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert!(!problem.to_string().contains("1111"), "{problem}");
    }
}

#[tokio::test]
async fn a_telephone_number_in_a_reason_or_source_is_refused_however_it_is_written() {
    let world = World::start().await;
    let seller = world.seller("acme").await;
    let correct = format!("/v1/attempts/{NOBODY}/correction");
    for (text, status) in [
        ("call (305) 555-0123", StatusCode::UNPROCESSABLE_ENTITY),
        ("305-555-0123", StatusCode::UNPROCESSABLE_ENTITY),
        ("from 305.555.0123", StatusCode::UNPROCESSABLE_ENTITY),
        ("3055550123", StatusCode::UNPROCESSABLE_ENTITY),
        ("+1 305 555 0123", StatusCode::UNPROCESSABLE_ENTITY),
        ("ticket 123456789 of 2026-11-24 14:05", StatusCode::OK),
    ] {
        let entry = json!({ "number": "+13055550101", "reason": text });
        assert_eq!(world.post("/v1/suppressions", &entry).await.0, status, "{text}");
        let consent = json!({ "seller": seller, "person": "ann", "kind": "grant",
            "form": "opt_in", "purpose": "survey", "source": text });
        assert_eq!(world.post("/v1/consents", &consent).await.0, status, "{text}");
        let correction = json!({ "disposition": "busy", "reason": text });
        let wanted = if status == StatusCode::OK { StatusCode::NOT_FOUND } else { status };
        assert_eq!(world.post(&correct, &correction).await.0, wanted, "{text}");
    }
}
