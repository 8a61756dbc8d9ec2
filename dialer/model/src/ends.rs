//! From a clearance to the outcome, and what is left of the dead.

use dialer_limiter::Head;
use dialer_types::{Outcome, PlacementId};

use crate::{
    Action, Event, Gate, Told,
    world::{Broken, End, OptOut, Place, Sent, Stage, World, each},
};

/// Kinds of event tokens.
const SETTLED: u8 = 1;

impl Gate {
    pub(crate) fn ends_may(&self, world: &World, hand: u8, actions: &mut Vec<Action>) {
        let held = &world.hands[usize::from(hand)];
        match &held.stage {
            Stage::Cleared(_) => {
                actions.push(Action::GiveUp { hand });
                if self.setup.may(Event::OptOut) {
                    if !held.doomed && (world.now < held.lease || !self.setup.fences.lease) {
                        actions.push(Action::HandOver { hand });
                    }
                } else {
                    actions.push(Action::Send { hand });
                }
            }
            Stage::Handed(..) => {
                actions.push(Action::Send { hand });
                if held.doomed && !self.setup.fences.handed_may_leave {
                    actions.push(Action::GiveUp { hand });
                }
            }
            Stage::Ended(..) => {
                for told in self.tellings(world) {
                    actions.push(Action::Settle { hand, told });
                }
            }
            Stage::Released(_) => {
                for told in self.tellings(world) {
                    actions.push(Action::Release { hand, told });
                }
            }
            _ => {}
        }
    }

    pub(crate) fn reaper_may(&self, world: &World, actions: &mut Vec<Action>) {
        let open = world.placements.iter().any(|placed| placed.orphan && placed.ends.is_empty());
        let held = world.contacts.iter().any(|at| matches!(at.place, Place::Orphaned(_)));
        if open || held {
            for told in self.tellings(world) {
                actions.push(Action::Reap { told });
            }
        }
    }

    /// No answer within patience: given up, and released.
    pub(crate) fn impatient(&self, world: &mut World, hand: u8) -> Option<()> {
        let Stage::Committing(judged) = world.hands[usize::from(hand)].stage.clone() else {
            return None;
        };
        if world.flying.iter().any(|flying| flying.key == judged.key) {
            world.faults.answers -= 1;
        }
        world.hands[usize::from(hand)].stage = if self.setup.fences.silence_denies {
            Stage::Released(judged.key)
        } else {
            Stage::Cleared(judged)
        };
        Some(())
    }

    pub(crate) fn release(&self, world: &mut World, hand: u8, told: Told) -> Option<()> {
        let held = &world.hands[usize::from(hand)];
        let (Stage::Released(key), Some(job)) = (held.stage.clone(), held.job) else { return None };
        if self.setup.fences.release_bars {
            self.bar(world, (job.contact, job.try_no));
        }
        self.outcome(world, key, End::NotSent, told);
        self.leave(world, hand, |contact| {
            contact.try_no += 1;
            contact.place = Place::Due;
        });
        Some(())
    }

    /// Something stands in the way of the INVITE: it is not sent.
    pub(crate) fn give_up(&self, world: &mut World, hand: u8) -> Option<()> {
        match world.hands[usize::from(hand)].stage.clone() {
            Stage::Cleared(judged) => {
                world.hands[usize::from(hand)].stage = Stage::Ended(judged.key, End::NotSent);
            }
            // The fence that is out: it says so of a datagram that the driver still has.
            Stage::Handed(judged, _) => {
                world.hands[usize::from(hand)].doomed = false;
                self.outcome(world, judged.key, End::NotSent, None);
            }
            _ => return None,
        }
        Some(())
    }

    /// The driver takes the datagram.
    pub(crate) fn hand_over(&self, world: &mut World, hand: u8) -> Option<()> {
        let Stage::Cleared(judged) = world.hands[usize::from(hand)].stage.clone() else {
            return None;
        };
        let held = &mut world.hands[usize::from(hand)];
        held.stage = Stage::Handed(judged, held.lease);
        Some(())
    }

    /// The last look, and the wire; or too late, and not sent.
    pub(crate) fn send(&self, world: &mut World, hand: u8) -> Option<()> {
        let held = &world.hands[usize::from(hand)];
        let (judged, lease) = match held.stage.clone() {
            Stage::Cleared(judged) => (judged, held.lease),
            Stage::Handed(judged, lease) if self.setup.fences.lease_of_handover => (judged, lease),
            Stage::Handed(judged, _) => (judged, held.lease),
            _ => return None,
        };
        let job = held.job?;
        let fences = &self.setup.fences;
        let late = fences.not_after && world.now >= judged.at.saturating_add(self.setup.time.life);
        let unleased = self.setup.may(Event::OptOut) && fences.lease && world.now >= lease;
        if late || unleased {
            world.hands[usize::from(hand)].stage = Stage::Ended(judged.key, End::NotSent);
            return Some(());
        }
        let sent = Sent {
            at: world.now,
            key: judged.key,
            subjects: job.subjects,
            attempt: (job.contact, job.try_no),
        };
        self.judge_wire(world, sent);
        world.wire.push(sent);
        world.hands[usize::from(hand)].stage = Stage::Ended(judged.key, End::Counted);
        Some(())
    }

