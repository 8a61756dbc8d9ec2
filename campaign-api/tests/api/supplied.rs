//! Facts that somebody looked up, wrote down or counted: what they move, wake and change, and what of
//! them is refused.

use dialer_types::SubjectId;
use futures_util::StreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    opt_outs::{heads, told},
    people::{CAMPAIGNS, People},
    world::World,
};

const CSV: &str = "external_id,phone_1,phone_2\nann,+13055550101,+13055550102\nben,+13055550103,\n";

async fn seller_with_list(world: &World) -> (String, String) {
    let (seller, trunk) = (world.seller("one").await, world.trunk().await);
    let campaign = world.campaign(&seller, "c", &[&trunk]).await;
    let (status, list) = world.csv(&format!("/v1/campaigns/{campaign}/lists?name=l"), CSV).await;
    assert_eq!(status, StatusCode::CREATED, "{list}");
    world.execute("UPDATE campaign SET status = 'running'").await;
    (seller, campaign)
}

/// Parks every contact under a cause, as a dialer does.
async fn park(world: &World, cause: &str) {
    world
        .execute(&format!(
            "DELETE FROM due; DELETE FROM parked; UPDATE contact SET state = 4;
             INSERT INTO parked SELECT id, campaign_id, '{cause}', '{{x}}', 1000 FROM contact"
        ))
        .await;
}

/// The tokens of the heads of these subjects.
async fn tokens(world: &World, subjects: &Value) -> Vec<u128> {
    let all = heads(world).await;
    let of = |id: &Value| {
        let place = usize::try_from(id.as_i64().unwrap()).unwrap() - 1;
        all[place].1.token().0
    };
    subjects.as_array().unwrap().iter().map(of).collect()
}

fn fields(problem: &Value) -> Vec<&str> {
    let faults = problem["faults"].as_array().unwrap().iter();
    faults.map(|fault| fault["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn wishes_move_the_heads_of_the_person_wake_the_contact_and_tell_the_dialers() {
    let world = World::start().await;
    let (seller, _) = seller_with_list(&world).await;
    park(&world, "wishes").await;
    let wish = |blocked: Value| json!({ "seller": seller, "person": "ann", "blocked": blocked, "source": "call of today" });
    let (status, said) =
        world.post("/v1/wishes", &wish(json!(["sun", "daily 22:00-08:00", "2026-12-24"]))).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    assert_eq!(
        (&said["woken"], said["subjects"].as_array().unwrap().len()),
        (&json!(1), 3),
        "{said}"
    );
    let tokens = tokens(&world, &said["subjects"]).await;
    let event: dialer_types::PlacementId = said["event"].as_str().unwrap().parse().unwrap();
    assert_eq!(tokens, [event.0; 3], "a judgement made before no longer commits");
    assert_eq!(told(&world).await, [(said["subjects"].clone(), 1, None)], "stricter");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM parked").await, 1, "ben still waits");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM audit_entry WHERE kind = 13").await, 1);

    // Looser: nobody is told to stop anything.
    let (_, said) = world.post("/v1/wishes", &wish(json!(["sun"]))).await;
    assert!(said["notes"].as_array().unwrap().is_empty(), "{said}");
    let (_, marker) = world.post("/v1/wishes", &wish(json!(["always"]))).await;
    assert!(marker["notes"].to_string().contains("/v1/suppressions"), "{marker}");
    let heard = told(&world).await;
    assert_eq!(heard.len(), 2, "the stricter ones: {heard:?}");
    assert_eq!(heard[1].0, marker["subjects"]);

    let (status, all) = world.get(&format!("/v1/wishes?seller={seller}&person=ann")).await;
    assert_eq!(status, StatusCode::OK, "{all}");
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 3, "{all}");
    assert_eq!((&items[0]["blocked"], &items[0]["holds"]), (&json!(["always"]), &json!(true)));
    let first = json!(["sun 00:00-24:00", "daily 22:00-24:00", "daily 00:00-08:00", "2026-12-24"]);
    assert_eq!((&items[2]["blocked"], &items[2]["holds"]), (&first, &json!(false)), "{all}");

    // What was said earlier is kept, and what was said last holds.
    let mut earlier = wish(json!([]));
    earlier["at"] = json!("2020-01-01T00:00:00Z");
    let (_, said) = world.post("/v1/wishes", &earlier).await;
    assert!(said["notes"].to_string().contains("later"), "{said}");
    let (_, all) = world.get(&format!("/v1/wishes?seller={seller}&person=ann")).await;
    assert_eq!(all["items"][0]["blocked"], json!(["always"]), "{all}");
    let nobody = json!({ "seller": seller, "person": "anne", "blocked": [], "source": "x" });
    let (_, said) = world.post("/v1/wishes", &nobody).await;
    assert!(said["notes"].to_string().contains("check the id"), "{said}");
}

