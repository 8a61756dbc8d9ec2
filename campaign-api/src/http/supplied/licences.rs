//! Licences, registrations, bonds, approvals and certificates of a seller, of a campaign or of a
//! script.

use std::sync::Arc;

use axum::{Json, extract::State};
use chrono::NaiveDate;
use dialer_audit::record::FactKind;
use dialer_limiter::Token;
use dialer_policy::Wait;
use dialer_types::{CampaignId, Say, SellerId, UnixMillis, say};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Fact, OnRecord, Whose, asked_seller, audit, check_id, check_source, date, unasked, waiting,
};
use crate::{
    app::App,
    http::{
        auth::{Licences as LicenceRight, Look, May},
        campaigns::announce,
        error::Problem,
        extract::{Asked, Body, Faults},
        sellers::number_of,
        time::Time,
    },
};

/// Events of one seller, at most: each judgement of its campaigns reads them.
const EVENTS: i64 = 10_000;

/// Whether a licence holds or is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LicenceKind {
    /// It holds, from and until the days given.
    #[default]
    Hold,
    /// It holds no more, from now on: all that were recorded for the same seller, campaign and script.
    Withdraw,
}

impl LicenceKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Withdraw => "withdraw",
        }
    }
}

/// A licence, or the end of one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLicence {
    /// Whose it is: ULID.
    #[schema(value_type = String)]
    pub seller: SellerId,
    /// For one campaign only: ULID.
    #[schema(value_type = Option<String>)]
    pub campaign: Option<CampaignId>,
    /// For one script only: the name of its prompt, whichever campaign of the seller plays it.
    pub script: Option<String>,
    /// Its id, as rules name it: `script_approved`.
    pub licence: String,
    /// `hold` (default) or `withdraw`.
    #[serde(default)]
    pub kind: LicenceKind,
    /// The first day it holds, `YYYY-MM-DD`; absent: it does already.
    pub from: Option<String>,
    /// The last day it holds, `YYYY-MM-DD`; absent: without end.
    pub until: Option<String>,
    /// Where the evidence of it is kept.
    pub source: String,
}

/// A licence on record.
#[derive(Debug, Serialize, ToSchema)]
pub struct Licence {
    /// Its id, as rules name it.
    pub licence: String,
    /// For this campaign only: ULID.
    pub campaign: Option<String>,
    /// For this script only.
    pub script: Option<String>,
    /// The first day it holds.
    pub from: Option<String>,
    /// The last day it holds.
    pub until: Option<String>,
    /// Where the evidence of it is kept.
    pub source: String,
    /// When it was recorded.
    pub recorded_at: Time,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Time>,
}

/// Every licence of a seller, also those that are over, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Licences {
    /// All of them.
    pub items: Vec<Licence>,
}

