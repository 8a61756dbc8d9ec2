//! What stands on somebody: the do-not-call entries, and the consents that lift them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use dialer_types::{E164, EventId, Purpose, SellerId, SubjectId, Technology, UnixMillis};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::person::meant;
use crate::{
    app::App,
    events,
    http::{
        auth::{May, Suppressions},
        error::Problem,
        extract::{Asked, Faults},
        time::Time,
    },
};

/// Entries of one answer, the newest: more than anybody has.
const MOST: i64 = 200;

/// Of whom: a number, or a person of a seller.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// Only what binds this seller (ULID). Needed with `person`.
    #[param(value_type = Option<String>)]
    pub seller: Option<SellerId>,
    /// A telephone number: what was recorded of it, and of everybody who has it.
    pub number: Option<String>,
    /// Of which country the number is, if it stands without its country code: two letters.
    pub region: Option<String>,
    /// The seller's own id of a person: what was recorded of the person, and of every number of theirs.
    pub person: Option<String>,
}

/// The newest 200 entries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entries {
    /// They.
    pub items: Vec<Entry>,
}

/// A do-not-call entry, or the end of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// What it is called by: what a consent that is to lift it names. ULID.
    #[schema(value_type = String)]
    pub event: EventId,
    /// Whose entry it is (ULID); null: it binds every seller.
    #[schema(value_type = Option<String>)]
    pub seller: Option<SellerId>,
    /// The purpose that it is about; null: every purpose.
    #[schema(value_type = Option<String>)]
    pub purpose: Option<Purpose>,
    /// `number`, `person`, or `number and person`.
    pub of: String,
    /// `add` or `lift`.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Time,
    /// Whether it holds now, but for the calls of `lifted_by`. False for the end of an entry.
    pub stands: bool,
    /// The consents that lift it, each for its own calls and while it is valid.
    pub lifted_by: Vec<LiftedBy>,
}

/// A consent that lifts an entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiftedBy {
    /// ULID.
    #[schema(value_type = String)]
    pub consent: EventId,
    /// For calls of this seller (ULID).
    #[schema(value_type = String)]
    pub seller: SellerId,
    /// For calls of this purpose.
    #[schema(value_type = String)]
    pub purpose: Purpose,
    /// For this technology only; null: for all.
    #[schema(value_type = Option<String>)]
    pub technology: Option<Technology>,
    /// When it was given.
    pub at: Time,
    /// Whether it was not taken back since.
    pub valid: bool,
}