#[tokio::test]
async fn wishes_defer_refuse_and_permit_and_who_was_deferred_is_judged_again() {
    let people = People::start("wishes").await;
    let trunk = people.world.trunk().await;
    // The shipped packs heed wishes of debtors.
    let (campaign, _) = people.campaign(CAMPAIGNS[2], &trunk).await;
    let world = &people.world;
    world.execute("UPDATE campaign SET status = 'running'").await;
    let ask =
        || async { world.get(&format!("/v1/eligibility?campaign={campaign}&person=p0")).await.1 };
    let wish = async |blocked: Value| {
        let said =
            json!({ "seller": people.seller, "person": "p0", "blocked": blocked, "source": "x" });
        let (status, said) = world.post("/v1/wishes", &said).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        said
    };
    let before = ask().await;
    assert_eq!(before["verdict"], "permit", "{before}");
    let duty = |answer: &Value| answer["numbers"][0]["obligations"].to_string();
    assert!(duty(&before).contains("us.regf.preferences"), "unknown is a duty: {before}");
    // A Tuesday, 10:00 in New York and 09:00 in other zones of the number.
    wish(json!(["tue 06:00-11:30"])).await;
    let answer = ask().await;
    assert_eq!(answer["verdict"], "defer", "{answer}");
    let sentence = answer["numbers"][0]["reasons"][0]["sentence"].as_str().unwrap();
    assert!(sentence.contains("asked not to be called"), "{answer}");
    let due =
        "UPDATE contact SET state = 2; INSERT INTO due (contact_id, campaign_id, due_at, because)
         SELECT c.id, c.campaign_id, 1899999999999, CASE p.external_id WHEN 'p0'
             THEN 'us.regf.preferences' ELSE 'busy' END
         FROM contact c JOIN person p ON p.subject_id = c.person_subject ON CONFLICT DO NOTHING";
    world.execute(due).await;
    let said = wish(json!([])).await;
    assert_eq!(said["woken"], 1, "{said}");
    let late = "SELECT count(*) FROM due WHERE due_at < 1899999999999";
    assert_eq!(world.sql::<i64>(late).await, 1, "others wait on");
    let answer = ask().await;
    assert_eq!(answer["verdict"], "permit", "{answer}");
    assert!(!duty(&answer).contains("us.regf.preferences"), "known: {answer}");
    wish(json!(["always"])).await;
    let answer = ask().await;
    assert_eq!(answer["verdict"], "refuse", "{answer}");
    assert_eq!(answer["numbers"][0]["reasons"][0]["waits_for"], "wishes", "{answer}");
}

