//! Every gating rule of the packs that ship, on both sides of its edge: the tables of `cases/`, one
//! file for each pack. A rule without a line that it denies and one that it lets pass fails here.
//!
//! A line is the rule, what it says (`denies`, `passes`, or `silent`: it is not asked), the moment,
//! and what is known besides: `line`, `party`, `purpose`, `technology`, `role`, `account`,
//! `address=COUNTRY-REGION`, `zone`, `customer` and `inquiry` (since when), `consent` with
//! `consent-seller`, `consent-purpose`, `consent-technology`, `given` and `revoked`, `suppressed`,
//! `list=ID@DATE` (`!`: the number is on it), `past=OUTCOME/TECHNOLOGY@MOMENT` with `past-seller`
//! and `past-purpose`, `feed=MOMENT:COUNTRY-REGION` or `none`, `wishes=DAY+DAY/FROM-TO`,
//! `FIRST/LAST`, `always` or `free` (nothing is blocked), `reassigned=DATABASE/ANSWER@DATE`,
//! `line-check=LINE/CLASS@DATE`, `licence=ID@FROM..UNTIL`, `counter=ID/COUNT@MOMENT..RESET`. A `call`
//! line says what all lines after it have in common. Where nothing is said a consumer is called by hand for telemarketing,
//! nothing is on record, and the feed is an hour old and empty.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hint::black_box,
    path::{Path, PathBuf},
};

use allocation_counter::measure;
use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, TimeZone};
use chrono_tz::Tz;
use dialer_policy::{
    Evaluation, Options, PackSource, Ruleset, Verdict,
    check::{Asked, read_case},
};
use dialer_types::UnixMillis;
use serde_json::{Value, json};

/// Kinds that never deny of themselves, and obligations.
const NO_GATES: [&str; 8] = [
    "note",
    "announcement",
    "caller_id",
    "recording_consent",
    "call_timing",
    "ratio_cap",
    "retention",
    "data_rights",
];
const ON: [&str; 3] = ["law", "regulator_guidance", "industry_code"];

/// A rule that gates, as its pack has it.
struct Gate {
    id: String,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
}

struct Line {
    /// File and line, for complaints.
    at: String,
    rule: String,
    says: String,
    case: Asked,
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Files of a folder with an ending, by name.
fn files(folder: &str, end: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(here(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|it| it == end))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .collect();
    found.sort();
    found
}

/// The rules that are on and gate, read without the reader under test.
fn gates() -> Vec<Gate> {
    let mut found = Vec::new();
    for (_, text) in files("../../schema/rules", "toml") {
        let pack: toml::Table = text.parse().unwrap();
        for rule in pack.get("rule").and_then(toml::Value::as_array).into_iter().flatten() {
            let word = |key: &str| rule.get(key).and_then(toml::Value::as_str);
            let date = |key: &str| word(key).map(|date| date.parse().unwrap());
            let gates = !NO_GATES.contains(&word("kind").unwrap());
            if gates && ON.contains(&word("force").unwrap()) {
                let id = word("id").unwrap().to_owned();
                found.push(Gate { id, from: date("effective_from"), to: date("effective_to") });
            }
        }
    }
    found
}

type Known<'a> = BTreeMap<&'a str, &'a str>;

fn known(text: &str) -> Known<'_> {
    text.split_whitespace().map(|word| word.split_once('=').expect(word)).collect()
}

/// `COUNTRY-REGION` or `COUNTRY`.
fn place(name: &str) -> Value {
    let (country, region) =
        name.split_once('-').map_or((name, None), |(one, other)| (one, Some(other)));
    json!({ "country": country, "region": region })
}

fn split<'a>(text: &'a str, at: &str) -> (&'a str, &'a str) {
    text.split_once(at).unwrap_or_else(|| panic!("{text}: no {at}"))
}

/// What `VECTORS.md` has no member for.
fn looked_up(known: &Known<'_>) -> Value {
    let all = |key: &str| known.get(key).copied().into_iter().flat_map(|value| value.split(','));
    let date = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let wishes = all("wishes").filter(|wish| *wish != "free").map(|wish| match wish {
        "always" => json!({ "always": true }),
        wish => {
            let (one, other) = split(wish, "/");
            if other.contains(':') {
                let (from, to) = split(other, "-");
                json!({ "days": one.split('+').collect::<Vec<_>>(), "from": from, "to": to })
            } else {
                json!({ "first": one, "last": other })
            }
        }
    });
    let wishes: Vec<Value> = wishes.collect();
    let reassigned = all("reassigned").map(|check| {
        let (database, rest) = split(check, "/");
        let (answer, as_of) = split(rest, "@");
        json!({ "database": database, "answer": answer, "as_of": as_of })
    });
    let line = all("line-check").next().map(|check| {
        let (line, rest) = split(check, "/");
        let (class, as_of) = split(rest, "@");
        json!({ "line": line, "class": class, "as_of": as_of })
    });
    let licences = all("licence").map(|licence| {
        let (id, rest) = split(licence, "@");
        let (from, until) = split(rest, "..");
        json!({ "id": id, "from": date(from), "until": date(until) })
    });
    let counters = all("counter").map(|counter| {
        let (id, rest) = split(counter, "/");
        let (count, rest) = split(rest, "@");
        let (as_of, resets_at) = split(rest, "..");
        let count: u32 = count.parse().unwrap();
        json!({ "counter": id, "count": count, "as_of": as_of, "resets_at": resets_at })
    });
    json!({
        "wishes": known.get("wishes").map(|_| wishes), "line_check": line,
        "reassignment": reassigned.collect::<Vec<_>>(), "licences": licences.collect::<Vec<_>>(),
        "counters": counters.collect::<Vec<_>>(),
    })
}

