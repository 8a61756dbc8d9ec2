//! Attempts: listed, shown with their evidence, corrected.

use dialer_types::{Language, say};
use serde_json::{Value, json};

use super::{facts::more, trunks::items};
use crate::{
    api::encoded,
    arguments::{AttemptWord, Attempts, AttemptsOf},
    desk::{Desk, print},
    find::{Kind, find_if, with_names},
    page::{Cell, Page, Tone, counts, said, text},
    trouble::Trouble,
};

pub(crate) fn run(desk: &Desk, asked: &Attempts) -> Result<(), Trouble> {
    match &asked.word {
        None => list(desk, &asked.which),
        Some(AttemptWord::Show { attempt, story: true }) => {
            let path = format!("/v1/attempts/{}/story", encoded(attempt));
            let story = desk.api.get_text(&path, &[])?;
            if desk.json {
                return print(&format!("{}\n", json!({ "story": story })));
            }
            print(&told(&desk.page, &story))
        }
        Some(AttemptWord::Show { attempt, story: false }) => {
            let answer = desk.api.get(&format!("/v1/attempts/{}", encoded(attempt)), &[])?;
            desk.show(&answer, |page, it| show(page, &with_names(&desk.api, it)))
        }
        Some(AttemptWord::Correct { attempt, disposition, reason }) => {
            let path = format!("/v1/attempts/{}/correction", encoded(attempt));
            let answer = desk
                .api
                .post(&path, Some(&json!({ "disposition": disposition, "reason": reason })))?;
            desk.show(&answer, |page, attempt| {
                let done = say!("Corrected; both versions are on record.");
                format!("{}\n{}", page.tell(&done), show(page, &with_names(&desk.api, attempt)))
            })
        }
    }
}

/// The audit is written in one language, whoever reads it: who asked in another one is told.
fn told(page: &Page, story: &str) -> String {
    if page.tongue.0 == Language::English {
        return story.to_owned();
    }
    format!("{}\n{story}", page.tell(&say!("The record below is kept in English only.")))
}

fn list(desk: &Desk, which: &AttemptsOf) -> Result<(), Trouble> {
    let campaign = find_if(&desk.api, Kind::Campaign, which.campaign.as_deref())?;
    let answer = desk.api.get(
        "/v1/attempts",
        &[
            ("campaign", campaign.as_deref()),
            ("person", which.person.as_deref()),
            ("number", which.number.as_deref()),
            ("contact", which.contact.as_deref()),
            ("from", which.from.as_deref()),
            ("to", which.to.as_deref()),
            ("after", which.part.after.as_deref()),
            ("limit", Some(&which.part.limit.to_string())),
        ],
    )?;
    desk.show(&answer, attempt_table)
}

fn attempt_table(page: &Page, answer: &Value) -> String {
    let columns = [
        text(say!("When")),
        text(say!("Person")),
        text(say!("Number")),
        text(say!("Ended as")),
        text(say!("Attempt")),
    ];
    let rows = items(answer)
        .iter()
        .map(|attempt| {
            let ended = match attempt["disposition"].as_str() {
                Some(word) => page.word(word),
                None => Cell(page.tell(&say!("under way")), Tone::Plain),
            };
            vec![
                page.moment(&attempt["at"]).into(),
                said(&attempt["person"]).into(),
                said(&attempt["number"]).into(),
                ended,
                said(&attempt["id"]).into(),
            ]
        })
        .collect();
    page.table(&columns, rows, &say!("No attempt fits.")) + &more(page, answer)
}

