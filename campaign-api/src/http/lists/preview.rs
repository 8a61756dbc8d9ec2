//! The first rows of a file, read as an import would read them; nothing is stored.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, body::Body, extract::State};
use dialer_types::{CampaignId, E164, Say};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    begin,
    remarks::remarks,
    told::{Params, Reading, named},
    upload::{Upload, counted},
};
use crate::{
    app::App,
    http::{
        auth::{Campaigns as CampaignRight, May},
        error::{Fault, Problem},
    },
    import::{
        columns::{Column, Is, is_phone, masked},
        contact::{Read, Row, Sheet},
        dates, decode,
        records::Record,
    },
    words::told,
};

/// Rows that are shown.
const ROWS: usize = 20;
/// Records that are read for them: the rest may be blank.
const RECORDS: usize = 200;

/// How the first rows of a file would be read.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// The encoding as told or guessed.
    pub encoding: String,
    /// The delimiter as told or guessed: a character or `tab`.
    pub delimiter: String,
    /// Every column of the file.
    pub columns: Vec<PreviewColumn>,
    /// The first rows.
    pub rows: Vec<PreviewRow>,
    /// How many rows were read.
    pub sampled: usize,
    /// Of these, how many would be imported as they are.
    pub good: usize,
    /// How many would be imported with something changed.
    pub repaired: usize,
    /// How many would be rejected.
    pub rejected: usize,
    /// How many are of a person who is there already.
    pub duplicate: usize,
    /// What else is worth knowing.
    pub remarks: Vec<String>,
}

/// A column of the file.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewColumn {
    /// As the file calls it.
    pub header: String,
    /// Which of our columns it is; `null`: it is kept as the file's own, or left out.
    pub field: Option<String>,
    /// Whether that is certain.
    pub sure: bool,
    /// Why.
    pub why: String,
}

/// A row of the file.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewRow {
    /// The line it begins on.
    pub line: u64,
    /// `good`, `repaired`, `rejected` or `duplicate`.
    pub verdict: String,
    /// What stands in it, telephone numbers masked. Nothing of a row that is quarantined.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
    /// What would be changed.
    pub repairs: Vec<Fault>,
    /// Why it would be rejected, or is a duplicate.
    pub faults: Vec<Fault>,
}

/// Reads the first rows of a file as an import would, and stores nothing. The body is the file or
/// its first bytes.
#[utoipa::path(post, path = "/v1/lists/preview", tag = "lists", params(Params),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Preview), (status = "default", body = super::super::error::ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn preview(
    _: May<CampaignRight>,
    State(app): State<Arc<App>>,
    reading: Result<Reading, Problem>,
    body: Body,
) -> Result<Json<Preview>, Problem> {
    let upload = Upload::of(body);
    upload.answered(async { look(&app, reading?, upload.stream()).await }).await
}

async fn look(app: &App, reading: Reading, body: Upload) -> Result<Json<Preview>, Problem> {
    let (mut source, sheet) = begin(counted(body), &reading.told, &app.keys).await?;
    let mut sample = Sample::default();
    for _ in 0..RECORDS {
        if sample.rows.len() >= ROWS {
            break;
        }
        let record = source.records.next().await;
        let Some(record) = record.map_err(|error| Problem::malformed(error.say()))? else { break };
        sample.take(&sheet, record, app.now());
    }
    if let Some(campaign) = reading.campaign {
        sample.know(app, campaign).await?;
    }
    let count = |verdict: &str| sample.rows.iter().filter(|row| row.verdict == verdict).count();
    let said = remarks(&sheet, source.delimiter, sample.blank);
    Ok(Json(Preview {
        encoding: decode::of(&sheet.found).name().to_ascii_lowercase(),
        delimiter: named(source.delimiter),
        columns: sheet.plan.columns.iter().map(column).collect(),
        sampled: sample.rows.len(),
        good: count("good"),
        repaired: count("repaired"),
        rejected: count("rejected"),
        duplicate: count("duplicate"),
        remarks: said.iter().map(told).collect(),
        rows: sample.rows,
    }))
}

fn column(column: &Column) -> PreviewColumn {
    let field = match column.is {
        Is::Ours(name) => Some(name.to_owned()),
        Is::Own | Is::LeftOut => None,
    };
    PreviewColumn {
        header: column.header.clone(),
        field,
        sure: column.sure,
        why: told(&column.why),
    }
}

#[derive(Default)]
struct Sample {
    rows: Vec<PreviewRow>,
    /// By row: the id of its person, where it has one.
    ids: Vec<Option<String>>,
    seen: BTreeSet<String>,
    blank: i64,
}

