//! Shares of the trunks' rates, lent through Postgres.

use std::sync::Arc;

use dialer::{store::Stores, trunks::Ask};
use dialer_types::TrunkId;
use tokio_util::task::TaskTracker;

use crate::world::World;

async fn renew(stores: &Arc<Stores>, trunk: TrunkId, using: u32, wanted: u32) -> u32 {
    let (lent, _) = stores.lend(&[Ask { trunk, using, wanted }]).await.unwrap();
    lent.first().map_or(0, |(_, calls)| *calls)
}

#[tokio::test]
async fn a_rate_is_lent_once_and_what_is_given_up_only_a_second_later() {
    let world = World::new().await;
    let (one, trunk) = (Arc::clone(&world.stores), world.trunk);
    let two = world.another().await;
    assert_eq!(renew(&one, trunk, 0, 10).await, 10);
    assert_eq!(renew(&two, trunk, 0, 10).await, 0, "all of it is lent");
    assert_eq!(renew(&one, trunk, 10, 10).await, 5, "it is to give up half");
    assert_eq!(renew(&two, trunk, 0, 10).await, 0, "which it has not yet");
    assert_eq!(renew(&one, trunk, 5, 10).await, 5);
    assert_eq!(renew(&two, trunk, 0, 10).await, 0, "a second may still hold its calls");
    tokio::time::sleep(std::time::Duration::from_millis(1_020)).await;
    assert_eq!(renew(&two, trunk, 0, 10).await, 5);
    // Of many who ask at once nobody gets what another has.
    let mut others = Vec::new();
    for _ in 0..6 {
        others.push(world.another().await);
    }
    let tasks = TaskTracker::new();
    let asking: Vec<_> = others
        .iter()
        .cloned()
        .map(|it| tasks.spawn(async move { renew(&it, trunk, 0, 10).await }))
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), 0);
    }
    let lent = "SELECT sum(calls)::bigint FROM trunk_share";
    assert_eq!(world.count(lent).await, 10);
    // A trunk that is gone is nobody's.
    let gone = TrunkId(7);
    assert_eq!(renew(&one, gone, 0, 3).await, 0);
    assert_eq!(world.count("SELECT count(DISTINCT trunk_id) FROM trunk_share").await, 1);
}
