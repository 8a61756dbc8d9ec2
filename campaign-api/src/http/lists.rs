//! Contact lists: imported from CSV, streamed, with every fault of every row on record.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use dialer_types::{CampaignId, ListId, Mint, SellerId};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    audit::csv_line,
    auth::{Campaigns as CampaignRight, Look, May},
    campaigns::announce,
    error::Problem,
    extract::{Asked, Faults, Id},
    time::Time,
};
use crate::{
    app::App,
    events,
    import::{
        batch::{Batch, Target},
        records::{Records, RecordsError},
        row::{COLUMNS, Header, Row, template as template_text},
    },
};

/// The largest file: more than ten million rows.
const MAX_FILE: u64 = 4 * 1024 * 1024 * 1024;
/// Faults read at once for the report.
const AT_ONCE: i64 = 1000;
/// Tries to store a batch when the database finds a deadlock.
const TRIES: u32 = 3;

/// An imported file. `rows` is the sum of the other three, always.
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
    /// Rows read, the header not among them.
    pub rows: i64,
    /// Rows that became contacts.
    pub imported: i64,
    /// Rows with faults: see `faults`.
    pub rejected: i64,
    /// Rows whose `external_id` the campaign had already.
    pub duplicates: i64,
    /// Why it failed; what came before is kept.
    pub failure: Option<String>,
    /// Where the report of faults is.
    pub faults: String,
    /// When it was begun.
    pub created_at: Time,
}

/// Naming a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Named {
    /// Name of the list.
    pub name: String,
}

/// Imports a contact list into a campaign. The body is CSV (UTF-8, with a header, see the template)
/// and is streamed; good rows are kept whatever else is wrong.
#[utoipa::path(post, path = "/v1/campaigns/{id}/lists", tag = "lists",
    params(("id" = String, Path, description = "ULID of the campaign"), Named),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 201, body = List), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn import(
    _: May<CampaignRight>,
    State(app): State<Arc<App>>,
    Id(campaign): Id<CampaignId>,
    Asked(named): Asked<Named>,
    body: Body,
) -> Result<(StatusCode, Json<List>), Problem> {
    let mut faults = Faults::default();
    faults.text("name", &named.name, 200);
    faults.finish()?;
    let mut records = Records::new(limited(body));
    let header = read_header(&mut records, &COLUMNS, &["external_id", "phone_1"]).await?;
    let mut connection = app.pool.acquire().await?;
    let seller: Uuid = sqlx::query_scalar("SELECT seller_id FROM campaign WHERE id = $1")
        .bind(Uuid::from_u128(campaign.0))
        .fetch_optional(&mut *connection)
        .await?
        .ok_or_else(|| Problem::not_found(format!("no campaign {campaign}")))?;
    let target = Target {
        campaign,
        seller: SellerId(seller.as_u128()),
        list: ListId(app.ulid()),
        name: &named.name,
        keys: &app.keys,
    };
    sqlx::query(
        "INSERT INTO contact_list (id, campaign_id, name, state, created_at)
         VALUES ($1, $2, $3, 'importing', $4)",
    )
    .bind(Uuid::from_u128(target.list.0))
    .bind(Uuid::from_u128(campaign.0))
    .bind(&named.name)
    .bind(app.now().0)
    .execute(&mut *connection)
    .await?;
    let outcome = fill(&app, &mut connection, &target, &header, &mut records).await;
    let (state, failure) = match &outcome {
        Ok(()) => ("imported", None),
        Err(Failure::File(error)) => ("failed", Some(error.to_string())),
        Err(Failure::Store(_)) => ("failed", Some("Postgres did not take a batch".to_owned())),
    };
    // After a lost connection this fails too; the list then stays 'importing'.
    let closed = sqlx::query("UPDATE contact_list SET state = $2, failure = $3 WHERE id = $1")
        .bind(Uuid::from_u128(target.list.0))
        .bind(state)
        .bind(&failure)
        .execute(&mut *connection)
        .await;
    announce(&app, campaign, "imported").await;
    match outcome {
        Ok(()) => {
            closed?;
            Ok((StatusCode::CREATED, Json(load(&mut connection, target.list).await?)))
        }
        Err(Failure::File(error)) => Err(Problem::list_failed(target.list, &error)),
        Err(Failure::Store(problem)) => Err(problem),
    }
}

/// Why an import stopped. What was stored before stays.
enum Failure {
    File(RecordsError),
    Store(Problem),
}