impl Sample {
    fn take(&mut self, sheet: &Sheet<'_>, record: Record<'_>, now: dialer_types::UnixMillis) {
        let mut row = PreviewRow {
            line: record.line,
            verdict: "rejected".to_owned(),
            fields: Map::new(),
            repairs: Vec::new(),
            faults: Vec::new(),
        };
        let mut id = None;
        match sheet.read(record, now) {
            Read::Blank => {
                self.blank += 1;
                return;
            }
            Read::Card(faults) => row.faults = faults,
            Read::Bad(faults) => {
                row.fields = raw(sheet, record);
                row.faults = faults;
            }
            Read::Good(read, repairs) => {
                row.verdict = if repairs.is_empty() { "good" } else { "repaired" }.to_owned();
                row.fields = shown(&read);
                row.repairs = repairs;
                if self.seen.insert(read.external_id.clone()) {
                    id = Some(read.external_id);
                } else {
                    row.duplicate("its person is in an earlier line already".into());
                }
            }
        }
        self.rows.push(row);
        self.ids.push(id);
    }

    /// Who of them is in the campaign.
    async fn know(&mut self, app: &App, campaign: CampaignId) -> Result<(), Problem> {
        let held: Vec<String> = sqlx::query_scalar(
            "SELECT p.external_id FROM contact c JOIN person p ON p.subject_id = c.person_subject
             WHERE c.campaign_id = $1 AND p.external_id = ANY($2)",
        )
        .bind(Uuid::from_u128(campaign.0))
        .bind(self.ids.iter().flatten().cloned().collect::<Vec<_>>())
        .fetch_all(&app.pool)
        .await?;
        for (row, id) in self.rows.iter_mut().zip(&self.ids) {
            if id.as_ref().is_some_and(|id| held.contains(id)) {
                row.duplicate("its person is in the campaign already".into());
            }
        }
        Ok(())
    }
}

impl PreviewRow {
    fn duplicate(&mut self, reason: Say) {
        "duplicate".clone_into(&mut self.verdict);
        self.faults.push(Fault { line: Some(self.line), field: "external_id".to_owned(), reason });
    }
}

/// A good row, by the names of the columns.
fn shown(row: &Row) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), Value::String(value));
        }
    };
    put("external_id", Some(id(&row.external_id)));
    for (place, (number, line)) in (1..).zip(&row.numbers) {
        put(&format!("phone_{place}"), Some(E164::to_string(number)));
        put(&format!("line_{place}"), Some(line.to_string()));
    }
    put("country", row.country.clone());
    put("region", row.region.clone());
    put("postal_code", row.postal_code.as_deref().map(masked));
    put("time_zone", row.time_zone.clone());
    put("account", row.account.as_deref().map(id));
    put("party_type", Some(row.party_type.to_string()));
    put("party_role", Some(row.party_role.to_string()));
    if let Some((kind, since)) = row.relationship {
        put("relationship", Some(kind.to_owned()));
        put("relationship_since", Some(since.to_string()));
    }
    for (place, consent) in (1..).zip(&row.consents) {
        put(&format!("consent_{place}_form"), Some(consent.form.to_owned()));
        put(&format!("consent_{place}_purpose"), Some(consent.purpose.to_string()));
        let at = crate::http::time::Time(consent.at).text();
        put(&format!("consent_{place}_at"), Some(at));
    }
    if row.do_not_call {
        put("do_not_call", Some("yes".to_owned()));
    }
    for (name, value) in &row.own {
        put(name, value.as_str().map(hidden));
    }
    fields
}

/// The cells of a row that would be rejected, by the names of the columns.
fn raw(sheet: &Sheet<'_>, record: Record<'_>) -> Map<String, Value> {
    let cells = sheet.plan.columns.iter().enumerate().filter_map(|(at, column)| {
        let text = String::from_utf8_lossy(record.get(at)?);
        let text = text.trim();
        let number = matches!(column.is, Is::Ours(name) if is_phone(name));
        let text = match column.is {
            _ if number => masked(text),
            Is::Ours("external_id" | "account") => id(text),
            _ => hidden(text),
        };
        (!text.is_empty()).then(|| (column.name().to_owned(), Value::String(text)))
    });
    cells.collect()
}

/// An id as it will be stored. One of digits alone may be somebody's number; in one with letters they
/// are the id's own, as in the codes that the import makes.
fn id(text: &str) -> String {
    let letters = text.chars().any(char::is_alphabetic);
    let single = text.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if letters && single { text.to_owned() } else { masked(text) }
}

/// Digits may be somebody's number; those of a date are not.
fn hidden(text: &str) -> String {
    if dates::date(text).is_ok() || dates::moment(text, None).is_ok() {
        text.to_owned()
    } else {
        masked(text)
    }
}
