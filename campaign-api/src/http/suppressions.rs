//! Opt-outs (G7): one transaction moves every head concerned and tells every dialer; the answer comes
//! when none of them can place a call any more that does not know of it.

pub(super) mod list;
pub(super) mod person;

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State};
use dialer_audit::{
    Record,
    record::{Suppressed, Token as AuditToken},
};
use dialer_limiter::{Head, Mark, Token};
use dialer_types::{
    E164, LineType, PlacementId, Purpose, Say, SellerId, SellerNo, SubjectId, UnixMillis,
};
use schema::{
    heads::{Moved, move_heads},
    rows::{self, AuditEntry},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{May, OptOuts},
    error::Problem,
    extract::{Body, Faults, free_text::holds_number},
    sellers::number_of,
    time::Time,
};
use crate::{app::App, events, words::told};

pub use list::{Entries, Entry, LiftedBy, Whose};

/// Whether a suppression begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionKind {
    /// Do not call.
    #[default]
    Add,
    /// The entry is withdrawn.
    Lift,
}

/// A do-not-call entry, or the end of one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSuppression {
    /// For one seller (ULID); absent: for every seller.
    #[schema(value_type = Option<String>)]
    pub seller: Option<SellerId>,
    /// A telephone number. One that nobody has yet is kept: it holds when somebody gets it.
    pub number: Option<String>,
    /// Of which country the number is, if it stands without its country code: two letters.
    pub region: Option<String>,
    /// The seller's own id of a person: the person and every number of theirs. Needs `seller`. An id
    /// that is a telephone number means the person that the import named by its code.
    pub person: Option<String>,
    /// Calls of this purpose only, for example `telemarketing`: calls for another one go on. Absent:
    /// every call, whatever its purpose.
    #[schema(value_type = Option<String>)]
    pub purpose: Option<Purpose>,
    /// Why, in words.
    pub reason: String,
    /// `add` (default) or `lift`. What is lifted is the entry of the same seller and the same purpose.
    #[serde(default)]
    pub kind: SuppressionKind,
    /// Since when; absent: now.
    pub at: Option<Time>,
}

/// What an event moved.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recorded {
    /// The event: the new token of the heads it moved. ULID.
    pub event: String,
    /// The subjects (numbers and persons) whose heads it moved.
    pub subjects: Vec<i64>,
    /// Contacts that waited for this and are due now.
    pub woken: u64,
    /// `false` if a person was named and no contact of the seller is that person: it is recorded, and
    /// concerns nobody yet.
    pub known: bool,
    /// A warning in words; null if there is none.
    pub note: Option<String>,
}

/// The subjects that an entry names.
#[derive(Debug, Clone, Copy)]
struct Named {
    number: Option<SubjectId>,
    person: Option<SubjectId>,
    /// Whether a contact of the seller is the person.
    known: bool,
}

