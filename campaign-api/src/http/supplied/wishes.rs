//! When a person does not want to be called, as the person said.

use std::sync::Arc;

use axum::{Json, extract::State};
use dialer_audit::record::FactKind;
use dialer_limiter::Token;
use dialer_policy::{Blocked, Wait};
use dialer_types::{Say, SellerId, SubjectId, UnixMillis, say};
use schema::{heads::move_heads, rows};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Fact, MOST, OnRecord, asked_seller, audit, check_source, conclude, unasked};
use crate::{
    app::App,
    events,
    http::{
        auth::{May, Supplies, Why},
        error::Problem,
        extract::{Asked, Body, Faults},
        sellers::number_of,
        suppressions::person::meant,
        time::Time,
    },
};

/// Nobody states more times than this; a judgement looks at each.
const TIMES: usize = 100;

/// What a person said of the times at which calls are unwelcome. It takes the place of all that the
/// person said before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWishes {
    /// Who was told: ULID.
    #[schema(value_type = String)]
    pub seller: SellerId,
    /// The seller's own id of the person.
    pub person: String,
    /// Times at which the person is left alone, in every zone where the person may be: as
    /// `mon,tue 09:00-17:00`, `daily 22:00-08:00`, `2026-12-24..2026-12-26` or `always`, at most 100.
    /// None: the person was asked, and blocks no time.
    pub blocked: Vec<String>,
    /// When it was said; absent: now.
    pub at: Option<Time>,
    /// Where the evidence of it is kept.
    pub source: String,
}

/// Whose wishes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// ULID of the seller.
    pub seller: String,
    /// The seller's own id of the person.
    pub person: String,
}

/// What a person said at one time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Said {
    /// The blocked times; none: asked, and no time is blocked.
    pub blocked: Vec<String>,
    /// When it was said.
    pub at: Time,
    /// Where the evidence of it is kept.
    pub source: String,
    /// When it was recorded.
    pub recorded_at: Time,
    /// Whether it holds: what was said last does.
    pub holds: bool,
}

/// All that a person said, the last first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AllSaid {
    /// None where nobody wrote anything down.
    pub items: Vec<Said>,
}

