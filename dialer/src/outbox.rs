//! The way out of a shard: what the engine wants done, handed to those who do it. Never waits.

use std::{collections::VecDeque, sync::Arc};

use arc_swap::ArcSwap;
use dialer_engine::{Answer, Input, Output, Standing};
use dialer_types::{AttemptId, SubjectId, TrunkId};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    campaigns::Campaigns,
    clock::Clock,
    gate::Gate,
    metrics::Metrics,
    rtp,
    scheduler::Loads,
    store::{commits, heads, ledgers::Item, reserve},
    trunks::Shares,
};

/// The queues of those who do things.
#[derive(Debug)]
pub struct Outbox {
    /// Reads heads.
    pub heads: mpsc::Sender<heads::Wish>,
    /// Reads facts.
    pub facts: mpsc::Sender<AttemptId>,
    /// Takes slots and reserves.
    pub reserve: mpsc::Sender<reserve::Wish>,
    /// Commits.
    pub commit: mpsc::Sender<commits::Wish>,
    /// Drops stale copies.
    pub forget: mpsc::Sender<Vec<SubjectId>>,
    /// Writes down.
    pub ledger: mpsc::Sender<Item>,
    /// How trunks stand.
    pub shares: Shares,
    /// When they stand so.
    pub clock: Clock,
    /// Plays.
    pub media: rtp::Media,
    /// Contacts in the shard.
    pub loads: Loads,
    /// The running campaigns.
    pub campaigns: Arc<ArcSwap<Campaigns>>,
    /// Counts what is owed to the ledger.
    pub gate: Gate,
    /// Counters.
    pub metrics: Metrics,
    /// What the ledger's queue had no room for. Nothing new is taken while there is any, so it
    /// holds no more than what was under way.
    pub backlog: VecDeque<Item>,
}

impl Outbox {
    /// Hands one thing over. Returns the answer where nobody could take it: unavailable. A
    /// datagram is not for here and comes back.
    pub fn hand(&mut self, output: Output) -> Handed {
        match output {
            Output::Transmit(transmit) => return Handed::Send(transmit),
            Output::ReadHeads(attempt, subjects) => {
                if self.heads.try_send(heads::Wish { attempt, subjects }).is_err() {
                    return Handed::Refused(Input::Heads(attempt, Answer::Unavailable));
                }
            }
            Output::LoadFacts(attempt) => {
                if self.facts.try_send(attempt).is_err() {
                    return Handed::Refused(Input::Facts(attempt, Answer::Unavailable));
                }
            }
            Output::Reserve(trunk, demand) => {
                let placement = demand.placement();
                if self.reserve.try_send(reserve::Wish { trunk, demand }).is_err() {
                    return Handed::Refused(Input::Reserved(placement, Answer::Unavailable));
                }
            }
            Output::Commit(commitment) => return self.commit(*commitment),
            // A stale copy that stays wastes a judgement and permits nothing.
            Output::Forget(subjects) => {
                self.forget.try_send(subjects).ok();
            }
            Output::StartMedia(start) => {
                let placement = start.placement;
                if !self.media.tell(rtp::Command::Start(start)) {
                    return Handed::Refused(Input::Played(placement));
                }
            }
            Output::StopMedia(placement, port) => {
                self.media.tell(rtp::Command::Stop(placement, port));
            }
            Output::TrunkChanged(trunk, standing) => self.trunk(trunk, standing),
            Output::TrunkProbed(trunk, result) => {
                let trunk = trunk.to_string();
                self.metrics.trunk_probes.with_label_values(&[trunk.as_str(), result]).inc();
            }
            Output::Deny(denied) => {
                self.loads.refused(denied.campaign, denied.attempt);
                for rule in &denied.rules {
                    self.metrics.denied.with_label_values(&[rule.as_str()]).inc();
                }
                self.owe(Item::Deny(denied));
            }
            Output::Return(returned) => {
                self.loads.end(returned.campaign, returned.attempt);
                self.metrics.returned.with_label_values(&[returned.because]).inc();
                self.owe(Item::Return(returned));
            }
            Output::Release(released) => {
                self.loads.end(released.campaign, released.attempt);
                self.metrics.released.inc();
                self.owe(Item::Release(released));
            }
            Output::Settle(settlement) => {
                self.loads.end(settlement.campaign, settlement.attempt);
                self.metrics
                    .dispositions
                    .with_label_values(&[settlement.disposition.as_str()])
                    .inc();
                self.owe(Item::Settle(settlement));
            }
            Output::Record(record) => self.owe(Item::Record(record)),
        }
        Handed::Done
    }

    fn commit(&self, commitment: dialer_engine::Commitment) -> Handed {
        let placement = commitment.demand.placement();
        let wish = commits::Wish { commitment, since: self.clock.now().mono };
        if self.commit.try_send(wish).is_err() {
            return Handed::Refused(Input::Committed(placement, Answer::Unavailable));
        }
        Handed::Done
    }

    /// What the scheduler asks before it takes contacts. What is written down follows from it.
    fn trunk(&self, trunk: TrunkId, standing: Standing) {
        let turned = self.shares.stand(trunk, standing, self.clock.now());
        let label = trunk.to_string();
        let shown = self.metrics.trunk_open.with_label_values(&[label.as_str()]);
        shown.set(i64::from(standing.open));
        match (turned, standing.open) {
            (false, _) => {}
            (true, true) => tracing::warn!(
                %trunk, reason = standing.reason, "the breaker of a trunk is open: no invite goes there"
            ),
            (true, false) => {
                tracing::info!(%trunk, reason = standing.reason, "the breaker of a trunk is closed");
            }
        }
    }

    fn owe(&mut self, item: Item) {
        self.gate.owed();
        self.backlog.push_back(item);
        self.flush();
    }

    /// What fills up when a store is slow.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        Pressure {
            heads: self.heads.clone(),
            facts: self.facts.clone(),
            reserve: self.reserve.clone(),
            commit: self.commit.clone(),
        }
    }

    /// Hands the ledger what it has room for, in order.
    pub fn flush(&mut self) {
        while let Some(item) = self.backlog.pop_front() {
            match self.ledger.try_send(item) {
                Ok(()) => {}
                Err(TrySendError::Full(item) | TrySendError::Closed(item)) => {
                    self.backlog.push_front(item);
                    return;
                }
            }
        }
    }
}

/// How full the queues of the stores are: nothing is taken while one is half full, because what its
/// other half has no room for would be taken, judged and given back.
#[derive(Debug)]
pub struct Pressure {
    heads: mpsc::Sender<heads::Wish>,
    facts: mpsc::Sender<AttemptId>,
    reserve: mpsc::Sender<reserve::Wish>,
    commit: mpsc::Sender<commits::Wish>,
}

impl Pressure {
    /// Whether contacts may be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        fn half<T>(queue: &mpsc::Sender<T>) -> bool {
            queue.capacity() * 2 > queue.max_capacity()
        }
        half(&self.heads) && half(&self.facts) && half(&self.reserve) && half(&self.commit)
    }

    /// Commitments that wait for a transaction.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.commit.max_capacity() - self.commit.capacity()
    }
}

/// What became of an output.
#[derive(Debug)]
pub enum Handed {
    /// Somebody does it.
    Done,
    /// Nobody can: this is the answer.
    Refused(Input<'static>),
    /// A datagram, to be sent.
    Send(dialer_engine::Transmit),
}

/// The queue of commitments is as deep as two batches, so that a slow Postgres is noticed early.
pub const COMMIT_ROOM: usize = 2 * crate::batch::MOST * 2;
/// Wishes that may wait.
pub const WISH_ROOM: usize = 1_024;
