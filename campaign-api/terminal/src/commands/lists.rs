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
    trouble::Trouble,
};

/// What of a file is sent for a preview: some thousand rows.
const PREVIEW: u64 = 256 * 1024;
/// Between looks at a list that is still being stored.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(desk: &Desk, word: &List) -> Result<(), Trouble> {
    match word {
        List::Import { file, campaign, name, reading } => {
            import(desk, file, campaign, name.as_deref(), reading)
        }
        List::Preview { file, campaign, reading } => {
            preview(desk, file, campaign.as_deref(), reading)
        }
        List::Show { list } => {
            let answer = desk.api.get(&format!("/v1/lists/{}", encoded(list)), &[])?;
            desk.show(&answer, show)
        }
        List::Faults { list, out } => faults(desk, list, out.as_deref()),
        List::Summary { list } => {
            let answer = desk.api.get(&format!("/v1/lists/{}/summary", encoded(list)), &[])?;
            desk.show(&answer, |page, value| summary(page, value) + &blocked_by(page, value))
        }
        List::Template => {
            let template = desk.api.get_text("/v1/lists/template", &[])?;
            if desk.json {
                return print(&format!("{}\n", json!({ "template": template })));
            }
            print(&template)
        }
    }
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

fn import(
    desk: &Desk,
    file: &Path,
    campaign: &str,
    name: Option<&str>,
    reading: &Reading,
) -> Result<(), Trouble> {
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
    desk.show(&answer, |page, list| {
        let id = said(&list["id"]);
        let mut out = show(page, list);
        for remark in list_of(&list["remarks"]) {
            out.push_str(&format!("{}\n", said(remark)));
        }
        if list["rejected"].as_i64().unwrap_or(0) > 0 || list["repaired"].as_i64().unwrap_or(0) > 0
        {
            let next = say!("What was wrong with which row: ./ringfence list faults {id}", id);
            out.push_str(&format!("{}\n", page.tell(&next)));
        }
        let next = say!("Who of them can be called, and when: ./ringfence list summary {id}", id);
        out.push_str(&format!("{}\n", page.tell(&next)));
        out
    })
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

fn faults(desk: &Desk, list: &str, out: Option<&Path>) -> Result<(), Trouble> {
    let path = format!("/v1/lists/{}/faults", encoded(list));
    if let Some(out) = out {
        let mut report = desk.api.get_raw(&path, &[])?.into_body().into_reader();
        let mut file = File::create(out).map_err(|error| config::trouble(out, &error))?;
        std::io::copy(&mut report, &mut file).map_err(|error| config::trouble(out, &error))?;
        let out = out.display().to_string();
        if desk.json {
            return print(&format!("{}\n", json!({ "saved": out })));
        }
        return desk.tell(&say!("saved in {out}", out));
    }
    let report = desk.api.get_text(&path, &[])?;
    let mut reader = csv::Reader::from_reader(report.as_bytes());
    let records: Vec<csv::StringRecord> =
        reader.records().collect::<Result<_, _>>().map_err(|error| desk.api.unreachable(&error))?;
    let cell =
        |record: &csv::StringRecord, at: usize| record.get(at).unwrap_or_default().to_owned();
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
    let columns =
        [counts(say!("Line")), text(say!("Column")), text(say!("Kind")), text(say!("Reason"))];
    let rows = records
        .iter()
        .map(|record| {
            let shown = |at| Cell::from(said(&json!(cell(record, at))));
            vec![shown(0), shown(1), desk.page.word(&cell(record, 3)), shown(2)]
        })
        .collect();
    print(&desk.page.table(&columns, rows, &say!("Every row was good.")))
}
