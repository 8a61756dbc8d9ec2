//! How nodes hear of opt-outs, and the send lease that rests on it (G7): as `dialer` asks Postgres, ten
//! times slower, so that a seed stays quick.

use std::time::Duration;

use dialer_engine::{Fences, Input};

use super::{Event, Faults, World};
use crate::{check::Told, stores::Incarnation};

/// How often a node asks.
const ASK_MS: u64 = 250;
/// How long it may send from when it asked.
const LEASE_MS: u64 = 1_000;
/// How long after it is durable an opt-out is answered.
pub(crate) const ANSWER_MS: u64 = 1_100;
/// How soon where the fence is out that waits for the leases.
pub(crate) const HASTY_MS: u64 = 50;

/// A step of a question.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ear {
    /// A node asks.
    Ask(Incarnation),
    /// The question that was asked then reaches Postgres.
    Question(Incarnation, u64),
    /// The answer to the question that was asked then: so many opt-outs are durable.
    Answer(Incarnation, u64, usize),
}

impl<F: Fences> World<F> {
    pub(crate) fn ear(&mut self, ear: Ear) {
        match ear {
            Ear::Ask(at) => self.ask(at),
            Ear::Question(at, asked_ms) => {
                if self.stores.truth_up {
                    let durable = self.log.opt_outs.len();
                    self.after(0, 10, Event::Ear(Ear::Answer(at, asked_ms, durable)));
                }
            }
            Ear::Answer(at, asked_ms, durable) => self.hear(at, asked_ms, durable),
        }
    }

    fn ask(&mut self, at: Incarnation) {
        let now_ms = self.now_ms;
        let Some(node) = self.alive(at) else { return };
        let links = node.links;
        let away = node.paused_until > now_ms || links.no_truth_until > now_ms;
        self.at(now_ms + ASK_MS, Event::Ear(Ear::Ask(at)));
        if away {
            return;
        }
        let troubled = self.faults == Faults::All;
        if troubled && self.rng.chance(20) {
            return; // lost
        }
        let slow = links.slow_truth_until > now_ms || (troubled && self.rng.chance(20));
        let (low, high) = if slow { (300, 3_000) } else { (1, 20) };
        self.after(low, high, Event::Ear(Ear::Question(at, now_ms)));
    }

    /// The answer is read: what is new comes first, then the lease.
    fn hear(&mut self, at: Incarnation, asked_ms: u64, durable: usize) {
        loop {
            let now_ms = self.now_ms;
            let Some(node) = self.alive(at) else { return };
            if node.paused_until > now_ms {
                self.at(now_ms + 100, Event::Ear(Ear::Answer(at, asked_ms, durable)));
                return;
            }
            let which = node.heard;
            if which >= durable {
                break;
            }
            node.heard += 1;
            let Some(out) = self.log.opt_outs.get(which).map(|said| said.out.clone()) else {
                break;
            };
            self.log.told.push(Told { at_ms: now_ms, by: at, which });
            self.give(at.node, Input::Suppressed(out));
        }
        // The answer tells Postgres's time, too: a node whose clock is another's gets no lease.
        if self.alive(at).is_none_or(|node| node.links.is_off()) {
            return;
        }
        let until = self.base.mono + Duration::from_millis(asked_ms + LEASE_MS);
        self.give(at.node, Input::Leased(until));
    }
}
