//! Attempts with their evidence: what was judged, placed and how it ended. Numbers are masked.

use std::sync::Arc;

use axum::{Json, extract::State};
use dialer_audit::record::Kind;
use dialer_types::{AttemptId, CampaignId, ContactId, E164, NodeId, PlacementId, TrunkId, say};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Attempts as AttemptRight, May},
    contacts::{disposition_word, masked},
    error::Problem,
    extract::{Asked, Faults, Id, page},
    time::Time,
};
use crate::{app::App, words::codes};

/// Which attempts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only of this campaign (ULID).
    pub campaign: Option<String>,
    /// Only on this contact (ULID).
    pub contact: Option<String>,
    /// Only of this person: the seller's own id.
    pub person: Option<String>,
    /// Only to this number, in international form.
    pub number: Option<String>,
    /// Taken up at this moment or later.
    #[param(value_type = Option<String>)]
    pub from: Option<Time>,
    /// Taken up before this moment.
    #[param(value_type = Option<String>)]
    pub to: Option<Time>,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Rows, 1 to 1000 (100).
    pub limit: Option<i64>,
}

/// An attempt, in short.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attempt {
    /// Contact ULID, `-`, number of the try.
    pub id: String,
    /// ULID.
    pub campaign: String,
    /// The seller's own id of the person.
    pub person: String,
    /// When it was taken up.
    pub at: Time,
    /// Masked.
    pub number: Option<String>,
    /// How it ended; absent while it is under way.
    pub disposition: Option<String>,
    /// The same in words.
    pub disposition_text: Option<String>,
}

/// A page of attempts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attempts {
    /// In the order of their contacts and tries.
    pub items: Vec<Attempt>,
    /// Where the next page starts.
    pub next: Option<String>,
}

/// A judgement.
#[derive(Debug, Serialize, ToSchema)]
pub struct Judgement {
    /// When.
    pub at: Time,
    /// `permit`, `defer` or `refuse`.
    pub verdict: String,
    /// With a deferral: the first lawful moment.
    pub until: Option<Time>,
    /// Every rule that denied.
    pub rules: Vec<String>,
    /// What they are called.
    pub titles: Vec<String>,
    /// Its place in the audit, once the tree has it; the evidence is there.
    pub audit_index: Option<i64>,
}

/// How a placement ended. A correction is a revision of its own; both stay.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ending {
    /// 0 is what the dialer recorded.
    pub revision: i16,
    /// How.
    pub disposition: String,
    /// The same in words.
    pub disposition_text: String,
    /// Final SIP status.
    pub sip_code: Option<i16>,
    /// Q.850 cause.
    pub q850: Option<i16>,
    /// Milliseconds of ringing.
    pub ring_ms: Option<i64>,
    /// When it was answered.
    pub answered_at: Option<Time>,
    /// When it was over.
    pub ended_at: Time,
    /// The dialer, or the user who corrected it: ULID.
    pub recorded_by: String,
}

/// One INVITE.
#[derive(Debug, Serialize, ToSchema)]
pub struct Placement {
    /// ULID.
    pub id: String,
    /// By which trunk: ULID; null if by a permit, for a dialer that is not ours.
    pub trunk: Option<String>,
    /// Masked.
    pub number: String,
    /// When it was committed.
    pub at: Time,
    /// Its INVITE could not leave later.
    pub not_after: Time,
    /// Its Call-ID.
    pub sip_call_id: String,
    /// How it ended, with corrections.
    pub outcomes: Vec<Ending>,
}

/// An attempt with its evidence. One that was refused or deferred has decisions and no placement.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptDetail {
    /// Contact ULID, `-`, number of the try.
    pub id: String,
    /// ULID.
    pub campaign: String,
    /// The seller's own id of the person.
    pub person: String,
    /// When it was taken up; absent if nothing was placed.
    pub at: Option<Time>,
    /// Every judgement, permits and denials alike.
    pub decisions: Vec<Judgement>,
    /// What was placed.
    pub placements: Vec<Placement>,
}

pub(super) fn ulid(id: Uuid) -> String {
    PlacementId(id.as_u128()).to_string()
}

pub(super) fn try_of(attempt: AttemptId) -> i16 {
    i16::try_from(attempt.try_no).unwrap_or(i16::MAX)
}

