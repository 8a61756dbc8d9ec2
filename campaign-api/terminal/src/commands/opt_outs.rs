//! Opt-outs and consents.

use dialer_types::{Say, say};
use serde_json::{Value, json};

use crate::{
    arguments::{Consent, Suppress},
    desk::Desk,
    find::{Kind, find, find_if},
    page::{Page, Tone, said},
    trouble::Trouble,
};

pub(crate) fn suppress(desk: &Desk, entry: &Suppress) -> Result<(), Trouble> {
    let seller = find_if(&desk.api, Kind::Seller, entry.seller.as_deref())?;
    let kind = if entry.lift { "lift" } else { "add" };
    let body = json!({ "seller": seller, "number": entry.number, "region": entry.region, "person": entry.person,
        "purpose": entry.purpose, "reason": entry.reason, "kind": kind, "at": entry.at });
    let answer = desk.api.post("/v1/suppressions", Some(&body))?;
    let done = match (entry.lift, seller.is_some()) {
        (false, _) if entry.purpose.is_some() => say!(
            "Suppressed for calls of this purpose: none is placed any more, and what rings is being cancelled. Calls for other purposes go on."
        ),
        (true, _) => say!("Lifted. Whoever may be called again is due again."),
        (false, true) => say!(
            "Suppressed for this seller: no call is placed any more, and what rings is being cancelled."
        ),
        (false, false) => say!(
            "Suppressed for every seller: no call is placed any more, and what rings is being cancelled."
        ),
    };
    desk.show(&answer, |page, value| recorded(page, &done, value))
}

pub(crate) fn consent(desk: &Desk, word: &Consent) -> Result<(), Trouble> {
    let (kind, event, done) = match word {
        Consent::Grant(event) => ("grant", event, say!("The consent is on record.")),
        Consent::Revoke(event) => (
            "revoke",
            event,
            say!(
                "The consent is taken back: calls that rest on it are not placed any more, and what rings is being cancelled."
            ),
        ),
    };
    let seller = find(&desk.api, Kind::Seller, &event.seller)?;
    let body = json!({ "seller": seller, "person": event.person, "number": event.number,
        "kind": kind, "form": event.form, "purpose": event.purpose, "technology": event.technology,
        "at": event.at, "source": event.source, "wording": event.wording,
        "channel": event.channel, "lifts": event.lifts });
    let answer = desk.api.post("/v1/consents", Some(&body))?;
    desk.show(&answer, |page, value| recorded(page, &done, value))
}

/// What an event moved.
fn recorded(page: &Page, done: &Say, answer: &Value) -> String {
    let subjects = answer["subjects"].as_array().map_or(0, Vec::len).to_string();
    let mut out = format!("{}\n", page.tell(done));
    // A person whom no list has: recorded all the same, and likely a slip of the hand.
    let note = said(&answer["note"]);
    if answer["known"] == false && !note.is_empty() {
        out.push_str(&format!("{}\n", page.tone(&note, Tone::Warn)));
    }
    out + &page.facts(vec![
        (say!("Event"), said(&answer["event"]).into()),
        (say!("Numbers and persons concerned"), subjects.into()),
        (say!("Contacts that are due now"), said(&answer["woken"]).into()),
    ])
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;

    use super::*;
    use crate::page::tests::page;

    #[test]
    fn an_entry_about_somebody_unknown_comes_with_a_warning() {
        let shown = |known: bool| {
            let answer = json!({ "event": "01E", "subjects": [7], "woken": 0, "known": known,
                "note": "nobody has this number" });
            let colored = Page { colors: true, ..page(Language::English) };
            recorded(&colored, &say!("The consent is on record."), &answer)
        };
        assert!(
            shown(false).contains("record.\n\u{1b}[33mnobody has this number"),
            "{:?}",
            shown(false)
        );
        assert!(!shown(true).contains("nobody"), "{:?}", shown(true));
    }
}
