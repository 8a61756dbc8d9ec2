//! How attempts really ended: a revision more, both stay on record. Rules count the correction.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use dialer_audit::{Record, record::Corrected};
use dialer_limiter::Token;
use dialer_types::{
    AttemptId, CampaignId, Disposition, PlacementId, Say, SubjectId, UnixMillis, say,
};
use schema::{
    heads::move_heads,
    rows::{self, AuditEntry},
};
use serde::Deserialize;
use sqlx::{PgConnection, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    attempts::{AttemptDetail, detail, try_of, ulid},
    auth::{Audit as AuditRight, May},
    earlier::Report,
    error::{Fault, Problem, is_duplicate},
    extract::{Body, Faults, Id, cards, free_text::holds_number},
    lists::{limited, read_header},
};
use crate::{
    app::App,
    events,
    import::{records::Records, row::Header},
};

/// Columns of the CSV form.
const COLUMNS: [&str; 3] = ["attempt", "disposition", "reason"];
/// The longest reason, in characters.
const REASON: usize = 500;

/// How an attempt really ended.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// The right disposition. Never `not_sent`: only the dialer can prove that.
    #[schema(value_type = String)]
    pub disposition: Disposition,
    /// Why, in words. It is part of the audit: no numbers and no names.
    pub reason: Option<String>,
}

/// Why a correction was not recorded.
#[derive(Debug)]
enum Refusal {
    NotSent,
    Reason(Say),
    NoPlacement(AttemptId),
    Again,
    Nothing,
    Same,
    Other(Problem),
}

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Refusal {
    /// For the one who sent one correction.
    fn problem(self) -> Problem {
        let refused = |field, reason: Say| Problem::invalid(vec![Fault::of(field, reason)]);
        match self {
            Self::NotSent => refused("disposition", UNPROVEN.into()),
            Self::Reason(reason) => refused("reason", reason),
            Self::NoPlacement(id) => Problem::not_found(say!("no placement of attempt {id}", id)),
            Self::Again => Problem::conflict("try_again", OVERTAKEN),
            Self::Nothing => Problem::conflict("nothing_to_correct", NOT_ENDED),
            Self::Same => Problem::conflict("nothing_to_correct", SAME),
            Self::Other(problem) => problem,
        }
    }

    /// For the report over many: the field and why.
    fn fault(self, line: u64) -> Result<Fault, Problem> {
        let (field, reason): (_, Say) = match self {
            Self::NotSent => ("disposition", UNPROVEN.into()),
            Self::Reason(reason) => ("reason", reason),
            Self::NoPlacement(id) => ("attempt", say!("no placement of attempt {id}", id)),
            Self::Again => ("attempt", OVERTAKEN.into()),
            Self::Nothing => ("attempt", NOT_ENDED.into()),
            Self::Same => ("disposition", SAME.into()),
            Self::Other(problem) => return Err(problem),
        };
        Ok(Fault { line: Some(line), field: field.to_owned(), reason })
    }
}

const UNPROVEN: &str = "not_sent needs a proof that only the dialer has";
const OVERTAKEN: &str = "another correction came first";
const SAME: &str = "the attempt is on record as that already";
const NOT_ENDED: &str = "the attempt has not ended yet, or its INVITE was never sent";

