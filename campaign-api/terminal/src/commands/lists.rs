//! Contact lists: previewed, imported, looked at.

use std::{fs::File, io::Read as _, path::Path, thread, time::Duration};

use dialer_types::say;
use serde_json::{Value, json};

use super::why::{blocked_by, summary};
use crate::{
    api::{Answer, encoded},
    arguments::{List, Reading},
    config,
    desk::{Desk, print},
    find::{Kind, find, find_if},
    page::{Cell, Page, Tone, counts, said, text},
    trouble::{DONE, REFUSED, Trouble},
};

/// What of a file is sent for a preview: some thousand rows.
const PREVIEW: u64 = 256 * 1024;
/// Between looks at a list that is still being stored.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(desk: &Desk, word: &List) -> Result<u8, Trouble> {
    match word {
        List::Import { file, campaign, name, reading } => {
            return import(desk, file, campaign, name.as_deref(), reading);
        }
        List::Preview { file, campaign, reading } => {
            preview(desk, file, campaign.as_deref(), reading)
        }
        List::All { campaign } => {
            let campaign = find(&desk.api, Kind::Campaign, campaign)?;
            let answer = desk.api.get(&format!("/v1/campaigns/{campaign}/lists"), &[])?;
            desk.show(&answer, all)
        }
        List::Show { list } => {
            let answer = desk.api.get(&format!("/v1/lists/{}", encoded(list)), &[])?;
            desk.show(&answer, show)
        }
        List::Faults { list, about, out } => faults(desk, list, about, out.as_deref()),
        List::Summary { list } => {
            let answer = desk.api.get(&format!("/v1/lists/{}/summary", encoded(list)), &[])?;
            desk.show(&answer, |page, value| summary(page, value) + &blocked_by(page, value))
        }
        List::Template => template(desk),
    }
    .map(|()| DONE)
}

fn template(desk: &Desk) -> Result<(), Trouble> {
    let template = desk.api.get_text("/v1/lists/template", &[])?;
    if desk.json {
        return print(&format!("{}\n", json!({ "template": template })));
    }
    print(&template)
}

/// The query that says how a file is to be read.
struct Asked {
    columns: Option<String>,
    delimiter: Option<String>,
}

impl Asked {
    fn new(reading: &Reading) -> Self {
        let columns: Vec<String> =
            reading.column.iter().map(|(header, field)| format!("{header}:{field}")).collect();
        let delimiter = reading.delimiter.as_deref().map(|delimiter| match delimiter {
            "\t" | "\\t" => "tab".to_owned(),
            "|" => "pipe".to_owned(),
            other => other.to_owned(),
        });
        Self { columns: (!columns.is_empty()).then(|| columns.join(",")), delimiter }
    }

    fn query<'a>(
        &'a self,
        reading: &'a Reading,
        rest: &[(&'a str, Option<&'a str>)],
    ) -> Vec<(&'a str, Option<&'a str>)> {
        let mut query = rest.to_vec();
        query.push(("region", reading.region.as_deref()));
        query.push(("encoding", reading.encoding.as_deref()));
        query.push(("delimiter", self.delimiter.as_deref()));
        query.push(("columns", self.columns.as_deref()));
        query.push(("identify", reading.identify_by_number.then_some("number")));
        query
    }
}

fn open(file: &Path) -> Result<(File, u64), Trouble> {
    let source = File::open(file).map_err(|error| config::trouble(file, &error))?;
    let about = source.metadata().map_err(|error| config::trouble(file, &error))?;
    if about.is_dir() {
        return Err(config::trouble(file, &"a folder, not a file"));
    }
    Ok((source, about.len()))
}

