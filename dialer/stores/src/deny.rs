//! Where contacts go: due again, parked or finished. A contact moves only while the node that
//! leased it still has it; a try is used up once.

use std::{collections::BTreeSet, time::Duration};

use dialer_judge::{Denied, Next, Released, Returned, Settlement};
use dialer_types::{AttemptId, CampaignId, ContactId, Disposition, NodeId, RuleId, UnixMillis};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{WriteError, commit::try_no};

/// `contact.state`.
const DUE: i16 = 2;
const LEASED: i16 = 3;
const PARKED: i16 = 4;
const FINISHED: i16 = 5;

/// How long a contact rests that was denied on older heads: a commit under way is done by then.
const JUDGE_AGAIN: Duration = Duration::from_millis(250);

/// One contact's move.
#[derive(Debug)]
pub(crate) struct Move<'a> {
    attempt: AttemptId,
    campaign: CampaignId,
    next: Next,
    rules: &'a [RuleId],
    /// Whether the attempt is used up: the next judgement is of the next try.
    used: bool,
    made: Option<u16>,
    next_position: Option<u8>,
    last: Option<Disposition>,
    /// When it was decided.
    at: UnixMillis,
    /// Whether it was the rules that decided it.
    ruled: bool,
}

impl<'a> Move<'a> {
    const fn new(attempt: AttemptId, campaign: CampaignId, next: Next, at: UnixMillis) -> Self {
        Self {
            attempt,
            campaign,
            next,
            rules: &[],
            used: false,
            made: None,
            next_position: None,
            last: None,
            at,
            ruled: false,
        }
    }

    pub(crate) fn settled(settlement: &Settlement) -> Self {
        Self {
            used: true,
            made: Some(settlement.made),
            next_position: Some(settlement.next_position),
            last: Some(settlement.disposition),
            ..Self::new(
                settlement.attempt,
                settlement.campaign,
                settlement.next.clone(),
                settlement.at,
            )
        }
    }

    /// The same attempt is judged again.
    pub(crate) fn denied(denied: &'a Denied) -> Self {
        let next = denied.next.clone();
        let at = denied.records.last().map_or(UnixMillis(0), |record| record.at);
        let by_itself = Self::new(denied.attempt, denied.campaign, next, at);
        Self { rules: &denied.rules, ruled: true, ..by_itself }
    }

    /// A denial that rests on heads which Postgres no longer has: what the contact would wait for
    /// may have come already, or a stale copy denied. It is judged again, soon.
    pub(crate) fn stale(denied: &'a Denied) -> Self {
        let at = denied.records.last().map_or(UnixMillis(0), |record| record.at);
        let next = Next::Due { at: at.after(JUDGE_AGAIN), because: "judged_on_older_heads".into() };
        Self::new(denied.attempt, denied.campaign, next, at)
    }

    pub(crate) fn returned(returned: &Returned) -> Self {
        let next = Next::Due { at: returned.at, because: returned.because.into() };
        Self::new(returned.attempt, returned.campaign, next, returned.at)
    }

    pub(crate) fn released(released: &Released) -> Self {
        let next = Next::Due { at: released.due_at, because: released.because.into() };
        Self { used: true, ..Self::new(released.attempt, released.campaign, next, released.at) }
    }

    const fn state(&self) -> i16 {
        match self.next {
            Next::Due { .. } => DUE,
            Next::Park { .. } => PARKED,
            Next::Finished { .. } => FINISHED,
        }
    }
}

