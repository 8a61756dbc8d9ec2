//! The master that Sentinels name.

use std::time::Duration;

use dialer_stores::{Redis, RedisError};
use schema::{
    config::{Login, RedisWay, Secret},
    testing::{PrivateRedis, RedisOptions, SERVICE, WatchedRedis},
};

use crate::{demand, load, many, places, tokens};

fn reach(sentinels: &[String], service: &str, password: &str) -> Redis {
    let login = Login { username: None, password: Some(Secret::new(password.to_owned())) };
    let way =
        RedisWay::Sentinel { sentinels: places(sentinels), service: service.to_owned(), login };
    Redis::reach(&many(way, password)).unwrap()
}

/// Probes as a dialer does, until it is as wished; the last answer.
async fn until(
    redis: &Redis,
    wished: impl Fn(&Result<(), RedisError>) -> bool,
) -> Result<(), RedisError> {
    let mut answer = redis.probe().await;
    for _ in 0..200 {
        if wished(&answer) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = redis.probe().await;
    }
    answer
}

#[tokio::test]
async fn a_master_that_died_is_replaced_by_the_one_that_the_sentinels_elect() {
    let mut all = WatchedRedis::start().unwrap();
    let redis = reach(&all.places(), SERVICE, all.servers[0].password());
    redis.check().await.unwrap();
    load(&redis, &[(1, 11)]).await;
    assert!(all.servers[0].ask(&["EXISTS rf2:1"]).unwrap().starts_with(":1"));
    let before = redis.moves();
    all.servers[0].stop();
    assert!(redis.reserve(&demand(100, &[(1, 11)])).await.is_err());
    until(&redis, Result::is_ok).await.unwrap();
    assert!(redis.moves() > before);
    // Functions came along with the data, and writes go to one that says it is the master.
    load(&redis, &[(2, 22)]).await;
    assert_eq!(tokens(&redis, &[2]).await, [22]);
    let masters = all.servers[1..].iter().filter(|server| {
        let role = server.ask(&["ROLE"]).unwrap();
        let holds = server.ask(&["EXISTS rf2:2"]).unwrap().starts_with(":1");
        role.contains("master") && holds
    });
    assert_eq!(masters.count(), 1);
    // One Sentinel fewer is still a majority.
    all.sentinels[0].stop();
    redis.probe().await.unwrap();
}

#[tokio::test]
async fn sentinels_that_contradict_each_other_close_the_gate_until_a_majority_agrees() {
    let servers: Vec<_> = (0..3).map(|_| start("secret")).collect();
    let sentinels: Vec<_> =
        servers.iter().map(|it| WatchedRedis::sentinel(it.port(), "secret").unwrap()).collect();
    let places: Vec<_> = sentinels.iter().map(|it| format!("127.0.0.1:{}", it.port())).collect();
    let redis = reach(&places, SERVICE, "secret");
    let error = redis.check().await.unwrap_err().to_string();
    assert!(error.contains("name different masters") && error.contains("1 of 3"), "{error}");
    assert!(matches!(redis.probe().await, Err(RedisError::Contradiction(_))));
    // The third is told otherwise: two of three name the first server.
    let port = servers[0].port();
    sentinels[2]
        .ask(&[
            &format!("SENTINEL REMOVE {SERVICE}"),
            &format!("SENTINEL MONITOR {SERVICE} 127.0.0.1 {port} 2"),
            &format!("SENTINEL SET {SERVICE} auth-pass secret"),
        ])
        .unwrap();
    redis.check().await.unwrap();
    load(&redis, &[(1, 11)]).await;
    for (server, held) in servers.iter().zip([":1", ":0", ":0"]) {
        assert!(server.ask(&["EXISTS rf2:1"]).unwrap().starts_with(held));
    }
    // And when that server says it is none, the word of the Sentinels is not enough.
    servers[0].ask(&["CONFIG SET replica-read-only no"]).unwrap();
    servers[0].ask(&[&format!("REPLICAOF 127.0.0.1 {}", servers[1].port())]).unwrap();
    assert!(matches!(redis.probe().await, Err(RedisError::NotMaster { .. })));
}

#[tokio::test]
async fn without_a_majority_nothing_is_known_after_a_second() {
    let server = start("secret");
    let mut sentinels: Vec<_> =
        (0..3).map(|_| WatchedRedis::sentinel(server.port(), "secret").unwrap()).collect();
    let places: Vec<_> = sentinels.iter().map(|it| format!("127.0.0.1:{}", it.port())).collect();
    let redis = reach(&places, SERVICE, "secret");
    redis.check().await.unwrap();
    load(&redis, &[(1, 11)]).await;
    sentinels.iter_mut().take(2).for_each(PrivateRedis::stop);
    // The master is as well as ever, but who says that it is the master?
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    let refused = redis.reserve(&demand(100, &[(1, 11)])).await;
    assert!(
        matches!(refused, Err(RedisError::NoMajority { answered: 1, of: 3, .. })),
        "{refused:?}"
    );
    assert!(server.ask(&["STRLEN rf2:1"]).unwrap().starts_with(":5"), "nothing was written");
    let unknown = reach(&places[2..], "other", "secret").check().await.unwrap_err().to_string();
    assert!(unknown.contains("do not watch a master called \"other\""), "{unknown}");
}

fn start(password: &str) -> PrivateRedis {
    let password = Some(password.to_owned());
    PrivateRedis::with(RedisOptions { password, ..RedisOptions::default() }).unwrap()
}
