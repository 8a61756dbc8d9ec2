//! The data dictionary of an export: every column of `audit.csv` and every member of
//! `audit.jsonl`, made from the definition of the records itself.

use std::fmt::Write as _;

use dialer_types::{Disposition, LineType, Outcome, Purpose, Technology};

use crate::{
    export::{COLUMNS, PROOF, members},
    record::{
        Action, Advance, Asked, Base, Cap, Counter, Denial, FactKind, ImportedKind, Input, Kind,
        Lifted, ListSeen, Place, Verdict, ZonePlace,
    },
};

/// Key, name, type and meaning of a field of a map.
pub(crate) type Member = (u64, &'static str, &'static str, &'static str);

/// The fields of a map.
pub(crate) type Layout = &'static [Member];

/// One line of the dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `audit.csv` or `audit.jsonl`.
    pub file: &'static str,
    /// The kind of record that has it; `all` for every kind.
    pub kind: &'static str,
    /// The column, or the member; `a[].b` is the member `b` of each object of the list `a`.
    pub name: String,
    /// What it is written as.
    pub type_: String,
    /// The unit or form; empty if there is none.
    pub unit: &'static str,
    /// What it says.
    pub meaning: String,
    /// Whether it is personal data: `yes`, `no` or what to look out for.
    pub personal: &'static str,
}

/// The columns of `dictionary.csv`.
pub const HEADER: [&str; 7] =
    ["file", "record_kind", "name", "type", "unit", "meaning", "personal_data"];

const NO: &str = "no";
const PSEUDONYM: &str = "yes: leads to a person together with the database";
const FREE: &str = "possibly: a text that somebody wrote";
const USER: &str = "yes: a user of this system";
const WHERE: &str = "yes: where the person may be";

/// Every entry, columns first, then members by kind.
#[must_use]
pub fn entries() -> Vec<Entry> {
    let mut all: Vec<Entry> = COLUMNS.iter().chain([&PROOF]).map(column).collect();
    let fixed = ["index", "version", "kind", "at", "node", "leaf_hash", "leaf", PROOF.0];
    let heads: Vec<_> = all
        .iter()
        .filter(|entry| fixed.contains(&entry.name.as_str()))
        .map(|entry| Entry { file: "audit.jsonl", ..entry.clone() })
        .collect();
    all.extend(heads);
    for kind in Kind::ALL {
        members_of(&mut all, kind.as_str(), "", &members(*kind));
    }
    all
}

fn members_of(all: &mut Vec<Entry>, kind: &'static str, before: &str, layout: &[Member]) {
    for (_, field, of, meaning) in layout {
        let name = format!("{before}{field}");
        all.push(Entry {
            file: "audit.jsonl",
            kind,
            type_: written(of),
            unit: unit(field, of),
            meaning: sentence(meaning),
            personal: personal(field, of),
            name: name.clone(),
        });
        if let Some(inner) = nested(of) {
            members_of(all, kind, &format!("{name}[]."), inner);
        }
    }
}

fn column((name, meaning): &(&'static str, &'static str)) -> Entry {
    let field =
        Kind::ALL.iter().flat_map(|kind| members(*kind)).find(|(_, field, _, _)| field == name);
    let of = match (*name, field) {
        ("denied_by", _) => "Vec<RuleId>",
        (_, Some((_, _, of, _))) => of,
        ("index", None) => "i64",
        ("version", None) => "u8",
        ("kind", None) => "Kind",
        ("at", None) => "UnixMillis",
        ("node", None) => "NodeId",
        ("leaf_hash", None) => "Hash",
        ("fields", None) => "Json",
        _ => "Base64",
    };
    let kinds: Vec<&str> = Kind::ALL
        .iter()
        .filter(|kind| members(**kind).iter().any(|(_, field, _, _)| field == name))
        .map(|kind| kind.as_str())
        .collect();
    let mut meaning = sentence(meaning);
    if !kinds.is_empty() {
        write!(meaning, " (of {}; empty otherwise)", kinds.join(", ")).ok();
    }
    Entry {
        file: "audit.csv",
        kind: "all",
        name: (*name).to_owned(),
        type_: written(of),
        unit: unit(name, of),
        meaning,
        personal: personal(name, of),
    }
}

fn sentence(text: &str) -> String {
    text.trim().trim_end_matches('.').replace("`", "")
}

