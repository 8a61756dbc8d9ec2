//! One trunk and its breaker.

use std::time::{Duration, Instant};

use dialer_sip::{ProbeId, Probed};

use super::{
    Admits, DEAF_PAUSE, Epoch, Evidence, KEEP_ALIVE, PAUSE_FIRST, PAUSE_MOST, PROBE_EVERY, PROMISE,
    REST_MOST, RETURN_FIRST, SETTLED, Standing, pace::Pace,
};
use crate::terms::Trunk;

#[derive(Debug, Clone, Copy)]
enum Breaker {
    Closed,
    Open {
        since: Instant,
        reason: &'static str,
        /// OPTIONS failed since it opened, or that is what opened it.
        options_failed: bool,
    },
    Half {
        since: Instant,
        /// Its one INVITE is on its way.
        trying: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum Probe {
    At(Instant),
    UnderWay(ProbeId),
    /// For a trunk that was taken away.
    Never,
}

/// A trunk, its calls and its health.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) trunk: Trunk,
    /// What this node may send, and until when.
    share: (u64, Option<Instant>),
    pub(super) live: u32,
    /// INVITEs sent since the last sign of a called party, while closed.
    without_party: u32,
    breaker: Breaker,
    epoch: u32,
    /// Tries of the half-open breaker that failed in a row.
    failures: u32,
    /// It asked us to send nothing before this.
    rest_until: Option<Instant>,
    /// It asked for a rest and no called party has shown since: one INVITE at a time, and whether
    /// that is on its way.
    after_rest: Option<bool>,
    /// It was chosen for the one INVITE that tries it, then.
    promised_at: Option<Instant>,
    probe: Probe,
    /// A called party has shown.
    has_carried: bool,
    /// OPTIONS has been answered well.
    has_answered: bool,
    told: Option<Standing>,
    pub(super) pace: Pace,
    /// When it was chosen for a call that is yet to be reserved and committed.
    pub(super) chosen: Pace,
}

impl Line {
    pub(super) fn new(trunk: Trunk, now: Instant) -> Self {
        Self {
            trunk,
            share: (0, None),
            live: 0,
            without_party: 0,
            breaker: Breaker::Closed,
            epoch: 0,
            failures: 0,
            rest_until: None,
            after_rest: None,
            promised_at: None,
            // The first calls say more than OPTIONS; where there are none it is asked then.
            probe: Probe::At(later(now, KEEP_ALIVE)),
            has_carried: false,
            has_answered: false,
            told: None,
            pace: Pace::default(),
            chosen: Pace::default(),
        }
    }

    pub(super) fn changed(self, trunk: Trunk, now: Instant) -> Self {
        if self.trunk.address == trunk.address && !matches!(self.probe, Probe::Never) {
            return Self { trunk, ..self };
        }
        let (live, epoch, share) = (self.live, self.epoch.wrapping_add(1), self.share);
        // The rate is the trunk's, wherever it is.
        Self { live, epoch, share, pace: self.pace, ..Self::new(trunk, now) }
    }

    /// Takes no more calls and is asked nothing.
    pub(super) fn retired(mut self) -> Self {
        self.trunk.max_concurrent = 0;
        Self { probe: Probe::Never, ..self }
    }

    /// This node's share is another, or goes on.
    pub(super) const fn lent(&mut self, milli_cps: u64, until: Instant) {
        self.share = (milli_cps, Some(until));
    }

    /// Thousandths of an INVITE a second that this node may send now.
    pub(super) fn milli_cps(&self, now: Instant) -> u64 {
        let (milli_cps, until) = self.share;
        if until.is_some_and(|until| now < until) { milli_cps } else { 0 }
    }

    pub(super) const fn has_room(&self) -> bool {
        self.live < self.trunk.max_concurrent
    }

    /// Whether the breaker lets an INVITE through.
    pub(super) fn admits(&self, now: Instant) -> bool {
        !self.rests(now)
            && match self.breaker {
                Breaker::Closed => {
                    self.without_party < self.trunk.budget && self.after_rest != Some(true)
                }
                Breaker::Open { .. } => false,
                Breaker::Half { trying, .. } => !trying,
            }
    }

    /// Takes one INVITE at a time, to see whether it works again.
    const fn is_tried(&self) -> bool {
        matches!(self.breaker, Breaker::Half { .. }) || self.after_rest.is_some()
    }

