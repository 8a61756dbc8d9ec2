//! How many calls a campaign may start now: fixed-rate pacing.
//!
//! The [`Pacer`] keeps what a campaign asks for; the trunk's own calls per second are kept at the
//! wire (DESIGN section 4, *Rates*). Pure: time is an argument. Integers only, so nothing is lost
//! to rounding however often it is asked.
#![warn(missing_docs)]

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Credit of one call: a thousand milli-calls, for a billion nanoseconds each.
const CALL: u128 = 1_000 * 1_000_000_000;

/// When to look again if only an event (a call ends, settings change) can help.
const IDLE_REVISIT: Duration = Duration::from_secs(1);

/// How long after it was granted a launch can be taken back: a judgement takes some milliseconds,
/// and one that waits longer for a store is given up and starts no call.
const TAKE_BACK_WITHIN: Duration = Duration::from_secs(3);
/// Grants that are remembered at most: those of so long, asked every ten milliseconds.
const REMEMBERED: usize = 300;

/// What keeps the quota from being larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Binding {
    /// The rate: time brings more.
    Rate,
    /// The number of calls under way: the end of one brings more.
    Concurrency,
    /// A rate of zero, or no calls allowed at all: only a change of settings brings more.
    Idle,
}

impl Binding {
    /// The word for metrics and the live view.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Idle => "idle",
        }
    }
}

/// What may be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// So many calls may start now. They are charged already: see [`Pacer::give_back`].
    pub launches: u32,
    /// When asking again can bring more, if nothing happens before.
    pub revisit_at: Instant,
    /// Why not more.
    pub binding: Binding,
}

/// Paces one campaign: in any span of time at most rate x span + burst calls start.
#[derive(Debug, Clone)]
pub struct Pacer {
    /// Thousandths of a call per second.
    rate: u32,
    /// Most calls started at one moment.
    burst: u32,
    /// What may be spent, in `CALL`s; at most `burst` of them.
    credit: u128,
    /// Up to when credit has been earned; `None` before the first question.
    earned_until: Option<Instant>,
    /// When launches were granted, and the least room that credit had below the burst ever since:
    /// what could have been kept, had they not been charged.
    granted: VecDeque<(Instant, u128)>,
}

impl Pacer {
    /// A pacer of `rate_milli_cps` thousandths of a call per second, with at most `burst` calls at
    /// one moment (0 is taken as 1). Its first call may start at once; the burst must be earned,
    /// so that a restart does not begin with one.
    #[must_use]
    pub fn new(rate_milli_cps: u32, burst: u32) -> Self {
        Self {
            rate: rate_milli_cps,
            burst: burst.max(1),
            credit: CALL,
            earned_until: None,
            granted: VecDeque::new(),
        }
    }

    /// The smallest burst that loses nothing of the rate if the pacer is asked every `tick`: the
    /// calls of one tick, rounded up, and one for the fraction left over.
    #[must_use]
    pub fn burst_for(rate_milli_cps: u32, tick: Duration) -> u32 {
        let calls = (u128::from(rate_milli_cps) * tick.as_nanos()).div_ceil(CALL);
        u32::try_from(calls).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The rate, thousandths of a call per second.
    #[must_use]
    pub const fn rate_milli_cps(&self) -> u32 {
        self.rate
    }

    /// Changes the rate from `now` on. What was earned so far is kept.
    pub fn set_rate(&mut self, rate_milli_cps: u32, now: Instant) {
        self.earn(now);
        self.rate = rate_milli_cps;
    }

    /// How many calls may start, with `live` of at most `max_live` under way. The launches are
    /// charged at once.
    pub fn quota(&mut self, live: usize, max_live: usize, now: Instant) -> Quota {
        self.earn(now);
        let by_rate = u32::try_from(self.credit / CALL).unwrap_or(u32::MAX);
        let by_room = u32::try_from(max_live.saturating_sub(live)).unwrap_or(u32::MAX);
        let (launches, binding) = if self.rate == 0 || max_live == 0 {
            (0, Binding::Idle)
        } else if by_room <= by_rate {
            (by_room, Binding::Concurrency)
        } else {
            (by_rate, Binding::Rate)
        };
        self.credit -= u128::from(launches) * CALL;
        if launches > 0 {
            self.remember(now);
        }
        let wait = if binding == Binding::Rate { self.until_next_call() } else { IDLE_REVISIT };
        Quota { launches, revisit_at: now + wait, binding }
    }

    /// Returns launches that were granted and not used, because nobody was due. To be called
    /// before the next [`Pacer::quota`]: what does not fit the burst is lost.
    pub fn give_back(&mut self, launches: u32) {
        self.add(u128::from(launches) * CALL);
    }

    /// Returns one launch granted at `granted_at`, the moment of that question, of which no call came
    /// in the end. The pacer stands afterwards as if it had never been charged, or a little below:
    /// what credit would not have fitted the burst since then is lost, so that calls that did start
    /// keep the promise of the rate. A grant of three seconds ago is forgotten by the next one.
    pub fn take_back(&mut self, granted_at: Instant) {
        let found = self.granted.iter().find(|(at, _)| *at == granted_at);
        let Some(back) = found.map(|(_, room)| (*room).min(CALL)) else { return };
        // Without this launch credit would have been higher by up to a call ever since.
        for (_, room) in &mut self.granted {
            *room = room.saturating_sub(CALL);
        }
        self.add(back);
    }

    fn remember(&mut self, now: Instant) {
        let old = |at: Instant| now.saturating_duration_since(at) > TAKE_BACK_WITHIN;
        while self.granted.len() >= REMEMBERED
            || self.granted.front().is_some_and(|(at, _)| old(*at))
        {
            self.granted.pop_front();
        }
        let room = self.room();
        self.granted.push_back((now, room));
    }

    /// What credit lacks of the burst.
    fn room(&self) -> u128 {
        (u128::from(self.burst) * CALL).saturating_sub(self.credit)
    }

    fn earn(&mut self, now: Instant) {
        let since = self.earned_until.unwrap_or(now);
        self.add(u128::from(self.rate) * now.saturating_duration_since(since).as_nanos());
        // A clock that steps back earns nothing until it has caught up.
        self.earned_until = Some(now.max(since));
    }

    fn add(&mut self, credit: u128) {
        self.credit = self.credit.saturating_add(credit).min(u128::from(self.burst) * CALL);
        let least = self.room();
        for (_, room) in &mut self.granted {
            *room = (*room).min(least);
        }
    }

    fn until_next_call(&self) -> Duration {
        let missing = CALL.saturating_sub(self.credit);
        let nanos = missing.div_ceil(u128::from(self.rate.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
