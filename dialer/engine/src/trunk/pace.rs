//! The rate of a trunk at the wire.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A second.
const SECOND: Duration = Duration::from_secs(1);

/// When the last INVITEs went out, the oldest first: at most those of one window.
#[derive(Debug, Default)]
pub(super) struct Pace {
    sent: VecDeque<Instant>,
    /// So many at the end have not left the socket yet.
    leaving: usize,
}

impl Pace {
    /// An INVITE goes out, or did.
    pub(super) fn count(&mut self, now: Instant) {
        self.sent.push_back(now);
    }

    /// An INVITE is handed to the driver, who says when it has [`left`](Self::left).
    pub(super) fn hand(&mut self, now: Instant) {
        self.sent.push_back(now);
        self.leaving += 1;
    }

    /// The first of those handed over has left, now: what follows it keeps its distance from the
    /// wire, not from the decision.
    pub(super) fn left(&mut self, now: Instant) {
        let first = self.sent.len().checked_sub(self.leaving);
        if let Some(sent) = first.and_then(|first| self.sent.get_mut(first)) {
            *sent = now;
        }
        self.leaving = self.leaving.saturating_sub(1);
    }

    /// One of those handed over never left. It counts all the same: which of them is not known.
    pub(super) const fn stayed(&mut self) {
        self.leaving = self.leaving.saturating_sub(1);
    }

    /// When the next may go out at this rate; `None`: now. A rate of nothing lets none out, and is
    /// looked at again in a second.
    pub(super) fn turn(&mut self, milli_cps: u64, now: Instant) -> Option<Instant> {
        let Some((most, window)) = window(milli_cps) else {
            return Some(now + SECOND);
        };
        while self.sent.len() > self.leaving
            && self.sent.front().is_some_and(|sent| *sent + window.max(SECOND) <= now)
        {
            self.sent.pop_front();
        }
        // Where re-sends made it more than may be, the turn comes when so many have left the window.
        let over = self.sent.len().checked_sub(most)?;
        self.sent.get(over).map(|sent| *sent + window).filter(|turn| *turn > now)
    }
}

/// So many INVITEs in any window of this length: whole calls in any second, or one in the time of
/// one call where that is longer. What a rate has beyond whole calls is not used: 2.5 a second in
/// any one second are two.
fn window(milli_cps: u64) -> Option<(usize, Duration)> {
    let whole = milli_cps / 1_000;
    if whole > 0 {
        return Some((usize::try_from(whole).unwrap_or(usize::MAX), SECOND));
    }
    let millis = 1_000_000_u64.checked_div(milli_cps)?;
    // Rounded up, so that it is never too short.
    let rest = u64::from(!1_000_000_u64.is_multiple_of(milli_cps));
    Some((1, Duration::from_millis(millis + rest)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]
mod tests {
    use super::*;

    #[test]
    fn no_window_holds_more_than_the_figure_whenever_calls_come() {
        for (milli_cps, most, per_ms) in [
            (10_000, 10, 1_000),
            (2_500, 2, 1_000),
            (1_000, 1, 1_000),
            (250, 1, 4_000),
            (3_333, 3, 1_000),
            (300, 1, 3_334),
        ] {
            assert_eq!(
                window(milli_cps),
                Some((most, Duration::from_millis(per_ms))),
                "{milli_cps}"
            );
            let (start, mut pace, mut sent) = (Instant::now(), Pace::default(), Vec::new());
            let mut now = start;
            // A burst, a trickle, a burst: as the stores give commits back.
            for call in 0..60_u64 {
                now = now.max(start + Duration::from_millis(call / 20 * 3_000 + call % 20));
                while let Some(turn) = pace.turn(milli_cps, now) {
                    assert!(turn > now);
                    now = turn;
                }
                pace.hand(now);
                // The socket takes its time, now and then.
                now += Duration::from_millis(call % 3);
                pace.left(now);
                sent.push(now);
            }
            for (at, first) in sent.iter().enumerate() {
                let end = *first + Duration::from_millis(per_ms);
                let within = sent.iter().skip(at).take_while(|sent| **sent < end).count();
                assert!(within <= most, "{within} at {milli_cps}");
            }
        }
    }

    #[test]
    fn resends_count_and_a_rate_of_nothing_lets_nothing_out() {
        let (now, mut pace) = (Instant::now(), Pace::default());
        assert!(pace.turn(0, now).is_some());
        pace.count(now);
        pace.count(now);
        pace.count(now + Duration::from_millis(10));
        assert_eq!(pace.turn(2_000, now), Some(now + Duration::from_secs(1)));
        assert_eq!(pace.turn(1_000, now), Some(now + Duration::from_millis(1_010)));
    }

    #[test]
    fn a_smaller_share_counts_what_went_out_under_the_larger() {
        let (now, mut pace) = (Instant::now(), Pace::default());
        for _ in 0..4 {
            assert_eq!(pace.turn(4_000, now), None);
            pace.count(now);
        }
        let later = now + Duration::from_millis(500);
        assert_eq!(pace.turn(2_000, later), Some(now + Duration::from_secs(1)));
    }
}
