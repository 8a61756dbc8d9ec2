//! A cluster of three masters.

use std::sync::Arc;

use dialer_stores::{RIGHTS, Redis, RedisError};
use dialer_types::SubjectId;
use schema::{config::RedisWay, testing::PrivateCluster};

use crate::{demand, head, load, many, moved, places, tokens};

/// Subjects whose slots lie on the first, the second and the last master, in the order of slots.
const SPREAD: [i64; 3] = [1, 3, 2];

fn slot_of(cluster: &PrivateCluster, subject: i64) -> u16 {
    let said = cluster.nodes[0].ask(&[&format!("CLUSTER KEYSLOT rf2:{subject}")]).unwrap();
    said.lines().next().unwrap().trim_start_matches(':').parse().unwrap()
}

fn reach(cluster: &PrivateCluster) -> Redis {
    // One that is not there, too: the others name the nodes.
    let mut seeds = places(&cluster.places()[..1]);
    seeds.insert(0, places(&["127.0.0.1:1".to_owned()]).remove(0));
    // A user who may do what the manual lists, and no more.
    for node in &cluster.nodes {
        let said = node.ask(&[&format!("ACL SETUSER ringfence on >secret {RIGHTS}")]).unwrap();
        assert_eq!(said, "+OK\r\n");
    }
    let mut config = many(RedisWay::Cluster(seeds), "secret");
    config.login.username = Some("ringfence".to_owned());
    Redis::reach(&config).unwrap()
}

#[tokio::test]
async fn heads_in_many_slots_are_read_loaded_followed_and_forgotten() {
    let cluster = PrivateCluster::start().unwrap();
    let redis = reach(&cluster);
    redis.check().await.unwrap();
    let heads: Vec<_> = (0..1_000).map(|it| (SubjectId(it), head(7, 3), false)).collect();
    redis.load(&heads).await.unwrap();
    let all: Vec<i64> = (0..1_001).rev().collect();
    let read = tokens(&redis, &all).await;
    assert_eq!((read[0], read[1..].iter().all(|token| *token == 7)), (0, true));
    let moves: Vec<_> = (0..1_000).map(|it| moved(it, 7 - u128::from(it == 3), 8)).collect();
    redis.follow(&moves).await.unwrap();
    assert_eq!(tokens(&redis, &[0, 3, 999]).await, [8, 0, 8]);
    redis.forget(&heads.iter().map(|it| it.0).collect::<Vec<_>>()).await.unwrap();
    assert!(tokens(&redis, &all).await.iter().all(|token| *token == 0));
    let mut heard = redis.subscription().await.unwrap();
    heard.subscribe("rf:campaign").await.unwrap();
    redis.publish("rf:campaign", "{}").await.unwrap();
    let message = futures_util::StreamExt::next(&mut heard.on_message()).await.unwrap();
    assert_eq!(message.get_payload_bytes(), b"{}");
    for node in &cluster.nodes {
        node.empty().unwrap();
    }
    load(&redis, &[(1, 1), (2, 2), (6, 6)]).await;
    assert_eq!(tokens(&redis, &[1, 2, 6]).await, [1, 2, 6], "functions are loaded at every node");
}

