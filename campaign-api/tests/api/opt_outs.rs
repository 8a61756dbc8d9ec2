//! G7 from the side of the API: suppressions, revocations, and what they wake.

use dialer_limiter::{Head, Mark};
use dialer_types::{SellerNo, SubjectId};
use redis::AsyncCommands;
use reqwest::StatusCode;
use schema::heads::read_heads;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::world::World;

/// Every head with the kind of its subject (1 number, 2 account, 3 person), in subject order.
pub(crate) async fn heads(world: &World) -> Vec<(i16, Head)> {
    let mut owner = PgConnection::connect(&world.owner_url).await.unwrap();
    let subjects: Vec<(i64, i16)> = sqlx::query_as("SELECT id, kind FROM subject ORDER BY id")
        .fetch_all(&mut owner)
        .await
        .unwrap();
    let ids: Vec<SubjectId> = subjects.iter().map(|(id, _)| SubjectId(*id)).collect();
    let heads = read_heads(&mut owner, &ids).await.unwrap();
    subjects.into_iter().zip(heads).map(|((_, kind), (_, head))| (kind, head)).collect()
}

const CSV: &str = "external_id,phone_1,phone_2\nann,+13055550101,+13055550102\nben,+13055550102,\n";

async fn seller_with_list(world: &World) -> (String, String) {
    let (seller, trunk) = (world.seller("one").await, world.trunk().await);
    let campaign = world.campaign(&seller, "c", &[&trunk]).await;
    let (status, list) = world.csv(&format!("/v1/campaigns/{campaign}/lists?name=l"), CSV).await;
    assert_eq!(status, StatusCode::CREATED, "{list}");
    (seller, campaign)
}

fn marked(heads: &[(i16, Head)], mark: Mark) -> usize {
    heads.iter().filter(|(_, head)| head.marks().contains(&mark)).count()
}

#[tokio::test]
async fn a_number_is_taken_as_people_write_it() {
    let world = World::start().await;
    let (_, campaign) = seller_with_list(&world).await;
    for (number, region) in [
        ("+1 305-555-0101", Value::Null),
        ("+1 (305) 555 0101", Value::Null),
        ("(305) 555-0101", json!("US")),
        ("13055550101", json!("us")),
    ] {
        let entry = json!({ "number": number, "region": region, "reason": "asked" });
        let (status, said) = world.post("/v1/suppressions", &entry).await;
        assert_eq!(status, StatusCode::OK, "{number}: {said}");
        let region = region.as_str().map(|it| format!("&region={it}")).unwrap_or_default();
        let number = number.replace('+', "%2B").replace(' ', "%20");
        let path = format!("/v1/eligibility?campaign={campaign}&number={number}{region}");
        let (status, answer) = world.get(&path).await;
        assert_eq!((status, &answer["person"]), (StatusCode::OK, &json!("ann")), "{answer}");
    }
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM number").await, 2, "always the same one");
    let entry = json!({ "number": "305 555 0102", "reason": "asked" });
    let (status, said) = world.post("/v1/suppressions", &entry).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(said.to_string().contains("begin with '+', as in +13055550123"), "{said}");
    let entry = json!({ "number": "305 555 0102", "region": "XX", "reason": "asked" });
    let (_, said) = world.post("/v1/suppressions", &entry).await;
    assert_eq!(said["faults"][0]["field"], "region", "{said}");
}

