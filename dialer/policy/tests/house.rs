//! The rules of the house on top of the law, as they ship.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use dialer_policy::{
    Abilities, Ability, Call, Consent, ConsentForm, Evaluation, Evidenced, Facts, Options,
    PackSource, Past, Ruleset, Verdict,
};
use dialer_types::{LineType, Outcome, Purpose, Technology, UnixMillis};

/// Tuesday 2026-12-01, 11:00 in New York.
const NOW: i64 = 1_796_140_800_000;
const HOUR: i64 = 3_600_000;

fn house() -> Ruleset {
    Ruleset::shipped(Options { house: true }).unwrap()
}

fn facts(number: &str) -> Facts {
    let mut call = Call::manual(number.parse().unwrap(), Purpose::Survey);
    call.line = LineType::Landline;
    Facts::of(call)
}

fn another(hours_ago: i64) -> Past {
    Past {
        at: UnixMillis(NOW - hours_ago * HOUR),
        same_number: false,
        same_account: false,
        same_person: true,
        same_seller: false,
        same_campaign: true,
        purpose: Purpose::DebtCollection,
        technology: Technology::Manual,
        outcome: Outcome::Busy,
        inbound: false,
    }
}

fn named(verdict: &Verdict) -> Vec<&str> {
    verdict.denials().iter().map(|denial| denial.rule.as_str()).collect()
}

#[test]
fn placements_of_any_seller_and_purpose_count_by_the_day_and_two_hours_apart() {
    let rules = house();
    let judge = |facts: &Facts, now| rules.evaluate(facts, &Evaluation::LAW, UnixMillis(now));
    let mut facts = facts("+12125550123");
    assert_eq!(judge(&facts, NOW).word(), "permit");
    facts.history = vec![another(1)];
    let gap = judge(&facts, NOW);
    assert_eq!(named(&gap), ["house.min_gap"]);
    let Verdict::Defer(deferral) = gap else { panic!("not deferred") };
    assert_eq!(deferral.until.0, NOW + HOUR);
    facts.history = vec![another(3), another(5), another(7)];
    let day = judge(&facts, NOW);
    assert_eq!(named(&day), ["house.person_day_cap"]);
    let Verdict::Defer(deferral) = day else { panic!("not deferred") };
    assert_eq!(deferral.until.0, NOW + 13 * HOUR, "midnight in New York");
    // The one of yesterday evening does not count.
    facts.history = vec![another(3), another(5), another(13)];
    assert_eq!(judge(&facts, NOW).word(), "permit");
}

#[test]
fn an_override_file_changes_the_house_rules() {
    let pack = include_str!("../../../schema/rules/house.toml");
    let change = "[[override]]\nrule = \"house.person_day_cap\"\nmax = 1\n[[override]]\nrule = \"house.min_gap\"\nseconds = 60\n";
    let us = "[pack]\nid = \"us\"\ntitle = \"US\"\nas_of = \"2026-11-23\"\ncovers = [\"US\"]\n";
    let sources = [
        PackSource { name: "house.toml", text: pack },
        PackSource { name: "change.toml", text: change },
        PackSource { name: "us.toml", text: us },
    ];
    let rules = Ruleset::load(&sources, Options { house: true }).unwrap();
    let mut facts = facts("+12125550123");
    facts.history = vec![another(1)];
    let verdict = rules.evaluate(&facts, &Evaluation::LAW, UnixMillis(NOW));
    assert_eq!(named(&verdict), ["house.person_day_cap"]);
}

#[test]
fn places_without_a_pack_or_without_a_place_are_refused() {
    let rules = house();
    for number in ["+4930231251230", "+12425550123", "+9990000000"] {
        let verdict = rules.evaluate(&facts(number), &Evaluation::LAW, UnixMillis(NOW));
        assert_eq!(verdict.word(), "refuse", "{number}");
        assert!(named(&verdict).contains(&"house.uncovered_place"), "{number}");
    }
}

