//! The fence: what is judged on a head that has moved is not committed.

use std::{sync::Arc, time::Duration};

use dialer::{clock::Clock, inbox::inbox, store::commits};
use dialer_audit::Body;
use dialer_engine::{Answer, Input};
use dialer_limiter::Token;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::world::{World, lost, stood};

#[tokio::test]
async fn a_commit_on_a_head_that_moved_is_refused_and_changes_nothing() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let heads = world.heads(contact).await;
    let commitment = world.judged(contact, 1, &heads);
    let mut connection = world.owner.acquire().await.unwrap();
    schema::heads::move_heads(&mut connection, &[contact.person], |_, head| {
        Some(head.touched(Token(77)))
    })
    .await
    .unwrap();
    let before = world.truth().await;
    assert!(lost(&world.stores.commit(vec![commitment]).await));
    assert_eq!(world.truth().await, before);
    assert_eq!(world.count("SELECT count(*) FROM attempt").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM audit_entry").await, 0);
}

#[tokio::test]
async fn a_commit_advances_every_head_and_writes_attempt_placement_and_audit() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    let token = Token::from(placed.demand.placement());
    let truth = world.truth().await;
    assert_eq!(truth[&contact.person].token(), token);
    assert_eq!(truth[&contact.number].entries().len(), 1);
    for (table, rows) in [
        ("SELECT count(*) FROM attempt", 1),
        ("SELECT count(*) FROM placement", 1),
        ("SELECT count(*) FROM decision", 0),
        ("SELECT count(*) FROM audit_entry", 2),
    ] {
        assert_eq!(world.count(table).await, rows, "{table}");
    }
}

#[tokio::test]
async fn an_attempt_that_was_taken_twice_is_committed_once_and_its_heads_advance_once() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    world.place(contact, 1).await;
    let heads = world.heads(contact).await;
    let again = world.judged(contact, 1, &heads);
    let before = world.truth().await;
    assert!(lost(&world.stores.commit(vec![again]).await));
    assert_eq!(world.truth().await, before);
    let next = world.judged(contact, 2, &heads);
    assert!(stood(&world.stores.commit(vec![next]).await), "the next try stands");
}

#[tokio::test]
async fn a_batch_commits_what_stands_and_refuses_the_rest() {
    let mut world = World::new().await;
    let mut batch = Vec::new();
    for _ in 0..20 {
        let contact = world.contact(None).await;
        let heads = world.heads(contact).await;
        batch.push(world.judged(contact, 1, &heads));
    }
    let (stale, placement) = (batch[3].person, batch[3].demand.placement());
    let mut connection = world.owner.acquire().await.unwrap();
    schema::heads::move_heads(&mut connection, &[stale], |_, head| Some(head.touched(Token(5))))
        .await
        .unwrap();
    let all = batch.len();
    let answers = world.stores.commit(batch).await;
    let stands =
        answers.iter().filter(|(_, answer)| matches!(answer, Answer::Given(Ok(_)))).count();
    assert_eq!(stands, all - 1);
    for (id, answer) in answers {
        assert_eq!(matches!(answer, Answer::Given(Err(_))), id == placement);
    }
}

/// Every third is of a contact whose first number was denied.
#[tokio::test]
async fn a_denial_has_a_row_that_names_its_own_entry_if_its_placement_stands() {
    for fallen in [None, Some(0), Some(4), Some(9)] {
        let mut world = World::new().await;
        let mut batch = Vec::new();
        for place in 0..12 {
            let contact = world.contact(None).await;
            let heads = world.heads(contact).await;
            let mut commitment = world.judged(contact, 1, &heads);
            if place % 3 == 0 {
                commitment.records.insert(0, world.denial(&commitment));
            }
            // One rests on grounds of its own.
            if place == 4 {
                let Body::Decision(decision) = &mut commitment.records[0].body else { panic!() };
                decision.rules_asked = 4;
            }
            batch.push(commitment);
        }
        if let Some(fallen) = fallen {
            let mut connection = world.owner.acquire().await.unwrap();
            let moved = |_, head: &dialer_limiter::Head| Some(head.touched(Token(5)));
            let stale = [batch[fallen].person];
            schema::heads::move_heads(&mut connection, &stale, moved).await.unwrap();
        }
        let stand = 12 - i64::from(fallen.is_some());
        let denials = 4 - i64::from(fallen.is_some_and(|place| place % 3 == 0));
        let grounds = 2 - i64::from(fallen == Some(4));
        world.stores.commit(batch).await;
        for (sql, rows) in [
            ("SELECT count(*) FROM placement", stand),
            ("SELECT count(*) FROM attempt", stand),
            (
                "SELECT count(*) FROM decision WHERE rules = '{us.national_dnc,us.fl.no_sales}'",
                denials,
            ),
            (
                "SELECT count(*) FROM decision d JOIN audit_entry e ON e.id = d.entry_id
                 WHERE e.kind = 1 AND e.contact_id = d.contact_id AND e.try_no = d.try_no
                   AND e.at = d.at AND d.verdict = 'refuse' AND d.until IS NULL",
                denials,
            ),
            ("SELECT count(*) FROM audit_entry WHERE kind = 1", denials),
            ("SELECT count(*) FROM audit_entry WHERE kind = 14", grounds),
            ("SELECT count(*) FROM audit_entry WHERE kind = 15", stand),
        ] {
            assert_eq!(world.count(sql).await, rows, "{fallen:?}: {sql}");
        }
    }
}

