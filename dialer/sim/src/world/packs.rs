//! Rule packs that change while nodes run: as `dialer/src/packs.rs` has it.

use std::sync::Arc;

use dialer_engine::{Fences, Input};
use dialer_policy::Ruleset;
use dialer_types::UnixMillis;

use super::{Event, Faults, World};
use crate::{
    check::Ruled,
    rng::Rng,
    stores::{Incarnation, Place},
};

/// Whoever was judged so long after a change may have been judged by the rules before.
const ON_OLD_MS: i64 = 2_000;
/// How often and how many times somebody is looked for who was.
const LOOK_MS: u64 = 1_000;
const LOOKS: u8 = 30;

/// Looking for those who wait by other rules.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Again {
    by: Incarnation,
    /// They were judged until then.
    judged: UnixMillis,
    left: u8,
}

impl<F: Fences> World<F> {
    /// A few times the quiet packs come, and the open ones again; the last of them early enough for
    /// everybody to be called. Chance of its own, so that a world is the same but for this.
    pub(crate) fn plan_packs(&mut self, seed: u64) {
        let mut chance = Rng::new(seed, 2);
        let mut at = chance.between(1_000, 40_000);
        for _ in 0..chance.between(1, 4) {
            self.at(at, Event::Packs(true));
            at += chance.between(3_000, 30_000);
            self.at(at, Event::Packs(false));
            at += chance.between(3_000, 60_000);
        }
    }

    /// The rules that a node finds on its disk.
    pub(crate) fn on_disk(&self) -> Arc<Ruleset> {
        Arc::clone(if self.quiet { &self.rules.quiet } else { &self.rules.open })
    }

    /// Every node finds them in its own time.
    pub(crate) fn packs(&mut self, quiet: bool) {
        self.quiet = quiet;
        let nodes: Vec<Incarnation> = self.nodes.iter().map(|node| node.at).collect();
        for at in nodes {
            let slowest = if self.faults == Faults::All { 20_000 } else { 2_000 };
            self.after(1, slowest, Event::Found(at));
        }
    }

    /// A node puts in force what is on its disk.
    pub(crate) fn found(&mut self, at: Incarnation) {
        let now_ms = self.now_ms;
        match self.alive(at) {
            None => return,
            Some(node) if node.paused_until > now_ms => {
                self.at(now_ms + 100, Event::Found(at));
                return;
            }
            Some(_) => {}
        }
        let rules = self.on_disk();
        if self.log.rules_of(at, now_ms).is_some_and(|held| held == rules.version()) {
            return;
        }
        self.log.ruled.push(Ruled { at_ms: now_ms, by: at, rules: rules.version() });
        self.give(at.node, Input::Rules(rules));
        let now = self.base.wall_at(now_ms);
        self.changed_at = self.changed_at.max(Some(now));
        self.look_again(at, now);
    }

    /// A node that begins judges by what is on its disk.
    pub(crate) fn begins_with_packs(&mut self, at: Incarnation) {
        let rules = self.on_disk().version();
        let others = self.log.ruled.iter().rev().find(|ruled| ruled.by != at);
        let changed = others.is_some_and(|others| others.rules != rules);
        self.log.ruled.push(Ruled { at_ms: self.now_ms, by: at, rules });
        if changed {
            self.changed_at = Some(self.base.wall_at(self.now_ms));
        }
        if let Some(since) = self.changed_at {
            self.look_again(at, since);
        }
    }

    fn look_again(&mut self, by: Incarnation, since: UnixMillis) {
        let again = Again { by, judged: UnixMillis(since.0 + ON_OLD_MS), left: LOOKS };
        self.at(self.now_ms, Event::Again(again));
    }

    /// Whoever waits by rules until then is due.
    pub(crate) fn again(&mut self, again: Again) {
        if self.alive(again.by).is_none() {
            return;
        }
        let mut left = again.left;
        if self.stores.truth_up {
            let now = self.base.wall_at(self.now_ms);
            for contact in self.stores.contacts.values_mut() {
                let waits = matches!(contact.place, Place::Due(_) | Place::Parked(_));
                if waits && contact.judged.is_some_and(|judged| judged <= again.judged) {
                    (contact.place, contact.judged) = (Place::Due(now), None);
                }
            }
            left -= 1;
        }
        if left > 0 {
            self.at(self.now_ms + LOOK_MS, Event::Again(Again { left, ..again }));
        }
    }
}
