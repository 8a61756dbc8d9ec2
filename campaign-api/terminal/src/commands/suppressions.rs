//! The do-not-call entries of somebody.

use dialer_types::say;
use serde_json::Value;

use super::trunks::items;
use crate::{
    arguments::Suppressions,
    desk::Desk,
    find::{Kind, find_if, with_names},
    page::{Cell, Page, Tone, said, text},
    trouble::Trouble,
};

pub(crate) fn run(desk: &Desk, whose: &Suppressions) -> Result<(), Trouble> {
    let seller = find_if(&desk.api, Kind::Seller, whose.seller.as_deref())?;
    let query = [
        ("seller", seller.as_deref()),
        ("number", whose.number.as_deref()),
        ("region", whose.region.as_deref()),
        ("person", whose.person.as_deref()),
    ];
    let answer = desk.api.get("/v1/suppressions", &query)?;
    desk.show(&answer, |page, value| {
        let named: Vec<Value> = items(value).iter().map(|it| with_names(&desk.api, it)).collect();
        listed(page, &named)
    })
}

/// A row for each entry, and below it one for each consent that lifts it.
fn listed(page: &Page, entries: &[Value]) -> String {
    let columns = [
        text(say!("Event")),
        text(say!("Since")),
        text(say!("Binds")),
        text(say!("Purpose")),
        text(say!("Stands")),
        text(say!("Why")),
    ];
    let rows = entries.iter().flat_map(|entry| {
        let lifts = entry["lifted_by"].as_array().into_iter().flatten();
        std::iter::once(row(page, entry)).chain(lifts.map(|by| lift(page, by)))
    });
    page.table(&columns, rows.collect(), &say!("No do-not-call entry is on record."))
}

fn row(page: &Page, entry: &Value) -> Vec<Cell> {
    let or = |value: &Value, all| if value.is_null() { page.tell(all) } else { said(value) };
    let stands = match (entry["kind"] == "lift", entry["stands"] == true) {
        (true, _) => Cell(page.tell(&say!("withdrawal")), Tone::Faint),
        (false, true) => Cell(page.yes_no(true), Tone::Warn),
        (false, false) => page.yes_no(false).into(),
    };
    vec![
        said(&entry["event"]).into(),
        page.moment(&entry["at"]).into(),
        or(&entry["seller"], &say!("every seller")).into(),
        match &entry["purpose"] {
            Value::Null => page.tell(&say!("every purpose")).into(),
            purpose => page.word_of(purpose),
        },
        stands,
        said(&entry["reason"]).into(),
    ]
}

fn lift(page: &Page, by: &Value) -> Vec<Cell> {
    let valid = by["valid"] == true;
    let valid =
        if valid { say!("lifted by a consent") } else { say!("that consent was taken back") };
    vec![
        format!("↳ {}", said(&by["consent"])).into(),
        page.moment(&by["at"]).into(),
        "".into(),
        page.word_of(&by["purpose"]),
        page.tell(&valid).into(),
        "".into(),
    ]
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;
    use serde_json::json;

    use super::*;
    use crate::page::tests::page;

    #[test]
    fn entries_stand_or_do_not_and_what_lifts_them_is_below() {
        let by = json!({ "consent": "01C", "seller": "01S", "purpose": "delivery",
            "at": "2026-11-02T00:00:00Z", "valid": true });
        let entry = |kind: &str, stands: bool, purpose: Value, lifted_by: Value| {
            json!({ "event": "01E", "seller": null, "purpose": purpose, "of": "person",
                "kind": kind, "reason": "asked", "at": "2026-11-01T00:00:00Z", "stands": stands,
                "lifted_by": lifted_by })
        };
        let shown = listed(
            &Page { width: 200, ..page(Language::English) },
            &[
                entry("lift", false, Value::Null, json!([])),
                entry("add", true, json!("telemarketing"), json!([by])),
                entry("add", false, Value::Null, json!([])),
            ],
        );
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 5, "{shown}");
        assert!(lines[1].contains("every purpose") && lines[1].contains("withdrawal"), "{shown}");
        assert!(lines[2].contains("every seller") && lines[2].contains("telemarketing"), "{shown}");
        assert!(lines[3].contains("↳ 01C") && lines[3].contains("lifted by a consent"), "{shown}");
        let none = listed(&page(Language::English), &[]);
        assert_eq!(none, "No do-not-call entry is on record.\n");
    }
}