#[tokio::test]
async fn suppressing_a_person_marks_the_person_and_every_number_and_tells_redis() {
    let world = World::start().await;
    let (seller, _) = seller_with_list(&world).await;
    let client = redis::Client::open(world.redis.url()).unwrap();
    let mut copies = client.get_multiplexed_async_connection().await.unwrap();
    let before: Vec<(i64, Vec<u8>)> = {
        let mut owner = PgConnection::connect(&world.owner_url).await.unwrap();
        sqlx::query_as("SELECT subject_id, head FROM subject_head")
            .fetch_all(&mut owner)
            .await
            .unwrap()
    };
    // Redis holds the heads as they are; one copy is of another time.
    for (subject, head) in &before {
        let _: () = copies.set(format!("rf2:{subject}"), head).await.unwrap();
    }

    let body = json!({ "seller": seller, "person": "ann", "reason": "asked on the phone" });
    let (status, recorded) = world.post("/v1/suppressions", &body).await;
    assert_eq!(status, StatusCode::OK, "{recorded}");
    let subjects = recorded["subjects"].as_array().unwrap();
    assert_eq!(subjects.len(), 3, "the person and two numbers: {recorded}");
    let mark = Mark::suppressed(Some(SellerNo(1)));
    assert_eq!(marked(&heads(&world).await, mark), 3);
    assert_eq!(told(&world).await, [(recorded["subjects"].clone(), 1, None)]);
    for subject in subjects {
        let copy: Vec<u8> = copies.get(format!("rf2:{subject}")).await.unwrap();
        assert!(
            Head::decode(&copy).unwrap().marks().contains(&mark),
            "the copy of {subject} followed"
        );
    }
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM audit_entry WHERE kind = 6").await, 1);
}

#[tokio::test]
async fn a_number_that_nobody_has_yet_is_suppressed_for_whoever_gets_it() {
    let world = World::start().await;
    let body = json!({ "number": "+13055550102", "reason": "national regulator's order" });
    let (status, recorded) = world.post("/v1/suppressions", &body).await;
    assert_eq!(status, StatusCode::OK, "{recorded}");
    seller_with_list(&world).await;
    assert_eq!(marked(&heads(&world).await, Mark::suppressed(None)), 1);
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM number").await, 2, "the list found it");
    for bad in [
        json!({ "reason": "x" }),
        json!({ "person": "ann", "reason": "x" }),
        json!({ "number": "555", "reason": "x" }),
        json!({ "number": "+13055550102", "reason": "" }),
        json!({ "number": "+13055550102", "reason": "call +13055550199 instead" }),
    ] {
        let (status, problem) = world.post("/v1/suppressions", &bad).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}: {problem}");
    }
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM suppression_event").await, 1);
}

#[tokio::test]
async fn lifting_leaves_a_number_marked_while_another_entry_stands() {
    let world = World::start().await;
    let (seller, _) = seller_with_list(&world).await;
    let mark = Mark::suppressed(Some(SellerNo(1)));
    let person = |person: &str, kind: &str| json!({ "seller": seller, "person": person, "kind": kind, "reason": "r" });
    world.post("/v1/suppressions", &person("ann", "add")).await;
    world.post("/v1/suppressions", &person("ben", "add")).await;
    assert_eq!(marked(&heads(&world).await, mark), 4);
    world.post("/v1/suppressions", &person("ann", "lift")).await;
    assert_eq!(marked(&heads(&world).await, mark), 2, "ben and the number they share");
    let number = json!({ "seller": seller, "number": "+13055550102", "reason": "r" });
    world.post("/v1/suppressions", &number).await;
    world.post("/v1/suppressions", &person("ben", "lift")).await;
    assert_eq!(marked(&heads(&world).await, mark), 1, "the number by itself");
    let number =
        json!({ "seller": seller, "number": "+13055550102", "reason": "r", "kind": "lift" });
    world.post("/v1/suppressions", &number).await;
    assert_eq!(marked(&heads(&world).await, mark), 0);
}

