//! Contact lists: imported from CSV, streamed, with every fault of every row on record.

pub mod preview;
mod remarks;
mod report;
pub mod told;
mod upload;

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use dialer_types::{CampaignId, ListId, Mint, Say, SellerId, SellerNo, UnixMillis, say};
use schema::numbers::NumberKeys;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    audit::csv_line,
    auth::{Campaigns as CampaignRight, Look, May},
    campaigns::announce,
    error::Problem,
    extract::{Asked, Faults, Id},
    sellers::number_of,
    time::Time,
};
use crate::{
    app::App,
    events,
    import::{
        batch::{Batch, Stored, Target},
        columns::Plan,
        contact::{Sheet, template as template_text},
        decode,
        records::{Breaks, Records, RecordsError},
        row::Header,
        source::{self, Source, Told},
    },
    words::{self, in_language},
};
use remarks::remarks;
use told::{Params, Reading, named};
use upload::{Upload, counted};

/// Faults read at once for the report.
const AT_ONCE: i64 = 1000;
/// Tries to store a batch when the database finds a deadlock.
const TRIES: u32 = 3;
/// Repairs and duplicates that are told one by one; the rest is counted only.
const NOTES: usize = 100_000;
/// A batch is stored after this time even if it is not full, so that the list shows life.
const AT_LEAST_EVERY: i64 = 30_000;
/// An import that stored nothing for this long was interrupted: longer than the time between two
/// batches, the patience with a silent sender and that with Postgres together.
const INTERRUPTED_AFTER: i64 = 5 * 60_000;
/// From so many rows on, a list is worth a second of looking at the tables anew.
const MANY: i64 = 1_000;

/// An imported file. `rows` is `imported` and `rejected` and `duplicates`, always.
#[derive(Debug, Serialize, ToSchema)]
pub struct List {
    /// ULID.
    #[schema(value_type = String)]
    pub id: ListId,
    /// ULID.
    #[schema(value_type = String)]
    pub campaign: CampaignId,
    /// Its name.
    pub name: String,
    /// `importing`, `imported` or `failed`.
    pub state: String,
    /// Rows read, the header and blank rows not among them.
    pub rows: i64,
    /// Rows that became contacts.
    pub imported: i64,
    /// Rows with faults: see `faults`.
    pub rejected: i64,
    /// Rows whose `external_id` the campaign had already.
    pub duplicates: i64,
    /// Of the imported: rows in which something was changed to read them.
    pub repaired: i64,
    /// Of the rejected: rows that held what passes for a payment card number.
    pub quarantined: i64,
    /// Rows without anything in them, which are not counted as rows.
    pub blank: i64,
    /// Why it failed; what came before is kept.
    pub failure: Option<String>,
    /// Where the report of faults is.
    pub faults: String,
    /// How the file was read, in the answer to the import.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// When it was begun.
    pub created_at: Time,
}

/// Imports a contact list into a campaign. The body is CSV with a header in any usual encoding and
/// is streamed; what is not said about it is guessed, as in the preview. Good rows are kept
/// whatever else is wrong.
#[utoipa::path(post, path = "/v1/lists", tag = "lists", params(Params),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 201, body = List), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn create(
    _: May<CampaignRight>,
    State(app): State<Arc<App>>,
    reading: Result<Reading, Problem>,
    body: Body,
) -> Result<(StatusCode, Json<List>), Problem> {
    let upload = Upload::of(body);
    let answer = async {
        let reading = reading?;
        let Some(campaign) = reading.campaign else {
            let mut faults = Faults::default();
            faults.add("campaign", "is missing: say into which campaign (campaign=ULID)");
            return faults.finish().and(Err(Problem::malformed("campaign is missing")));
        };
        take(&app, campaign, reading, upload.stream()).await
    };
    upload.answered(answer).await
}

/// As `POST /v1/lists`, with the campaign in the address.
#[utoipa::path(post, path = "/v1/campaigns/{id}/lists", tag = "lists",
    params(("id" = String, Path, description = "ULID of the campaign"), Params),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 201, body = List), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn import(
    _: May<CampaignRight>,
    State(app): State<Arc<App>>,
    Id(campaign): Id<CampaignId>,
    reading: Result<Reading, Problem>,
    body: Body,
) -> Result<(StatusCode, Json<List>), Problem> {
    let upload = Upload::of(body);
    upload.answered(async { take(&app, campaign, reading?, upload.stream()).await }).await
}

