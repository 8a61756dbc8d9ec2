//! What keeps a permit from being given: each of these tests fails without the fence that it is about.

use std::time::Duration;

use dialer_limiter::{Head, Mark, Token};
use dialer_types::SubjectId;
use reqwest::StatusCode;
use schema::heads::move_heads;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::{
    opt_outs::heads,
    people::People,
    permits::{ask, campaign, contact, keep, look, permit, tell},
    world::{World, settings},
};

/// Waits until somebody waits for a lock of this table.
async fn held_up(world: &World, table: &str) {
    let waits = format!(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass)"
    );
    for _ in 0..100 {
        if world.sql(&waits).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody came to {table}");
}

#[tokio::test]
async fn heads_that_move_between_judgement_and_commit_are_judged_again() {
    let people = People::start("permit-moved").await;
    let world = &people.world;
    let id = campaign(&people, "moved", &[("a", "+13055550101")]).await;
    let mut owner = PgConnection::connect(&world.owner_url).await.unwrap();
    let mut transaction = owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE subject_head IN SHARE MODE").execute(&mut *transaction).await.unwrap();
    let asked = ask(world, json!({ "campaign": id, "person": "a" }));
    let moved = async {
        held_up(world, "subject_head").await;
        let subjects: Vec<i64> = sqlx::query_scalar("SELECT id FROM subject")
            .fetch_all(&mut *transaction)
            .await
            .unwrap();
        let subjects: Vec<_> = subjects.into_iter().map(SubjectId).collect();
        let marked =
            |_, head: &Head| Some(head.with_mark(Token(77), Mark::suppressed(None)).unwrap());
        move_heads(&mut transaction, &subjects, marked).await.unwrap();
        transaction.commit().await.unwrap();
    };
    let ((status, denial), ()) = tokio::join!(asked, moved);
    assert_eq!((status, &denial["code"]), (StatusCode::CONFLICT, &json!("denied")), "{denial}");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM placement").await, 0);
}

