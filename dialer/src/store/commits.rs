//! Group commit: who comes into which transaction. Two that touch one head are never in one batch.
//! The transaction is [`dialer_stores::commit`].

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use dialer_audit::Receipt;
use dialer_engine::{Answer, Commitment, Conflict, Input};
use dialer_stores::Committed;
use dialer_types::{Now, PlacementId, SubjectId};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::{StoreError, Stores};
use crate::{batch, inbox::Inbox};

/// Transactions under way at once.
const IN_FLIGHT: usize = 2;

/// A commitment that waited so long for its transaction is not made: its permit is better spent on
/// another judgement. A second less than the engine waits, which is what a transaction may take.
const WAITED: Duration = Duration::from_millis(1_500);

/// What the engine asked for.
#[derive(Debug)]
pub struct Wish {
    /// What to commit.
    pub commitment: Commitment,
    /// Since when it waits.
    pub since: Instant,
}

/// Serves commitments until nobody can make one any more.
pub async fn serve(
    stores: Arc<Stores>,
    mut queue: mpsc::Receiver<Wish>,
    inbox: Inbox,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut held: Vec<Wish> = Vec::new();
    loop {
        let mut waiting = std::mem::take(&mut held);
        if waiting.is_empty() {
            let Some(first) = queue.recv().await else { return };
            waiting.push(first);
        }
        // The transactions before take as long as a batch gathers.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        batch::fill(&mut queue, &mut waiting).await;
        let (waiting, late) = in_time(waiting, stores.clock.now());
        for late in late {
            stores.metrics.commits_late.inc();
            let placement = late.commitment.demand.placement();
            inbox.send(Input::Committed(placement, Answer::Given(Err(Conflict)))).await;
        }
        let (now, later) = split(waiting);
        held = later;
        if now.is_empty() {
            continue;
        }
        let now = now.into_iter().map(|wish| wish.commitment).collect();
        let (stores, inbox) = (Arc::clone(&stores), inbox.clone());
        tasks.spawn(async move {
            let _room = permit;
            for (placement, answer) in stores.commit(now).await {
                inbox.send(Input::Committed(placement, answer)).await;
            }
        });
    }
}

/// Those that can still be used when they are durable, and those that cannot: these are not made.
fn in_time(waiting: Vec<Wish>, now: Now) -> (Vec<Wish>, Vec<Wish>) {
    waiting.into_iter().partition(|wish| {
        now.wall < wish.commitment.not_after
            && now.mono.saturating_duration_since(wish.since) < WAITED
    })
}

/// Those that share no subject with one before them, and the others, both in order.
fn split(waiting: Vec<Wish>) -> (Vec<Wish>, Vec<Wish>) {
    let mut subjects: BTreeSet<SubjectId> = BTreeSet::new();
    let mut attempts = BTreeSet::new();
    waiting.into_iter().partition(|Wish { commitment, .. }| {
        let mine = commitment.demand.claims().iter().map(|claim| claim.subject);
        let free = !mine.clone().any(|subject| subjects.contains(&subject))
            && !attempts.contains(&commitment.attempt);
        subjects.extend(mine);
        attempts.insert(commitment.attempt);
        free
    })
}

/// What Postgres said to each placement.
pub type Answers = Vec<(PlacementId, Answer<Result<Receipt, Conflict>>)>;

impl Stores {
    /// Commits what stands. Commitments that share a subject must not come in one call.
    pub async fn commit(&self, batch: Vec<Commitment>) -> Answers {
        let placements: Vec<_> = batch.iter().map(|c| c.demand.placement()).collect();
        self.metrics.commit_batch.observe(f64::from(u32::try_from(batch.len()).unwrap_or(0)));
        let step = self.metrics.step("commit");
        let outcome = self.postgres(self.try_commit(&batch)).await;
        drop(step);
        match outcome {
            Ok(mut stood) => {
                placements.into_iter().map(|id| (id, self.answer(stood.receipt(id)))).collect()
            }
            Err(error) if placements.len() > 1 && !error.is_passing() => {
                // One of them is refused for good: nothing was committed. Find out which.
                let mut answers = Vec::with_capacity(placements.len());
                for one in batch {
                    answers.extend(Box::pin(self.commit(vec![one])).await);
                }
                answers
            }
            Err(error) => {
                if !error.is_passing() {
                    tracing::error!(%error, "a placement cannot be committed");
                }
                placements.into_iter().map(|id| (id, Answer::Unavailable)).collect()
            }
        }
    }

    fn answer(&self, receipt: Option<Receipt>) -> Answer<Result<Receipt, Conflict>> {
        if let Some(receipt) = receipt {
            self.metrics.committed.inc();
            return Answer::Given(Ok(receipt));
        }
        self.metrics.commit_conflicts.inc();
        Answer::Given(Err(Conflict))
    }

    async fn try_commit(&self, batch: &[Commitment]) -> Result<Committed, StoreError> {
        Ok(dialer_stores::commit(&self.pool, self.node, batch, &self.grounds).await?)
    }
}
