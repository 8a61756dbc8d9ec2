//! What passes for a payment card number is refused on every road, before anything is kept, and is
//! never repeated: not its digits, and not a member's name that holds them.

use dialer_types::{AttemptId, ContactId, E164};
use serde_json::Value;

use super::wrong::place;
use crate::{
    http::error::Fault,
    import::{cards::holds_card, columns::masked, row::Fields},
};

/// Faults that an answer lists.
const MOST: usize = 1000;

/// The places of a JSON body that hold one.
pub(super) fn in_value(value: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    walk(value, "", "", &mut faults);
    faults
}

/// `name`: of the member that it is in, or whose array it is in.
fn walk(value: &Value, path: &str, name: &str, faults: &mut Vec<Fault>) {
    if faults.len() >= MOST {
        return;
    }
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) if holds_card(&number.to_string()) => faults.push(fault(path)),
        Value::Number(_) => {}
        Value::String(text) if is_refused(name, text) => faults.push(fault(path)),
        Value::String(_) => {}
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{at}]"), name, faults);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if holds_card(name) {
                    faults.push(fault(path));
                    continue;
                }
                let dot = if path.is_empty() { "" } else { "." };
                walk(member, &format!("{path}{dot}{}", masked(name)), name, faults);
            }
        }
    }
}

/// The fault of a part of a query, if it holds one.
pub(super) fn in_pair((name, text): &(String, String)) -> Option<Fault> {
    if holds_card(name) {
        return Some(fault("query"));
    }
    is_refused(name, text).then(|| fault(&masked(name)))
}

/// The columns of a row that hold one.
pub(in crate::http) fn in_row(fields: &Fields<'_>, columns: &[&str]) -> Vec<Fault> {
    let reason = "holds what passes for a payment card number; nothing of the row was kept";
    columns
        .iter()
        .filter(|column| fields.get(column).is_some_and(|text| is_refused(column, text)))
        .map(|column| Fault { line: Some(fields.line), ..Fault::of(column, reason) })
        .collect()
}

fn fault(path: &str) -> Fault {
    let (line, field) = place(path);
    let reason = "holds what passes for a payment card number; nothing was kept";
    Fault { line, ..Fault::of(&field, reason) }
}

/// A telephone number or an id of ours may have such digits by chance, where one is expected.
fn is_refused(name: &str, text: &str) -> bool {
    holds_card(text)
        && match name {
            "number" | "caller_id" => {
                // A plus sign of a query that was not encoded arrives as a blank.
                let number = text.strip_prefix(' ').map(|digits| format!("+{digits}"));
                number.as_deref().unwrap_or(text).parse::<E164>().is_err()
            }
            "seller" | "trunks" | "campaign" | "contact" | "attempt" | "after" => {
                text.parse::<ContactId>().is_err() && text.parse::<AttemptId>().is_err()
            }
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_that_holds_a_card_is_named_and_nothing_is_repeated() {
        for (value, places) in [
            (json!({ "reason": "4111 1111 1111 1111" }), vec![(None, "reason")]),
            (json!({ "retry": { "busy": 4_111_111_111_111_111_u64 } }), vec![(None, "retry.busy")]),
            (json!({ "retry": { "4111111111111111": 5 } }), vec![(None, "retry")]),
            (json!({ "4111/1111/1111/1111": 5 }), vec![(None, "body")]),
            (json!([{ "a": "x" }, { "a": "5555555555554444" }]), vec![(Some(2), "a")]),
            (json!({ "announces": ["x", "378282246310005"] }), vec![(None, "announces[1]")]),
            (json!("4111111111111111"), vec![(None, "body")]),
            // Fifteen digits that are a telephone number where one stands, and a card elsewhere.
            (json!({ "number": "+378282246310005" }), vec![]),
            (json!({ "caller_id": "+378282246310005" }), vec![]),
            (json!({ "number": "378282246310005" }), vec![(None, "number")]),
            (json!({ "number": "+4111111111111111" }), vec![(None, "number")]),
            (json!({ "person": "+378282246310005" }), vec![(None, "person")]),
            (json!({ "reason": "asked", "at": "2026-11-24T01:35:17.123Z", "x": null }), vec![]),
        ] {
            let faults = in_value(&value);
            let found: Vec<_> = faults.iter().map(|it| (it.line, it.field.as_str())).collect();
            assert_eq!(found, places, "{value}");
        }
    }
}
