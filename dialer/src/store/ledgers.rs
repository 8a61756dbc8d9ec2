//! Writing down what happened, in the order it came, many in one transaction, again and again until
//! Postgres answers. The transaction is [`dialer_stores::write`].

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dialer_stores::{By, write};
pub use dialer_stores::{Item, Mark};
use dialer_types::NodeId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{StoreError, Stores};
use crate::batch;

/// Things that may wait in the queue.
pub const ROOM: usize = 10_000;
/// First and longest pause after a transaction that failed.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Writes until nobody can send any more and all is written, or until `give_up` (what is left then
/// is left to the reaper).
pub async fn serve(
    stores: Arc<Stores>,
    mut queue: mpsc::Receiver<Item>,
    give_up: CancellationToken,
) {
    loop {
        let Some(batch) = batch::collect(&mut queue).await else { return };
        let count = batch.len();
        if !stores.write_until_done(&batch, &give_up).await {
            tracing::error!(
                "the dialer stops before everything is written: the reaper finishes it"
            );
            return;
        }
        stores.gate.paid(count);
    }
}

impl Stores {
    /// Returns whether it was written.
    async fn write_until_done(&self, batch: &[Item], give_up: &CancellationToken) -> bool {
        let (mut pause, mut mark) = (PAUSE.0, None);
        loop {
            let error = match self.write_numbered(self.node, batch, &mut mark).await {
                Ok(()) => return true,
                Err(error) => error,
            };
            if !error.is_passing() {
                let [item] = batch else { return self.write_one_by_one(batch, give_up).await };
                // It is said loudly and left to the reaper.
                self.metrics.ledger_lost.inc();
                tracing::error!(%error, item = item.word(), "postgres refuses to write this down");
                return true;
            }
            tokio::select! {
                () = give_up.cancelled() => return false,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE.1),
            }
        }
    }

    /// One item of a batch is refused for good: the others are written.
    async fn write_one_by_one(&self, batch: &[Item], give_up: &CancellationToken) -> bool {
        for item in batch {
            if !Box::pin(self.write_until_done(std::slice::from_ref(item), give_up)).await {
                return false;
            }
        }
        true
    }

    /// Writes a batch in one transaction and tells Redis of the heads that moved. `owner` is the
    /// node that leased the contacts: a contact that somebody else has by now is not touched.
    ///
    /// # Errors
    /// If Postgres refuses, is late or not there. Writing the same again is safe.
    pub async fn write(&self, owner: NodeId, batch: &[Item]) -> Result<(), StoreError> {
        self.write_moves(owner, batch, None).await
    }

    /// The same for a batch that may be tried again after a commit whose answer never came: it is
    /// written once. `mark` is kept between the tries of one batch.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_numbered(
        &self,
        owner: NodeId,
        batch: &[Item],
        mark: &mut Option<Mark>,
    ) -> Result<(), StoreError> {
        let next =
            || Mark { series: self.node, number: self.batches.fetch_add(1, Ordering::AcqRel) + 1 };
        let mark = *mark.get_or_insert_with(next);
        self.write_moves(owner, batch, Some(mark)).await
    }

    async fn write_moves(
        &self,
        owner: NodeId,
        batch: &[Item],
        mark: Option<Mark>,
    ) -> Result<(), StoreError> {
        let by = By { node: self.node, owner };
        let written = async { Ok(write(&self.pool, by, batch, mark, || self.token()).await?) };
        let (moved, stale) = self.postgres(written).await?;
        // The contacts that were denied on these are judged again: on what Postgres has.
        self.redis(self.redis.forget(&stale)).await.ok();
        // A copy that does not follow is stale: it wastes a judgement and permits nothing.
        for part in moved.chunks(64) {
            self.redis(self.redis.follow(part)).await.ok();
        }
        Ok(())
    }
}
