//! Properties that hold for every call, with packs made up: `until`, order, monotony, and how long a
//! permit stands. Hours, counts and the packs that ship have files of their own beside this one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::fmt::Write;

use dialer_policy::{
    Address, Call, Evaluation, Facts, Options, PackSource, Past, Ruleset, Verdict,
};
use dialer_types::{Outcome, Purpose, RuleId, Technology, UnixMillis};
use proptest::prelude::*;

const PACK: &str =
    "[pack]\nid = \"p\"\ntitle = \"P\"\nas_of = \"2026-11-23\"\ncovers = [\"US\", \"FR\"]\n";

/// Rules of every timed kind and some static ones.
const BODIES: [&str; 7] = [
    "kind = \"time_window\"\nallow = [{ days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"], from = \"09:00\", to = \"12:30\" }, { days = [\"sun\", \"fri\"], from = \"14:00\", to = \"20:00\" }]",
    "kind = \"time_window\"\nallow = [{ days = [\"mon\", \"wed\", \"fri\", \"sat\"], from = \"08:00\", to = \"24:00\" }]",
    "kind = \"count_cap\"\nkey = \"number\"\nlimits = [{ max = 2, hours = 24 }, { max = 3, dates = 5 }]",
    "kind = \"count_cap\"\nkey = \"person\"\nlimits = [{ max = 1, calendar = \"day\" }, { max = 2, calendar = \"week\" }, { max = 4, calendar = \"month\" }]",
    "kind = \"cooldown\"\nkey = \"number\"\ndates = 4\ntrigger = [\"conversation\"]",
    "kind = \"consent_required\"\nneeds = \"any\"",
    "kind = \"cooldown\"\nkey = \"number\"\nhours = 30\ntrigger = [\"no_answer\"]\neffective_from = \"2026-12-10\"",
];

fn pack(chosen: impl IntoIterator<Item = usize>) -> String {
    let mut text = PACK.to_owned();
    for number in chosen {
        write!(
            text,
            "[[rule]]\nid = \"test.r{number}\"\ntitle = \"T\"\ncitation = \"C\"\nforce = \"law\"\npurposes = [\"any\"]\njurisdiction = \"US\"\n{}\n",
            BODIES[number]
        )
        .unwrap();
    }
    text
}

fn rules(text: &str) -> Ruleset {
    Ruleset::load(&[PackSource { name: "p.toml", text }], Options::default()).unwrap()
}

fn facts(number: &str, zone: Option<&str>) -> Facts {
    let mut call = Call::manual(number.parse().unwrap(), Purpose::Telemarketing);
    call.address = zone.map(|zone| Address {
        country: "US".to_owned(),
        region: Some("XX".to_owned()),
        postal_code: None,
        time_zone: Some(zone.to_owned()),
    });
    Facts::of(call)
}

fn judge(rules: &Ruleset, facts: &Facts, now: i64) -> Verdict {
    rules.evaluate(facts, &Evaluation::LAW, UnixMillis(now))
}

fn shape(verdict: &Verdict) -> (String, Vec<String>, Option<i64>) {
    let mut named: Vec<String> = verdict.denials().iter().map(|no| no.rule.to_string()).collect();
    named.sort();
    let until = if let Verdict::Defer(deferral) = verdict { Some(deferral.until.0) } else { None };
    (verdict.word().to_owned(), named, until)
}

/// 2026-12-01 and three weeks on, to the millisecond.
fn moments() -> impl Strategy<Value = i64> {
    1_796_083_200_000_i64..1_797_900_000_000
}

fn pasts() -> impl Strategy<Value = Vec<(i64, bool)>> {
    proptest::collection::vec((0_i64..10 * 86_400_000, any::<bool>()), 0..6)
}

