//! Retransmission intervals.

use std::time::{Duration, Instant};

use crate::config::Timers;

impl Timers {
    /// 64*T1: timers B, D, F, M, and the wait for 487 after CANCEL. RFC 3261 asks of timer D "at
    /// least 32 s", which this is with the usual T1.
    pub(crate) const fn give_up(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// With T1 and T2 at least one millisecond, so that no timer fires without end.
    pub(crate) fn at_least_a_millisecond(self) -> Self {
        let least = Duration::from_millis(1);
        Self { t1: self.t1.max(least), t2: self.t2.max(least), t4: self.t4.max(least) }
    }
}

/// Timer A or E: an interval that doubles, up to a cap where there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    next: Instant,
    interval: Duration,
    cap: Option<Duration>,
}

impl Backoff {
    pub(crate) fn new(first: Duration, cap: Option<Duration>, now: Instant) -> Self {
        Self { next: now + first, interval: first, cap }
    }

    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// Whether it is due; if so, the next one is set. A late call does not catch up in a burst.
    pub(crate) fn fire(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        let doubled = self.interval.saturating_mul(2);
        self.interval = self.cap.map_or(doubled, |cap| doubled.min(cap));
        self.next = now + self.interval;
        true
    }
}