/// The line of JSON that says what is known (`VECTORS.md` section 1).
fn case(known: &Known<'_>, now: DateTime<FixedOffset>) -> String {
    let said = |key: &str| known.get(key).copied();
    let or = |key: &str, usual: &'static str| said(key).unwrap_or(usual).to_owned();
    let purpose = or("purpose", "telemarketing");
    let since = |kind: &str, key: &str| said(key).map(|at| json!({ "kind": kind, "since": at }));
    let address = said("address").map(|name| {
        let mut address = place(name);
        address["time_zone"] = json!(said("zone"));
        address
    });
    let consent = said("consent").filter(|form| *form != "none").map(|form| {
        let scope = json!({
            "seller": or("consent-seller", "acme"),
            "purpose": said("consent-purpose").unwrap_or(&purpose),
            "technology": said("consent-technology"),
        });
        let given_at = or("given", "2026-01-01T00:00:00Z");
        json!({ "form": form, "scope": scope, "given_at": given_at, "revoked_at": said("revoked") })
    });
    let suppressed = said("suppressed")
        .map(|at| json!({ "scope": "seller", "added_at": at, "reason": "asked" }));
    let lists: serde_json::Map<String, Value> = said("list")
        .into_iter()
        .flat_map(|lists| lists.split(','))
        .map(|list| {
            let (id, rest) = list.split_once('@').expect(list);
            let as_of = rest.trim_end_matches('!');
            (id.to_owned(), json!({ "as_of": as_of, "contains": rest.ends_with('!') }))
        })
        .collect();
    let number = or("number", "");
    let past = said("past").into_iter().flat_map(|past| past.split(',')).map(|past| {
        let (how, at) = past.split_once('@').expect(past);
        let (outcome, technology) = how.split_once('/').unwrap_or((how, "manual"));
        json!({
            "at": at, "number": number, "account": said("account"), "outcome": outcome,
            "seller": or("past-seller", "acme"), "technology": technology,
            "purpose": said("past-purpose").unwrap_or(&purpose),
        })
    });
    let feed = match said("feed") {
        Some("none") => Value::Null,
        // A moment has colons too; the area is behind the last, after the offset.
        Some(feed) => match feed.rsplit_once(':').filter(|(_, area)| area.starts_with("US-")) {
            Some((as_of, area)) => json!({ "as_of": as_of, "areas": [place(area)] }),
            None => json!({ "as_of": feed, "areas": [] }),
        },
        None => json!({ "as_of": (now - TimeDelta::hours(1)).to_rfc3339(), "areas": [] }),
    };
    json!({
        "id": "edge", "now": now.to_rfc3339(),
        "call": {
            "number": number, "line_type": or("line", "landline"),
            "party_type": or("party", "consumer"), "address": address, "purpose": purpose,
            "technology": or("technology", "manual"), "seller": "acme", "account": said("account"),
            "relationship": since("existing_customer", "customer").or(since("inquiry", "inquiry")),
            "campaign": "c-1", "party_role": or("role", "principal"),
        },
        "consents": consent.as_slice(), "suppressions": suppressed.as_slice(), "lists": lists,
        "history": past.collect::<Vec<_>>(), "feeds": { "emergency": feed },
        "ringfence": looked_up(known),
    })
    .to_string()
}

fn lines() -> Vec<Line> {
    let mut found = Vec::new();
    for (name, text) in files("tests/cases", "txt") {
        let mut common = Known::new();
        for (number, line) in text.lines().enumerate() {
            let at = format!("{name}:{}", number + 1);
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words.as_slice() {
                [""] | ["#", ..] => {}
                ["call", ..] => common = known(line.strip_prefix("call ").unwrap()),
                [rule, says, now, rest @ ..] => {
                    let mut all = common.clone();
                    all.extend(rest.first().map(|rest| known(rest)).unwrap_or_default());
                    let now = DateTime::parse_from_rfc3339(now).expect(&at);
                    let case =
                        read_case(&case(&all, now)).unwrap_or_else(|no| panic!("{at}: {no}"));
                    let (rule, says) = ((*rule).to_owned(), (*says).to_owned());
                    found.push(Line { at, rule, says, case });
                }
                _ => panic!("{at}: not a line"),
            }
        }
    }
    found
}

