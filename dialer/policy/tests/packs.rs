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
