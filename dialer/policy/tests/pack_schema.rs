//! `schema/rules/pack.schema.json` takes every shipped pack, and refuses what the loader refuses.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use boon::{Compiler, SchemaIndex, Schemas};
use dialer_policy::{Options, PackSource, Ruleset};
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../schema/rules/pack.schema.json");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rules");

struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    fn new() -> Self {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.enable_format_assertions();
        let schema = serde_json::from_str(SCHEMA).unwrap();
        compiler.add_resource("pack.json", schema).unwrap();
        let index = compiler.compile("pack.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn complaint(&self, text: &str) -> Option<String> {
        let pack: Value = toml::from_str(text).map_err(|error| error.to_string()).ok()?;
        self.schemas.validate(&pack, self.index).err().map(|error| format!("{error:#}"))
    }
}

fn loads(text: &str) -> bool {
    Ruleset::load(&[PackSource { name: "p.toml", text }], Options::default()).is_ok()
}

const HEAD: &str = "[pack]\nid = \"p\"\ntitle = \"P\"\nas_of = \"2026-11-23\"\ncovers = [\"US\"]\n\
[[calendar]]\nid = \"TEST\"\nsource = \"S\"\nobserved = \"both\"\n\"2026\" = [\"12-25\"]\n\
[[rule]]\nid = \"us.x\"\ntitle = \"T\"\ncitation = \"C\"\nforce = \"law\"\npurposes = [\"any\"]\n\
jurisdiction = \"US\"\n";

