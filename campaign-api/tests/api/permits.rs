//! The gate as a service: what is permitted holds, what is not is on record, and nothing is tried twice.

use std::{fmt::Write as _, time::Duration};

use dialer_audit::Row;
use reqwest::{Method, StatusCode};
use schema::testing::{PostgresOptions, PrivatePostgres};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    attempts::signed,
    opt_outs::heads,
    people::People,
    world::{World, settings},
};

/// A campaign that is called by permits, with these people: id and number of each.
pub(crate) async fn campaign(people: &People, name: &str, persons: &[(&str, &str)]) -> String {
    campaign_for(people, name, ("informational", "prior_express"), persons).await
}

/// For a purpose, with consents of this form.
async fn campaign_for(
    people: &People,
    name: &str,
    (purpose, form): (&str, &str),
    persons: &[(&str, &str)],
) -> String {
    let mut terms = settings(&people.seller, name, &[]);
    for (field, value) in [
        ("purpose", json!(purpose)),
        ("technology", json!("manual")),
        ("dialed_by", json!("permits")),
        ("prompt", json!("")),
        ("announces", json!(["identity", "purpose_statement", "callback_number"])),
    ] {
        terms[field] = value;
    }
    let (status, campaign) = people.world.post("/v1/campaigns", &terms).await;
    assert_eq!(status, StatusCode::CREATED, "{campaign}");
    let id = campaign["id"].as_str().unwrap().to_owned();
    let mut csv = String::from(
        "external_id,phone_1,line_1,country,region,time_zone,consent_form,consent_purpose,consent_at\n",
    );
    for (person, number) in persons {
        let (region, zone) = if number.starts_with("+1808") {
            ("HI", "Pacific/Honolulu")
        } else {
            ("FL", "America/New_York")
        };
        writeln!(
            csv,
            "{person},{number},landline,US,{region},{zone},{form},{purpose},2026-11-01T00:00:00Z"
        )
        .unwrap();
    }
    let path = format!("/v1/campaigns/{id}/lists?name=all");
    let (status, list) = people.world.csv(&path, csv).await;
    assert_eq!((status, &list["imported"]), (StatusCode::CREATED, &json!(persons.len())), "{list}");
    let (status, started) =
        people.world.post(&format!("/v1/campaigns/{id}/start"), &json!({})).await;
    assert_eq!((status, &started["stalled"]), (StatusCode::OK, &json!(null)), "{started}");
    id
}

