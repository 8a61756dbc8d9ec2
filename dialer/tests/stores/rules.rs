//! Rule packs that were replaced: on record once, and whoever waits by those before is judged again.

use std::time::Duration;

use dialer_audit::{Body, Hash, canonical, record::RulesChanged};
use dialer_engine::{Denied, Next};
use dialer_policy::RulesetVersion;
use dialer_types::{AttemptId, Disposition, NodeId, RuleId, UnixMillis};

use schema::story;

use crate::world::{Contact, NOW, World, keys};

const OLD: RulesetVersion = RulesetVersion([1; 32]);
const NEW: RulesetVersion = RulesetVersion([2; 32]);

/// Every change of rules on record: by whom, from which, to which.
async fn changes(world: &World) -> Vec<(Option<NodeId>, Hash, Hash)> {
    let leaves: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT leaf FROM audit_entry WHERE kind = 12 ORDER BY id")
            .fetch_all(&world.owner)
            .await
            .unwrap();
    let told = leaves.iter().map(|leaf| {
        let record = canonical::decode(leaf).unwrap();
        match record.body {
            Body::Rules(RulesChanged { ruleset_before, ruleset }) => {
                (record.node, ruleset_before, ruleset)
            }
            other => panic!("{other:?}"),
        }
    });
    told.collect()
}

#[tokio::test]
async fn a_change_of_rules_is_on_record_once_whether_it_came_while_a_dialer_ran_or_not() {
    let world = World::new().await;
    let ran = &world.stores;
    let first = ran.rules_in_force(OLD).await.unwrap();
    assert_eq!((first, ran.rules_in_force(OLD).await.unwrap()), (UnixMillis(0), first));
    assert!(changes(&world).await.is_empty(), "the first rules replace none");
    let second = ran.rules_in_force(NEW).await.unwrap();
    assert!(second > first);
    assert_eq!(ran.rules_in_force(NEW).await.unwrap(), second, "again: its answer was lost");
    let (old, new) = (Hash(OLD.0), Hash(NEW.0));
    assert_eq!(changes(&world).await, [(Some(ran.node), old, new)]);

    let later = world.another().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(
        later.rules_in_force(NEW).await.unwrap(),
        second,
        "in force since the other had them"
    );
    assert_eq!(changes(&world).await.len(), 1);
    let third = world.another().await;
    assert!(third.rules_in_force(OLD).await.unwrap() > second, "it began with others");
    assert_eq!(changes(&world).await[1..], [(Some(third.node), new, old)]);
    let fourth = world.another().await;
    world
        .sql("UPDATE node SET heartbeat_at = 0 WHERE ruleset = decode(repeat('01', 32), 'hex')")
        .await;
    assert_eq!(fourth.rules_in_force(NEW).await.unwrap(), second);
    assert_eq!(changes(&world).await.len(), 2, "a node long dead has been replaced already");
}

#[tokio::test]
async fn the_story_of_an_attempt_tells_a_change_between_two_of_its_records_and_no_other() {
    let mut world = World::new().await;
    let node = world.stores.node;
    for rules in [OLD, NEW] {
        world.stores.rules_in_force(rules).await.unwrap();
    }
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    let changed = changes(&world).await[0];
    let page = async |world: &World| {
        let mut connection = world.owner.acquire().await.unwrap();
        let story = story::read(&mut connection, &keys(), placed.attempt).await.unwrap();
        dialer_audit::page::write(&story.unwrap())
    };
    let told = page(&world).await;
    assert!(!told.contains("Rule packs changed"), "it was over by then\n{told}");
    // Settled after the change; another process changed, too.
    let other = world.another().await;
    other.rules_in_force(OLD).await.unwrap();
    assert_eq!(changes(&world).await[1].0, Some(other.node));
    let ended = dialer_audit::record::NotSent {
        placement: placed.demand.placement(),
        reason: "rules_changed".into(),
    };
    let later = world.stores.clock.now().wall.after(Duration::from_secs(1));
    let record = dialer_audit::Record::new(Some(node), ended.into(), later);
    let item = [dialer::store::ledgers::Item::Record(Box::new(record))];
    world.stores.write(node, &item).await.unwrap();
    let told = page(&world).await;
    assert_eq!(told.matches("Rule packs changed").count(), 1, "{told}");
    let words: Vec<&str> = told.split_whitespace().collect();
    assert!(words.contains(&&*changed.1.to_string()) && words.contains(&&*changed.2.to_string()));
    let at = |what: &str| told.find(what).unwrap();
    assert!(at("Reserved and committed") < at("Rule packs changed"), "{told}");
    assert!(at("Rule packs changed") < at("INVITE not sent"), "{told}");
}