fn with_history(mut facts: Facts, now: i64, history: &[(i64, bool)]) -> Facts {
    facts.history = history
        .iter()
        .map(|(age, spoken)| Past {
            at: UnixMillis(now - age),
            same_number: true,
            same_account: false,
            same_person: false,
            same_seller: true,
            same_campaign: true,
            purpose: Purpose::Telemarketing,
            technology: Technology::Manual,
            outcome: if *spoken { Outcome::Conversation } else { Outcome::NoAnswer },
            inbound: false,
        })
        .collect();
    facts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn until_is_lawful_and_the_second_before_is_not(
        now in moments(),
        history in pasts(),
        chosen in proptest::sample::subsequence(vec![0_usize, 1, 2, 3, 4, 6], 1..6),
        number in proptest::sample::select(vec!["+12125550123", "+18505550134", "+19075550123"]),
    ) {
        let rules = rules(&pack(chosen));
        let facts = with_history(facts(number, None), now, &history);
        if let Verdict::Defer(deferral) = judge(&rules, &facts, now) {
            let until = deferral.until.0;
            prop_assert!(until > now && until % 1000 == 0);
            prop_assert_eq!(judge(&rules, &facts, until).word(), "permit");
            if until - 1000 > now {
                prop_assert_ne!(judge(&rules, &facts, until - 1000).word(), "permit");
            }
        }
    }

    #[test]
    fn the_order_of_rules_and_facts_does_not_matter(
        now in moments(),
        history in pasts(),
        order in Just((0..BODIES.len()).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let facts = with_history(facts("+18505550134", None), now, &history);
        let mut turned = facts.clone();
        turned.history.reverse();
        let one = judge(&rules(&pack(0..BODIES.len())), &facts, now);
        let other = judge(&rules(&pack(order)), &turned, now);
        prop_assert_eq!(shape(&one), shape(&other));
    }

    #[test]
    fn every_rule_that_was_asked_passed_or_denied_and_both_stand_in_the_order_of_the_packs(
        now in moments(),
        history in pasts(),
        order in Just((0..BODIES.len()).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let facts = with_history(facts("+18505550134", None), now, &history);
        let verdict = judge(&rules(&pack(order)), &facts, now);
        let denies = |rule: &&RuleId| verdict.denials().iter().any(|denial| denial.rule == **rule);
        let asked = &verdict.evidence().rules;
        prop_assert!(!asked.is_empty());
        let passed: Vec<&RuleId> = verdict.passed().collect();
        let expected: Vec<&RuleId> = asked.iter().filter(|rule| !denies(rule)).collect();
        prop_assert_eq!(&passed, &expected);
        prop_assert_eq!(passed.len() + verdict.denials().len(), asked.len());
    }

    #[test]
    fn another_rule_never_turns_a_denial_into_a_permit(
        now in moments(),
        history in pasts(),
        chosen in proptest::sample::subsequence((0..BODIES.len()).collect::<Vec<_>>(), 1..7),
        more in 0..BODIES.len(),
    ) {
        let facts = with_history(facts("+18505550134", None), now, &history);
        let few = judge(&rules(&pack(chosen.clone())), &facts, now);
        let mut all = chosen;
        if !all.contains(&more) {
            all.push(more);
        }
        let many = judge(&rules(&pack(all)), &facts, now);
        let (few, many) = (shape(&few), shape(&many));
        prop_assert!(few.1.iter().all(|rule| many.1.contains(rule)), "{few:?} {many:?}");
        prop_assert!(few.0 == "permit" || many.0 != "permit");
        if let (Some(few), Some(many)) = (few.2, many.2) {
            prop_assert!(few <= many);
        }
    }

    #[test]
    fn a_permit_stands_to_its_last_millisecond(
        now in moments(),
        history in pasts(),
        chosen in proptest::sample::subsequence(vec![0_usize, 1, 2, 3, 4, 6], 0..6),
        share in 0.0..1.0_f64,
    ) {
        let rules = rules(&pack(chosen));
        let facts = with_history(facts("+18505550134", None), now, &history);
        if let Verdict::Permit(permit) = judge(&rules, &facts, now) {
            let life = permit.stands_until().0 - now;
            prop_assert!(life > 0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a test's random share of a day")]
            let within = now + (life as f64 * share) as i64;
            for at in [within, permit.stands_until().0 - 1] {
                prop_assert_eq!(judge(&rules, &facts, at).word(), "permit");
            }
        }
    }
}
