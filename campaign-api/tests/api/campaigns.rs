//! The life of a campaign.

use futures_util::StreamExt;
use reqwest::StatusCode;
use serde_json::json;

use crate::world::{World, settings};

const CSV: &str = "external_id,phone_1\na,+13055550101\nb,+13055550102\nc,+13055550103\n";

/// A node cannot play the campaign's prompt.
async fn silence(world: &World, path: &str, node: &str) {
    let campaign = path.rsplit('/').next().unwrap();
    let campaign: dialer_types::CampaignId = campaign.parse().unwrap();
    let campaign = uuid::Uuid::from_u128(campaign.0);
    world
        .execute(&format!(
            "INSERT INTO prompt_state SELECT id, '{campaign}', 'missing', 1796139000000
             FROM node WHERE name = '{node}'"
        ))
        .await;
}

#[tokio::test]
async fn a_campaign_without_a_trunk_cannot_start() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let (status, problem) =
        world.post(&format!("/v1/campaigns/{campaign}/start"), &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["code"], "campaign_without_trunk");
    assert_eq!(world.get(&format!("/v1/campaigns/{campaign}")).await.1["status"], "draft");
    let again = settings(&seller, "c", &[]);
    assert_eq!(world.post("/v1/campaigns", &again).await.1["code"], "campaign_exists");
}

#[tokio::test]
async fn trunks_are_used_in_the_order_in_which_they_were_named() {
    let world = World::start().await;
    let (seller, first) = (world.seller("one").await, world.trunk().await);
    let other = json!({ "name": "other", "address": "127.0.0.1:5061", "calls_per_second": 1,
        "max_concurrent": 1 });
    let second = world.post("/v1/trunks", &other).await.1["id"].as_str().unwrap().to_owned();
    for order in [[&first, &second], [&second, &first]] {
        let name = format!("by {}", order[0]);
        let twice = [order[0].as_str(), order[1], order[0]];
        let campaign = world.campaign(&seller, &name, &twice).await;
        let shown = world.get(&format!("/v1/campaigns/{campaign}")).await.1;
        assert_eq!(shown["trunks"], json!(order), "{shown}");
    }
}

#[tokio::test]
async fn a_start_makes_every_waiting_contact_due_once_and_a_stop_takes_them_back() {
    let world = World::start().await;
    let (seller, trunk) = (world.seller("one").await, world.trunk().await);
    let campaign = world.campaign(&seller, "c", &[&trunk]).await;
    let path = format!("/v1/campaigns/{campaign}");
    let (status, list) = world.csv(&format!("{path}/lists?name=l"), CSV).await;
    assert_eq!(status, StatusCode::CREATED, "{list}");
    let counts = world.get(&path).await.1["counts"].clone();
    assert_eq!((&counts["contacts"], &counts["waiting"]), (&json!(3), &json!(3)), "{counts}");

    let (status, _) = world.post(&format!("{path}/pause"), &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "a draft cannot be paused");
    for _ in 0..2 {
        let (status, started) = world.post(&format!("{path}/start"), &json!({})).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(started["status"], "running");
        assert_eq!(started["counts"]["due"], 3);
        assert_eq!(started["stalled"]["sentence"], "stalled: no dialer is running");
        assert_eq!(started["stalled"]["reason"], "no_dialer");
    }
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM due").await, 3);
    let more = "external_id,phone_1\nd,+13055550104\na,+13055550101\n";
    let (_, list) = world.csv(&format!("{path}/lists?name=m"), more).await;
    assert_eq!((&list["imported"], &list["duplicates"]), (&json!(1), &json!(1)), "{list}");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM due").await, 4, "due at once while running");

    let (_, paused) = world.post(&format!("{path}/pause"), &json!({})).await;
    assert_eq!((&paused["status"], &paused["counts"]["due"]), (&json!("paused"), &json!(4)));
    let (_, stopped) = world.post(&format!("{path}/stop"), &json!({})).await;
    assert_eq!(stopped["counts"]["waiting"], 4, "{stopped}");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM due").await, 0);
    let entries = "SELECT count(*) FROM audit_entry WHERE kind = 10";
    assert_eq!(world.sql::<i64>(entries).await, 4, "created, started, paused, stopped");
}

