//! Caps and cool-downs against a naive count: every placement looked at anew for every moment, with
//! the dates that the tz database shows in each zone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::time::Duration;

use chrono::{Datelike, NaiveDate, TimeZone};
use chrono_tz::Tz;
use dialer_policy::{Call, Evaluation, Facts, Options, PackSource, Past, Ruleset, Verdict};
use dialer_types::{Outcome, Purpose, Technology, UnixMillis};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// How long a placement counts, as the packs write it.
#[derive(Debug, Clone, Copy)]
enum Span {
    Hours(i64),
    Dates(i64),
    Calendar(&'static str),
}

impl Span {
    fn text(self) -> String {
        match self {
            Self::Hours(hours) => format!("hours = {hours}"),
            Self::Dates(dates) => format!("dates = {dates}"),
            Self::Calendar(word) => format!("calendar = \"{word}\""),
        }
    }

    /// Whether a placement counts at a moment, in one zone.
    fn counts(self, zone: Tz, past: i64, at: i64) -> bool {
        let (then, now) = (date(zone, past), date(zone, at));
        match self {
            Self::Hours(hours) => at - past < hours * HOUR,
            Self::Dates(dates) => (now - then).num_days() < dates,
            Self::Calendar("day") => then == now,
            Self::Calendar("week") => then.iso_week() == now.iso_week(),
            Self::Calendar(_) => (then.year(), then.month()) == (now.year(), now.month()),
        }
    }
}

fn date(zone: Tz, at: i64) -> NaiveDate {
    zone.timestamp_millis_opt(at).unwrap().date_naive()
}

fn spans() -> impl Strategy<Value = Span> {
    prop_oneof![
        (1_i64..200).prop_map(Span::Hours),
        (1_i64..32).prop_map(Span::Dates),
        proptest::sample::select(vec!["day", "week", "month"]).prop_map(Span::Calendar),
    ]
}

/// Moments around ordinary days, both clock changes, month ends and the turn of the year.
fn moments() -> impl Strategy<Value = i64> {
    let around = |start: &str| chrono::DateTime::parse_from_rfc3339(start).unwrap();
    let starts = ["2026-10-30T00:00:00Z", "2026-12-29T00:00:00Z", "2027-03-12T00:00:00Z"];
    let starts: Vec<i64> = starts.iter().map(|start| around(start).timestamp_millis()).collect();
    (proptest::sample::select(starts), 0..6 * DAY).prop_map(|(start, more)| start + more)
}

fn past() -> impl Strategy<Value = Past> {
    let rarely = || proptest::sample::select(vec![false, false, false, false, true]);
    let often = || proptest::sample::select(vec![true, true, true, true, false]);
    (
        // Some of them now, some later than now.
        -2 * HOUR..35 * DAY,
        (often(), rarely(), rarely(), often()),
        proptest::sample::select(vec![
            Purpose::Telemarketing,
            Purpose::Telemarketing,
            Purpose::Survey,
        ]),
        proptest::sample::select(Technology::ALL.to_vec()),
        proptest::sample::select(Outcome::ALL.to_vec()),
        rarely(),
    )
        .prop_map(
            |(age, (number, account, person, seller), purpose, technology, outcome, inbound)| {
                Past {
                    at: UnixMillis(age),
                    same_number: number,
                    same_account: account,
                    same_person: person,
                    same_seller: seller,
                    same_campaign: true,
                    purpose,
                    technology,
                    outcome,
                    inbound,
                }
            },
        )
}

/// A moment, and a call with a history before (and after) it.
fn asked() -> impl Strategy<Value = (i64, Facts)> {
    let numbers = vec!["+12125550123", "+18505550134", "+19075550123", "+12085550123"];
    let history = proptest::collection::vec(past(), 0..14);
    (moments(), proptest::sample::select(numbers), any::<bool>(), history).prop_map(
        |(now, number, has_account, mut history)| {
            let mut call = Call::manual(number.parse().unwrap(), Purpose::Telemarketing);
            call.has_account = has_account;
            for past in &mut history {
                past.at = UnixMillis(now - past.at.0);
            }
            (now, Facts { history, ..Facts::of(call) })
        },
    )
}

fn rule(body: &str) -> Ruleset {
    let text = format!(
        "[pack]\nid = \"p\"\ntitle = \"P\"\nas_of = \"2026-11-23\"\ncovers = [\"US\"]\n[[rule]]\nid = \"test.r\"\ntitle = \"T\"\ncitation = \"C\"\nforce = \"law\"\npurposes = [\"any\"]\njurisdiction = \"US\"\n{body}\n"
    );
    Ruleset::load(&[PackSource { name: "p.toml", text: &text }], Options::default()).unwrap()
}

fn is_theirs(key: &str, past: &Past, facts: &Facts) -> bool {
    match key {
        "number" => past.same_number,
        "account" if facts.call.has_account => past.same_account,
        "account" => past.same_number,
        _ => past.same_number || past.same_account || past.same_person,
    }
}

/// The first whole second after a moment that passes: every second that can be one is tried. Dates
/// change at whole quarters of an hour everywhere.
fn first_that_passes(now: i64, ends: &[i64], passes: impl Fn(i64) -> bool) -> Option<i64> {
    let second = |at: i64| at.div_euclid(1000) * 1000 + if at % 1000 == 0 { 0 } else { 1000 };
    let quarters = (0..=70 * 96).map(|quarter| now - now % (HOUR / 4) + quarter * HOUR / 4);
    let mut all: Vec<i64> = ends.iter().copied().chain(quarters).map(second).collect();
    all.push(now.div_euclid(1000) * 1000 + 1000);
    all.retain(|at| *at > now);
    all.sort_unstable();
    all.into_iter().find(|at| passes(*at))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn caps_agree_with_a_naive_count_and_are_free_again_at_the_first_moment_it_allows(
        (now, facts) in asked(),
        limits in proptest::collection::vec((1_usize..4, spans()), 1..4),
        key in proptest::sample::select(vec!["number", "account", "person"]),
        (any_seller, any_purpose, ignores_busy) in any::<(bool, bool, bool)>(),
        guard in proptest::sample::select(vec![0_u64, 6]),
    ) {
        let text: Vec<String> = limits
            .iter()
            .map(|(max, span)| format!("{{ max = {max}, {} }}", span.text()))
            .collect();
        let ignores = if ignores_busy { "ignores = [\"busy\"]" } else { "" };
        let rules = rule(&format!(
            "kind = \"count_cap\"\nkey = \"{key}\"\nlimits = [{}]\nany_seller = {any_seller}\nany_purpose = {any_purpose}\n{ignores}",
            text.join(", ")
        ));
        let terms =
            Evaluation { guard: Duration::from_secs(guard), ..Evaluation::LAW };
        let verdict = rules.evaluate(&facts, &terms, UnixMillis(now));
        let guard = i64::try_from(guard).unwrap() * 1000;
        let zones = verdict.evidence().zones.clone();
        let counted: Vec<i64> = facts
            .history
            .iter()
            .filter(|past| {
                past.at.0 <= now
                    && !past.inbound
                    && (any_seller || past.same_seller)
                    && (any_purpose || past.purpose == facts.call.purpose)
                    && !(ignores_busy && past.outcome == Outcome::Busy)
                    && is_theirs(key, past, &facts)
            })
            .map(|past| past.at.0)
            .collect();
        let count = |span: Span, at: i64| {
            let live = |zone: &Tz| {
                counted.iter().filter(|past| span.counts(*zone, **past, at - guard)).count()
            };
            zones.iter().map(live).max().unwrap()
        };
        let passes = |at: i64| limits.iter().all(|(max, span)| count(*span, at) < *max);
        prop_assert_eq!(matches!(verdict, Verdict::Permit(_)), passes(now), "{:?}", verdict);
        for (counter, (max, span)) in verdict.evidence().counters.iter().zip(&limits) {
            let expected = (count(*span, now), *max);
            prop_assert_eq!((counter.count as usize, counter.max as usize), expected);
        }
        if let Verdict::Defer(deferral) = verdict {
            let hours = limits.iter().filter_map(|(_, span)| match span {
                Span::Hours(hours) => Some(hours * HOUR),
                _ => None,
            });
            let rolling = hours.flat_map(|hours| counted.iter().map(move |past| past + hours));
            // Midnights are quarters of an hour, and the guard follows them.
            let quarters = (0..=70 * 96).map(|quarter| now - now % (HOUR / 4) + quarter * HOUR / 4);
            let ends: Vec<i64> = rolling.chain(quarters).map(|at| at + guard).collect();
            prop_assert_eq!(Some(deferral.until.0), first_that_passes(now, &ends, passes));
        }
    }

    #[test]
    fn cool_downs_agree_with_a_naive_look_at_every_call_that_starts_one(
        (now, facts) in asked(),
        span in spans(),
        key in proptest::sample::select(vec!["number", "account", "person"]),
        inbound in any::<bool>(),
    ) {
        let rules = rule(&format!(
            "kind = \"cooldown\"\nkey = \"{key}\"\n{}\ninbound = {inbound}\ntrigger = [\"conversation\", \"refused\"]",
            span.text()
        ));
        let verdict = rules.evaluate(&facts, &Evaluation::LAW, UnixMillis(now));
        let zones = verdict.evidence().zones.clone();
        // Pending is not known yet: it starts what is over within a day.
        let short = matches!(span, Span::Hours(..=24) | Span::Dates(1) | Span::Calendar("day"));
        let starts = |past: &&Past| {
            let open = past.outcome == Outcome::Unknown || past.outcome == Outcome::Pending && short;
            past.at.0 <= now
                && past.same_seller
                && past.purpose == facts.call.purpose
                && (inbound || !past.inbound)
                && (open || matches!(past.outcome, Outcome::Conversation | Outcome::Refused))
                && is_theirs(key, past, &facts)
        };
        let started: Vec<i64> = facts.history.iter().filter(starts).map(|past| past.at.0).collect();
        let passes = |at: i64| {
            let over = |past: &i64| zones.iter().all(|zone| !span.counts(*zone, *past, at));
            started.iter().all(over)
        };
        prop_assert_eq!(matches!(verdict, Verdict::Permit(_)), passes(now), "{:?}", verdict);
        if let Verdict::Defer(deferral) = verdict {
            let ends: Vec<i64> = match span {
                Span::Hours(hours) => started.iter().map(|past| past + hours * HOUR).collect(),
                _ => Vec::new(),
            };
            prop_assert_eq!(Some(deferral.until.0), first_that_passes(now, &ends, passes));
        }
    }
}
