//! `emergency_suspension`: no calls into a declared emergency; a feed that is absent or stale denies.

use crate::{
    Place, Wait,
    ask::{Ask, Notes, Ruling},
    kinds::{Unless, count_cap::looser},
    reader::Reader,
    zone::SECOND,
};

/// When calls are suspended.
#[derive(Debug, Clone)]
pub(crate) struct EmergencySuspension {
    /// Milliseconds.
    max_age: i64,
    unless: Unless,
}

/// How far the clock of whoever publishes the feed may be ahead of ours, in milliseconds.
const AHEAD: i64 = 3600 * SECOND;

impl EmergencySuspension {
    pub(crate) fn read(from: &mut Reader<'_, '_>) -> Option<Self> {
        if !from.has("max_age_hours") {
            from.fault("max_age_hours", "is missing");
        }
        let hours = from.number("max_age_hours", 1..8785);
        let unless = Unless::read(from);
        Some(Self { max_age: i64::from(hours?) * 3600 * SECOND, unless })
    }

    /// A feed that must be younger, no exemptions; without `prove` another age.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        if let Some(hours) = from.number("max_age_hours", 1..8785) {
            let most = u32::try_from(self.max_age / (3600 * SECOND)).unwrap_or(u32::MAX);
            if prove && hours > most {
                looser(from, "max_age_hours", most);
            } else {
                self.max_age = i64::from(hours) * 3600 * SECOND;
            }
        }
        self.unless.change(from);
    }

    pub(crate) fn max_age_seconds(&self) -> i64 {
        self.max_age / SECOND
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, place: Place, notes: &mut Notes) -> Ruling {
        if self.unless.lifts(ask, notes) {
            return Ruling::Pass;
        }
        let no = |inputs: &'static str| Ruling::No {
            inputs: ask.say(|| inputs.into()),
            waits_for: Wait::Feed,
        };
        let Some(feed) = &ask.facts.emergency else {
            return no("no emergency feed");
        };
        // One dated ahead would stay fresh the longer the wronger its clock is.
        if feed.as_of.0 - ask.now > AHEAD {
            return no("the emergency feed is dated ahead");
        }
        if ask.now - feed.as_of.0 > self.max_age {
            return no("the emergency feed is stale");
        }
        let declared = feed.areas.iter().any(|area| match &area.region {
            Some(region) => Place::region(&area.country, region) == Some(place),
            None => Place::new(&area.country) == Some(place.country()),
        });
        if declared {
            return no("an emergency is declared there");
        }
        notes.changes_at(feed.as_of.0 + self.max_age + 1);
        Ruling::Pass
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::UnixMillis;

    use crate::{
        Area, Feed, Relationship, RelationshipKind,
        kinds::cases::{Case, calls, instant},
    };

    #[test]
    fn an_emergency_there_or_a_feed_that_is_absent_or_stale_denies() {
        let rule = "kind = \"emergency_suspension\"\nmax_age_hours = 24\nunless_customer_months = 18\njurisdiction = \"US-NY\"";
        let area = |region: Option<&str>| Area {
            country: "US".to_owned(),
            region: region.map(str::to_owned),
        };
        for (what, as_of, areas, verdict) in [
            ("fresh", "2026-12-01T15:00:00Z", vec![], "permit"),
            ("a day old", "2026-11-30T16:00:00Z", vec![], "permit"),
            ("older", "2026-11-30T15:59:59Z", vec![], "refuse Feed"),
            ("there", "2026-12-01T15:00:00Z", vec![area(Some("NY"))], "refuse Feed"),
            ("elsewhere", "2026-12-01T15:00:00Z", vec![area(Some("LA"))], "permit"),
            ("everywhere", "2026-12-01T15:00:00Z", vec![area(None)], "refuse Feed"),
        ] {
            let mut case = Case::rule(rule).call(calls::new_york());
            case.facts.emergency = Some(Feed { as_of: UnixMillis(instant(as_of)), areas });
            assert_eq!(case.at("2026-12-01T16:00:00Z"), verdict, "{what}");
        }
        let mut case = Case::rule(rule).call(calls::new_york());
        assert_eq!(case.at("2026-12-01T16:00:00Z"), "refuse Feed", "absent");
        let since = "2026-11-01".parse().unwrap();
        let kind = RelationshipKind::ExistingCustomer;
        case.facts.call.relationship = Some(Relationship { kind, since });
        assert_eq!(case.at("2026-12-01T16:00:00Z"), "permit", "exempt, checked first");
    }
}