/// A right body of every kind with fields, and bodies that are wrong.
const BODIES: &[(&str, &[&str])] = &[
    (
        "kind = \"time_window\"\nallow = [{ days = [\"mon\"], from = \"09:00\", to = \"24:00\" }]\nholidays = \"closed\"\ncalendar = \"TEST\"\non_dates = [{ dates = [\"2026-12-24\"] }]",
        &[
            "kind = \"time_window\"",
            "kind = \"time_window\"\nallow = [{ days = [\"mon\"], from = \"9:00\", to = \"21:00\" }]",
            "kind = \"time_window\"\nallow = [{ days = [\"monday\"], from = \"09:00\", to = \"21:00\" }]",
            "kind = \"time_window\"\nallow = [{ days = [\"mon\"], from = \"09:00\" }]",
            "kind = \"time_window\"\nallow = [{ days = [\"mon\"], from = \"09:00\", to = \"21:00\" }]\nholidays = \"closed\"",
            "kind = \"time_window\"\nallow = [{ days = [\"mon\"], from = \"09:00\", to = \"21:00\" }]\non_dates = [{ dates = [\"24.12.2026\"] }]",
        ],
    ),
    (
        "kind = \"count_cap\"\nkey = [\"person\", \"campaign\"]\ncombine = \"any\"\nlimits = [{ max = 3, hours = 24 }]\nignores = [\"busy\"]",
        &[
            "kind = \"count_cap\"\nkey = \"person\"",
            "kind = \"count_cap\"\nlimits = [{ max = 3, hours = 24 }]",
            "kind = \"count_cap\"\nkey = [\"seller\"]\nlimits = [{ max = 3, hours = 24 }]",
            "kind = \"count_cap\"\nkey = [\"person\", \"number\"]\nlimits = [{ max = 3, hours = 24 }]",
            "kind = \"count_cap\"\nkey = \"person\"\nlimits = [{ max = 0, hours = 24 }]",
            "kind = \"count_cap\"\nkey = \"person\"\nlimits = [{ max = 3, hours = 24, dates = 1 }]",
            "kind = \"count_cap\"\nkey = \"person\"\nlimits = [{ max = 3 }]",
            "kind = \"count_cap\"\nkey = \"person\"\nlimits = [{ max = 3, hours = 24 }]\nignores = [\"engaged\"]",
            "kind = \"count_cap\"\nkey = \"person\"\nlimits = [{ max = 3, hours = 24 }]\nmax_age_days = 3",
        ],
    ),
    (
        "kind = \"cooldown\"\nkey = \"number\"\nforever = true\ntrigger = [\"refused\"]",
        &[
            "kind = \"cooldown\"\nkey = \"number\"\ndates = 7",
            "kind = \"cooldown\"\nkey = \"number\"\ntrigger = [\"refused\"]",
        ],
    ),
    (
        "kind = \"consent_required\"\nneeds = \"any\"\nvalid_months = 24",
        &["kind = \"consent_required\"", "kind = \"consent_required\"\nneeds = \"verbal\""],
    ),
    (
        "kind = \"list_scrub\"\nlists = [{ id = \"a\", max_age_days = 31 }]\nunless_consent = \"any\"",
        &["kind = \"list_scrub\"", "kind = \"list_scrub\"\nlists = [{ max_age_days = 31 }]"],
    ),
    (
        "kind = \"target_ban\"\nreach = [{ line = \"wireless\" }]",
        &["kind = \"target_ban\"\nreach = [{ line = \"mobile\" }]"],
    ),
    (
        "kind = \"party_restriction\"\nroles = [\"principal\"]",
        &["kind = \"party_restriction\"", "kind = \"party_restriction\"\nroles = [\"friend\"]"],
    ),
    (
        "kind = \"emergency_suspension\"\nmax_age_hours = 24",
        &["kind = \"emergency_suspension\"", "kind = \"emergency_suspension\"\nmax_age_hours = 0"],
    ),
    (
        "kind = \"preference\"\non_unknown = \"oblige\"",
        &["kind = \"preference\"\non_unknown = \"allow\"", "kind = \"preference\"\nrequires = []"],
    ),
    (
        "kind = \"number_reassignment_check\"\ndatabase = \"us.rnd\"\nmax_age_days = 31",
        &["kind = \"number_reassignment_check\""],
    ),
    (
        "kind = \"number_type\"\nbans = [\"hospital\"]",
        &["kind = \"number_type\"", "kind = \"number_type\"\nbans = [\"school\"]"],
    ),
    (
        "kind = \"precondition\"\nlicences = [\"us.tx\"]",
        &["kind = \"precondition\"", "kind = \"precondition\"\nlicences = []"],
    ),
    (
        "kind = \"volume_cap\"\ncounter = \"c\"\nmax = 100000\nmax_age_seconds = 60",
        &[
            "kind = \"volume_cap\"\ncounter = \"c\"\nmax = 1",
            "kind = \"volume_cap\"\nmax = 1\nmax_age_seconds = 60",
        ],
    ),
    (
        "kind = \"announcement\"\nrequires = [\"identity\"]",
        &["kind = \"announcement\"\nrequires = [\"song\"]"],
    ),
    ("kind = \"revocation\"", &["kind = \"revocation\"\nneeds = \"any\""]),
    (
        "kind = \"suppression\"\nthen = { force = \"superseded\", from = \"2027-01-01\" }",
        &["kind = \"suppression\"\nthen = { force = \"superseded\" }"],
    ),
    ("kind = \"note\"", &["kind = \"nota\"", ""]),
];

