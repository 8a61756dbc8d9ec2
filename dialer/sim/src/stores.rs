//! Postgres and Redis in memory, with the fences that keep the promises in them, each removable.

use std::collections::{BTreeMap, BTreeSet};

use dialer_audit::{Body, Record, record::Verdict};
use dialer_engine::{Commitment, Denied, Next, Released, Returned, Settlement};
use dialer_limiter::{
    Demand, Head, Token,
    memory::{Cache, Truth},
};
use dialer_policy::RulesetVersion;
use dialer_types::{AttemptId, ContactId, Disposition, PlacementId, SubjectId, UnixMillis};

/// Which fences of the stores stand.
#[derive(Debug, Clone, Copy)]
pub struct StoreFences {
    /// G6: Postgres commits only on the heads that were judged.
    pub compare: bool,
    /// G4: the answer follows the commit.
    pub commit_first: bool,
    /// G5: no answer is no.
    pub timeout_denies: bool,
    /// G8: what a dead node left open counts as made.
    pub unknown_counts: bool,
    /// G6: releasing an attempt whose commit is unknown makes a late commit fail.
    pub release_bars: bool,
    /// G2: an attempt is committed once.
    pub attempt_once: bool,
    /// G7: an opt-out moves the head.
    pub optout_moves_head: bool,
    /// G7: an opt-out is answered when every lease has lapsed that does not know of it.
    pub answer_waits: bool,
    /// G4: the intent is written with the commit.
    pub intent_with_commit: bool,
    /// G6: a settled outcome is written to the head, and never drops what counts.
    pub settle_keeps: bool,
    /// G3, G6: a node whose clock is off sends nothing.
    pub clock_closes: bool,
}

impl StoreFences {
    /// Every fence stands.
    pub const ALL: Self = Self {
        compare: true,
        commit_first: true,
        timeout_denies: true,
        unknown_counts: true,
        release_bars: true,
        attempt_once: true,
        optout_moves_head: true,
        answer_waits: true,
        intent_with_commit: true,
        settle_keeps: true,
        clock_closes: true,
    };
}

/// One incarnation of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Incarnation {
    pub(crate) node: usize,
    pub(crate) generation: u32,
}

/// Which of two Redis, when there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Side {
    #[default]
    First,
    Second,
}

/// What somebody can reach of the stores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// Redis, and which; or none.
    pub(crate) cache: Option<Side>,
    /// Postgres.
    pub(crate) truth: bool,
}

/// Where a contact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Due(UnixMillis),
    Leased(Incarnation),
    Parked(String),
    Finished(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Contact {
    pub(crate) campaign: usize,
    pub(crate) person: usize,
    pub(crate) try_no: u16,
    pub(crate) made: u16,
    pub(crate) next_position: u8,
    pub(crate) place: Place,
    /// When the rules put it there, if they did.
    pub(crate) judged: Option<UnixMillis>,
}

/// A committed placement.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) attempt: AttemptId,
    pub(crate) by: Incarnation,
    pub(crate) committed_ms: u64,
    pub(crate) not_after: UnixMillis,
    pub(crate) subjects: Vec<SubjectId>,
    pub(crate) intent: bool,
    /// By which rules its permit is, as the record says.
    pub(crate) rules: Option<RulesetVersion>,
    /// Every outcome row, corrections included.
    pub(crate) outcomes: Vec<Disposition>,
}

#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) fences: StoreFences,
    pub(crate) truth: Truth,
    pub(crate) cache: Cache,
    /// The second of two.
    pub(crate) other: Option<Cache>,
    pub(crate) cache_up: bool,
    /// Whether Redis has our functions.
    pub(crate) functions: bool,
    /// Until when it refuses what takes memory, and until when it is slow.
    pub(crate) full_until: u64,
    pub(crate) slow_until: u64,
    /// The time of the run.
    pub(crate) now_ms: u64,
    pub(crate) truth_up: bool,
    pub(crate) attempts: BTreeSet<AttemptId>,
    pub(crate) placements: BTreeMap<PlacementId, Placed>,
    pub(crate) contacts: BTreeMap<ContactId, Contact>,
    next_token: u128,
}

