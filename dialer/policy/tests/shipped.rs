//! Properties of the packs that ship, over the public cases moved about in time and over calls made
//! up: order does not matter, more rules never permit more, `until` is lawful and the second before
//! is not, and both steps of a judgement say the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::{fs, path::Path, sync::LazyLock};

use dialer_policy::{
    Address, Area, Call, Consent, ConsentForm, Evaluation, Evidenced, Facts, Feed, ListFact,
    Options, PackSource, Past, Ruleset, Suppression, SuppressionScope, Verdict,
    check::{Asked, read_case},
};
use dialer_types::{LineType, Outcome, PartyType, Purpose, Technology, UnixMillis};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const VECTORS: &str = include_str!("vectors.jsonl");

/// Name and text of every file of `schema/rules`.
static FILES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/rules");
    let folders = [rules.clone(), rules.join("calendars")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let packs = paths.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    packs.map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
});

static LAW: LazyLock<Ruleset> =
    LazyLock::new(|| Ruleset::shipped(Options { house: false }).unwrap());

/// Of one file after the other, as they are given.
fn load(files: &[(String, String)], house: bool) -> Ruleset {
    let sources: Vec<PackSource<'_>> =
        files.iter().map(|(name, text)| PackSource { name, text }).collect();
    Ruleset::load(&sources, Options { house }).unwrap()
}

fn cases() -> Vec<Asked> {
    VECTORS.lines().map(|line| read_case(line).unwrap()).collect()
}

fn judge(rules: &Ruleset, facts: &Facts, now: i64) -> Verdict {
    rules.evaluate(facts, &Evaluation::LAW, UnixMillis(now))
}

/// Word, rules that deny, `until`: what may not depend on any order.
fn shape(verdict: &Verdict) -> (String, Vec<String>, Option<i64>) {
    let mut named: Vec<String> = verdict.denials().iter().map(|no| no.rule.to_string()).collect();
    named.sort();
    let until = if let Verdict::Defer(deferral) = verdict { Some(deferral.until.0) } else { None };
    (verdict.word().to_owned(), named, until)
}

/// Calls to many places, for many purposes, on every line, by every technology.
fn calls() -> impl Strategy<Value = Call> {
    let numbers = vec![
        "+12125550123",
        "+18505550134",
        "+14125550123",
        "+14025550123",
        "+12075550123",
        "+12065550123",
        "+16055550123",
        "+18005550123",
        "+19075550123",
        "+14165550123",
        "+33199001234",
        "+442079460123",
        "+61255501234",
        "+61491570156",
        "+861060000000",
        "+34911230000",
        "+390612345678",
        "+27115550123",
        "+551155550123",
        "+97145550123",
    ];
    let places = vec![("US", "CT"), ("US", "TX"), ("FR", "")];
    (
        proptest::sample::select(numbers),
        (0..Purpose::ALL.len(), 0..Technology::ALL.len(), 0..LineType::ALL.len(), any::<bool>()),
        proptest::option::of(proptest::sample::select(places)),
    )
        .prop_map(|(number, (purpose, technology, line, business), address)| {
            let mut call = Call::manual(number.parse().unwrap(), Purpose::ALL[purpose]);
            call.technology = Technology::ALL[technology];
            call.line = LineType::ALL[line];
            call.party = if business { PartyType::Business } else { PartyType::Consumer };
            call.address = address.map(|(country, region)| Address {
                country: country.to_owned(),
                region: Some(region.to_owned()),
                postal_code: None,
                time_zone: None,
            });
            call
        })
}