async fn take(
    app: &App,
    campaign: CampaignId,
    reading: Reading,
    body: Upload,
) -> Result<(StatusCode, Json<List>), Problem> {
    let mut faults = Faults::default();
    let name = reading.name.unwrap_or_default();
    faults.text("name", &name, 200);
    faults.finish()?;
    let (mut source, sheet) = begin(counted(body), &reading.told, &app.keys).await?;
    let mut connection = app.pool.acquire().await?;
    let seller: Uuid = sqlx::query_scalar("SELECT seller_id FROM campaign WHERE id = $1")
        .bind(Uuid::from_u128(campaign.0))
        .fetch_optional(&mut *connection)
        .await?
        .ok_or_else(|| Problem::not_found(say!("no campaign {campaign}", campaign)))?;
    let seller = SellerId(seller.as_u128());
    let seller_no = number_of(&mut connection, seller).await?;
    fail_interrupted(&mut connection, app.now()).await?;
    let target = Target {
        campaign,
        seller,
        seller_no: SellerNo(u32::try_from(seller_no).map_err(Problem::internal)?),
        list: ListId(app.ulid()),
        name: &name,
        keys: &app.keys,
    };
    sqlx::query(
        "INSERT INTO contact_list (id, campaign_id, name, state, created_at, touched_at)
         VALUES ($1, $2, $3, 'importing', $4, $4)",
    )
    .bind(Uuid::from_u128(target.list.0))
    .bind(Uuid::from_u128(campaign.0))
    .bind(&name)
    .bind(app.now().0)
    .execute(&mut *connection)
    .await?;
    let outcome = fill(app, &mut connection, &target, &sheet, &mut source.records).await;
    let closed = close(&mut connection, target.list, &outcome).await;
    announce(app, campaign, "imported").await;
    match outcome {
        Ok(blank) => {
            closed?;
            let mut list = load(&mut connection, target.list).await?;
            if list.imported >= MANY {
                refresh_statistics(&mut connection).await;
            }
            list.remarks =
                remarks(&sheet, source.delimiter, blank).iter().map(words::told).collect();
            Ok((StatusCode::CREATED, Json(list)))
        }
        Err(Failure::File(error)) => Err(Problem::list_failed(target.list, error.say())),
        Err(Failure::Store(problem)) => Err(problem),
    }
}

/// Postgres looks by itself within a minute. Until then it reads a new list from end to end for each
/// batch of calls, for want of knowing how large it is.
async fn refresh_statistics(connection: &mut PgConnection) {
    let refreshed = sqlx::query("SELECT refresh_statistics()").execute(connection).await;
    if let Err(error) = refreshed {
        tracing::warn!(%error, "the tables' statistics are left to Postgres");
    }
}

/// After a lost connection this fails too; the list is told to have failed when it was not touched
/// for long.
async fn close(
    connection: &mut PgConnection,
    list: ListId,
    outcome: &Result<i64, Failure>,
) -> Result<(), sqlx::Error> {
    let (state, failure) = match outcome {
        Ok(_) => ("imported", None),
        Err(Failure::File(error)) => ("failed", Some(error.say())),
        Err(Failure::Store(_)) => ("failed", Some("Postgres did not take a batch".into())),
    };
    sqlx::query("UPDATE contact_list SET state = $2, failure = $3, failure_said = $4 WHERE id = $1")
        .bind(Uuid::from_u128(list.0))
        .bind(state)
        .bind(failure.as_ref().map(Say::to_string))
        .bind(failure.as_ref().and_then(|said| serde_json::to_string(said).ok()))
        .execute(connection)
        .await
        .map(|_| ())
}

/// Imports whose process or sender is gone.
async fn fail_interrupted(
    connection: &mut PgConnection,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    let said = Say::of(
        "the import was interrupted; import the file again: rows that are there count as duplicates",
    );
    sqlx::query(
        "UPDATE contact_list SET state = 'failed', failure = $2, failure_said = $3
         WHERE state = 'importing' AND touched_at < $1",
    )
    .bind(now.0.saturating_sub(INTERRUPTED_AFTER))
    .bind(said.to_string())
    .bind(serde_json::to_string(&said).ok())
    .execute(connection)
    .await
    .map(|_| ())
}

