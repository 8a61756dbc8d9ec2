use std::fmt::Write as _;

use chrono::DateTime;
use dialer_types::{LineType, Outcome, Purpose, Technology, UnixMillis};

use crate::{
    Call, Evaluation, Facts, Mark, Options, PackFault, PackSource, Past, Ruleset, Verdict,
};

fn load(own: &str) -> Result<Ruleset, Vec<String>> {
    let own = PackSource { name: "own.toml", text: own };
    Ruleset::shipped_with(&[own], Options { house: true })
        .map_err(|faults| faults.iter().map(PackFault::to_string).collect())
}

fn instant(text: &str) -> UnixMillis {
    UnixMillis(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

/// A live call to somebody in Miami who never answers.
fn miami(times: &[&str]) -> Facts {
    let mut call = Call::manual("+13055550123".parse().unwrap(), Purpose::Telemarketing);
    call.line = LineType::Landline;
    let mut facts = Facts::of(call);
    facts.history = times
        .iter()
        .map(|at| Past {
            at: instant(at),
            same_number: true,
            same_account: false,
            same_person: false,
            same_seller: true,
            same_campaign: true,
            purpose: Purpose::Telemarketing,
            technology: Technology::Manual,
            outcome: Outcome::NoAnswer,
            inbound: false,
        })
        .collect();
    facts
}

fn denies(rules: &Ruleset, facts: &Facts, now: &str) -> Vec<String> {
    let verdict = rules.evaluate(facts, &Evaluation::LAW, instant(now));
    verdict.denials().iter().map(|denial| denial.rule.to_string()).collect()
}

fn excepted(verdict: &Verdict) -> Vec<String> {
    let named = verdict.evidence().exceptions.iter();
    named.map(|exception| format!("{}: {}", exception.rule, exception.relies_on)).collect()
}

const THREE: [&str; 3] = ["2026-12-01T14:00:00Z", "2026-12-01T17:00:00Z", "2026-12-01T19:30:00Z"];
const NOW: &str = "2026-12-01T22:00:00Z";

fn exception(fields: &str) -> String {
    format!(
        "[[exception]]\nrule = \"us.fl.cap\"\nrelies_on = \"Fla. Stat. 501.604(21)\"\nreason = \"licensed\"\nby = \"Jane Roe\"\nsecond_person = \"John Doe\"\n{fields}\n"
    )
}

#[test]
fn a_pack_of_ones_own_adds_rules_without_touching_ours() {
    let own = "[[rule]]\nid = \"own.tuesdays\"\ntitle = \"T\"\ncitation = \"C\"\nforce = \"law\"\npurposes = [\"any\"]\njurisdiction = \"US-FL\"\nkind = \"time_window\"\nallow = [{ days = [\"mon\"], from = \"09:00\", to = \"12:00\" }]\n";
    let rules = load(own).unwrap();
    assert!(denies(&rules, &miami(&[]), NOW).contains(&"own.tuesdays".to_owned()));
    let again = own.replace("own.tuesdays", "us.fl.cap");
    let faults = load(&again).unwrap_err();
    assert!(faults.iter().any(|fault| fault.contains("another rule has this id")), "{faults:?}");
}

#[test]
fn a_rule_is_tightened_where_that_is_shown_to_be_stricter() {
    for (rule, fields) in [
        ("us.fl.cap", "max = 2"),
        ("us.fl.cap", "hours = 48"),
        ("us.fl.cap", "max = 3\nhours = 24"),
        ("us.regf.7in7", "dates = 8"),
        ("au.debt.cap", "max = 1"),
        ("fr.refusal", "dates = 90"),
        ("us.regf.post_conversation", "forever = true"),
        ("fr.hours", "allow = [{ days = [\"mon\"], from = \"10:00\", to = \"13:00\" }]"),
        ("fr.hours", "closed_on = [\"2026-12-24\"]"),
        ("us.fcc.ndnc_scrub", "max_age_days = 7\nno_exemptions = true"),
        ("us.la.emergency", "max_age_hours = 6"),
        ("fr.optin", "needs = \"prior_express_written\"\nvalid_months = 24"),
        ("us.fcc.rnd", "on_unknown = \"deny\"\nmax_age_days = 10"),
        ("us.regf.preferences", "on_unknown = \"deny\""),
        ("us.pa.hours", "effective_from = \"2026-01-01\""),
        ("br.volume", "max = 1000"),
        ("us.az.mobile_ban", "no_exemptions = true"),
    ] {
        let own =
            format!("[[tighten]]\nrule = \"{rule}\"\nreason = \"we are careful\"\n{fields}\n");
        let rules = load(&own).unwrap_or_else(|faults| panic!("{rule} {fields}: {faults:?}"));
        let plain = Ruleset::shipped(Options { house: true }).unwrap();
        assert_ne!(rules.rule_hash(rule), plain.rule_hash(rule), "{rule}");
        assert_ne!(rules.version(), plain.version());
    }
}

#[test]
fn what_is_not_shown_to_be_stricter_is_a_fault_with_line_and_field() {
    for (rule, fields, fault) in [
        ("us.fl.cap", "max = 4", "own.toml:3: tighten[0].max: is above the 3 of the rule"),
        ("us.fl.cap", "hours = 23", "own.toml:3: tighten[0].hours: is not shown"),
        ("us.fl.cap", "dates = 1", "own.toml:3: tighten[0].dates: is not shown"),
        ("us.regf.7in7", "calendar = \"week\"", "own.toml:3: tighten[0].calendar: is not shown"),
        ("au.debt.cap", "dates = 60", "own.toml:3: tighten[0].dates: the rule has several limits"),
        (
            "fr.hours",
            "allow = [{ days = [\"mon\"], from = \"10:00\", to = \"14:30\" }]",
            "own.toml:3: tighten[0].allow: is not within",
        ),
        (
            "fr.hours",
            "allow = [{ days = [\"sat\"], from = \"10:00\", to = \"12:00\" }]",
            "own.toml:3: tighten[0].allow: is not within",
        ),
        ("us.fcc.ndnc_scrub", "max_age_days = 32", "own.toml:3: tighten[0].max_age_days: is above"),
        ("us.la.emergency", "max_age_hours = 25", "own.toml:3: tighten[0].max_age_hours: is above"),
        ("us.ct.consent", "needs = \"any\"", "own.toml:3: tighten[0].needs: more consents"),
        (
            "us.pa.hours",
            "effective_from = \"2026-12-01\"",
            "own.toml:3: tighten[0].effective_from: ",
        ),
        ("us.fcc.rnd", "on_unknown = \"oblige\"", "own.toml:3: tighten[0].on_unknown: "),
        ("us.fl.cap", "max_age_days = 3", "own.toml:3: tighten[0].max_age_days: unknown field"),
        ("us.fl.cup", "max = 2", "own.toml:2: tighten[0].rule: no loaded rule"),
        ("uk.ofcom.2010.ring", "reason = \"x\"", "own.toml:2: tighten[0].rule: is not in force"),
    ] {
        let faults = load(&format!("[[tighten]]\nrule = \"{rule}\"\n{fields}\n")).unwrap_err();
        assert!(
            faults.iter().any(|found| found.starts_with(fault)),
            "{rule} {fields}: {faults:#?}"
        );
    }
}

#[test]
fn a_tightened_rule_denies_more_and_never_less() {
    let rules = load("[[tighten]]\nrule = \"us.fl.cap\"\nmax = 2\nhours = 48\n").unwrap();
    let two = ["2026-11-30T15:00:00Z", "2026-12-01T14:00:00Z"];
    assert_eq!(
        denies(&rules, &miami(&two), "2026-12-01T20:00:00Z"),
        ["us.fl.cap", "us.fcc.ndnc_scrub"]
    );
    let plain = Ruleset::shipped(Options { house: true }).unwrap();
    assert_eq!(denies(&plain, &miami(&two), "2026-12-01T20:00:00Z"), ["us.fcc.ndnc_scrub"]);
}

#[test]
fn an_exception_lifts_its_rule_in_its_days_and_is_named_where_it_changed_something() {
    let own = exception("off = true\nfrom = \"2026-12-01\"\nuntil = \"2026-12-01\"");
    let rules = load(&own).unwrap();
    let cap = "us.fl.cap".to_owned();
    let named = ["us.fl.cap: Fla. Stat. 501.604(21)"];
    let facts = miami(&THREE);
    let judge = |now: &str| rules.evaluate(&facts, &Evaluation::LAW, instant(now));
    let during = judge(NOW);
    assert!(!denies(&rules, &facts, NOW).contains(&cap));
    assert_eq!(excepted(&during), named);
    assert!(during.evidence().counters.iter().all(|counter| counter.rule.as_str() != cap));
    // Its last second, and the one after.
    assert_eq!(excepted(&judge("2026-12-02T04:59:59Z")), named);
    assert!(denies(&rules, &facts, "2026-12-02T05:00:00Z").contains(&cap));
    let nothing_to_lift = miami(&[]);
    let verdict = rules.evaluate(&nothing_to_lift, &Evaluation::LAW, instant(NOW));
    assert_eq!(excepted(&verdict), [""; 0], "the rule passes by itself");
    assert_eq!(rules.exceptions().count(), 1);
    let later = load(&exception("off = true\nfrom = \"2026-12-02\"")).unwrap();
    assert!(denies(&later, &facts, NOW).contains(&cap), "not yet");
}

#[test]
fn an_exception_may_replace_parameters_and_moves_the_first_lawful_moment() {
    let replaced = load(&exception("replace = { max = 4 }\nfrom = \"2026-12-01\"")).unwrap();
    let cap = "us.fl.cap".to_owned();
    assert!(!denies(&replaced, &miami(&THREE), NOW).contains(&cap));
    let four: Vec<&str> = THREE.into_iter().chain(["2026-12-01T21:00:00Z"]).collect();
    assert!(denies(&replaced, &miami(&four), NOW).contains(&cap), "four are four");
    let soon = load(&exception("off = true\nfrom = \"2026-12-02\"")).unwrap();
    let verdict = soon.evaluate(&miami(&THREE), &Evaluation::LAW, instant(NOW));
    let first = verdict.denials().iter().find(|denial| denial.rule.as_str() == cap).unwrap();
    assert_eq!(first.first_lawful, Some(instant("2026-12-02T05:00:00Z")), "when it begins");
}

#[test]
fn an_exception_takes_two_people_a_reason_and_what_it_relies_on() {
    let right = exception("off = true\nfrom = \"2026-12-01\"");
    assert!(load(&right).is_ok());
    for (part, other, fault) in [
        ("John Doe", "jane  ROE", "second_person: is the same as `by`"),
        ("reason = \"licensed\"\n", "", "exception[0].reason: is missing"),
        ("relies_on = \"Fla. Stat. 501.604(21)\"\n", "", "exception[0].relies_on: is missing"),
        ("second_person = \"John Doe\"\n", "", "exception[0].second_person: is missing"),
        ("Fla. Stat.", "ask +13055550123", "relies_on: stands in records"),
        ("from = \"2026-12-01\"", "", "exception[0].from: is missing"),
        ("off = true\n", "", "exception[0].off: expected either"),
        ("off = true", "off = true\nreplace = { max = 4 }", "exception[0].off: expected either"),
        ("off = true", "replace = {}", "exception[0].replace: replaces nothing"),
        ("off = true", "replace = { maxx = 4 }", "exception[0].replace.maxx: unknown field"),
        ("us.fl.cap", "house.min_gap", "exception[0].rule: is a rule of the house"),
        ("us.fl.cap", "us.fcc.revocation_revoke_all", "exception[0].rule: is not in force"),
        ("us.fl.cap", "us.fl.cop", "exception[0].rule: no loaded rule"),
        ("\"2026-12-01\"", "\"2026-12-01\"\nuntil = \"2026-11-30\"", "until: is before `from`"),
    ] {
        assert!(right.contains(part), "{part}");
        let faults = load(&right.replacen(part, other, 1)).unwrap_err();
        assert!(faults.iter().any(|found| found.contains(fault)), "{other}: {faults:#?}");
    }
}

#[test]
fn these_tables_are_faults_in_a_pack_that_is_not_ones_own() {
    let text = exception("off = true\nfrom = \"2026-12-01\"");
    let source = PackSource { name: "us.toml", text: &text };
    let faults = Ruleset::load(&[source], Options::default()).unwrap_err();
    assert!(faults.iter().any(|fault| fault.message.contains("pack of your own")), "{faults:?}");
}

#[test]
fn a_signature_holds_until_the_rule_changes() {
    let plain = load("").unwrap();
    let hash = plain.rule_hash("us.fl.cap").unwrap();
    assert_eq!(plain.verification("us.fl.cap"), Some(Mark::V2));
    assert_eq!(plain.verification("house.min_gap"), None);
    assert_eq!(plain.signed("us.fl.cap"), None);
    let mut own = format!(
        "[[signature]]\nrule = \"us.fl.cap\"\nhash = \"{hash}\"\nby = \"Counsel\"\non = \"2026-11-25\"\n"
    );
    let signed = load(&own).unwrap();
    assert_eq!(signed.rule_hash("us.fl.cap"), Some(hash), "a signature changes no rule");
    assert!(signed.signed("us.fl.cap").unwrap().current);
    assert_eq!(&*signed.signed("us.fl.cap").unwrap().by, "Counsel");
    write!(own, "[[tighten]]\nrule = \"us.fl.cap\"\nmax = 2\n").unwrap();
    let changed = load(&own).unwrap();
    assert!(!changed.signed("us.fl.cap").unwrap().current, "signed before its last change");
    let excepted =
        load(&format!("{own}{}", exception("off = true\nfrom = \"2026-12-01\""))).unwrap();
    assert!(!excepted.signed("us.fl.cap").unwrap().current);
    for (part, other, fault) in [
        ("us.fl.cap", "us.fl.cup", "signature[0].rule: no loaded rule"),
        (&*hash.to_string(), "abc", "signature[0].hash: "),
        ("on = \"2026-11-25\"", "", "signature[0].on: is missing"),
        ("by = \"Counsel\"\n", "", "signature[0].by: is missing"),
    ] {
        let faults = load(&own.replacen(part, other, 1)).unwrap_err();
        assert!(faults.iter().any(|found| found.contains(fault)), "{other}: {faults:#?}");
    }
}

#[test]
fn a_rule_is_another_when_its_calendar_is() {
    let pack = |days: &str| {
        format!(
            "[[calendar]]\nid = \"T\"\nsource = \"S\"\n2026 = [{days}]\n\
             [[rule]]\nid = \"t.hours\"\ntitle = \"T\"\ncitation = \"C\"\njurisdiction = \"US-FL\"\n\
             force = \"law\"\npurposes = [\"any\"]\nkind = \"time_window\"\nholidays = \"closed\"\n\
             calendar = \"T\"\nallow = [{{ days = [\"mon\"], from = \"09:00\", to = \"12:00\" }}]\n"
        )
    };
    let hash = |days: &str| {
        let text = pack(days);
        let rules =
            Ruleset::load(&[PackSource { name: "t.toml", text: &text }], Options { house: false });
        rules.unwrap().rule_hash("t.hours").unwrap()
    };
    assert_eq!(hash("\"01-01\""), hash("\"01-01\""));
    assert_ne!(hash("\"01-01\""), hash("\"01-01\", \"07-04\""));
}
