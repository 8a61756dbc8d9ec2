//! Rules as they are written, beside what they mean: what a compliance officer reads and compares
//! field by field, the marks of verification among it. The evaluator does not look here.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::PackSource;

/// The kinds of entries a pack has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CardKind {
    /// The head of a file: what it covers.
    Pack,
    /// A rule.
    Rule,
    /// A holiday calendar.
    Calendar,
    /// A change to a rule of the house.
    Override,
    /// An entry of any other name that packs may have.
    Other,
}

impl CardKind {
    /// The word in packs and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pack => "pack",
            Self::Rule => "rule",
            Self::Calendar => "calendar",
            Self::Override => "override",
            Self::Other => "other",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "pack" => Self::Pack,
            "rule" => Self::Rule,
            "calendar" => Self::Calendar,
            "override" => Self::Override,
            _ => Self::Other,
        }
    }
}

/// One entry of a pack as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// What kind of entry.
    pub kind: CardKind,
    /// Its id; of an override the rule that it changes.
    pub id: String,
    /// The file it stands in.
    pub file: String,
    fields: Table,
}

/// The members that name an entry, in the order in which they are looked for.
const NAMES: [&str; 3] = ["id", "rule", "name"];

impl Card {
    /// A field that holds a text.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// How far the text of the rule was checked: `V1`, `V2` or `K` (`schema/rules/README.md`).
    #[must_use]
    pub fn verified(&self) -> Option<&str> {
        self.text("verified")
    }
}

/// Every entry of some packs. A file that is not TOML has none: loading the packs names its fault.
#[must_use]
pub fn cards(packs: &[PackSource<'_>]) -> Vec<Card> {
    let mut found = Vec::new();
    for pack in packs {
        let Ok(document) = pack.text.parse::<Table>() else { continue };
        for (name, value) in &document {
            let entries = match value {
                Value::Table(one) => vec![one],
                Value::Array(many) => many.iter().filter_map(Value::as_table).collect(),
                _ => Vec::new(),
            };
            found.extend(entries.into_iter().map(|fields| {
                Card {
                    kind: CardKind::of(name),
                    id: NAMES
                        .iter()
                        .find_map(|member| fields.get(*member).and_then(Value::as_str))
                        .unwrap_or(name)
                        .to_owned(),
                    file: pack.name.to_owned(),
                    fields: fields.clone(),
                }
            }));
        }
    }
    found
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What kind of entry.
    pub kind: CardKind,
    /// Its id.
    pub id: String,
    /// Added, removed or changed.
    pub what: ChangeKind,
    /// What it is called: in the new pack, else in the old one.
    pub title: Option<String>,
    /// The fields that differ, by name; none of an entry that came or went.
    pub fields: Vec<FieldChange>,
}

/// Whether an entry came, went or is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the new packs have it.
    Added,
    /// Only the old packs have it.
    Removed,
    /// Both have it, with other fields.
    Changed,
}

impl ChangeKind {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// A field that differs, as TOML. Of two lists what only one of them has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// What was there; `None` if there was no such field, or nothing that is gone from its list.
    pub old: Option<String>,
    /// What is there.
    pub new: Option<String>,
}

/// What differs between the old packs and the new, in the order of kind and id. An entry is found
/// by its kind and id, whatever file it moved to.
#[must_use]
pub fn compare(old: &[Card], new: &[Card]) -> Vec<Change> {
    let by_name = |cards: &[Card]| -> BTreeMap<(CardKind, String), Card> {
        cards.iter().map(|card| ((card.kind, card.id.clone()), card.clone())).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&(CardKind, String)> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        let (what, fields) = match (old.get(name), new.get(name)) {
            (None, _) => (ChangeKind::Added, Vec::new()),
            (_, None) => (ChangeKind::Removed, Vec::new()),
            (Some(old), Some(new)) if old.fields == new.fields => continue,
            (Some(old), Some(new)) => (ChangeKind::Changed, fields(&old.fields, &new.fields)),
        };
        let card = new.get(name).or_else(|| old.get(name));
        let title = card.and_then(|card| card.text("title")).map(str::to_owned);
        let (kind, id) = name.clone();
        changes.push(Change { kind, id, what, title, fields });
    }
    changes
}

fn fields(old: &Table, new: &Table) -> Vec<FieldChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut changed = Vec::new();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        let (gone, came) = match (before, after) {
            (Some(Value::Array(before)), Some(Value::Array(after))) => {
                (only_in(before, after), only_in(after, before))
            }
            _ => (before.map(Value::to_string), after.map(Value::to_string)),
        };
        // Two lists that differ in their order only.
        let same = gone.is_none() && came.is_none();
        let whole = |value: Option<&Value>| value.filter(|_| same).map(Value::to_string);
        changed.push(FieldChange {
            field: name.clone(),
            old: gone.or_else(|| whole(before)),
            new: came.or_else(|| whole(after)),
        });
    }
    changed
}

/// What of one list is not in the other.
fn only_in(one: &[Value], other: &[Value]) -> Option<String> {
    let left: Vec<Value> = one.iter().filter(|item| !other.contains(item)).cloned().collect();
    (!left.is_empty()).then(|| Value::Array(left).to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use crate::shipped;

    fn of(text: &str) -> Vec<Card> {
        cards(&[PackSource { name: "a.toml", text }])
    }

    #[test]
    fn every_shipped_rule_has_a_card_with_its_mark() {
        let cards = cards(shipped::PACKS);
        let rules: Vec<&Card> = cards.iter().filter(|card| card.kind == CardKind::Rule).collect();
        assert!(rules.len() > 150);
        for card in rules {
            let house = card.id.starts_with("house.");
            let known = card.verified().is_some_and(|mark| ["V1", "V2", "K"].contains(&mark));
            assert!(known || house, "{card:?}");
            assert!(card.text("title").is_some(), "{card:?}");
        }
        assert!(compare(&cards, &cards).is_empty());
        assert!(of("[[rule").is_empty(), "what is no TOML has no cards");
    }

    #[test]
    fn what_came_went_and_changed_is_named_field_by_field() {
        let old = of(
            "[[rule]]\nid = \"a\"\ntitle = \"A\"\nmax = 3\ndays = [\"mon\", \"tue\"]\nnote = \"x\"\n\
             [[rule]]\nid = \"b\"\n[[rule]]\nid = \"same\"\n[[override]]\nrule = \"house.gap\"\nhours = 2\n",
        );
        let new = of("[[rule]]\nid = \"same\"\n\
             [[rule]]\nid = \"a\"\ntitle = \"A2\"\nmax = 2\ndays = [\"tue\", \"wed\"]\n\
             [[rule]]\nid = \"c\"\ntitle = \"C\"\n[[override]]\nrule = \"house.gap\"\nhours = 3\n");
        let told: Vec<String> = compare(&old, &new)
            .iter()
            .map(|change| {
                let fields: Vec<String> = change
                    .fields
                    .iter()
                    .map(|it| {
                        let text = |value: &Option<String>| value.clone().unwrap_or("-".to_owned());
                        format!("{}: {} > {}", it.field, text(&it.old), text(&it.new))
                    })
                    .collect();
                let (kind, what) = (change.kind.as_str(), change.what.as_str());
                format!("{kind} {} {what} {}", change.id, fields.join("; "))
            })
            .collect();
        assert_eq!(
            told,
            [
                "rule a changed days: [\"mon\"] > [\"wed\"]; max: 3 > 2; note: \"x\" > -; title: \"A\" > \"A2\"",
                "rule b removed ",
                "rule c added ",
                "override house.gap changed hours: 2 > 3",
            ]
        );
    }
}