async fn fill<S, E>(
    app: &App,
    connection: &mut PgConnection,
    target: &Target<'_>,
    header: &Header,
    records: &mut Records<S>,
) -> Result<(), Failure>
where
    S: futures_util::Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut mint = app.new_mint().map_err(|error| Failure::Store(Problem::internal(error)))?;
    let mut batch = Batch::default();
    let ended = loop {
        match records.next().await {
            Ok(Some(record)) => batch.push(Row::read(header, record, app.now())),
            Ok(None) => break Ok(()),
            Err(error) => break Err(Failure::File(error)),
        }
        if batch.is_full() {
            store(app, connection, target, &mut mint, &batch).await?;
            batch = Batch::default();
        }
    };
    store(app, connection, target, &mut mint, &batch).await?;
    ended
}

async fn store(
    app: &App,
    connection: &mut PgConnection,
    target: &Target<'_>,
    mint: &mut Mint,
    batch: &Batch,
) -> Result<(), Failure> {
    let mut tries = 0;
    let stored = loop {
        tries += 1;
        match batch.store(connection, target, mint, app.now()).await {
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
    Ok(())
}

/// The body, up to [`MAX_FILE`] bytes.
pub(super) fn limited(
    body: Body,
) -> impl futures_util::Stream<Item = Result<Bytes, String>> + Unpin {
    let mut seen = 0_u64;
    body.into_data_stream().map(move |part| {
        let part = part.map_err(|error| error.to_string())?;
        seen = seen.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        if seen > MAX_FILE { Err(format!("more than {MAX_FILE} bytes")) } else { Ok(part) }
    })
}

/// The first record of a file.
pub(super) async fn read_header<S, E>(
    records: &mut Records<S>,
    known: &[&str],
    needed: &[&str],
) -> Result<Header, Problem>
where
    S: futures_util::Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    match records.next().await {
        Ok(Some(record)) => Header::read(record, known, needed).map_err(Problem::invalid),
        Ok(None) => Err(Problem::malformed("the file is empty: it needs a header line")),
        Err(error) => Err(Problem::malformed(error.to_string())),
    }
}

async fn load(connection: &mut PgConnection, id: ListId) -> Result<List, Problem> {
    let row = sqlx::query(
        "SELECT campaign_id, name, state, rows, imported, rejected, duplicates, failure, created_at
         FROM contact_list WHERE id = $1",
    )
    .bind(Uuid::from_u128(id.0))
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Problem::not_found(format!("no list {id}")))?;
    Ok(List {
        id,
        campaign: CampaignId(row.try_get::<Uuid, _>(0)?.as_u128()),
        name: row.try_get(1)?,
        state: row.try_get(2)?,
        rows: row.try_get(3)?,
        imported: row.try_get(4)?,
        rejected: row.try_get(5)?,
        duplicates: row.try_get(6)?,
        failure: row.try_get(7)?,
        faults: format!("/v1/lists/{id}/faults"),
        created_at: Time::at(row.try_get(8)?),
    })
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

/// Every fault of a list: CSV with line, column and reason.
#[utoipa::path(get, path = "/v1/lists/{id}/faults", tag = "lists",
    params(("id" = String, Path, description = "ULID")),
    responses((status = 200, body = String, content_type = "text/csv"),
              (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn faults(
    _: May<Look>,
    State(app): State<Arc<App>>,
    Id(id): Id<ListId>,
) -> Result<Response, Problem> {
    let mut connection = app.pool.acquire().await?;
    load(&mut connection, id).await?;
    drop(connection);
    let rows =
        stream::try_unfold((app, None::<i64>, 0_i64), move |(app, begun, offset)| async move {
            if begun.is_none() {
                let first = Bytes::from_static(b"line,column,reason\n");
                return Ok::<_, sqlx::Error>(Some((first, (app, Some(0), 0))));
            }
            // Append-only while the list is imported, and then at rest: an offset is stable.
            let rows: Vec<(i64, String, String)> = sqlx::query_as(
                "SELECT line, field, reason FROM list_fault WHERE list_id = $1
             ORDER BY line, field, reason LIMIT $2 OFFSET $3",
            )
            .bind(Uuid::from_u128(id.0))
            .bind(AT_ONCE)
            .bind(offset)
            .fetch_all(&app.pool)
            .await?;
            if rows.is_empty() {
                return Ok(None);
            }
            let mut chunk = Vec::new();
            for (line, field, reason) in &rows {
                let cells = [line.to_string(), field.clone(), reason.clone()];
                chunk.extend(csv_line(&cells).map_err(|error| sqlx::Error::Decode(error.into()))?);
            }
            let next = offset + i64::try_from(rows.len()).unwrap_or(AT_ONCE);
            Ok(Some((Bytes::from(chunk), (app, begun, next))))
        });
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    Ok((kind, Body::from_stream(rows)).into_response())
}