/// Gives the exit code.
fn import(
    desk: &Desk,
    file: &Path,
    campaign: &str,
    name: Option<&str>,
    reading: &Reading,
) -> Result<u8, Trouble> {
    let (source, length) = open(file)?;
    let campaign = find(&desk.api, Kind::Campaign, campaign)?;
    let own = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = name.map(str::to_owned).or(own).unwrap_or_default();
    let asked = Asked::new(reading);
    let query = asked.query(reading, &[("name", Some(&name))]);
    let bar = desk.bar(length, "{bar:40.green} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let path = format!("/v1/campaigns/{campaign}/lists");
    let mut answer = desk.api.upload(&path, &query, &mut bar.wrap_read(source))?;
    bar.finish_and_clear();
    if answer.value["state"] == "importing" {
        answer = stored(desk, &answer)?;
    }
    desk.show(&answer, imported)?;
    Ok(if is_refused(&answer.value) { REFUSED } else { DONE })
}

/// The lists of a campaign.
fn all(page: &Page, answer: &Value) -> String {
    let columns = [
        text(say!("List")),
        text(say!("State")),
        counts(say!("Rows")),
        counts(say!("Imported")),
        counts(say!("Rejected")),
        counts(say!("Duplicates")),
        text(say!("Id")),
    ];
    let rows = answer["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|list| {
            vec![
                said(&list["name"]).into(),
                page.word_of(&list["state"]),
                said(&list["rows"]).into(),
                said(&list["imported"]).into(),
                said(&list["rejected"]).into(),
                said(&list["duplicates"]).into(),
                said(&list["id"]).into(),
            ]
        })
        .collect();
    page.table(
        &columns,
        rows,
        &say!("The campaign has no list yet: ./ringfence list import FILE --campaign NAME"),
    )
}

/// Whether nothing of a file was taken. A row that is in already is no failure: importing the same
/// file again does no harm.
fn is_refused(list: &Value) -> bool {
    let none = |member: &str| list[member] == 0;
    list["state"] == "failed" || (!none("rejected") && none("imported") && none("duplicates"))
}

fn imported(page: &Page, list: &Value) -> String {
    let id = said(&list["id"]);
    let mut out = show(page, list);
    for remark in list_of(&list["remarks"]) {
        out.push_str(&format!("{}\n", said(remark)));
    }
    let told = ["rejected", "repaired", "duplicates"];
    if told.iter().any(|member| list[*member].as_i64().unwrap_or(0) > 0) {
        let next = say!("What was wrong with which row: ./ringfence list faults {id}", id);
        out.push_str(&format!("{}\n", page.tell(&next)));
    }
    if is_refused(list) && list["imported"] == 0 {
        let nothing = page.tell(&say!("No row became a contact."));
        out.push_str(&format!("{}\n", page.tone(&nothing, Tone::Bad)));
        return out;
    }
    let next = say!("Who of them can be called, and when: ./ringfence list summary {id}", id);
    out + &format!("{}\n", page.tell(&next))
}

/// Waits until the last row of a list is stored.
fn stored(desk: &Desk, begun: &Answer) -> Result<Answer, Trouble> {
    let path = format!("/v1/lists/{}", encoded(&said(&begun.value["id"])));
    let bar = desk.bar(0, "{spinner} {pos}");
    loop {
        let answer = desk.api.get(&path, &[])?;
        bar.set_position(answer.value["rows"].as_u64().unwrap_or(0));
        if answer.value["state"] != "importing" {
            bar.finish_and_clear();
            return Ok(answer);
        }
        thread::sleep(LOOK);
    }
}

fn show(page: &Page, list: &Value) -> String {
    let tone = |member: &str, tone: Tone| {
        let count = said(&list[member]);
        let tone = if list[member].as_i64() == Some(0) { Tone::Plain } else { tone };
        Cell(count, tone)
    };
    page.facts(vec![
        (say!("List"), said(&list["name"]).into()),
        (say!("ID"), said(&list["id"]).into()),
        (say!("State"), page.word_of(&list["state"])),
        (say!("Failure"), Cell(said(&list["failure"]), Tone::Bad)),
        (say!("Rows"), said(&list["rows"]).into()),
        (say!("Imported"), tone("imported", Tone::Good)),
        (say!("of these repaired"), tone("repaired", Tone::Warn)),
        (say!("Rejected"), tone("rejected", Tone::Bad)),
        (say!("of these held back as card numbers"), tone("quarantined", Tone::Bad)),
        (say!("Duplicates"), tone("duplicates", Tone::Warn)),
        (say!("Made"), page.moment(&list["created_at"]).into()),
    ])
}