/// Records that a licence holds, or that it is withdrawn. Judgements made from then on go by it.
/// After a withdrawal the calls of the seller that are not on the wire yet are judged again; those
/// that ring go on.
#[utoipa::path(post, path = "/v1/licences", tag = "licences", request_body = NewLicence,
    responses((status = 200, body = OnRecord), (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn record(
    May(caller, _): May<LicenceRight>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewLicence>,
) -> Result<Json<OnRecord>, Problem> {
    let days = check(&new)?;
    let event = Token(app.ulid());
    let mut transaction = app.pool.begin().await?;
    number_of(&mut transaction, new.seller).await?;
    // One after another: a withdrawal ends what it can see.
    sqlx::query("SELECT FROM seller WHERE id = $1 FOR NO KEY UPDATE")
        .bind(Uuid::from_u128(new.seller.0))
        .execute(&mut *transaction)
        .await?;
    let scope = scope(&mut transaction, &new).await?;
    standing(&mut transaction, &new).await?;
    let wait = Wait::Licence(new.licence.as_str().into());
    let notes: Vec<Say> = scope.into_iter().chain(unasked(&app, &wait)).collect();
    let mut answer = OnRecord::new(event, &notes);
    answer.waiting = waiting(&mut transaction, new.seller, &wait.word()).await?;
    let running = running(&mut transaction, &new).await?;
    // Late: the gate compares this moment with those of its judgements, and may read the event only
    // after the commit.
    let now = app.now();
    insert(&mut transaction, &new, days, now).await?;
    let fact = Fact {
        what: FactKind::Licence,
        subjects: Vec::new(),
        seller: Some(new.seller),
        campaign: new.campaign,
        said: said(&new, days),
        about: Some(new.licence),
        said_at: now,
        evidence: new.source,
    };
    audit(&mut transaction, fact, event, caller, now).await?;
    transaction.commit().await?;
    // Whoever hears of one campaign reads all of them again.
    if let (LicenceKind::Withdraw, Some(campaign)) = (new.kind, running) {
        announce(&app, campaign, "running").await;
    }
    Ok(Json(answer))
}

/// What is on record of a seller's licences.
#[utoipa::path(get, path = "/v1/licences", tag = "licences", params(Whose),
    responses((status = 200, body = Licences), (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn list(
    _: May<Look>,
    State(app): State<Arc<App>>,
    Asked(whose): Asked<Whose>,
) -> Result<Json<Licences>, Problem> {
    let seller = asked_seller(&whose.seller)?;
    let rows = sqlx::query(
        "SELECT h.licence, h.campaign_id, h.script, h.valid_from::text, h.valid_until::text,
                h.source, h.recorded_at,
                (SELECT min(w.recorded_at) FROM licence_event w
                 WHERE w.seller_id = h.seller_id AND w.kind = 'withdraw' AND w.id > h.id
                   AND w.licence = h.licence AND w.campaign_id IS NOT DISTINCT FROM h.campaign_id
                   AND w.script IS NOT DISTINCT FROM h.script)
         FROM licence_event h WHERE h.seller_id = $1 AND h.kind = 'hold'
         ORDER BY h.id DESC LIMIT $2",
    )
    .bind(Uuid::from_u128(seller.0))
    .bind(EVENTS)
    .fetch_all(&app.pool)
    .await?;
    let items = rows.iter().map(shown).collect::<Result<_, sqlx::Error>>()?;
    Ok(Json(Licences { items }))
}

fn shown(row: &PgRow) -> Result<Licence, sqlx::Error> {
    let campaign: Option<Uuid> = row.try_get(1)?;
    Ok(Licence {
        licence: row.try_get(0)?,
        campaign: campaign.map(|id| CampaignId(id.as_u128()).to_string()),
        script: row.try_get(2)?,
        from: row.try_get(3)?,
        until: row.try_get(4)?,
        source: row.try_get(5)?,
        recorded_at: Time::at(row.try_get(6)?),
        withdrawn_at: row.try_get::<Option<i64>, _>(7)?.map(Time::at),
    })
}

/// The first and the last day.
type Days = (Option<NaiveDate>, Option<NaiveDate>);

fn check(new: &NewLicence) -> Result<Days, Problem> {
    let mut faults = Faults::default();
    check_id(&mut faults, "licence", &new.licence);
    check_source(&mut faults, &new.source);
    if let Some(script) = &new.script {
        faults.text("script", script, 200);
        if new.campaign.is_some() {
            faults.add("script", "does not go with campaign: a licence is for one campaign or for one script; record it twice");
        }
    }
    let mut days = [("from", &new.from), ("until", &new.until)].map(|(field, text)| {
        if new.kind == LicenceKind::Withdraw && text.is_some() {
            faults.add(
                field,
                "does not go with withdraw: what is withdrawn holds no more from now on",
            );
        }
        text.as_deref().and_then(|text| date(&mut faults, field, text))
    });
    if let [Some(from), Some(until)] = days.as_mut()
        && until < from
    {
        faults.add("until", "ends before it begins: put the earlier date first");
    }
    faults.finish()?;
    let [from, until] = days;
    Ok((from, until))
}

/// Refuses a campaign of somebody else; warns of a script that no campaign plays.
async fn scope(connection: &mut PgConnection, new: &NewLicence) -> Result<Option<Say>, Problem> {
    let seller = Uuid::from_u128(new.seller.0);
    if let Some(id) = new.campaign {
        let known: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM campaign WHERE id = $1 AND seller_id = $2)",
        )
        .bind(Uuid::from_u128(id.0))
        .bind(seller)
        .fetch_one(&mut *connection)
        .await?;
        if !known {
            return Err(Problem::not_found(say!("the seller has no campaign {id}", id)));
        }
    }
    let Some(script) = &new.script else { return Ok(None) };
    let played: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM campaign WHERE prompt = $1 AND seller_id = $2)",
    )
    .bind(script)
    .bind(seller)
    .fetch_one(connection)
    .await?;
    Ok((!played).then(|| "no campaign of this seller has a prompt of that name, so it covers nothing yet; check the name".into()))
}