/// One attempt in full.
fn show(page: &Page, attempt: &Value) -> String {
    let mut out = page.facts(vec![
        (say!("Attempt"), said(&attempt["id"]).into()),
        (say!("Campaign"), said(&attempt["campaign"]).into()),
        (say!("Person"), said(&attempt["person"]).into()),
        (say!("Taken up"), page.moment(&attempt["at"]).into()),
    ]);
    let columns = [
        text(say!("When")),
        text(say!("Verdict")),
        text(say!("Rules")),
        text(say!("From when")),
        counts(say!("Place in the audit")),
    ];
    let rows = list_of(&attempt["decisions"])
        .map(|decision| {
            // An index names a leaf: no thousands to group.
            let place = decision["audit_index"].as_i64().map(|index| index.to_string());
            vec![
                page.moment(&decision["at"]).into(),
                page.word_of(&decision["verdict"]),
                said(&decision["rules"]).into(),
                page.moment(&decision["until"]).into(),
                place.unwrap_or_default().into(),
            ]
        })
        .collect();
    out.push_str(&page.heading(&say!("Judgements")));
    out.push_str(&page.table(&columns, rows, &say!("none")));
    for placement in list_of(&attempt["placements"]) {
        out.push_str(&page.heading(&say!("Placement")));
        out.push_str(&page.facts(vec![
            (say!("ID"), said(&placement["id"]).into()),
            (say!("Number"), said(&placement["number"]).into()),
            (say!("Trunk"), said(&placement["trunk"]).into()),
            (say!("Committed"), page.moment(&placement["at"]).into()),
            (say!("Could leave until"), page.moment(&placement["not_after"]).into()),
            (say!("Call-ID"), said(&placement["sip_call_id"]).into()),
        ]));
        let columns = [
            counts(say!("Revision")),
            text(say!("Ended as")),
            counts(say!("SIP")),
            counts(say!("Rang, ms")),
            text(say!("Answered")),
            text(say!("Over")),
            text(say!("Recorded by")),
        ];
        let rows = list_of(&placement["outcomes"])
            .map(|outcome| {
                vec![
                    said(&outcome["revision"]).into(),
                    page.word_of(&outcome["disposition"]),
                    said(&outcome["sip_code"]).into(),
                    said(&outcome["ring_ms"]).into(),
                    page.moment(&outcome["answered_at"]).into(),
                    page.moment(&outcome["ended_at"]).into(),
                    said(&outcome["recorded_by"]).into(),
                ]
            })
            .collect();
        out.push_str(&page.table(&columns, rows, &say!("It has not ended yet.")));
    }
    out
}

fn list_of(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::tests::page;

    #[test]
    fn a_story_says_in_chinese_that_it_is_kept_in_english() {
        assert_eq!(told(&page(Language::English), "ATTEMPT\n"), "ATTEMPT\n");
        let chinese = told(&page(Language::Chinese), "ATTEMPT\n");
        assert_eq!(chinese, "以下记录仅以英文保存。\nATTEMPT\n");
    }

    #[test]
    fn a_corrected_attempt_shows_both_versions() {
        let attempt = json!({ "id": "01K-1", "campaign": "01C", "person": "ann", "at": "2026-11-24T14:00:00Z",
            "decisions": [{ "at": "2026-11-24T14:00:00Z", "verdict": "permit", "until": null, "rules": [], "audit_index": 12345 }],
            "placements": [{ "id": "01P", "trunk": "01T", "number": "+1305***0123", "at": "2026-11-24T14:00:00Z",
                "not_after": "2026-11-24T14:00:05Z", "sip_call_id": "abc", "outcomes": [
                { "revision": 0, "disposition": "no_answer", "sip_code": 480, "ring_ms": 12_000, "ended_at": "2026-11-24T14:00:12Z", "recorded_by": "01N" },
                { "revision": 1, "disposition": "busy", "sip_code": 480, "ring_ms": 12_000, "ended_at": "2026-11-24T14:00:12Z", "recorded_by": "01U" }] }] });
        let wide = Page { width: 200, ..page(Language::English) };
        let shown = show(&wide, &attempt);
        assert!(shown.contains("0  no answer"), "{shown}");
        assert!(shown.contains("1  busy"), "{shown}");
        assert!(shown.contains("12345"), "{shown}");
        let chinese = show(&Page { width: 200, ..page(Language::Chinese) }, &attempt);
        assert!(chinese.contains("无人接听") && chinese.contains("修订"), "{chinese}");
    }
}
