//! Placements that have no outcome yet, with what their end needs to know.

use dialer_judge::{OtherNumbers, RetryRules, Settlement, Spoken, ending};
use dialer_types::{
    AttemptId, CampaignId, ContactId, Disposition, NodeId, PlacementId, SubjectId, UnixMillis,
};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::WriteError;

/// A placement without an outcome.
#[derive(Debug, Clone)]
pub struct Open {
    /// Which.
    pub placement: PlacementId,
    /// Its attempt.
    pub attempt: AttemptId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// The node that committed it, and leased its contact.
    pub node: NodeId,
    /// `campaign.retry`, as it is stored.
    pub retry: String,
    subjects: Vec<SubjectId>,
    made: u16,
    max_tries: u16,
    position: u8,
    following: u8,
    numbers: u16,
}

/// What is read of a placement, and from where; two statements, so that each has its index.
macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT p.id, p.contact_id, p.try_no, p.campaign_id, p.number_subject, p.person_subject,
                    p.account_subject, c.made, a.max_tries, a.retry::text, p.node,
                    (SELECT max(n.position) FROM contact_number n WHERE n.contact_id = p.contact_id),
                    (SELECT n.position FROM contact_number n WHERE n.contact_id = p.contact_id
                     AND n.number_subject = p.number_subject LIMIT 1),
                    (SELECT count(*) FROM contact_number n WHERE n.contact_id = p.contact_id)
             FROM placement p JOIN contact c ON c.id = p.contact_id
             JOIN campaign a ON a.id = p.campaign_id WHERE ",
            $which
        )
    };
}

/// Those of these nodes, the oldest first.
///
/// # Errors
/// If Postgres fails.
pub async fn open_of_nodes(
    connection: &mut PgConnection,
    nodes: &[NodeId],
    most: i64,
) -> Result<Vec<Open>, WriteError> {
    let nodes: Vec<Uuid> = nodes.iter().map(|node| Uuid::from_u128(node.0)).collect();
    let rows = sqlx::query(select!(
        "p.node = ANY($1) AND NOT EXISTS (SELECT FROM outcome o WHERE o.placement_id = p.id)
         ORDER BY p.at LIMIT $2"
    ))
    .bind(nodes)
    .bind(most)
    .fetch_all(connection)
    .await?;
    rows.iter().map(Open::read).collect()
}

/// One placement, whether it has an outcome by now or not; `None` if it was never committed.
///
/// # Errors
/// If Postgres fails.
pub async fn placed(
    connection: &mut PgConnection,
    placement: PlacementId,
) -> Result<Option<Open>, WriteError> {
    let row = sqlx::query(select!("p.id = $1"))
        .bind(Uuid::from_u128(placement.0))
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(Open::read).transpose()
}

impl Open {
    fn read(row: &PgRow) -> Result<Self, WriteError> {
        let (id, contact, campaign): (Uuid, Uuid, Uuid) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?);
        let small = |at: usize| -> Result<u16, sqlx::Error> {
            let value: i16 = row.try_get(at)?;
            Ok(u16::try_from(value).unwrap_or(0))
        };
        let account: Option<i64> = row.try_get(6)?;
        let mut subjects = vec![SubjectId(row.try_get(4)?), SubjectId(row.try_get(5)?)];
        subjects.extend(account.map(SubjectId));
        subjects.sort_unstable();
        subjects.dedup();
        let (last, dialed): (Option<i16>, Option<i16>) = (row.try_get(11)?, row.try_get(12)?);
        let following = match (dialed, last) {
            (Some(dialed), Some(last)) if dialed < last => dialed.saturating_add(1),
            _ => 0,
        };
        let numbers: i64 = row.try_get(13)?;
        Ok(Self {
            placement: PlacementId(id.as_u128()),
            attempt: AttemptId { contact: ContactId(contact.as_u128()), try_no: small(2)? },
            campaign: CampaignId(campaign.as_u128()),
            node: NodeId(row.try_get::<Uuid, _>(10)?.as_u128()),
            retry: row.try_get(9)?,
            subjects,
            made: small(7)?,
            max_tries: small(8)?,
            position: dialed.and_then(|at| u8::try_from(at).ok()).unwrap_or(0),
            following: u8::try_from(following).unwrap_or(0),
            numbers: u16::try_from(numbers).unwrap_or(u16::MAX),
        })
    }

    /// Its end, told by `by`: what did not leave does not count, anything else does.
    #[must_use]
    pub fn ended(
        &self,
        disposition: Disposition,
        spoken: Spoken,
        because: &str,
        rules: &RetryRules,
        by: NodeId,
        now: UnixMillis,
    ) -> Settlement {
        let counts = disposition != Disposition::NotSent;
        let made = self.made.saturating_add(u16::from(counts));
        // Nobody knows what became of an unknown one: the next number is not tried at once.
        let others = OtherNumbers(disposition != Disposition::Unknown && made < self.numbers);
        let record = ending(by, self.attempt, self.placement, disposition, spoken, because, now);
        Settlement {
            placement: self.placement,
            attempt: self.attempt,
            campaign: self.campaign,
            subjects: self.subjects.clone(),
            disposition,
            spoken,
            next: rules.next(disposition, made, self.max_tries, others, now),
            made,
            next_position: if counts { self.following } else { self.position },
            record,
            at: now,
        }
    }
}