/// Rules of the house that are off until somebody sets them on, set on.
const OWN: &str = r#"
override = [
    { rule = "house.cross_seller_cap", enabled = true },
    { rule = "house.quiet_dates", enabled = true, closed_on = ["2026-12-29"] },
    { rule = "house.agent_certification", enabled = true },
    { rule = "house.script_approval", enabled = true },
]
"#;

/// Law and house.
fn rules() -> Ruleset {
    let own = PackSource { name: "own.toml", text: OWN };
    Ruleset::shipped_with(&[own], Options { house: true }).unwrap()
}

/// What a rule says of a case.
fn says(verdict: &Verdict, rule: &str) -> &'static str {
    if verdict.denials().iter().any(|denial| denial.rule.as_str() == rule) {
        "denies"
    } else if verdict.evidence().rules.iter().any(|asked| asked.as_str() == rule) {
        "passes"
    } else {
        "silent"
    }
}

#[test]
fn every_line_says_what_its_rule_says() {
    let (rules, mut wrong) = (rules(), Vec::new());
    for line in lines() {
        let verdict = rules.evaluate(&line.case.facts, &Evaluation::LAW, line.case.now);
        let said = says(&verdict, &line.rule);
        if said != line.says {
            wrong.push(format!("{}: {} {said}, not {}", line.at, line.rule, line.says));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_gating_rule_has_lines_on_both_sides_of_its_edge_and_every_line_such_a_rule() {
    let (gates, lines) = (gates(), lines());
    let has = |says: &str| -> BTreeSet<&str> {
        let lines = lines.iter().filter(|line| line.says == says);
        lines.map(|line| line.rule.as_str()).collect()
    };
    let (denies, passes) = (has("denies"), has("passes"));
    let without: Vec<&str> = gates
        .iter()
        .map(|gate| gate.id.as_str())
        .filter(|id| !denies.contains(id) || !passes.contains(id))
        .collect();
    assert!(without.is_empty(), "no line that denies, or none that passes: {without:?}");
    let ids: BTreeSet<&str> = gates.iter().map(|gate| gate.id.as_str()).collect();
    let unknown: Vec<&str> = lines
        .iter()
        .filter(|it| !ids.contains(it.rule.as_str()))
        .map(|it| it.at.as_str())
        .collect();
    assert!(unknown.is_empty(), "no gating rule: {unknown:?}");
    // What the packs say here is what is loaded.
    let rules = rules();
    let loaded: BTreeSet<&str> = rules.rule_ids().map(dialer_types::RuleId::as_str).collect();
    assert!(ids.is_subset(&loaded) && ids.len() > 120, "{}", ids.len());
}

#[test]
fn no_rule_allocates_on_either_side_of_its_edge() {
    let (rules, mut found) = (rules(), Vec::new());
    for line in lines() {
        let judge = || rules.judge(&line.case.facts, &Evaluation::LAW, line.case.now);
        // Tables of places and zones are made when they are first asked for.
        black_box(judge().first_lawful());
        let made = measure(|| {
            let judgement = judge();
            black_box((judgement.is_permitted(), judgement.first_lawful()));
        });
        if made.count_total > 0 {
            found.push(format!("{}: {} {}", line.at, line.rule, made.count_total));
        }
    }
    assert!(found.is_empty(), "{} allocate:\n{}", found.len(), found.join("\n"));
}

/// When a date begins, in the first and in the last of some zones.
fn begins(date: NaiveDate, zones: &[Tz]) -> (i64, i64) {
    // To the minute, from fourteen hours before the date begins in Greenwich.
    let utc = date.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp_millis();
    let minutes = || (-15 * 60..15 * 60).map(|minute| utc + minute * 60_000);
    let begins = |zone: &Tz| {
        let reached = |at: &i64| zone.timestamp_millis_opt(*at).unwrap().date_naive() >= date;
        minutes().find(reached).unwrap()
    };
    let all = || zones.iter().map(begins);
    (all().min().unwrap(), all().max().unwrap())
}

#[test]
fn every_dated_rule_is_asked_from_its_first_midnight_to_its_last_anywhere() {
    let (rules, lines, mut dated) = (rules(), lines(), 0);
    for gate in gates() {
        let line = lines.iter().find(|line| line.rule == gate.id && line.says == "denies").unwrap();
        let asked = |at: i64| {
            let verdict = rules.evaluate(&line.case.facts, &Evaluation::LAW, UnixMillis(at));
            let silent = says(&verdict, &gate.id) == "silent";
            (!silent, verdict.evidence().zones.clone())
        };
        let (_, zones) = asked(line.case.now.0);
        assert!(!zones.is_empty(), "{}", gate.id);
        if let Some(from) = gate.from {
            let (first, _) = begins(from, &zones);
            assert!(!asked(first - 1).0 && asked(first).0, "{} from {from}", gate.id);
            dated += 1;
        }
        if let Some(to) = gate.to {
            let (_, last) = begins(to.succ_opt().unwrap(), &zones);
            assert!(asked(last - 1).0 && !asked(last).0, "{} to {to}", gate.id);
        }
    }
    assert!(dated > 60, "{dated}");
}