/// Attempts, by campaign, contact, person, number or time.
#[utoipa::path(get, path = "/v1/attempts", tag = "attempts", params(Which),
    responses((status = 200, body = Attempts), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(
    _: May<AttemptRight>,
    State(app): State<Arc<App>>,
    Asked(which): Asked<Which>,
) -> Result<Json<Attempts>, Problem> {
    let mut faults = Faults::default();
    let campaign: Option<CampaignId> =
        which.campaign.as_deref().and_then(|id| faults.parse("campaign", id));
    let contact: Option<ContactId> =
        which.contact.as_deref().and_then(|id| faults.parse("contact", id));
    let after: Option<AttemptId> = which.after.as_deref().and_then(|id| faults.parse("after", id));
    let number: Option<E164> =
        which.number.as_deref().and_then(|number| faults.parse("number", number));
    faults.finish()?;
    let limit = page(which.limit);
    let rows = sqlx::query(
        "SELECT a.contact_id, a.try_no, a.campaign_id, p.external_id, a.at, n.cipher,
                (SELECT o.disposition FROM outcome o WHERE o.placement_id = l.id
                 ORDER BY o.revision DESC LIMIT 1)
         FROM attempt a
         JOIN contact c ON c.id = a.contact_id JOIN person p ON p.subject_id = c.person_subject
         LEFT JOIN placement l ON l.contact_id = a.contact_id AND l.try_no = a.try_no
         LEFT JOIN number n ON n.subject_id = l.number_subject
         WHERE ($1::uuid IS NULL OR a.campaign_id = $1) AND ($2::uuid IS NULL OR a.contact_id = $2)
           AND ($3::uuid IS NULL OR (a.contact_id, a.try_no) > ($3, $4))
           AND ($6::text IS NULL OR p.external_id = $6) AND ($7::bytea IS NULL OR n.keyed_hash = $7)
           AND ($8::bigint IS NULL OR a.at >= $8) AND ($9::bigint IS NULL OR a.at < $9)
         ORDER BY a.contact_id, a.try_no LIMIT $5",
    )
    .bind(campaign.map(|id| Uuid::from_u128(id.0)))
    .bind(contact.map(|id| Uuid::from_u128(id.0)))
    .bind(after.map(|id| Uuid::from_u128(id.contact.0)))
    .bind(after.map_or(0, try_of))
    .bind(limit)
    .bind(&which.person)
    .bind(number.map(|number| app.keys.lookup_hash(&number).to_vec()))
    .bind(which.from.map(|at| at.0.0))
    .bind(which.to.map(|at| at.0.0))
    .fetch_all(&app.pool)
    .await?;
    let items = rows.iter().map(|row| read(&app, row)).collect::<Result<Vec<_>, Problem>>()?;
    let full = i64::try_from(items.len()).is_ok_and(|rows| rows == limit);
    let next = items.last().filter(|_| full).map(|attempt| attempt.id.clone());
    Ok(Json(Attempts { items, next }))
}

fn read(app: &App, row: &PgRow) -> Result<Attempt, Problem> {
    let cipher: Option<Vec<u8>> = row.try_get(5)?;
    let disposition = row.try_get::<Option<i16>, _>(6)?.map(disposition_word);
    Ok(Attempt {
        id: format!("{}-{}", ulid(row.try_get(0)?), row.try_get::<i16, _>(1)?),
        campaign: ulid(row.try_get(2)?),
        person: row.try_get(3)?,
        at: Time::at(row.try_get(4)?),
        number: cipher.map(|cipher| masked(app, &cipher)).transpose()?,
        disposition_text: disposition.as_deref().map(codes::disposition),
        disposition,
    })
}

/// One attempt with its evidence.
#[utoipa::path(get, path = "/v1/attempts/{id}", tag = "attempts",
    params(("id" = String, Path, description = "contact ULID, '-', try")),
    responses((status = 200, body = AttemptDetail), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn show(
    _: May<AttemptRight>,
    State(app): State<Arc<App>>,
    Id(id): Id<AttemptId>,
) -> Result<Json<AttemptDetail>, Problem> {
    let mut connection = app.pool.acquire().await?;
    detail(&app, &mut connection, id).await.map(Json)
}

pub(super) async fn detail(
    app: &App,
    connection: &mut PgConnection,
    id: AttemptId,
) -> Result<AttemptDetail, Problem> {
    let missing = || Problem::not_found(say!("no attempt {id}", id));
    let row = sqlx::query(
        "SELECT c.campaign_id, p.external_id, a.at FROM contact c
         JOIN person p ON p.subject_id = c.person_subject
         LEFT JOIN attempt a ON a.contact_id = c.id AND a.try_no = $2
         WHERE c.id = $1",
    )
    .bind(Uuid::from_u128(id.contact.0))
    .bind(try_of(id))
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(missing)?;
    let at = row.try_get::<Option<i64>, _>(2)?.map(Time::at);
    let decisions = decisions(connection, id).await?;
    if at.is_none() && decisions.is_empty() {
        return Err(missing());
    }
    Ok(AttemptDetail {
        id: id.to_string(),
        campaign: ulid(row.try_get(0)?),
        person: row.try_get(1)?,
        at,
        decisions,
        placements: placements(app, connection, id).await?,
    })
}

async fn decisions(
    connection: &mut PgConnection,
    id: AttemptId,
) -> Result<Vec<Judgement>, Problem> {
    let rows = sqlx::query(
        // Until schema 11 permits had rows in `decision`, too.
        "SELECT d.at, d.verdict, d.until, d.rules, l.index FROM (
             SELECT at, verdict, until, rules, entry_id FROM decision
             WHERE contact_id = $1 AND try_no = $2
             UNION ALL
             SELECT at, 'permit', NULL, '{}', id FROM audit_entry e
             WHERE contact_id = $1 AND try_no = $2 AND kind = ANY($3) AND placement IS NOT NULL
               AND NOT EXISTS (SELECT FROM decision o WHERE o.contact_id = $1 AND o.entry_id = e.id)
         ) d LEFT JOIN audit_leaf l ON l.entry_id = d.entry_id ORDER BY d.entry_id",
    )
    .bind(Uuid::from_u128(id.contact.0))
    .bind(try_of(id))
    .bind([Kind::Decision, Kind::Permit].map(|kind| i16::from(kind.code())))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let rules: Vec<String> = row.try_get(3)?;
            Ok(Judgement {
                at: Time::at(row.try_get(0)?),
                verdict: row.try_get(1)?,
                until: row.try_get::<Option<i64>, _>(2)?.map(Time::at),
                titles: rules.iter().map(|rule| codes::rule(rule)).collect(),
                rules,
                audit_index: row.try_get(4)?,
            })
        })
        .collect()
}

