//! Hearing of opt-outs (G7), and the send lease that rests on it.

use std::{sync::Arc, time::Duration};

use dialer::{clock::Clock, gate::Need, inbox::inbox, store::lease};
use dialer_engine::Input;
use dialer_types::{Purpose, SellerNo, SubjectId};
use schema::opt_outs::{ANSWER_AFTER, Listener, OptOut, announce, forget};
use sqlx::Connection;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::world::{NOW, World};

fn about(subject: i64) -> OptOut {
    let purpose = (subject % 2 == 0).then_some(Purpose::Telemarketing);
    let seller = SellerNo(u32::try_from(subject).unwrap() % 3);
    OptOut { subjects: vec![SubjectId(subject), SubjectId(subject + 100)], seller, purpose }
}

#[tokio::test]
async fn every_opt_out_is_heard_once_whatever_the_order_of_commits() {
    let world = World::new().await;
    let mut pool = Vec::new();
    for _ in 0..3 {
        pool.push(world.owner.acquire().await.unwrap());
    }
    let [first, second, ear] = &mut pool[..] else { panic!() };
    // A transaction that began before holds the numbers back, here or in any other database.
    let mut old = world.owner.begin().await.unwrap();
    sqlx::query("SELECT pg_current_xact_id()").execute(&mut *old).await.unwrap();
    announce(first, &about(1), NOW).await.unwrap();
    let mut listener = Listener::default();
    assert!(listener.ask(ear, NOW).await.unwrap().outs.is_empty(), "it stands in the heads");
    assert!(listener.ask(ear, NOW).await.unwrap().outs.is_empty(), "and is not heard later");
    old.rollback().await.unwrap();

    // The first to write is the last to commit.
    let mut slow = first.begin().await.unwrap();
    announce(&mut slow, &about(2), NOW).await.unwrap();
    announce(second, &about(3), NOW).await.unwrap();
    assert_eq!(listener.ask(ear, NOW).await.unwrap().outs, [about(3)]);
    assert!(listener.ask(ear, NOW).await.unwrap().outs.is_empty(), "once");
    announce(second, &about(4), NOW).await.unwrap();
    slow.commit().await.unwrap();
    let mut heard = listener.ask(ear, NOW).await.unwrap().outs;
    heard.sort_unstable_by_key(|out| out.subjects[0]);
    assert_eq!(heard, [about(2), about(4)]);
    // What is rolled back never was; somebody else's open transaction holds nothing up.
    let mut never = first.begin().await.unwrap();
    announce(&mut never, &about(5), NOW).await.unwrap();
    for subject in 6..30 {
        announce(second, &about(subject), NOW).await.unwrap();
        assert_eq!(listener.ask(ear, NOW).await.unwrap().outs, [about(subject)]);
    }
    never.rollback().await.unwrap();
    assert!(listener.ask(ear, NOW).await.unwrap().outs.is_empty());
    // Over a new connection what is young is heard again: the server may be another.
    listener.reconnected();
    assert_eq!(listener.ask(ear, NOW).await.unwrap().outs.len(), 28);
    listener.reconnected();
    let later = NOW.after(Duration::from_secs(600));
    assert!(listener.ask(ear, later).await.unwrap().outs.is_empty());
    // After a day nobody needs them.
    assert_eq!(forget(second, NOW.after(Duration::from_secs(3600))).await.unwrap(), 0);
    assert_eq!(forget(second, NOW.after(Duration::from_secs(25 * 3600))).await.unwrap(), 28);
}

#[tokio::test]
async fn a_lease_follows_what_was_heard() {
    let world = World::new().await;
    let (stores, stop) = (Arc::clone(&world.stores), CancellationToken::new());
    let (sender, mut inputs) = inbox();
    let serving = TaskTracker::new().spawn(lease::serve(Arc::clone(&stores), sender, stop.clone()));
    let mut owner = world.owner.acquire().await.unwrap();
    let mut next = async || timeout(Duration::from_secs(5), inputs.recv()).await.unwrap().unwrap();
    assert!(matches!(next().await, Input::Leased(_)));
    for subject in 1..10 {
        // Rows that are older than a day by this clock are let go.
        announce(&mut owner, &about(subject), stores.clock.now().wall).await.unwrap();
        let answered = Clock::default().now().mono + ANSWER_AFTER;
        // Every lease that was given before it was heard has lapsed when it is answered.
        loop {
            match next().await {
                Input::Leased(until) => {
                    let late = until.saturating_duration_since(answered);
                    assert!(until < answered, "{subject}: {late:?} after the answer");
                }
                Input::Suppressed(out) => {
                    assert_eq!(out.subjects[0].0, subject);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(stores.gate.met(Need::Lease) && stores.gate.met(Need::Clock));
    stop.cancel();
    serving.await.unwrap();
}
