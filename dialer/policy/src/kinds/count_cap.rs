//! `count_cap`: at most so many placements in a window. A placement at `a` counts from `a` until it
//! expires; a limit is full while as many count as it allows.

use chrono::{Datelike, Days};
use chrono_tz::Tz;
use dialer_types::{Outcome, RuleId, Say, say};
use smallvec::SmallVec;

use crate::{
    Past, Wait,
    ask::{Ask, Notes, Ruling, is_open},
    kinds::unless::Unless,
    reader::Reader,
    rule::{Key, Mask, technologies},
    zone::{DAY, SECOND, date_starts, local},
};

/// How long a placement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// Milliseconds of elapsed time.
    Rolling(i64),
    /// So many local dates, the placement's own being the first.
    Dates(u32),
    /// Until the local day, week (from Monday) or month ends.
    Day,
    Week,
    Month,
    /// For ever.
    Forever,
}

impl Span {
    /// Reads `hours`, `seconds`, `dates`, `calendar` or `forever`.
    pub(crate) fn read(from: &mut Reader<'_, '_>) -> Option<Self> {
        let mut found = Vec::new();
        let hours = from.number("hours", 1..24 * 366);
        found.extend(hours.map(|hours| Self::Rolling(i64::from(hours) * 3600 * SECOND)));
        let seconds = from.number("seconds", 1..366 * 86_400);
        found.extend(seconds.map(|seconds| Self::Rolling(i64::from(seconds) * SECOND)));
        found.extend(from.number("dates", 1..367).map(Self::Dates));
        found.extend(from.word("calendar", |word| match word {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => None,
        }));
        found.extend(from.flag("forever").then_some(Self::Forever));
        if found.len() != 1 {
            from.fault("hours", "expected exactly one of hours, seconds, dates, calendar, forever");
        }
        found.first().copied()
    }

    pub(crate) const fn needs_zone(self) -> bool {
        !matches!(self, Self::Rolling(_) | Self::Forever)
    }

    /// The first instant whose placements still count at another one: the same line as
    /// [`Self::expiry`] draws, from the other side, once for any number of placements.
    fn since(self, zone: Tz, at: i64) -> i64 {
        let date = || local(zone, at).date();
        let back = |days| date().checked_sub_days(Days::new(days)).unwrap_or_else(date);
        let first = match self {
            Self::Rolling(millis) => return at.saturating_sub(millis).saturating_add(1),
            Self::Forever => return i64::MIN,
            Self::Dates(dates) => back(u64::from(dates.saturating_sub(1))),
            Self::Day => date(),
            Self::Week => back(u64::from(date().weekday().num_days_from_monday())),
            Self::Month => date().with_day(1).unwrap_or_else(date),
        };
        date_starts(zone, first)
    }

    /// Another length in a change of a rule, and the field that says so; `None` if none does.
    pub(crate) fn read_changed(from: &mut Reader<'_, '_>) -> Option<(&'static str, Self)> {
        let keys = ["hours", "seconds", "dates", "calendar", "forever"];
        let key = keys.into_iter().find(|key| from.has(key))?;
        Self::read(from).map(|span| (key, span))
    }

    /// Whether a placement counts at least as long as by another, wherever and whenever it was
    /// made. What this cannot show counts as no.
    pub(crate) const fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::Forever, _)
            | (Self::Day, Self::Day)
            | (Self::Week, Self::Week | Self::Day)
            | (Self::Month, Self::Month | Self::Day) => true,
            (Self::Rolling(one), Self::Rolling(other)) => one >= other,
            (Self::Dates(one), Self::Dates(other)) => one >= other,
            (Self::Dates(dates), Self::Day) => dates >= 1,
            (Self::Dates(dates), Self::Week) => dates >= 7,
            (Self::Dates(dates), Self::Month) => dates >= 31,
            _ => false,
        }
    }

    /// Longer than this it never is.
    pub(crate) fn longest(self) -> i64 {
        match self {
            Self::Rolling(millis) => millis,
            Self::Dates(dates) => (i64::from(dates) + 2) * DAY,
            Self::Day => 3 * DAY,
            Self::Week => 9 * DAY,
            Self::Month => 33 * DAY,
            Self::Forever => i64::MAX / 4,
        }
    }

    /// When a placement stops counting.
    pub(crate) fn expiry(self, zone: Tz, at: i64) -> i64 {
        let date = || local(zone, at).date();
        let days = match self {
            Self::Rolling(millis) => return at + millis,
            Self::Forever => return i64::MAX / 4,
            Self::Dates(dates) => u64::from(dates),
            Self::Day => 1,
            Self::Week => u64::from(7 - date().weekday().num_days_from_monday()),
            Self::Month => {
                let first = date().with_day(1).unwrap_or_else(date);
                let next = first.checked_add_months(chrono::Months::new(1)).unwrap_or(first);
                return date_starts(zone, next);
            }
        };
        date_starts(zone, date().checked_add_days(Days::new(days)).unwrap_or_else(date))
    }
}

