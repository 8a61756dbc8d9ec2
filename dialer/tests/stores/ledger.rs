//! Settling, denying, giving back and releasing.

use dialer::store::{ledgers::Item, take::Take};
use dialer_engine::{Denied, Next, Released, Returned};
use dialer_limiter::{Head, Token, redis_key};
use dialer_types::{AttemptId, Disposition, Outcome, RuleId};

use crate::world::{Contact, NOW, World, lost};

async fn copy_of(world: &World, contact: Contact) -> Option<Head> {
    let value = world.stores.redis.send(redis::cmd("GET").arg(redis_key(contact.person))).await;
    let bytes: Option<Vec<u8>> = redis::from_redis_value(value.unwrap()).unwrap();
    bytes.map(|bytes| Head::decode(&bytes).unwrap())
}

fn busy() -> Next {
    Next::Due { at: NOW, because: "busy".into() }
}

#[tokio::test]
async fn settling_moves_the_heads_redis_follows_and_the_contact_is_due_at_its_next_try() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    let item = [world.ended(&placed, Disposition::Busy, busy())];
    world.stores.write(world.stores.node, &item).await.unwrap();
    let truth = world.truth().await;
    assert_eq!(truth[&contact.person].entries()[0].outcome, Outcome::Busy);
    assert_ne!(truth[&contact.person].token(), Token::from(placed.demand.placement()));
    assert_eq!(copy_of(&world, contact).await.as_ref(), truth.get(&contact.person));
    let moved = "SELECT count(*) FROM contact c JOIN due d ON d.contact_id = c.id
                 WHERE c.try_no = 2 AND c.made = 1 AND c.state = 2 AND c.node IS NULL
                   AND c.last_disposition = 2 AND d.because = 'busy'";
    assert_eq!(world.count(moved).await, 1);
    // Written again, as after a commit whose answer was lost: nothing more happens.
    world.stores.write(world.stores.node, &item).await.unwrap();
    assert_eq!(world.truth().await, truth);
    assert_eq!(world.count("SELECT count(*) FROM outcome").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM audit_entry").await, 3);
}

#[tokio::test]
async fn a_placement_that_was_not_sent_stops_counting() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    let item = [world.ended(&placed, Disposition::NotSent, busy())];
    world.stores.write(world.stores.node, &item).await.unwrap();
    assert!(world.truth().await[&contact.person].entries().is_empty());
}

#[tokio::test]
async fn a_stale_copy_is_dropped_when_its_head_moves() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    let other = Head::new(Token(3));
    world.stores.redis.load(&[(contact.person, other, true)]).await.unwrap();
    let item = [world.ended(&placed, Disposition::Busy, busy())];
    world.stores.write(world.stores.node, &item).await.unwrap();
    assert_eq!(copy_of(&world, contact).await, None);
}

fn released(of: &dialer_engine::Commitment) -> [Item; 1] {
    [Item::Release(Box::new(Released {
        placement: of.demand.placement(),
        attempt: of.attempt,
        campaign: of.campaign,
        subjects: of.demand.claims().iter().map(|claim| claim.subject).collect(),
        due_at: NOW,
        because: "commit_unknown",
        at: NOW,
    }))]
}

#[tokio::test]
async fn a_release_fences_a_commit_that_comes_late() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let heads = world.heads(contact).await;
    let commitment = world.judged(contact, 1, &heads);
    world.stores.write(world.stores.node, &released(&commitment)).await.unwrap();
    let before = world.truth().await;
    assert!(lost(&world.stores.commit(vec![commitment]).await));
    assert_eq!(world.truth().await, before);
    assert_eq!(world.count("SELECT count(*) FROM contact WHERE try_no = 2 AND state = 2").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM outcome").await, 0);
}

#[tokio::test]
async fn a_release_after_the_commit_settles_it_as_not_sent_once() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    for _ in 0..2 {
        world.stores.write(world.stores.node, &released(&placed)).await.unwrap();
    }
    assert!(world.truth().await[&contact.number].entries().is_empty());
    assert_eq!(world.count("SELECT count(*) FROM outcome WHERE disposition = 18").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM audit_entry WHERE kind = 4").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM contact WHERE try_no = 2 AND made = 0").await, 1);
}

fn denied(world: &World, contact: Contact, next: Next) -> [Item; 1] {
    [Item::Deny(Box::new(Denied {
        judged: Vec::new(),
        attempt: AttemptId { contact: contact.id, try_no: 1 },
        campaign: world.campaign,
        next,
        records: Vec::new(),
        rules: vec![RuleId::new("us.fcc.ndnc_scrub"), RuleId::new("us.tsr.dnc")],
    }))]
}