/// Corrects how an attempt ended: a revision more, both stay on record. Rules count the correction.
#[utoipa::path(post, path = "/v1/attempts/{id}/correction", tag = "attempts",
    params(("id" = String, Path, description = "contact ULID, '-', try")), request_body = Correction,
    responses((status = 200, body = AttemptDetail), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn correct(
    May(caller, _): May<AuditRight>,
    State(app): State<Arc<App>>,
    Id(id): Id<AttemptId>,
    Body(correction): Body<Correction>,
) -> Result<Json<AttemptDetail>, Problem> {
    apply(&app, caller.user, id, &correction).await.map_err(Refusal::problem)?;
    let mut connection = app.pool.acquire().await?;
    detail(&app, &mut connection, id).await.map(Json)
}

/// Corrects many: CSV with the columns `attempt`, `disposition` and, if you like, `reason`. Each
/// row stands for itself; good rows are kept.
#[utoipa::path(post, path = "/v1/corrections", tag = "attempts",
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Report), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn record(
    May(caller, _): May<AuditRight>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Report>, Problem> {
    let mut records = Records::new(limited(request.into_body()));
    let header = read_header(&mut records, &COLUMNS, &["attempt", "disposition"]).await?;
    let mut report = Report::default();
    loop {
        let record = records.next().await.map_err(|error| {
            let kept = report.recorded;
            Problem::malformed(
                say!("{error}; {kept} rows before it are recorded", kept)
                    .with("error", error.say()),
            )
        })?;
        let Some(record) = record else { break };
        match read(&header, record) {
            Ok((line, id, correction)) => match apply(&app, caller.user, id, &correction).await {
                Ok(()) => report.recorded += 1,
                Err(refusal) => report.reject(vec![refusal.fault(line)?]),
            },
            Err(faults) => report.reject(faults),
        }
    }
    Ok(Json(report))
}

fn read(
    header: &Header,
    record: crate::import::records::Record<'_>,
) -> Result<(u64, AttemptId, Correction), Vec<Fault>> {
    let mut fields = header.fields(record)?;
    let cards = cards::in_row(&fields, &COLUMNS);
    if !cards.is_empty() {
        return Err(cards);
    }
    let line = fields.line;
    let attempt: Option<AttemptId> = fields.must("attempt");
    let disposition: Option<Disposition> = fields.must("disposition");
    let reason = fields.optional("reason", REASON);
    let said = attempt.zip(disposition);
    fields
        .finish(said)?
        .map(|(attempt, disposition)| (line, attempt, Correction { disposition, reason }))
        .ok_or_else(Vec::new)
}

/// Records one correction: the heads, the revision and the audit in one transaction.
async fn apply(
    app: &App,
    user: Uuid,
    id: AttemptId,
    correction: &Correction,
) -> Result<(), Refusal> {
    let outcome = correction.disposition.outcome().ok_or(Refusal::NotSent)?;
    let reason = reason(correction)?;
    let now = app.now();
    let event = Token(app.ulid());
    let mut transaction = app.pool.begin().await?;
    let row = sqlx::query(
        "SELECT id, number_subject, person_subject, account_subject, campaign_id
         FROM placement WHERE contact_id = $1 AND try_no = $2",
    )
    .bind(Uuid::from_u128(id.contact.0))
    .bind(try_of(id))
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or(Refusal::NoPlacement(id))?;
    let placement = PlacementId(row.try_get::<Uuid, _>(0)?.as_u128());
    let mut subjects = vec![SubjectId(row.try_get(1)?), SubjectId(row.try_get(2)?)];
    subjects.extend(row.try_get::<Option<i64>, _>(3)?.map(SubjectId));
    // The heads are locked first: a settle and a correction follow one another.
    let moved =
        move_heads(&mut transaction, &subjects, |_, head| head.settled(event, placement, outcome))
            .await?;
    let was = revise(&mut transaction, user, placement, correction).await?;
    follow_up(&mut transaction, id, placement, correction.disposition, now).await?;
    let corrected = Corrected {
        attempt: id,
        placement,
        was,
        disposition: correction.disposition,
        actor: ulid(user),
        reason,
    };
    let entry = AuditEntry {
        campaign: Some(CampaignId(row.try_get::<Uuid, _>(4)?.as_u128())),
        attempt: Some(id),
        placement: Some(placement),
        ..AuditEntry::of(Record::new(None, corrected.into(), now))
    };
    rows::append_audit(&mut transaction, &[entry]).await?;
    transaction.commit().await?;
    events::follow(app, &moved).await;
    Ok(())
}

/// The reason as the audit takes it: no control characters, no telephone number.
fn reason(correction: &Correction) -> Result<Option<String>, Refusal> {
    let Some(reason) = correction.reason.as_deref().map(str::trim).filter(|it| !it.is_empty())
    else {
        return Ok(None);
    };
    let mut faults = Faults::default();
    faults.text("reason", reason, REASON);
    if let Some(fault) = faults.0.pop() {
        return Err(Refusal::Reason(fault.reason));
    }
    if holds_number(reason) {
        return Err(Refusal::Reason(
            "holds something like a telephone number; the audit holds none".into(),
        ));
    }
    Ok(Some(reason.to_owned()))
}

/// Where the contact goes now, if that try was its last: as the campaign's retry rules have it for
/// the right disposition. Who was reached is not called again for a "no answer" that was none, and
/// who was done with for an answer that was none is tried again.
async fn follow_up(
    connection: &mut PgConnection,
    id: AttemptId,
    placement: PlacementId,
    disposition: Disposition,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    let contact = Uuid::from_u128(id.contact.0);
    let stands = sqlx::query(
        "SELECT c.state = 5 AND c.made >= a.max_tries, (a.retry ->> $3)::bigint
         FROM contact c JOIN campaign a ON a.id = c.campaign_id
         WHERE c.id = $1 AND c.try_no = $2 + 1 AND c.state IN (1, 2, 5) FOR UPDATE OF c",
    )
    .bind(contact)
    .bind(try_of(id))
    .bind(disposition.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(stands) = stands else { return Ok(()) };
    let (used_up, seconds): (bool, Option<i64>) = (stands.try_get(0)?, stands.try_get(1)?);
    let change = match seconds {
        Some(seconds) if !used_up => sqlx::query(RETRY)
            .bind(contact)
            .bind(i16::from(disposition.code()))
            .bind(disposition.as_str())
            .bind(seconds.saturating_mul(1_000))
            .bind(now.0)
            .bind(Uuid::from_u128(placement.0)),
        _ => {
            let answered = disposition == Disposition::Answered;
            let why = if used_up && !answered { "tries_used_up" } else { disposition.as_str() };
            sqlx::query(FINISH).bind(contact).bind(i16::from(disposition.code())).bind(why)
        }
    };
    change.execute(connection).await?;
    Ok(())
}

const FINISH: &str = "
    WITH gone AS (DELETE FROM due WHERE contact_id = $1)
    UPDATE contact SET state = 5, finished = $3, last_disposition = $2 WHERE id = $1";
/// In a campaign that is stopped nobody is due: the start finds the moment.
const RETRY: &str = "
    WITH back AS (
        UPDATE contact c SET last_disposition = $2, finished = NULL,
            state = CASE WHEN a.status IN ('running', 'paused') THEN 2 ELSE 1 END
        FROM campaign a WHERE c.id = $1 AND a.id = c.campaign_id
        RETURNING c.id, c.campaign_id, c.state)
    INSERT INTO due (contact_id, campaign_id, due_at, because)
    SELECT id, campaign_id, greatest($5::bigint, $4::bigint + (
        SELECT max(ended_at) FROM outcome WHERE placement_id = $6::uuid)), $3
    FROM back WHERE state = 2
    ON CONFLICT (contact_id) DO UPDATE
        SET due_at = excluded.due_at, because = excluded.because, judged_at = NULL";

/// Adds the revision; returns what was on record before.
async fn revise(
    connection: &mut PgConnection,
    user: Uuid,
    placement: PlacementId,
    correction: &Correction,
) -> Result<Disposition, Refusal> {
    let before: Option<i16> = sqlx::query_scalar(
        "SELECT disposition FROM outcome WHERE placement_id = $1 ORDER BY revision DESC LIMIT 1",
    )
    .bind(Uuid::from_u128(placement.0))
    .fetch_optional(&mut *connection)
    .await?;
    let was = before.and_then(|code| u8::try_from(code).ok()).and_then(Disposition::from_code);
    let was = was.filter(|was| *was != Disposition::NotSent).ok_or(Refusal::Nothing)?;
    if was == correction.disposition {
        return Err(Refusal::Same);
    }
    let inserted = sqlx::query(
        "INSERT INTO outcome (placement_id, revision, disposition, sip_code, q850, ring_ms,
                              answered_at, ended_at, recorded_by, reason)
         SELECT placement_id, revision + 1, $2, sip_code, q850, ring_ms, answered_at, ended_at, $3, $4
         FROM outcome WHERE placement_id = $1
           AND revision = (SELECT max(revision) FROM outcome WHERE placement_id = $1)",
    )
    .bind(Uuid::from_u128(placement.0))
    .bind(i16::from(correction.disposition.code()))
    .bind(user)
    .bind(correction.reason.as_deref())
    .execute(connection)
    .await;
    match inserted {
        Err(error) if is_duplicate(&error) => Err(Refusal::Again),
        other => {
            other?;
            Ok(was)
        }
    }
}
