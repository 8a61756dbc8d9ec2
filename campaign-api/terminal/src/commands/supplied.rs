//! Facts that somebody looked up, wrote down or counted: wishes, look-ups, licences, counters.

use dialer_types::{Say, say};
use serde_json::{Value, json};

use super::trunks::items;
use crate::{
    arguments::supplied::{CheckOf, Checks, Counters, LicenceOf, Licences, Wishes},
    desk::Desk,
    find::{Kind, find, find_if},
    page::{Cell, Page, Tone, counts, said, text},
    trouble::Trouble,
};

pub(crate) fn wishes(desk: &Desk, word: &Wishes) -> Result<(), Trouble> {
    match word {
        Wishes::Set { person, seller, block, none: _, source, at } => {
            let seller = find(&desk.api, Kind::Seller, seller)?;
            let body = json!({ "seller": seller, "person": person, "blocked": block, "at": at,
                "source": source });
            let answer = desk.api.post("/v1/wishes", Some(&body))?;
            let done = say!("The wishes are on record, in place of what the person said before.");
            desk.show(&answer, |page, value| recorded(page, &done, value))
        }
        Wishes::Show { person, seller } => {
            let seller = find(&desk.api, Kind::Seller, seller)?;
            let asked = [("seller", Some(seller.as_str())), ("person", Some(person.as_str()))];
            let answer = desk.api.get("/v1/wishes", &asked)?;
            desk.show(&answer, wish_table)
        }
    }
}