    /// Whether its one try is promised to a call that is still being reserved and committed.
    pub(super) fn is_promised(&self, now: Instant) -> bool {
        self.is_tried() && self.promised_at.is_some_and(|at| now < later(at, PROMISE))
    }

    /// A permit was given for a call by it.
    pub(super) fn promise(&mut self, now: Instant) {
        self.chosen.count(now);
        self.promised_at = Some(now).filter(|_| self.is_tried());
    }

    fn rests(&self, now: Instant) -> bool {
        self.rest_until.is_some_and(|until| now < until)
    }

    pub(super) fn placed(&mut self, now: Instant) -> Epoch {
        self.live += 1;
        self.pace.hand(now);
        self.promised_at = None;
        self.after_rest = self.after_rest.map(|_| true);
        match &mut self.breaker {
            Breaker::Half { trying, .. } => *trying = true,
            Breaker::Closed | Breaker::Open { .. } => self.without_party += 1,
        }
        Epoch(self.epoch)
    }

    pub(super) fn responded(&mut self, now: Instant) {
        self.without_party = 0;
        self.failures = 0;
        self.after_rest = None;
        self.has_carried = true;
        if !matches!(self.breaker, Breaker::Closed) {
            self.turn(Breaker::Closed);
        }
        if let Probe::At(_) = self.probe {
            self.probe = Probe::At(later(now, KEEP_ALIVE));
        }
    }

    pub(super) fn ended(&mut self, epoch: Epoch, said: Evidence, now: Instant) {
        self.live = self.live.saturating_sub(1);
        match said {
            Evidence::Party => self.responded(now),
            Evidence::Nothing => self.forget(epoch),
            Evidence::Failed(retry_after) => {
                if epoch == Epoch(self.epoch) {
                    self.after_rest = self.after_rest.map(|_| false);
                    self.failed(now);
                }
                if let Some(asked) = retry_after {
                    self.rest(asked, now);
                }
            }
        }
    }

    pub(super) fn unsent(&mut self, epoch: Epoch) {
        self.live = self.live.saturating_sub(1);
        self.forget(epoch);
    }

    /// An INVITE taught nothing: another may go in its place.
    fn forget(&mut self, epoch: Epoch) {
        if epoch != Epoch(self.epoch) {
            return;
        }
        self.after_rest = self.after_rest.map(|_| false);
        match &mut self.breaker {
            Breaker::Half { trying, .. } => *trying = false,
            Breaker::Closed | Breaker::Open { .. } => {
                self.without_party = self.without_party.saturating_sub(1);
            }
        }
    }

    fn failed(&mut self, now: Instant) {
        match self.breaker {
            Breaker::Closed if self.without_party >= self.trunk.budget => {
                self.open("failing", false, now);
            }
            Breaker::Half { .. } => {
                self.failures = self.failures.saturating_add(1);
                self.open("failing", false, now);
            }
            Breaker::Closed | Breaker::Open { .. } => {}
        }
    }

    fn open(&mut self, reason: &'static str, options_failed: bool, now: Instant) {
        self.turn(Breaker::Open { since: now, reason, options_failed });
        self.without_party = 0;
        // Asked at once: is only the way to the called parties gone, or everything?
        if let Probe::At(_) = self.probe {
            self.probe = Probe::At(now);
        }
    }

    const fn turn(&mut self, breaker: Breaker) {
        self.breaker = breaker;
        self.epoch = self.epoch.wrapping_add(1);
    }

    fn rest(&mut self, asked: Duration, now: Instant) {
        let until = later(now, asked.min(REST_MOST));
        if !asked.is_zero() && self.rest_until.is_none_or(|held| held < until) {
            // Calls from before the rest say nothing of the one that comes after it.
            if !self.rests(now) {
                self.epoch = self.epoch.wrapping_add(1);
                self.after_rest = Some(false);
            }
            self.rest_until = Some(until);
        }
    }

    /// Lets timers fire; whether OPTIONS is due.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        self.rest_until = self.rest_until.filter(|until| now < *until);
        if let Breaker::Open { since, .. } = self.breaker
            && self.is_deaf()
            && now >= later(since, DEAF_PAUSE)
            && !self.rests(now)
        {
            self.turn(Breaker::Half { since: now, trying: false });
        }
        !self.rests(now) && matches!(self.probe, Probe::At(at) if at <= now)
    }

