//! What befalls the stores and the nodes' ways to them: a Redis that fails over, splits, is full, slow
//! or without its functions; a node that is cut off from one store; answers that do not come; clocks
//! that are stepped. Each from a stream of chance of its own, so that a world is the same but for this.

use dialer_engine::Fences;

use super::{Event, TAKING_MS, World};
use crate::{rng::Rng, stores::Side};

/// Something that happens to the stores.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Weather {
    /// A replica that lost up to half a minute of writes is the primary now.
    Failover(u64),
    /// For so long there are two: each node talks to one of them, the API to the first. Then the
    /// second is the only one.
    Split(u64),
    /// Of two, the second stays.
    Heal,
    /// It comes back empty, and without its functions.
    Emptied,
    /// It has lost its functions.
    FunctionsGone,
    /// It refuses what takes memory, for so long.
    Full(u64),
    /// Everybody waits for it, for so long.
    Slow(u64),
    /// A node cannot reach Redis, for so long.
    NoCache(usize, u64),
    /// A node cannot reach Postgres, for so long.
    NoTruth(usize, u64),
    /// A node hears nothing of its commits, for so long.
    Deaf(usize, u64),
    /// A node waits for Postgres, for so long.
    SlowTruth(usize, u64),
    /// A node is held up, for so long.
    Paused(usize, u64),
    /// A node's wall clock is stepped by so many milliseconds, and set right after so long.
    Stepped(usize, i64, u64),
    /// A node's clock is right again.
    SetRight(usize, i64),
}

/// What a node can reach, and how well. Moments of the run, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Links {
    /// Which of two Redis it talks to.
    pub(crate) side: Side,
    pub(crate) no_cache_until: u64,
    pub(crate) no_truth_until: u64,
    pub(crate) slow_truth_until: u64,
    pub(crate) deaf_until: u64,
    /// By how much its wall clock was stepped.
    pub(crate) stepped_ms: i64,
}

/// How far a wall clock may be off before its node closes its gate: half of what clocks may differ by.
const CLOCK_OFF_MS: i64 = 500;

impl Links {
    /// Whether the clock is off by more than rules allow for.
    pub(crate) const fn is_off(&self) -> bool {
        self.stepped_ms.abs() > CLOCK_OFF_MS
    }
}

impl<F: Fences> World<F> {
    /// One event for each node and a few for Redis, over the first three quarters of the run.
    pub(crate) fn plan_weather(&mut self, seed: u64) {
        let mut chance = Rng::new(seed, 3);
        let nodes = u64::try_from(self.nodes.len()).unwrap_or(1);
        let count = chance.between(3, 8) + chance.between(nodes, nodes * 2);
        for _ in 0..count {
            let node = usize::try_from(chance.between(0, nodes - 1)).unwrap_or(0);
            let length = chance.between(500, 14_000);
            let long = chance.between(12_000, 40_000);
            let weather = match chance.between(0, 99) {
                0..=9 => Weather::Failover(chance.between(0, 3)),
                10..=19 => Weather::Split(length),
                20..=26 => Weather::Emptied,
                27..=31 => Weather::FunctionsGone,
                32..=37 => Weather::Full(length),
                38..=43 => Weather::Slow(length),
                44..=53 => Weather::NoCache(node, length),
                54..=63 => Weather::NoTruth(node, length),
                64..=67 => Weather::NoTruth(node, long),
                68..=75 => Weather::Deaf(node, length),
                76..=81 => Weather::SlowTruth(node, length),
                82..=85 => Weather::Paused(node, length),
                86..=89 => Weather::Paused(node, long),
                _ => {
                    let by = i64::try_from(chance.between(2_000, 600_000)).unwrap_or(0);
                    let by = if chance.chance(500) { by } else { -by };
                    Weather::Stepped(node, by, length)
                }
            };
            let at = chance.between(2_000, TAKING_MS * 3 / 4);
            self.at(at, Event::Weather(weather));
        }
    }

    pub(crate) fn weather(&mut self, weather: Weather) {
        let now_ms = self.now_ms;
        self.log.weather += 1;
        match weather {
            Weather::Failover(ago) => {
                let ago = usize::try_from(ago).unwrap_or(0);
                let older = self.snapshots.iter().rev().nth(ago).or(self.snapshots.front());
                if let Some(older) = older.cloned() {
                    self.stores.cache = older;
                }
            }
            Weather::Split(length) if self.stores.other.is_none() => {
                let older = self.snapshots.back().cloned().unwrap_or_default();
                self.stores.other = Some(older);
                for node in &mut self.nodes {
                    node.links.side = if self.rng.chance(500) { Side::First } else { Side::Second };
                }
                self.at(now_ms + length, Event::Weather(Weather::Heal));
            }
            Weather::Split(_) => {}
            Weather::Heal => {
                if let Some(other) = self.stores.other.take() {
                    self.stores.cache = other;
                }
            }
            Weather::Emptied => {
                self.stores.cache.empty();
                self.stores.functions = false;
            }
            Weather::FunctionsGone => self.stores.functions = false,
            Weather::Full(length) => {
                self.stores.full_until = self.stores.full_until.max(now_ms + length);
            }
            Weather::Slow(length) => {
                self.stores.slow_until = self.stores.slow_until.max(now_ms + length);
            }
            Weather::Paused(node, length) => self.pause(node, length),
            Weather::SetRight(node, by) => {
                // Started anew in between, its clock was right.
                let held = self.nodes.get_mut(node);
                if let Some(held) = held.filter(|held| held.links.stepped_ms == by) {
                    held.links.stepped_ms -= by;
                    held.skew_ms -= by;
                }
            }
            other => self.node_weather(other),
        }
    }

    fn node_weather(&mut self, weather: Weather) {
        let now_ms = self.now_ms;
        let (Weather::NoCache(node, length)
        | Weather::NoTruth(node, length)
        | Weather::SlowTruth(node, length)
        | Weather::Deaf(node, length)
        | Weather::Stepped(node, _, length)) = weather
        else {
            return;
        };
        let Some(held) = self.nodes.get_mut(node) else { return };
        let until = now_ms + length;
        let links = &mut held.links;
        match weather {
            Weather::NoCache(..) => links.no_cache_until = links.no_cache_until.max(until),
            Weather::NoTruth(..) => {
                links.no_truth_until = links.no_truth_until.max(until);
                let at = held.at;
                self.silent(at, until);
            }
            Weather::SlowTruth(..) => links.slow_truth_until = links.slow_truth_until.max(until),
            Weather::Deaf(..) => links.deaf_until = links.deaf_until.max(until),
            Weather::Stepped(_, by, _) if links.stepped_ms == 0 => {
                links.stepped_ms = by;
                held.skew_ms += by;
                self.at(until, Event::Weather(Weather::SetRight(node, by)));
            }
            _ => {}
        }
    }
}