/// With or without a consent, lists, a do-not-call entry, earlier placements (at their ages).
fn made_up() -> impl Strategy<Value = Facts> {
    let history = (0..40 * DAY, any::<bool>(), 0..Outcome::ALL.len());
    let history = proptest::collection::vec(history, 0..8);
    (calls(), any::<(bool, bool, bool)>(), history).prop_map(|(call, known, history)| {
        let (consented, listed, suppressed) = known;
        let (purpose, technology) = (call.purpose, call.technology);
        let mut facts = Facts::of(call);
        facts.consents.extend(consented.then_some(Consent {
            form: ConsentForm::PriorExpressWritten,
            same_seller: true,
            purpose,
            technology: Some(technology),
            given_at: UnixMillis(0),
            revoked_at: None,
            evidence: Evidenced::NONE,
            event: None,
        }));
        let ageless = ["be.dncm", "in.dnd", "ae.dncr", "hk.dnc.prerecorded"].map(Into::into);
        let lists = LAW.list_ages().into_keys().chain(ageless);
        let as_of = "2026-12-20".parse().unwrap();
        let contains = listed && suppressed;
        facts.lists = lists.map(|list| ListFact { list, as_of, contains }).collect();
        if suppressed && !listed {
            let scope = SuppressionScope::Seller;
            let added_at = UnixMillis(0);
            facts.suppressions.push(Suppression { scope, purpose: None, added_at, event: None });
        }
        let past = |(age, same_account, outcome): (i64, bool, usize)| Past {
            at: UnixMillis(age),
            same_number: true,
            same_account,
            same_person: false,
            same_seller: true,
            same_campaign: true,
            purpose,
            technology,
            outcome: Outcome::ALL[outcome],
            inbound: false,
        };
        facts.history = history.into_iter().map(past).collect();
        facts
    })
}

/// The made-up call at a moment: histories are ages until then.
fn at(mut facts: Facts, now: i64) -> Facts {
    facts.history.iter_mut().for_each(|past| past.at = UnixMillis(now - past.at.0));
    let areas = vec![Area { country: "US".to_owned(), region: Some("HI".to_owned()) }];
    facts.emergency = Some(Feed { as_of: UnixMillis(now - HOUR), areas });
    facts
}

/// 2026-12-21 to 2027-01-10, to the millisecond.
fn moments() -> impl Strategy<Value = i64> {
    1_797_811_200_000..1_797_811_200_000 + 20 * DAY
}

/// Checks `until` of one deferral: lawful, and no second before it that could be is.
fn check_until(facts: &Facts, now: i64, until: i64) {
    assert!(until > now && until % 1000 == 0);
    assert_eq!(judge_later(facts, until), "permit", "{facts:?} {now} {until}");
    let minutes = (1..=(until - now) / (15 * 60_000)).map(|quarter| until - quarter * 15 * 60_000);
    let before = minutes.take(2000).chain((until - 1000 > now).then_some(until - 1000));
    for at in before.filter(|at| *at > now) {
        assert_ne!(judge_later(facts, at), "permit", "{facts:?} {now} {at} {until}");
    }
}

/// What time-dependent rules say later: lists and feeds are as they stand, so they are given anew.
fn judge_later(facts: &Facts, later: i64) -> &'static str {
    let mut facts = facts.clone();
    let date = chrono::DateTime::from_timestamp_millis(later).unwrap().date_naive();
    facts.lists.iter_mut().for_each(|list| list.as_of = date);
    if let Some(feed) = &mut facts.emergency {
        feed.as_of = UnixMillis(later);
    }
    if let Some(relationship) = &mut facts.call.relationship {
        relationship.since = date;
    }
    judge(&LAW, &facts, later).word()
}

#[test]
fn until_of_every_deferred_case_is_lawful_and_nothing_before_it_is() {
    let mut deferred = 0;
    for case in cases() {
        if let Verdict::Defer(deferral) = judge(&LAW, &case.facts, case.now.0) {
            check_until(&case.facts, case.now.0, deferral.until.0);
            deferred += 1;
        }
    }
    assert!(deferred > 30, "{deferred}");
}