async fn placements(
    app: &App,
    connection: &mut PgConnection,
    id: AttemptId,
) -> Result<Vec<Placement>, Problem> {
    let rows = sqlx::query(
        "SELECT l.id, l.trunk_id, n.cipher, l.at, l.not_after, l.sip_call_id, o.revision,
                o.disposition, o.sip_code, o.q850, o.ring_ms, o.answered_at, o.ended_at, o.recorded_by
         FROM placement l JOIN number n ON n.subject_id = l.number_subject
         LEFT JOIN outcome o ON o.placement_id = l.id
         WHERE l.contact_id = $1 AND l.try_no = $2 ORDER BY l.id, o.revision",
    )
    .bind(Uuid::from_u128(id.contact.0))
    .bind(try_of(id))
    .fetch_all(connection)
    .await?;
    let mut placements: Vec<Placement> = Vec::new();
    for row in &rows {
        let id = ulid(row.try_get(0)?);
        if placements.last().is_none_or(|placement| placement.id != id) {
            placements.push(Placement {
                id,
                trunk: Some(TrunkId(row.try_get::<Uuid, _>(1)?.as_u128()))
                    .filter(|trunk| *trunk != TrunkId::NONE)
                    .map(|trunk| trunk.to_string()),
                number: masked(app, row.try_get(2)?)?,
                at: Time::at(row.try_get(3)?),
                not_after: Time::at(row.try_get(4)?),
                sip_call_id: row.try_get(5)?,
                outcomes: Vec::new(),
            });
        }
        let Some(revision) = row.try_get::<Option<i16>, _>(6)? else { continue };
        let disposition = disposition_word(row.try_get(7)?);
        let ending = Ending {
            revision,
            disposition_text: codes::disposition(&disposition),
            disposition,
            sip_code: row.try_get(8)?,
            q850: row.try_get(9)?,
            ring_ms: row.try_get(10)?,
            answered_at: row.try_get::<Option<i64>, _>(11)?.map(Time::at),
            ended_at: Time::at(row.try_get(12)?),
            recorded_by: NodeId(row.try_get::<Uuid, _>(13)?.as_u128()).to_string(),
        };
        if let Some(placement) = placements.last_mut() {
            placement.outcomes.push(ending);
        }
    }
    Ok(placements)
}

/// The whole story of an attempt as one page of text: what was known, which rules were asked and
/// what each said, what happened, and the audit records that prove it.
#[utoipa::path(get, path = "/v1/attempts/{id}/story", tag = "attempts",
    params(("id" = String, Path, description = "contact ULID, '-', try")),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn story(
    _: May<AttemptRight>,
    State(app): State<Arc<App>>,
    Id(id): Id<AttemptId>,
) -> Result<String, Problem> {
    let mut connection = app.pool.acquire().await?;
    let story = schema::story::read(&mut connection, &app.keys, id).await;
    let story = story.map_err(Problem::internal)?;
    let story = story.ok_or_else(|| Problem::not_found(say!("no attempt {id}", id)))?;
    Ok(dialer_audit::page::write(&story))
}