#[tokio::test]
async fn of_two_commitments_on_one_head_in_the_queue_one_stands() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let heads = world.heads(contact).await;
    let both = [world.judged(contact, 1, &heads), world.judged(contact, 2, &heads)];
    // Of a permit whose life is over nothing is made.
    let late = world.contact(None).await;
    let heads = world.heads(late).await;
    let mut late = world.judged(late, 1, &heads);
    let (sender, queue) = mpsc::channel(8);
    let (inbox, mut inputs) = inbox();
    let tasks = TaskTracker::new();
    tasks.spawn(commits::serve(Arc::clone(&world.stores), queue, inbox, tasks.clone()));
    let now = Clock::default().now();
    late.not_after = now.wall;
    let too_late = late.demand.placement();
    for mut commitment in both.into_iter().chain([late]) {
        if commitment.demand.placement() != too_late {
            commitment.not_after = now.wall.after(Duration::from_secs(60));
        }
        sender.send(commits::Wish { commitment, since: now.mono }).await.unwrap();
    }
    let mut stood = 0;
    for _ in 0..3 {
        let Some(Input::Committed(id, Answer::Given(answer))) = inputs.recv().await else {
            panic!("an answer is missing");
        };
        assert!(id != too_late || answer.is_err());
        stood += u32::from(answer.is_ok());
    }
    assert_eq!(stood, 1);
    assert_eq!(world.stores.metrics.commits_late.get(), 1);
    drop(sender);
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn one_commitment_that_postgres_refuses_for_good_does_not_take_the_others_with_it() {
    let mut world = World::new().await;
    let (good, bad) = (world.contact(None).await, world.contact(None).await);
    let heads = world.heads(good).await;
    let good = world.judged(good, 1, &heads);
    let heads = world.heads(bad).await;
    let mut bad = world.judged(bad, 1, &heads);
    // No text of Postgres holds a zero byte.
    bad.sip_call_id = "\0".to_owned();
    let id = good.demand.placement();
    for (placement, answer) in world.stores.commit(vec![good, bad]).await {
        let given = matches!(answer, Answer::Given(Ok(_)));
        assert_eq!(given, placement == id);
    }
}

#[tokio::test]
async fn an_emptied_redis_lets_nothing_past_the_truth() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let stale = world.heads(contact).await;
    world.place(contact, 1).await;
    world.redis.empty().unwrap();
    // Somebody loads what they read before: Redis is fooled, and the functions are loaded again.
    let load: Vec<_> = stale.iter().map(|(id, head)| (*id, head.clone(), false)).collect();
    world.stores.redis.load(&load).await.unwrap();
    let second = world.judged(contact, 2, &stale);
    assert!(world.stores.redis.reserve(&second.demand).await.unwrap(), "the copy was fooled");
    assert!(lost(&world.stores.commit(vec![second]).await), "the truth was not");
}

#[tokio::test]
async fn a_reservation_whose_commit_never_came_defers_nobody() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let heads = world.heads(contact).await;
    let lost_to_a_crash = world.judged(contact, 1, &heads);
    assert!(world.stores.redis.reserve(&lost_to_a_crash.demand).await.unwrap());
    assert_eq!(world.heads(contact).await, heads, "what stands in Postgres");
    world.place(contact, 1).await;
    assert!(lost(&world.stores.commit(vec![lost_to_a_crash]).await));
}