    /// Carries calls, and has never answered OPTIONS.
    const fn is_deaf(&self) -> bool {
        self.has_carried && !self.has_answered
    }

    pub(super) fn probing(&mut self, probe: Option<ProbeId>, jitter: Duration, now: Instant) {
        self.probe = match probe {
            Some(probe) => Probe::UnderWay(probe),
            None => Probe::At(later(now, PROBE_EVERY + jitter)),
        };
    }

    pub(super) fn is_probed_by(&self, probe: ProbeId) -> bool {
        matches!(self.probe, Probe::UnderWay(held) if held == probe)
    }

    pub(super) fn probed(&mut self, outcome: Probed, jitter: Duration, now: Instant) {
        // Set before anything else: opening moves it to at once, which is too soon after one.
        let reason = match outcome {
            Probed::Alive => None,
            Probed::Unavailable { retry_after } => {
                self.rest(retry_after.unwrap_or_default(), now);
                Some("refused")
            }
            Probed::Silent => Some("silent"),
            Probed::Unreachable => Some("unreachable"),
        };
        match reason {
            None => self.answered(now),
            Some(reason) => self.unanswered(reason, now),
        }
        let pause = match self.breaker {
            Breaker::Open { .. } => PROBE_EVERY,
            Breaker::Closed | Breaker::Half { .. } => KEEP_ALIVE,
        };
        self.probe = Probe::At(later(now, pause + jitter));
    }

    fn answered(&mut self, now: Instant) {
        self.has_answered = true;
        let Breaker::Open { since, options_failed, .. } = self.breaker else {
            return;
        };
        let first = if options_failed { RETURN_FIRST } else { PAUSE_FIRST };
        let pause = first.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MOST);
        if now >= later(since, pause) && !self.rests(now) {
            self.turn(Breaker::Half { since: now, trying: false });
        }
    }

    fn unanswered(&mut self, why: &'static str, now: Instant) {
        match &mut self.breaker {
            // A carrier that ignores OPTIONS is not down for that.
            Breaker::Closed | Breaker::Half { .. } if !self.has_answered => {}
            Breaker::Closed | Breaker::Half { .. } => self.open(why, true, now),
            Breaker::Open { reason, options_failed, .. } => {
                *options_failed = true;
                // Of a deaf trunk it is the INVITEs that say something.
                if self.has_answered || !self.has_carried {
                    *reason = why;
                }
            }
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        if matches!(self.probe, Probe::Never) {
            return None;
        }
        let probe = match self.probe {
            Probe::At(at) => Some(self.rest_until.map_or(at, |until| until.max(at))),
            Probe::UnderWay(_) | Probe::Never => None,
        };
        let turns = match self.breaker {
            Breaker::Open { since, .. } if self.is_deaf() => {
                let at = later(since, DEAF_PAUSE);
                Some(self.rest_until.map_or(at, |until| until.max(at)))
            }
            Breaker::Half { since, .. } => {
                // Told once; after that nothing happens by itself.
                let at = later(since, SETTLED);
                self.told.is_none_or(|told| told.open).then_some(at)
            }
            Breaker::Closed | Breaker::Open { .. } => None,
        };
        [probe, turns, self.rest_until].into_iter().flatten().min()
    }

    /// How it stands, if that is another way than last told.
    pub(super) fn news(&mut self, now: Instant) -> Option<Standing> {
        let standing = self.standing(now);
        (self.told.replace(standing) != Some(standing)).then_some(standing)
    }

    #[cfg(test)]
    pub(super) const fn forget_told(&mut self) {
        self.told = None;
    }

    fn standing(&self, now: Instant) -> Standing {
        let (admits, open, reason) = match self.breaker {
            Breaker::Open { reason, .. } => (Admits::None, true, reason),
            _ if self.rests(now) => (Admits::None, true, "retry_after"),
            Breaker::Half { since, trying } => {
                let admits = if trying || !self.has_room() { Admits::None } else { Admits::One };
                (admits, now < later(since, SETTLED), "trying")
            }
            Breaker::Closed if !self.has_room() => (Admits::None, false, "full"),
            Breaker::Closed if !self.admits(now) => (Admits::None, false, "waiting"),
            Breaker::Closed if self.after_rest.is_some() => (Admits::One, false, "trying"),
            Breaker::Closed => (Admits::Any, false, "up"),
        };
        Standing { admits, open, reason }
    }
}

fn later(at: Instant, by: Duration) -> Instant {
    at + by
}
