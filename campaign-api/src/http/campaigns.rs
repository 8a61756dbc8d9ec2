//! Campaigns: made, started, paused, stopped, looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{Json, extract::State, http::StatusCode};
use dialer_audit::{
    Record,
    record::{Action, CampaignAction},
};
use dialer_policy::Ability;
use dialer_types::{
    CampaignId, Disposition, E164, PlacementId, Purpose, Say, SellerId, Technology, TrunkId,
    UnixMillis, say,
};
use schema::rows::{self, AuditEntry};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Campaigns as CampaignRight, Look, May},
    counts::{Counts, counts_of},
    error::{Problem, is_duplicate},
    extract::{Body, Faults, Id},
    sellers::number_of,
    time::Time,
    trunk_health::{Stalled, stalled},
    trunks::{milli, per_second},
};
use crate::{
    app::App,
    users::Caller,
    words::{codes, told},
};

/// What a campaign is set to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// On whose behalf: ULID.
    #[schema(value_type = String)]
    pub seller: SellerId,
    /// Unique within the seller.
    pub name: String,
    /// Why calls are made, for example `telemarketing`.
    #[schema(value_type = String)]
    pub purpose: Purpose,
    /// How calls are made, for example `prerecorded`.
    #[schema(value_type = String)]
    pub technology: Technology,
    /// The seller's own number, shown to the called party.
    pub caller_id: String,
    /// What the prompt says: `identity`, `purpose_statement`, `callback_number` ...
    #[serde(default)]
    pub announces: Vec<String>,
    /// Who calls: `dialer` (ours, by the trunks) or `permits` (a dialer that is not ours, by
    /// `POST /v1/permits`: without trunks and prompt).
    #[serde(default = "ours")]
    pub dialed_by: String,
    /// Name of a WAV file in the dialer's prompt folder.
    #[serde(default)]
    pub prompt: String,
    /// Decimal number, from 0.001 on.
    pub calls_per_second: f64,
    /// Calls at the same time, 1 to 100,000.
    pub max_concurrent: i32,
    /// Attempts per contact, 1 to 100.
    pub max_tries: i16,
    /// How long it rings, 5 to 120.
    pub ring_timeout_seconds: i32,
    /// Disposition to delay in seconds; one that is absent is not tried again.
    #[serde(default)]
    pub retry: BTreeMap<String, i64>,
    /// Trunks to use: ULIDs. A campaign without one cannot start, unless it is dialed by permits.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub trunks: Vec<TrunkId>,
}

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct Campaign {
    /// ULID.
    #[schema(value_type = String)]
    pub id: CampaignId,
    /// What it is set to.
    #[serde(flatten)]
    pub settings: Settings,
    /// `draft`, `running`, `paused`, `stopped` or `ended`.
    pub status: String,
    /// The status in words.
    pub status_text: String,
    /// Why a running campaign places no call, if it cannot.
    pub stalled: Option<Stalled>,
    /// When it was made.
    pub created_at: Time,
    /// Where its contacts are and what became of its attempts; not in the list of campaigns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
}

/// Every campaign, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Campaigns {
    /// All of them, without counts.
    pub items: Vec<Campaign>,
}

/// Our own dialers.
const DIALER: &str = "dialer";
/// A dialer that is not ours.
const PERMITS: &str = "permits";

fn ours() -> String {
    DIALER.to_owned()
}

