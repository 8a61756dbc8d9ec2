//! Licences and counters: a withdrawal is a fence of its own, and what waits for one is woken.

use dialer::store::ledgers::Item;
use dialer_engine::{Denied, Next};
use dialer_types::{AttemptId, RuleId, UnixMillis};

use crate::world::{Contact, NOW, World, lost, stood};

/// A withdrawal, recorded so many milliseconds after the judgements of this world.
async fn withdraw(world: &World, seller: &str, after: i64) {
    let at = NOW.0 + after;
    world
        .sql(&format!(
            "INSERT INTO licence_event (seller_id, licence, kind, source, recorded_at)
             SELECT id, 'bond', 'withdraw', 'x', {at} FROM seller WHERE name = '{seller}'"
        ))
        .await;
}

#[tokio::test]
async fn nothing_is_committed_that_was_judged_on_facts_from_before_a_withdrawal() {
    let mut world = World::new().await;
    world
        .sql("INSERT INTO seller (id, name, created_at) VALUES (gen_random_uuid(), 'other', 0)")
        .await;
    // Long before the judgement: its facts were read after it. Of another seller: not theirs.
    withdraw(&world, "seller", -3_000).await;
    withdraw(&world, "other", 0).await;
    let (first, second) = (world.contact(None).await, world.contact(None).await);
    world.place(first, 1).await;
    let heads = world.heads(second).await;
    let commitment = world.judged(second, 1, &heads);
    withdraw(&world, "seller", -2_999).await;
    let before = world.truth().await;
    let again = world.copy(&commitment);
    assert!(lost(&world.stores.commit(vec![commitment]).await));
    assert_eq!(world.truth().await, before, "nothing moved");
    assert_eq!(world.count("SELECT count(*) FROM attempt").await, 1);
    // Judged later, it stands.
    let mut later = again;
    later.at = NOW.after(std::time::Duration::from_millis(1));
    assert!(stood(&world.stores.commit(vec![later]).await));
}

fn denied(world: &World, contact: Contact, cause: &str, at: UnixMillis) -> Item {
    let decided = dialer_audit::record::NotSent {
        placement: dialer_types::PlacementId(1),
        reason: "a record with a moment".into(),
    };
    Item::Deny(Box::new(Denied {
        attempt: AttemptId { contact: contact.id, try_no: 1 },
        campaign: world.campaign,
        next: Next::Park { cause: cause.into() },
        records: vec![dialer_audit::Record::new(None, decided.into(), at)],
        rules: vec![RuleId::new("own.bond")],
        judged: Vec::new(),
    }))
}

#[tokio::test]
async fn who_waits_for_a_licence_or_a_counter_is_woken_once_it_came_and_nobody_else() {
    let mut world = World::new().await;
    let now = world.stores.clock.now().wall;
    let mut contacts = Vec::new();
    for cause in ["licence:bond", "counter:calls", "licence:other", "wishes"] {
        let contact = world.contact(None).await;
        let item = [denied(&world, contact, cause, now)];
        world.stores.write(world.stores.node, &item).await.unwrap();
        contacts.push(contact);
    }
    world.stores.wake_supplied().await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM parked").await, 4, "nothing came");
    world
        .sql(&format!(
            "INSERT INTO licence_event (seller_id, licence, kind, source, recorded_at)
             SELECT id, 'bond', 'hold', 'x', {at} FROM seller;
             INSERT INTO counter_event (seller_id, counter, count, as_of, resets_at, source, recorded_at)
             SELECT id, 'calls', 1, {at}, {at} + 1000, 'x', {at} FROM seller;
             INSERT INTO seller (id, name, created_at) VALUES (gen_random_uuid(), 'third', 0);
             INSERT INTO licence_event (seller_id, licence, kind, source, recorded_at)
             SELECT id, 'other', 'hold', 'x', {at} FROM seller WHERE name = 'third'",
            at = now.0
        ))
        .await;
    world.stores.wake_supplied().await.unwrap();
    let left = "SELECT count(*) FROM parked WHERE cause IN ('licence:other', 'wishes')";
    assert_eq!(world.count(left).await, 2, "another seller's licence is not theirs");
    assert_eq!(world.count("SELECT count(*) FROM parked").await, 2);
    assert_eq!(world.count("SELECT count(*) FROM due WHERE because LIKE '%:%'").await, 2);
    // Whoever is parked late, judged before it came, is woken too; judged after it, they wait on.
    for (late, at, woken) in [(1, now, 3), (2, UnixMillis(now.0 + 60_000), 3)] {
        let contact = world.contact(None).await;
        let item = [denied(&world, contact, "licence:bond", at)];
        world.stores.write(world.stores.node, &item).await.unwrap();
        world.stores.wake_supplied().await.unwrap();
        let due = world.count("SELECT count(*) FROM due WHERE because LIKE '%:%'").await;
        assert_eq!(due, woken, "{late}");
    }
}