#[tokio::test]
async fn a_reserve_over_several_slots_that_fails_at_a_later_one_leaves_no_copy_at_the_first() {
    let cluster = PrivateCluster::start().unwrap();
    let redis = reach(&cluster);
    redis.check().await.unwrap();
    let [first, second, third] = SPREAD;
    let slots = SPREAD.map(|subject| slot_of(&cluster, subject));
    assert!(
        slots[0] < 5_461 && (5_461..10_923).contains(&slots[1]) && slots[2] > 10_922,
        "{slots:?}"
    );
    load(&redis, &[(first, 11), (second, 22), (third, 33)]).await;
    let whole = demand(100, &[(first, 11), (second, 22), (third, 33)]);
    assert!(redis.reserve(&whole).await.unwrap());
    assert_eq!(tokens(&redis, &SPREAD).await, [100, 100, 100]);
    // The first slot refuses: nothing happened at all.
    let stale = demand(200, &[(first, 11), (second, 100)]);
    assert!(!redis.reserve(&stale).await.unwrap());
    assert_eq!(tokens(&redis, &SPREAD).await, [100, 100, 100]);
    // The last one refuses: what was set before it is of a placement that will never be.
    let stale = demand(300, &[(first, 100), (second, 100), (third, 33)]);
    assert!(!redis.reserve(&stale).await.unwrap());
    assert_eq!(tokens(&redis, &SPREAD).await, [0, 0, 100]);
    // One of the copies is missing: the same.
    load(&redis, &[(first, 11)]).await;
    let half = demand(400, &[(first, 11), (second, 22)]);
    assert!(!redis.reserve(&half).await.unwrap());
    assert_eq!(tokens(&redis, &SPREAD).await, [0, 0, 100]);
    // The same of several at once.
    load(&redis, &[(first, 11)]).await;
    let [whole, half] = [&[(third, 100)][..], &[(first, 11), (second, 22)]];
    let both = [demand(500, whole), demand(501, half)].map(Arc::new);
    assert_eq!(redis.reserve_each(&both).await.unwrap(), [true, false]);
    assert_eq!(tokens(&redis, &SPREAD).await, [0, 0, 500]);
}

#[tokio::test]
async fn a_slot_that_moves_is_followed_without_a_failure() {
    let cluster = PrivateCluster::start().unwrap();
    let redis = reach(&cluster);
    redis.check().await.unwrap();
    let (moving, slot) = (SPREAD[0], slot_of(&cluster, SPREAD[0]));
    load(&redis, &[(moving, 11)]).await;
    let id = |at: usize| {
        let said = cluster.nodes[at].ask(&["CLUSTER MYID"]).unwrap();
        said.lines().nth(1).unwrap().to_owned()
    };
    let (from, to) = (id(0), id(1));
    // On its way: what is not at the old node any more is asked for at the new one.
    let set = |at: usize, what: &str| {
        let said = cluster.nodes[at].ask(&[&format!("CLUSTER SETSLOT {slot} {what}")]).unwrap();
        assert!(said.starts_with("+OK"), "{said}");
    };
    set(1, &format!("IMPORTING {from}"));
    set(0, &format!("MIGRATING {to}"));
    assert_eq!(tokens(&redis, &[moving]).await, [11], "it is still there");
    redis.forget(&[SubjectId(moving)]).await.unwrap();
    load(&redis, &[(moving, 12)]).await;
    assert_eq!(tokens(&redis, &[moving]).await, [12]);
    let held = cluster.nodes[1].ask(&[&format!("CLUSTER COUNTKEYSINSLOT {slot}")]).unwrap();
    assert!(held.starts_with(":1"), "it was loaded where it goes: {held}");
    // Arrived: the map is of yesterday.
    for at in [1, 0, 2] {
        set(at, &format!("NODE {to}"));
    }
    let before = redis.moves();
    // The map is not asked for twice within a tenth of a second.
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    assert!(redis.reserve(&demand(100, &[(moving, 12)])).await.unwrap());
    assert_eq!(tokens(&redis, &[moving]).await, [100]);
    assert!(redis.moves() > before, "the map was read anew");
}

#[tokio::test]
async fn a_cluster_without_one_of_its_masters_is_away_and_comes_back_by_itself() {
    let mut cluster = PrivateCluster::start().unwrap();
    let redis = reach(&cluster);
    redis.check().await.unwrap();
    cluster.nodes[1].stop();
    assert!(redis.probe().await.is_err());
    let refused = redis.reserve(&demand(1, &[(SPREAD[1], 1)])).await;
    assert!(refused.is_err(), "{refused:?}");
    cluster.nodes[1].start_again().unwrap();
    // Users are not kept where nothing is.
    cluster.nodes[1].ask(&[&format!("ACL SETUSER ringfence on >secret {RIGHTS}")]).unwrap();
    let mut back = Err(RedisError::Late);
    for _ in 0..100 {
        back = redis.probe().await;
        if back.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    back.unwrap();
}
