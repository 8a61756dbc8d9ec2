//! Taking the contact: from here on nobody else has it, until its permit has ended or was refused.

use std::{sync::Arc, time::Duration};

use dialer_facts::{campaign_terms, retry_rules};
use dialer_judge::{Campaign, GUARD, Order, Returned};
use dialer_stores::clock::{NODE_BOUND, apart};
use dialer_stores::{By, Item};
use dialer_types::{
    AttemptId, CampaignId, CampaignNo, ContactId, E164, NodeId, PlacementId, SellerId, SubjectId,
    TrunkId, UnixMillis, say,
};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use uuid::Uuid;

use super::{Unfinished, new_mark, no_contact};
use crate::{
    app::App,
    http::{error::Problem, time::Time},
    words::codes,
};

/// `contact.state`.
const DUE: i16 = 2;
const LEASED: i16 = 3;
const PARKED: i16 = 4;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) campaign: CampaignId,
    pub(crate) contact: ContactId,
    /// Only this number of the contact.
    pub(crate) number: Option<E164>,
    pub(crate) user: Uuid,
    /// The caller's idempotency key.
    pub(crate) key: Option<String>,
    /// A hash of the request, to know a repeated one by.
    pub(crate) asked: [u8; 32],
}

/// What became of taking.
#[derive(Debug)]
pub(crate) enum Lease {
    /// It is ours: whom to call, and under which id the permit was asked for.
    Taken(Box<Order>, PlacementId),
    /// The same request got this permit before.
    Again(PlacementId),
}

/// Takes a contact.
///
/// # Errors
/// 404, 409 or 422 if it cannot be called by a permit now; 503 if Postgres is not there, or its clock
/// is another than ours.
pub(crate) async fn take(app: &App, node: NodeId, wanted: &Wanted) -> Result<Lease, Problem> {
    // Twice at most: the second time the first of two equal requests is over.
    for _ in 0..2 {
        let mut tx = app.pool.begin().await?;
        alive(&mut tx, node).await?;
        if let Some(permit) = before(&mut tx, wanted).await? {
            return Ok(Lease::Again(permit));
        }
        let order = leased(app, &mut tx, node, wanted).await?;
        let permit = PlacementId(app.ulid());
        if !asked_for(&mut tx, node, wanted, permit, app.now()).await? {
            continue;
        }
        if let Err(error) = tx.commit().await {
            // It is leased, or not: giving back does nothing where it is not.
            let returned = Returned {
                attempt: order.attempt,
                campaign: order.campaign.id,
                at: app.now(),
                because: "lease_unknown",
            };
            let by = By { node, owner: node };
            let items = vec![Item::Return(returned)];
            app.permits.later(Unfinished { by, items, mark: new_mark(app) });
            return Err(error.into());
        }
        return Ok(Lease::Taken(Box::new(order), permit));
    }
    Err(under_way())
}

fn under_way() -> Problem {
    let detail =
        "the contact is under way: its last permit has not ended, or another is being judged";
    Problem::conflict("contact_under_way", detail).retry_after(1)
}

/// Holds this process's row until the lease is committed: who buries it waits for that.
async fn alive(tx: &mut Transaction<'_, Postgres>, node: NodeId) -> Result<(), Problem> {
    let alive = sqlx::query(
        "SELECT FROM node WHERE id = $1 AND dead_at IS NULL AND stopped_at IS NULL FOR SHARE",
    )
    .bind(Uuid::from_u128(node.0))
    .fetch_optional(&mut **tx)
    .await?;
    let closed = "this process of the API gives no permits now";
    alive.map(drop).ok_or_else(|| Problem::unavailable("permits_closed", closed))
}

/// The permit that this key got before.
async fn before(
    tx: &mut Transaction<'_, Postgres>,
    wanted: &Wanted,
) -> Result<Option<PlacementId>, Problem> {
    let Some(key) = &wanted.key else { return Ok(None) };
    let row = sqlx::query(
        "SELECT m.id, m.asked, EXISTS (SELECT FROM placement p WHERE p.id = m.id) FROM permit m
         WHERE m.user_id = $1 AND m.key = $2",
    )
    .bind(wanted.user)
    .bind(key)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (asked, placed): (Vec<u8>, bool) = (row.try_get(1)?, row.try_get(2)?);
    if asked != wanted.asked {
        let detail = "this key was used for another request: use a new one for each permit";
        return Err(Problem::conflict("key_used", detail));
    }
    Ok(placed.then_some(PlacementId(row.try_get::<Uuid, _>(0)?.as_u128())))
}

