//! The lawful road back: opt-outs of one purpose, and consents that lift what they name.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::people::People;

const LIST: &str = "external_id,phone_1,country,region\nann,+13055550101,US,FL\nben,+13055550102,US,FL\n\
                    cat,+13055550102,US,FL\n";

struct Road {
    people: People,
    /// Campaigns that deliver, and that sell.
    delivery: String,
    selling: String,
}

impl Road {
    async fn start(name: &str) -> Self {
        Self::with_house(name, "").await
    }

    async fn with_house(name: &str, house: &str) -> Self {
        let people = People::with_house(name, house).await;
        let trunk = people.world.trunk().await;
        let mut campaigns = Vec::new();
        for purpose in ["delivery", "telemarketing"] {
            let mut terms = crate::world::settings(&people.seller, purpose, &[&trunk]);
            terms["purpose"] = json!(purpose);
            terms["technology"] = json!("manual");
            terms["announces"] = json!(["identity", "purpose_statement", "callback_number"]);
            let (status, campaign) = people.world.post("/v1/campaigns", &terms).await;
            assert_eq!(status, StatusCode::CREATED, "{campaign}");
            let id = campaign["id"].as_str().unwrap().to_owned();
            let path = format!("/v1/campaigns/{id}/lists?name=l");
            let (status, list) = people.world.csv(&path, LIST).await;
            assert_eq!(status, StatusCode::CREATED, "{list}");
            campaigns.push(id);
        }
        let selling = campaigns.pop().unwrap();
        Self { people, delivery: campaigns.pop().unwrap(), selling }
    }

    async fn say_no(&self, body: Value) -> String {
        let (status, said) = self.people.world.post("/v1/suppressions", &body).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        said["event"].as_str().unwrap().to_owned()
    }