#[tokio::test]
async fn an_opt_out_takes_effect_though_redis_is_away() {
    let mut world = World::start().await;
    let (seller, _) = seller_with_list(&world).await;
    world.redis.stop();
    let body = json!({ "seller": seller, "person": "ann", "reason": "asked" });
    let (status, answer) = world.post("/v1/suppressions", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(marked(&heads(&world).await, Mark::suppressed(Some(SellerNo(1)))), 3, "it stands");
    assert_eq!(told(&world).await, [(answer["subjects"].clone(), 1, None)], "dialers hear of it");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test measures")]
async fn an_opt_out_is_answered_when_no_lease_can_be_without_it_and_within_150_ms() {
    let world = World::start().await;
    let (seller, _) = seller_with_list(&world).await;
    let mut took = Vec::new();
    for round in 0..30 {
        let person = if round % 2 == 0 { "ann" } else { "ben" };
        let body = json!({ "seller": seller, "person": person, "reason": "asked" });
        let before = tokio::time::Instant::now();
        let (status, answer) = world.post("/v1/suppressions", &body).await;
        took.push(before.elapsed());
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    took.sort_unstable();
    let lease = schema::opt_outs::SEND_LEASE;
    assert!(took[0] > lease, "{:?}: a dialer that heard nothing may still send", took[0]);
    // The rest is for the drill, on a machine of its own: here other tests run beside.
    assert!(took[took.len() / 2] < lease * 3 / 2, "{took:?}");
}

/// What dialers were told so far: subjects, seller, purpose.
pub(crate) async fn told(world: &World) -> Vec<(Value, i32, Option<i16>)> {
    let mut owner = PgConnection::connect(&world.owner_url).await.unwrap();
    let rows: Vec<(Vec<i64>, i32, Option<i16>)> =
        sqlx::query_as("SELECT subjects, seller_no, purpose FROM opt_out ORDER BY id")
            .fetch_all(&mut owner)
            .await
            .unwrap();
    rows.into_iter().map(|(subjects, seller, purpose)| (json!(subjects), seller, purpose)).collect()
}

#[tokio::test]
async fn a_consent_moves_heads_and_wakes_who_waits_for_it_and_a_revocation_is_announced() {
    let world = World::start().await;
    let (seller, campaign) = seller_with_list(&world).await;
    world.post(&format!("/v1/campaigns/{campaign}/start"), &json!({})).await;
    world
        .execute(
            "DELETE FROM due; UPDATE contact SET state = 4;
             INSERT INTO parked SELECT id, campaign_id, 'consent', '{us.tcpa.consent}', 0 FROM contact;",
        )
        .await;
    let (_, parked) = world.get(&format!("/v1/campaigns/{campaign}/contacts?state=parked")).await;
    assert_eq!(parked["items"].as_array().unwrap().len(), 2, "{parked}");
    assert_eq!(parked["items"][0]["cause"], "consent");
    let before = heads(&world).await;
    let mut consent = json!({ "seller": seller, "person": "ann", "kind": "grant",
        "form": "prior_express_written", "purpose": "telemarketing", "source": "web form 12" });
    let (status, recorded) = world.post("/v1/consents", &consent).await;
    assert_eq!(status, StatusCode::OK, "{recorded}");
    assert_eq!(recorded["woken"], 1, "ann and not ben");
    let after = heads(&world).await;
    let moved = before.iter().zip(&after).filter(|(b, a)| b.1.token() != a.1.token()).count();
    assert_eq!(moved, 3, "what was judged before no longer commits");
    assert_eq!(world.get(&format!("/v1/campaigns/{campaign}")).await.1["counts"]["due"], 1);

    assert!(told(&world).await.is_empty(), "a consent stops nothing");
    consent["kind"] = json!("revoke");
    let (status, revoked) = world.post("/v1/consents", &consent).await;
    assert_eq!(status, StatusCode::OK, "{revoked}");
    let purpose = dialer_types::Purpose::Telemarketing.code();
    let expected = (revoked["subjects"].clone(), 1, Some(i16::from(purpose)));
    assert_eq!(told(&world).await, [expected]);
    let events = "SELECT string_agg(kind, ',' ORDER BY id) FROM consent_event";
    assert_eq!(world.sql::<String>(events).await, "grant,revoke");
}

#[tokio::test]
async fn an_opt_out_by_an_id_written_otherwise_binds_the_person_and_one_that_binds_nobody_says_so()
{
    let world = World::start().await;
    let (seller, campaign) = seller_with_list(&world).await;
    let csv =
        "external_id,phone_1\n+1 305 555 0108,+13055550108\nBob,+13055550109\nbob,+13055550110\n";
    let (status, list) = world.csv(&format!("/v1/campaigns/{campaign}/lists?name=m"), csv).await;
    assert_eq!((status, &list["imported"]), (StatusCode::CREATED, &json!(3)), "{list}");
    let entry = |person: &str, kind: &str| json!({ "seller": seller, "person": person, "kind": kind, "reason": "r" });
    let mark = Mark::suppressed(Some(SellerNo(1)));
    for (person, subjects) in [
        ("ann", 3),
        ("ANN", 3),
        (" Ann ", 3),
        ("Bob", 2),
        ("bob", 2),
        ("+13055550108", 2),
        ("1 (305) 555-0108", 2),
        ("305.555.0108", 2),
    ] {
        let (status, said) = world.post("/v1/suppressions", &entry(person, "add")).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        assert_eq!(
            (&said["known"], &said["note"]),
            (&json!(true), &Value::Null),
            "{person}: {said}"
        );
        assert_eq!(marked(&heads(&world).await, mark), subjects, "{person}");
        let (_, said) = world.post("/v1/suppressions", &entry(person, "lift")).await;
        assert_eq!(said["known"], true, "{person}: {said}");
        assert_eq!(marked(&heads(&world).await, mark), 0, "{person}");
    }
    // Nobody, either of two, and a number that no list has: recorded all the same, and said.
    for person in ["anne", "BOB", "+13055550199", "305 555 0199"] {
        let before: i64 = world.sql("SELECT count(*) FROM suppression_event").await;
        let (status, said) = world.post("/v1/suppressions", &entry(person, "add")).await;
        assert_eq!((status, &said["known"]), (StatusCode::OK, &json!(false)), "{person}: {said}");
        assert!(said["note"].as_str().unwrap().contains("nobody is bound"), "{said}");
        let after: i64 = world.sql("SELECT count(*) FROM suppression_event").await;
        assert_eq!(after, before + 1, "an opt-out is never lost");
    }
    let readable = "SELECT count(*) FROM person WHERE external_id LIKE '+1305%'";
    assert_eq!(world.sql::<i64>(readable).await, 0, "a number is no readable id");
    // It binds when a list brings the person.
    let csv = "external_id,phone_1\n+13055550199,+13055550199\n";
    world.csv(&format!("/v1/campaigns/{campaign}/lists?name=n"), csv).await;
    let (_, said) = world.post("/v1/suppressions", &entry("+13055550199", "add")).await;
    assert_eq!(said["known"], true, "{said}");
    let ids = "SELECT count(*) FROM person WHERE external_id LIKE 'number-%'";
    assert_eq!(world.sql::<i64>(ids).await, 2, "the entry and the list mean the same person");
    let chinese = world
        .request(Some("admin"), reqwest::Method::POST, "/v1/suppressions")
        .header("accept-language", "zh")
        .json(&entry("anne", "lift"));
    let said: Value = chinese.send().await.unwrap().json().await.unwrap();
    assert_eq!(said["note"], "该委托方没有此人的联系人，因此没有为任何人解除登记；请核对编号");
}

#[tokio::test]
async fn a_consent_and_a_question_mean_the_same_person_as_the_list() {
    let world = World::start().await;
    let (seller, campaign) = seller_with_list(&world).await;
    let csv = "external_id,phone_1\n13055550108,+13055550108\n";
    world.csv(&format!("/v1/campaigns/{campaign}/lists?name=m"), csv).await;
    for (person, known, moved) in [("ANN", true, 3), ("+13055550108", true, 2), ("anne", false, 1)]
    {
        let consent = json!({ "seller": seller, "person": person, "kind": "grant",
            "form": "opt_in", "purpose": "telemarketing", "source": "web form 12" });
        let (status, said) = world.post("/v1/consents", &consent).await;
        assert_eq!((status, &said["known"]), (StatusCode::OK, &json!(known)), "{person}: {said}");
        assert_eq!(said["note"].is_null(), known, "{person}: {said}");
        assert_eq!(said["subjects"].as_array().unwrap().len(), moved, "{person}: {said}");
        let person = person.replace('+', "%2B");
        let path = format!("/v1/eligibility?campaign={campaign}&person={person}");
        let (status, answer) = world.get(&path).await;
        let wanted = if known { StatusCode::OK } else { StatusCode::NOT_FOUND };
        assert_eq!(status, wanted, "{person}: {answer}");
    }
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM consent_event").await, 3);
}