/// What is on record of somebody, and what of it stands.
#[utoipa::path(get, path = "/v1/suppressions", tag = "suppressions", params(Whose),
    responses((status = 200, body = Entries), (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn list(
    _: May<Suppressions>,
    State(app): State<Arc<App>>,
    Asked(whose): Asked<Whose>,
) -> Result<Json<Entries>, Problem> {
    let number = whose.check()?;
    let mut snapshot = crate::judging::snapshot(&app).await?;
    let subjects = whose.subjects(&app, &mut snapshot, number).await?;
    let standing = dialer_facts::entries(&mut snapshot, &subjects).await?;
    let stands: Vec<(EventId, SubjectId)> =
        standing.values().flatten().map(|it| (it.entry.event, it.of)).collect();
    let rows = sqlx::query(
        "WITH about AS (
             SELECT unnest($1::bigint[]) AS named
             UNION
             SELECT c.person_subject FROM contact_number n JOIN contact c ON c.id = n.contact_id
             WHERE n.number_subject = ANY($1)
         )
         SELECT event, seller_id, purpose, number_subject, person_subject, kind, reason, at
         FROM suppression_event
         WHERE (number_subject IN (SELECT named FROM about)
                OR person_subject IN (SELECT named FROM about))
           AND ($2::uuid IS NULL OR seller_id IS NULL OR seller_id = $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(subjects.iter().map(|subject| subject.0).collect::<Vec<_>>())
    .bind(whose.seller.map(|seller| Uuid::from_u128(seller.0)))
    .bind(MOST)
    .fetch_all(&mut *snapshot)
    .await?;
    let mut items = rows.iter().map(|row| entry(row, &stands)).collect::<Result<Vec<_>, _>>()?;
    let events: Vec<Uuid> = items.iter().map(|item| Uuid::from_u128(item.event.0)).collect();
    let mut lifts = lifts(&mut snapshot, &events).await?;
    for item in &mut items {
        item.lifted_by = lifts.remove(&item.event).unwrap_or_default();
    }
    Ok(Json(Entries { items }))
}

impl Whose {
    fn check(&self) -> Result<Option<E164>, Problem> {
        let mut faults = Faults::default();
        if self.number.is_some() == self.person.is_some() {
            faults.add("number", "give one of number and person");
        }
        if self.person.is_some() && self.seller.is_none() {
            faults.add("seller", "is missing: a person's id is an id of one seller");
        }
        let region = self.region.as_deref();
        let number = self.number.as_deref().and_then(|it| faults.number("number", it, region));
        faults.finish().map(|()| number)
    }

    async fn subjects(
        &self,
        app: &App,
        connection: &mut PgConnection,
        number: Option<E164>,
    ) -> Result<Vec<SubjectId>, Problem> {
        if let Some(number) = number {
            let found = sqlx::query_scalar("SELECT subject_id FROM number WHERE keyed_hash = $1")
                .bind(app.keys.lookup_hash(&number).to_vec())
                .fetch_optional(connection)
                .await?;
            return Ok(found.map(SubjectId).into_iter().collect());
        }
        let (Some(seller), Some(person)) = (self.seller, &self.person) else {
            return Ok(Vec::new());
        };
        let id = meant(connection, &app.keys, seller, person, None).await?.external_id;
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT subject_id FROM person WHERE seller_id = $1 AND external_id = $2",
        )
        .bind(Uuid::from_u128(seller.0))
        .bind(&id)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(person) = found.map(SubjectId) else {
            return Err(Problem::not_found(
                "nothing is known of this person of this seller; check the id",
            ));
        };
        let mut subjects = events::numbers_of(connection, person).await?;
        subjects.push(person);
        Ok(subjects)
    }
}

fn purpose(code: i16) -> Result<Purpose, Problem> {
    let known = u8::try_from(code).ok().and_then(Purpose::from_code);
    known.ok_or_else(|| Problem::internal(format!("a purpose is {code}")))
}

fn entry(row: &PgRow, stands: &[(EventId, SubjectId)]) -> Result<Entry, Problem> {
    let event = EventId(row.try_get::<Uuid, _>(0)?.as_u128());
    let seller: Option<Uuid> = row.try_get(1)?;
    let about: Option<i16> = row.try_get(2)?;
    let (number, person): (Option<i64>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    let kind: String = row.try_get(5)?;
    let mut of = number.iter().chain(&person).map(|subject| (event, SubjectId(*subject)));
    Ok(Entry {
        event,
        seller: seller.map(|id| SellerId(id.as_u128())),
        purpose: about.map(purpose).transpose()?,
        of: match (number, person) {
            (Some(_), Some(_)) => "number and person",
            (Some(_), None) => "number",
            _ => "person",
        }
        .to_owned(),
        stands: kind == "add" && of.any(|one| stands.contains(&one)),
        kind,
        reason: row.try_get(6)?,
        at: Time(UnixMillis(row.try_get(7)?)),
        lifted_by: Vec::new(),
    })
}

async fn lifts(
    connection: &mut PgConnection,
    events: &[Uuid],
) -> Result<BTreeMap<EventId, Vec<LiftedBy>>, Problem> {
    let rows = sqlx::query(
        "SELECT l.entry, c.event, c.seller_id, c.purpose, c.technology, c.at,
                NOT EXISTS (
                    SELECT FROM consent_event r
                    WHERE r.person_subject = c.person_subject AND r.seller_id = c.seller_id
                      AND r.kind = 'revoke' AND r.form = c.form AND r.purpose = c.purpose
                      AND (r.at, r.id) > (c.at, c.id)
                      AND (r.technology IS NULL OR r.technology = c.technology)
                      AND (r.number_subject IS NULL OR r.number_subject = c.number_subject))
         FROM consent_event c CROSS JOIN LATERAL unnest(c.lifts) AS l(entry)
         WHERE c.lifts && $1::uuid[] ORDER BY c.id",
    )
    .bind(events)
    .fetch_all(connection)
    .await?;
    let mut found: BTreeMap<EventId, Vec<LiftedBy>> = BTreeMap::new();
    for row in &rows {
        let technology: Option<i16> = row.try_get(4)?;
        let known = |code: i16| u8::try_from(code).ok().and_then(Technology::from_code);
        let by = LiftedBy {
            consent: EventId(row.try_get::<Uuid, _>(1)?.as_u128()),
            seller: SellerId(row.try_get::<Uuid, _>(2)?.as_u128()),
            purpose: purpose(row.try_get(3)?)?,
            technology: technology.and_then(known),
            at: Time(UnixMillis(row.try_get(5)?)),
            valid: row.try_get(6)?,
        };
        found.entry(EventId(row.try_get::<Uuid, _>(0)?.as_u128())).or_default().push(by);
    }
    Ok(found)
}