/// Opens a file and reads its header.
async fn begin<'k, S>(
    body: S,
    told: &Told,
    keys: &'k NumberKeys,
) -> Result<(Source, Sheet<'k>), Problem>
where
    S: futures_util::Stream<Item = Result<Bytes, String>> + Unpin + Send + 'static,
{
    let mut source = source::open(body, told).await.map_err(Problem::malformed)?;
    let plan = match source.records.next().await {
        Ok(Some(record)) => {
            let encoding = decode::of(&source.found).name().to_ascii_lowercase();
            let read_as = [encoding.as_str(), &named(source.delimiter)];
            Plan::guess(record, told, read_as).map_err(Problem::invalid)?
        }
        Ok(None) => return Err(Problem::malformed("the file is empty: it needs a header line")),
        Err(error) => return Err(Problem::malformed(error.say())),
    };
    source.records.expect(plan.columns.len());
    let found = Arc::clone(&source.found);
    Ok((source, Sheet { plan, region: told.region, by_number: told.by_number, found, keys }))
}

/// Why an import stopped. What was stored before stays.
enum Failure {
    File(RecordsError),
    Store(Problem),
}

/// Stores every row; says how many were blank.
async fn fill<S, E>(
    app: &App,
    connection: &mut PgConnection,
    target: &Target<'_>,
    sheet: &Sheet<'_>,
    records: &mut Records<S>,
) -> Result<i64, Failure>
where
    S: futures_util::Stream<Item = Result<Bytes, E>> + Unpin,
    E: Breaks,
{
    let mut mint = app.new_mint().map_err(|error| Failure::Store(Problem::internal(error)))?;
    let mut batch = Batch::default();
    let (mut room, mut blank, mut stored_at) = (NOTES, 0, app.now());
    let (mut opted_out, mut ended) = (false, None);
    while ended.is_none() {
        let now = app.now();
        match records.next().await {
            Ok(Some(record)) => batch.push(sheet.read(record, now)),
            Ok(None) => ended = Some(Ok(())),
            Err(error) => ended = Some(Err(Failure::File(error))),
        }
        if ended.is_some() || batch.is_full() || now.0 - stored_at.0 > AT_LEAST_EVERY {
            let stored = store(app, connection, target, &mut mint, &batch, room).await?;
            room = room.saturating_sub(stored.told);
            opted_out |= stored.opted_out;
            blank += stored.blank;
            stored_at = now;
            batch = Batch::default();
        }
    }
    if opted_out {
        // As of a suppression: answered when every dialer knows.
        events::opted_out(app, &[]).await;
    }
    ended.unwrap_or(Ok(())).map(|()| blank)
}

async fn store(
    app: &App,
    connection: &mut PgConnection,
    target: &Target<'_>,
    mint: &mut Mint,
    batch: &Batch,
    room: usize,
) -> Result<Stored, Failure> {
    let mut tries = 0;
    // An import takes minutes, and each batch records consents of this moment.
    app.fit().map_err(Failure::Store)?;
    let stored = loop {
        tries += 1;
        match batch.store(connection, target, mint, room, app.now()).await {
            Err(problem) if problem.is_try_again() && tries < TRIES => {}
            other => break other.map_err(Failure::Store)?,
        }
    };
    for (result, rows) in [
        ("imported", stored.imported),
        ("rejected", stored.rejected),
        ("duplicate", stored.duplicates),
    ] {
        let rows = u64::try_from(rows).unwrap_or(0);
        app.metrics.import_rows.with_label_values(&[result]).inc_by(rows);
    }
    events::follow(app, &stored.moved).await;
    Ok(stored)
}

/// The body, up to a bound.
pub(super) fn limited(
    body: Body,
) -> impl futures_util::Stream<Item = Result<Bytes, String>> + Unpin {
    counted(body.into_data_stream())
}

/// The first record of a file.
pub(super) async fn read_header<S, E>(
    records: &mut Records<S>,
    known: &[&str],
    needed: &[&str],
) -> Result<Header, Problem>
where
    S: futures_util::Stream<Item = Result<Bytes, E>> + Unpin,
    E: Breaks,
{
    match records.next().await {
        Ok(Some(record)) => Header::read(record, known, needed).map_err(Problem::invalid),
        Ok(None) => Err(Problem::malformed("the file is empty: it needs a header line")),
        Err(error) => Err(Problem::malformed(error.say())),
    }
}

const COLUMNS: &str = "SELECT id, campaign_id, name, state, rows, imported, rejected, duplicates,
    repaired, quarantined, blank, failure, failure_said, created_at FROM contact_list";

async fn load(connection: &mut PgConnection, id: ListId) -> Result<List, Problem> {
    let row = sqlx::query(AssertSqlSafe(format!("{COLUMNS} WHERE id = $1")))
        .bind(Uuid::from_u128(id.0))
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| Problem::not_found(say!("no list {list}", list = id)))?;
    Ok(list_of(&row)?)
}