#[test]
fn recorded_telemarketing_waits_for_a_key_that_opts_out() {
    let rules = house();
    let mut facts = facts("+12165550123");
    facts.call.purpose = Purpose::Telemarketing;
    facts.call.technology = Technology::Prerecorded;
    facts.consents.push(Consent {
        form: ConsentForm::PriorExpressWritten,
        same_seller: true,
        purpose: Purpose::Telemarketing,
        technology: None,
        given_at: UnixMillis(NOW - 1000 * HOUR),
        revoked_at: None,
        evidence: Evidenced::NONE,
        event: None,
    });
    let judge = |abilities| {
        let terms = Evaluation { abilities, ..Evaluation::LAW };
        rules.evaluate(&facts, &terms, UnixMillis(NOW))
    };
    let refused = judge(Abilities::ALL.without(Ability::OptOutKey));
    assert_eq!(named(&refused), ["us.fcc.prerecorded_identification"]);
    let Verdict::Permit(permit) = judge(Abilities::ALL) else { panic!("not permitted") };
    let duties: Vec<_> = permit.obligations().iter().map(|duty| duty.rule.as_str()).collect();
    assert!(duties.contains(&"us.fcc.prerecorded_identification"), "{duties:?}");
    assert!(!duties.contains(&"us.fcc.abandon_message"), "{duties:?}");
}

fn with(overrides: &str) -> Ruleset {
    let own = PackSource { name: "own.toml", text: overrides };
    Ruleset::shipped_with(&[own], Options { house: true }).unwrap()
}

fn judged(rules: &Ruleset, facts: &Facts) -> Verdict {
    rules.evaluate(facts, &Evaluation::LAW, UnixMillis(NOW))
}

#[test]
fn of_the_rules_of_the_house_three_are_on_until_somebody_says_otherwise() {
    let rules = house();
    let on = |id: &&str| rules.is_on(id) == Some(true);
    let ids: Vec<&str> = rules.rule_ids().map(dialer_types::RuleId::as_str).collect();
    let houses = ids.iter().copied().filter(|id| id.starts_with("house."));
    let houses: Vec<&str> = houses.filter(on).collect();
    assert_eq!(houses, ["house.person_day_cap", "house.min_gap", "house.uncovered_place"]);
    let off = with("[[override]]\nrule = \"house.min_gap\"\nenabled = false\n");
    let mut facts = facts("+12125550123");
    facts.history = vec![another(1)];
    assert_eq!(judged(&off, &facts).word(), "permit");
}

#[test]
fn sellers_share_a_cap_without_seeing_one_another() {
    let rules = with(
        "[[override]]\nrule = \"house.cross_seller_cap\"\nenabled = true\nmax = 2\ncalendar = \"week\"\n",
    );
    let mut facts = facts("+12125550123");
    facts.history = vec![another(26)];
    assert_eq!(judged(&rules, &facts).word(), "permit");
    facts.history = vec![another(26), another(3)];
    let verdict = judged(&rules, &facts);
    assert_eq!(named(&verdict), ["house.cross_seller_cap"]);
    let denial = &verdict.denials()[0];
    let told = dialer_policy::explain(denial, dialer_types::Language::English);
    assert!(
        told.starts_with("Placements of all sellers together: 2 counted of 2 allowed"),
        "{told}"
    );
}

#[test]
fn on_a_quiet_date_nobody_is_called_where_it_is_that_date() {
    let rules = with(
        "[[override]]\nrule = \"house.quiet_dates\"\nenabled = true\nclosed_on = [\"2026-12-01\"]\n",
    );
    let Verdict::Defer(deferral) = judged(&rules, &facts("+12125550123")) else {
        panic!("not deferred")
    };
    assert_eq!(deferral.denials[0].rule.as_str(), "house.quiet_dates");
    assert_eq!(deferral.until.0, NOW + 13 * HOUR, "midnight in New York");
    let any_day = with("[[override]]\nrule = \"house.quiet_dates\"\nenabled = true\n");
    assert_eq!(judged(&any_day, &facts("+12125550123")).word(), "permit");
}

#[test]
fn agents_and_scripts_are_asked_for_their_papers_where_the_house_says_so() {
    use dialer_policy::Licence;
    let rules = with(
        "[[override]]\nrule = \"house.agent_certification\"\nenabled = true\n[[override]]\nrule = \"house.script_approval\"\nenabled = true\n",
    );
    let mut facts = facts("+12125550123");
    let Verdict::Refuse(refusal) = judged(&rules, &facts) else { panic!("not refused") };
    let waits: Vec<String> = refusal.waits_for.iter().map(dialer_policy::Wait::word).collect();
    assert_eq!(waits, ["licence:agent_certified", "licence:script_approved"]);
    let licence = |id: &str, until: &str| Licence {
        id: id.into(),
        from: None,
        until: Some(until.parse().unwrap()),
    };
    facts.licences =
        vec![licence("agent_certified", "2026-12-01"), licence("script_approved", "2026-11-30")];
    assert_eq!(named(&judged(&rules, &facts)), ["house.script_approval"], "lapsed yesterday");
    facts.licences[1] = licence("script_approved", "2026-12-31");
    assert_eq!(judged(&rules, &facts).word(), "permit");
}