/// Records a do-not-call entry. Once this answers with success, no INVITE to the subjects leaves any
/// dialer and calls that ring are being cancelled. The answer takes about 110 milliseconds: so long
/// may a dialer that hears nothing go on.
#[utoipa::path(post, path = "/v1/suppressions", tag = "suppressions", request_body = NewSuppression,
    responses((status = 200, body = Recorded),
        (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn record(
    _: May<OptOuts>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewSuppression>,
) -> Result<Json<Recorded>, Problem> {
    let now = app.now();
    let number = check(&new, now)?;
    let event = Token(app.ulid());
    let mut transaction = app.pool.begin().await?;
    let seller_no = match new.seller {
        Some(seller) => number_of(&mut transaction, seller).await?,
        None => 0,
    };
    let named = name(&app, &mut transaction, &new, number, now).await?;
    insert(&mut transaction, &new, named, event, now).await?;
    let by = new.seller.map(|_| SellerNo(u32::try_from(seller_no).unwrap_or(0)));
    let mark = Mark::suppressed(by).about(new.purpose);
    let moved = match new.kind {
        SuppressionKind::Add => add(&mut transaction, named, mark, event).await?,
        SuppressionKind::Lift => lift(&mut transaction, named, mark, event).await?,
    };
    let subjects: Vec<SubjectId> = moved.iter().map(|moved| moved.subject).collect();
    let woken = match new.kind {
        SuppressionKind::Lift => {
            events::wake(&mut transaction, &subjects, "suppression", now).await?
        }
        SuppressionKind::Add => 0,
    };
    let lifted = if new.kind == SuppressionKind::Lift { "lifted: " } else { "" };
    let body = Suppressed {
        event: AuditToken(event.0),
        subjects: subjects.clone(),
        seller: new.seller,
        source: "api".to_owned(),
        effective_at: new.at.map_or(now, |at| at.0),
        reason: format!("{lifted}{}", new.reason),
        purpose: new.purpose,
    };
    rows::append_audit(&mut transaction, &[AuditEntry::of(Record::new(None, body.into(), now))])
        .await?;
    if new.kind == SuppressionKind::Add {
        events::announce_opt_out(&mut transaction, &moved, seller_no, new.purpose, now).await?;
    }
    transaction.commit().await?;
    match new.kind {
        SuppressionKind::Add => events::opted_out(&app, &moved).await,
        SuppressionKind::Lift => events::follow(&app, &moved).await,
    }
    Ok(Json(Recorded {
        event: PlacementId(event.0).to_string(),
        subjects: subjects.iter().map(|subject| subject.0).collect(),
        woken,
        known: named.known,
        note: (!named.known).then(|| told(&unknown(new.kind, named))),
    }))
}

/// What is said of a person whom no contact of the seller is.
fn unknown(kind: SuppressionKind, named: Named) -> Say {
    match (kind, named.number) {
        (SuppressionKind::Add, None) => "no contact of this seller has this person, so nobody is bound by it now: the entry is recorded, and binds when a list brings the person under this very id; check the id, or give the number",
        (SuppressionKind::Add, Some(_)) => "no contact of this seller has this person, so the number alone is bound now: the entry is recorded, and binds the person when a list brings them under this very id; check the id",
        (SuppressionKind::Lift, _) => "no contact of this seller has this person, so nothing is lifted from any person; check the id",
    }
    .into()
}

fn check(new: &NewSuppression, now: UnixMillis) -> Result<Option<E164>, Problem> {
    let mut faults = Faults::default();
    faults.text("reason", &new.reason, 500);
    if holds_number(&new.reason) {
        faults.add("reason", "holds something like a telephone number; the audit holds none");
    }
    if let Some(person) = &new.person {
        faults.text("person", person, 200);
        if new.seller.is_none() {
            faults.add("seller", "is missing: a person's id is an id of one seller");
        }
    }
    if new.number.is_none() && new.person.is_none() {
        faults.add("number", "is missing: name a number, a person or both");
    }
    if new.at.is_some_and(|at| at.0 > now) {
        faults.add("at", "must not be in the future: an entry holds at once");
    }
    let region = new.region.as_deref();
    let number = new.number.as_deref().and_then(|text| faults.number("number", text, region));
    faults.finish().map(|()| number)
}

/// Finds or makes the person and the number: one that nobody has yet must hold later.
async fn name(
    app: &App,
    connection: &mut PgConnection,
    new: &NewSuppression,
    number: Option<E164>,
    now: UnixMillis,
) -> Result<Named, Problem> {
    let mut mint = app.new_mint().map_err(Problem::internal)?;
    let mut known = true;
    let person = match (&new.person, new.seller) {
        (Some(person), Some(seller)) => {
            let meant = person::meant(connection, &app.keys, seller, person, number).await?;
            known = meant.known;
            let ids = [meant.external_id.as_str()];
            let found = rows::persons(connection, seller, &ids, &mut mint, now).await?;
            found.first().map(|found| found.subject)
        }
        _ => None,
    };
    let number = match number {
        Some(number) => {
            let wanted = [(number, LineType::Unknown)];
            let found = rows::numbers(connection, &app.keys, &wanted, &mut mint, now).await?;
            found.first().map(|found| found.subject)
        }
        None => None,
    };
    Ok(Named { number, person, known })
}

async fn insert(
    connection: &mut PgConnection,
    new: &NewSuppression,
    named: Named,
    event: Token,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    let kind = match new.kind {
        SuppressionKind::Add => "add",
        SuppressionKind::Lift => "lift",
    };
    sqlx::query(
        "INSERT INTO suppression_event (seller_id, number_subject, person_subject, kind, reason, at,
                                        recorded_at, event, purpose)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.seller.map(|seller| Uuid::from_u128(seller.0)))
    .bind(named.number.map(|number| number.0))
    .bind(named.person.map(|person| person.0))
    .bind(kind)
    .bind(&new.reason)
    .bind(new.at.map_or(now, |at| at.0).0)
    .bind(now.0)
    .bind(Uuid::from_u128(event.0))
    .bind(new.purpose.map(|purpose| i16::from(purpose.code())))
    .execute(connection)
    .await
    .map(|_| ())
}

/// The head with the mark; where there is no room for one more seller, everybody is bound.
fn marked(head: &Head, event: Token, mark: Mark) -> Option<Head> {
    head.with_mark(event, mark).or_else(|_| head.with_mark(event, Mark::suppressed(None))).ok()
}

async fn add(
    connection: &mut PgConnection,
    named: Named,
    mark: Mark,
    event: Token,
) -> Result<Vec<Moved>, Problem> {
    let mut subjects: Vec<SubjectId> = named.number.into_iter().chain(named.person).collect();
    if let Some(person) = named.person {
        subjects.extend(events::numbers_of(connection, person).await?);
    }
    let mut full = None;
    let moved = move_heads(connection, &subjects, |subject, head| {
        let next = marked(head, event, mark);
        if next.is_none() {
            full = Some(subject);
        }
        next
    })
    .await?;
    match full {
        // Cannot be: room is kept for the mark that binds everybody. Never an empty success.
        Some(subject) => {
            Err(Problem::internal(format!("the head of subject {} took no mark", subject.0)))
        }
        None => Ok(moved),
    }
}

/// Takes marks away where no other entry of the same seller and purpose still stands: a number stays marked
/// while an entry on the number itself, or on another person who has it, is not lifted.
async fn lift(
    connection: &mut PgConnection,
    named: Named,
    mark: Mark,
    event: Token,
) -> Result<Vec<Moved>, Problem> {
    let mut numbers: BTreeSet<SubjectId> = named.number.into_iter().collect();
    if let Some(person) = named.person {
        numbers.extend(events::numbers_of(connection, person).await?);
    }
    let all: Vec<SubjectId> = numbers.iter().copied().chain(named.person).collect();
    // Locked first: an entry that is added meanwhile waits, and marks again.
    schema::heads::lock_heads(connection, &all).await?;
    let standing = dialer_facts::entries(connection, &all).await?;
    let stands = |subject: SubjectId| {
        let mut entries = standing.get(&subject).into_iter().flatten();
        entries.any(|it| (it.entry.seller, it.entry.purpose) == (mark.seller, mark.purpose))
    };
    Ok(move_heads(connection, &all, |subject, head| {
        (!stands(subject)).then(|| head.without_mark(event, mark))
    })
    .await?)
}