#[test]
fn every_shipped_pack_and_calendar_is_a_pack_by_the_schema() {
    let schema = Schema::new();
    let mut seen = 0;
    for folder in [FOLDER.to_owned(), format!("{FOLDER}/calendars")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert_eq!(schema.complaint(&text), None, "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn schema_and_loader_take_the_same_bodies() {
    let schema = Schema::new();
    for (right, wrongs) in BODIES {
        let text = format!("{HEAD}{right}\n");
        assert_eq!(schema.complaint(&text), None, "{right}");
        assert!(loads(&text), "{right}");
        for wrong in *wrongs {
            let text = format!("{HEAD}{wrong}\n");
            assert!(schema.complaint(&text).is_some(), "the schema takes {wrong}");
            assert!(!loads(&text), "the loader takes {wrong}");
        }
    }
}

#[test]
fn schema_and_loader_refuse_the_same_envelopes() {
    let schema = Schema::new();
    for (right, wrong) in [
        ("force = \"law\"", "force = \"lore\""),
        ("force = \"law\"\n", ""),
        ("[\"any\"]", "[\"telemarking\"]"),
        ("purposes", "porpoises"),
        ("jurisdiction = \"US\"", "jurisdiction = \"U.S.\""),
        ("title = \"T\"", "title = \"\""),
        ("as_of = \"2026-11-23\"", "as_of = \"2026-11-31\""),
        ("[[rule]]", "[[rules]]"),
        ("\"12-25\"", "\"25-12\""),
        ("\"2026\" = ", "\"26\" = "),
        ("source = \"S\"\n", ""),
        ("source = \"S\"", "source = \"\""),
        ("observed", "observes"),
        ("\"both\"", "\"neither\""),
        ("[\"US\"]", "\"US\""),
        ("id = \"us.x\"\n", ""),
    ] {
        let text = format!("{HEAD}kind = \"note\"\n");
        assert!(text.contains(right), "{right}");
        let text = text.replacen(right, wrong, 1);
        assert!(schema.complaint(&text).is_some(), "the schema takes {wrong}");
        assert!(!loads(&text), "the loader takes {wrong}");
    }
}

#[test]
fn schema_and_loader_take_the_same_packs_of_ones_own() {
    let schema = Schema::new();
    let loads = |text: &str| {
        let own = PackSource { name: "own.toml", text };
        Ruleset::shipped_with(&[own], Options { house: true }).is_ok()
    };
    let exception = "[[exception]]\nrule = \"us.fl.cap\"\nrelies_on = \"L\"\nreason = \"R\"\nby = \"A\"\nsecond_person = \"B\"\nfrom = \"2026-12-01\"\noff = true\n";
    let signature = format!(
        "[[signature]]\nrule = \"us.fl.cap\"\nhash = \"{}\"\nby = \"A\"\non = \"2026-12-01\"\n",
        "0f".repeat(32)
    );
    for (right, part, other) in [
        ("[[tighten]]\nrule = \"us.fl.cap\"\nmax = 2\n", "max", "most"),
        ("[[tighten]]\nrule = \"us.fl.cap\"\nhours = 48\n", "48", "\"48\""),
        ("[[tighten]]\nrule = \"fr.hours\"\nclosed_on = [\"2026-12-24\"]\n", "12-24", "24.12"),
        ("[[override]]\nrule = \"house.min_gap\"\nenabled = false\n", "enabled", "enable"),
        (exception, "off = true", "off = false"),
        (exception, "off = true", "off = true\nreplace = { max = 4 }"),
        (exception, "relies_on = \"L\"\n", ""),
        (exception, "second_person = \"B\"\n", ""),
        (exception, "from = \"2026-12-01\"\n", ""),
        (&signature, "0f0f", "0g0f"),
        (&signature, "by = \"A\"\n", ""),
    ] {
        assert_eq!(schema.complaint(right), None, "{right}");
        assert!(loads(right), "{right}");
        let wrong = right.replacen(part, other, 1);
        assert!(schema.complaint(&wrong).is_some(), "the schema takes {wrong}");
        assert!(!loads(&wrong), "the loader takes {wrong}");
    }
}

#[test]
fn the_schema_describes_every_kind_and_every_field() {
    fn undescribed(at: &str, value: &Value, found: &mut Vec<String>) {
        let Value::Object(map) = value else { return };
        for (name, field) in map.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let says = ["description", "$ref", "const"].iter().any(|key| field.get(key).is_some());
            if !says && name != "force" {
                found.push(format!("{at}.{name}"));
            }
        }
        for (key, inner) in map {
            undescribed(&format!("{at}.{key}"), inner, found);
            for item in inner.as_array().into_iter().flatten() {
                undescribed(&format!("{at}.{key}"), item, found);
            }
        }
    }
    let mut found = Vec::new();
    undescribed("", &serde_json::from_str(SCHEMA).unwrap(), &mut found);
    assert_eq!(found, [""; 0]);
}
