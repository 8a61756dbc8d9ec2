//! Reading heads: Redis in one round trip, what it has not from Postgres in one query.

use std::{collections::BTreeMap, sync::Arc};

use dialer_engine::{Answer, Input};
use dialer_limiter::{Entry, Head};
use dialer_types::{AttemptId, Outcome, PlacementId, SubjectId};
use sqlx::Row;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::{StoreError, Stores, raw};
use crate::{batch, inbox::Inbox};

/// Batches of reads under way at once.
const IN_FLIGHT: usize = 2;

/// One attempt's wish.
#[derive(Debug)]
pub struct Wish {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Whose heads.
    pub subjects: Vec<SubjectId>,
}

/// Serves wishes until nobody can make one any more.
pub async fn serve(
    stores: Arc<Stores>,
    mut wishes: mpsc::Receiver<Wish>,
    inbox: Inbox,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        let Some((batch, permit)) = batch::collect_for(&mut wishes, &room).await else { return };
        let (stores, inbox) = (Arc::clone(&stores), inbox.clone());
        tasks.spawn(async move {
            let _room = permit;
            let mut subjects: Vec<_> =
                batch.iter().flat_map(|wish| wish.subjects.clone()).collect();
            subjects.sort_unstable();
            subjects.dedup();
            let timer = stores.metrics.step("heads");
            let heads = stores.read_heads(&subjects).await;
            drop(timer);
            for wish in batch {
                let answer = match &heads {
                    Ok(heads) => select(heads, &wish.subjects),
                    Err(_) => Answer::Unavailable,
                };
                inbox.send(Input::Heads(wish.attempt, answer)).await;
            }
        });
    }
}

/// Whether the last event of a copy is a reservation that is not settled. It may never have been
/// committed (its dialer died, its commit was refused), and what was never committed must not defer
/// anybody for hours: Postgres says what stands. Rare, and only while a call is under way.
fn is_reserved(head: &Head) -> bool {
    head.entries().last().is_some_and(|entry| {
        entry.outcome == Outcome::Pending && entry.key == Entry::key_of(PlacementId(head.token().0))
    })
}

fn select(
    heads: &BTreeMap<SubjectId, Head>,
    wanted: &[SubjectId],
) -> Answer<Vec<(SubjectId, Head)>> {
    let all: Option<Vec<_>> = wanted
        .iter()
        .map(|subject| heads.get(subject).map(|head| (*subject, head.clone())))
        .collect();
    all.map_or(Answer::Unavailable, Answer::Given)
}

impl Stores {
    /// The heads of these subjects, as far as there are any that can be read. A copy that cannot
    /// be read, or whose last event is an open reservation, is replaced by the truth.
    ///
    /// # Errors
    /// If a store is not there or late.
    pub async fn read_heads(
        &self,
        subjects: &[SubjectId],
    ) -> Result<BTreeMap<SubjectId, Head>, StoreError> {
        let copies = self.redis(self.redis.read(subjects)).await?;
        let mut heads = BTreeMap::new();
        let (mut missing, mut doubtful) = (Vec::new(), Vec::new());
        for (subject, copy) in subjects.iter().zip(copies) {
            let from = match copy.as_deref().map(Head::decode) {
                Some(Ok(head)) if !is_reserved(&head) => {
                    heads.insert(*subject, head);
                    "redis"
                }
                None => {
                    missing.push(*subject);
                    "missing"
                }
                Some(found) => {
                    doubtful.push(*subject);
                    if found.is_ok() { "reserved" } else { "unreadable" }
                }
            };
            self.metrics.heads_read.with_label_values(&[from]).inc();
        }
        let load = |subjects| self.load_truth(subjects, false);
        heads.extend(self.flights.read(&missing, load).await?);
        if !doubtful.is_empty() {
            heads.extend(self.load_truth(doubtful, true).await?);
        }
        Ok(heads)
    }

    /// Reads heads from Postgres in one query and lays copies into Redis in one call; `instead` of
    /// those that are there.
    async fn load_truth(
        &self,
        subjects: Vec<SubjectId>,
        instead: bool,
    ) -> Result<BTreeMap<SubjectId, Head>, StoreError> {
        let mut heads = BTreeMap::new();
        let mut load = Vec::with_capacity(subjects.len());
        for (subject, bytes) in self.postgres(self.true_heads(&subjects)).await? {
            match Head::decode(&bytes) {
                Ok(head) => {
                    load.push((subject, head.clone(), instead));
                    heads.insert(subject, head);
                }
                Err(error) => {
                    tracing::error!(subject = subject.0, %error, "a head in postgres cannot be read");
                }
            }
        }
        self.redis(self.redis.load(&load)).await?;
        Ok(heads)
    }

    async fn true_heads(
        &self,
        subjects: &[SubjectId],
    ) -> Result<Vec<(SubjectId, Vec<u8>)>, StoreError> {
        let rows =
            sqlx::query("SELECT subject_id, head FROM subject_head WHERE subject_id = ANY($1)")
                .bind(raw(subjects))
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(|row| Ok((SubjectId(row.try_get(0)?), row.try_get(1)?))).collect()
    }
}
