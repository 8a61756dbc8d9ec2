//! Taking contacts that are due.

use std::collections::BTreeMap;

use dialer_engine::Returned;
use dialer_types::{AttemptId, CampaignId, ContactId, SubjectId, UnixMillis};
use sqlx::{Postgres, Row, Transaction};
use uuid::Uuid;

use super::{StoreError, Stores};

/// A contact that is leased to this node now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The attempt that comes next.
    pub attempt: AttemptId,
    /// Placements that count, made so far.
    pub made: u16,
    /// Which number is tried first.
    pub next_position: u8,
    /// Whom.
    pub person: SubjectId,
    /// About what.
    pub account: Option<SubjectId>,
    /// Its numbers by position.
    pub numbers: Vec<(u8, SubjectId)>,
}

impl Taken {
    /// The numbers in the order to try them: from `next_position` round to it again.
    #[must_use]
    pub fn rotated(&self) -> Vec<(u8, SubjectId)> {
        let mut numbers = self.numbers.clone();
        numbers.sort_unstable();
        let first = numbers.iter().position(|(at, _)| *at >= self.next_position).unwrap_or(0);
        numbers.rotate_left(first);
        numbers
    }
}

/// What became of taking.
#[derive(Debug)]
pub enum Take {
    /// These are leased.
    Done(Vec<Taken>),
    /// These are leased, or not: nobody knows. Each is to be given back, which does nothing where
    /// it is not.
    Unknown(Vec<Returned>, StoreError),
}

/// One priority at a time, because a range of `due_at` is a range of the index only within one: a
/// campaign with millions that are not due costs what one without costs. A campaign that was halted
/// a moment ago gives nothing. A try that is used up already (its commit was released, or settled by
/// somebody who no longer had the contact) is passed over.
const TAKE: &str = "
    WITH RECURSIVE p(priority) AS (
        (SELECT priority FROM due WHERE campaign_id = $1
         AND EXISTS (SELECT FROM campaign WHERE id = $1 AND status = 'running')
         AND EXISTS (SELECT FROM node WHERE id = $4 AND dead_at IS NULL AND stopped_at IS NULL)
         ORDER BY priority LIMIT 1)
        UNION ALL
        SELECT (SELECT d.priority FROM due d WHERE d.campaign_id = $1 AND d.priority > p.priority
                ORDER BY d.priority LIMIT 1)
        FROM p WHERE p.priority IS NOT NULL),
    chosen AS (
        SELECT t.contact_id FROM p CROSS JOIN LATERAL (
            SELECT d.contact_id, d.due_at FROM due d
            WHERE d.campaign_id = $1 AND d.priority = p.priority AND d.due_at <= $2
            ORDER BY d.due_at LIMIT $3 FOR UPDATE SKIP LOCKED) t
        ORDER BY p.priority, t.due_at LIMIT $3),
    taken AS (DELETE FROM due WHERE contact_id IN (SELECT contact_id FROM chosen) RETURNING contact_id)
    UPDATE contact c SET state = 3, node = $4,
        try_no = greatest(c.try_no, (SELECT 1 + max(a.try_no) FROM attempt a WHERE a.contact_id = c.id))
    FROM taken t WHERE c.id = t.contact_id
    RETURNING c.id, c.try_no, c.made, c.next_position, c.person_subject, c.account_subject";

impl Stores {
    /// Leases up to `most` contacts of a campaign that are due.
    ///
    /// # Errors
    /// If Postgres refuses or is not there; nothing is leased then.
    pub async fn take(&self, campaign: CampaignId, most: u32) -> Result<Take, StoreError> {
        let now = self.clock.now().wall;
        // Bounded apart: were the time of the whole to end in the commit, nobody would know that
        // these contacts may be leased, and they would stay so.
        let (tx, taken) = self.postgres(self.lease(campaign, most, now)).await?;
        match self.postgres(async { Ok(tx.commit().await?) }).await {
            Ok(()) => Ok(Take::Done(taken)),
            Err(_) if taken.is_empty() => Ok(Take::Done(taken)),
            Err(error) => {
                let back = taken.iter().map(|taken| Returned {
                    attempt: taken.attempt,
                    campaign,
                    at: now,
                    because: "lease_unknown",
                });
                Ok(Take::Unknown(back.collect(), error))
            }
        }
    }

    /// Leases in a transaction that is still to be committed.
    async fn lease(
        &self,
        campaign: CampaignId,
        most: u32,
        now: UnixMillis,
    ) -> Result<(Transaction<'static, Postgres>, Vec<Taken>), StoreError> {
        let mut tx = self.pool.begin().await?;
        let rows = sqlx::query(TAKE)
            .bind(Uuid::from_u128(campaign.0))
            .bind(now.0)
            .bind(i64::from(most))
            .bind(Uuid::from_u128(self.node.0))
            .fetch_all(&mut *tx)
            .await?;
        let mut taken = BTreeMap::new();
        for row in &rows {
            let id: Uuid = row.try_get(0)?;
            let (try_no, made, position): (i16, i16, i16) =
                (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            let contact = ContactId(id.as_u128());
            let account: Option<i64> = row.try_get(5)?;
            taken.insert(
                id,
                Taken {
                    attempt: AttemptId { contact, try_no: u16::try_from(try_no).unwrap_or(0) },
                    made: u16::try_from(made).unwrap_or(0),
                    next_position: u8::try_from(position).unwrap_or(0),
                    person: SubjectId(row.try_get(4)?),
                    account: account.map(SubjectId),
                    numbers: Vec::new(),
                },
            );
        }
        if taken.is_empty() {
            return Ok((tx, Vec::new()));
        }
        let numbers = sqlx::query(
            "SELECT contact_id, position, number_subject FROM contact_number WHERE contact_id = ANY($1)",
        )
        .bind(taken.keys().copied().collect::<Vec<_>>())
        .fetch_all(&mut *tx)
        .await?;
        for row in &numbers {
            let (id, position): (Uuid, i16) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(taken) = taken.get_mut(&id) {
                let position = u8::try_from(position).unwrap_or(0);
                taken.numbers.push((position, SubjectId(row.try_get(2)?)));
            }
        }
        Ok((tx, taken.into_values().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_tried_from_the_next_position_round() {
        let contact = ContactId(1);
        let taken = |next_position, positions: &[u8]| {
            Taken {
                attempt: AttemptId { contact, try_no: 1 },
                made: 0,
                next_position,
                person: SubjectId(9),
                account: None,
                numbers: positions.iter().map(|at| (*at, SubjectId(i64::from(*at)))).collect(),
            }
            .rotated()
            .into_iter()
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
        };
        assert_eq!(taken(0, &[2, 0, 1]), [0, 1, 2]);
        assert_eq!(taken(1, &[0, 1, 2]), [1, 2, 0]);
        assert_eq!(taken(1, &[0, 3]), [3, 0]);
        assert_eq!(taken(5, &[0, 3]), [0, 3]);
        assert!(taken(5, &[]).is_empty());
    }
}
