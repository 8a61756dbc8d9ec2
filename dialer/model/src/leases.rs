//! Send leases: what a poll of Postgres sees, until when its node may send, and when the API answers.

use crate::{
    Action, Event, Gate,
    world::{OptOut, Stage, World},
};

/// The rows of a poll whose lease was given before them, with that fence out.
const LEASED: u8 = u8::MAX;

impl Gate {
    pub(crate) fn poll_may(&self, world: &World, hand: u8, actions: &mut Vec<Action>) {
        if !self.setup.may(Event::OptOut) {
            return;
        }
        let held = &world.hands[usize::from(hand)];
        match held.poll {
            // A poll that would not lengthen the lease changes nothing; without time none is of use.
            None if held.stage != Stage::Free && world.now + self.setup.time.lease > held.lease => {
                actions.push(Action::PollBegin { hand });
            }
            None => {}
            Some((_, None)) => actions.push(Action::PollRun { hand }),
            Some((_, Some(_))) => actions.push(Action::PollEnd { hand }),
        }
    }

    pub(crate) fn poll_begin(&self, world: &mut World, hand: u8) -> Option<()> {
        world.hands[usize::from(hand)].poll = Some((world.now, None));
        Some(())
    }

    /// Postgres is asked: every new row that is committed now.
    pub(crate) fn poll_run(&self, world: &mut World, hand: u8) -> Option<()> {
        let held = &mut world.hands[usize::from(hand)];
        held.poll.as_mut()?.1 = Some(world.opt_out != OptOut::No && !held.told);
        Some(())
    }

    /// The answer is there: rows to the engine, then the lease.
    pub(crate) fn poll_end(&self, world: &mut World, hand: u8) -> Option<()> {
        let fences = &self.setup.fences;
        let now = world.now;
        let held = &mut world.hands[usize::from(hand)];
        let (began, saw) = held.poll.take()?;
        let saw = saw?;
        held.told |= saw;
        if began != LEASED {
            let from = if fences.lease_from_begin { began } else { now };
            held.lease = held.lease.max(from + self.setup.time.lease);
        }
        if saw && !fences.rows_before_lease && began != LEASED {
            held.poll = Some((LEASED, Some(true)));
        } else if saw && held.job.is_some_and(|job| job.subjects & self.setup.contacts[0] != 0) {
            held.doomed = true;
        }
        Some(())
    }

    pub(crate) fn may_answer(&self, world: &World) -> bool {
        match world.opt_out {
            OptOut::Committed(at) => {
                !self.setup.fences.answer_waits || world.now >= at + self.setup.time.lease
            }
            OptOut::No | OptOut::Row | OptOut::Answered => false,
        }
    }
}
