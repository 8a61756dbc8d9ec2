//! Postgres and Redis in memory, with the fences that keep the promises in them, each removable.

use std::collections::{BTreeMap, BTreeSet};

use dialer_audit::{Body, Record, record::Verdict};
use dialer_engine::{Commitment, Denied, Next, Released, Returned, Settlement};
use dialer_limiter::{
    Head, Token,
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
    };
}

/// One incarnation of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Incarnation {
    pub(crate) node: usize,
    pub(crate) generation: u32,
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
    pub(crate) cache_up: bool,
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
            cache_up: true,
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

    /// Heads as a node reads them: the cache first, the truth where it has none.
    pub(crate) fn read(&mut self, subjects: &[SubjectId]) -> Option<Vec<(SubjectId, Head)>> {
        if !self.cache_up {
            return None;
        }
        subjects
            .iter()
            .map(|subject| {
                if let Some(head) = self.cache.read(*subject) {
                    return Some((*subject, head.clone()));
                }
                if !self.truth_up {
                    return None;
                }
                let head = self.truth.read(*subject)?.clone();
                self.cache.load(*subject, &head);
                Some((*subject, head))
            })
            .collect()
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
    pub(crate) fn outcome(&mut self, placement: PlacementId, disposition: Disposition) -> bool {
        let Some(placed) = self.placements.get_mut(&placement) else {
            return false;
        };
        match placed.outcomes.last() {
            None => {}
            Some(Disposition::Unknown) if disposition != Disposition::Unknown => {}
            Some(_) => return false,
        }
        placed.outcomes.push(disposition);
        let subjects = placed.subjects.clone();
        let counted = self.fences.settle_keeps || disposition == Disposition::Answered;
        for subject in subjects {
            let token = self.token();
            self.advance(subject, |head| match disposition.outcome() {
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
        event: impl FnOnce(&Head) -> Option<Head>,
    ) {
        if let Some((from, next)) = self.truth.advance(subject, event)
            && self.cache_up
        {
            self.cache.follow(subject, from, &next);
        }
    }

    pub(crate) fn settle(&mut self, settlement: &Settlement, by: Incarnation) {
        self.outcome(settlement.placement, settlement.disposition);
        let next_position = settlement.next_position;
        let made = settlement.made;
        self.move_contact(settlement.attempt, by, &settlement.next, |contact| {
            contact.try_no += 1;
            contact.made = made;
            contact.next_position = next_position;
        });
    }

    pub(crate) fn deny(&mut self, denied: &Denied, by: Incarnation, now: UnixMillis) {
        let stands = denied.judged.iter().all(|(subject, token)| {
            self.truth.read(*subject).is_some_and(|head| head.token() == *token)
        });
        if stands {
            let judged = denied.records.last().map(|record| record.at);
            self.move_contact(denied.attempt, by, &denied.next, |contact| contact.judged = judged);
            return;
        }
        for (subject, _) in &denied.judged {
            self.cache.forget(*subject);
        }
        let next = Next::Due { at: UnixMillis(now.0 + 250), because: String::new() };
        self.move_contact(denied.attempt, by, &next, |_| {});
    }

    pub(crate) fn give_back(&mut self, returned: &Returned, by: Incarnation) {
        let next = Next::Due { at: returned.at, because: returned.because.into() };
        self.move_contact(returned.attempt, by, &next, |_| {});
    }

    pub(crate) fn release(&mut self, released: &Released, by: Incarnation) {
        if self.fences.release_bars {
            self.attempts.insert(released.attempt);
        }
        self.outcome(released.placement, Disposition::NotSent);
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
        for (placement, _) in &open {
            if self.fences.unknown_counts {
                self.outcome(*placement, Disposition::Unknown);
            } else {
                self.outcome(*placement, Disposition::NotSent);
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
