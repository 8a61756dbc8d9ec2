//! What a head costs in Redis: 280 bytes or less for one with seven entries.

use dialer_stores::Redis;
use dialer_types::SubjectId;
use schema::{
    config::RedisWay,
    testing::{PrivateCluster, PrivateRedis},
};

use crate::{head, many, places};

/// The bound of the issue.
const MOST: i64 = 280;
/// Ten digits, as after ten billion persons.
const FIRST: i64 = 1_000_000_000;

/// Bytes a subject, over `count` of them: memory in use after minus before.
async fn bytes_each(redis: &Redis, count: i64) -> i64 {
    redis.check().await.unwrap();
    let before = redis.figures().await.unwrap().used;
    let heads: Vec<_> = (0..count).map(|it| (SubjectId(FIRST + it), head(7, 7), false)).collect();
    for part in heads.chunks(2_000) {
        redis.load(part).await.unwrap();
    }
    // Tables of keys that grow hold both sizes for a moment.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    (redis.figures().await.unwrap().used - before) / count
}

/// (evicting, keeping, in a cluster)
async fn measured(count: i64) -> (i64, i64, i64) {
    let server = PrivateRedis::start().unwrap();
    let redis = Redis::new(&server.url()).unwrap();
    server.ask(&["CONFIG SET maxmemory 1gb", "CONFIG SET maxmemory-policy allkeys-lru"]).unwrap();
    let evicting = bytes_each(&redis, count).await;
    server.ask(&["FLUSHALL", "CONFIG SET maxmemory-policy noeviction"]).unwrap();
    let keeping = bytes_each(&redis, count).await;
    let cluster = PrivateCluster::start().unwrap();
    for node in &cluster.nodes {
        node.ask(&["CONFIG SET maxmemory 1gb", "CONFIG SET maxmemory-policy allkeys-lru"]).unwrap();
    }
    let way = RedisWay::Cluster(places(&cluster.places()));
    let redis = Redis::reach(&many(way, cluster.nodes[0].password())).unwrap();
    let clustered = bytes_each(&redis, count).await;
    (evicting, keeping, clustered)
}

#[tokio::test]
async fn a_head_with_seven_entries_takes_280_bytes_or_less() {
    let (evicting, keeping, clustered) = measured(20_000).await;
    println!("evicting {evicting}, keeping {keeping}, cluster {clustered} bytes a subject");
    assert!(evicting <= MOST && clustered <= MOST, "{evicting}, {clustered}");
    assert!(keeping <= MOST + 46, "{keeping}: a lapse costs more than it did");
}

/// Not a check: prints what `dialer/ARCHITECTURE.md` states.
#[tokio::test]
#[ignore = "300,000 subjects"]
async fn measure() {
    let (evicting, keeping, clustered) = measured(300_000).await;
    println!("evicting {evicting}, keeping {keeping}, cluster {clustered} bytes a subject");
}