/// Asks as the other dialer does.
pub(crate) async fn ask(world: &World, wish: Value) -> (StatusCode, Value) {
    let request = world.request(Some("dialer"), Method::POST, "/v1/permits");
    let response = request.json(&wish).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

pub(crate) async fn permit(world: &World, campaign: &str, person: &str) -> Value {
    let (status, permit) = ask(world, json!({ "campaign": campaign, "person": person })).await;
    assert_eq!(status, StatusCode::CREATED, "{permit}");
    permit
}

pub(crate) async fn tell(world: &World, permit: &Value, outcome: Value) -> (StatusCode, Value) {
    let path = format!("/v1/permits/{}/outcome", permit["id"].as_str().unwrap());
    let response =
        world.request(Some("dialer"), Method::POST, &path).json(&outcome).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

pub(crate) async fn look(world: &World, permit: &Value) -> Value {
    let path = format!("/v1/permits/{}", permit["id"].as_str().unwrap());
    let response = world.request(Some("dialer"), Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

pub(crate) async fn contact(world: &World, person: &str) -> (i16, i16, i16, bool, Option<String>) {
    let of = format!(
        "FROM contact c JOIN person p ON p.subject_id = c.person_subject WHERE p.external_id = '{person}'"
    );
    let state = world.sql(&format!("SELECT c.state {of}")).await;
    let try_no = world.sql(&format!("SELECT c.try_no {of}")).await;
    let made = world.sql(&format!("SELECT c.made {of}")).await;
    let due = world
        .sql(&format!("SELECT EXISTS (SELECT FROM due d WHERE d.contact_id = c.id) {of}"))
        .await;
    let finished = world.sql(&format!("SELECT c.finished {of}")).await;
    (state, try_no, made, due, finished)
}

/// Keeps permits as the process does, until it is dropped.
pub(crate) fn keep(world: &World) -> JoinSet<()> {
    let app = std::sync::Arc::clone(&world.app);
    let mut kept = JoinSet::new();
    kept.spawn(async move { app.keep_permits(CancellationToken::new()).await });
    kept
}

/// The whole export, verified: placements, sent, not sent.
async fn verified(world: &World) -> (u64, u64, u64) {
    signed(world).await;
    let key = world.text("/v1/audit/key").await.trim().parse().unwrap();
    let note = world.text("/v1/audit/checkpoint").await;
    let export = world.text("/v1/audit/export?format=jsonl").await;
    let rows = export.lines().map(|line| Row::Json(line.to_owned()));
    let counts = dialer_audit::verify(rows, &note, &key).unwrap().counts;
    (counts.placements, counts.sent, counts.not_sent)
}

#[tokio::test]
async fn a_permit_is_given_confirmed_and_ended_and_its_audit_verifies() {
    let people = People::start("permit-way").await;
    let world = &people.world;
    let id = campaign(&people, "way", &[("p1", "+13055550101"), ("p2", "+13055550102")]).await;
    let peek = json!({ "campaign": id, "person": "p1" });
    let request = world.request(Some("dialer"), Method::POST, "/v1/eligibility:check").json(&peek);
    let peeked: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(peeked["verdict"], "permit", "{peeked}");

    let given = permit(world, &id, "p1").await;
    assert_eq!(
        (&given["number"], &given["state"]),
        (&json!("+13055550101"), &json!("open")),
        "{given}"
    );
    assert_eq!(given["revoked"], json!(null), "{given}");
    let call_id = format!("{}@ringfence", given["id"].as_str().unwrap());
    assert_eq!(given["call_id"], json!(call_id));
    let life = "SELECT max(not_after - at) FROM placement WHERE trunk_id = '00000000-0000-0000-0000-000000000000'";
    assert_eq!(world.sql::<i64>(life).await, 5_000, "the permit of a dialer of ours lives as long");
    assert_eq!(contact(world, "p1").await, (3, 1, 0, false, None), "nobody else can take it");
    let (status, problem) = ask(world, json!({ "campaign": id, "person": "p1" })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("contact_under_way")),
        "{problem}"
    );

    for _ in 0..2 {
        let (status, confirmed) = tell(world, &given, json!({ "disposition": "sent" })).await;
        assert_eq!(
            (status, &confirmed["state"]),
            (StatusCode::OK, &json!("confirmed")),
            "{confirmed}"
        );
    }
    let (status, problem) = tell(world, &given, json!({ "disposition": "not_sent" })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("permit_confirmed")),
        "{problem}"
    );
    let busy = json!({ "disposition": "busy", "sip_code": 486, "ring_ms": 1200 });
    for _ in 0..2 {
        let (status, ended) = tell(world, &given, busy.clone()).await;
        assert_eq!(status, StatusCode::OK, "{ended}");
        assert_eq!(
            (&ended["state"], &ended["disposition"]),
            (&json!("ended"), &json!("busy")),
            "{ended}"
        );
    }
    let (status, problem) = tell(world, &given, json!({ "disposition": "answered" })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("other_outcome")),
        "{problem}"
    );
    assert_eq!(contact(world, "p1").await, (2, 2, 1, true, None), "due again, by the retry rule");
    let (status, problem) = ask(world, json!({ "campaign": id, "person": "p1" })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("not_due")), "{problem}");

    let attempt = given["attempt"].as_str().unwrap();
    let (_, detail) = world.get(&format!("/v1/attempts/{attempt}")).await;
    let placement = &detail["placements"][0];
    assert_eq!((&placement["trunk"], &placement["id"]), (&json!(null), &given["id"]), "{detail}");
    assert_eq!(placement["outcomes"][0]["sip_code"], 486, "{detail}");
    let story = world.text(&format!("/v1/attempts/{attempt}/story")).await;
    assert!(story.contains("INVITE sent") && !story.contains("3055550101"), "{story}");

    let unsent = permit(world, &id, "p2").await;
    assert_eq!(tell(world, &unsent, json!({ "disposition": "not_sent" })).await.0, StatusCode::OK);
    assert_eq!(verified(world).await, (2, 1, 1));
}