#[tokio::test]
async fn dialers_hear_of_a_start_and_a_stall_names_its_trunks() {
    let world = World::start().await;
    let (seller, trunk) = (world.seller("one").await, world.trunk().await);
    let campaign = world.campaign(&seller, "c", &[&trunk]).await;
    let client = redis::Client::open(world.redis.url()).unwrap();
    let mut heard = client.get_async_pubsub().await.unwrap();
    heard.subscribe("rf:campaign").await.unwrap();
    world.post(&format!("/v1/campaigns/{campaign}/start"), &json!({})).await;
    let message = heard.on_message().next().await.unwrap();
    let message: serde_json::Value = serde_json::from_slice(message.get_payload_bytes()).unwrap();
    assert_eq!(message, json!({ "campaign": campaign, "status": "running" }));

    let now = world.app.now().0;
    world
        .execute(&format!(
            "INSERT INTO node VALUES (gen_random_uuid(), 'a', 0, {now}, NULL),
                                     (gen_random_uuid(), 'b', 0, {now}, NULL);"
        ))
        .await;
    let path = format!("/v1/campaigns/{campaign}");
    assert_eq!(world.get(&path).await.1["stalled"], json!(null));
    world
        .execute(
            "INSERT INTO trunk_state SELECT n.id, t.id, true, 'failing', 0
             FROM node n, trunk t WHERE n.name = 'a'",
        )
        .await;
    assert_eq!(world.get(&path).await.1["stalled"], json!(null), "b can still use it");
    world
        .execute(
            "INSERT INTO trunk_state SELECT n.id, t.id, true, 'silent', 1796139000000
             FROM node n, trunk t WHERE n.name = 'b'",
        )
        .await;
    let stalled = world.get(&path).await.1["stalled"].clone();
    let why = "carrier: calls fail before anybody is reached; carrier: no answer to OPTIONS";
    assert_eq!(
        stalled,
        json!({ "reason": "no_trunk", "since": "2026-12-01T15:30:00.000Z",
                "sentence": format!("stalled: no trunk ({why})") })
    );
    let (_, trunks) = world.get("/v1/trunks").await;
    let health = &trunks["items"][0]["health"];
    assert_eq!((&health["state"], &health["down_for"]), (&json!("down"), &json!(2)), "{health}");
    world
        .execute("UPDATE trunk_state SET open = false, reason = 'up' WHERE reason = 'silent'")
        .await;
    assert_eq!(world.get(&path).await.1["stalled"], json!(null), "b can use it again");
    let (_, trunks) = world.get("/v1/trunks").await;
    let health = &trunks["items"][0]["health"];
    assert_eq!(health["state"], "partly_down");
    assert_eq!(health["sentence"], "calls fail before anybody is reached");
    silence(&world, &path, "a").await;
    assert_eq!(world.get(&path).await.1["stalled"], json!(null), "b can play it");
    silence(&world, &path, "b").await;
    let stalled = world.get(&path).await.1["stalled"].clone();
    assert_eq!(stalled["reason"], "no_prompt", "{stalled}");
    let why = "stalled: no prompt (offer.wav: it is not in the dialers' folder of prompts)";
    assert_eq!(stalled["sentence"], why);
    world.execute("DELETE FROM prompt_state").await;
    world.execute("UPDATE node SET heartbeat_at = 0 WHERE name = 'a'").await;
    let (_, trunks) = world.get("/v1/trunks").await;
    assert_eq!(trunks["items"][0]["health"]["state"], "up", "what a dead dialer said is nothing");
}

#[tokio::test]
async fn a_trunk_keeps_its_password_encrypted_and_never_shows_it() {
    let world = World::start().await;
    world.trunk().await;
    let (_, trunks) = world.get("/v1/trunks").await;
    assert_eq!(trunks["items"][0]["calls_per_second"], 12.5);
    assert!(!trunks.to_string().contains("hidden"), "{trunks}");
    let stored: Vec<u8> = world.sql("SELECT password FROM trunk").await;
    assert!(!stored.windows(6).any(|window| window == b"hidden"));
    assert_eq!(world.app.keys.decrypt_secret(&stored).unwrap(), b"hidden");
    for address in ["nowhere", "host:0", "host:99999", ":5060", "a b:1"] {
        let bad =
            json!({ "name": "x", "address": address, "calls_per_second": 1, "max_concurrent": 1 });
        assert_eq!(world.post("/v1/trunks", &bad).await.1["code"], "invalid", "{address}");
    }
}
