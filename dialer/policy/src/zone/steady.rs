//! Stretches of time in which a zone's clocks are not changed. A judgement asks for offsets dozens
//! of times; here an answer costs a short search of a short list instead of one of the tz database.

use std::sync::OnceLock;

use chrono_tz::{TZ_VARIANTS, Tz};

use super::{DAY, SECOND, looked_up};

/// `[from, until)` in milliseconds since 1970, with one offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steady {
    pub(super) from: i64,
    pub(super) until: i64,
    /// Wall time minus UTC, in milliseconds.
    pub(super) offset: i64,
}

/// More than any two offsets differ (UTC-12 to UTC+14).
const WIDE: i64 = 27 * 3600 * SECOND;

impl Steady {
    pub(super) fn holds(&self, at: i64) -> bool {
        (self.from..self.until).contains(&at)
    }

    /// Holds an instant and everything that a clock with another offset could mean by it.
    pub(super) fn holds_widely(&self, at: i64) -> bool {
        self.holds(at - WIDE) && self.holds(at + WIDE)
    }
}

/// 2024-01-01 to 2040-01-01: what is asked about in practice. The tz database is asked about
/// other times.
const KNOWN: (i64, i64) = (1_704_067_200_000, 2_208_988_800_000);

/// One list for each zone, made when it is first asked for (0.2 ms).
static ZONES: [OnceLock<Clock>; TZ_VARIANTS.len()] = [const { OnceLock::new() }; TZ_VARIANTS.len()];

/// What is known of a zone's clocks.
#[derive(Debug, PartialEq, Eq)]
struct Clock {
    /// Differs for nearly all that differ: compared first, it spares a walk along both lists.
    print: i64,
    spans: Box<[Steady]>,
}

impl Clock {
    fn of(zone: Tz) -> Self {
        let spans = spans(zone);
        let more = |print: i64, one: &Steady| print.wrapping_mul(31) ^ one.from ^ one.offset << 20;
        Self { print: spans.iter().fold(0, more), spans }
    }
}

fn clock(zone: Tz) -> Option<&'static Clock> {
    ZONES.get(zone as usize).map(|held| held.get_or_init(|| Clock::of(zone)))
}

/// The stretch in which an instant lies; `None` outside of the known years.
pub(super) fn steady(zone: Tz, at: i64) -> Option<Steady> {
    let spans = &clock(zone)?.spans;
    let after = spans.partition_point(|span| span.until <= at);
    spans.get(after).copied().filter(|span| span.from <= at)
}

/// Whether two zones have the same offset from an instant to two years after it; no if that is not
/// within the known years.
pub(super) fn go_alike(one: Tz, other: Tz, at: i64) -> bool {
    let known = KNOWN.0 <= at && at < KNOWN.1 - 2 * 366 * DAY;
    one == other || known && clock(one) == clock(other)
}

/// Looks at every day; no zone changes its clocks twice in one.
fn spans(zone: Tz) -> Box<[Steady]> {
    let mut spans = Vec::new();
    let (mut from, end) = KNOWN;
    let (mut at, mut offset) = (from, looked_up(zone, from));
    while at < end {
        let next = (at + DAY).min(end);
        if let Some(change) = change(zone, at, next) {
            spans.push(Steady { from, until: change, offset });
            (from, offset) = (change, looked_up(zone, change));
        }
        at = next;
    }
    spans.push(Steady { from, until: end, offset });
    spans.into()
}

/// The instant between two, at most a day apart, from which the offset is another; `None` if it is
/// the same at both.
pub(super) fn change(zone: Tz, mut before: i64, mut after: i64) -> Option<i64> {
    let old = looked_up(zone, before);
    if looked_up(zone, after) == old {
        return None;
    }
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if looked_up(zone, middle) == old { before = middle } else { after = middle }
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_has_a_list_of_its_own_and_agrees_with_the_tz_database() {
        for zone in TZ_VARIANTS {
            assert_eq!(TZ_VARIANTS[zone as usize], zone);
            let spans = spans(zone);
            assert_eq!((spans[0].from, spans[spans.len() - 1].until), KNOWN, "{zone}");
            for pair in spans.windows(2) {
                assert_eq!(pair[0].until, pair[1].from, "{zone}");
                assert_ne!(pair[0].offset, pair[1].offset, "{zone}");
            }
            for span in &spans {
                for at in [span.from, span.until - 1] {
                    assert_eq!(looked_up(zone, at), span.offset, "{zone} {at}");
                    assert_eq!(steady(zone, at), Some(*span));
                }
            }
            assert_eq!(steady(zone, KNOWN.0 - 1), None);
            assert_eq!(steady(zone, KNOWN.1), None);
        }
    }

    #[test]
    fn hour_by_hour_no_clock_change_of_2026_and_2027_is_missed() {
        let (start, hours) = (1_767_225_600_000, 2 * 365 * 24);
        for zone in TZ_VARIANTS {
            for hour in 0..hours {
                let at = start + hour * 3600 * SECOND;
                let found = steady(zone, at).map(|span| span.offset);
                assert_eq!(found, Some(looked_up(zone, at)), "{zone} {at}");
            }
        }
    }
}
