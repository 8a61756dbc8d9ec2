//! What befalls Redis, and what others do to heads.

use dialer_limiter::{Head, Mark, Token, memory::Cache};
use dialer_types::UnixMillis;

use crate::{
    Action, Event, Gate, Redis, Told,
    world::{self, OptOut, World, each},
};

/// Kinds of event tokens.
const STOPPED: u8 = 2;
const MERGED: u8 = 3;

impl Gate {
    pub(crate) fn weather_may(&self, world: &World, actions: &mut Vec<Action>) {
        if self.setup.redis == Redis::Anything {
            return;
        }
        let split = world.redis.len() > 1;
        for keep in (0..2).filter(|_| split) {
            actions.push(Action::Heal { keep });
        }
        if world.faults.redis == 0 {
            return;
        }
        if !split {
            if world.replica.as_ref() != world.redis.first() {
                actions.push(Action::Replicate);
            }
            actions.push(Action::Failover);
            actions.push(Action::Split);
        }
        let instances = u8::try_from(world.redis.len()).unwrap_or(0);
        actions.extend((0..instances).map(|which| Action::Empty { which }));
    }

    pub(crate) fn weather(&self, world: &mut World, action: Action) -> Option<()> {
        let empty = || world::cache(Cache::default(), self.subjects);
        match action {
            Action::Replicate => {
                world.replica = world.redis.first().cloned();
                return Some(());
            }
            Action::Heal { keep } => {
                world.redis = vec![world.redis[usize::from(keep)].clone()];
                return Some(());
            }
            Action::Failover => world.redis = vec![world.replica.take().unwrap_or_else(empty)],
            Action::Split => {
                let other = world.replica.take().unwrap_or_else(empty);
                world.redis.push(other);
            }
            Action::Empty { which } => world.redis[usize::from(which)] = empty(),
            _ => return None,
        }
        world.faults.redis -= 1;
        if world.faults.redis == 0 {
            world.replica = None; // it changes nothing any more
        }
        Some(())
    }

    pub(crate) fn events_may(&self, world: &World, actions: &mut Vec<Action>) {
        for event in self.setup.events.iter().copied() {
            let open = match event {
                Event::Suppress => world.stopped == 0,
                Event::Revoke => world.consent,
                Event::Merge => {
                    if world.merged == 0 {
                        actions.extend(
                            self.tellings(world).into_iter().map(|told| Action::Merge { told }),
                        );
                    }
                    false
                }
                Event::OptOut => matches!(world.opt_out, OptOut::No | OptOut::Row),
            };
            if open {
                let all = self.tellings(world).into_iter();
                actions.extend(all.map(|told| Action::Stop { event, told }));
            }
        }
        if self.may_answer(world) {
            actions.push(Action::Answer);
        }
    }

    /// Nobody may call the first contact any more.
    pub(crate) fn stop(&self, world: &mut World, event: Event, told: Told) -> Option<()> {
        let fences = &self.setup.fences;
        if event == Event::OptOut && world.opt_out == OptOut::No && !fences.row_with_heads {
            world.opt_out = OptOut::Row;
            return told.is_none().then_some(());
        }
        let all = world.contacts[0].subjects;
        let subjects = if event == Event::Revoke { lowest(all) } else { all };
        match event {
            Event::Revoke => world.consent = false,
            Event::Suppress | Event::Merge => world.stopped |= subjects,
            Event::OptOut => {
                world.stopped |= subjects;
                world.opt_out = OptOut::Committed(world.now);
            }
        }
        self.advance(world, subjects, told, |_, head: &Head| {
            let token = self.token(head, STOPPED, event as u64);
            let token = if fences.stop_moves_head { token } else { head.token() };
            match event {
                Event::Revoke => Some(head.touched(token)),
                _ => head.with_mark(token, Mark::suppressed(None)).ok(),
            }
        });
        Some(())
    }

    /// The persons of the first two contacts turn out to be one: the first takes the other's history
    /// and marks over, the other is closed, and its contact is the first's from now on.
    pub(crate) fn merge(&self, world: &mut World, told: Told) -> Option<()> {
        let fences = &self.setup.fences;
        let (kept, gone) = (lowest(world.contacts[0].subjects), lowest(world.contacts[1].subjects));
        let other = world.truth.read(world::id(each(gone).next()?))?.clone();
        world.merged = kept | gone;
        world.contacts[1].subjects = (world.contacts[1].subjects & !gone) | kept;
        self.advance(world, kept | gone, told, |subject, head: &Head| {
            let fresh = self.token(head, MERGED, u64::from(subject));
            let token = if fences.merge_moves_heads { fresh } else { head.token() };
            if 1 << subject == gone {
                let closed = Mark::suppressed(None);
                return fences.merge_closes_head.then(|| head.with_mark(token, closed).ok())?;
            }
            if fences.merge_unites {
                united(head, &other, token)
            } else {
                Some(head.touched(token))
            }
        });
        Some(())
    }
}

/// A head with another's entries and marks as well, each once.
fn united(head: &Head, other: &Head, token: Token) -> Option<Head> {
    let missing = other
        .entries()
        .iter()
        .filter(|entry| head.entries().iter().all(|held| held.key != entry.key));
    let mut next = head.touched(token);
    for entry in missing {
        next = next.with_entry(token, *entry, UnixMillis(0)).ok()?;
    }
    for mark in other.marks() {
        next = next.with_mark(token, *mark).ok()?;
    }
    Some(next)
}

const fn lowest(bits: u8) -> u8 {
    bits & bits.wrapping_neg()
}
