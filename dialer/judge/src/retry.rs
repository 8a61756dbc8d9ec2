//! When a contact is tried again: one budget per contact, delays by disposition.

use std::{collections::BTreeMap, time::Duration};

use dialer_types::{Disposition, UnixMillis};

use crate::Next;

/// Longest delay a campaign may ask for: 400 days, longer than any horizon of the packs.
const MAX_DELAY: Duration = Duration::from_secs(400 * 24 * 3600);

/// Whether the contact has numbers that were not tried yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherNumbers(pub bool);

/// Delay before the next try, by disposition. A disposition without a delay ends the contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryRules(BTreeMap<Disposition, Duration>);

impl RetryRules {
    /// Takes the delays, capped at 400 days. Invalid numbers, refusals and answers are never
    /// retried, whatever is asked: only the person or the list can change that.
    #[must_use]
    pub fn new(delays: impl IntoIterator<Item = (Disposition, Duration)>) -> Self {
        Self(
            delays
                .into_iter()
                .filter(|(disposition, _)| !is_final(*disposition))
                .map(|(disposition, delay)| (disposition, delay.min(MAX_DELAY)))
                .collect(),
        )
    }

    /// What becomes of the contact after its `made`-th placement ended so.
    #[must_use]
    pub fn next(
        &self,
        disposition: Disposition,
        made: u16,
        max_tries: u16,
        others: OtherNumbers,
        now: UnixMillis,
    ) -> Next {
        match disposition {
            // Nothing rang: judge again at once. A suppression or a stop shows there.
            Disposition::NotSent => {
                return Next::Due { at: now, because: disposition.as_str().into() };
            }
            _ if made >= max_tries && disposition != Disposition::Answered => {
                return Next::Finished { why: "tries_used_up".into() };
            }
            // We ended it ourselves: judge again, it may be somebody who opted out.
            Disposition::Cancelled => {
                return Next::Due { at: now, because: disposition.as_str().into() };
            }
            // The number is dead, the person may not be: the next number at once.
            Disposition::InvalidNumber | Disposition::Disconnected if others.0 => {
                return Next::Due { at: now, because: disposition.as_str().into() };
            }
            _ => {}
        }
        match self.0.get(&disposition) {
            Some(delay) => {
                Next::Due { at: now.after(*delay), because: disposition.as_str().into() }
            }
            None => Next::Finished { why: disposition.as_str().into() },
        }
    }
}

/// Dispositions after which a campaign must not call again by itself.
const fn is_final(disposition: Disposition) -> bool {
    matches!(
        disposition,
        Disposition::Answered
            | Disposition::InvalidNumber
            | Disposition::Disconnected
            | Disposition::Rejected
            | Disposition::Unwanted
            | Disposition::Blocked
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_follows_the_delay_of_its_disposition_until_the_tries_are_used_up() {
        let rules = RetryRules::new([
            (Disposition::Busy, Duration::from_secs(60)),
            (Disposition::Answered, Duration::from_secs(60)),
        ]);
        let now = UnixMillis(1_000);
        for (disposition, made, expected) in [
            (Disposition::Busy, 1, Next::Due { at: UnixMillis(61_000), because: "busy".into() }),
            (Disposition::Busy, 3, Next::Finished { why: "tries_used_up".into() }),
            (Disposition::Answered, 1, Next::Finished { why: "answered".into() }),
            (Disposition::Answered, 3, Next::Finished { why: "answered".into() }),
            (Disposition::NoAnswer, 1, Next::Finished { why: "no_answer".into() }),
            (Disposition::NotSent, 3, Next::Due { at: now, because: "not_sent".into() }),
        ] {
            assert_eq!(
                rules.next(disposition, made, 3, OtherNumbers(false), now),
                expected,
                "{disposition} {made}"
            );
        }
    }
}
