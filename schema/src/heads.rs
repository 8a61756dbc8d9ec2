//! Moving heads in Postgres, the truth (DESIGN section 4). Every event that changes what may be
//! called comes through here: heads are locked in subject order, so that no two events deadlock. Or
//! through `commit_placements`, which compares tokens only: token and head change together, so whoever
//! would write the same head in another format needs a new token for it.

use dialer_limiter::{Head, HeadError, Token};
use dialer_types::SubjectId;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// Why heads did not move. Nothing has changed then, once the transaction is rolled back.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// The database said no.
    #[error("subject heads: {0}")]
    Sql(#[from] sqlx::Error),
    /// A subject without a head: it was not made by [`crate::rows`].
    #[error("subject {} has no head", .0.0)]
    Missing(SubjectId),
    /// A head that this build cannot read; unknown denies, so it is not overwritten.
    #[error("the head of subject {}: {reason}", subject.0)]
    Unreadable {
        /// Whose.
        subject: SubjectId,
        /// Why.
        reason: HeadError,
    },
}

/// A head that moved: what Redis must be told (`rf2_follow`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Whose.
    pub subject: SubjectId,
    /// The token it moved from: a copy standing there may follow.
    pub from: Token,
    /// The head now.
    pub head: Head,
}

/// Locks the heads of `subjects` in subject order and puts what `event` makes of each in its place;
/// `None` leaves a head as it is. Call it inside a transaction; tell Redis after the commit.
///
/// # Errors
/// See [`HeadsError`].
pub async fn move_heads(
    connection: &mut PgConnection,
    subjects: &[SubjectId],
    mut event: impl FnMut(SubjectId, &Head) -> Option<Head>,
) -> Result<Vec<Moved>, HeadsError> {
    let mut moved = Vec::new();
    for (subject, head) in lock_heads(connection, subjects).await? {
        if let Some(next) = event(subject, &head) {
            moved.push(Moved { subject, from: head.token(), head: next });
        }
    }
    store_heads(connection, &moved).await?;
    Ok(moved)
}

/// Locks and reads the heads of `subjects`, in subject order, each once.
///
/// # Errors
/// See [`HeadsError`].
pub async fn lock_heads(
    connection: &mut PgConnection,
    subjects: &[SubjectId],
) -> Result<Vec<(SubjectId, Head)>, HeadsError> {
    read(
        connection,
        subjects,
        "SELECT subject_id, head FROM subject_head WHERE subject_id = ANY($1)
         ORDER BY subject_id FOR UPDATE",
    )
    .await
}

/// Reads the heads of `subjects`, in subject order, each once, without locking them.
///
/// # Errors
/// See [`HeadsError`].
pub async fn read_heads(
    connection: &mut PgConnection,
    subjects: &[SubjectId],
) -> Result<Vec<(SubjectId, Head)>, HeadsError> {
    read(
        connection,
        subjects,
        "SELECT subject_id, head FROM subject_head WHERE subject_id = ANY($1) ORDER BY subject_id",
    )
    .await
}

async fn read(
    connection: &mut PgConnection,
    subjects: &[SubjectId],
    sql: &'static str,
) -> Result<Vec<(SubjectId, Head)>, HeadsError> {
    let mut wanted: Vec<i64> = subjects.iter().map(|subject| subject.0).collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sql).bind(&wanted).fetch_all(connection).await?;
    let mut heads = Vec::with_capacity(rows.len());
    for row in rows {
        let subject = SubjectId(row.try_get(0)?);
        let head = Head::decode(row.try_get(1)?)
            .map_err(|reason| HeadsError::Unreadable { subject, reason })?;
        heads.push((subject, head));
    }
    match wanted
        .iter()
        .find(|id| heads.binary_search_by_key(*id, |(subject, _)| subject.0).is_err())
    {
        Some(missing) => Err(HeadsError::Missing(SubjectId(*missing))),
        None => Ok(heads),
    }
}

/// Writes heads whose rows this transaction has locked.
///
/// # Errors
/// See [`HeadsError`].
pub async fn store_heads(connection: &mut PgConnection, moved: &[Moved]) -> Result<(), HeadsError> {
    if moved.is_empty() {
        return Ok(());
    }
    let subjects: Vec<i64> = moved.iter().map(|moved| moved.subject.0).collect();
    let tokens: Vec<Uuid> =
        moved.iter().map(|moved| Uuid::from_u128(moved.head.token().0)).collect();
    let heads: Vec<Vec<u8>> = moved.iter().map(|moved| moved.head.encode()).collect();
    sqlx::query(
        "UPDATE subject_head h SET token = n.token, head = n.head
         FROM unnest($1::bigint[], $2::uuid[], $3::bytea[]) AS n(subject_id, token, head)
         WHERE h.subject_id = n.subject_id",
    )
    .bind(subjects)
    .bind(tokens)
    .bind(heads)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the heads of subjects that this transaction has just made.
pub(crate) async fn create_heads(
    connection: &mut PgConnection,
    heads: &[(SubjectId, Token)],
) -> Result<(), sqlx::Error> {
    if heads.is_empty() {
        return Ok(());
    }
    let subjects: Vec<i64> = heads.iter().map(|(subject, _)| subject.0).collect();
    let tokens: Vec<Uuid> = heads.iter().map(|(_, token)| Uuid::from_u128(token.0)).collect();
    let bytes: Vec<Vec<u8>> = heads.iter().map(|(_, token)| Head::new(*token).encode()).collect();
    sqlx::query(
        "INSERT INTO subject_head (subject_id, token, head)
         SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[])",
    )
    .bind(subjects)
    .bind(tokens)
    .bind(bytes)
    .execute(connection)
    .await?;
    Ok(())
}