/// The fault of a span that is not shown to be at least as long.
pub(crate) const NOT_LONGER: &str =
    "is not shown to be at least as long as the rule's: a pack of your own only tightens";

/// The fault of a number that is above the rule's.
pub(crate) fn looser(from: &Reader<'_, '_>, key: &str, most: u32) {
    from.fault(key, &format!("is above the {most} of the rule: a pack of your own only tightens"));
}

/// At most `max` in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    max: u32,
    span: Span,
}

/// Limits that must all have room, or one of them.
#[derive(Debug, Clone)]
pub(crate) struct Caps {
    limits: Vec<Limit>,
    /// Room in one limit is enough.
    any: bool,
    key: Key,
    /// Outcomes that count. Pending and unknown always do.
    counted: Mask,
    technologies: Mask,
    unless: Unless,
}

fn outcomes(from: &mut Reader<'_, '_>, key: &str) -> Option<Mask> {
    from.has(key).then(|| {
        Mask::of(
            from.words(key, |word| word.parse::<Outcome>().ok()).into_iter().map(Outcome::code),
        )
    })
}

impl Caps {
    pub(crate) fn read(from: &mut Reader<'_, '_>) -> Option<Self> {
        let mut limits = Vec::new();
        for mut table in from.tables("limits") {
            if !table.has("max") {
                table.fault("max", "is missing");
            }
            let (max, span) = (table.number("max", 1..1001), Span::read(&mut table));
            limits.extend(max.zip(span).map(|(max, span)| Limit { max, span }));
            table.finish();
        }
        if limits.is_empty() {
            from.fault("limits", "is missing or limits nothing");
        }
        let any = from.word("combine", |word| match word {
            "all" => Some(false),
            "any" => Some(true),
            _ => None,
        });
        let any = any.unwrap_or(false);
        let key = Key::read(from);
        let (counts, ignores) = (outcomes(from, "counts"), outcomes(from, "ignores"));
        let counted = counts.unwrap_or(Mask::ALL).without(ignores.unwrap_or(Mask::of([])));
        let technologies = technologies(from, "count_technology");
        let unless = Unless::read(from);
        Some(Self { limits, any, key: key?, counted, technologies, unless })
    }