/// Moves contacts leased by `owner`; returns those that moved.
pub(crate) async fn move_contacts(
    connection: &mut PgConnection,
    owner: NodeId,
    moves: &[Move<'_>],
) -> Result<BTreeSet<ContactId>, WriteError> {
    if moves.is_empty() {
        return Ok(BTreeSet::new());
    }
    let finished = |m: &Move<'_>| match &m.next {
        Next::Finished { why } => Some(why.clone()),
        Next::Due { .. } | Next::Park { .. } => None,
    };
    let small = |value: u16| i16::try_from(value).unwrap_or(i16::MAX);
    let ids: Vec<Uuid> = moves.iter().map(|m| Uuid::from_u128(m.attempt.contact.0)).collect();
    // Waits for a lease whose commit is still on its way ("lease_unknown"): the update below looks
    // at what is committed when it begins, and would pass over a contact that is leased only after.
    sqlx::query("SELECT FROM contact WHERE id = ANY($1) ORDER BY id FOR UPDATE")
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
    let moved: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE contact c SET state = n.state, node = NULL, try_no = c.try_no + n.used,
             made = COALESCE(n.made, c.made), next_position = COALESCE(n.position, c.next_position),
             last_disposition = COALESCE(n.last, c.last_disposition), finished = n.finished
         FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::smallint[], $5::smallint[],
                     $6::smallint[], $7::smallint[], $8::text[])
              AS n(id, try_no, state, used, made, position, last, finished)
         WHERE c.id = n.id AND c.try_no = n.try_no AND c.node = $9 AND c.state = $10
         RETURNING c.id",
    )
    .bind(ids)
    .bind(moves.iter().map(|m| try_no(m.attempt)).collect::<Vec<_>>())
    .bind(moves.iter().map(Move::state).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| i16::from(m.used)).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| m.made.map(small)).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| m.next_position.map(i16::from)).collect::<Vec<_>>())
    .bind(moves.iter().map(|m| m.last.map(|last| i16::from(last.code()))).collect::<Vec<_>>())
    .bind(moves.iter().map(finished).collect::<Vec<_>>())
    .bind(Uuid::from_u128(owner.0))
    .bind(LEASED)
    .fetch_all(&mut *connection)
    .await?;
    let moved: BTreeSet<_> = moved.into_iter().map(|id| ContactId(id.as_u128())).collect();
    let of = |m: &&Move<'_>| moved.contains(&m.attempt.contact);
    insert_due(connection, moves.iter().filter(of)).await?;
    insert_parked(connection, moves.iter().filter(of)).await?;
    Ok(moved)
}

async fn insert_due<'a>(
    connection: &mut PgConnection,
    moves: impl Iterator<Item = &'a Move<'a>>,
) -> Result<(), WriteError> {
    let (mut ids, mut campaigns, mut at, mut because) = (vec![], vec![], vec![], vec![]);
    let mut judged = Vec::new();
    for moved in moves {
        if let Next::Due { at: due, because: why } = &moved.next {
            ids.push(Uuid::from_u128(moved.attempt.contact.0));
            campaigns.push(Uuid::from_u128(moved.campaign.0));
            at.push(due.0);
            because.push(why.clone());
            judged.push(moved.ruled.then_some(moved.at.0));
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO due (contact_id, campaign_id, due_at, because, judged_at)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bigint[])
         ON CONFLICT (contact_id) DO NOTHING",
    )
    .bind(ids)
    .bind(campaigns)
    .bind(at)
    .bind(because)
    .bind(judged)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_parked<'a>(
    connection: &mut PgConnection,
    moves: impl Iterator<Item = &'a Move<'a>>,
) -> Result<(), WriteError> {
    let (mut ids, mut campaigns, mut causes, mut rules) = (vec![], vec![], vec![], vec![]);
    let mut since = Vec::new();
    for moved in moves {
        if let Next::Park { cause } = &moved.next {
            ids.push(Uuid::from_u128(moved.attempt.contact.0));
            campaigns.push(Uuid::from_u128(moved.campaign.0));
            causes.push(cause.clone());
            since.push(moved.at.0);
            let words: Vec<_> = moved.rules.iter().map(RuleId::as_str).collect();
            rules.push(words.join(","));
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO parked (contact_id, campaign_id, cause, rules, since)
         SELECT contact_id, campaign_id, cause, string_to_array(rules, ','), since
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[])
              AS n(contact_id, campaign_id, cause, rules, since)
         ON CONFLICT (contact_id) DO NOTHING",
    )
    .bind(ids)
    .bind(campaigns)
    .bind(causes)
    .bind(rules)
    .bind(since)
    .execute(connection)
    .await?;
    Ok(())
}