/// Refuses to withdraw what is not there, and more events than a judgement should read.
async fn standing(connection: &mut PgConnection, new: &NewLicence) -> Result<(), Problem> {
    let row: (i64, Option<String>) = sqlx::query_as(
        "SELECT count(*),
                (SELECT kind FROM licence_event WHERE seller_id = $1 AND licence = $2
                    AND campaign_id IS NOT DISTINCT FROM $3 AND script IS NOT DISTINCT FROM $4
                 ORDER BY id DESC LIMIT 1)
         FROM licence_event WHERE seller_id = $1",
    )
    .bind(Uuid::from_u128(new.seller.0))
    .bind(&new.licence)
    .bind(new.campaign.map(|id| Uuid::from_u128(id.0)))
    .bind(&new.script)
    .fetch_one(connection)
    .await?;
    let (count, last) = row;
    match new.kind {
        LicenceKind::Withdraw if last.as_deref() != Some("hold") => Err(Problem::conflict(
            "licence_not_on_record",
            say!(
                "no {licence} is on record for this seller, campaign and script that could be withdrawn; GET /v1/licences shows what is",
                licence = new.licence
            ),
        )),
        LicenceKind::Hold if count >= EVENTS => Err(Problem::conflict(
            "too_many_licences",
            say!(
                "the seller has {count} licence events, more than a judgement reads: make a new seller, or record one licence for the seller instead of one for each campaign",
                count
            ),
        )),
        _ => Ok(()),
    }
}

async fn insert(
    connection: &mut PgConnection,
    new: &NewLicence,
    (from, until): Days,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO licence_event (seller_id, campaign_id, script, licence, kind, valid_from,
            valid_until, source, recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6::date, $7::date, $8, $9)",
    )
    .bind(Uuid::from_u128(new.seller.0))
    .bind(new.campaign.map(|id| Uuid::from_u128(id.0)))
    .bind(&new.script)
    .bind(&new.licence)
    .bind(new.kind.as_str())
    .bind(from.map(|day| day.to_string()))
    .bind(until.map(|day| day.to_string()))
    .bind(&new.source)
    .bind(now.0)
    .execute(connection)
    .await
    .map(|_| ())
}

/// A running campaign of the seller.
async fn running(
    connection: &mut PgConnection,
    new: &NewLicence,
) -> Result<Option<CampaignId>, sqlx::Error> {
    let id: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM campaign WHERE seller_id = $1 AND status = 'running' LIMIT 1",
    )
    .bind(Uuid::from_u128(new.seller.0))
    .fetch_optional(connection)
    .await?;
    Ok(id.map(|id| CampaignId(id.as_u128())))
}

/// What the audit says of it.
fn said(new: &NewLicence, (from, until): Days) -> String {
    let mut said = match new.kind {
        LicenceKind::Hold => "holds".to_owned(),
        LicenceKind::Withdraw => "withdrawn".to_owned(),
    };
    for (word, day) in [("from", from), ("until", until)] {
        if let Some(day) = day {
            said.push_str(&format!(" {word} {day}"));
        }
    }
    if let Some(script) = &new.script {
        said.push_str(&format!(" for the script {script}"));
    }
    said
}