/// Records when a person does not want to be called. Rules of the kind `preference` heed it from
/// then on; where it is stricter than before, calls that are not on the wire yet are judged again
/// and those that ring are cancelled.
#[utoipa::path(post, path = "/v1/wishes", tag = "wishes", request_body = NewWishes,
    responses((status = 200, body = OnRecord),
        (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn record(
    May(caller, _): May<Supplies>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewWishes>,
) -> Result<Json<OnRecord>, Problem> {
    let now = app.now();
    let blocked = check(&new, now)?;
    let at = new.at.map_or(now, |at| at.0);
    let event = Token(app.ulid());
    let mut transaction = app.pool.begin().await?;
    let seller_no = number_of(&mut transaction, new.seller).await?;
    let (person, known) = name(&app, &mut transaction, &new, now).await?;
    let mut subjects = events::numbers_of(&mut transaction, person).await?;
    subjects.push(person);
    // Locked first: of two that come at once one sees the other.
    let moved =
        move_heads(&mut transaction, &subjects, |_, head| Some(head.touched(event))).await?;
    let before = latest(&mut transaction, person).await?;
    let holds = before.as_ref().is_none_or(|(said_at, _)| *said_at <= at);
    let texts: Vec<String> = blocked.iter().map(ToString::to_string).collect();
    insert(&mut transaction, &new, person, &texts, (at, now)).await?;
    let former = before.map(|(_, blocked)| blocked).unwrap_or_default();
    let stricter = holds && texts.iter().any(|text| !former.contains(text));
    let mut answer = OnRecord::new(event, &notes(&app, &blocked, known, holds));
    answer.woken = events::wake(&mut transaction, &[person], "wishes", now).await?;
    answer.woken += judge_again(&app, &mut transaction, person, now).await?;
    answer.subjects = moved.iter().map(|moved| moved.subject.0).collect();
    let said = if texts.is_empty() { "no time blocked".to_owned() } else { texts.join("; ") };
    let fact = Fact {
        what: FactKind::Wishes,
        subjects: moved.iter().map(|moved| moved.subject).collect(),
        seller: Some(new.seller),
        campaign: None,
        about: None,
        said,
        said_at: at,
        evidence: new.source,
    };
    audit(&mut transaction, fact, event, caller, now).await?;
    conclude(&app, transaction, &moved, seller_no, stricter, now).await?;
    Ok(Json(answer))
}

/// What is on record of a person's wishes.
#[utoipa::path(get, path = "/v1/wishes", tag = "wishes", params(Whose),
    responses((status = 200, body = AllSaid), (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn list(
    _: May<Why>,
    State(app): State<Arc<App>>,
    Asked(whose): Asked<Whose>,
) -> Result<Json<AllSaid>, Problem> {
    let seller = asked_seller(&whose.seller)?;
    let mut connection = app.pool.acquire().await?;
    let meant = meant(&mut connection, &app.keys, seller, &whose.person, None).await?;
    let rows = sqlx::query(
        "SELECT w.blocked, w.at, w.source, w.recorded_at FROM wish_event w
         JOIN person p ON p.subject_id = w.person_subject
         WHERE p.seller_id = $1 AND p.external_id = $2 ORDER BY w.at DESC, w.id DESC LIMIT $3",
    )
    .bind(Uuid::from_u128(seller.0))
    .bind(&meant.external_id)
    .bind(MOST)
    .fetch_all(&mut *connection)
    .await?;
    let said = |(place, row): (usize, &sqlx::postgres::PgRow)| {
        Ok(Said {
            blocked: row.try_get(0)?,
            at: Time::at(row.try_get(1)?),
            source: row.try_get(2)?,
            recorded_at: Time::at(row.try_get(3)?),
            holds: place == 0,
        })
    };
    let items = rows.iter().enumerate().map(said).collect::<Result<_, sqlx::Error>>()?;
    Ok(Json(AllSaid { items }))
}

fn check(new: &NewWishes, now: UnixMillis) -> Result<Vec<Blocked>, Problem> {
    let mut faults = Faults::default();
    faults.text("person", &new.person, 200);
    check_source(&mut faults, &new.source);
    if new.at.is_some_and(|at| at.0 > now) {
        faults.add("at", "must not be in the future");
    }
    if new.blocked.len() > TIMES {
        let (count, most) = (new.blocked.len(), TIMES);
        faults.add("blocked", say!("has {count} times; at most {most} are kept: say 'always', or put days together as in mon,tue", count, most));
    }
    let mut blocked = Vec::new();
    for (place, text) in new.blocked.iter().take(TIMES).enumerate() {
        match Blocked::read(text) {
            Ok(read) => blocked.extend(read),
            Err(why) => faults.add(&format!("blocked[{place}]"), why),
        }
    }
    faults.finish()?;
    Ok(blocked)
}

/// The person, made if nobody has the id yet, and whether a contact of the seller is the person.
async fn name(
    app: &App,
    connection: &mut PgConnection,
    new: &NewWishes,
    now: UnixMillis,
) -> Result<(SubjectId, bool), Problem> {
    let mut mint = app.new_mint().map_err(Problem::internal)?;
    let meant = meant(connection, &app.keys, new.seller, &new.person, None).await?;
    let ids = [meant.external_id.as_str()];
    let found = rows::persons(connection, new.seller, &ids, &mut mint, now).await?;
    let person = found.first().ok_or_else(|| Problem::internal("no person was made"))?.subject;
    Ok((person, meant.known))
}

/// What the person said last, and when.
async fn latest(
    connection: &mut PgConnection,
    person: SubjectId,
) -> Result<Option<(UnixMillis, Vec<String>)>, sqlx::Error> {
    let row: Option<(i64, Vec<String>)> = sqlx::query_as(
        "SELECT at, blocked FROM wish_event WHERE person_subject = $1
         ORDER BY at DESC, id DESC LIMIT 1",
    )
    .bind(person.0)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(at, blocked)| (UnixMillis(at), blocked)))
}

async fn insert(
    connection: &mut PgConnection,
    new: &NewWishes,
    person: SubjectId,
    blocked: &[String],
    (at, now): (UnixMillis, UnixMillis),
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO wish_event (seller_id, person_subject, blocked, at, source, recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(Uuid::from_u128(new.seller.0))
    .bind(person.0)
    .bind(blocked)
    .bind(at.0)
    .bind(&new.source)
    .bind(now.0)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Contacts of the person that a rule has deferred are judged again now: the times that they wait
/// for may be others. One that waits for another try after its last goes on waiting.
async fn judge_again(
    app: &App,
    connection: &mut PgConnection,
    person: SubjectId,
    now: UnixMillis,
) -> Result<u64, sqlx::Error> {
    let rules = app.judging.ruleset();
    let rules: Vec<&str> = rules.rule_ids().map(|rule| rule.as_str()).collect();
    let moved = sqlx::query(
        "UPDATE due d SET due_at = $3 FROM contact c
         WHERE c.id = d.contact_id AND c.person_subject = $1 AND d.due_at > $3
           AND d.because = ANY($2)",
    )
    .bind(person.0)
    .bind(rules)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(moved.rows_affected())
}

fn notes(app: &App, blocked: &[Blocked], known: bool, holds: bool) -> Vec<Say> {
    let mut notes: Vec<Say> = Vec::new();
    if !known {
        notes.push("no contact of this seller has this person, so it concerns nobody now: it is recorded, and counts when a list brings the person under this very id; check the id".into());
    }
    if !holds {
        notes.push("the person said something else later, and that holds".into());
    }
    if blocked.contains(&Blocked::Always) {
        notes.push("wishes bind the calls that a rule of the kind preference is about; to stop every call record a do-not-call entry (POST /v1/suppressions)".into());
    }
    notes.extend(unasked(app, &Wait::Wishes));
    notes
}