fn preview(
    desk: &Desk,
    file: &Path,
    campaign: Option<&str>,
    reading: &Reading,
) -> Result<(), Trouble> {
    let (source, _) = open(file)?;
    let campaign = find_if(&desk.api, Kind::Campaign, campaign)?;
    let asked = Asked::new(reading);
    let query = asked.query(reading, &[("campaign", campaign.as_deref())]);
    let answer = desk.api.upload("/v1/lists/preview", &query, &mut source.take(PREVIEW))?;
    desk.show(&answer, render_preview)
}

fn list_of(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn render_preview(page: &Page, answer: &Value) -> String {
    let delimiter = match answer["delimiter"].as_str() {
        Some("\t") => "tab".to_owned(),
        _ => said(&answer["delimiter"]),
    };
    let mut out = page.facts(vec![
        (say!("Encoding"), said(&answer["encoding"]).into()),
        (say!("Delimiter"), delimiter.into()),
    ]);
    for remark in list_of(&answer["remarks"]) {
        out.push_str(&page.tone(&said(remark), Tone::Warn));
        out.push('\n');
    }
    let columns =
        [text(say!("Column")), text(say!("Read as")), text(say!("Sure")), text(say!("Why"))];
    let rows = list_of(&answer["columns"])
        .map(|column| {
            let field = match column["field"].as_str() {
                Some(field) => Cell(field.to_owned(), Tone::Good),
                None => Cell(page.tell(&say!("not used")), Tone::Faint),
            };
            let sure = column["sure"].as_bool().unwrap_or(false);
            vec![
                said(&column["header"]).into(),
                field,
                page.yes_no(sure).into(),
                said(&column["why"]).into(),
            ]
        })
        .collect();
    out.push_str(&page.heading(&say!("Columns")));
    out.push_str(&page.table(&columns, rows, &say!("none")));
    out.push_str(&page.heading(&say!("First rows")));
    out.push_str(&row_table(page, answer));
    let told = say!(
        "Of {sampled} rows: {good} good, {repaired} repaired, {rejected} rejected, {duplicate} duplicate. Nothing is stored yet.",
        sampled = said(&answer["sampled"]),
        good = said(&answer["good"]),
        repaired = said(&answer["repaired"]),
        rejected = said(&answer["rejected"]),
        duplicate = said(&answer["duplicate"]),
    );
    out.push_str(&format!("\n{}\n", page.tell(&told)));
    out.push_str(&page.tell(&say!("A column is read otherwise with --column 'Its header=phone_1'; then: ./ringfence list import FILE --campaign NAME")));
    out.push('\n');
    out
}

fn row_table(page: &Page, answer: &Value) -> String {
    let columns =
        [counts(say!("Line")), text(say!("Verdict")), text(say!("Fields")), text(say!("Remarks"))];
    let rows = list_of(&answer["rows"])
        .map(|row| {
            let fields: Vec<String> = row["fields"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name}={}", said(value)))
                .collect();
            let remarks: Vec<String> = list_of(&row["faults"])
                .chain(list_of(&row["repairs"]))
                .map(|remark| format!("{}: {}", said(&remark["field"]), said(&remark["reason"])))
                .collect();
            vec![
                said(&row["line"]).into(),
                page.word_of(&row["verdict"]),
                fields.join(" ").into(),
                remarks.join("; ").into(),
            ]
        })
        .collect();
    page.table(&columns, rows, &say!("The file has no rows."))
}

fn faults(desk: &Desk, list: &str, about: &str, out: Option<&Path>) -> Result<(), Trouble> {
    let path = format!("/v1/lists/{}/faults", encoded(list));
    let query = [("about", Some(about))];
    if let Some(out) = out {
        let mut report = desk.api.get_raw(&path, &query)?.into_body().into_reader();
        let mut file = File::create(out).map_err(|error| config::trouble(out, &error))?;
        std::io::copy(&mut report, &mut file).map_err(|error| config::trouble(out, &error))?;
        let out = out.display().to_string();
        if desk.json {
            return print(&format!("{}\n", json!({ "saved": out })));
        }
        return desk.tell(&say!("saved in {out}", out));
    }
    let report = desk.api.get_text(&path, &query)?;
    let mut reader = csv::Reader::from_reader(report.as_bytes());
    let records: Vec<csv::StringRecord> =
        reader.records().collect::<Result<_, _>>().map_err(|error| desk.api.unreachable(&error))?;
    if desk.json {
        let items: Vec<Value> = records
            .iter()
            .map(|record| {
                json!({ "line": cell(record, 0).parse::<u64>().ok(), "column": cell(record, 1),
                    "reason": cell(record, 2), "kind": cell(record, 3) })
            })
            .collect();
        return print(&format!("{}\n", json!({ "items": items })));
    }
    print(&fault_table(&desk.page, &records, about))
}

fn cell(record: &csv::StringRecord, at: usize) -> String {
    record.get(at).unwrap_or_default().to_owned()
}

fn fault_table(page: &Page, records: &[csv::StringRecord], about: &str) -> String {
    let columns =
        [counts(say!("Line")), text(say!("Column")), text(say!("Kind")), text(say!("Reason"))];
    let rows = records
        .iter()
        .map(|record| {
            let shown = |at| Cell::from(said(&json!(cell(record, at))));
            vec![shown(0), shown(1), kind(page, &cell(record, 3)), shown(2)]
        })
        .collect();
    let empty = match about {
        "rejected" => say!("No row was rejected."),
        "repaired" => say!("No row was repaired."),
        "duplicate" => say!("No row is a duplicate."),
        _ => say!("Every row was good."),
    };
    page.table(&columns, rows, &empty)
}

/// What became of the row, in the words of the list's counts.
fn kind(page: &Page, word: &str) -> Cell {
    match word {
        "fault" => page.word("rejected"),
        "repair" => page.word("repaired"),
        "card" => Cell(page.tell(&say!("card number, held back")), Tone::Bad),
        other => page.word(other),
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;

    use super::*;
    use crate::page::tests::page;

    #[test]
    fn every_fault_is_shown_with_what_became_of_its_row() {
        let english = page(Language::English);
        let records = ["fault", "card", "repair", "duplicate"]
            .map(|kind| csv::StringRecord::from(vec!["2", "phone_1", "why", kind]));
        let shown = fault_table(&english, &records, "all");
        for kind in ["rejected", "card number, held back", "repaired", "duplicate"] {
            assert!(shown.contains(&format!("phone_1  {kind} ")), "{kind} in\n{shown}");
        }
        assert_eq!(fault_table(&english, &[], "all"), "Every row was good.\n");
        assert_eq!(fault_table(&english, &[], "rejected"), "No row was rejected.\n");
        assert_eq!(fault_table(&english, &[], "duplicate"), "No row is a duplicate.\n");
    }

    #[test]
    fn only_a_list_of_which_nothing_was_taken_is_refused() {
        let list = |imported, rejected, duplicates| {
            let counts = json!({ "state": "imported", "imported": imported, "rejected": rejected,
                "duplicates": duplicates });
            is_refused(&counts)
        };
        assert!(list(0, 5, 0));
        assert!(!list(1, 4, 0), "some rows were good");
        assert!(!list(0, 3, 39), "imported again: who is in stays in");
        assert!(!list(0, 0, 0), "a header and nothing else");
        assert!(is_refused(&json!({ "state": "failed", "imported": 7 })));
    }
}
