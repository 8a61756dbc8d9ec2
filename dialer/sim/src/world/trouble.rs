//! What goes wrong, and when.

use dialer_engine::{Fences, Input, OptOut};
use dialer_limiter::Mark;
use dialer_types::{Purpose, SellerNo, SubjectId};

use super::{BEAT_MS, DEAD_AFTER_MS, Event, Faults, TAKING_MS, World};
use crate::{
    carrier::Outage,
    check,
    people::PURPOSE,
    stores::{Incarnation, Place},
};

/// Something that happens to the world.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    Crash(usize),
    Pause(usize, u64),
    TruthDown(u64),
    TruthUp,
    CacheDown(u64),
    CacheUp,
    CacheEmptied,
    CacheLosesWrites,
    Snapshot,
    Suppress(usize),
    Revoke(usize),
    Drain(usize),
    CarrierDown(usize, Outage, u64),
    CarrierUp(usize),
}

impl<F: Fences> World<F> {
    pub(crate) fn plan_trouble(&mut self) {
        let persons = u64::try_from(self.people.persons.len()).unwrap_or(1);
        let times = if persons > 100 { persons / 20 } else { self.rng.between(2, 8) };
        for _ in 0..times {
            let who = usize::try_from(self.rng.between(0, persons - 1)).unwrap_or(0);
            let trouble =
                if self.rng.chance(600) { Trouble::Suppress(who) } else { Trouble::Revoke(who) };
            self.after(500, TAKING_MS / 8, Event::Trouble(trouble));
        }
        if self.faults == Faults::None {
            return;
        }
        let nodes = u64::try_from(self.nodes.len()).unwrap_or(1);
        for at in (1_000..TAKING_MS).step_by(7_000) {
            self.at(at, Event::Trouble(Trouble::Snapshot));
        }
        for _ in 0..self.rng.between(2, 10).max(nodes) {
            let node = usize::try_from(self.rng.between(0, nodes - 1)).unwrap_or(0);
            let length = self.rng.between(500, 20_000);
            let trouble = match self.rng.between(0, 99) {
                0..=19 => Trouble::Crash(node),
                20..=34 => Trouble::Pause(node, length),
                35..=46 => Trouble::TruthDown(length),
                47..=58 => Trouble::CacheDown(length),
                59..=70 => Trouble::CacheEmptied,
                71..=90 => Trouble::CacheLosesWrites,
                _ => Trouble::Drain(node),
            };
            self.after(2_000, TAKING_MS * 3 / 4, Event::Trouble(trouble));
        }
        self.plan_outages();
    }