#[tokio::test]
async fn a_denial_says_why_and_when_and_is_on_record_before_it_is_answered() {
    let people = People::start("permit-denied").await;
    let world = &people.world;
    let telemarketing = ("telemarketing", "prior_express_written");
    let persons = [("early", "+18085550101"), ("out", "+13055550102")];
    let id = campaign_for(&people, "denied", telemarketing, &persons).await;
    let asked = world.request(Some("dialer"), Method::POST, "/v1/permits");
    let asked = asked.json(&json!({ "campaign": id, "person": "early" })).send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::CONFLICT);
    let wait: u64 = asked.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let denial: Value = asked.json().await.unwrap();
    assert_eq!(
        (&denial["code"], &denial["verdict"]),
        (&json!("denied"), &json!("defer")),
        "{denial}"
    );
    assert!((3_600..6 * 3_600).contains(&wait), "05:00 in Honolulu: {wait} {denial}");
    assert!(denial["numbers"][0]["reasons"][0]["citation"].is_string(), "{denial}");
    assert!(!denial.to_string().contains("8085550101"), "masked: {denial}");
    let (state, try_no, made, due, _) = contact(world, "early").await;
    assert_eq!((state, try_no, made, due), (2, 1, 0, true), "it waits for the morning");

    let out = json!({ "number": "+13055550102", "reason": "asked" });
    assert_eq!(world.post("/v1/suppressions", &out).await.0, StatusCode::OK);
    let (status, denial) = ask(world, json!({ "campaign": id, "person": "out" })).await;
    assert_eq!((status, &denial["verdict"]), (StatusCode::CONFLICT, &json!("refuse")), "{denial}");
    assert_eq!(contact(world, "out").await.0, 4, "parked");
    // Who asks again is judged again: the wait of a rule is no wait of the campaign.
    let (_, denial) = ask(world, json!({ "campaign": id, "person": "early" })).await;
    assert_eq!(denial["code"], "denied", "{denial}");
    let decisions = "SELECT count(*) FROM decision d JOIN audit_entry e ON e.id = d.entry_id
                     WHERE d.verdict <> 'permit'";
    assert_eq!(world.sql::<i64>(decisions).await, 3);
    for table in ["placement", "permit", "attempt"] {
        let count = world.sql::<i64>(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(count, 0, "{table}");
    }
}

