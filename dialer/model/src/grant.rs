//! The compare-and-set of both stores.

use dialer_limiter::Demand;

use crate::{
    Action, Gate, Redis, Told,
    world::{self, End, Flying, Place, Placed, Stage, World, each},
};

impl Gate {
    pub(crate) fn commits_may(&self, world: &World, actions: &mut Vec<Action>) {
        for (flying, commit) in (0..).zip(&world.flying) {
            let heard = waits(world, commit);
            for told in self.tellings(world) {
                actions.push(Action::Commit { flying, heard, told });
            }
            if heard && world.faults.answers > 0 {
                actions.push(Action::Commit { flying, heard: false, told: None });
            }
        }
    }

    /// Compare-and-set in Redis. Not heard: nobody knows whether it was granted, the contact goes back.
    pub(crate) fn reserve(&self, world: &mut World, hand: u8, at: u8, heard: bool) -> Option<()> {
        let Stage::Reserving(judged, done) = world.hands[usize::from(hand)].stage.clone() else {
            return None;
        };
        let claims = judged.demand.claims();
        let granted = match self.setup.redis {
            Redis::Anything => {
                for (subject, claim) in each(subjects_of(&judged.demand)).zip(claims) {
                    self.remember(world, subject, claim.next.clone());
                }
                true
            }
            Redis::Whole => {
                let mut copy = (*world.redis[usize::from(at)]).clone();
                let granted = copy.reserve(&judged.demand);
                world.redis[usize::from(at)] = world::cache(copy, self.subjects);
                granted
            }
            Redis::Slots => {
                let claim = claims.get(usize::from(done))?;
                let mut copy = (*world.redis[usize::from(at)]).clone();
                let stands =
                    copy.read(claim.subject).is_some_and(|head| head.token() == claim.base);
                if stands {
                    copy.forget(claim.subject);
                    copy.load(claim.subject, &claim.next);
                }
                world.redis[usize::from(at)] = world::cache(copy, self.subjects);
                stands
            }
        };
        if !heard {
            world.faults.answers -= 1;
            self.leave(world, hand, |contact| contact.place = Place::Due);
        } else if !granted {
            self.again(world, hand);
        } else if self.setup.redis == Redis::Slots && usize::from(done) + 1 < claims.len() {
            world.hands[usize::from(hand)].stage = Stage::Reserving(judged, done + 1);
        } else {
            let job = world.hands[usize::from(hand)].job?;
            world.flying.push(Flying {
                hand,
                attempt: (job.contact, job.try_no),
                key: judged.key,
                demand: judged.demand.clone(),
                orphan: false,
            });
            world.flying.sort();
            let stage =
                if self.setup.fences.commit_first { Stage::Committing } else { Stage::Cleared };
            world.hands[usize::from(hand)].stage = stage(judged);
        }
        Some(())
    }

    /// The transaction: compare, set, insert; or nothing. A hand that waits hears of it, and of a
    /// conflict it forgets the copies, where that gets through.
    pub(crate) fn commit(
        &self,
        world: &mut World,
        flying: u8,
        heard: bool,
        told: Told,
    ) -> Option<()> {
        let commit = world.flying.remove(usize::from(flying));
        let waited = waits(world, &commit);
        let stood = self.stands(world, &commit);
        if stood && told.is_some() {
            return None; // nobody is told of a commit: the reservation says it
        }
        if waited && !heard {
            world.faults.answers -= 1;
            return Some(());
        }
        if !waited {
            return told.is_none().then_some(());
        }
        if stood {
            let hand = &mut world.hands[usize::from(commit.hand)];
            if let Stage::Committing(judged) = hand.stage.clone() {
                hand.stage = Stage::Cleared(judged);
            }
            return Some(());
        }
        if let Some(at) = told {
            let subjects = commit.demand.claims().iter().map(|claim| claim.subject);
            self.forget(world, usize::from(at), subjects);
        }
        self.again(world, commit.hand);
        Some(())
    }

    fn stands(&self, world: &mut World, commit: &Flying) -> bool {
        let fences = &self.setup.fences;
        if fences.attempt_once && world.attempts.contains(&commit.attempt) {
            return false;
        }
        let mut truth = (*world.truth).clone();
        if fences.compare {
            if !truth.commit(&commit.demand) {
                return false;
            }
        } else {
            for claim in commit.demand.claims() {
                truth.advance(claim.subject, |_| Some(claim.next.clone()));
            }
        }
        world.truth = world::truth(truth, self.subjects);
        let subjects = subjects_of(&commit.demand);
        let human = Self::human(world, subjects);
        let before = world.placements.iter().filter(|placed| {
            Self::human(world, placed.subjects) & human != 0 && !placed.ends.contains(&End::NotSent)
        });
        let over = self.setup.time.until == 0 && before.count() >= self.setup.cap;
        world.placements.push(Placed {
            key: commit.key,
            attempt: commit.attempt,
            subjects,
            hand: commit.hand,
            orphan: commit.orphan,
            ends: Vec::new(),
            after_stop: subjects & world.stopped != 0 || (!world.consent && commit.attempt.0 == 0),
            over,
        });
        world.placements.sort();
        self.bar(world, commit.attempt);
        true
    }

    /// A try that is in `attempt` once is never committed again.
    pub(crate) fn bar(&self, world: &mut World, attempt: (u8, u8)) {
        if let Err(at) = world.attempts.binary_search(&attempt) {
            world.attempts.insert(at, attempt);
        }
    }
}

/// Whether the hand still waits for the answer to this commit.
fn waits(world: &World, commit: &Flying) -> bool {
    !commit.orphan
        && matches!(&world.hands[usize::from(commit.hand)].stage,
            Stage::Committing(judged) if judged.demand == commit.demand)
}

fn subjects_of(demand: &Demand) -> u8 {
    demand
        .claims()
        .iter()
        .filter_map(|claim| u8::try_from(claim.subject.0 - 1).ok())
        .fold(0, |bits, bit| bits | (1 << bit))
}