fn check(settings: &Settings) -> Result<i64, Problem> {
    let mut faults = Faults::default();
    faults.text("name", &settings.name, 200);
    faults.parse::<E164>("caller_id", &settings.caller_id);
    for word in &settings.announces {
        if Ability::from_word(word).is_none() {
            let known: Vec<&str> = Ability::ALL.iter().map(|ability| ability.as_str()).collect();
            faults.add(
                "announces",
                say!("unknown word {word}; use one of: {known}", word, known = known.join(", ")),
            );
        }
    }
    let by_permits = settings.dialed_by == PERMITS;
    if !by_permits && settings.dialed_by != DIALER {
        faults.add("dialed_by", say!("must be one of {words}", words = "dialer, permits"));
    }
    if by_permits && !settings.trunks.is_empty() {
        faults
            .add("trunks", "a campaign dialed by permits has none: its owner's dialer has its own");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let prompt = &settings.prompt;
    let is_name = prompt.len() <= 100 && !prompt.starts_with('.') && prompt.bytes().all(plain);
    if by_permits && !prompt.is_empty() {
        faults
            .add("prompt", "a campaign dialed by permits has none: its owner's dialer has its own");
    } else if !by_permits && prompt.is_empty() {
        faults.add("prompt", "is missing");
    } else if !by_permits && !is_name {
        faults.add("prompt", "must be a file name of letters, digits, '.', '_' and '-'");
    }
    let milli_cps = milli(&mut faults, "calls_per_second", settings.calls_per_second);
    faults.range("max_concurrent", i64::from(settings.max_concurrent), 1, 100_000);
    faults.range("max_tries", i64::from(settings.max_tries), 1, 100);
    faults.range("ring_timeout_seconds", i64::from(settings.ring_timeout_seconds), 5, 120);
    for (word, seconds) in &settings.retry {
        let field = format!("retry.{word}");
        faults.parse::<Disposition>(&field, word);
        faults.range(&field, *seconds, 0, 366 * 86_400);
    }
    faults.finish().map(|()| milli_cps)
}

/// Makes a campaign, as a draft.
#[utoipa::path(post, path = "/v1/campaigns", tag = "campaigns", request_body = Settings,
    responses((status = 201, body = Campaign), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn create(
    May(caller, _): May<CampaignRight>,
    State(app): State<Arc<App>>,
    Body(mut settings): Body<Settings>,
) -> Result<(StatusCode, Json<Campaign>), Problem> {
    let milli_cps = check(&settings)?;
    let mut named = BTreeSet::new();
    settings.trunks.retain(|trunk| named.insert(*trunk));
    let (id, now) = (CampaignId(app.ulid()), app.now());
    let mut transaction = app.pool.begin().await?;
    number_of(&mut transaction, settings.seller).await?;
    insert(&mut transaction, id, &settings, milli_cps, now.0).await?;
    let wanted: Vec<Uuid> = settings.trunks.iter().map(|trunk| Uuid::from_u128(trunk.0)).collect();
    let known = sqlx::query(
        // In the order in which they were named.
        "INSERT INTO campaign_trunk (campaign_id, trunk_id, priority)
         SELECT $1, t.id, min(w.place)::smallint
         FROM unnest($2) WITH ORDINALITY AS w(id, place) JOIN trunk t ON t.id = w.id GROUP BY t.id",
    )
    .bind(Uuid::from_u128(id.0))
    .bind(&wanted)
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    if usize::try_from(known).ok() != Some(wanted.len()) {
        let mut faults = Faults::default();
        faults.add("trunks", "names a trunk that does not exist");
        faults.finish()?;
    }
    record(&mut transaction, &app, caller, id, settings.seller, Action::Created).await?;
    transaction.commit().await?;
    let campaign = load(&app, id).await?;
    Ok((StatusCode::CREATED, Json(campaign)))
}

async fn insert(
    connection: &mut PgConnection,
    id: CampaignId,
    settings: &Settings,
    milli_cps: i64,
    now: i64,
) -> Result<(), Problem> {
    let made = sqlx::query(
        "INSERT INTO campaign (id, seller_id, name, purpose, technology, caller_id, announces,
            prompt, milli_cps, max_concurrent, max_tries, ring_timeout_ms, retry, created_at, dialed_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::text::jsonb, $14, $15)",
    )
    .bind(Uuid::from_u128(id.0))
    .bind(Uuid::from_u128(settings.seller.0))
    .bind(&settings.name)
    .bind(i16::from(settings.purpose.code()))
    .bind(i16::from(settings.technology.code()))
    .bind(&settings.caller_id)
    .bind(&settings.announces)
    .bind(&settings.prompt)
    .bind(milli_cps)
    .bind(settings.max_concurrent)
    .bind(settings.max_tries)
    .bind(settings.ring_timeout_seconds * 1000)
    .bind(serde_json::to_string(&settings.retry).map_err(Problem::internal)?)
    .bind(now)
    .bind(&settings.dialed_by)
    .execute(connection)
    .await;
    match made {
        Err(error) if is_duplicate(&error) => Err(Problem::conflict(
            "campaign_exists",
            say!("the seller has a campaign named {name} already", name = settings.name),
        )),
        other => Ok(other.map(|_| ())?),
    }
}

const SELECT: &str = "SELECT c.id, c.seller_id, c.name, c.purpose, c.technology, c.caller_id,
    c.announces, c.prompt, c.milli_cps, c.max_concurrent, c.max_tries, c.ring_timeout_ms,
    c.retry::text, c.status, c.created_at,
    ARRAY(SELECT trunk_id FROM campaign_trunk t WHERE t.campaign_id = c.id ORDER BY priority, trunk_id),
    c.dialed_by
    FROM campaign c WHERE $1::uuid IS NULL OR c.id = $1 ORDER BY c.id DESC";

fn read(row: &PgRow) -> Result<Campaign, Problem> {
    let code = |index: usize| -> Result<u8, Problem> {
        u8::try_from(row.try_get::<i16, _>(index)?).map_err(Problem::internal)
    };
    let broken = |what: &str| Problem::internal(format!("campaign with an unknown {what}"));
    let trunks: Vec<Uuid> = row.try_get(15)?;
    let retry: String = row.try_get(12)?;
    let status: String = row.try_get(13)?;
    Ok(Campaign {
        id: CampaignId(row.try_get::<Uuid, _>(0)?.as_u128()),
        settings: Settings {
            seller: SellerId(row.try_get::<Uuid, _>(1)?.as_u128()),
            name: row.try_get(2)?,
            purpose: Purpose::from_code(code(3)?).ok_or_else(|| broken("purpose"))?,
            technology: Technology::from_code(code(4)?).ok_or_else(|| broken("technology"))?,
            caller_id: row.try_get(5)?,
            announces: row.try_get(6)?,
            dialed_by: row.try_get(16)?,
            prompt: row.try_get(7)?,
            calls_per_second: per_second(row.try_get(8)?),
            max_concurrent: row.try_get(9)?,
            max_tries: row.try_get(10)?,
            ring_timeout_seconds: row.try_get::<i32, _>(11)? / 1000,
            retry: serde_json::from_str(&retry).map_err(Problem::internal)?,
            trunks: trunks.iter().map(|trunk| TrunkId(trunk.as_u128())).collect(),
        },
        status_text: told(&codes::status(&status)),
        status,
        stalled: None,
        created_at: Time::at(row.try_get(14)?),
        counts: None,
    })
}

async fn load(app: &App, id: CampaignId) -> Result<Campaign, Problem> {
    let row = sqlx::query(SELECT)
        .bind(Uuid::from_u128(id.0))
        .fetch_optional(&app.pool)
        .await?
        .ok_or_else(|| Problem::not_found(say!("no campaign {id}", id)))?;
    let mut campaign = read(&row)?;
    let mut connection = app.pool.acquire().await?;
    campaign.stalled = stalled(&mut connection, id, &campaign.status, app.now()).await?;
    campaign.counts = Some(counts_of(&mut connection, id).await?);
    Ok(campaign)
}

/// Every campaign.
#[utoipa::path(get, path = "/v1/campaigns", tag = "campaigns",
    responses((status = 200, body = Campaigns), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(
    _: May<Look>,
    State(app): State<Arc<App>>,
) -> Result<Json<Campaigns>, Problem> {
    let rows = sqlx::query(SELECT).bind(None::<Uuid>).fetch_all(&app.pool).await?;
    let mut items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut connection = app.pool.acquire().await?;
    for campaign in &mut items {
        campaign.stalled =
            stalled(&mut connection, campaign.id, &campaign.status, app.now()).await?;
    }
    Ok(Json(Campaigns { items }))
}

/// One campaign, with its counts.
#[utoipa::path(get, path = "/v1/campaigns/{id}", tag = "campaigns",
    params(("id" = String, Path, description = "ULID")),
    responses((status = 200, body = Campaign), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn show(
    _: May<Look>,
    State(app): State<Arc<App>>,
    Id(id): Id<CampaignId>,
) -> Result<Json<Campaign>, Problem> {
    load(&app, id).await.map(Json)
}

/// Sets a campaign going: every contact that waits becomes due.
#[utoipa::path(post, path = "/v1/campaigns/{id}/start", tag = "campaigns",
    params(("id" = String, Path, description = "ULID")),
    responses((status = 200, body = Campaign), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn start(
    May(caller, _): May<CampaignRight>,
    State(app): State<Arc<App>>,
    Id(id): Id<CampaignId>,
) -> Result<Json<Campaign>, Problem> {
    change(&app, caller, id, Change::Start).await
}

/// Halts a campaign; what is due stays due.
#[utoipa::path(post, path = "/v1/campaigns/{id}/pause", tag = "campaigns",
    params(("id" = String, Path, description = "ULID")),
    responses((status = 200, body = Campaign), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn pause(
    May(caller, _): May<CampaignRight>,
    State(app): State<Arc<App>>,
    Id(id): Id<CampaignId>,
) -> Result<Json<Campaign>, Problem> {
    change(&app, caller, id, Change::Pause).await
}

/// Stops a campaign: nothing of it is due any more. It can be started again; whoever waits for
/// another try then waits on.
#[utoipa::path(post, path = "/v1/campaigns/{id}/stop", tag = "campaigns",
    params(("id" = String, Path, description = "ULID")),
    responses((status = 200, body = Campaign), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn stop(
    May(caller, _): May<CampaignRight>,
    State(app): State<Arc<App>>,
    Id(id): Id<CampaignId>,
) -> Result<Json<Campaign>, Problem> {
    change(&app, caller, id, Change::Stop).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Start,
    Pause,
    Stop,
}

/// Whoever was tried before a stop keeps the moment of the next try: its end and the campaign's wait.
const START: &str = "WITH woken AS (
        UPDATE contact SET state = 2 WHERE campaign_id = $1 AND state = 1
        RETURNING id, try_no, last_disposition),
    retried AS (
        SELECT w.id, d.word, max(o.ended_at) + 1000 * (c.retry ->> d.word)::bigint AS at
        FROM woken w JOIN unnest($3::smallint[], $4::text[]) AS d(code, word)
            ON d.code = w.last_disposition
        JOIN campaign c ON c.id = $1 AND c.retry ? d.word
        JOIN placement p ON p.contact_id = w.id AND p.try_no = w.try_no - 1
        JOIN outcome o ON o.placement_id = p.id GROUP BY w.id, d.word, c.retry)
    INSERT INTO due (contact_id, campaign_id, due_at, because)
    SELECT w.id, $1, greatest($2, r.at), CASE WHEN r.at > $2 THEN r.word END
    FROM woken w LEFT JOIN retried r ON r.id = w.id
    ON CONFLICT (contact_id) DO NOTHING";
const STOP: &str = "WITH stopped AS (DELETE FROM due WHERE campaign_id = $1 RETURNING contact_id)
    UPDATE contact SET state = 1 FROM stopped WHERE id = contact_id";

async fn change(
    app: &App,
    caller: Caller,
    id: CampaignId,
    change: Change,
) -> Result<Json<Campaign>, Problem> {
    let mut transaction = app.pool.begin().await?;
    let row = sqlx::query(
        "SELECT status, seller_id,
                dialed_by = 'permits' OR EXISTS (SELECT FROM campaign_trunk WHERE campaign_id = $1)
         FROM campaign WHERE id = $1 FOR UPDATE",
    )
    .bind(Uuid::from_u128(id.0))
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or_else(|| Problem::not_found(say!("no campaign {id}", id)))?;
    let status: String = row.try_get(0)?;
    let (to, action) = match change {
        Change::Start => ("running", Action::Started),
        Change::Pause => ("paused", Action::Paused),
        Change::Stop => ("stopped", Action::Stopped),
    };
    if change == Change::Start && !row.try_get::<bool, _>(2)? {
        let detail = "the campaign has no trunk to call by; make one with a trunk";
        return Err(Problem::conflict("campaign_without_trunk", detail));
    }
    if change == Change::Pause && status != "running" && status != "paused" {
        let detail = Say::of("{status}; only a running campaign can be paused")
            .with("status", codes::status(&status));
        return Err(Problem::conflict("campaign_not_running", detail));
    }
    if status != to {
        sqlx::query("UPDATE campaign SET status = $2 WHERE id = $1")
            .bind(Uuid::from_u128(id.0))
            .bind(to)
            .execute(&mut *transaction)
            .await?;
        move_contacts(&mut transaction, id, change, app.now()).await?;
        let seller = SellerId(row.try_get::<Uuid, _>(1)?.as_u128());
        record(&mut transaction, app, caller, id, seller, action).await?;
    }
    transaction.commit().await?;
    announce(app, id, to).await;
    load(app, id).await.map(Json)
}

/// What becomes of those who wait or are due.
async fn move_contacts(
    connection: &mut PgConnection,
    id: CampaignId,
    change: Change,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    let id = Uuid::from_u128(id.0);
    let (codes, words): (Vec<i16>, Vec<&str>) =
        Disposition::ALL.iter().map(|it| (i16::from(it.code()), it.as_str())).unzip();
    let change = match change {
        Change::Start => sqlx::query(START).bind(id).bind(now.0).bind(codes).bind(words),
        Change::Stop => sqlx::query(STOP).bind(id),
        Change::Pause => return Ok(()),
    };
    change.execute(connection).await.map(drop)
}

/// Dialers that do not hear of it find out when they next look at the table.
pub(super) async fn announce(app: &App, id: CampaignId, status: &str) {
    let message = serde_json::json!({ "campaign": id.to_string(), "status": status }).to_string();
    if let Err(error) = app.redis.publish(dialer_stores::CAMPAIGN, &message).await {
        app.metrics.redis_failures.inc();
        tracing::warn!(%error, campaign = %id, "dialers were not told that a campaign changed");
    }
}

async fn record(
    connection: &mut PgConnection,
    app: &App,
    caller: Caller,
    campaign: CampaignId,
    seller: SellerId,
    action: Action,
) -> Result<(), Problem> {
    let body = CampaignAction {
        campaign,
        seller,
        action,
        actor: PlacementId(caller.user.as_u128()).to_string(),
        reason: None,
    };
    let record = Record::new(None, body.into(), app.now());
    let entry = AuditEntry { campaign: Some(campaign), ..AuditEntry::of(record) };
    rows::append_audit(connection, &[entry]).await?;
    Ok(())
}
