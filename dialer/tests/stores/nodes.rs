//! Several processes: taking contacts, and finishing what a dead one left.

use std::{collections::BTreeSet, time::Duration};

use dialer::store::take::{Take, Taken};
use dialer_engine::Next;
use dialer_types::{Disposition, Outcome, UnixMillis};

use crate::world::{NOW, World, lost};

fn done(take: Take) -> Vec<Taken> {
    match take {
        Take::Done(taken) => taken,
        Take::Unknown(_, error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn two_dialers_take_every_due_contact_once_and_none_that_is_not_due() {
    let mut world = World::new().await;
    let now = world.stores.clock.now().wall;
    let mut due = BTreeSet::new();
    for minute in 0..30 {
        let at = now.before(Duration::from_secs(60 * minute));
        due.insert(world.contact(Some(at)).await.id);
    }
    for _ in 0..5 {
        world.contact(Some(now.after(Duration::from_secs(3600)))).await;
    }
    world.sql("UPDATE due SET priority = 3 WHERE due_at % 2 = 0").await;
    let other = world.another().await;
    let mut taken = Vec::new();
    loop {
        let (a, b) =
            tokio::join!(world.stores.take(world.campaign, 4), other.take(world.campaign, 4));
        let (a, b) = (done(a.unwrap()), done(b.unwrap()));
        if a.is_empty() && b.is_empty() {
            break;
        }
        taken.extend(a.into_iter().chain(b));
    }
    assert_eq!(taken.len(), 30);
    assert!(taken.iter().all(|taken| taken.numbers.len() == 1 && taken.attempt.try_no == 1));
    assert_eq!(taken.into_iter().map(|taken| taken.attempt.contact).collect::<BTreeSet<_>>(), due);
    assert_eq!(world.count("SELECT count(*) FROM due").await, 5);
    assert_eq!(world.count("SELECT count(DISTINCT node) FROM contact WHERE state = 3").await, 2);
}

#[tokio::test]
async fn a_lower_priority_number_is_taken_first() {
    let mut world = World::new().await;
    let late = world.contact(Some(UnixMillis(5))).await;
    world.sql("UPDATE due SET priority = 1").await;
    let first = world.contact(Some(UnixMillis(9))).await;
    let mut order = Vec::new();
    for _ in 0..2 {
        order.extend(done(world.stores.take(world.campaign, 1).await.unwrap()));
    }
    let order: Vec<_> = order.into_iter().map(|taken| taken.attempt.contact).collect();
    assert_eq!(order, [first.id, late.id]);
}

#[tokio::test]
async fn a_dead_nodes_placements_become_unknown_and_its_leases_are_due_again() {
    let mut world = World::new().await;
    let (called, leased) = (world.contact(None).await, world.contact(None).await);
    let placed = world.place(called, 1).await;
    let other = world.another().await;
    other.reap(world.stores.node).await.unwrap();
    let truth = world.truth().await;
    assert_eq!(truth[&called.person].entries()[0].outcome, Outcome::Unknown, "it counts as made");
    let unknown = "SELECT count(*) FROM outcome WHERE disposition = 19 AND revision = 0";
    assert_eq!(world.count(unknown).await, 1);
    let next = "SELECT count(*) FROM contact c JOIN due d ON d.contact_id = c.id
                WHERE c.try_no = 2 AND c.made = 1 AND d.because = 'outcome_unknown'";
    assert_eq!(world.count(next).await, 1);
    let back = "SELECT count(*) FROM contact c JOIN due d ON d.contact_id = c.id
                WHERE c.try_no = 1 AND c.made = 0 AND d.because = 'node_died'";
    assert_eq!(world.count(back).await, 1);
    assert_eq!(world.count("SELECT count(*) FROM node WHERE stopped_at IS NOT NULL").await, 1);

    // The dead node was only slow: what it knows is a correction, and both rows stay.
    let answered = Next::Finished { why: "answered".into() };
    let item = [world.ended(&placed, Disposition::Answered, answered)];
    world.stores.write(world.stores.node, &item).await.unwrap();
    let outcome = world.truth().await[&called.person].entries()[0].outcome;
    assert_eq!(outcome, Outcome::Conversation);
    let corrected = "SELECT count(*) FROM outcome WHERE disposition = 1 AND revision = 1";
    assert_eq!(world.count(corrected).await, 1);
    assert_eq!(world.count(next).await, 1, "the contact is somebody else's by now");

    // And what it would have placed for the contact it lost is refused.
    let heads = world.heads(leased).await;
    let late = world.judged(leased, 1, &heads);
    let theirs = world.judged(leased, 1, &heads);
    assert!(!lost(&other.commit(vec![theirs]).await));
    assert!(lost(&world.stores.commit(vec![late]).await));
}

#[tokio::test]
async fn what_a_dead_node_called_unknown_is_never_released() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    world.another().await.reap(world.stores.node).await.unwrap();
    let again = Next::Due { at: NOW, because: "not_sent".into() };
    let item = [world.ended(&placed, Disposition::NotSent, again)];
    world.stores.write(world.stores.node, &item).await.unwrap();
    assert_eq!(world.truth().await[&contact.person].entries().len(), 1);
    assert_eq!(world.count("SELECT count(*) FROM outcome").await, 1);
}

/// A process that was frozen until others took it for dead wakes up in the middle of its work.
#[tokio::test]
async fn a_node_that_was_taken_for_dead_takes_and_commits_nothing_more() {
    let mut world = World::new().await;
    let frozen = world.another().await;
    let contact = world.contact(None).await;
    let heads = world.heads(contact).await;
    let commitment = world.judged(contact, 1, &heads);
    assert!(frozen.redis.reserve(&commitment.demand).await.unwrap());
    world.stores.reap(frozen.node).await.unwrap();
    assert!(lost(&frozen.commit(vec![commitment]).await));
    assert_eq!(world.count("SELECT count(*) FROM attempt").await, 0);
    world.contact(Some(UnixMillis(5))).await;
    assert!(done(frozen.take(world.campaign, 4).await.unwrap()).is_empty());
    assert_eq!(done(world.stores.take(world.campaign, 4).await.unwrap()).len(), 1);
}

#[tokio::test]
async fn a_name_is_taken_while_its_heartbeat_moves_and_free_when_it_stands_still() {
    let world = World::new().await;
    let name = world.stores.node.to_string();
    let other = world.another().await;
    assert_eq!(other.older_incarnations(&name).await.unwrap(), [world.stores.node]);
    let beating = async {
        loop {
            let now = world.stores.clock.now().wall.0;
            world.sql(&format!("UPDATE node SET heartbeat_at = {now}")).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = beating => {}
        taken = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            other.older_incarnations(&name).await
        } => assert!(taken.is_err()),
    }
}
