//! Consents given and taken back.

mod lifts;

use std::sync::Arc;

use axum::{Json, extract::State};
use dialer_audit::{
    Record,
    record::{Body as AuditBody, ConsentGiven, Revoked, Token as AuditToken},
};
use dialer_limiter::Token;
use dialer_types::{
    E164, EventId, LineType, PlacementId, Purpose, SellerId, SubjectId, Technology, UnixMillis, say,
};
use schema::{
    heads::{lock_heads, move_heads},
    rows::{self, AuditEntry},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Consents, May},
    error::Problem,
    extract::{Body, Faults, free_text::holds_number},
    sellers::number_of,
    suppressions::{Recorded, person::meant},
    time::Time,
};
use crate::{app::App, events, words::told};

/// Most characters of the words agreed to: a paragraph of a form.
const WORDING: usize = 2000;
/// Most characters of the way it was given.
const CHANNEL: usize = 200;

/// Forms of consent.
pub(crate) const FORMS: [&str; 3] = ["prior_express", "prior_express_written", "opt_in"];

/// Whether a consent is given or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsentKind {
    /// Given.
    Grant,
    /// Taken back.
    Revoke,
}

impl ConsentKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Revoke => "revoke",
        }
    }
}

/// A consent, or the end of one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsent {
    /// To whom: ULID.
    #[schema(value_type = String)]
    pub seller: SellerId,
    /// The seller's own id of the person.
    pub person: String,
    /// E.164, if it concerns one number only.
    pub number: Option<String>,
    /// Of which country the number is, if it stands without its country code: two letters.
    pub region: Option<String>,
    /// `grant` or `revoke`.
    pub kind: ConsentKind,
    /// `prior_express`, `prior_express_written` or `opt_in`.
    pub form: String,
    /// For which purpose.
    #[schema(value_type = String)]
    pub purpose: Purpose,
    /// For which technology only.
    #[schema(value_type = Option<String>)]
    pub technology: Option<Technology>,
    /// When; absent: now.
    pub at: Option<Time>,
    /// Where the evidence of it is kept.
    pub source: String,
    /// The very words that the person agreed to, at most 2000 characters.
    pub wording: Option<String>,
    /// The way it was given, for example `web form`, `paper`, `recorded call`.
    pub channel: Option<String>,
    /// The do-not-call entries (`event` of each, at most 20) that this consent is to lift, for calls of
    /// this seller and purpose only and while it is valid. It must be given later than they were made,
    /// with its `wording`. Open to compliance only.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub lifts: Vec<EventId>,
}

