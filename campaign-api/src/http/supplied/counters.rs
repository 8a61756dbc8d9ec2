//! Counts over all persons that a seller calls, by whatever means: somebody else counts them.

use std::sync::Arc;

use axum::{Json, extract::State};
use dialer_audit::record::FactKind;
use dialer_limiter::Token;
use dialer_policy::Wait;
use dialer_types::{Say, SellerId, UnixMillis};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Fact, OnRecord, Whose, asked_seller, audit, check_id, check_source, unasked, waiting};
use crate::{
    app::App,
    http::{
        auth::{Counters as CounterRight, Look, May},
        error::Problem,
        extract::{Asked, Body, Faults},
        sellers::number_of,
        time::Time,
    },
};

/// Nobody counts a window longer than this: a year and a day.
const LONGEST: i64 = 367 * 24 * 3600 * 1000;
/// Counters of one seller, at most: each judgement of its campaigns reads them.
const COUNTERS: i64 = 100;

/// A count of calls in the window under way.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCount {
    /// Whose calls: ULID.
    #[schema(value_type = String)]
    pub seller: SellerId,
    /// Which counter, as rules name it: `br.short_calls`.
    pub counter: String,
    /// How many in the window under way, by whatever means they were made: those of this deployment
    /// among them. 0 to 4,294,967,295.
    pub count: i64,
    /// When it was counted; absent: now. An older count than the one on record is kept, and changes
    /// nothing.
    pub as_of: Option<Time>,
    /// When the window under way ends: from then on nothing of it counts.
    pub resets_at: Time,
    /// Where the evidence of it is kept.
    pub source: String,
}

/// The newest count of a counter.
#[derive(Debug, Serialize, ToSchema)]
pub struct Count {
    /// Which counter.
    pub counter: String,
    /// How many.
    pub count: i64,
    /// When it was counted.
    pub as_of: Time,
    /// When the window ends.
    pub resets_at: Time,
}

/// The counters of a seller, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Counts {
    /// The newest count of each.
    pub items: Vec<Count>,
}

/// Records a count. Judgements made from then on go by it.
#[utoipa::path(post, path = "/v1/counters", tag = "counters", request_body = NewCount,
    responses((status = 200, body = OnRecord), (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn record(
    May(caller, _): May<CounterRight>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewCount>,
) -> Result<Json<OnRecord>, Problem> {
    let now = app.now();
    let as_of = new.as_of.map_or(now, |at| at.0);
    check(&new, as_of, now)?;
    let event = Token(app.ulid());
    let mut transaction = app.pool.begin().await?;
    number_of(&mut transaction, new.seller).await?;
    let wait = Wait::Counter(new.counter.as_str().into());
    let waiting = waiting(&mut transaction, new.seller, &wait.word()).await?;
    let newest = keep(&mut transaction, &new, as_of, now).await?;
    let older: Option<Say> =
        (!newest).then(|| "a count of a later moment is on record, and that holds".into());
    let notes: Vec<Say> = older.into_iter().chain(unasked(&app, &wait)).collect();
    let mut answer = OnRecord::new(event, &notes);
    answer.waiting = waiting;
    let fact = Fact {
        what: FactKind::Counter,
        subjects: Vec::new(),
        seller: Some(new.seller),
        campaign: None,
        said: format!("{} until {}", new.count, new.resets_at.text()),
        about: Some(new.counter),
        said_at: as_of,
        evidence: new.source,
    };
    audit(&mut transaction, fact, event, caller, now).await?;
    transaction.commit().await?;
    Ok(Json(answer))
}

/// The newest count of each counter of a seller.
#[utoipa::path(get, path = "/v1/counters", tag = "counters", params(Whose),
    responses((status = 200, body = Counts), (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn list(
    _: May<Look>,
    State(app): State<Arc<App>>,
    Asked(whose): Asked<Whose>,
) -> Result<Json<Counts>, Problem> {
    let seller = asked_seller(&whose.seller)?;
    let rows = sqlx::query(
        "SELECT counter, count, as_of, resets_at FROM caller_counter WHERE seller_id = $1
         ORDER BY counter",
    )
    .bind(Uuid::from_u128(seller.0))
    .fetch_all(&app.pool)
    .await?;
    let shown = |row: &PgRow| {
        Ok(Count {
            counter: row.try_get(0)?,
            count: row.try_get(1)?,
            as_of: Time::at(row.try_get(2)?),
            resets_at: Time::at(row.try_get(3)?),
        })
    };
    let items = rows.iter().map(shown).collect::<Result<_, sqlx::Error>>()?;
    Ok(Json(Counts { items }))
}

fn check(new: &NewCount, as_of: UnixMillis, now: UnixMillis) -> Result<(), Problem> {
    let mut faults = Faults::default();
    check_id(&mut faults, "counter", &new.counter);
    check_source(&mut faults, &new.source);
    faults.range("count", new.count, 0, i64::from(u32::MAX));
    if as_of > now {
        faults.add("as_of", "must not be in the future");
    }
    if !(as_of.0.saturating_add(1)..=as_of.0.saturating_add(LONGEST)).contains(&new.resets_at.0.0) {
        faults.add("resets_at", "must be after as_of, and at most 367 days: give the end of the window that was counted");
    }
    faults.finish()
}

/// Keeps the event, and the count where none of a later moment is on record; says whether it is now
/// the newest.
async fn keep(
    connection: &mut PgConnection,
    new: &NewCount,
    as_of: UnixMillis,
    now: UnixMillis,
) -> Result<bool, Problem> {
    let seller = Uuid::from_u128(new.seller.0);
    sqlx::query(
        "INSERT INTO counter_event (seller_id, counter, count, as_of, resets_at, source, recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(seller)
    .bind(&new.counter)
    .bind(new.count)
    .bind(as_of.0)
    .bind(new.resets_at.0.0)
    .bind(&new.source)
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    let kept = sqlx::query(
        "INSERT INTO caller_counter (seller_id, counter, count, as_of, resets_at)
         SELECT $1, $2, $3, $4, $5
         WHERE (SELECT count(*) FROM caller_counter WHERE seller_id = $1 AND counter <> $2) < $6
         ON CONFLICT (seller_id, counter) DO UPDATE
             SET count = excluded.count, as_of = excluded.as_of, resets_at = excluded.resets_at
             WHERE caller_counter.as_of <= excluded.as_of",
    )
    .bind(seller)
    .bind(&new.counter)
    .bind(new.count)
    .bind(as_of.0)
    .bind(new.resets_at.0.0)
    .bind(COUNTERS)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if kept > 0 {
        return Ok(true);
    }
    let known: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM caller_counter WHERE seller_id = $1 AND counter = $2)",
    )
    .bind(seller)
    .bind(&new.counter)
    .fetch_one(connection)
    .await?;
    if known {
        return Ok(false);
    }
    Err(Problem::conflict(
        "too_many_counters",
        "the seller has 100 counters already, more than any pack asks for; check the id of the counter",
    ))
}
