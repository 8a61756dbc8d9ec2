//! Messages of the other processes, through Redis: suppressions and changes of campaigns.
//!
//! A message can be missed while the subscription is away. So the gate is closed meanwhile, and
//! after it is back the heads of everything that is cleared or rings are read again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dialer_engine::Input;
use dialer_limiter::{Head, MarkKind};
use dialer_types::{PlacementId, SellerNo, SubjectId};
use futures_util::StreamExt;
use serde::Deserialize;
use sqlx::Row;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, StoreError, Stores, raw};
use crate::{gate::Need, inbox::Inbox};

/// Somebody must not be called any more.
pub const SUPPRESS: &str = "rf:suppress";
/// A campaign or trunk was changed.
pub const CAMPAIGN: &str = "rf:campaign";
/// Pause before the next attempt to subscribe.
const PAUSE: Duration = Duration::from_millis(200);

/// The body of a message on [`SUPPRESS`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Suppress {
    /// Whom.
    pub subjects: Vec<SubjectId>,
    /// By whom not; 0 for anybody.
    pub seller: SellerNo,
}

/// Placements that are committed and not over, with what a suppression of them would name.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Mutex<BTreeMap<PlacementId, Whom>>>);

/// Subjects, and the seller who calls them.
type Whom = (Vec<SubjectId>, SellerNo);

impl Live {
    /// A placement is being committed.
    pub fn begin(&self, placement: PlacementId, subjects: Vec<SubjectId>, seller: SellerNo) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(placement, (subjects, seller));
    }

    /// It is over.
    pub fn end(&self, placement: PlacementId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&placement);
    }

    fn all(&self) -> Vec<(Vec<SubjectId>, SellerNo)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Listens until the end.
pub async fn serve(
    stores: Arc<Stores>,
    inbox: Inbox,
    live: Live,
    reload: Arc<Notify>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            heard = listen(&stores, &inbox, &live, &reload) => {
                if let Err(error) = heard {
                    tracing::debug!(%error, "the subscription is away");
                }
            }
        }
        stores.gate.report(Need::Subscription, false);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(
    stores: &Stores,
    inbox: &Inbox,
    live: &Live,
    reload: &Notify,
) -> Result<(), StoreError> {
    let connect = async {
        let mut subscription = stores.redis.subscription().await?;
        subscription.subscribe(SUPPRESS).await?;
        subscription.subscribe(CAMPAIGN).await?;
        Ok::<_, StoreError>(subscription)
    };
    let subscription =
        tokio::time::timeout(PATIENCE, connect).await.unwrap_or(Err(StoreError::Late))?;
    // Subscribed first, read then: nothing falls in between.
    for (subjects, seller) in stores.postgres(stores.missed(live.all())).await? {
        inbox.send(Input::Suppressed(subjects, seller)).await;
    }
    reload.notify_one();
    stores.gate.report(Need::Subscription, true);
    let (mut sink, mut messages) = subscription.split();
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return Err(StoreError::Late) };
                match message.get_channel_name() {
                    SUPPRESS => suppress(message.get_payload_bytes(), inbox).await,
                    _ => reload.notify_one(),
                }
            }
            // A connection that died without a word is found out by asking.
            () = tokio::time::sleep(PATIENCE / 2) => {
                tokio::time::timeout(PATIENCE, sink.ping::<redis::Value>())
                    .await
                    .map_err(|_| StoreError::Late)??;
            }
        }
    }
}

async fn suppress(payload: &[u8], inbox: &Inbox) {
    match serde_json::from_slice::<Suppress>(payload) {
        Ok(message) => inbox.send(Input::Suppressed(message.subjects, message.seller)).await,
        Err(error) => tracing::error!(%error, "a message on rf:suppress is not understood"),
    }
}

impl Stores {
    /// Which of these placements are suppressed by now, as Postgres says.
    async fn missed(
        &self,
        live: Vec<(Vec<SubjectId>, SellerNo)>,
    ) -> Result<Vec<(Vec<SubjectId>, SellerNo)>, StoreError> {
        if live.is_empty() {
            return Ok(Vec::new());
        }
        let mut subjects: Vec<_> = live.iter().flat_map(|(subjects, _)| subjects.clone()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let rows =
            sqlx::query("SELECT subject_id, head FROM subject_head WHERE subject_id = ANY($1)")
                .bind(raw(&subjects))
                .fetch_all(&self.pool)
                .await?;
        let mut heads = BTreeMap::new();
        for row in &rows {
            let head: &[u8] = row.try_get(1)?;
            heads.insert(SubjectId(row.try_get(0)?), Head::decode(head).ok());
        }
        let barred = |subject: &SubjectId, seller: SellerNo| match heads.get(subject) {
            Some(Some(head)) => head
                .marks()
                .iter()
                .any(|mark| mark.kind == MarkKind::Suppressed && mark.binds(seller)),
            // Missing or unreadable: unknown, and unknown denies.
            _ => true,
        };
        let missed = live.into_iter().filter_map(|(subjects, seller)| {
            let barred: Vec<_> = subjects.into_iter().filter(|s| barred(s, seller)).collect();
            (!barred.is_empty()).then_some((barred, seller))
        });
        Ok(missed.collect())
    }
}

/// Asks both stores whether they are there, until the end.
pub async fn probe(stores: Arc<Stores>, stop: CancellationToken) {
    loop {
        let redis = stores.redis(async { Ok(stores.redis.probe().await?) }).await;
        stores.gate.report(Need::Redis, redis.is_ok());
        let postgres = stores
            .postgres(async {
                sqlx::query("SELECT 1").execute(&stores.pool).await?;
                Ok(())
            })
            .await;
        stores.gate.report(Need::Postgres, postgres.is_ok());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE * 2) => {}
        }
    }
}
