//! Faulty packs are refused, with every fault's file, line and field at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use dialer_policy::{Options, PackFault, PackSource, Ruleset};

const HEAD: &str = "[pack]\nid = \"p\"\ntitle = \"P\"\nas_of = \"2026-11-23\"\ncovers = [\"US\"]\n";

/// Lines 6 to 13 of a pack that is right.
const RULE: &str = "[[rule]]
id = \"us.x\"
title = \"T\"
citation = \"C\"
force = \"law\"
purposes = [\"any\"]
jurisdiction = \"US\"
kind = \"count_cap\"
key = \"person\"
limits = [{ max = 3, hours = 24 }]
";

fn faults(text: &str) -> Vec<String> {
    let source = PackSource { name: "p.toml", text };
    let faults = Ruleset::load(&[source], Options::default()).err().unwrap_or_default();
    faults.iter().map(PackFault::to_string).collect()
}

#[test]
fn a_right_pack_has_no_faults() {
    assert_eq!(faults(&format!("{HEAD}{RULE}")), [""; 0]);
}

#[test]
fn every_typo_is_found_with_file_line_and_field() {
    for (right, wrong, fault) in [
        ("force = \"law\"", "force = \"lore\"", "p.toml:10: rule.us.x.force: "),
        ("force = \"law\"\n", "", "p.toml:6: rule.us.x.force: is missing"),
        ("[\"any\"]", "[\"telemarking\"]", "p.toml:11: rule.us.x.purposes[0]: "),
        ("purposes", "porpoises", "p.toml:11: rule.us.x.porpoises: unknown field"),
        ("\"US\"\nkind", "\"U.S.\"\nkind", "p.toml:12: rule.us.x.jurisdiction: "),
        ("count_cap", "count_cup", "p.toml:13: rule.us.x.kind: "),
        ("\"person\"", "\"persons\"", "p.toml:14: rule.us.x.key: "),
        ("max = 3", "max = 0", "p.toml:15: rule.us.x.limits[0].max: "),
        ("max = 3", "max = \"3\"", "p.toml:15: rule.us.x.limits[0].max: "),
        ("hours = 24", "hours = 24, dates = 1", "p.toml:15: rule.us.x.limits[0].hours: "),
        ("hours = 24", "ours = 24", "p.toml:15: rule.us.x.limits[0].ours: unknown field"),
        ("title = \"P\"", "tittle = \"P\"", "p.toml:3: pack.tittle: unknown field"),
        ("as_of = \"2026-11-23\"", "as_of = \"2026-11-31\"", "p.toml:4: pack.as_of: "),
        ("[[rule]]", "[[rules]]", "p.toml:6: rules: unknown field"),
        ("citation = \"C\"", "citation = \"C", "p.toml:9: (syntax): "),
        (
            "force = \"law\"",
            "force = \"law\"\neffective_from = \"2026-12-01\"\neffective_to = \"2026-11-30\"",
            "p.toml:12: rule.us.x.effective_to: is before",
        ),
        (
            "kind = \"count_cap\"",
            "kind = \"time_window\"\nzones = [\"America/Nowhere\"]\nallow = [{ days = [\"mon\"], from = \"21:00\", to = \"08:00\" }]",
            "p.toml:14: rule.us.x.zones[0]: ",
        ),
        (
            "kind = \"count_cap\"",
            "kind = \"time_window\"\nallow = [{ days = [\"mon\"], from = \"21:00\", to = \"08:00\" }]",
            "p.toml:14: rule.us.x.allow[0].to: is not after `from`",
        ),
    ] {
        let text = format!("{HEAD}{RULE}");
        assert!(text.contains(right), "{right}");
        let found = faults(&text.replacen(right, wrong, 1));
        assert!(found.iter().any(|found| found.starts_with(fault)), "{wrong}: {found:#?}");
    }
}

#[test]
fn faults_of_several_fields_and_files_come_together() {
    let broken = format!("{HEAD}{RULE}").replace("law", "lore").replace("person", "persons");
    let window = "[[rule]]\nid = \"us.y\"\ntitle = \"T\"\ncitation = \"C\"\nforce = \"law\"\npurposes = [\"any\"]\njurisdiction = \"US\"\nkind = \"time_window\"\nholidays = \"closed\"\ncalendar = \"XX\"\nallow = [{ days = [\"mon\"], from = \"9:00\", to = \"21:00\" }]\n";
    let sources =
        [PackSource { name: "a.toml", text: &broken }, PackSource { name: "b.toml", text: window }];
    let found = Ruleset::load(&sources, Options { house: true }).unwrap_err();
    let found: Vec<String> = found
        .iter()
        .map(|fault| format!("{}:{} {}", fault.file, fault.line, fault.field))
        .collect();
    for expected in [
        "a.toml:10 rule.us.x.force",
        "a.toml:14 rule.us.x.key",
        "b.toml:10 rule.us.y.calendar",
        "b.toml:11 rule.us.y.allow[0].from",
    ] {
        assert!(found.contains(&expected.to_owned()), "{expected}: {found:#?}");
    }
}

#[test]
fn a_rule_twice_is_a_fault_and_so_are_house_rules_that_are_not_there() {
    let twice = faults(&format!("{HEAD}{RULE}{RULE}"));
    assert!(twice.iter().any(|fault| fault.contains("another rule has this id")), "{twice:#?}");
    let text = format!("{HEAD}{RULE}");
    let source = PackSource { name: "p.toml", text: &text };
    assert!(Ruleset::load(&[source], Options { house: true }).is_err());
}

#[test]
fn an_override_adjusts_house_rules_only_and_changes_the_version() {
    let house = RULE.replace("us.x", "house.x");
    let load = |change: &str| {
        let text = format!("{HEAD}{RULE}{house}{change}");
        let source = PackSource { name: "p.toml", text: &text };
        Ruleset::load(&[source], Options { house: true }).map(|rules| rules.version())
    };
    let plain = load("").unwrap();
    assert_ne!(load("[[override]]\nrule = \"house.x\"\nmax = 5\nhours = 4\n").unwrap(), plain);
    assert!(load("[[override]]\nrule = \"us.x\"\nmax = 5\n").is_err());
    assert!(load("[[override]]\nrule = \"house.y\"\nmax = 5\n").is_err());
    assert!(load("[[override]]\nrule = \"house.x\"\nmin = 5\n").is_err());
}

mod as_of {
    use dialer_policy::{Call, Evaluation, Facts, Options, PackSource, Ruleset};
    use dialer_types::{LineType, PartyType, Purpose, UnixMillis};

    fn named(rules: &Ruleset, facts: &Facts, now: &str) -> Vec<String> {
        let now = chrono::DateTime::parse_from_rfc3339(now).unwrap().timestamp_millis();
        let verdict = rules.evaluate(facts, &Evaluation::LAW, UnixMillis(now));
        verdict.denials().iter().map(|denial| denial.rule.to_string()).collect()
    }

    fn call(number: &str, party: PartyType) -> Facts {
        let mut call = Call::manual(number.parse().unwrap(), Purpose::Telemarketing);
        (call.party, call.line) = (party, LineType::Landline);
        Facts::of(call)
    }

    #[test]
    fn a_past_day_is_judged_by_the_rules_of_that_day() {
        let law = Ruleset::shipped(Options { house: false }).unwrap();
        let pittsburgh = call("+14125550123", PartyType::Business);
        // Sunday 2026-10-18 is the first day of Act 47: no calls on Sundays.
        let sundays = [("2026-10-11T16:00:00Z", false), ("2026-10-18T03:59:59Z", false)];
        let later = [("2026-10-18T04:00:00Z", true), ("2026-10-25T16:00:00Z", true)];
        for (now, denied) in sundays.into_iter().chain(later) {
            let named = named(&law, &pittsburgh, now);
            assert_eq!(named.contains(&"us.pa.hours".to_owned()), denied, "{now} {named:?}");
        }
        let paris = call("+33199001234", PartyType::Consumer);
        let optin = "fr.optin".to_owned();
        assert!(!named(&law, &paris, "2026-08-10T12:00:00Z").contains(&optin));
        assert!(!named(&law, &paris, "2026-08-10T21:59:59Z").contains(&optin));
        assert!(named(&law, &paris, "2026-08-10T22:00:00Z").contains(&optin));
    }

    #[test]
    fn a_rule_ends_with_its_last_day_and_its_force_may_change_on_a_day() {
        let day = "2026-12-01";
        for (fields, before, after) in [
            ("force = \"law\"\neffective_to = \"2026-11-30\"", true, false),
            ("force = \"law\"\neffective_from = \"2026-12-01\"", false, true),
            (
                "force = \"law\"\nthen = { force = \"superseded\", from = \"2026-12-01\" }",
                true,
                false,
            ),
            (
                "force = \"proposed\"\nthen = { force = \"law\", from = \"2026-12-01\" }",
                false,
                true,
            ),
            (
                "force = \"law\"\nthen = { force = \"regulator_guidance\", from = \"2026-12-01\" }",
                true,
                true,
            ),
            (
                "force = \"proposed\"\nthen = { force = \"case_law\", from = \"2026-12-01\" }",
                false,
                false,
            ),
            (
                "force = \"adopted_not_in_force\"\neffective_from = \"2020-01-01\"\nthen = { force = \"law\", from = \"2026-12-01\" }",
                false,
                true,
            ),
        ] {
            let text = format!(
                "[[rule]]\nid = \"us.x\"\ntitle = \"T\"\ncitation = \"C\"\npurposes = [\"any\"]\njurisdiction = \"US\"\nkind = \"consent_required\"\nneeds = \"any\"\n{fields}\n"
            );
            let source = PackSource { name: "p.toml", text: &text };
            let rules = Ruleset::load(&[source], Options::default()).unwrap();
            let facts = call("+12125550123", PartyType::Consumer);
            for (now, denied) in [("2026-12-01T04:59:59Z", before), ("2026-12-01T05:00:00Z", after)]
            {
                assert_eq!(!named(&rules, &facts, now).is_empty(), denied, "{fields} {now} {day}");
            }
        }
    }
}