#[tokio::test]
async fn what_happens_between_commit_and_answer_keeps_the_permit_back_and_it_does_not_count() {
    let opted_out = "INSERT INTO opt_out (subjects, seller_no, purpose, at)
                     SELECT ARRAY[number_subject], 0, NULL, deployment_now() FROM placement";
    let halted = "UPDATE campaign SET status = 'paused'";
    let clock = "UPDATE deployment SET clock_offset_ms = clock_offset_ms + 1200";
    for (at, (happens, status, code)) in [
        (opted_out, StatusCode::CONFLICT, "revoked"),
        (halted, StatusCode::CONFLICT, "revoked"),
        (clock, StatusCode::SERVICE_UNAVAILABLE, "clock_off"),
    ]
    .into_iter()
    .enumerate()
    {
        let people = People::start(&format!("permit-last-look-{at}")).await;
        let world = &people.world;
        let id = campaign(&people, "last look", &[("a", "+13055550101")]).await;
        let mut owner = PgConnection::connect(&world.owner_url).await.unwrap();
        let mut transaction = owner.begin().await.unwrap();
        // The last look is the first to ask for outcomes.
        let lock = "LOCK TABLE outcome IN ACCESS EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut *transaction).await.unwrap();
        let asked = ask(world, json!({ "campaign": id, "person": "a" }));
        let meanwhile = async {
            held_up(world, "outcome").await;
            assert_eq!(world.sql::<i64>("SELECT count(*) FROM placement").await, 1, "committed");
            sqlx::query(happens).execute(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
        };
        let ((answered, problem), ()) = tokio::join!(asked, meanwhile);
        assert_eq!((answered, &problem["code"]), (status, &json!(code)), "{happens}: {problem}");
        let counting = heads(world).await.into_iter().map(|(_, head)| head.entries().len());
        assert_eq!(
            counting.sum::<usize>(),
            0,
            "{happens}: what was not handed over does not count"
        );
        assert_eq!(contact(world, "a").await, (2, 2, 0, true, None), "{happens}: due again");
    }
}

#[tokio::test]
async fn an_opt_out_denies_what_comes_after_it_and_revokes_what_was_given_before() {
    let people = People::start("permit-out").await;
    let world = &people.world;
    let names: Vec<(String, String)> =
        (0..16).map(|n| (format!("o{n}"), format!("+1305555{:04}", 200 + n))).collect();
    let persons: Vec<_> =
        names.iter().map(|(name, number)| (name.as_str(), number.as_str())).collect();
    let id = campaign(&people, "out", &persons).await;
    let both = names.iter().map(|(name, number)| {
        let id = id.clone();
        async move {
            let out = json!({ "number": number, "reason": "asked" });
            let wish = json!({ "campaign": id, "person": name });
            let (out, asked) = tokio::join!(world.post("/v1/suppressions", &out), ask(world, wish));
            assert_eq!(out.0, StatusCode::OK, "{}", out.1);
            asked
        }
    });
    let answers = futures_util::future::join_all(both).await;
    for (status, body) in answers {
        if status == StatusCode::CREATED {
            assert_eq!(look(world, &body).await["revoked"], "suppressed", "{body}");
            let (status, told) = tell(world, &body, json!({ "disposition": "cancelled" })).await;
            assert_eq!(
                (status, &told["revoked"]),
                (StatusCode::OK, &json!("suppressed")),
                "{told}"
            );
        } else {
            let code = body["code"].as_str().unwrap();
            assert!(["denied", "contended", "revoked"].contains(&code), "{body}");
        }
    }
    // Once it is answered, nothing is given, whatever copies Redis holds.
    for (name, _) in &names {
        let (status, _) = ask(world, json!({ "campaign": id, "person": name })).await;
        assert_eq!(status, StatusCode::CONFLICT, "{name}");
    }
}

#[tokio::test]
async fn a_process_that_was_taken_for_dead_permits_nothing_and_its_lease_is_given_back() {
    let people = People::start("permit-dead").await;
    let world = &people.world;
    let id = campaign(&people, "dead", &[("a", "+13055550101"), ("b", "+13055550102")]).await;
    let open = permit(world, &id, "a").await;
    world.execute("UPDATE contact SET state = 3, node = (SELECT id FROM node WHERE kind = 'api') WHERE state = 2; DELETE FROM due").await;
    world.execute("UPDATE node SET dead_at = 1 WHERE kind = 'api'").await;
    let (status, problem) = ask(world, json!({ "campaign": id, "person": "b" })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("permits_closed")),
        "{problem}"
    );
    world.execute("UPDATE node SET heartbeat_at = 0 WHERE kind = 'api'").await;
    let kept = keep(world);
    for _ in 0..300 {
        if contact(world, "b").await.3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(contact(world, "b").await, (2, 1, 0, true, None), "given back");
    assert_eq!(look(world, &open).await["state"], "ended", "nobody confirmed it");
    permit(world, &id, "b").await;
    drop(kept);
}

#[tokio::test]
async fn permits_are_for_campaigns_of_that_kind_that_run_and_by_a_clock_that_is_right() {
    let people = People::start("permit-terms").await;
    let world = &people.world;
    let trunk = world.trunk().await;
    let ours = world.campaign(&people.seller, "ours", &[&trunk]).await;
    let csv = "external_id,phone_1\nx,+13055550109\n";
    world.csv(&format!("/v1/campaigns/{ours}/lists?name=x"), csv).await;
    let (_, problem) = ask(world, json!({ "campaign": ours, "person": "x" })).await;
    assert_eq!(problem["code"], "campaign_not_by_permits", "{problem}");
    let mut both = settings(&people.seller, "both", &[&trunk]);
    both["dialed_by"] = json!("permits");
    let (status, problem) = world.post("/v1/campaigns", &both).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let id = campaign(&people, "terms", &[("a", "+13055550101"), ("b", "+13055550102")]).await;
    let (_, problem) = ask(world, json!({ "campaign": id, "person": "nobody" })).await;
    assert_eq!(problem["code"], "not_found", "{problem}");
    let other = json!({ "campaign": id, "person": "a", "number": "+13055550102" });
    let (_, problem) = ask(world, other).await;
    assert_eq!(problem["code"], "not_their_number", "{problem}");
    let given = permit(world, &id, "a").await;
    world.post(&format!("/v1/campaigns/{id}/pause"), &json!({})).await;
    assert_eq!(look(world, &given).await["revoked"], "halted");
    let (_, problem) = ask(world, json!({ "campaign": id, "person": "b" })).await;
    assert_eq!(problem["code"], "campaign_not_running", "{problem}");
    world.post(&format!("/v1/campaigns/{id}/start"), &json!({})).await;
    world.execute("UPDATE deployment SET clock_offset_ms = clock_offset_ms + 1200").await;
    let (status, problem) = ask(world, json!({ "campaign": id, "person": "b" })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("clock_off")),
        "{problem}"
    );
    assert_eq!(contact(world, "b").await.0, 2);
}