#[tokio::test]
async fn of_many_who_ask_for_one_number_at_once_no_more_get_a_permit_than_the_rules_let_call() {
    let people = People::start("permit-cap").await;
    let world = &people.world;
    let names: Vec<String> = (0..12).map(|n| format!("h{n}")).collect();
    let household: Vec<_> = names.iter().map(|name| (name.as_str(), "+13055550101")).collect();
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        ids.push(campaign(&people, name, &household).await);
    }
    let wishes = ids.iter().flat_map(|id| names.iter().map(move |name| (id, name)));
    let asked = wishes.map(|(id, name)| async move {
        for _ in 0..20 {
            let (status, body) = ask(world, json!({ "campaign": id, "person": name })).await;
            let again = ["contended", "contact_under_way", "try_again", "not_due"];
            if !again.iter().any(|code| body["code"] == *code) {
                return (status, body);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never judged")
    });
    let answers = futures_util::future::join_all(asked).await;
    let given = answers.iter().filter(|(status, _)| *status == StatusCode::CREATED).count();
    // House rules: two hours apart on a number, whoever calls.
    assert_eq!(given, 1, "{answers:?}");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM placement").await, 1);
    for (_, head) in heads(world).await {
        assert!(head.entries().len() <= 1);
    }
}

#[tokio::test]
async fn what_was_not_sent_stops_counting_within_the_permits_life_and_counts_after_it() {
    let people = People::start("permit-unsent").await;
    let world = &people.world;
    let same = [("a", "+13055550101"), ("b", "+13055550101"), ("c", "+13055550101")];
    let id = campaign(&people, "unsent", &same).await;
    let given = permit(world, &id, "a").await;
    let (status, denial) = ask(world, json!({ "campaign": id, "person": "b" })).await;
    assert_eq!(
        (status, &denial["code"]),
        (StatusCode::CONFLICT, &json!("denied")),
        "it counts: {denial}"
    );
    for _ in 0..2 {
        let (status, told) = tell(world, &given, json!({ "disposition": "not_sent" })).await;
        assert_eq!((status, &told["disposition"]), (StatusCode::OK, &json!("not_sent")), "{told}");
    }
    assert_eq!(contact(world, "a").await, (2, 2, 0, true, None), "due at once, at the next try");
    let second = permit(world, &id, "b").await;
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    assert_eq!(look(world, &second).await["state"], "lapsed");
    for word in ["not_sent", "sent"] {
        let (status, problem) = tell(world, &second, json!({ "disposition": word })).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::CONFLICT, &json!("permit_lapsed")),
            "{problem}"
        );
    }
    let (status, denial) = ask(world, json!({ "campaign": id, "person": "c" })).await;
    assert_eq!((status, &denial["code"]), (StatusCode::CONFLICT, &json!("denied")), "{denial}");
}

#[tokio::test]
async fn a_permit_that_is_not_confirmed_in_its_life_is_closed_and_counts_as_made() {
    let people = People::start("permit-closed").await;
    let world = &people.world;
    let persons = [("a", "+13055550101"), ("b", "+13055550101"), ("s", "+13055550102")];
    let id = campaign(&people, "closed", &persons).await;
    let kept = keep(world);
    let given = permit(world, &id, "a").await;
    let confirmed = permit(world, &id, "s").await;
    assert_eq!(tell(world, &confirmed, json!({ "disposition": "sent" })).await.0, StatusCode::OK);
    tokio::time::sleep(Duration::from_secs(9)).await;
    let closed = look(world, &given).await;
    assert_eq!(
        (&closed["state"], &closed["disposition"]),
        (&json!("ended"), &json!("outcome_unknown")),
        "{closed}"
    );
    assert_eq!(look(world, &confirmed).await["state"], "confirmed", "a call may last");
    let (state, _, made, due, finished) = contact(world, "a").await;
    assert_eq!((state, made, due, finished.as_deref()), (5, 1, false, Some("outcome_unknown")));
    assert!(world.app.metrics.text().contains("ringfence_api_permits_closed_total 1"));
    let (_, denial) = ask(world, json!({ "campaign": id, "person": "b" })).await;
    assert_eq!(denial["code"], "denied", "{denial}");
    let (status, problem) = tell(world, &given, json!({ "disposition": "not_sent" })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("permit_lapsed")),
        "{problem}"
    );
    // What the owner knows after all corrects it, as the dialer's own late word does.
    let (status, told) = tell(world, &given, json!({ "disposition": "no_answer" })).await;
    assert_eq!((status, &told["disposition"]), (StatusCode::OK, &json!("no_answer")), "{told}");
    assert_eq!(verified(world).await.0, 2);
    drop(kept);
}