fn list_of(row: &PgRow) -> Result<List, sqlx::Error> {
    let id = ListId(row.try_get::<Uuid, _>(0)?.as_u128());
    let failure: Option<String> = row.try_get(11)?;
    let said: Option<String> = row.try_get(12)?;
    Ok(List {
        id,
        campaign: CampaignId(row.try_get::<Uuid, _>(1)?.as_u128()),
        name: row.try_get(2)?,
        state: row.try_get(3)?,
        rows: row.try_get(4)?,
        imported: row.try_get(5)?,
        rejected: row.try_get(6)?,
        duplicates: row.try_get(7)?,
        repaired: row.try_get(8)?,
        quarantined: row.try_get(9)?,
        blank: row.try_get(10)?,
        failure: failure
            .map(|text| in_language(&report::say_of(said.as_deref(), text), words::language())),
        faults: format!("/v1/lists/{id}/faults"),
        remarks: Vec::new(),
        created_at: Time::at(row.try_get(13)?),
    })
}

/// Lists of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lists {
    /// The latest thousand, the latest first.
    pub items: Vec<List>,
}

/// The lists of a campaign, the latest first.
#[utoipa::path(get, path = "/v1/campaigns/{id}/lists", tag = "lists",
    params(("id" = String, Path, description = "ULID of the campaign")),
    responses((status = 200, body = Lists), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn of_campaign(
    _: May<Look>,
    State(app): State<Arc<App>>,
    Id(campaign): Id<CampaignId>,
) -> Result<Json<Lists>, Problem> {
    let mut connection = app.pool.acquire().await?;
    fail_interrupted(&mut connection, app.now()).await?;
    let sql = format!("{COLUMNS} WHERE campaign_id = $1 ORDER BY id DESC LIMIT $2");
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(Uuid::from_u128(campaign.0))
        .bind(AT_ONCE)
        .fetch_all(&mut *connection)
        .await?;
    let items = rows.iter().map(list_of).collect::<Result<_, _>>()?;
    Ok(Json(Lists { items }))
}

/// One list.
#[utoipa::path(get, path = "/v1/lists/{id}", tag = "lists",
    params(("id" = String, Path, description = "ULID")),
    responses((status = 200, body = List), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn show(
    _: May<Look>,
    State(app): State<Arc<App>>,
    Id(id): Id<ListId>,
) -> Result<Json<List>, Problem> {
    let mut connection = app.pool.acquire().await?;
    fail_interrupted(&mut connection, app.now()).await?;
    load(&mut connection, id).await.map(Json)
}

/// The header line of a contact list.
#[utoipa::path(get, path = "/v1/lists/template", tag = "lists",
    responses((status = 200, body = String, content_type = "text/csv"),
              (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn template(_: May<Look>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    std::future::ready((kind, template_text()).into_response()).await
}

/// What the report of a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Why rows were rejected (quarantined ones among them).
    #[default]
    Rejected,
    /// What was changed in imported rows.
    Repaired,
    /// Which rows made no contact because their person is there already.
    Duplicate,
    /// Everything.
    All,
}

/// Which part of the report.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `rejected` (default), `repaired`, `duplicate` or `all`.
    #[serde(default)]
    pub about: About,
}

/// Every fault of a list: CSV with line, column, reason and kind (`fault`, `card`, `repair` or
/// `duplicate`). Of repairs and duplicates the first hundred thousand are told.
#[utoipa::path(get, path = "/v1/lists/{id}/faults", tag = "lists",
    params(("id" = String, Path, description = "ULID"), Which),
    responses((status = 200, body = String, content_type = "text/csv"),
              (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn faults(
    _: May<Look>,
    State(app): State<Arc<App>>,
    Id(id): Id<ListId>,
    Asked(which): Asked<Which>,
) -> Result<Response, Problem> {
    let mut connection = app.pool.acquire().await?;
    load(&mut connection, id).await?;
    drop(connection);
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    let rows = report::stream(app, id, which.about, words::language());
    Ok((kind, Body::from_stream(rows)).into_response())
}
