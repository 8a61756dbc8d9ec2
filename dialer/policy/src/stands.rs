//! For how long a verdict stands: what walks along time without asking every minute.

use dialer_types::UnixMillis;

use crate::{
    Verdict,
    zone::{DAY, Day},
};

impl Verdict {
    /// The first moment after `at` at which the same facts might give another answer to "may it be
    /// placed?", if nobody is called in between. `at` is the moment of the judgement.
    ///
    /// A permit says so itself. A deferral stands until its moment. A refusal waits for something
    /// else than time, but rules come into force and lapse, and with them what denies: by the dates
    /// of some candidate zone or of UTC. A consent dated later than `at` is the caller's to look at.
    #[must_use]
    pub fn stands_until(&self, at: UnixMillis) -> UnixMillis {
        match self {
            Self::Permit(permit) => permit.stands_until(),
            Self::Defer(deferral) => deferral.until,
            Self::Refuse(refusal) => {
                let zones = &refusal.evidence.zones;
                let days = zones.iter().map(|zone| Day::at(*zone, at.0).end);
                // Without a zone the whole world is a candidate, and dates end at any hour.
                let step = if zones.is_empty() { DAY / 24 } else { DAY };
                let utc = (at.0.div_euclid(step) + 1) * step;
                UnixMillis(days.min().map_or(utc, |day| day.min(utc)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::UnixMillis;

    use crate::kinds::cases::{Case, calls, instant};

    #[test]
    fn a_refusal_is_looked_at_again_when_a_date_ends() {
        let case =
            Case::rule("kind = \"consent_required\"\nneeds = \"any\"").call(calls::new_york());
        let at = instant("2026-12-01T14:00:00Z");
        let next = case.verdict(at).stands_until(UnixMillis(at));
        assert_eq!(next.0, instant("2026-12-02T00:00:00Z"));
        let next = case.verdict(next.0).stands_until(next);
        assert_eq!(next.0, instant("2026-12-02T05:00:00Z"), "midnight in New York");
    }
}
