//! One server.

use std::{sync::Arc, time::Duration};

use dialer_stores::{LAPSE, Redis, RedisError};
use dialer_types::SubjectId;
use schema::testing::{PrivateRedis, unfit_redis};

use crate::{calls, demand, head, load, moved, tokens, with};

#[tokio::test]
async fn heads_are_loaded_reserved_followed_and_forgotten() {
    let server = PrivateRedis::start().unwrap();
    let redis = Redis::new(&server.url()).unwrap();
    redis.check().await.unwrap();
    load(&redis, &[(1, 11), (2, 22)]).await;
    // A copy that is there stays, unless it is to be replaced.
    let older = [(SubjectId(1), head(5, 1), false), (SubjectId(3), head(33, 1), false)];
    redis.load(&older).await.unwrap();
    assert_eq!(tokens(&redis, &[3, 1, 4, 2]).await, [33, 11, 0, 22]);
    assert!(!redis.reserve(&demand(100, &[(1, 11), (2, 21)])).await.unwrap());
    assert_eq!(tokens(&redis, &[1, 2]).await, [11, 22], "a refusal changes nothing");
    assert!(redis.reserve(&demand(100, &[(1, 11), (2, 22)])).await.unwrap());
    redis.follow(&[moved(1, 100, 101), moved(2, 99, 102), moved(4, 1, 2)]).await.unwrap();
    assert_eq!(tokens(&redis, &[1, 2, 4]).await, [101, 0, 0], "one followed, one was stale");
    redis.forget(&[SubjectId(1)]).await.unwrap();
    assert_eq!(tokens(&redis, &[1]).await, [0]);
    assert!(redis.read(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn demands_are_granted_in_their_order_by_one_question() {
    let server = PrivateRedis::start().unwrap();
    let redis = Redis::new(&server.url()).unwrap();
    redis.check().await.unwrap();
    load(&redis, &[(1, 11), (2, 22), (3, 33)]).await;
    let demands = || {
        let all: [(u128, &[(i64, u128)]); 4] =
            [(100, &[(1, 11)]), (101, &[(1, 11), (2, 22)]), (102, &[(2, 22)]), (103, &[(3, 30)])];
        all.map(|(placement, heads)| Arc::new(demand(placement, heads)))
    };
    assert_eq!(redis.reserve_each(&demands()).await.unwrap(), [true, false, true, false]);
    assert_eq!(tokens(&redis, &[1, 2, 3]).await, [100, 102, 33], "a refusal changes nothing");
    assert_eq!(redis.reserve_each(&demands()).await.unwrap(), [false; 4]);
    assert!(redis.reserve_each(&[]).await.unwrap().is_empty());
    // Who misses the functions loads them; the copies are gone, so nothing is granted.
    server.empty().unwrap();
    let loads = calls(&server, "function|load");
    assert_eq!(redis.reserve_each(&demands()).await.unwrap(), [false; 4]);
    assert_eq!(calls(&server, "function|load") - loads, 1);
    // A master that is a replica now keeps its clients. Who is told so asks again over a new connection.
    server.ask(&["REPLICAOF 127.0.0.1 1"]).unwrap();
    assert!(redis.reserve_each(&demands()).await.is_err());
    let said = redis.reserve_each(&demands()).await;
    assert!(matches!(said, Err(RedisError::NotMaster { .. })), "{said:?}");
}

#[tokio::test]
async fn two_thousand_heads_are_loaded_in_four_calls() {
    let server = PrivateRedis::start().unwrap();
    let redis = Redis::new(&server.url()).unwrap();
    redis.check().await.unwrap();
    let before = calls(&server, "fcall");
    let heads: Vec<_> = (0..2_000).map(|it| (SubjectId(it), head(7, 7), false)).collect();
    redis.load(&heads).await.unwrap();
    assert_eq!(calls(&server, "fcall") - before, 4);
    let read = redis.read(&heads.iter().map(|it| it.0).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(read.iter().flatten().count(), 2_000);
}

#[tokio::test]
async fn functions_that_were_flushed_are_loaded_once_for_all_who_miss_them() {
    let server = PrivateRedis::start().unwrap();
    let redis = Arc::new(Redis::new(&server.url()).unwrap());
    redis.check().await.unwrap();
    load(&redis, &[(1, 11)]).await;
    server.empty().unwrap();
    let before = calls(&server, "function|load");
    let all = (0..100).map(|it| {
        let redis = Arc::clone(&redis);
        async move { redis.load(&[(SubjectId(it), head(7, 2), false)]).await.unwrap() }
    });
    futures_util::future::join_all(all).await;
    assert_eq!(calls(&server, "function|load") - before, 1);
    assert_eq!(tokens(&redis, &[0, 99]).await, [7, 7]);
    server.empty().unwrap();
    redis.probe().await.unwrap();
    assert_eq!(calls(&server, "function|load") - before, 2);
}

#[tokio::test]
async fn functions_of_another_build_are_never_replaced() {
    let server = PrivateRedis::start().unwrap();
    let redis = Redis::new(&server.url()).unwrap();
    redis.check().await.unwrap();
    // An older release's library stays beside ours.
    let older = "FUNCTION LOAD \"#!lua name=ringfence_v1\\nredis.register_function('rf1_reserve', function() return 1 end)\"";
    assert!(server.ask(&[older]).unwrap().contains("ringfence_v1"));
    redis.check().await.unwrap();
    // Somebody else's build of the same version, without one of our functions.
    let other = "FUNCTION LOAD REPLACE \"#!lua name=ringfence_v2\\nredis.register_function('rf2_ready', function() return 'other' end)\"";
    assert!(server.ask(&[other]).unwrap().contains("ringfence_v2"));
    assert!(matches!(redis.check().await, Err(RedisError::OtherFunctions)));
    let refused = redis.load(&[(SubjectId(1), head(7, 2), false)]).await;
    assert!(matches!(refused, Err(RedisError::OtherFunctions)), "{refused:?}");
    let listed = server.ask(&["FUNCTION LIST WITHCODE"]).unwrap();
    assert!(listed.contains("return 'other'") && listed.contains("ringfence_v1"), "{listed}");
}

#[tokio::test]
async fn a_connection_that_broke_is_made_anew_and_what_is_harmless_is_sent_again() {
    let mut server = PrivateRedis::start().unwrap();
    let redis = Redis::new(&server.url()).unwrap();
    redis.check().await.unwrap();
    load(&redis, &[(1, 11)]).await;
    server.ask(&["CLIENT KILL TYPE normal SKIPME yes"]).unwrap();
    assert_eq!(tokens(&redis, &[1]).await, [11]);
    server.ask(&["CLIENT KILL TYPE normal SKIPME yes"]).unwrap();
    let unknown = redis.reserve(&demand(100, &[(1, 11)])).await;
    assert!(unknown.is_err(), "nobody knows what became of it: {unknown:?}");
    assert!(redis.reserve(&demand(100, &[(1, 11)])).await.unwrap());
    server.stop();
    assert!(redis.probe().await.is_err());
    server.start_again().unwrap();
    redis.probe().await.unwrap();
    assert_eq!(tokens(&redis, &[1]).await, [0], "it came back empty");
}

#[tokio::test]
async fn a_server_that_hangs_is_late_and_not_waited_for() {
    let server = PrivateRedis::start().unwrap();
    let redis = Redis::new(&server.url()).unwrap();
    redis.check().await.unwrap();
    let signal = |name: &str| {
        let mut kill = std::process::Command::new("sh");
        kill.args(["-c", "kill \"$0\" \"$1\"", name]).arg(server.pid().to_string());
        assert!(kill.status().unwrap().success());
    };
    signal("-STOP");
    let judged = demand(1, &[(1, 1)]);
    let asked = redis.reserve(&judged);
    let answer = tokio::time::timeout(Duration::from_millis(2_500), asked).await.unwrap();
    signal("-CONT");
    assert!(matches!(answer, Err(RedisError::Late)), "{answer:?}");
}

#[tokio::test]
async fn out_of_memory_is_said_and_copies_follow_all_the_same_and_it_recovers_by_itself() {
    let server = PrivateRedis::start().unwrap();
    let redis = Redis::new(&server.url()).unwrap();
    redis.check().await.unwrap();
    load(&redis, &[(1, 11), (2, 22)]).await;
    server.ask(&["CONFIG SET maxmemory 1mb"]).unwrap();
    assert!(matches!(redis.probe().await, Err(RedisError::OutOfMemory)));
    assert!(redis.is_out_of_memory());
    redis.check().await.unwrap();
    let full = redis.reserve(&demand(100, &[(1, 11)])).await;
    assert!(matches!(full, Err(RedisError::OutOfMemory)), "{full:?}");
    redis.follow(&[moved(1, 11, 12), moved(2, 9, 10)]).await.unwrap();
    assert_eq!(tokens(&redis, &[1, 2]).await, [12, 0], "what holds is not stale for want of room");
    redis.forget(&[SubjectId(1)]).await.unwrap();
    server.ask(&["CONFIG SET maxmemory 0"]).unwrap();
    redis.probe().await.unwrap();
    assert!(!redis.is_out_of_memory());
}

#[tokio::test]
async fn copies_lapse_where_redis_does_not_evict_and_are_let_go_where_it_does() {
    let server = PrivateRedis::start().unwrap();
    let redis = Redis::new(&server.url()).unwrap();
    redis.check().await.unwrap();
    load(&redis, &[(1, 11)]).await;
    let lapse = |key: &str| -> i64 {
        let said = server.ask(&[&format!("PTTL {key}")]).unwrap();
        said.lines().next().unwrap().trim_start_matches(':').parse().unwrap()
    };
    let whole = i64::try_from(LAPSE.as_millis()).unwrap();
    assert!((whole - 60_000..=whole).contains(&lapse("rf2:1")), "{}", lapse("rf2:1"));
    assert!(redis.reserve(&demand(100, &[(1, 11)])).await.unwrap());
    assert!(lapse("rf2:1") <= 10_000, "a reservation lapses soon");
    redis.follow(&[moved(1, 100, 101)]).await.unwrap();
    assert!(lapse("rf2:1") > whole - 60_000);

    server.ask(&["CONFIG SET maxmemory 4mb", "CONFIG SET maxmemory-policy allkeys-lru"]).unwrap();
    redis.check().await.unwrap();
    let heads: Vec<_> = (0..20_000).map(|it| (SubjectId(it), head(7, 7), true)).collect();
    redis.load(&heads).await.unwrap();
    assert_eq!(lapse("rf2:19999"), -1, "a lapse costs 46 bytes a copy");
    let figures = redis.figures().await.unwrap();
    assert!(figures.evicted > 1_000 && figures.used <= 4 << 20, "{figures:?}");
    assert_eq!(figures.most, 4 << 20);
    redis.probe().await.unwrap();
    let held = redis.read(&heads.iter().map(|it| it.0).collect::<Vec<_>>()).await.unwrap();
    let held = held.iter().flatten().count();
    assert!((1_000..19_000).contains(&held), "{held} of 20000 are held");
}

#[tokio::test]
async fn a_master_that_was_demoted_is_told_nothing_more() {
    let (server, other) = (PrivateRedis::start().unwrap(), PrivateRedis::start().unwrap());
    let redis = Redis::new(&server.url()).unwrap();
    redis.check().await.unwrap();
    load(&redis, &[(1, 11)]).await;
    // Even one that would take writes: `replica-read-only no`.
    server.ask(&["CONFIG SET replica-read-only no"]).unwrap();
    server.ask(&[&format!("REPLICAOF 127.0.0.1 {}", other.port())]).unwrap();
    assert!(matches!(redis.probe().await, Err(RedisError::NotMaster { .. })));
    let refused = redis.forget(&[SubjectId(1)]).await;
    assert!(matches!(refused, Err(RedisError::NotMaster { .. })), "{refused:?}");
    assert!(server.ask(&["EXISTS rf2:1"]).unwrap().starts_with(":1"));
    server.ask(&["REPLICAOF NO ONE"]).unwrap();
    redis.probe().await.unwrap();
}

#[tokio::test]
async fn every_unfit_redis_is_refused_with_what_to_do() {
    for unfit in unfit_redis().unwrap() {
        let redis = Redis::new(&unfit.url).unwrap();
        let error = redis.check().await.expect_err(unfit.what).to_string();
        assert!(error.contains(unfit.remedy), "{}: {error}", unfit.what);
        assert!(!error.contains("wr0ng") && !error.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn policies_that_may_be_are_let_pass() {
    for policy in ["noeviction", "allkeys-lru", "allkeys-lfu"] {
        let server = with(&[&format!("maxmemory-policy {policy}")]);
        Redis::new(&server.url()).unwrap().check().await.unwrap();
    }
}
