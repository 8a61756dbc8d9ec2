//! Why somebody may or may not be called; and the summary of many.

use dialer_types::{Say, say};
use serde_json::Value;

use crate::{
    arguments::Why,
    desk::Desk,
    find::{Kind, find},
    page::{Cell, Page, Tone, counts, said, text},
    trouble::Trouble,
};

pub(crate) fn run(desk: &Desk, asked: &Why) -> Result<(), Trouble> {
    let campaign = find(&desk.api, Kind::Campaign, &asked.campaign)?;
    let answer = desk.api.get(
        "/v1/eligibility",
        &[
            ("campaign", Some(&campaign)),
            ("number", asked.number.as_deref()),
            ("region", asked.region.as_deref()),
            ("person", asked.person.as_deref()),
            ("contact", asked.contact.as_deref()),
        ],
    )?;
    desk.show(&answer, |page, answer| {
        render(page, answer) + &others(page, &answer["others"], &asked.campaign)
    })
}

pub(crate) fn rows(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The whole answer: who, each number with every reason, and where the contact stands.
fn render(page: &Page, answer: &Value) -> String {
    let mut out = String::new();
    let sentence = said(&answer["sentence"]);
    if !sentence.is_empty() {
        out.push_str(&sentence);
        out.push('\n');
    }
    out.push_str(&page.facts(vec![
        (say!("Person"), said(&answer["person"]).into()),
        (say!("Contact"), said(&answer["contact"]).into()),
        (say!("Judged at"), page.moment(&answer["at"]).into()),
    ]));
    for number in rows(&answer["numbers"]) {
        out.push_str(&one_number(page, number));
    }
    let state = &answer["state"];
    if state.is_object() {
        out.push_str(&page.heading(&say!("Where the contact stands")));
        out.push_str(&page.facts(vec![
            (say!("State"), page.word_of(&state["word"])),
            (say!("Waits for"), Cell(page.word_of(&state["waits_for"]).0, Tone::Plain)),
            (say!("Since"), page.moment(&state["since"]).into()),
            (say!("Due"), page.moment(&state["due_at"]).into()),
            (say!("That is"), said(&state["sentence"]).into()),
        ]));
    }
    out
}

fn one_number(page: &Page, number: &Value) -> String {
    let verdict = match number["verdict"].as_str() {
        Some("permit") => say!("may be called now"),
        Some("defer") => say!("not now, later"),
        Some("refuse") => say!("must not be called"),
        _ => Say::raw(said(&number["verdict"])),
    };
    let tone = page.word_of(&number["verdict"]).1;
    let verdict = page.tone(&page.tell(&verdict), tone);
    let heading = say!("{number}: {verdict}", number = said(&number["number"]), verdict);
    let mut out = page.heading(&heading);
    out.push_str(&page.facts(vec![
        (say!("First lawful moment"), page.moment(&number["first_lawful_at"]).into()),
        (say!("That is"), said(&number["sentence"]).into()),
    ]));
    out.push_str(&spared(page, number));
    let reasons = rows(&number["reasons"]);
    if !reasons.is_empty() {
        out.push_str(&reason_table(page, reasons));
    }
    let duties = rows(&number["obligations"]);
    if !duties.is_empty() {
        out.push_str(&page.heading(&say!("What a call must do")));
        let columns = [text(say!("Rule")), text(say!("What")), text(say!("Law"))];
        let rows = duties
            .iter()
            .map(|duty| {
                vec![
                    said(&duty["rule"]).into(),
                    said(&duty["sentence"]).into(),
                    Cell(said(&duty["citation"]), Tone::Faint),
                ]
            })
            .collect();
        out.push_str(&page.table(&columns, rows, &say!("none")));
    }
    out
}

/// What would deny and does not, each with what it rests on.
fn spared(page: &Page, number: &Value) -> String {
    let mut told: Vec<Say> = Vec::new();
    if number["narrowed"] == true {
        told.push(say!(
            "The seller believes verified addresses: this one takes the place of what the number says."
        ));
    }
    for lift in rows(&number["lifted"]) {
        let (entry, consent) = (said(&lift["suppression"]), said(&lift["consent"]));
        told.push(say!(
            "Consent {consent} lifts the do-not-call entry {entry} for such calls.",
            consent,
            entry
        ));
    }
    let others = number["entries_about_other_purposes"].as_u64().unwrap_or(0);
    if others > 0 {
        told.push(say!("Do-not-call entries about calls of other purposes: {others}", others));
    }
    for exception in rows(&number["exceptions"]) {
        let (rule, law) = (said(&exception["rule"]), said(&exception["relies_on"]));
        told.push(say!("{rule} does not deny: the deployment relies on {law}.", rule, law));
    }
    told.iter().map(|say| format!("{}\n", page.tone(&page.tell(say), Tone::Warn))).collect()
}

/// Most others that the API names.
const MOST_OTHERS: usize = 20;

/// Who else has the number, and how to ask about each of them.
fn others(page: &Page, others: &Value, campaign: &str) -> String {
    let others = rows(others);
    if others.is_empty() {
        return String::new();
    }
    let columns = [
        text(say!("Person")),
        text(say!("Verdict")),
        text(say!("From when")),
        text(say!("State")),
        text(say!("Contact")),
    ];
    let lines = others
        .iter()
        .map(|other| {
            vec![
                said(&other["person"]).into(),
                page.word_of(&other["verdict"]),
                page.moment(&other["first_lawful_at"]).into(),
                page.word_of(&other["state"]["word"]),
                said(&other["contact"]).into(),
            ]
        })
        .collect();
    let mut out = page.heading(&say!("Others with the same number"));
    out.push_str(&page.table(&columns, lines, &say!("none")));
    let mut tell = |say: &Say| out.push_str(&format!("{}\n", page.tell(say)));
    tell(&say!(
        "About each of them: ./ringfence why --contact CONTACT --campaign \"{campaign}\"",
        campaign
    ));
    if others.len() >= MOST_OTHERS {
        tell(&say!("No more than {most} are named; there may be more.", most = MOST_OTHERS));
    }
    out
}

/// Zones of one cell: a number without a state may be in any of some forty.
const MOST_ZONES: usize = 3;

fn local_times(page: &Page, times: &[Value]) -> String {
    let shown: Vec<String> = times
        .iter()
        .take(MOST_ZONES)
        .map(|time| format!("{} {}", said(&time["text"]), said(&time["zone"])))
        .collect();
    let shown = shown.join("; ");
    match times.len().saturating_sub(MOST_ZONES) {
        0 => shown,
        more => page.tell(&say!("{shown}; and {more} more", shown, more)),
    }
}

/// From when a rule allows the call where time alone changes nothing: by what it waits for.
fn until(page: &Page, waits_for: &Value) -> String {
    let told = match waits_for.as_str() {
        None | Some("never") => say!("never"),
        Some("suppression") => say!("not as long as the do-not-call entry stands"),
        Some("pack") => say!("once a rule pack covers it"),
        Some(word) => match word.strip_prefix("obligation:") {
            Some(duty) => {
                say!("once the campaign can do: {duty}", duty = page.tongue.word(duty))
            }
            None => say!("once there is: {waits}", waits = page.word(word).0),
        },
    };
    page.tell(&told)
}

fn reason_table(page: &Page, reasons: &[Value]) -> String {
    let columns = [
        text(say!("Rule")),
        text(say!("Reason")),
        text(say!("Law")),
        text(say!("Local time")),
        text(say!("From when")),
    ];
    let rows = reasons
        .iter()
        .map(|reason| {
            let from = match page.moment(&reason["first_lawful_at"]) {
                moment if moment.is_empty() => until(page, &reason["waits_for"]),
                moment => moment,
            };
            vec![
                said(&reason["rule"]).into(),
                said(&reason["sentence"]).into(),
                Cell(said(&reason["citation"]), Tone::Faint),
                local_times(page, rows(&reason["local_times"])).into(),
                from.into(),
            ]
        })
        .collect();
    page.table(&columns, rows, &say!("none"))
}

/// Of so many contacts: now, later, never; and what would unlock how many.
pub(crate) fn summary(page: &Page, answer: &Value) -> String {
    let mut out = page.facts(vec![
        (say!("Contacts"), said(&answer["contacts"]).into()),
        (say!("As of"), page.moment(&answer["at"]).into()),
    ]);
    if answer["campaign_status"].as_str().is_some_and(|status| status != "running") {
        let status = page.word_of(&answer["campaign_status"]).0;
        let note = say!("The campaign is not running ({status}): nobody is called.", status);
        out.push_str(&format!("{}\n", page.tone(&page.tell(&note), Tone::Warn)));
    }
    out.push_str(&page.heading(&say!("When they can be called")));
    let parts = [
        (say!("Now"), "callable_now", Tone::Good),
        (say!("Later today"), "later_today", Tone::Warn),
        (say!("Later"), "later", Tone::Warn),
        (say!("Never, as things stand"), "never", Tone::Bad),
        (say!("Under way"), "under_way", Tone::Plain),
        (say!("Finished"), "finished", Tone::Faint),
    ];
    let lines = parts
        .into_iter()
        .map(|(label, member, tone)| {
            vec![Cell(page.tell(&label), tone), said(&answer[member]).into()]
        })
        .collect();
    out.push_str(&page.table(
        &[text(say!("When")), counts(say!("Contacts"))],
        lines,
        &say!("none"),
    ));
    out.push_str(&unlocks(page, answer));
    out
}

/// The facts that are missing, by how many each would unlock.
pub(crate) fn unlocks(page: &Page, answer: &Value) -> String {
    let mut out = String::new();
    let unlock = rows(&answer["unlock"]);
    if !unlock.is_empty() {
        out.push_str(&page.heading(&say!("What would unlock more")));
        let columns = [text(say!("Missing")), counts(say!("Contacts")), text(say!("That is"))];
        let lines = unlock.iter().map(|row| of_cause(page, row)).collect();
        out.push_str(&page.table(&columns, lines, &say!("none")));
    }
    out + &barred(page, answer)
}

/// What is waited for, by how many, in a sentence.
fn of_cause(page: &Page, row: &Value) -> Vec<Cell> {
    vec![
        Cell(page.word_of(&row["waits_for"]).0, Tone::Plain),
        said(&row["contacts"]).into(),
        said(&row["sentence"]).into(),
    ]
}

/// What keeps the others of those who are never callable from it.
fn barred(page: &Page, answer: &Value) -> String {
    let mut lines: Vec<Vec<Cell>> =
        rows(&answer["blocked"]).iter().map(|row| of_cause(page, row)).collect();
    for (member, what, sentence) in [
        ("needs_several", say!("several facts"), say!("Two or more facts are missing at once.")),
        ("for_good", say!("nothing helps"), say!("A rule denies for good.")),
        (
            "unreadable",
            say!("unreadable"),
            say!("The data of these contacts cannot be read; tell your operator."),
        ),
    ] {
        if answer[member].as_u64().is_some_and(|count| count > 0) {
            let what = Cell(page.tell(&what), Tone::Plain);
            lines.push(vec![what, said(&answer[member]).into(), page.tell(&sentence).into()]);
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    let columns = [text(say!("In the way")), counts(say!("Contacts")), text(say!("That is"))];
    page.heading(&say!("What no single fact unlocks")) + &page.table(&columns, lines, &say!("none"))
}

/// The rules that stand in the way, with how many each concerns.
pub(crate) fn blocked_by(page: &Page, answer: &Value) -> String {
    let blocked = rows(&answer["blocked_by"]);
    if blocked.is_empty() {
        return String::new();
    }
    let columns = [
        text(say!("Rule")),
        text(say!("What it says")),
        text(say!("Law")),
        counts(say!("Contacts")),
    ];
    let lines = blocked
        .iter()
        .map(|row| {
            vec![
                said(&row["rule"]).into(),
                said(&row["title"]).into(),
                Cell(said(&row["citation"]), Tone::Faint),
                said(&row["contacts"]).into(),
            ]
        })
        .collect();
    page.heading(&say!("Rules in the way")) + &page.table(&columns, lines, &say!("none"))
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;
    use serde_json::json;

    use super::*;
    use crate::page::tests::page;

    fn answer() -> Value {
        json!({ "at": "2026-11-24T14:00:00.000Z", "campaign": "01C", "contact": "01K", "person": "ann",
            "sentence": "Ann must not be called.",
            "numbers": [{ "number": "+1305***0123", "verdict": "refuse", "first_lawful_at": null,
                "sentence": "A consent is missing.",
                "reasons": [{ "rule": "us.tcpa.consent", "title": "Consent", "citation": "47 CFR 64.1200(a)(3)",
                    "sentence": "No written consent is on record.", "first_lawful_at": null,
                    "local_times": [{ "zone": "America/New_York", "text": "09:00" }],
                    "waits_for": "consent" }],
                "obligations": [{ "rule": "us.tsr.identify", "title": "Identify", "citation": "16 CFR 310.4",
                    "sentence": "Say who calls." }] }],
            "state": { "word": "parked", "due_at": null, "waits_for": "consent",
                "since": "2026-11-24T13:00:00.000Z", "sentence": "It waits for a consent." } })
    }

    #[test]
    fn every_reason_is_told_with_its_law_its_local_time_and_from_when_on() {
        let wide = Page { width: 200, ..page(Language::English) };
        let shown = render(&wide, &answer());
        for text in [
            "Ann must not be called.",
            "+1305***0123: must not be called",
            " us.tcpa.consent  No written consent is on record.  47 CFR 64.1200(a)(3)  09:00 America/New_York  once there is: consent",
            " us.tsr.identify  Say who calls.  16 CFR 310.4",
            " State      parked",
            " Since      2026-11-24 13:00:00Z",
        ] {
            assert!(shown.contains(text), "{text:?} in\n{shown}");
        }
        let chinese = render(&page(Language::Chinese), &answer());
        for text in ["不得拨打", "规则", "理由", "法律依据", "等待", "同意"] {
            assert!(chinese.contains(text), "{text} in\n{chinese}");
        }
    }

    #[test]
    fn what_would_deny_and_does_not_is_told_with_what_it_rests_on() {
        let mut number = json!({ "narrowed": false, "lifted": [], "exceptions": [],
            "entries_about_other_purposes": 0 });
        let english = page(Language::English);
        assert_eq!(spared(&english, &number), "");
        number["narrowed"] = json!(true);
        number["lifted"] = json!([{ "suppression": "01E", "consent": "01C" }]);
        number["entries_about_other_purposes"] = json!(2);
        number["exceptions"] = json!([{ "rule": "us.fl.cap", "relies_on": "Act 1" }]);
        let told = spared(&english, &number);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 4, "{told}");
        assert_eq!(lines[1], "Consent 01C lifts the do-not-call entry 01E for such calls.");
        assert_eq!(lines[2], "Do-not-call entries about calls of other purposes: 2");
        assert_eq!(lines[3], "us.fl.cap does not deny: the deployment relies on Act 1.");
    }

    #[test]
    fn what_a_rule_waits_for_is_a_sentence_by_its_kind() {
        let english = page(Language::English);
        for (word, expected) in [
            (json!("suppression"), "not as long as the do-not-call entry stands"),
            (json!("never"), "never"),
            (Value::Null, "never"),
            (json!("pack"), "once a rule pack covers it"),
            (json!("obligation:ai_disclosure"), "once the campaign can do: ai disclosure"),
            (json!("consent"), "once there is: consent"),
            (json!("list:us.dnc"), "once there is: list: us.dnc"),
            (json!("feed"), "once there is: feed"),
            (json!("address"), "once there is: address"),
            (json!("contact"), "once there is: contact"),
        ] {
            assert_eq!(until(&english, &word), expected);
            assert!(!until(&page(Language::Chinese), &word).contains("once"), "{word}");
        }
        let chinese = until(&page(Language::Chinese), &json!("obligation:ai_disclosure"));
        assert_eq!(chinese, "待外呼活动具备：告知由机器通话");
    }

    #[test]
    fn others_with_the_number_are_named_with_how_to_ask_about_them() {
        let other = json!({ "contact": "01KOTHER", "person": "bob", "verdict": "defer",
            "first_lawful_at": "2026-11-25T14:00:00.000Z", "state": { "word": "due" } });
        let wide = Page { width: 200, ..page(Language::English) };
        let shown = others(&wide, &json!([other]), "Spring");
        for text in [
            "Others with the same number",
            " bob     defer    2026-11-25 14:00:00Z  due    01KOTHER",
            "./ringfence why --contact CONTACT --campaign \"Spring\"",
        ] {
            assert!(shown.contains(text), "{text:?} in\n{shown}");
        }
        assert!(!shown.contains("there may be more"), "{shown}");
        let many = others(&wide, &Value::Array(vec![other; 20]), "Spring");
        assert!(many.contains("there may be more"), "{many}");
        assert_eq!(others(&wide, &json!([]), "Spring"), "");
    }

    #[test]
    fn a_cell_names_three_zones_and_counts_the_others() {
        let times = |count: usize| -> Vec<Value> {
            (0..count).map(|n| json!({ "zone": format!("Zone/{n}"), "text": "09:00" })).collect()
        };
        let english = page(Language::English);
        let three = "09:00 Zone/0; 09:00 Zone/1; 09:00 Zone/2";
        assert_eq!(local_times(&english, &times(3)), three);
        assert_eq!(local_times(&english, &times(42)), format!("{three}; and 39 more"));
        assert_eq!(local_times(&english, &[]), "");
    }

    #[test]
    fn a_summary_says_now_later_never_and_what_would_unlock_how_many() {
        let answer = json!({ "at": "2026-11-24T14:00:00.000Z", "contacts": 1200, "callable_now": 1000,
            "later_today": 50, "later": 50, "never": 100, "under_way": 0, "finished": 0,
            "campaign_status": "paused", "needs_several": 3, "for_good": 0,
            "blocked": [{ "waits_for": "suppression", "contacts": 12, "sentence": "An opt-out stands." }],
            "unlock": [{ "waits_for": "consent", "contacts": 80, "sentence": "Ask for consent." },
                       { "waits_for": "list:us.dnc", "contacts": 5, "sentence": "Load a fresh list." }],
            "blocked_by": [{ "rule": "us.tcpa.consent", "title": "Consent", "citation": "47 CFR", "contacts": 80 }] });
        let page = page(Language::English);
        assert_eq!(
            summary(&page, &answer) + &blocked_by(&page, &answer),
            " Contacts  1,200\n As of     2026-11-24 14:00:00Z\nThe campaign is not running (paused): nobody is called.\n\
             \nWhen they can be called\n When                    Contacts\n Now                        1,000\n Later today                   50\n Later                         50\n Never, as things stand       100\n Under way                      0\n Finished                       0\n\
             \nWhat would unlock more\n Missing       Contacts  That is\n consent             80  Ask for consent.\n list: us.dnc         5  Load a fresh list.\n\
             \nWhat no single fact unlocks\n In the way     Contacts  That is\n suppression          12  An opt-out stands.\n several facts         3  Two or more facts are missing at once.\n\
             \nRules in the way\n Rule             What it says  Law     Contacts\n us.tcpa.consent  Consent       47 CFR        80\n"
        );
    }
}