    /// A carrier fails for a while, in some worlds both do. The last one is over early enough for
    /// the longest pause of the breaker to be over, too.
    fn plan_outages(&mut self) {
        for _ in 0..self.rng.between(0, 3) {
            let carrier = usize::from(self.rng.chance(300));
            let outage = match self.rng.between(0, 2) {
                0 => Outage::Everything,
                1 => Outage::Calls,
                _ => Outage::Silence,
            };
            let trouble = Trouble::CarrierDown(carrier, outage, self.rng.between(5_000, 120_000));
            self.after(0, TAKING_MS / 3, Event::Trouble(trouble));
        }
    }

    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Crash(node) => self.crash(node),
            Trouble::Pause(node, length) => self.pause(node, length),
            Trouble::TruthDown(length) => {
                self.stores.truth_up = false;
                self.at(self.now_ms + length, Event::Trouble(Trouble::TruthUp));
            }
            Trouble::TruthUp => self.stores.truth_up = true,
            Trouble::CacheDown(length) => {
                self.stores.cache_up = false;
                self.at(self.now_ms + length, Event::Trouble(Trouble::CacheUp));
            }
            Trouble::CacheUp => self.stores.cache_up = true,
            Trouble::CacheEmptied => self.stores.cache.empty(),
            Trouble::CacheLosesWrites => {
                if let Some(older) = self.snapshots.front() {
                    self.stores.cache = older.clone();
                }
            }
            Trouble::Snapshot => {
                self.snapshots.push_back(self.stores.cache.clone());
                if self.snapshots.len() > 4 {
                    self.snapshots.pop_front();
                }
            }
            Trouble::Suppress(who) => {
                let who = self.somebody_under_way(who);
                self.suppress(who);
            }
            Trouble::Revoke(who) => {
                let who = self.somebody_under_way(who);
                self.revoke(who);
            }
            Trouble::Drain(node) => self.drain_node(node),
            Trouble::CarrierDown(which, outage, length) => {
                if let Some(carrier) = self.carriers.get_mut(which)
                    && carrier.outage.is_none()
                {
                    carrier.outage = Some(outage);
                    let up = Event::Trouble(Trouble::CarrierUp(which));
                    self.at(self.now_ms + length, up);
                }
            }
            Trouble::CarrierUp(which) => {
                if let Some(carrier) = self.carriers.get_mut(which) {
                    carrier.outage = None;
                }
            }
        }
    }

    /// A node is held up: if for long, the others take it for dead.
    pub(crate) fn pause(&mut self, node: usize, length: u64) {
        let until = self.now_ms + length;
        let Some(held) = self.nodes.get_mut(node).filter(|held| held.paused_until <= self.now_ms)
        else {
            return;
        };
        held.paused_until = until;
        let at = held.at;
        self.at(until, Event::Resume(node));
        if self.weather {
            self.silent(at, until);
        }
    }

    /// A node writes no heartbeat until then. If that is too long it is reaped, finds out when it is
    /// back, and stops.
    pub(crate) fn silent(&mut self, at: Incarnation, until: u64) {
        if until > self.now_ms + DEAD_AFTER_MS {
            self.dead.push((at, self.now_ms));
            self.at(until + BEAT_MS, Event::TakenForDead(at));
        }
    }

    pub(crate) fn crash(&mut self, node: usize) {
        let Some(held) = self.nodes.get_mut(node) else {
            return;
        };
        if held.engine.take().is_some() {
            self.dead.push((held.at, self.now_ms));
            held.waiting.clear();
            held.datagrams.clear();
            self.after(1_000, 30_000, Event::Restart(node));
        }
    }

    fn drain_node(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let Some(held) = self.nodes.get_mut(node) else {
            return;
        };
        if held.engine.is_some() && held.draining_since.is_none() {
            let at = held.at;
            held.draining_since = Some(now_ms);
            self.log.drains.push((at, now_ms.max(held.paused_until.min(now_ms + 60_000))));
            self.give(node, Input::Drain);
            // It ends by itself; a crash after a minute stands for the process's exit.
            self.at(now_ms + 60_000, Event::Trouble(Trouble::Crash(node)));
        }
    }

    /// Opt-outs come at the worst moment: mostly of a person who is being called just now.
    fn somebody_under_way(&mut self, otherwise: usize) -> usize {
        let under_way: Vec<usize> = self
            .stores
            .contacts
            .values()
            .filter(|contact| matches!(contact.place, Place::Leased(_)))
            .map(|contact| contact.person)
            .collect();
        let last = u64::try_from(under_way.len()).unwrap_or(0).saturating_sub(1);
        let pick = usize::try_from(self.rng.between(0, last)).unwrap_or(0);
        under_way.get(pick).copied().filter(|_| self.rng.chance(800)).unwrap_or(otherwise)
    }

    /// A person opts out, at every seller or at one, of every call or of those of one purpose, which
    /// may be another than that of the campaigns.
    fn suppress(&mut self, who: usize) {
        if !self.stores.truth_up {
            return; // the API refuses: nothing was promised
        }
        let seller = if self.rng.chance(500) { SellerNo(0) } else { SellerNo(1) };
        let subjects = self.subjects_of(who);
        let purpose = match self.log.opt_outs.len() % 8 {
            1 => Some(PURPOSE),
            3 => Some(Purpose::Telemarketing),
            _ => None,
        };
        let mark = Mark::suppressed((seller != SellerNo(0)).then_some(seller)).about(purpose);
        let reach = self.stores.reach();
        for subject in &subjects {
            let token = self.stores.token();
            if self.stores.fences.optout_moves_head {
                self.stores.advance(*subject, reach, |head| head.with_mark(token, mark).ok());
            }
        }
        self.opted_out(OptOut { subjects, seller, purpose }, false);
    }

    /// A person takes a consent back.
    fn revoke(&mut self, who: usize) {
        if !self.stores.truth_up {
            return;
        }
        let now_ms = self.now_ms;
        let seller = SellerNo(if self.rng.chance(500) { 1 } else { 2 });
        let Some(person) = self.people.persons.get_mut(who) else {
            return;
        };
        let mut revoked = false;
        for consent in &mut person.consents {
            if consent.seller == seller && consent.revoked_at.is_none() {
                consent.revoked_at = Some(now_ms);
                revoked = true;
            }
        }
        if !revoked {
            return;
        }
        let subjects = self.subjects_of(who);
        let reach = self.stores.reach();
        for subject in &subjects {
            let token = self.stores.token();
            if self.stores.fences.optout_moves_head {
                self.stores.advance(*subject, reach, |head| Some(head.touched(token)));
            }
        }
        let Some(person) = self.people.persons.get(who) else {
            return;
        };
        // A revocation concerns the person, not everybody on a shared number.
        let subjects = vec![person.subject];
        self.opted_out(OptOut { subjects, seller, purpose: None }, true);
    }

    /// It is durable: the nodes hear of it when they ask.
    fn opted_out(&mut self, out: OptOut, consent: bool) {
        self.log.opt_outs.push(check::OptOut { at_ms: self.now_ms, out, consent });
    }

    fn subjects_of(&self, who: usize) -> Vec<SubjectId> {
        let Some(person) = self.people.persons.get(who) else {
            return Vec::new();
        };
        person
            .numbers
            .iter()
            .filter_map(|index| self.people.numbers.get(*index))
            .map(|number| number.subject)
            .chain([person.subject])
            .collect()
    }
}