    /// Another maximum, another length of a single limit, no exemptions; with `prove` only what
    /// is at least as strict.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        if let Some(max) = from.number("max", 1..1001) {
            match self.limits.iter().map(|limit| limit.max).min() {
                Some(least) if prove && max > least => looser(from, "max", least),
                _ => self.limits.iter_mut().for_each(|limit| limit.max = max),
            }
        }
        if let Some((key, span)) = Span::read_changed(from) {
            match self.limits.as_mut_slice() {
                [limit] if !prove || span.covers(limit.span) => limit.span = span,
                [_] => from.fault(key, NOT_LONGER),
                _ => from.fault(key, "the rule has several limits: their lengths stay"),
            }
        }
        self.unless.change(from);
    }

    /// How long a placement can count, in milliseconds.
    pub(crate) fn longest(&self) -> i64 {
        self.limits.iter().map(|limit| limit.span.longest()).max().unwrap_or(0)
    }

    fn entries<'a>(&'a self, ask: &'a Ask<'_>) -> impl Iterator<Item = &'a Past> {
        ask.past(&self.key).filter(|past| {
            !past.inbound
                && self.technologies.has(past.technology.code())
                && (self.counted.has(past.outcome.code()) || is_open(past.outcome))
        })
    }

    /// The zones a limit counts in. `None` if it counts dates and no zone is known.
    fn zones<'a>(limit: Limit, ask: &'a Ask<'_>) -> Option<&'a [Tz]> {
        let zones = if limit.span.needs_zone() { ask.zones() } else { &[Tz::UTC] };
        (!zones.is_empty()).then_some(zones)
    }

    /// Placements that count at an instant in a zone, at most those up to now.
    fn live<'a>(
        &'a self,
        limit: Limit,
        ask: &'a Ask<'_>,
        zone: Tz,
        at: i64,
    ) -> impl Iterator<Item = i64> + 'a {
        let mut entries = self.entries(ask).map(|past| past.at.0).peekable();
        // Most calls have no history: nothing is asked of the zone then.
        let since = match entries.peek() {
            Some(_) => limit.span.since(zone, at.saturating_sub(ask.guard)),
            None => i64::MAX,
        };
        entries.filter(move |at| *at >= since)
    }

    /// When a limit has room in every zone, at or after an instant; `made`: when what counts was
    /// made, ascending.
    fn free_at(limit: Limit, ask: &Ask<'_>, made: &[i64], at: i64) -> Option<i64> {
        let zones = Self::zones(limit, ask)?;
        let max = usize::try_from(limit.max).unwrap_or(usize::MAX);
        // Who came first expires first: there is room when all but the `max - 1` newest have.
        let Some(last) = made.len().checked_sub(max).and_then(|place| made.get(place)) else {
            return Some(at);
        };
        let free = |zone: &Tz| limit.span.expiry(*zone, *last).saturating_add(ask.guard);
        Some(zones.iter().map(free).fold(at, i64::max))
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, rule: &RuleId, notes: &mut Notes) -> Ruling {
        if self.unless.lifts(ask, notes) {
            return Ruling::Pass;
        }
        let mut full: Option<Say> = None;
        let before = notes.counters.len();
        let needs_zone = self.limits.iter().any(|limit| limit.span.needs_zone());
        let nowhere = needs_zone && ask.zones().is_empty();
        for limit in &self.limits {
            let Some(zones) = Self::zones(*limit, ask).filter(|_| !nowhere) else {
                let inputs = ask.say(|| "no time zone is known".into());
                return Ruling::NotNow { inputs, otherwise: Wait::Address };
            };
            let counts = zones.iter().map(|zone| self.live(*limit, ask, *zone, ask.now).count());
            let (count, max) = (counts.max().unwrap_or_default(), limit.max);
            notes.count(rule, count, max);
            if u32::try_from(count).map_or(true, |count| count >= max) {
                let said = ask.say(|| say!("{count} counted of {max} allowed", count, max));
                full = Some(match full {
                    None => said,
                    Some(before) => ask.say(|| Say::and(before, said)),
                });
            } else if self.any {
                // A permit names no cap that is used up: the one with room let the call pass.
                notes.counters.truncate(before);
                notes.count(rule, count, max);
                return Ruling::Pass;
            }
        }
        match full {
            None => Ruling::Pass,
            Some(inputs) => Ruling::NotNow { inputs, otherwise: Wait::Never },
        }
    }

    /// The first instant at or after `from` at which every limit has room.
    pub(crate) fn first_free(&self, ask: &Ask<'_>, from: i64) -> Option<i64> {
        if self.unless.holds(ask) {
            return Some(from);
        }
        let mut made: SmallVec<[i64; 16]> = self.entries(ask).map(|past| past.at.0).collect();
        made.sort_unstable();
        let free = |limit: &Limit| Self::free_at(*limit, ask, &made, from);
        if self.any {
            let one = |at: i64, limit: &Limit| free(limit).map(|free| at.min(free));
            return self.limits.iter().try_fold(i64::MAX, one);
        }
        // What has expired stays expired, so the latest of them has room in all.
        self.limits.iter().try_fold(from, |at, limit| free(limit).map(|free| at.max(free)))
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::{Outcome, Purpose, Technology};
    use proptest::prelude::*;

    use crate::kinds::cases::{Case, calls, past};

    fn cap(limits: &str, rest: &str) -> Case {
        Case::rule(&format!("kind = \"count_cap\"\nlimits = [{limits}]\n{rest}"))
            .call(calls::new_york())
    }

    #[test]
    fn a_limit_is_free_again_exactly_when_the_oldest_placement_expires() {
        let person = "key = \"person\"";
        let times = ["2026-11-30T20:00:00Z", "2026-12-01T16:00:00Z"];
        for (limits, now, verdict) in [
            ("{ max = 2, hours = 24 }", "2026-12-01T19:59:59Z", "defer 2026-12-01T20:00:00Z"),
            ("{ max = 2, hours = 24 }", "2026-12-01T20:00:00Z", "permit"),
            ("{ max = 2, seconds = 86400 }", "2026-12-01T19:59:59Z", "defer 2026-12-01T20:00:00Z"),
            ("{ max = 2, dates = 7 }", "2026-12-01T20:00:00Z", "defer 2026-12-07T05:00:00Z"),
            ("{ max = 2, dates = 7 }", "2026-12-07T05:00:00Z", "permit"),
            (
                "{ max = 1, calendar = \"day\" }",
                "2026-12-01T20:00:00Z",
                "defer 2026-12-02T05:00:00Z",
            ),
            ("{ max = 2, calendar = \"day\" }", "2026-12-01T20:00:00Z", "permit"),
            (
                "{ max = 2, calendar = \"week\" }",
                "2026-12-01T20:00:00Z",
                "defer 2026-12-07T05:00:00Z",
            ),
            (
                "{ max = 1, calendar = \"month\" }",
                "2026-12-01T20:00:00Z",
                "defer 2027-01-01T05:00:00Z",
            ),
            ("{ max = 2, calendar = \"month\" }", "2026-12-01T20:00:00Z", "permit"),
            (
                "{ max = 2, hours = 24 }, { max = 2, dates = 2 }",
                "2026-12-01T18:00:00Z",
                "defer 2026-12-02T05:00:00Z",
            ),
        ] {
            let case = times.iter().fold(cap(limits, person), |case, at| case.past(past(at)));
            assert_eq!(case.at(now), verdict, "{limits} {now}");
        }
    }

    #[test]
    fn what_counts_is_the_same_seller_purpose_key_technology_and_outcome() {
        let now = "2026-12-01T20:00:00Z";
        let one = || past("2026-12-01T16:00:00Z");
        let full = "defer 2026-12-02T16:00:00Z";
        let limit = "{ max = 1, hours = 24 }";
        let ignores = "key = \"person\"\nignores = [\"busy\", \"sit\", \"failed\"]";
        let contacts = "key = \"person\"\ncounts = [\"conversation\"]";
        let robots = "key = \"person\"\ncount_technology = [\"prerecorded\"]";
        let house = "key = \"person\"\nany_seller = true\nany_purpose = true";
        let with = |outcome| crate::Past { outcome, ..one() };
        for (what, rest, entry, verdict) in [
            ("same", "key = \"person\"", one(), full),
            (
                "other seller",
                "key = \"person\"",
                crate::Past { same_seller: false, ..one() },
                "permit",
            ),
            (
                "other purpose",
                "key = \"person\"",
                crate::Past { purpose: Purpose::Survey, ..one() },
                "permit",
            ),
            (
                "house",
                house,
                crate::Past { same_seller: false, purpose: Purpose::Survey, ..one() },
                full,
            ),
            (
                "other number",
                "key = \"number\"",
                crate::Past { same_number: false, same_account: true, ..one() },
                "permit",
            ),
            (
                "person by account",
                "key = \"person\"",
                crate::Past { same_number: false, same_account: true, ..one() },
                full,
            ),
            (
                "person by link",
                "key = \"person\"",
                crate::Past { same_number: false, same_person: true, ..one() },
                full,
            ),
            ("no account: number", "key = \"account\"", one(), full),
            ("busy ignored", ignores, with(Outcome::Busy), "permit"),
            ("no answer not ignored", ignores, with(Outcome::NoAnswer), full),
            ("pending counts", contacts, with(Outcome::Pending), full),
            ("unknown counts", contacts, with(Outcome::Unknown), full),
            ("ring only", contacts, with(Outcome::NoAnswer), "permit"),
            ("manual", robots, one(), "permit"),
            ("robot", robots, crate::Past { technology: Technology::Prerecorded, ..one() }, full),
            ("inbound", house, crate::Past { inbound: true, ..one() }, "permit"),
            ("later", house, past("2026-12-01T20:00:01Z"), "permit"),
        ] {
            assert_eq!(cap(limit, rest).past(entry).at(now), verdict, "{what}");
        }
        let account = || {
            let mut case = cap(limit, "key = \"account\"");
            case.facts.call.has_account = true;
            case
        };
        assert_eq!(account().past(one()).at(now), "permit", "same number, other account");
        let moved = crate::Past { same_number: false, same_account: true, ..one() };
        assert_eq!(account().past(moved).at(now), full, "same account, other number");
    }

    #[test]
    fn a_key_may_name_all_that_must_be_the_same() {
        let one = || past("2026-12-01T16:00:00Z");
        let seller = || crate::Past { same_seller: false, ..one() };
        let purpose = || crate::Past { purpose: Purpose::Survey, ..one() };
        let campaign = || crate::Past { same_campaign: false, ..one() };
        let full = "defer 2026-12-02T16:00:00Z";
        for (key, entry, verdict) in [
            ("[\"person\"]", seller(), full),
            ("[\"person\"]", purpose(), full),
            ("[\"person\", \"seller\"]", seller(), "permit"),
            ("[\"person\", \"seller\"]", purpose(), full),
            ("[\"number\", \"purpose\"]", seller(), full),
            ("[\"number\", \"purpose\"]", purpose(), "permit"),
            ("[\"person\", \"campaign\"]", campaign(), "permit"),
            ("[\"person\", \"campaign\"]", one(), full),
            ("[\"person\", \"seller\", \"purpose\"]", campaign(), full),
        ] {
            let case = cap("{ max = 1, hours = 24 }", &format!("key = {key}")).past(entry);
            assert_eq!(case.at("2026-12-01T20:00:00Z"), verdict, "{key} {entry:?}");
        }
    }

    #[test]
    fn with_any_one_limit_with_room_is_enough() {
        let limits = "{ max = 1, hours = 24 }, { max = 2, dates = 7 }";
        let any = |entries: &[&str]| {
            let case = cap(limits, "key = \"person\"\ncombine = \"any\"");
            entries.iter().fold(case, |case, at| case.past(past(at)))
        };
        let now = "2026-12-01T20:00:00Z";
        let one = any(&["2026-12-01T16:00:00Z"]);
        assert_eq!(one.at(now), "permit");
        let verdict = one.verdict(crate::kinds::cases::instant(now));
        let counters = &verdict.evidence().counters;
        assert!(counters.iter().all(|counter| counter.count < counter.max), "{counters:?}");
        let two = ["2026-12-01T16:00:00Z", "2026-12-01T17:00:00Z"];
        assert_eq!(any(&two).at(now), "defer 2026-12-02T17:00:00Z");
        let all = two.iter().fold(cap(limits, "key = \"person\""), |case, at| case.past(past(at)));
        assert_eq!(all.at(now), "defer 2026-12-08T05:00:00Z");
        let nowhere = any(&two).call(calls::toll_free());
        assert_eq!(nowhere.at(now), "refuse Address");
    }

    #[test]
    fn the_guard_lengthens_every_limit() {
        let mut case =
            cap("{ max = 1, hours = 2 }", "key = \"person\"").past(past("2026-12-01T16:00:00Z"));
        case.guard = std::time::Duration::from_secs(30);
        assert_eq!(case.at("2026-12-01T18:00:29Z"), "defer 2026-12-01T18:00:30Z");
        assert_eq!(case.at("2026-12-01T18:00:30Z"), "permit");
    }

    proptest! {
        #[test]
        fn rolling_caps_agree_with_a_naive_count(
            max in 1_u32..5,
            hours in 1_i64..72,
            ages in proptest::collection::vec(0_i64..300_000, 0..12),
        ) {
            let now = 1_790_000_000_000_i64;
            let mut case = cap(&format!("{{ max = {max}, hours = {hours} }}"), "key = \"person\"");
            for age in &ages {
                case = case.past(crate::Past { at: dialer_types::UnixMillis(now - age * 1000), ..past("2026-12-01T16:00:00Z") });
            }
            let live = |at: i64| ages.iter().filter(|age| now - **age * 1000 + hours * 3_600_000 > at).count();
            let permitted = case.verdict(now).word() == "permit";
            prop_assert_eq!(permitted, live(now) < max as usize);
            if let crate::Verdict::Defer(deferral) = case.verdict(now) {
                let until = deferral.until.0;
                prop_assert!(live(until) < max as usize);
                prop_assert!(live(until - 1000) >= max as usize);
            }
        }
    }
}