/// Writes down that a permit is asked for; false if the same key just got one.
async fn asked_for(
    tx: &mut Transaction<'_, Postgres>,
    node: NodeId,
    wanted: &Wanted,
    permit: PlacementId,
    now: UnixMillis,
) -> Result<bool, Problem> {
    let written = sqlx::query(
        "INSERT INTO permit (id, node, user_id, key, asked, contact_id, close_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (user_id, key) DO UPDATE SET id = excluded.id, node = excluded.node,
             close_at = excluded.close_at
         WHERE permit.asked = excluded.asked
           AND NOT EXISTS (SELECT FROM placement p WHERE p.id = permit.id)",
    )
    .bind(Uuid::from_u128(permit.0))
    .bind(Uuid::from_u128(node.0))
    .bind(wanted.user)
    .bind(wanted.key.clone().unwrap_or_else(|| permit.to_string()))
    .bind(wanted.asked.as_slice())
    .bind(Uuid::from_u128(wanted.contact.0))
    .bind(now.after(GUARD).0)
    .execute(&mut **tx)
    .await?;
    Ok(written.rows_affected() == 1)
}

/// Looks at the contact and leases it, in a transaction that is still to be committed.
async fn leased(
    app: &App,
    tx: &mut Transaction<'_, Postgres>,
    node: NodeId,
    wanted: &Wanted,
) -> Result<Order, Problem> {
    let asked = app.now();
    let row = sqlx::query(
        "SELECT c.state, c.try_no, c.made, c.next_position, c.person_subject, c.account_subject,
                c.finished, a.no, a.name, a.seller_id, s.no, a.purpose, a.technology, a.announces,
                a.caller_id, a.ring_timeout_ms, a.max_tries, a.retry::text, a.status, a.dialed_by,
                d.due_at, d.judged_at, deployment_now(),
                (SELECT max(t.try_no) FROM attempt t WHERE t.contact_id = c.id),
                ARRAY(SELECT n.position FROM contact_number n WHERE n.contact_id = c.id
                      ORDER BY n.position),
                ARRAY(SELECT n.number_subject FROM contact_number n WHERE n.contact_id = c.id
                      ORDER BY n.position),
                (SELECT u.subject_id FROM number u JOIN contact_number n ON n.number_subject = u.subject_id
                 WHERE n.contact_id = c.id AND u.keyed_hash = $3 LIMIT 1)
         FROM contact c JOIN campaign a ON a.id = c.campaign_id JOIN seller s ON s.id = a.seller_id
         LEFT JOIN due d ON d.contact_id = c.id
         WHERE c.id = $1 AND c.campaign_id = $2 FOR UPDATE OF c",
    )
    .bind(Uuid::from_u128(wanted.contact.0))
    .bind(Uuid::from_u128(wanted.campaign.0))
    .bind(wanted.number.map(|number| app.keys.lookup_hash(&number).to_vec()))
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(|| no_contact(wanted.contact))?;
    let postgres = UnixMillis(row.try_get(22)?);
    agree(postgres, asked, app.now())?;
    may_be_called(&row, asked)?;
    let mut order = order(&row, wanted)?;
    if wanted.number.is_some() {
        let only: Option<i64> = row.try_get(26)?;
        let Some(only) = only else {
            return Err(Problem::conflict(
                "not_their_number",
                "the contact does not have this number",
            ));
        };
        order.numbers.retain(|(_, subject)| subject.0 == only);
    }
    let contact = Uuid::from_u128(wanted.contact.0);
    for sql in ["DELETE FROM due WHERE contact_id = $1", "DELETE FROM parked WHERE contact_id = $1"]
    {
        sqlx::query(sql).bind(contact).execute(&mut **tx).await?;
    }
    sqlx::query("UPDATE contact SET state = $2, node = $3, try_no = $4 WHERE id = $1")
        .bind(contact)
        .bind(LEASED)
        .bind(Uuid::from_u128(node.0))
        .bind(dialer_stores::try_no(order.attempt))
        .execute(&mut **tx)
        .await?;
    Ok(order)
}

/// Nothing is permitted by a clock that is not Postgres's.
pub(super) fn agree(
    postgres: UnixMillis,
    asked: UnixMillis,
    now: UnixMillis,
) -> Result<(), Problem> {
    let apart = apart(postgres, asked, now);
    if apart <= NODE_BOUND {
        return Ok(());
    }
    tracing::error!(
        apart_ms = apart.as_millis(),
        "this process's clock is not Postgres's: no permits until they agree; see to NTP on both"
    );
    let detail = "the clocks of the API and of Postgres differ: no permit until they agree";
    Err(Problem::unavailable("clock_off", detail))
}

