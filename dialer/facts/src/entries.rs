//! The do-not-call entries that stand on subjects: why their heads have marks, and what a consent
//! that is to lift one must name.

use std::collections::BTreeMap;

use dialer_judge::Entry;
use dialer_types::{EventId, Purpose, SellerNo, SubjectId, UnixMillis};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{FactsError, code};

/// An entry that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it says.
    pub entry: Entry,
    /// The number or person that it was recorded of: of a number it may be a person who has it.
    pub of: SubjectId,
    /// When it was recorded.
    pub recorded_at: UnixMillis,
}

/// What stands on each of these numbers and persons, oldest first; on a number also what stands on a
/// person who has it. An entry stands until one of the same seller and purpose is withdrawn from the
/// same number or person.
///
/// # Errors
/// If Postgres is not there, or a row makes no sense: then nothing is known, and nobody is called.
pub async fn entries(
    connection: &mut PgConnection,
    subjects: &[SubjectId],
) -> Result<BTreeMap<SubjectId, Vec<Standing>>, FactsError> {
    let subjects: Vec<i64> = subjects.iter().map(|subject| subject.0).collect();
    let rows = sqlx::query(
        "WITH about AS (
             SELECT s AS marked, s AS named FROM unnest($1::bigint[]) AS s
             UNION
             SELECT n.number_subject, c.person_subject
             FROM contact_number n JOIN contact c ON c.id = n.contact_id
             WHERE n.number_subject = ANY($1)
         ), named AS (
             SELECT a.marked, a.named, e.* FROM about a
             JOIN suppression_event e ON e.number_subject = a.named
             UNION
             SELECT a.marked, a.named, e.* FROM about a
             JOIN suppression_event e ON e.person_subject = a.named
         )
         SELECT e.marked, coalesce(s.no, 0), e.purpose, e.at, e.event, e.recorded_at,
                e.named
         FROM named e LEFT JOIN seller s ON s.id = e.seller_id
         WHERE e.kind = 'add' AND NOT EXISTS (
             SELECT FROM named l
             WHERE l.kind = 'lift' AND l.named = e.named AND l.id > e.id
               AND l.seller_id IS NOT DISTINCT FROM e.seller_id
               AND l.purpose IS NOT DISTINCT FROM e.purpose)
         ORDER BY e.id",
    )
    .bind(subjects)
    .fetch_all(connection)
    .await?;
    let mut found: BTreeMap<SubjectId, Vec<Standing>> = BTreeMap::new();
    for row in &rows {
        let standing = standing(row)?;
        found.entry(standing.entry.on).or_default().push(standing);
    }
    Ok(found)
}

fn standing(row: &PgRow) -> Result<Standing, FactsError> {
    let seller: i32 = row.try_get(1)?;
    let seller = u32::try_from(seller).map_err(|_| FactsError::row("seller.no", "negative"))?;
    let purpose: Option<i16> = row.try_get(2)?;
    let purpose = purpose
        .map(|value| code(value, Purpose::from_code, "suppression_event.purpose"))
        .transpose()?;
    let event: Uuid = row.try_get(4)?;
    Ok(Standing {
        entry: Entry {
            on: SubjectId(row.try_get(0)?),
            seller: SellerNo(seller),
            purpose,
            at: UnixMillis(row.try_get(3)?),
            event: EventId(event.as_u128()),
        },
        of: SubjectId(row.try_get(6)?),
        recorded_at: UnixMillis(row.try_get(5)?),
    })
}
