//! Finding the grounds that permits rest on, and telling a permit as its decision and its intent.

use std::collections::BTreeMap;

use dialer_audit::{Body, Hash, Record, canonical, leaf_hash, unfold};
use sqlx::{PgConnection, Row};

use crate::trail::TrailError;

/// Grounds, and their place in the log once the tree has them.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// Their index.
    pub index: Option<u64>,
    /// Their leaf.
    pub leaf: Vec<u8>,
    /// What it says.
    pub record: Record,
}

/// The grounds whose leaves have these hashes, those that there are. Of grounds that were written
/// twice, the place in the log is the first.
///
/// # Errors
/// See [`TrailError`].
pub async fn read(
    connection: &mut PgConnection,
    hashes: &[Hash],
) -> Result<BTreeMap<Hash, Grounds>, TrailError> {
    if hashes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query(
        "SELECT min(l.index), e.leaf FROM audit_entry e LEFT JOIN audit_leaf l ON l.entry_id = e.id
         WHERE e.kind = 14 AND sha256('\\x00'::bytea || e.leaf) = ANY($1) GROUP BY e.leaf",
    )
    .bind(hashes.iter().map(|hash| hash.0.to_vec()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let (index, leaf): (Option<i64>, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
            let record = canonical::decode(&leaf)
                .map_err(|fault| TrailError::Leaf(index.unwrap_or(-1), fault))?;
            let index = index.and_then(|index| u64::try_from(index).ok());
            Ok((leaf_hash(&leaf), Grounds { index, leaf, record }))
        })
        .collect()
}

/// The records that an entry stands for: a permit for its decision and its intent, any other for
/// itself.
///
/// # Errors
/// If it is a permit, and its grounds are not among these or do not fit it.
pub fn told(
    record: Record,
    grounds: &BTreeMap<Hash, Grounds>,
) -> Result<(Vec<Record>, Option<u64>), TrailError> {
    let Body::Permit(permit) = &record.body else { return Ok((vec![record], None)) };
    let under = grounds.get(&permit.grounds).ok_or(TrailError::NoGrounds(permit.grounds))?;
    let (decision, intent) = unfold(&under.record, &record)?;
    Ok((vec![decision, intent], under.index))
}