#[tokio::test]
async fn look_ups_move_the_head_of_the_number_and_the_newest_answer_counts() {
    let world = World::start().await;
    let (seller, campaign) = seller_with_list(&world).await;
    let other = world.seller("two").await;
    let check = async |rest: Value| {
        let mut body =
            json!({ "number": "+13055550103", "source": "file of today", "as_of": "2026-01-01" });
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let (status, said) = world.post("/v1/number-checks", &body).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        said
    };
    park(&world, "check:us.rnd").await;
    let said = check(json!({ "seller": seller, "database": "us.rnd", "reassigned": "no" })).await;
    assert_eq!((&said["woken"], &said["notes"]), (&json!(1), &json!([])), "{said}");
    let event: dialer_types::PlacementId = said["event"].as_str().unwrap().parse().unwrap();
    assert_eq!(tokens(&world, &said["subjects"]).await, [event.0]);
    park(&world, "contact").await;
    let yes = json!({ "seller": seller, "database": "us.rnd", "reassigned": "yes", "as_of": "2026-02-01" });
    let yes = check(yes).await;
    assert_eq!(yes["woken"], 1, "{yes}");
    assert_eq!(told(&world).await, [(yes["subjects"].clone(), 1, None)]);
    // An answer about another seller's consent says nothing of this one's; the line is everybody's.
    check(
        json!({ "seller": other, "database": "us.rnd", "reassigned": "no", "as_of": "2026-03-01" }),
    )
    .await;
    check(json!({ "database": "line", "line_type": "wireless", "as_of": "2026-03-02" })).await;
    let unasked =
        check(json!({ "seller": seller, "database": "us.rmd", "reassigned": "no" })).await;
    assert!(unasked["notes"].to_string().contains("us.rmd"), "{unasked}");

    let path = format!("/v1/number-checks?number=%2B13055550103&seller={seller}");
    let (status, all) = world.get(&path).await;
    assert_eq!(status, StatusCode::OK, "{all}");
    let answers: Vec<(&str, &str)> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["database"].as_str().unwrap(), item["as_of"].as_str().unwrap()))
        .collect();
    let expected = [
        ("line", "2026-03-02"),
        ("us.rnd", "2026-02-01"),
        ("us.rmd", "2026-01-01"),
        ("us.rnd", "2026-01-01"),
    ];
    assert_eq!(answers, expected, "{all}");
    assert!(!all.to_string().contains("5550103"), "{all}");

    let facts = async |campaign: &str| {
        let mut connection = world.app.pool.acquire().await.unwrap();
        let subject = SubjectId(yes["subjects"][0].as_i64().unwrap());
        let id: dialer_types::CampaignId = campaign.parse().unwrap();
        let of: uuid::Uuid = sqlx::query_scalar("SELECT seller_id FROM campaign WHERE id = $1")
            .bind(uuid::Uuid::from_u128(id.0))
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        dialer_facts::supplied(&mut connection, SubjectId(0), subject, id, of).await.unwrap().1
    };
    let ours = facts(&campaign).await;
    let days: Vec<String> = ours.reassignment.iter().map(|it| it.as_of.to_string()).collect();
    assert_eq!(days, ["2026-02-01", "2026-01-01"], "the newest of each database: {ours:?}");
    assert_eq!(ours.line.unwrap().line, dialer_types::LineType::Wireless);
    let trunk = world.sql::<uuid::Uuid>("SELECT id FROM trunk").await;
    let trunk = dialer_types::TrunkId(trunk.as_u128()).to_string();
    let theirs = facts(&world.campaign(&other, "d", &[&trunk]).await).await;
    assert_eq!(theirs.reassignment.len(), 1, "{theirs:?}");
}

#[tokio::test]
async fn licences_cover_a_seller_a_campaign_or_a_script_and_what_is_withdrawn_holds_no_more() {
    let world = World::start().await;
    let (seller, campaign) = seller_with_list(&world).await;
    let client = redis::Client::open(world.redis.url()).unwrap();
    let mut heard = client.get_async_pubsub().await.unwrap();
    heard.subscribe("rf:campaign").await.unwrap();
    let licence = async |rest: Value| {
        let mut body = json!({ "seller": seller, "licence": "bond", "source": "register 7" });
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        world.post("/v1/licences", &body).await
    };
    let held = async || {
        let mut connection = world.app.pool.acquire().await.unwrap();
        let id: dialer_types::CampaignId = campaign.parse().unwrap();
        let of = world.sql::<uuid::Uuid>("SELECT seller_id FROM campaign").await;
        let (nobody, none) = (SubjectId(0), SubjectId(0));
        let read = dialer_facts::supplied(&mut connection, nobody, none, id, of).await;
        let all: Vec<(String, Option<String>)> = read
            .unwrap()
            .0
            .licences
            .iter()
            .map(|it| (it.id.to_string(), it.until.map(|day| day.to_string())))
            .collect();
        all
    };
    park(&world, "licence:bond").await;
    let (status, said) = licence(json!({ "until": "2027-01-31" })).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    assert_eq!(said["waiting"], 2, "{said}");
    assert!(said["notes"].to_string().contains("no rule"), "{said}");
    licence(json!({ "licence": "script_approved", "script": "offer.wav" })).await;
    let (_, said) = licence(json!({ "licence": "script_approved", "script": "offfer.wav" })).await;
    assert!(said["notes"].to_string().contains("no campaign of this seller"), "{said}");
    licence(json!({ "licence": "script_approved", "campaign": campaign })).await;
    let day = |text: &str| Some(text.to_owned());
    let bond = |until| ("bond".to_owned(), until);
    let script = ("script_approved".to_owned(), None);
    assert_eq!(held().await, [bond(day("2027-01-31")), script.clone(), script.clone()]);

    let (status, said) = licence(json!({ "kind": "withdraw" })).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let message = heard.on_message().next().await.unwrap();
    assert!(String::from_utf8_lossy(message.get_payload_bytes()).contains(&campaign));
    let now = held().await;
    assert!(now[0].1.as_ref().unwrap().starts_with('-'), "never again, and on record: {now:?}");
    assert_eq!(now[1..], [script.clone(), script.clone()]);
    let (status, problem) = licence(json!({ "kind": "withdraw" })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("licence_not_on_record")),
        "{problem}"
    );
    let (_, all) = world.get(&format!("/v1/licences?seller={seller}")).await;
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 4, "{all}");
    assert_eq!((&items[3]["licence"], &items[3]["until"]), (&json!("bond"), &json!("2027-01-31")));
    assert!(items[3]["withdrawn_at"].is_string() && items[0]["withdrawn_at"].is_null(), "{all}");
    let other = world.seller("two").await;
    let (status, problem) = licence(json!({ "seller": other, "campaign": campaign })).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
}

