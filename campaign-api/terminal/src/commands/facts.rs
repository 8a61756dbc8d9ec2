//! The contacts of a campaign, and attempts made elsewhere.

use std::fs::File;

use dialer_types::say;
use serde_json::Value;

use super::trunks::items;
use crate::{
    arguments::{Contact, Earlier},
    config,
    desk::Desk,
    find::{Kind, find},
    page::{Cell, Page, Tone, counts, said, text},
    trouble::{DONE, REFUSED, Trouble},
};

pub(crate) fn contacts(desk: &Desk, word: &Contact) -> Result<(), Trouble> {
    let Contact::List { campaign, state, cause, part } = word;
    let id = find(&desk.api, Kind::Campaign, campaign)?;
    let answer = desk.api.get(
        &format!("/v1/campaigns/{id}/contacts"),
        &[
            ("state", state.as_deref()),
            ("cause", cause.as_deref()),
            ("after", part.after.as_deref()),
            ("limit", Some(&part.limit.to_string())),
        ],
    )?;
    desk.show(&answer, contact_table)
}

fn contact_table(page: &Page, answer: &Value) -> String {
    let columns = [
        text(say!("Person")),
        text(say!("Numbers")),
        text(say!("State")),
        text(say!("Waits for")),
        text(say!("Due")),
        text(say!("Because of")),
        text(say!("Last disposition")),
        text(say!("Contact")),
    ];
    let rows = items(answer)
        .iter()
        .map(|contact| {
            let because = match said(&contact["rules"]) {
                rules if rules.is_empty() => page.word_of(&contact["because"]).0,
                rules => rules,
            };
            vec![
                said(&contact["person"]).into(),
                said(&contact["numbers"]).into(),
                page.word_of(&contact["state"]),
                Cell(page.word_of(&contact["cause"]).0, Tone::Plain),
                page.moment(&contact["due_at"]).into(),
                because.into(),
                page.word_of(&contact["last_disposition"]),
                said(&contact["id"]).into(),
            ]
        })
        .collect();
    page.table(&columns, rows, &say!("No contact fits.")) + &more(page, answer)
}

/// Where a long answer goes on.
pub(crate) fn more(page: &Page, answer: &Value) -> String {
    let next = said(&answer["next"]);
    if next.is_empty() {
        return String::new();
    }
    let there_is = say!("There is more: the same command with --after {next}", next);
    format!("{}\n", page.tone(&page.tell(&there_is), Tone::Faint))
}

/// Gives the exit code: a file of which nothing could be recorded is no success.
pub(crate) fn earlier(desk: &Desk, word: &Earlier) -> Result<u8, Trouble> {
    let Earlier::Import { file } = word;
    let source = File::open(file).map_err(|error| config::trouble(file, &error))?;
    let length = source.metadata().map_err(|error| config::trouble(file, &error))?.len();
    let bar = desk.bar(length, "{bar:40.green} {bytes}/{total_bytes} {bytes_per_sec}");
    let answer = desk.api.upload("/v1/earlier-attempts", &[], &mut bar.wrap_read(source))?;
    bar.finish_and_clear();
    desk.show(&answer, earlier_report)?;
    let report = &answer.value;
    let nothing = ["recorded", "duplicates"].iter().all(|name| report[name] == 0)
        && report["rejected"].as_i64() > Some(0);
    Ok(if nothing { REFUSED } else { DONE })
}

fn earlier_report(page: &Page, report: &Value) -> String {
    let columns = [counts(say!("Line")), text(say!("Field")), text(say!("Reason"))];
    let faults = report["faults"].as_array().into_iter().flatten();
    let rows: Vec<Vec<Cell>> = faults
        .map(|fault| ["line", "field", "reason"].map(|name| said(&fault[name]).into()).to_vec())
        .collect();
    let mut out = page.facts(vec![
        (say!("Recorded"), said(&report["recorded"]).into()),
        (say!("On record already"), said(&report["duplicates"]).into()),
        (say!("Rejected"), said(&report["rejected"]).into()),
    ]);
    if !rows.is_empty() {
        out.push_str(&page.heading(&say!("What was not recorded, and why")));
        out.push_str(&page.table(&columns, rows, &say!("none")));
    }
    out
}