    /// What an INVITE breaks in the moment it leaves.
    fn judge_wire(&self, world: &mut World, sent: Sent) {
        match world.placements.iter().find(|placed| placed.key == sent.key) {
            None => world.breaks(Broken::NotCommitted),
            Some(placed) if placed.after_stop => world.breaks(Broken::AfterStop),
            Some(placed) if placed.over => world.breaks(Broken::OverCapAtCommit),
            Some(placed) if placed.ends.contains(&End::NotSent) => {
                world.breaks(Broken::SentCalledUnsent);
            }
            Some(_) => {}
        }
        if world.wire.iter().any(|other| other.attempt == sent.attempt) {
            world.breaks(Broken::Twice);
        }
        if world.opt_out == OptOut::Answered && sent.subjects & self.setup.contacts[0] != 0 {
            world.breaks(Broken::AfterAnswer);
        }
        let near = |other: &&Sent| sent.at - other.at < self.setup.time.window;
        let over = each(sent.subjects).any(|subject| {
            let same = world.wire.iter().filter(|other| other.subjects & (1 << subject) != 0);
            same.filter(near).count() >= self.setup.cap
        });
        if over {
            world.breaks(Broken::OverCap);
        }
    }

    pub(crate) fn settle(&self, world: &mut World, hand: u8, told: Told) -> Option<()> {
        let Stage::Ended(key, end) = world.hands[usize::from(hand)].stage else { return None };
        self.outcome(world, key, end, told);
        self.leave(world, hand, |contact| {
            contact.try_no += 1;
            contact.place = Place::Due;
        });
        Some(())
    }

    /// One outcome, which may correct *unknown* but not into *not sent*; with it the heads move.
    fn outcome(&self, world: &mut World, key: u64, end: End, told: Told) {
        let left = world.wire.iter().any(|sent| sent.key == key);
        if end == End::NotSent && left {
            world.breaks(Broken::SentCalledUnsent);
        }
        let Some(placed) = world.placements.iter_mut().find(|placed| placed.key == key) else {
            return;
        };
        match (placed.ends.last(), end) {
            (None, _) | (Some(End::Unknown), End::Counted) => placed.ends.push(end),
            _ => return,
        }
        let placement = PlacementId(u128::from(key));
        let subjects = Self::human(
            world,
            world.placements.iter().find(|p| p.key == key).map_or(0, |p| p.subjects),
        );
        let counts = match end {
            End::NotSent => None,
            End::Counted => self.setup.fences.settle_keeps.then_some(Outcome::NoAnswer),
            End::Unknown => Some(Outcome::Unknown),
        };
        let number = key * 8 + end as u64;
        self.advance(world, subjects, told, |_, head: &Head| {
            let token = self.token(head, SETTLED, number);
            match counts {
                Some(outcome) => head.settled(token, placement, outcome),
                None => head.released(token, placement),
            }
        });
    }

    /// A node may crash, or be taken for dead while it goes on.
    pub(crate) fn node_may(&self, world: &World, hand: u8, actions: &mut Vec<Action>) {
        let held = &world.hands[usize::from(hand)];
        if world.faults.nodes > 0 && held.stage != Stage::Free {
            actions.push(Action::Crash { hand });
            actions.push(Action::TakeForDead { hand });
        }
        self.poll_may(world, hand, actions);
    }

    pub(crate) fn crash(&self, world: &mut World, hand: u8) -> Option<()> {
        self.take_for_dead(world, hand)?;
        let held = &mut world.hands[usize::from(hand)];
        (held.job, held.stage, held.doomed) = (None, Stage::Free, false);
        (held.lease, held.poll, held.told) = (0, None, false);
        for flying in world.flying.iter_mut().filter(|flying| flying.hand == hand) {
            flying.orphan = true;
        }
        Some(())
    }

    pub(crate) fn take_for_dead(&self, world: &mut World, hand: u8) -> Option<()> {
        world.faults.nodes -= 1;
        for placed in world.placements.iter_mut().filter(|placed| placed.hand == hand) {
            placed.orphan = true;
        }
        for contact in &mut world.contacts {
            if contact.place == Place::Leased(hand) {
                contact.place = Place::Orphaned(hand);
            }
        }
        Some(())
    }

    /// What the dead left open is unknown, and counts; their contacts are due.
    pub(crate) fn reap(&self, world: &mut World, told: Told) -> Option<()> {
        let end = if self.setup.fences.unknown_counts { End::Unknown } else { End::NotSent };
        let open: Vec<u64> = world
            .placements
            .iter()
            .filter(|placed| placed.orphan && placed.ends.is_empty())
            .map(|placed| placed.key)
            .collect();
        for key in open {
            self.outcome(world, key, end, told);
        }
        for (number, contact) in (0..).zip(&mut world.contacts) {
            if matches!(contact.place, Place::Orphaned(_)) {
                contact.place = Place::Due;
                if world.attempts.contains(&(number, contact.try_no)) {
                    contact.try_no += 1;
                }
                if contact.try_no > self.setup.tries {
                    contact.place = Place::Done;
                }
            }
        }
        Some(())
    }
}

/// Whoever ends an open placement: the hand that has it, or a reaper.
pub(crate) fn check(world: &mut World) {
    let ended = world.placements.iter().all(|placed| {
        !placed.ends.is_empty()
            || placed.orphan
            || world.hands.iter().any(|hand| match &hand.stage {
                Stage::Committing(judged) | Stage::Cleared(judged) | Stage::Handed(judged, _) => {
                    judged.key == placed.key
                }
                Stage::Ended(key, _) | Stage::Released(key) => *key == placed.key,
                _ => false,
            })
    });
    if !ended {
        world.breaks(Broken::NobodyEndsIt);
    }
}
