//! A permit as it stands.

use dialer_judge::CLOCK_BOUND;
use dialer_types::{AttemptId, CampaignId, ContactId, Disposition, E164, PlacementId, UnixMillis};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::in_time;
use crate::{app::App, http::error::Problem};

/// A permit as it stands. Whoever may see it may see the number.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) id: PlacementId,
    /// The user who got it.
    pub(crate) user: Uuid,
    pub(crate) attempt: AttemptId,
    pub(crate) campaign: CampaignId,
    /// The seller's own id of the person.
    pub(crate) person: String,
    pub(crate) number: E164,
    pub(crate) caller_id: String,
    pub(crate) at: UnixMillis,
    pub(crate) not_after: UnixMillis,
    pub(crate) call_id: String,
    /// JSON.
    pub(crate) duties: String,
    pub(crate) ring_timeout_ms: i32,
    pub(crate) sent_at: Option<UnixMillis>,
    /// How it ended, as far as that is on record.
    pub(crate) ended: Option<(Disposition, UnixMillis)>,
    pub(crate) revoked: Option<&'static str>,
    /// Postgres's clock at the moment of this look.
    pub(crate) postgres: UnixMillis,
}

/// What revokes a permit is what came after its judgement: an opt-out that binds its call, a campaign
/// that runs no more, a licence withdrawn. `$2`: what the clocks may differ by, in milliseconds; an
/// opt-out of just before the judgement may count as one of after it, never the other way round.
const READ: &str = "
    SELECT m.user_id, p.contact_id, p.try_no, p.campaign_id, pe.external_id, n.cipher, a.caller_id,
           p.at, p.not_after, p.sip_call_id, m.duties, a.ring_timeout_ms, m.sent_at,
           o.disposition, o.ended_at, deployment_now(), a.status,
           EXISTS (SELECT FROM opt_out x
                   WHERE x.subjects && array_remove(ARRAY[p.number_subject, p.person_subject,
                                                          p.account_subject], NULL)
                     AND x.at > p.at - $2 AND x.seller_no IN (0, s.no)
                     AND (x.purpose IS NULL OR x.purpose = a.purpose)),
           EXISTS (SELECT FROM licence_event e WHERE e.seller_id = s.id AND e.kind = 'withdraw'
                   AND e.recorded_at > p.at - $2)
    FROM permit m JOIN placement p ON p.id = m.id
    JOIN person pe ON pe.subject_id = p.person_subject
    JOIN number n ON n.subject_id = p.number_subject
    JOIN campaign a ON a.id = p.campaign_id JOIN seller s ON s.id = a.seller_id
    LEFT JOIN LATERAL (SELECT o.disposition, o.ended_at FROM outcome o WHERE o.placement_id = p.id
                       ORDER BY o.revision DESC LIMIT 1) o ON true
    WHERE m.id = $1";

/// A permit; `None` if there is none of that id.
///
/// # Errors
/// 503 if Postgres is not there or late.
pub(crate) async fn look(app: &App, id: PlacementId) -> Result<Option<Permit>, Problem> {
    let bound = i64::try_from(CLOCK_BOUND.as_millis()).unwrap_or(i64::MAX);
    let read = async {
        let query = sqlx::query(READ).bind(Uuid::from_u128(id.0)).bind(bound);
        Ok(query.fetch_optional(&app.pool).await?)
    };
    let row = in_time(read).await?;
    row.map(|row| permit(app, id, &row)).transpose()
}

/// A permit of this user; anybody's with `None`.
///
/// # Errors
/// 404 if there is none, 503 if Postgres is not there or late.
pub(crate) async fn read(
    app: &App,
    id: PlacementId,
    user: Option<Uuid>,
) -> Result<Permit, Problem> {
    let permit = look(app, id).await?;
    let permit = permit.filter(|permit| user.is_none_or(|user| permit.user == user));
    permit.ok_or_else(|| none(id))
}

pub(super) fn none(id: PlacementId) -> Problem {
    Problem::not_found(dialer_types::say!("no permit {id}", id))
}

fn permit(app: &App, id: PlacementId, row: &PgRow) -> Result<Permit, Problem> {
    let contact = ContactId(row.try_get::<Uuid, _>(1)?.as_u128());
    let try_no = u16::try_from(row.try_get::<i16, _>(2)?).unwrap_or(0);
    let cipher: &[u8] = row.try_get(5)?;
    let disposition: Option<i16> = row.try_get(13)?;
    let disposition = disposition
        .map(|code| {
            let known = u8::try_from(code).ok().and_then(Disposition::from_code);
            known.ok_or_else(|| Problem::internal("an unknown disposition"))
        })
        .transpose()?;
    let ended_at: Option<i64> = row.try_get(14)?;
    let status: String = row.try_get(16)?;
    let revoked = if row.try_get(17)? {
        Some("suppressed")
    } else if status != "running" {
        Some("halted")
    } else if row.try_get(18)? {
        Some("licence_withdrawn")
    } else {
        None
    };
    Ok(Permit {
        id,
        user: row.try_get(0)?,
        attempt: AttemptId { contact, try_no },
        campaign: CampaignId(row.try_get::<Uuid, _>(3)?.as_u128()),
        person: row.try_get(4)?,
        number: app.keys.decrypt(cipher).map_err(Problem::internal)?,
        caller_id: row.try_get(6)?,
        at: UnixMillis(row.try_get(7)?),
        not_after: UnixMillis(row.try_get(8)?),
        call_id: row.try_get(9)?,
        duties: row.try_get(10)?,
        ring_timeout_ms: row.try_get(11)?,
        sent_at: row.try_get::<Option<i64>, _>(12)?.map(UnixMillis),
        ended: disposition.zip(ended_at.map(UnixMillis)),
        revoked,
        postgres: UnixMillis(row.try_get(15)?),
    })
}