/// Records a consent or its revocation. A revocation that was answered with success stops every
/// call that is not yet on the wire and cancels those that ring.
#[utoipa::path(post, path = "/v1/consents", tag = "consents", request_body = NewConsent,
    responses((status = 200, body = Recorded),
        (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn record(
    May(caller, _): May<Consents>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewConsent>,
) -> Result<Json<Recorded>, Problem> {
    let now = app.now();
    let number = check(&new, now)?;
    if !new.lifts.is_empty() {
        lifts::allowed(caller.role)?;
    }
    let at = new.at.map_or(now, |at| at.0);
    let event = Token(app.ulid());
    let mut transaction = app.pool.begin().await?;
    let seller_no = number_of(&mut transaction, new.seller).await?;
    let (person, number, known) = name(&app, &mut transaction, &new, number, now).await?;
    let mut subjects = events::numbers_of(&mut transaction, person).await?;
    subjects.extend(number);
    subjects.push(person);
    // Locked first: a do-not-call entry that is added meanwhile waits, and is not lifted.
    lock_heads(&mut transaction, &subjects).await?;
    let binding = lifts::check(&mut transaction, &new, seller_no, person, number, at).await?;
    insert(&mut transaction, &new, (person, number, event), at, now).await?;
    let moved =
        move_heads(&mut transaction, &subjects, |_, head| Some(head.touched(event))).await?;
    let woken = match new.kind {
        ConsentKind::Grant if new.lifts.is_empty() => {
            events::wake(&mut transaction, &[person], "consent", now).await?
        }
        ConsentKind::Grant => {
            events::wake(&mut transaction, &[person], "consent", now).await?
                + events::wake(&mut transaction, &[person], "suppression", now).await?
        }
        ConsentKind::Revoke => 0,
    };
    let subjects: Vec<SubjectId> = moved.iter().map(|moved| moved.subject).collect();
    let concerned = number.map_or_else(|| subjects.clone(), |number| vec![number, person]);
    let body = audit_body(&new, concerned, event, at);
    rows::append_audit(&mut transaction, &[AuditEntry::of(Record::new(None, body, now))]).await?;
    if new.kind == ConsentKind::Revoke {
        let purpose = Some(new.purpose);
        events::announce_opt_out(&mut transaction, &moved, seller_no, purpose, now).await?;
    }
    transaction.commit().await?;
    match new.kind {
        ConsentKind::Revoke => events::opted_out(&app, &moved).await,
        ConsentKind::Grant => events::follow(&app, &moved).await,
    }
    Ok(Json(Recorded {
        event: PlacementId(event.0).to_string(),
        subjects: subjects.iter().map(|subject| subject.0).collect(),
        woken,
        known,
        note: lifts::note(&new, known, &binding).map(|note| told(&note)),
    }))
}

pub(super) const UNKNOWN: &str = "no contact of this seller has this person, so it concerns nobody now: it is recorded, and counts when a list brings the person under this very id; check the id";

fn check(new: &NewConsent, now: UnixMillis) -> Result<Option<E164>, Problem> {
    let mut faults = Faults::default();
    faults.text("person", &new.person, 200);
    faults.text("source", &new.source, 500);
    if holds_number(&new.source) {
        faults.add("source", "holds something like a telephone number; the audit holds none");
    }
    if !FORMS.contains(&new.form.as_str()) {
        faults.add("form", say!("must be one of {words}", words = FORMS.join(", ")));
    }
    if new.at.is_some_and(|at| at.0 > now) {
        faults.add("at", "must not be in the future");
    }
    for (field, text, most) in
        [("wording", &new.wording, WORDING), ("channel", &new.channel, CHANNEL)]
    {
        if let Some(text) = text {
            faults.text(field, text, most);
            if holds_number(text) {
                faults.add(field, "holds something like a telephone number; the audit holds none");
            }
        }
    }
    lifts::form(new, &mut faults);
    let region = new.region.as_deref();
    let number = new.number.as_deref().and_then(|text| faults.number("number", text, region));
    faults.finish().map(|()| number)
}

/// The person and the number, and whether a contact of the seller is the person.
async fn name(
    app: &App,
    connection: &mut PgConnection,
    new: &NewConsent,
    number: Option<E164>,
    now: UnixMillis,
) -> Result<(SubjectId, Option<SubjectId>, bool), Problem> {
    let mut mint = app.new_mint().map_err(Problem::internal)?;
    let meant = meant(connection, &app.keys, new.seller, &new.person, number).await?;
    let ids = [meant.external_id.as_str()];
    let person = rows::persons(connection, new.seller, &ids, &mut mint, now).await?;
    let person = person.first().ok_or_else(|| Problem::internal("no person was made"))?.subject;
    let wanted: Vec<_> = number.into_iter().map(|number| (number, LineType::Unknown)).collect();
    let number = rows::numbers(connection, &app.keys, &wanted, &mut mint, now).await?;
    Ok((person, number.first().map(|found| found.subject), meant.known))
}

async fn insert(
    connection: &mut PgConnection,
    new: &NewConsent,
    (person, number, event): (SubjectId, Option<SubjectId>, Token),
    at: UnixMillis,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    let lifts: Vec<Uuid> = new.lifts.iter().map(|entry| Uuid::from_u128(entry.0)).collect();
    sqlx::query(
        "INSERT INTO consent_event (seller_id, person_subject, number_subject, kind, form, purpose,
            technology, at, source, recorded_at, event, wording, channel, lifts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(Uuid::from_u128(new.seller.0))
    .bind(person.0)
    .bind(number.map(|number| number.0))
    .bind(new.kind.as_str())
    .bind(&new.form)
    .bind(i16::from(new.purpose.code()))
    .bind(new.technology.map(|technology| i16::from(technology.code())))
    .bind(at.0)
    .bind(&new.source)
    .bind(now.0)
    .bind(Uuid::from_u128(event.0))
    .bind(&new.wording)
    .bind(&new.channel)
    .bind(lifts)
    .execute(connection)
    .await
    .map(|_| ())
}

fn audit_body(
    new: &NewConsent,
    subjects: Vec<SubjectId>,
    event: Token,
    at: UnixMillis,
) -> AuditBody {
    let event = AuditToken(event.0);
    let seller = Some(new.seller);
    match new.kind {
        ConsentKind::Grant => ConsentGiven {
            event,
            subjects,
            seller,
            form: new.form.clone(),
            purpose: new.purpose,
            technology: new.technology,
            given_at: at,
            evidence: new.source.clone(),
            wording: new.wording.clone(),
            channel: new.channel.clone(),
            lifts: (!new.lifts.is_empty())
                .then(|| new.lifts.iter().map(|entry| AuditToken(entry.0)).collect()),
        }
        .into(),
        ConsentKind::Revoke => Revoked {
            event,
            subjects,
            seller,
            purpose: Some(new.purpose),
            source: new.source.clone(),
            revoked_at: at,
        }
        .into(),
    }
}
