//! Messages of the other processes, through Redis: suppressions and changes of campaigns.
//!
//! A message can be missed while the subscription is away. So the gate is closed meanwhile, and
//! after it is back the heads of everything that is cleared or rings are read again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dialer_engine::{Input, OptOut};
use dialer_facts::Standing;
use dialer_judge::{CLOCK_BOUND, PERMIT_LIFE};
use dialer_limiter::{Head, MarkKind};
pub use dialer_stores::{CAMPAIGN, SUPPRESS};
use dialer_types::{PlacementId, Purpose, SellerNo, SubjectId, UnixMillis};
use futures_util::StreamExt;
use serde::Deserialize;
use sqlx::Row;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, StoreError, Stores, postgres, raw};
use crate::{gate::Need, inbox::Inbox};

/// Pause before the next attempt to subscribe.
const PAUSE: Duration = Duration::from_millis(200);

/// The body of a message on [`SUPPRESS`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Suppress {
    /// Whom.
    pub subjects: Vec<SubjectId>,
    /// By whom not; 0 for anybody.
    pub seller: SellerNo,
    /// For which purpose not; absent for all.
    #[serde(default)]
    pub purpose: Option<Purpose>,
}

/// Placements that are committed and not over, with what a suppression of them would name.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Mutex<BTreeMap<PlacementId, Whom>>>);

/// Who is called, and by whom.
#[derive(Debug, Clone)]
pub struct Whom {
    /// The subjects that the placement counts for.
    pub subjects: Vec<SubjectId>,
    /// Who calls them.
    pub seller: SellerNo,
    /// Why.
    pub purpose: Purpose,
}

impl Live {
    /// A placement is being committed.
    pub fn begin(&self, placement: PlacementId, whom: Whom) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(placement, whom);
    }

    /// It is over.
    pub fn end(&self, placement: PlacementId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&placement);
    }

    fn all(&self) -> Vec<(PlacementId, Whom)> {
        let live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.iter().map(|(placement, whom)| (*placement, whom.clone())).collect()
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
    let moves = stores.redis.moves();
    let connect = async {
        let mut subscription = stores.redis.subscription().await?;
        subscription.subscribe(SUPPRESS).await?;
        subscription.subscribe(CAMPAIGN).await?;
        Ok::<_, StoreError>(subscription)
    };
    let subscription =
        tokio::time::timeout(PATIENCE, connect).await.unwrap_or(Err(StoreError::Late))?;
    // Subscribed first, read then: nothing falls in between.
    for out in stores.postgres(stores.missed(live.all())).await? {
        inbox.send(Input::Suppressed(out)).await;
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
                // Another server is the one to listen to: this one may be cut off from it.
                if stores.redis.moves() != moves {
                    return Err(StoreError::Late);
                }
            }
        }
    }
}

async fn suppress(payload: &[u8], inbox: &Inbox) {
    match serde_json::from_slice::<Suppress>(payload) {
        Ok(Suppress { subjects, seller, purpose }) => {
            inbox.send(Input::Suppressed(OptOut { subjects, seller, purpose })).await;
        }
        Err(error) => tracing::error!(%error, "a message on rf:suppress is not understood"),
    }
}

impl Stores {
    /// Which of these placements are suppressed by now, as Postgres says. What had been recorded when
    /// a placement was judged did not deny it (a consent lifted it), so it does not end it either.
    async fn missed(&self, live: Vec<(PlacementId, Whom)>) -> Result<Vec<OptOut>, StoreError> {
        if live.is_empty() {
            return Ok(Vec::new());
        }
        let mut subjects: Vec<_> = live.iter().flat_map(|(_, it)| it.subjects.clone()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut connection = self.pool.acquire().await?;
        let rows =
            sqlx::query("SELECT subject_id, head FROM subject_head WHERE subject_id = ANY($1)")
                .bind(raw(&subjects))
                .fetch_all(&mut *connection)
                .await?;
        let mut heads = BTreeMap::new();
        for row in &rows {
            let head: &[u8] = row.try_get(1)?;
            heads.insert(SubjectId(row.try_get(0)?), Head::decode(head).ok());
        }
        let entries = dialer_facts::entries(&mut connection, &subjects).await?;
        let barred = |subject: SubjectId, placement: PlacementId, whom: &Whom| {
            let Some(Some(head)) = heads.get(&subject) else {
                // Missing or unreadable: unknown, and unknown denies.
                return true;
            };
            let known = entries.get(&subject).map(Vec::as_slice).unwrap_or_default();
            let marks = head.marks().iter().filter(|mark| mark.kind == MarkKind::Suppressed);
            marks.filter(|mark| mark.binds(whom.seller, whom.purpose)).any(|mark| {
                let behind = |it: &&Standing| {
                    (it.entry.seller, it.entry.purpose) == (mark.seller, mark.purpose)
                };
                let behind: Vec<_> = known.iter().filter(behind).collect();
                let since = judged_at(placement).before(SEEN);
                behind.is_empty() || behind.iter().any(|it| it.recorded_at >= since)
            })
        };
        let missed = live.into_iter().filter_map(|(placement, whom)| {
            let Whom { ref subjects, seller, purpose } = whom;
            let subjects: Vec<_> =
                subjects.iter().copied().filter(|it| barred(*it, placement, &whom)).collect();
            let purpose = Some(purpose);
            (!subjects.is_empty()).then_some(OptOut { subjects, seller, purpose })
        });
        Ok(missed.collect())
    }
}

/// What was recorded so long before a judgement was seen by it: clocks agree within a second, and a
/// judgement reads within the life of a permit.
const SEEN: Duration = CLOCK_BOUND.saturating_add(PERMIT_LIFE);

/// When a placement was judged: its id is minted then.
fn judged_at(placement: PlacementId) -> UnixMillis {
    UnixMillis(i64::try_from(placement.0 >> 80).unwrap_or(0))
}

/// Asks both stores whether they are there, until the end.
pub async fn probe(stores: Arc<Stores>, stop: CancellationToken) {
    let mut retired = false;
    loop {
        let redis = stores.redis(stores.redis.probe()).await;
        stores.gate.report(Need::Redis, redis.is_ok());
        stores.metrics.redis_full.set(i64::from(stores.redis.is_out_of_memory()));
        let asked = stores.postgres(async { Ok(postgres::probe(&stores.pool).await?) }).await;
        if let Ok(Err(oldest)) = asked
            && !retired
        {
            tracing::error!(
                oldest,
                ours = schema::VERSION,
                "a migration has retired this release: start a newer one"
            );
            retired = true;
        }
        stores.gate.report(Need::Postgres, matches!(asked, Ok(Ok(()))));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE * 2) => {}
        }
    }
}