fn permitted_by(record: &Record) -> Option<RulesetVersion> {
    match &record.body {
        Body::Decision(decision) if decision.verdict == Verdict::Permit => {
            Some(RulesetVersion(decision.ruleset.0))
        }
        _ => None,
    }
}

impl Stores {
    pub(crate) fn new(fences: StoreFences) -> Self {
        Self {
            fences,
            truth: Truth::default(),
            cache: Cache::default(),
            other: None,
            cache_up: true,
            functions: true,
            full_until: 0,
            slow_until: 0,
            now_ms: 0,
            truth_up: true,
            attempts: BTreeSet::new(),
            placements: BTreeMap::new(),
            contacts: BTreeMap::new(),
            next_token: 1 << 100,
        }
    }

    pub(crate) fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    /// What the API and the reapers reach.
    pub(crate) fn reach(&self) -> Reach {
        Reach { cache: self.cache_up.then_some(Side::First), truth: self.truth_up }
    }

    /// The Redis on this side; where there is but one, that.
    fn side(&mut self, side: Side) -> &mut Cache {
        match (side, &mut self.other) {
            (Side::Second, Some(other)) => other,
            _ => &mut self.cache,
        }
    }

    fn is_full(&self) -> bool {
        self.now_ms < self.full_until
    }

    /// Heads as a node reads them: the cache first, the truth where it has none. What cannot be
    /// loaded is not judged on, as in a dialer.
    pub(crate) fn read(
        &mut self,
        subjects: &[SubjectId],
        reach: Reach,
    ) -> Option<Vec<(SubjectId, Head)>> {
        let (side, full) = (reach.cache?, self.is_full());
        subjects
            .iter()
            .map(|subject| {
                if let Some(head) = self.side(side).read(*subject) {
                    return Some((*subject, head.clone()));
                }
                if !reach.truth || full {
                    return None;
                }
                let head = self.truth.read(*subject)?.clone();
                self.side(side).load(*subject, &head);
                Some((*subject, head))
            })
            .collect()
    }

    /// Reserves in Redis; nothing, if it is not there or refuses. Functions that are gone are loaded
    /// again first.
    pub(crate) fn reserve(&mut self, demand: &Demand, reach: Reach) -> Option<bool> {
        let side = reach.cache?;
        if self.is_full() {
            return None;
        }
        self.functions = true;
        Some(self.side(side).reserve(demand))
    }

    pub(crate) fn forget(&mut self, subjects: &[SubjectId], reach: Reach) {
        if let Some(side) = reach.cache {
            subjects.iter().for_each(|subject| self.side(side).forget(*subject));
        }
    }

    /// Compare-and-set on every head, with the rows of the placement, or nothing.
    pub(crate) fn commit(&mut self, commitment: &Commitment, by: Incarnation, now_ms: u64) -> bool {
        if self.fences.attempt_once && self.attempts.contains(&commitment.attempt) {
            return false;
        }
        let demand = &commitment.demand;
        if self.fences.compare {
            if !self.truth.commit(demand) {
                return false;
            }
        } else {
            for claim in demand.claims() {
                self.truth.advance(claim.subject, |_| Some(claim.next.clone()));
            }
        }
        self.attempts.insert(commitment.attempt);
        let intent = self.fences.intent_with_commit
            && commitment.records.iter().any(|record| matches!(record.body, Body::Intent(_)));
        self.placements.insert(
            demand.placement(),
            Placed {
                attempt: commitment.attempt,
                by,
                committed_ms: now_ms,
                not_after: commitment.not_after,
                subjects: demand.claims().iter().map(|claim| claim.subject).collect(),
                intent,
                rules: commitment.records.iter().rev().find_map(permitted_by),
                outcomes: Vec::new(),
            },
        );
        true
    }

    /// Writes the outcome and moves the heads; says whether it was news.
    pub(crate) fn outcome(
        &mut self,
        placement: PlacementId,
        disposition: Disposition,
        reach: Reach,
    ) -> bool {
        let Some(placed) = self.placements.get_mut(&placement) else {
            return false;
        };
        match placed.outcomes.last() {
            None => {}
            // Unknown is never released, whoever says so later.
            Some(Disposition::Unknown)
                if !matches!(disposition, Disposition::Unknown | Disposition::NotSent) => {}
            Some(_) => return false,
        }
        placed.outcomes.push(disposition);
        let subjects = placed.subjects.clone();
        let counted = self.fences.settle_keeps || disposition == Disposition::Answered;
        for subject in subjects {
            let token = self.token();
            self.advance(subject, reach, |head| match disposition.outcome() {
                Some(outcome) if counted => head.settled(token, placement, outcome),
                _ => head.released(token, placement),
            });
        }
        true
    }

