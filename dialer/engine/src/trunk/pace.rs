//! The rate of a trunk at the wire.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// When the last INVITEs went out, the oldest first: at most those of one window.
#[derive(Debug, Default)]
pub(super) struct Pace(VecDeque<Instant>);

impl Pace {
    /// An INVITE goes out.
    pub(super) fn count(&mut self, now: Instant) {
        self.0.push_back(now);
    }

    /// When the next may go out at this rate; `None`: now. A rate of nothing lets none out, and is
    /// looked at again in a second.
    pub(super) fn turn(&mut self, milli_cps: u64, now: Instant) -> Option<Instant> {
        let Some((most, window)) = window(milli_cps) else {
            return Some(now + Duration::from_secs(1));
        };
        while self.0.front().is_some_and(|sent| *sent + window <= now) {
            self.0.pop_front();
        }
        // Where re-sends made it more than may be, the turn comes when so many have left the window.
        let over = self.0.len().checked_sub(most)?;
        self.0.get(over).map(|sent| *sent + window)
    }
}

/// So many INVITEs in any window of this length: a second, or as near below as the rate goes into
/// whole calls (2.5 a second: 2 in 800 ms), or the time of one call where that is longer.
fn window(milli_cps: u64) -> Option<(usize, Duration)> {
    let most = (milli_cps / 1_000).max(1);
    let millis = (most * 1_000_000).checked_div(milli_cps)?;
    // Rounded up, so that it is never too short.
    let rest = u64::from(!(most * 1_000_000).is_multiple_of(milli_cps));
    Some((usize::try_from(most).unwrap_or(usize::MAX), Duration::from_millis(millis + rest)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]
mod tests {
    use super::*;

    #[test]
    fn no_window_holds_more_than_the_figure_whenever_calls_come() {
        for (milli_cps, most, per_ms) in [
            (10_000, 10, 1_000),
            (2_500, 2, 800),
            (1_000, 1, 1_000),
            (250, 1, 4_000),
            (3_333, 3, 901),
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
                pace.count(now);
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
}