async fn deny(world: &World, contact: Contact, next: Next) {
    let denied = Denied {
        judged: Vec::new(),
        attempt: AttemptId { contact: contact.id, try_no: 1 },
        campaign: world.campaign,
        next,
        records: Vec::new(),
        rules: vec![RuleId::new("house.min_gap")],
    };
    let item = [dialer::store::ledgers::Item::Deny(Box::new(denied))];
    world.stores.write(world.stores.node, &item).await.unwrap();
}

#[tokio::test]
async fn who_was_judged_by_the_rules_before_is_due_at_once_and_nobody_else() {
    let mut world = World::new().await;
    let now = world.stores.clock.now().wall;
    let later = now.after(Duration::from_secs(86_400));
    let deferred = || Next::Due { at: later, because: "house.min_gap".into() };
    // One parked, one deferred, by the rules before and by those in force; one that is to be retried.
    let mut all = Vec::new();
    for at in [NOW, now] {
        let (parked, waits) = (world.contact(None).await, world.contact(None).await);
        deny(&world, parked, Next::Park { cause: "consent".into() }).await;
        deny(&world, waits, deferred()).await;
        world.sql(&format!("UPDATE parked SET since = {} WHERE since = 0", at.0)).await;
        world.sql(&format!("UPDATE due SET judged_at = {} WHERE judged_at = 0", at.0)).await;
        all.push((parked, waits));
    }
    let retried = world.contact(None).await;
    let placed = world.place(retried, 1).await;
    let next = Next::Due { at: later, because: "busy".into() };
    let ended = [world.ended(&placed, Disposition::Busy, next)];
    world.stores.write(world.stores.node, &ended).await.unwrap();

    let before = NOW.before(Duration::from_millis(1));
    assert_eq!(world.stores.judge_again(before).await.unwrap(), 0, "nobody was judged by then");
    assert_eq!(world.stores.judge_again(NOW).await.unwrap(), 2);
    assert_eq!(world.stores.judge_again(NOW).await.unwrap(), 0);
    let woken = "SELECT count(*) FROM due d JOIN contact c ON c.id = d.contact_id
                 WHERE d.because IS NULL AND d.judged_at IS NULL AND c.state = 2 AND c.try_no = 1
                   AND d.due_at < (SELECT max(due_at) FROM due) - 80000000";
    assert_eq!(world.count(woken).await, 2);
    let wait = "SELECT count(*) FROM due WHERE due_at = (SELECT max(due_at) FROM due)
                AND because IN ('busy', 'house.min_gap')";
    assert_eq!(world.count(wait).await, 2, "the retry, and who was judged by the rules in force");
    assert_eq!(world.count("SELECT count(*) FROM parked").await, 1);
    let dialer::store::take::Take::Done(taken) =
        world.stores.take(world.campaign, 9).await.unwrap()
    else {
        panic!("the lease is not known");
    };
    let mut taken: Vec<_> = taken.iter().map(|taken| taken.attempt.contact).collect();
    taken.sort_unstable();
    let mut expected = vec![all[0].0.id, all[0].1.id];
    expected.sort_unstable();
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn a_great_many_are_woken_some_at_a_time() {
    let mut world = World::new().await;
    let most = dialer::store::rules::WAKE_AT_ONCE;
    let one = world.contact(None).await;
    deny(&world, one, Next::Park { cause: "consent".into() }).await;
    // Copies of that contact and of where it waits.
    world
        .sql(&format!(
            "ALTER TABLE contact DROP CONSTRAINT contact_campaign_id_person_subject_key;
             INSERT INTO contact (id, campaign_id, list_id, person_subject, party_type, party_role,
                                  country, region, state)
             SELECT gen_random_uuid(), campaign_id, list_id, person_subject, party_type, party_role,
                    country, region, state FROM contact, generate_series(1, {most} + 500);
             INSERT INTO parked SELECT id, campaign_id, 'consent', '{{}}', 5 FROM contact
             ON CONFLICT DO NOTHING;"
        ))
        .await;
    let mut woken = Vec::new();
    for _ in 0..3 {
        woken.push(world.stores.judge_again(NOW).await.unwrap());
    }
    assert_eq!(woken, [most, 501, 0]);
    assert_eq!(world.count("SELECT count(*) FROM due").await, most + 501);
}