fn wish_table(page: &Page, answer: &Value) -> String {
    let columns =
        [text(say!("No calls")), text(say!("Holds")), text(say!("Said")), text(say!("Evidence"))];
    let rows = items(answer).iter().map(|wish| {
        let blocked: Vec<&str> =
            wish["blocked"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let blocked = match blocked.as_slice() {
            [] => page.tell(&say!("no time is blocked")),
            all => all.join("; "),
        };
        vec![
            blocked.into(),
            page.yes_no(wish["holds"] == true).into(),
            page.moment(&wish["at"]).into(),
            said(&wish["source"]).into(),
        ]
    });
    page.table(&columns, rows.collect(), &say!("Nobody wrote down what this person wishes."))
}

pub(crate) fn checks(desk: &Desk, word: &Checks) -> Result<(), Trouble> {
    match word {
        Checks::Reassigned { number, answer, seller, database, of } => {
            let seller = find(&desk.api, Kind::Seller, seller)?;
            let body = json!({ "seller": seller, "database": database, "reassigned": answer });
            record_check(desk, number, of, body)
        }
        Checks::Line { number, line, class, seller, of } => {
            let seller = find_if(&desk.api, Kind::Seller, seller.as_deref())?;
            let body = json!({ "seller": seller, "database": "line", "line_type": line,
                "line_class": class });
            record_check(desk, number, of, body)
        }
        Checks::List { number, region, seller } => {
            let seller = find_if(&desk.api, Kind::Seller, seller.as_deref())?;
            let asked = [
                ("number", Some(number.as_str())),
                ("region", region.as_deref()),
                ("seller", seller.as_deref()),
            ];
            let answer = desk.api.get("/v1/number-checks", &asked)?;
            desk.show(&answer, check_table)
        }
    }
}

fn record_check(desk: &Desk, number: &str, of: &CheckOf, mut body: Value) -> Result<(), Trouble> {
    for (member, value) in [
        ("number", Some(number)),
        ("region", of.region.as_deref()),
        ("as_of", Some(of.as_of.as_str())),
        ("source", Some(of.source.as_str())),
    ] {
        body[member] = json!(value);
    }
    let answer = desk.api.post("/v1/number-checks", Some(&body))?;
    let done = say!("The answer is on record.");
    desk.show(&answer, |page, value| recorded(page, &done, value))
}

fn check_table(page: &Page, answer: &Value) -> String {
    let columns = [
        text(say!("Asked")),
        text(say!("Changed hands")),
        text(say!("Line")),
        text(say!("Whose line")),
        text(say!("As of")),
        text(say!("Evidence")),
    ];
    let rows = items(answer).iter().map(|check| {
        vec![
            said(&check["database"]).into(),
            page.word_of(&check["reassigned"]),
            page.word_of(&check["line_type"]),
            page.word_of(&check["line_class"]),
            said(&check["as_of"]).into(),
            said(&check["source"]).into(),
        ]
    });
    page.table(&columns, rows.collect(), &say!("Nobody looked this number up."))
}

pub(crate) fn licences(desk: &Desk, word: &Licences) -> Result<(), Trouble> {
    match word {
        Licences::Add { of, from, until } => {
            let body = json!({ "kind": "hold", "from": from, "until": until });
            record_licence(desk, of, body, &say!("The licence is on record."))
        }
        Licences::Withdraw { of } => {
            let done = say!(
                "The licence is withdrawn: calls that rest on it are not placed any more; what rings goes on."
            );
            record_licence(desk, of, json!({ "kind": "withdraw" }), &done)
        }
        Licences::List { seller } => {
            let seller = find(&desk.api, Kind::Seller, seller)?;
            let answer = desk.api.get("/v1/licences", &[("seller", Some(seller.as_str()))])?;
            desk.show(&answer, licence_table)
        }
    }
}

fn record_licence(desk: &Desk, of: &LicenceOf, mut body: Value, done: &Say) -> Result<(), Trouble> {
    let seller = find(&desk.api, Kind::Seller, &of.seller)?;
    let campaign = find_if(&desk.api, Kind::Campaign, of.campaign.as_deref())?;
    for (member, value) in [
        ("seller", Some(seller.as_str())),
        ("campaign", campaign.as_deref()),
        ("script", of.script.as_deref()),
        ("licence", Some(of.licence.as_str())),
        ("source", Some(of.source.as_str())),
    ] {
        body[member] = json!(value);
    }
    let answer = desk.api.post("/v1/licences", Some(&body))?;
    desk.show(&answer, |page, value| recorded(page, done, value))
}

fn licence_table(page: &Page, answer: &Value) -> String {
    let columns = [
        text(say!("Licence")),
        text(say!("Campaign")),
        text(say!("Script")),
        text(say!("From")),
        text(say!("Until")),
        text(say!("Withdrawn")),
        text(say!("Evidence")),
    ];
    let rows = items(answer).iter().map(|licence| {
        vec![
            said(&licence["licence"]).into(),
            said(&licence["campaign"]).into(),
            said(&licence["script"]).into(),
            said(&licence["from"]).into(),
            said(&licence["until"]).into(),
            Cell(page.moment(&licence["withdrawn_at"]), Tone::Warn),
            said(&licence["source"]).into(),
        ]
    });
    page.table(&columns, rows.collect(), &say!("No licence of this seller is on record."))
}

pub(crate) fn counters(desk: &Desk, word: &Counters) -> Result<(), Trouble> {
    match word {
        Counters::Set { counter, count, seller, resets_at, as_of, source } => {
            let seller = find(&desk.api, Kind::Seller, seller)?;
            let body = json!({ "seller": seller, "counter": counter, "count": count,
                "resets_at": resets_at, "as_of": as_of, "source": source });
            let answer = desk.api.post("/v1/counters", Some(&body))?;
            let done = say!("The count is on record.");
            desk.show(&answer, |page, value| recorded(page, &done, value))
        }
        Counters::List { seller } => {
            let seller = find(&desk.api, Kind::Seller, seller)?;
            let answer = desk.api.get("/v1/counters", &[("seller", Some(seller.as_str()))])?;
            desk.show(&answer, counter_table)
        }
    }
}

fn counter_table(page: &Page, answer: &Value) -> String {
    let columns = [
        text(say!("Counter")),
        counts(say!("Count")),
        text(say!("As of")),
        text(say!("Resets at")),
    ];
    let rows = items(answer).iter().map(|counter| {
        vec![
            said(&counter["counter"]).into(),
            said(&counter["count"]).into(),
            page.moment(&counter["as_of"]).into(),
            page.moment(&counter["resets_at"]).into(),
        ]
    });
    page.table(&columns, rows.collect(), &say!("Nobody counts anything for this seller."))
}

/// What a fact changed.
fn recorded(page: &Page, done: &Say, answer: &Value) -> String {
    let mut out = format!("{}\n", page.tell(done));
    for note in answer["notes"].as_array().into_iter().flatten() {
        out.push_str(&format!("{}\n", page.tone(&said(note), Tone::Warn)));
    }
    let waiting = match said(&answer["waiting"]) {
        none if none == "0" => String::new(),
        some => some,
    };
    out + &page.facts(vec![
        (say!("Event"), said(&answer["event"]).into()),
        (say!("Contacts that are due now"), said(&answer["woken"]).into()),
        (say!("Contacts that are judged again within seconds"), waiting.into()),
    ])
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;

    use super::*;
    use crate::page::tests::page;

    #[test]
    fn what_is_on_record_is_told_with_its_warnings() {
        let page = page(Language::English);
        let answer = json!({ "event": "01E", "woken": 2, "waiting": 0, "notes": ["check the id"] });
        let told = recorded(&page, &say!("The answer is on record."), &answer);
        assert!(told.starts_with("The answer is on record.\ncheck the id\n"), "{told}");
        assert!(!told.contains("within seconds"), "{told}");
        let none = wish_table(&page, &json!({ "items": [{ "blocked": [], "holds": true }] }));
        assert!(none.contains("no time is blocked"), "{none}");
    }
}