#[tokio::test]
async fn who_repeats_a_request_with_its_key_gets_the_same_permit_and_never_a_second_one() {
    let people = People::start("permit-key").await;
    let world = &people.world;
    let id = campaign(&people, "key", &[("a", "+13055550101"), ("b", "+13055550102")]).await;
    let wish = json!({ "campaign": id, "person": "a", "key": "k-1" });
    let all = (0..8).map(|_| ask(world, wish.clone()));
    let answers = futures_util::future::join_all(all).await;
    let permits: Vec<_> = answers.iter().filter(|(status, _)| status.is_success()).collect();
    assert!(permits.iter().all(|(_, permit)| permit["id"] == permits[0].1["id"]), "{answers:?}");
    assert_eq!(permits.iter().filter(|(status, _)| *status == StatusCode::CREATED).count(), 1);
    let (status, again) = ask(world, wish.clone()).await;
    assert_eq!((status, &again["id"]), (StatusCode::OK, &permits[0].1["id"]), "{again}");
    assert_eq!(again["obligations"], permits[0].1["obligations"]);
    assert_eq!(tell(world, &again, json!({ "disposition": "not_sent" })).await.0, StatusCode::OK);
    let (status, ended) = ask(world, wish).await;
    assert_eq!((status, &ended["state"]), (StatusCode::OK, &json!("ended")), "{ended}");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM placement").await, 1);
    let (status, problem) =
        ask(world, json!({ "campaign": id, "person": "b", "key": "k-1" })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("key_used")), "{problem}");
    // A key of one caller is nothing to another.
    let admin = json!({ "campaign": id, "person": "b", "key": "k-1" });
    let (status, other) = world.post("/v1/permits", &admin).await;
    assert_eq!(status, StatusCode::CREATED, "{other}");
    let path = format!("/v1/permits/{}", other["id"].as_str().unwrap());
    let seen = world.request(Some("dialer"), Method::GET, &path).send().await.unwrap();
    assert_eq!(seen.status(), StatusCode::NOT_FOUND, "another's permit");
}

#[tokio::test]
async fn without_redis_nothing_is_permitted_and_the_contact_is_due_as_before() {
    let mut people = People::start("permit-redis").await;
    let id = campaign(&people, "redis", &[("a", "+13055550101")]).await;
    people.world.redis.stop();
    let world = &people.world;
    let (status, problem) = ask(world, json!({ "campaign": id, "person": "a" })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("redis_unavailable")),
        "{problem}"
    );
    assert_eq!(contact(world, "a").await, (2, 1, 0, true, None));
    for table in ["placement", "permit"] {
        assert_eq!(world.sql::<i64>(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    people.world.redis.start_again().unwrap();
    let world = &people.world;
    for _ in 0..50 {
        let (status, _) = ask(world, json!({ "campaign": id, "person": "a" })).await;
        if status == StatusCode::CREATED {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no permit though Redis is back");
}

#[tokio::test]
async fn without_postgres_nothing_is_permitted_and_nothing_is_left_behind() {
    let mut postgres = PrivatePostgres::start(PostgresOptions::default()).unwrap();
    postgres.create_database("ringfence").unwrap();
    let urls = (postgres.app_url("ringfence"), postgres.owner_url("ringfence"));
    let world = World::on(urls, None).await;
    let people = People::around(world, "permit-postgres").await;
    let id = campaign(&people, "postgres", &[("a", "+13055550101")]).await;
    let given = permit(&people.world, &id, "a").await;
    postgres.stop(true);
    let (status, problem) = ask(&people.world, json!({ "campaign": id, "person": "a" })).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    let (status, problem) = tell(&people.world, &given, json!({ "disposition": "busy" })).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "never an empty success: {problem}");
    postgres.start_again().unwrap();
    let (status, told) = tell(&people.world, &given, json!({ "disposition": "busy" })).await;
    assert_eq!((status, &told["disposition"]), (StatusCode::OK, &json!("busy")), "{told}");
}