    /// An event moves a head: the truth first, then the cache.
    pub(crate) fn advance(
        &mut self,
        subject: SubjectId,
        reach: Reach,
        event: impl FnOnce(&Head) -> Option<Head>,
    ) {
        if let Some((from, next)) = self.truth.advance(subject, event)
            && let Some(side) = reach.cache
            && !self.is_full()
        {
            self.side(side).follow(subject, from, &next);
        }
    }

    pub(crate) fn settle(&mut self, settlement: &Settlement, by: Incarnation, reach: Reach) {
        self.outcome(settlement.placement, settlement.disposition, reach);
        let next_position = settlement.next_position;
        let made = settlement.made;
        self.move_contact(settlement.attempt, by, &settlement.next, |contact| {
            contact.try_no += 1;
            contact.made = made;
            contact.next_position = next_position;
        });
    }

    pub(crate) fn deny(&mut self, denied: &Denied, by: Incarnation, now: UnixMillis, reach: Reach) {
        let stands = denied.judged.iter().all(|(subject, token)| {
            self.truth.read(*subject).is_some_and(|head| head.token() == *token)
        });
        if stands {
            let judged = denied.records.last().map(|record| record.at);
            self.move_contact(denied.attempt, by, &denied.next, |contact| contact.judged = judged);
            return;
        }
        let subjects: Vec<_> = denied.judged.iter().map(|(subject, _)| *subject).collect();
        self.forget(&subjects, reach);
        let next = Next::Due { at: UnixMillis(now.0 + 250), because: String::new() };
        self.move_contact(denied.attempt, by, &next, |_| {});
    }

    pub(crate) fn give_back(&mut self, returned: &Returned, by: Incarnation) {
        let next = Next::Due { at: returned.at, because: returned.because.into() };
        self.move_contact(returned.attempt, by, &next, |_| {});
    }

    pub(crate) fn release(&mut self, released: &Released, by: Incarnation, reach: Reach) {
        if self.fences.release_bars {
            self.attempts.insert(released.attempt);
        }
        self.outcome(released.placement, Disposition::NotSent, reach);
        let next = Next::Due { at: released.due_at, because: released.because.into() };
        self.move_contact(released.attempt, by, &next, |contact| contact.try_no += 1);
    }

    /// Moves a contact, if this incarnation still holds it for this try.
    fn move_contact(
        &mut self,
        attempt: AttemptId,
        by: Incarnation,
        next: &Next,
        change: impl FnOnce(&mut Contact),
    ) {
        let Some(contact) = self.contacts.get_mut(&attempt.contact) else {
            return;
        };
        if contact.place != Place::Leased(by) || contact.try_no != attempt.try_no {
            return;
        }
        change(contact);
        contact.place = match next {
            Next::Due { at, .. } => Place::Due(*at),
            Next::Park { cause } => Place::Parked(cause.clone()),
            Next::Finished { why } => Place::Finished(why.clone()),
        };
    }

    /// A dead incarnation: its open placements are unknown, its contacts due again.
    pub(crate) fn reap(&mut self, dead: Incarnation, now: UnixMillis) {
        let open: Vec<_> = self
            .placements
            .iter()
            .filter(|(_, placed)| placed.by == dead && placed.outcomes.is_empty())
            .map(|(id, placed)| (*id, placed.attempt))
            .collect();
        let reach = self.reach();
        for (placement, _) in &open {
            if self.fences.unknown_counts {
                self.outcome(*placement, Disposition::Unknown, reach);
            } else {
                self.outcome(*placement, Disposition::NotSent, reach);
            }
        }
        for (id, contact) in &mut self.contacts {
            if contact.place != Place::Leased(dead) {
                continue;
            }
            let attempt = AttemptId { contact: *id, try_no: contact.try_no };
            if self.attempts.contains(&attempt) {
                contact.try_no += 1;
                contact.made += 1;
            }
            contact.place = Place::Due(now);
        }
    }
}