    async fn consent(&self, role: &str, change: Value) -> (StatusCode, Value) {
        let mut body = json!({ "seller": self.people.seller, "person": "ann", "kind": "grant",
            "form": "prior_express_written", "purpose": "delivery", "source": "file 12",
            "wording": "Call me about my parcel.", "channel": "web form" });
        for (member, value) in change.as_object().unwrap() {
            body[member] = value.clone();
        }
        let request = self.people.world.request(Some(role), Method::POST, "/v1/consents");
        let answer = request.json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Whether a do-not-call entry denies, and the answer about the first number.
    async fn barred(&self, campaign: &str, person: &str) -> (bool, Value) {
        let path = format!("/v1/eligibility?campaign={campaign}&person={person}");
        let (status, answer) = self.people.world.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let number = answer["numbers"][0].clone();
        let reasons = number["reasons"].as_array().unwrap();
        (reasons.iter().any(|reason| reason["waits_for"] == "suppression"), number)
    }

    async fn entries(&self, query: &str) -> Vec<Value> {
        let path = format!("/v1/suppressions?{query}");
        let (status, answer) = self.people.world.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["items"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn after_an_opt_out_of_marketing_service_calls_go_on_and_the_answer_says_so() {
    let road = Road::start("service-calls").await;
    let seller = &road.people.seller;
    road.say_no(json!({ "seller": seller, "person": "ann", "purpose": "telemarketing",
        "reason": "no more offers" }))
        .await;
    assert!(road.barred(&road.selling, "ann").await.0);
    let (barred, answer) = road.barred(&road.delivery, "ann").await;
    assert!(!barred && answer["verdict"] == "permit", "{answer}");
    assert_eq!(answer["entries_about_other_purposes"], 1, "{answer}");
    // Without a purpose it is about every call, and only its own end ends it.
    let all = json!({ "seller": seller, "person": "ann", "reason": "no more calls" });
    road.say_no(all).await;
    assert!(road.barred(&road.delivery, "ann").await.0);
    let lift = |purpose: Value| {
        json!({ "seller": seller, "person": "ann", "purpose": purpose,
            "reason": "asked back", "kind": "lift" })
    };
    road.say_no(lift(json!("telemarketing"))).await;
    assert!(road.barred(&road.delivery, "ann").await.0);
    road.say_no(lift(Value::Null)).await;
    for campaign in [&road.delivery, &road.selling] {
        assert!(!road.barred(campaign, "ann").await.0);
    }
    let told = road.entries(&format!("seller={seller}&person=ann")).await;
    let told: Vec<_> = told.iter().map(|it| (&it["kind"], &it["purpose"], &it["stands"])).collect();
    let (add, lift, selling) = (json!("add"), json!("lift"), json!("telemarketing"));
    let (none, no) = (Value::Null, json!(false));
    assert_eq!(
        told,
        [(&lift, &none, &no), (&lift, &selling, &no), (&add, &none, &no), (&add, &selling, &no)]
    );
    let unknown = json!({ "number": "+13055550199", "purpose": "selling", "reason": "x" });
    let (status, said) = road.people.world.post("/v1/suppressions", &unknown).await;
    assert_eq!(
        (status, &said["faults"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("purpose"))
    );
}

#[tokio::test]
async fn a_later_consent_lifts_what_it_names_for_its_calls_until_it_is_taken_back() {
    let road = Road::start("road-back").await;
    let (world, seller) = (&road.people.world, &road.people.seller);
    let entry =
        road.say_no(json!({ "seller": seller, "person": "ann", "reason": "no calls" })).await;
    let everywhere = road.say_no(json!({ "number": "+13055550101", "reason": "by letter" })).await;
    assert!(road.barred(&road.delivery, "ann").await.0);
    // A consent that names none lifts none, and says what stands.
    let (status, said) = road.consent("compliance", json!({})).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let note = said["note"].as_str().unwrap();
    assert!(note.contains(&entry) && note.contains(&everywhere), "{note}");
    assert!(road.barred(&road.delivery, "ann").await.0);
    // Parked as the gate parks it.
    world
        .execute(
            "WITH c AS (SELECT c.id, c.campaign_id FROM contact c
                        JOIN person p ON p.subject_id = c.person_subject
                        JOIN campaign a ON a.id = c.campaign_id
                        WHERE p.external_id = 'ann' AND a.purpose = (
                            SELECT purpose FROM campaign ORDER BY created_at LIMIT 1)),
                  p AS (UPDATE contact SET state = 4 FROM c WHERE contact.id = c.id)
             INSERT INTO parked (contact_id, campaign_id, cause, rules, since)
             SELECT id, campaign_id, 'suppression', '{}', 0 FROM c",
        )
        .await;
    let both = json!({ "lifts": [entry, everywhere] });
    let (status, said) = road.consent("campaign_manager", both.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
    let (status, said) = road.consent("compliance", both).await;
    assert_eq!((status, &said["note"]), (StatusCode::OK, &Value::Null), "{said}");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM parked").await, 0, "it is woken");
    let consent = said["event"].as_str().unwrap().to_owned();
    let (barred, answer) = road.barred(&road.delivery, "ann").await;
    assert!(!barred && answer["verdict"] == "permit", "{answer}");
    let lifted = |entry: &str| json!({ "suppression": entry, "consent": consent });
    assert_eq!(answer["lifted"], json!([lifted(&entry), lifted(&everywhere)]), "{answer}");
    // Exactly that: not for other purposes, not for others on the number.
    assert!(road.barred(&road.selling, "ann").await.0);
    let told = road.entries("number=%2B13055550101").await;
    assert_eq!(told.len(), 2, "the person's too: {told:?}");
    for item in &told {
        assert_eq!(item["stands"], true, "{item}");
        assert_eq!(item["lifted_by"][0]["consent"], json!(consent), "{item}");
        assert_eq!(item["lifted_by"][0]["valid"], true, "{item}");
    }
    let leaves = "SELECT count(*) FROM audit_entry WHERE kind = 7 AND leaf LIKE '%parcel%'";
    assert_eq!(world.sql::<i64>(leaves).await, 2, "the words are in the audit");
    // A new opt-out binds again; so does the old one when the consent is taken back.
    let again = road.say_no(json!({ "seller": seller, "person": "ann", "reason": "no!" })).await;
    assert!(road.barred(&road.delivery, "ann").await.0);
    let (status, _) = road.consent("compliance", json!({ "lifts": [again] })).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!road.barred(&road.delivery, "ann").await.0);
    let (status, _) = road.consent("campaign_manager", json!({ "kind": "revoke" })).await;
    assert_eq!(status, StatusCode::OK);
    assert!(road.barred(&road.delivery, "ann").await.0);
    let told = road.entries("number=%2B13055550101").await;
    assert!(told.iter().all(|item| item["lifted_by"][0]["valid"] == false), "{told:?}");
}

#[tokio::test]
async fn what_cannot_be_lifted_is_refused_with_the_entry_and_the_reason() {
    let road = Road::start("no-road").await;
    let (world, seller) = (&road.people.world, &road.people.seller);
    let other = world.seller("two").await;
    let entry =
        road.say_no(json!({ "seller": seller, "person": "ann", "reason": "no calls" })).await;
    let selling = road
        .say_no(
            json!({ "seller": seller, "person": "ann", "purpose": "telemarketing", "reason": "x" }),
        )
        .await;
    let others =
        road.say_no(json!({ "seller": other, "number": "+13055550101", "reason": "x" })).await;
    // Ben and Cat share a number: what Cat said is not for Ben to take back.
    let cat = road.say_no(json!({ "seller": seller, "person": "cat", "reason": "x" })).await;
    assert!(road.barred(&road.delivery, "ben").await.0);
    for (change, field, reason) in [
        (json!({ "lifts": [entry], "wording": null }), "wording", "keeps the words"),
        (json!({ "lifts": [entry], "wording": " " }), "wording", "must not be empty"),
        (json!({ "lifts": [entry], "wording": "call +1 305 555 0101" }), "wording", "number"),
        (json!({ "lifts": [entry], "kind": "revoke" }), "lifts", "a revocation lifts nothing"),
        (json!({ "lifts": [entry, selling] }), "lifts[1]", "is about calls for telemarketing"),
        (json!({ "lifts": [others] }), "lifts[0]", "no do-not-call entry that stands"),
        (json!({ "lifts": [cat] }), "lifts[0]", "no do-not-call entry that stands"),
        (json!({ "lifts": [cat], "person": "ben" }), "lifts[0]", "no do-not-call entry that"),
        (json!({ "lifts": ["01JZZZZZZZZZZZZZZZZZZZZZZZ"] }), "lifts[0]", "no do-not-call entry"),
        (json!({ "lifts": ["entry 7"] }), "lifts[0]", "not an id"),
        (json!({ "lifts": vec![&entry; 21] }), "lifts", "more than 20"),
        (
            json!({ "lifts": [entry], "at": "2026-11-01T00:00:00Z" }),
            "lifts[0]",
            "made later than the consent",
        ),
    ] {
        let (status, said) = road.consent("compliance", change.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{change}: {said}");
        assert_eq!(said["faults"][0]["field"], field, "{change}: {said}");
        let told = said["faults"][0]["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{change}: {told}");
    }
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM consent_event").await, 0);
    for (query, field) in
        [("", "number"), ("number=%2B13055550101&person=ann", "number"), ("person=ann", "seller")]
    {
        let (status, said) = world.get(&format!("/v1/suppressions?{query}")).await;
        assert_eq!(
            (status, &said["faults"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{said}"
        );
    }
    let path = format!("/v1/suppressions?seller={seller}&person=nobody");
    assert_eq!(world.get(&path).await.0, StatusCode::NOT_FOUND);
    assert!(road.entries("number=%2B13055550999").await.is_empty());
}

/// This deployment relies on an exception in law.
const EXCEPTION: &str = "[[exception]]\nrule = \"us.fcc.internal_dnc\"\noff = true\n\
    relies_on = \"Act 1, section 2\"\nreason = \"licensed\"\nby = \"Jane Roe\"\n\
    second_person = \"John Doe\"\nfrom = \"2026-01-01\"\n";

#[tokio::test]
async fn an_exception_without_which_a_rule_would_deny_is_told_and_lifts_no_entry() {
    let road = Road::with_house("excepted", EXCEPTION).await;
    let (_, answer) = road.barred(&road.selling, "ann").await;
    assert_eq!(answer["exceptions"], json!([]), "{answer}");
    road.say_no(json!({ "number": "+13055550101", "reason": "asked" })).await;
    let (barred, answer) = road.barred(&road.selling, "ann").await;
    let named = json!([{ "rule": "us.fcc.internal_dnc", "relies_on": "Act 1, section 2" }]);
    assert_eq!(answer["exceptions"], named, "{answer}");
    assert!(barred, "the house's own rule reports the entry then: {answer}");
}
