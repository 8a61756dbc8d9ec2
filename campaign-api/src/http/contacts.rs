//! A campaign's contacts: who is waiting for what.

use std::sync::Arc;

use axum::{Json, extract::State};
use dialer_types::{CampaignId, ContactId, Disposition, say};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Look, May},
    error::Problem,
    extract::{Asked, Faults, Id, page},
    time::Time,
};
use crate::{
    app::App,
    words::{codes, told},
};

pub(super) const STATES: [&str; 5] = ["waiting", "due", "leased", "parked", "finished"];

/// Which contacts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `waiting`, `due`, `leased`, `parked` or `finished`.
    pub state: Option<String>,
    /// Only those parked under this cause.
    pub cause: Option<String>,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Rows, 1 to 1000 (100).
    pub limit: Option<i64>,
}

/// A contact.
#[derive(Debug, Serialize, ToSchema)]
pub struct Contact {
    /// ULID.
    #[schema(value_type = String)]
    pub id: ContactId,
    /// The seller's own id of the person.
    pub person: String,
    /// `waiting`, `due`, `leased`, `parked` or `finished`.
    pub state: String,
    /// Where it stands and what it waits for, in words.
    pub sentence: String,
    /// The attempt that comes next or is under way, from 1.
    pub try_no: i16,
    /// Masked, in the order in which they are tried.
    pub numbers: Vec<String>,
    /// When it becomes due.
    pub due_at: Option<Time>,
    /// The rule that deferred it, or the disposition that is tried again.
    pub because: Option<String>,
    /// What it waits for.
    pub cause: Option<String>,
    /// The rules that refused it.
    pub rules: Option<Vec<String>>,
    /// Since when it waits for that.
    pub since: Option<Time>,
    /// How the last attempt ended.
    pub last_disposition: Option<String>,
    /// Why it is finished.
    pub finished: Option<String>,
}

/// A page of contacts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Contacts {
    /// In the order of their ids.
    pub items: Vec<Contact>,
    /// Where the next page starts.
    pub next: Option<String>,
}

/// A campaign's contacts.
#[utoipa::path(get, path = "/v1/campaigns/{id}/contacts", tag = "contacts",
    params(("id" = String, Path, description = "ULID"), Which),
    responses((status = 200, body = Contacts), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(
    _: May<Look>,
    State(app): State<Arc<App>>,
    Id(campaign): Id<CampaignId>,
    Asked(which): Asked<Which>,
) -> Result<Json<Contacts>, Problem> {
    let mut faults = Faults::default();
    let after: Option<ContactId> =
        which.after.as_deref().and_then(|after| faults.parse("after", after));
    let state = which.state.as_deref().and_then(|word| {
        let place = STATES.iter().position(|state| *state == word);
        if place.is_none() {
            faults.add("state", say!("must be one of {words}", words = STATES.join(", ")));
        }
        place.and_then(|place| i16::try_from(place + 1).ok())
    });
    faults.finish()?;
    let limit = page(which.limit);
    let rows = sqlx::query(
        "SELECT c.id, p.external_id, c.state, c.try_no, d.due_at, d.because, k.cause, k.rules,
                k.since, c.last_disposition, c.finished,
                ARRAY(SELECT n.cipher FROM contact_number cn
                      JOIN number n ON n.subject_id = cn.number_subject
                      WHERE cn.contact_id = c.id ORDER BY cn.position)
         FROM contact c JOIN person p ON p.subject_id = c.person_subject
         LEFT JOIN due d ON d.contact_id = c.id LEFT JOIN parked k ON k.contact_id = c.id
         WHERE c.campaign_id = $1 AND ($2::smallint IS NULL OR c.state = $2)
           AND ($3::text IS NULL OR k.cause = $3) AND ($4::uuid IS NULL OR c.id > $4)
         ORDER BY c.id LIMIT $5",
    )
    .bind(Uuid::from_u128(campaign.0))
    .bind(state)
    .bind(which.cause)
    .bind(after.map(|after| Uuid::from_u128(after.0)))
    .bind(limit)
    .fetch_all(&app.pool)
    .await?;
    let items = rows.iter().map(|row| read(&app, row)).collect::<Result<Vec<_>, Problem>>()?;
    let full = i64::try_from(items.len()).is_ok_and(|rows| rows == limit);
    let next = items.last().filter(|_| full).map(|contact| contact.id.to_string());
    Ok(Json(Contacts { items, next }))
}

/// State, and what keeps it there.
fn sentence(state: &str, because: Option<&str>, cause: Option<&str>, why: Option<&str>) -> String {
    let more = cause.map(codes::cause).or_else(|| why.map(codes::finished));
    let more = more.or_else(|| because.map(codes::because));
    let said = codes::state(state);
    told(&match more {
        Some(more) => say!("{state}: {more}", more).with("state", said),
        None => said,
    })
}

fn read(app: &App, row: &PgRow) -> Result<Contact, Problem> {
    let state: i16 = row.try_get(2)?;
    let state = usize::try_from(state - 1).ok().and_then(|state| STATES.get(state));
    let ciphers: Vec<Vec<u8>> = row.try_get(11)?;
    let state = state.copied().unwrap_or_default();
    let (because, cause): (Option<String>, Option<String>) = (row.try_get(5)?, row.try_get(6)?);
    let finished: Option<String> = row.try_get(10)?;
    Ok(Contact {
        sentence: sentence(state, because.as_deref(), cause.as_deref(), finished.as_deref()),
        id: ContactId(row.try_get::<Uuid, _>(0)?.as_u128()),
        person: row.try_get(1)?,
        state: state.to_owned(),
        try_no: row.try_get(3)?,
        numbers: ciphers.iter().map(|cipher| masked(app, cipher)).collect::<Result<_, _>>()?,
        due_at: row.try_get::<Option<i64>, _>(4)?.map(Time::at),
        because,
        cause,
        rules: row.try_get(7)?,
        since: row.try_get::<Option<i64>, _>(8)?.map(Time::at),
        last_disposition: row.try_get::<Option<i16>, _>(9)?.map(disposition_word),
        finished,
    })
}

/// A stored number, masked.
pub(super) fn masked(app: &App, cipher: &[u8]) -> Result<String, Problem> {
    // Display masks.
    app.keys.decrypt(cipher).map(|number| number.to_string()).map_err(Problem::internal)
}

/// The word of a stored disposition.
pub(super) fn disposition_word(code: i16) -> String {
    u8::try_from(code)
        .ok()
        .and_then(Disposition::from_code)
        .map_or_else(|| code.to_string(), |disposition| disposition.as_str().to_owned())
}