#[tokio::test]
async fn a_refused_contact_is_parked_under_its_cause_and_woken_by_it_at_the_same_try() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let cause = "list:us.national_dnc".to_owned();
    let item = denied(&world, contact, Next::Park { cause: cause.clone() });
    world.stores.write(world.stores.node, &item).await.unwrap();
    let parked = "SELECT count(*) FROM parked p JOIN contact c ON c.id = p.contact_id
                  WHERE p.rules = '{us.fcc.ndnc_scrub,us.tsr.dnc}' AND c.state = 4 AND c.try_no = 1";
    assert_eq!(world.count(parked).await, 1);
    world.sql(&format!("UPDATE parked SET since = {}", NOW.0)).await;
    world.stores.wake("list:other", NOW).await.unwrap();
    assert_eq!(world.count(parked).await, 1);
    world.stores.wake(&cause, NOW.before(std::time::Duration::from_millis(1))).await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM parked").await, 1, "judged on the new copy");
    world.stores.wake(&cause, NOW).await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM parked").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM due").await, 1);
    let Take::Done(taken) = world.stores.take(world.campaign, 9).await.unwrap() else {
        panic!("the lease is not known");
    };
    assert_eq!(taken[0].attempt, AttemptId { contact: contact.id, try_no: 1 });
}

#[tokio::test]
async fn a_contact_that_somebody_else_has_by_now_is_not_touched() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let item = denied(&world, contact, Next::Finished { why: "uncallable".into() });
    let other = world.another().await;
    other.write(other.node, &item).await.unwrap();
    let still = "SELECT count(*) FROM contact WHERE state = 3 AND finished IS NULL";
    assert_eq!(world.count(still).await, 1);
    let attempt = AttemptId { contact: contact.id, try_no: 1 };
    let back = Returned { attempt, campaign: world.campaign, at: NOW, because: "gate_unavailable" };
    world.stores.write(world.stores.node, &[Item::Return(back)]).await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM due WHERE because = 'gate_unavailable'").await, 1);
}

#[tokio::test]
async fn a_batch_whose_commit_was_not_answered_is_written_once() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    let ended = world.ended(&placed, Disposition::Busy, busy());
    let Item::Settle(settlement) = &ended else { panic!("not a settlement") };
    // The call's INVITE left, as the audit has it: a record that nothing else keeps from coming twice.
    let sent = dialer_audit::record::Sent {
        placement: settlement.placement,
        sent_at: NOW,
        sip_call_id: "call@here".to_owned(),
    };
    let record = dialer_audit::Record::new(Some(world.stores.node), sent.into(), NOW);
    let batch = [Item::Record(Box::new(record)), ended];
    let entries = "SELECT count(*) FROM audit_entry";
    let at_first = world.count(entries).await;
    let mut number = None;
    world.stores.write_numbered(world.stores.node, &batch, &mut number).await.unwrap();
    assert_eq!(world.count(entries).await, at_first + 2);
    // The contact is taken again before the batch comes again.
    let again = match world.stores.take(placed.campaign, 9).await.unwrap() {
        Take::Done(taken) => taken,
        Take::Unknown(..) => panic!("not taken"),
    };
    assert_eq!(again.len(), 1);
    world.stores.write_numbered(world.stores.node, &batch, &mut number).await.unwrap();
    assert_eq!(world.count(entries).await, at_first + 2);
    assert_eq!(world.count("SELECT count(*) FROM contact WHERE state = 3").await, 1);
    // What comes for the first time is written, whatever it looks like.
    world.stores.write_numbered(world.stores.node, &batch[..1], &mut None).await.unwrap();
    assert_eq!(world.count(entries).await, at_first + 3);
}

#[tokio::test]
async fn a_contact_that_was_given_back_and_taken_again_is_not_given_back_twice() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let attempt = AttemptId { contact: contact.id, try_no: 1 };
    let back = Returned { attempt, campaign: world.campaign, at: NOW, because: "gate_unavailable" };
    let (batch, mut number) = ([Item::Return(back.clone())], None);
    world.stores.write_numbered(world.stores.node, &batch, &mut number).await.unwrap();
    let Take::Done(taken) = world.stores.take(world.campaign, 9).await.unwrap() else {
        panic!("the lease is not known");
    };
    assert_eq!(taken.iter().map(|it| it.attempt).collect::<Vec<_>>(), [attempt]);
    // The answer of the first try was lost; by now the same node has the contact at the same try.
    world.stores.write_numbered(world.stores.node, &batch, &mut number).await.unwrap();
    let leased = "SELECT count(*) FROM contact WHERE state = 3 AND node IS NOT NULL";
    assert_eq!(world.count(leased).await, 1, "it was taken from under this node");
    assert_eq!(world.count("SELECT count(*) FROM due").await, 0);
    // The next batch is another one.
    let next = [Item::Return(Returned { because: "halted", ..back })];
    world.stores.write_numbered(world.stores.node, &next, &mut None).await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM due WHERE because = 'halted'").await, 1);
    // Marks outlive their node for a while: one that others took for dead may be writing still.
    world.stores.stopped(world.stores.node).await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM ledger_mark").await, 1);
    world.sql("UPDATE node SET stopped_at = stopped_at - 86400000").await;
    world.stores.stopped(world.stores.node).await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM ledger_mark").await, 0);
}
