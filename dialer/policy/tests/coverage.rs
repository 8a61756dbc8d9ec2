//! Every researched rule stands in a pack or has a line that says why not, and the two agree.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

const RESEARCHED: &str = include_str!("../../../schema/rules/researched.txt");
const COVERAGE: &str = include_str!("../../../schema/rules/COVERAGE.md");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rules");

const GATES: [&str; 10] = [
    "time_window",
    "count_cap",
    "cooldown",
    "consent_required",
    "list_scrub",
    "target_ban",
    "party_restriction",
    "emergency_suspension",
    "revocation",
    "suppression",
];
/// They deny without their fact, unless the rule says that it is a duty then.
const ASKS_FOR_A_FACT: [&str; 5] =
    ["preference", "number_reassignment_check", "number_type", "volume_cap", "precondition"];
const DUTIES: [&str; 7] = [
    "announcement",
    "caller_id",
    "recording_consent",
    "call_timing",
    "ratio_cap",
    "retention",
    "data_rights",
];
const ON: [&str; 3] = ["law", "regulator_guidance", "industry_code"];

/// A rule as it stands in a pack.
struct Row {
    file: String,
    rule: toml::Table,
}

impl Row {
    fn text(&self, key: &str) -> &str {
        self.rule.get(key).and_then(toml::Value::as_str).unwrap_or_default()
    }

    /// What the rule does, in the words of `COVERAGE.md`.
    fn acts(&self) -> &'static str {
        let (kind, obliges) = (self.text("kind"), self.text("on_unknown") == "oblige");
        match kind {
            "note" => "note",
            _ if !ON.contains(&self.text("force")) => "off",
            _ if GATES.contains(&kind) => "gates",
            _ if ASKS_FOR_A_FACT.contains(&kind) && obliges => "gates when known",
            _ if ASKS_FOR_A_FACT.contains(&kind) => "gates",
            _ if DUTIES.contains(&kind) => "duty",
            other => panic!("{other} is no kind"),
        }
    }
}

fn packs() -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for entry in std::fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if !file.ends_with(".toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        for rule in table.get("rule").and_then(toml::Value::as_array).into_iter().flatten() {
            let row = Row { file: file.clone(), rule: rule.as_table().unwrap().clone() };
            rows.insert(row.text("id").to_owned(), row);
        }
    }
    rows
}

/// `id jurisdiction kind force`.
fn researched(text: &str) -> Vec<[&str; 4]> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').collect::<Vec<_>>().try_into().unwrap()).collect()
}

/// The rows of the table of rules: id, jurisdiction, kind, pack, acts, why.
fn lines(coverage: &str) -> Vec<[&str; 6]> {
    let rows = coverage.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`'));
        cells.collect::<Vec<_>>().try_into().unwrap()
    })
    .collect()
}

fn complaints(research: &str, coverage: &str, packs: &BTreeMap<String, Row>) -> Vec<String> {
    let mut found = Vec::new();
    let lines = lines(coverage);
    for [id, jurisdiction, kind, _force] in researched(research) {
        let own: Vec<_> = lines.iter().filter(|line| line[0] == id).collect();
        let [line] = own.as_slice() else {
            found.push(format!("{id}: {} lines in COVERAGE.md", own.len()));
            continue;
        };
        let [_, place, of_kind, pack, acts, why] = **line;
        if (place, of_kind) != (jurisdiction, kind) {
            found.push(format!("{id}: {place} {of_kind} is not {jurisdiction} {kind}"));
        }
        match packs.get(id) {
            Some(row) if pack != row.file => found.push(format!("{id}: is in {}", row.file)),
            Some(row) if acts != row.acts() => {
                found.push(format!("{id}: the pack says {}", row.acts()))
            }
            None if (pack, acts) != ("-", "elsewhere") => {
                found.push(format!("{id}: is in no pack"))
            }
            _ => {}
        }
        if acts != "gates" && why.len() < 30 {
            found.push(format!("{id}: does not say why not, and where it acts instead"));
        }
    }
    let known = |id: &str| researched(research).iter().any(|rule| rule[0] == id);
    found.extend(
        lines.iter().filter(|line| !known(line[0])).map(|line| format!("{}: who?", line[0])),
    );
    let ours = packs.keys().filter(|id| !id.starts_with("house."));
    found.extend(ours.filter(|id| !known(id)).map(|id| format!("{id}: not researched")));
    found
}

#[test]
fn every_researched_rule_is_in_a_pack_or_says_why_not() {
    let packs = packs();
    assert_eq!(researched(RESEARCHED).len(), 173);
    assert_eq!(complaints(RESEARCHED, COVERAGE, &packs), [""; 0]);
}

#[test]
fn a_rule_in_neither_is_found() {
    let mut packs = packs();
    let without = COVERAGE.replace("| `us.tcpa.damages` |", "| `us.tcpa.other` |");
    let found = complaints(RESEARCHED, &without, &packs);
    assert_eq!(found, ["us.tcpa.damages: 0 lines in COVERAGE.md", "us.tcpa.other: who?"]);
    let more = format!("{RESEARCHED}us.xx.new US-XX time_window law\n");
    assert_eq!(complaints(&more, COVERAGE, &packs), ["us.xx.new: 0 lines in COVERAGE.md"]);
    packs.remove("us.fl.cap").unwrap();
    assert_eq!(complaints(RESEARCHED, COVERAGE, &packs), ["us.fl.cap: is in no pack"]);
}

#[test]
fn every_researched_jurisdiction_has_a_pack() {
    let packs = packs();
    for [id, jurisdiction, ..] in researched(RESEARCHED) {
        let has = packs.values().any(|row| row.text("jurisdiction") == jurisdiction);
        assert!(has, "{id}: no pack has a rule of {jurisdiction}");
    }
}

#[test]
fn every_duty_that_can_be_checked_asks_for_something() {
    for (id, row) in packs() {
        let kind = row.text("kind");
        if DUTIES.contains(&kind) && kind != "data_rights" {
            let asks = row.rule.get("requires").and_then(toml::Value::as_array);
            assert!(asks.is_some_and(|asks| !asks.is_empty()), "{id}: nobody would be refused");
        }
    }
}