#[test]
fn both_steps_of_a_judgement_say_the_same() {
    for case in cases() {
        let judgement = LAW.judge(&case.facts, &Evaluation::LAW, case.now);
        let named: Vec<_> = judgement.denied_by().cloned().collect();
        let (permitted, until) = (judgement.is_permitted(), judgement.first_lawful());
        let verdict = judgement.into_verdict();
        let denied: Vec<_> = verdict.denials().iter().map(|no| no.rule.clone()).collect();
        assert_eq!((named, permitted), (denied, verdict.word() == "permit"), "{}", case.id);
        assert_eq!(until.map(|at| at.0), shape(&verdict).2, "{}", case.id);
        assert!(verdict.denials().iter().all(|no| !no.inputs.to_string().is_empty()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn until_is_lawful_and_nothing_before_it_is(facts in made_up(), now in moments()) {
        let facts = at(facts, now);
        if let Verdict::Defer(deferral) = judge(&LAW, &facts, now) {
            check_until(&facts, now, deferral.until.0);
        }
    }

    #[test]
    fn the_order_of_facts_does_not_matter(
        facts in made_up(),
        now in moments(),
        seed in proptest::collection::vec(0_usize..7, 7),
    ) {
        let facts = at(facts, now);
        let mut turned = facts.clone();
        turned.history.reverse();
        shuffle(&mut turned.history, &seed);
        shuffle(&mut turned.consents, &seed);
        turned.lists.reverse();
        shuffle(&mut turned.lists, &seed);
        prop_assert_eq!(shape(&judge(&LAW, &facts, now)), shape(&judge(&LAW, &turned, now)));
    }
}

proptest! {
    // Each case loads the packs anew.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_order_of_packs_and_rules_does_not_matter(
        files in Just(FILES.clone()).prop_shuffle(),
        turn in any::<bool>(),
        made_up in proptest::collection::vec((made_up(), moments()), 10),
    ) {
        let turned: Vec<_> =
            files.iter().map(|(name, text)| (name.clone(), turn_rules(text, turn))).collect();
        let rules = load(&turned, false);
        let made_up = made_up.into_iter().map(|(facts, now)| (at(facts, now), now));
        for (facts, now) in cases().into_iter().map(|it| (it.facts, it.now.0)).chain(made_up) {
            prop_assert_eq!(shape(&judge(&LAW, &facts, now)), shape(&judge(&rules, &facts, now)));
        }
    }

    #[test]
    fn more_packs_never_turn_a_denial_into_a_permit(
        kept in proptest::collection::vec(proptest::bool::weighted(0.7), FILES.len()),
        made_up in proptest::collection::vec((made_up(), moments()), 10),
    ) {
        let (calendars, packs): (Vec<_>, Vec<_>) =
            FILES.iter().cloned().partition(|(name, _)| name.contains("calendars"));
        let kept = packs.into_iter().zip(kept).filter_map(|(pack, kept)| kept.then_some(pack));
        let fewer = load(&calendars.into_iter().chain(kept).collect::<Vec<_>>(), false);
        let made_up = made_up.into_iter().map(|(facts, now)| (at(facts, now), now));
        for (facts, now) in cases().into_iter().map(|it| (it.facts, it.now.0)).chain(made_up) {
            let (few, all) = (shape(&judge(&fewer, &facts, now)), shape(&judge(&LAW, &facts, now)));
            prop_assert!(few.0 == "permit" || all.0 != "permit", "{few:?} {all:?}");
            // But for the entry that nobody reports, which is reported under a law rule then.
            let still = |rule: &String| all.1.contains(rule) || rule == "house.suppression";
            prop_assert!(few.1.iter().all(still), "{few:?} {all:?}");
            if let (Some(few), Some(all)) = (few.2, all.2) {
                prop_assert!(few <= all, "{few} {all}");
            }
        }
    }
}

/// A shuffle that can be made smaller: each entry changes places with some other.
fn shuffle<T>(list: &mut [T], seed: &[usize]) {
    let size = list.len();
    for (at, to) in seed.iter().enumerate().filter(|(at, to)| *at < size && **to < size) {
        list.swap(at, *to);
    }
}

/// A pack with its rules the other way round.
fn turn_rules(text: &str, turn: bool) -> String {
    let mut parts = text.split("\n[[rule]]\n");
    let head = parts.next().unwrap();
    let mut rules: Vec<&str> = parts.collect();
    if turn {
        rules.reverse();
    }
    rules.into_iter().fold(head.to_owned(), |text, rule| text + "\n[[rule]]\n" + rule)
}