/// The type inside `Vec<..>`, `Option<..>` or both.
fn inner(of: &'static str) -> &'static str {
    of.rsplit_once('<').map_or(of, |(_, rest)| rest.trim_end_matches('>'))
}

fn nested(of: &'static str) -> Option<Layout> {
    Some(match inner(of) {
        "Denial" => Denial::LAYOUT,
        "Place" => Place::LAYOUT,
        "Counter" => Counter::LAYOUT,
        "ListSeen" => ListSeen::LAYOUT,
        "Lifted" => Lifted::LAYOUT,
        "Input" => Input::LAYOUT,
        "Advance" => Advance::LAYOUT,
        "ZonePlace" => ZonePlace::LAYOUT,
        "Cap" => Cap::LAYOUT,
        "Asked" => Asked::LAYOUT,
        "Base" => Base::LAYOUT,
        _ => return None,
    })
}

fn written(of: &'static str) -> String {
    let one = match inner(of) {
        "AttemptId" => "ULID of the contact, '-', number of the try".to_owned(),
        "UnixMillis" => "time".to_owned(),
        "Hash" => "hexadecimal".to_owned(),
        "SubjectId" | "i64" | "u8" | "u16" | "u32" => "integer".to_owned(),
        "String" => "text".to_owned(),
        "RuleId" => "rule id".to_owned(),
        "bool" => "true or false".to_owned(),
        "Json" => "JSON object".to_owned(),
        "Base64" => "base64".to_owned(),
        "Kind" => words(Kind::ALL.iter().map(|word| word.as_str())),
        "Verdict" => words(Verdict::ALL.iter().map(|word| word.as_str())),
        "ImportedKind" => words(ImportedKind::ALL.iter().map(|word| word.as_str())),
        "FactKind" => words(FactKind::ALL.iter().map(|word| word.as_str())),
        "Action" => words(Action::ALL.iter().map(|word| word.as_str())),
        "Disposition" => words(Disposition::ALL.iter().map(|word| word.as_str())),
        "Outcome" => words(Outcome::ALL.iter().map(|word| word.as_str())),
        "Purpose" => words(Purpose::ALL.iter().map(|word| word.as_str())),
        "Technology" => words(Technology::ALL.iter().map(|word| word.as_str())),
        "LineType" => words(LineType::ALL.iter().map(|word| word.as_str())),
        id if id.ends_with("Id") || id == "Token" => "ULID".to_owned(),
        _ => "object".to_owned(),
    };
    match of {
        list if list.starts_with("Vec<") => format!("list: {one}"),
        maybe if maybe.starts_with("Option<Vec<") => format!("list: {one}, or nothing"),
        maybe if maybe.starts_with("Option<") => format!("{one}, or nothing"),
        _ => one,
    }
}

fn words(all: impl Iterator<Item = &'static str>) -> String {
    format!("word: {}", all.collect::<Vec<_>>().join(" "))
}

fn unit(name: &str, of: &'static str) -> &'static str {
    match (inner(of), name) {
        ("UnixMillis", _) => "RFC 3339, UTC, to the millisecond",
        (_, name) if name.ends_with("_ms") => "milliseconds",
        (_, "offset_minutes") => "minutes",
        (_, "count" | "cap") => "placements",
        (_, "rules_asked") => "rules",
        (_, "sip_code") => "SIP status",
        (_, "q850") => "Q.850 cause",
        (_, "as_of") => "date, YYYY-MM-DD",
        (_, "local_time") => "RFC 3339 with the zone's offset",
        (_, "zone") => "IANA name",
        (_, "jurisdiction") => "ISO 3166 codes, joined by +",
        _ => "",
    }
}

fn personal(name: &str, of: &'static str) -> &'static str {
    match (inner(of), name) {
        ("String", _) => text_personal(name).unwrap_or(FREE),
        ("Json", _) | (_, "leaf") => "as its fields",
        ("SubjectId" | "AttemptId" | "PlacementId" | "Token" | "Advance" | "Base", _) => PSEUDONYM,
        ("Denial" | "Input" | "ListSeen" | "Place" | "ZonePlace" | "Asked", _) => "as its members",
        _ => NO,
    }
}

/// Whether a text is personal, by the name of its field. A test asks that each is named here.
fn text_personal(name: &str) -> Option<&'static str> {
    Some(match name {
        "citation" | "relies_on" | "about" | "list" | "version" | "as_of" | "form"
        | "obligations" | "name" | "call_id_end" => NO,
        "jurisdiction" | "zone" | "local_time" => WHERE,
        "sip_call_id" => PSEUDONYM,
        "actor" => USER,
        "why" | "value" | "values" => "possibly: what a rule looked at, without numbers and names",
        "reason" | "source" | "evidence" | "wording" | "channel" => FREE,
        "said" => "yes: when a person wants no calls, or what a look-up said",
        _ => return None,
    })
}

/// The two files of an export that hold it, by name.
#[must_use]
pub fn files() -> [(&'static str, String); 2] {
    [("dictionary.md", markdown()), ("dictionary.csv", csv())]
}

/// The dictionary for programs: `dictionary.csv`, RFC 4180 with `\n` at the ends.
#[must_use]
pub fn csv() -> String {
    let mut text = String::new();
    let mut row = |cells: [&str; 7]| {
        text.push_str(&cells.map(quoted).join(","));
        text.push('\n');
    };
    row(HEADER);
    entries().iter().for_each(|entry| row(entry.cells()));
    text
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// The dictionary for people: `dictionary.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# What the columns and members of an export mean\n\n\
         `audit.csv` has one row a record and the same columns for every kind; `audit.jsonl` has one\n\
         JSON object a record, with the members of its kind. `dictionary.csv` is this table for\n\
         programs. Telephone numbers and names are nowhere in the audit: people are surrogate ids,\n\
         which are personal data as long as the database can resolve them.\n",
    );
    let mut chapter = ("", "");
    for entry in entries() {
        if chapter != (entry.file, entry.kind) {
            chapter = (entry.file, entry.kind);
            write!(
                text,
                "\n## {}: {}\n\n| name | type | unit | meaning | personal data |\n|---|---|---|---|---|\n",
                entry.file, entry.kind
            )
            .ok();
        }
        let Entry { name, type_, unit, meaning, personal, .. } = entry;
        writeln!(text, "| `{name}` | {type_} | {unit} | {meaning} | {personal} |").ok();
    }
    text
}

impl Entry {
    /// The cells in the order of [`HEADER`].
    #[must_use]
    pub fn cells(&self) -> [&str; 7] {
        let Self { file, kind, name, type_, unit, meaning, personal } = self;
        [file, kind, name, type_, unit, meaning, personal]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::record::Body;

    #[test]
    fn every_column_of_the_csv_has_one_entry() {
        let entries = entries();
        for (name, _) in COLUMNS.iter().chain([&PROOF]) {
            let of = |entry: &&Entry| entry.file == "audit.csv" && entry.name == *name;
            assert_eq!(entries.iter().filter(of).count(), 1, "{name}");
        }
    }

    #[test]
    fn no_entry_is_told_twice_or_says_nothing() {
        let mut seen = BTreeSet::new();
        for entry in entries() {
            assert!(seen.insert((entry.file, entry.kind, entry.name.clone())), "{entry:?}");
            for (what, cell) in HEADER.iter().zip(entry.cells()) {
                assert!(*what == "unit" || !cell.is_empty(), "{what} of {entry:?}");
            }
            assert!(!entry.meaning.contains('|'), "{entry:?} would break the table");
        }
    }

    #[test]
    fn every_text_is_classified_as_personal_data_or_not() {
        let mut layouts: Vec<Layout> = Kind::ALL.iter().map(|kind| Body::layout(*kind)).collect();
        let inner_ones: Vec<Layout> =
            layouts.iter().flat_map(|layout| layout.iter()).filter_map(|f| nested(f.2)).collect();
        layouts.extend(inner_ones);
        for (_, field, of, _) in layouts.into_iter().flatten() {
            assert!(inner(of) != "String" || text_personal(field).is_some(), "{field}");
            assert!(nested(of).is_some() || written(of) != "object", "{field}: {of} is unknown");
        }
    }

    #[test]
    fn the_text_for_people_has_every_kind_and_name() {
        let text = markdown();
        for kind in Kind::ALL {
            assert!(text.contains(&format!("## audit.jsonl: {}", kind.as_str())));
        }
        assert!(text.contains("| `denied_by[].citation` |"), "{text}");
        assert!(text.contains("milliseconds of ringing"), "{text}");
        assert!(text.contains("| `rules_passed` | list: rule id, or nothing |"), "{text}");
    }

    #[test]
    fn cells_with_commas_and_quotes_are_quoted_and_every_entry_is_a_row() {
        assert_eq!(
            ["a b", "a,b", "say \"a\""].map(quoted),
            ["a b", "\"a,b\"", "\"say \"\"a\"\"\""]
        );
        let text = csv();
        assert_eq!(text.lines().count(), entries().len() + 1, "no cell has a line of its own");
        assert!(text.starts_with("file,record_kind,name,type,unit,meaning,personal_data\n"));
    }
}