/// Whether the campaign and the contact's own course allow a permit now; the rules come after that.
fn may_be_called(row: &PgRow, now: UnixMillis) -> Result<(), Problem> {
    let (status, by): (String, String) = (row.try_get(18)?, row.try_get(19)?);
    if by != "permits" {
        let detail =
            "our own dialers call this campaign: permits are for one made with dialed_by = permits";
        return Err(Problem::conflict("campaign_not_by_permits", detail));
    }
    if status != "running" {
        let detail =
            say!("{status}; only a running campaign gets permits", status = codes::status(&status));
        return Err(Problem::conflict("campaign_not_running", detail));
    }
    match row.try_get::<i16, _>(0)? {
        LEASED => Err(under_way()),
        DUE => {
            let (due, judged): (Option<i64>, Option<i64>) = (row.try_get(20)?, row.try_get(21)?);
            // Whom a rule deferred may be judged again at any time; a retry waits for its moment.
            match due.map(UnixMillis).filter(|due| judged.is_none() && *due > now) {
                Some(due) => {
                    let seconds = due.since(now).as_secs().saturating_add(1);
                    let detail =
                        say!("the campaign's retry rule waits until {at}", at = Time(due).text());
                    Err(Problem::conflict("not_due", detail).retry_after(seconds))
                }
                None => Ok(()),
            }
        }
        PARKED => Ok(()),
        _ => {
            let why: Option<String> = row.try_get(6)?;
            let why = codes::finished(why.as_deref().unwrap_or("finished"));
            let detail = say!("the contact is done with: {why}", why);
            Err(Problem::conflict("contact_finished", detail))
        }
    }
}

fn order(row: &PgRow, wanted: &Wanted) -> Result<Order, Problem> {
    let small = |at: usize| -> Result<u16, Problem> {
        u16::try_from(row.try_get::<i16, _>(at)?).map_err(Problem::internal)
    };
    let whole = |at: usize| -> Result<u32, Problem> {
        u32::try_from(row.try_get::<i32, _>(at)?).map_err(Problem::internal)
    };
    let (announces, caller_id): (Vec<String>, String) = (row.try_get(13)?, row.try_get(14)?);
    let ring_timeout = Duration::from_millis(u64::from(whole(15)?));
    let (seller, purpose, technology) = (row.try_get(10)?, row.try_get(11)?, row.try_get(12)?);
    let terms = campaign_terms(seller, purpose, technology, &announces, &caller_id, ring_timeout)?;
    let retry: String = row.try_get(17)?;
    let campaign = Campaign {
        id: wanted.campaign,
        no: CampaignNo(whole(7)?),
        name: row.try_get(8)?,
        seller: SellerId(row.try_get::<Uuid, _>(9)?.as_u128()),
        seller_no: terms.seller_no,
        purpose: terms.purpose,
        technology: terms.technology,
        abilities: terms.abilities,
        caller_id: caller_id.parse().map_err(|_| Problem::internal("campaign.caller_id"))?,
        ring_timeout,
        max_tries: small(16)?,
        retry: retry_rules(&retry).map_err(Problem::internal)?,
        trunks: vec![TrunkId::NONE],
        prompt: Arc::from(""),
    };
    // A try that is used up already is passed over, as the dialer does.
    let used: Option<i16> = row.try_get(23)?;
    let used = used.map_or(0, |used| u16::try_from(used).unwrap_or(0).saturating_add(1));
    let attempt = AttemptId { contact: wanted.contact, try_no: small(1)?.max(used) };
    let (positions, numbers): (Vec<i16>, Vec<i64>) = (row.try_get(24)?, row.try_get(25)?);
    let mut numbers: Vec<(u8, SubjectId)> = positions
        .iter()
        .map(|at| u8::try_from(*at).unwrap_or(0))
        .zip(numbers.into_iter().map(SubjectId))
        .collect();
    // From the next position round to it again, as the scheduler does.
    let next = u8::try_from(row.try_get::<i16, _>(3)?).unwrap_or(0);
    let first = numbers.iter().position(|(at, _)| *at >= next).unwrap_or(0);
    numbers.rotate_left(first);
    Ok(Order {
        attempt,
        made: small(2)?,
        campaign: Arc::new(campaign),
        person: SubjectId(row.try_get(4)?),
        account: row.try_get::<Option<i64>, _>(5)?.map(SubjectId),
        numbers,
    })
}
