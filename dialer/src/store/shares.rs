//! Renewing this node's shares of the trunks' rates (DESIGN section 4, *Rates*).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dialer_engine::{Input, Lent};
use dialer_limiter::shares::{Figure, SHARE_LIFE, Share, Wish, lend};
use dialer_types::{NodeId, TrunkId, UnixMillis};
use sqlx::{PgConnection, Row};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{StoreError, Stores};
use crate::{
    inbox::Inbox,
    trunks::{Ask, Shares},
};

/// How often shares are renewed: six times in a share's life, so that what one node has no work for
/// is with another within two seconds.
const RENEW: Duration = Duration::from_millis(500);
/// One renewal at a time, over all nodes and trunks: the rows of a trunk are read, judged and written
/// as one.
const LOCK: i64 = 0x5246_5348;
/// Rows of nodes that are gone stay so long.
const FORGET: Duration = Duration::from_secs(60);

/// Renews until the end.
pub async fn serve(stores: Arc<Stores>, shares: Shares, inbox: Inbox, stop: CancellationToken) {
    loop {
        // The life of a share is counted from before it was asked for.
        let asked = stores.clock.now().mono;
        let asks = shares.asks(asked);
        // A node that may take nobody leaves its shares to the others.
        if !asks.is_empty() && stores.gate.is_open() {
            match stores.postgres(stores.lend(&asks)).await {
                Ok((lent, holders)) => {
                    shares.set_holders(holders);
                    let told = shares.lend(&lent, asked + SHARE_LIFE);
                    show(&stores, &told);
                    inbox.send(Input::Lent(told)).await;
                }
                Err(error) => tracing::debug!(%error, "shares of the rates are not renewed"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RENEW) => {}
        }
    }
}

fn show(stores: &Stores, lent: &[Lent]) {
    for share in lent {
        let label = share.trunk.to_string();
        let milli_cps = u32::try_from(share.milli_cps).unwrap_or(u32::MAX);
        let gauge = stores.metrics.trunk_share.with_label_values(&[label.as_str()]);
        gauge.set(f64::from(milli_cps) / 1_000.0);
    }
}

/// What a node may send of each trunk, in calls a second.
pub type Lending = Vec<(TrunkId, u32)>;
/// How many nodes hold a share of each trunk.
pub type Holders = BTreeMap<TrunkId, usize>;

impl Stores {
    /// Renews the shares; returns what this node may send of each trunk from now on, and who does.
    ///
    /// # Errors
    /// If Postgres is not there, late or refuses: then nothing is known of it, and the shares that
    /// the node has go on until they lapse.
    pub async fn lend(&self, asks: &[Ask]) -> Result<(Lending, Holders), StoreError> {
        let trunks: Vec<Uuid> = asks.iter().map(|ask| Uuid::from_u128(ask.trunk.0)).collect();
        let mut tx = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
        let (held, now) = held(&mut tx, &trunks).await?;
        let mut rows = Vec::with_capacity(held.len());
        let mut lent = Vec::with_capacity(held.len());
        let mut holders = Holders::new();
        for ask in asks {
            // A trunk that is gone lends nothing.
            let Some((figure, shares)) = held.get(&ask.trunk) else { continue };
            let wish = Wish { node: self.node, using: ask.using, wanted: ask.wanted };
            let (row, calls) = lend(*figure, shares, wish, now);
            let others = shares.iter().filter(|it| it.node != self.node);
            let others = others.filter(|it| it.calls > 0 && now < it.until).count();
            holders.insert(ask.trunk, others + usize::from(calls > 0));
            rows.push((ask.trunk, row));
            lent.push((ask.trunk, calls));
        }
        write(&mut tx, &rows).await?;
        sqlx::query("DELETE FROM trunk_share WHERE greatest(until, before_until) < $1")
            .bind(now.before(FORGET).0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok((lent, holders))
    }
}

/// The figures and the shares of these trunks, and Postgres's clock when they were read.
type Held = (BTreeMap<TrunkId, (Figure, Vec<Share>)>, UnixMillis);

async fn held(connection: &mut PgConnection, trunks: &[Uuid]) -> Result<Held, StoreError> {
    let rows = sqlx::query(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, t.id, t.milli_cps,
                s.node, s.calls, s.wanted, s.until, s.before, s.before_until
         FROM trunk t LEFT JOIN trunk_share s ON s.trunk_id = t.id WHERE t.id = ANY($1)",
    )
    .bind(trunks)
    .fetch_all(connection)
    .await?;
    let mut clock = 0;
    let mut held = BTreeMap::new();
    for row in &rows {
        clock = row.try_get(0)?;
        let (trunk, milli_cps): (Uuid, i64) = (row.try_get(1)?, row.try_get(2)?);
        let figure = Figure::new(u64::try_from(milli_cps).unwrap_or(0));
        let (_, shares) =
            held.entry(TrunkId(trunk.as_u128())).or_insert_with(|| (figure, Vec::new()));
        let Some(node) = row.try_get::<Option<Uuid>, _>(3)? else { continue };
        let count = |column: usize| {
            row.try_get::<i32, _>(column).map(|count| u32::try_from(count).unwrap_or(0))
        };
        shares.push(Share {
            node: NodeId(node.as_u128()),
            calls: count(4)?,
            wanted: count(5)?,
            until: UnixMillis(row.try_get(6)?),
            before: count(7)?,
            before_until: UnixMillis(row.try_get(8)?),
        });
    }
    Ok((held, UnixMillis(clock)))
}

async fn write(connection: &mut PgConnection, rows: &[(TrunkId, Share)]) -> Result<(), StoreError> {
    let count = |of: fn(&Share) -> u32| -> Vec<i32> {
        rows.iter().map(|(_, row)| i32::try_from(of(row)).unwrap_or(i32::MAX)).collect()
    };
    let time = |of: fn(&Share) -> UnixMillis| -> Vec<i64> {
        rows.iter().map(|(_, row)| of(row).0).collect()
    };
    sqlx::query(
        "INSERT INTO trunk_share (trunk_id, node, calls, wanted, until, before, before_until)
         SELECT n.* FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::bigint[],
                                $6::int[], $7::bigint[]) AS n(trunk_id, node)
         ON CONFLICT (trunk_id, node) DO UPDATE SET
             calls = excluded.calls, wanted = excluded.wanted, until = excluded.until,
             before = excluded.before, before_until = excluded.before_until",
    )
    .bind(rows.iter().map(|(trunk, _)| Uuid::from_u128(trunk.0)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| Uuid::from_u128(row.node.0)).collect::<Vec<_>>())
    .bind(count(|row| row.calls))
    .bind(count(|row| row.wanted))
    .bind(time(|row| row.until))
    .bind(count(|row| row.before))
    .bind(time(|row| row.before_until))
    .execute(connection)
    .await?;
    Ok(())
}