#[tokio::test]
async fn of_counts_the_latest_holds() {
    let world = World::start().await;
    let (seller, _) = seller_with_list(&world).await;
    park(&world, "counter:br.short_calls").await;
    let count = async |count: i64, as_of: &str| {
        let body = json!({ "seller": seller, "counter": "br.short_calls", "count": count,
            "as_of": as_of, "resets_at": "2026-06-02T03:00:00Z", "source": "carrier" });
        let (status, said) = world.post("/v1/counters", &body).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        said
    };
    let said = count(5, "2026-06-01T12:00:00Z").await;
    assert_eq!((&said["waiting"], &said["notes"]), (&json!(2), &json!([])), "{said}");
    count(6, "2026-06-01T12:01:00Z").await;
    let said = count(1, "2026-06-01T11:00:00Z").await;
    assert!(said["notes"].to_string().contains("later"), "{said}");
    let (_, all) = world.get(&format!("/v1/counters?seller={seller}")).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(all["items"][0]["count"], 6, "{all}");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM counter_event").await, 3);
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_field_and_what_to_do() {
    let world = World::start().await;
    let (seller, _) = seller_with_list(&world).await;
    let cases = [
        (
            "/v1/wishes",
            json!({ "seller": seller, "person": " ", "blocked": ["mon 9-17", "2026-12-26..2026-12-24"],
                    "at": "2199-01-01T00:00:00Z", "source": "call +13055550199" }),
            vec!["person", "source", "at", "blocked[0]", "blocked[1]"],
        ),
        (
            "/v1/wishes",
            json!({ "seller": seller, "person": "ann", "blocked": vec!["sun"; 101], "source": "x" }),
            vec!["blocked"],
        ),
        (
            "/v1/number-checks",
            json!({ "number": "555", "database": "us rnd", "as_of": "yesterday", "source": "" }),
            vec!["number", "database", "source", "as_of", "seller", "reassigned"],
        ),
        (
            "/v1/number-checks",
            json!({ "number": "+13055550103", "database": "line", "as_of": "2190-01-01",
                    "reassigned": "no", "line_type": "satellite", "line_class": "odd", "source": "x" }),
            vec!["as_of", "reassigned", "line_type", "line_class"],
        ),
        (
            "/v1/number-checks",
            json!({ "number": "+13055550103", "seller": seller, "database": "us.rnd",
                    "as_of": "2026-01-01", "reassigned": "no", "line_type": "landline", "source": "x" }),
            vec!["line_type"],
        ),
        (
            "/v1/licences",
            json!({ "seller": seller, "licence": "", "from": "2026-02-01", "until": "2026-01-01",
                    "campaign": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "script": "a.wav", "source": "x" }),
            vec!["licence", "script", "until"],
        ),
        (
            "/v1/licences",
            json!({ "seller": seller, "licence": "bond", "kind": "withdraw", "until": "2026-01-01",
                    "source": "x" }),
            vec!["until"],
        ),
        (
            "/v1/counters",
            json!({ "seller": seller, "counter": "c", "count": -1, "as_of": "2199-01-01T00:00:00Z",
                    "resets_at": "2026-01-01T00:00:00Z", "source": "x" }),
            vec!["count", "as_of", "resets_at"],
        ),
    ];
    for (path, body, expected) in cases {
        let (status, problem) = world.post(path, &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {problem}");
        assert_eq!(fields(&problem), expected, "{path}: {problem}");
        for fault in problem["faults"].as_array().unwrap() {
            assert!(fault["reason"].as_str().unwrap().len() > 10, "{fault}");
        }
    }
    for table in ["wish_event", "number_check_event", "licence_event", "counter_event"] {
        let count = world.sql::<i64>(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(count, 0, "{table}");
    }
    let unknown = json!({ "seller": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "person": "ann", "blocked": [], "source": "x" });
    let (status, problem) = world.post("/v1/wishes", &unknown).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
}
