//! Heads as Postgres has them: the truth, of which Redis holds a copy.

use std::collections::BTreeMap;

use dialer_limiter::Head;
use dialer_types::SubjectId;
use sqlx::{PgConnection, Row};

use crate::FactsError;

/// The heads of these subjects, as far as there are any that can be read. Whoever misses one knows
/// nothing of its subject, and unknown denies.
///
/// # Errors
/// If Postgres is not there.
pub async fn heads(
    connection: &mut PgConnection,
    subjects: &[SubjectId],
) -> Result<BTreeMap<SubjectId, Head>, FactsError> {
    let wanted: Vec<i64> = subjects.iter().map(|subject| subject.0).collect();
    let rows = sqlx::query("SELECT subject_id, head FROM subject_head WHERE subject_id = ANY($1)")
        .bind(wanted)
        .fetch_all(connection)
        .await?;
    let mut heads = BTreeMap::new();
    for row in &rows {
        let subject = SubjectId(row.try_get(0)?);
        match Head::decode(row.try_get(1)?) {
            Ok(head) => {
                heads.insert(subject, head);
            }
            Err(error) => {
                tracing::error!(subject = subject.0, %error, "a head in postgres cannot be read");
            }
        }
    }
    Ok(heads)
}
