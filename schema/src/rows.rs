//! Finding or making subjects (with their heads) and adding audit entries, in batches.
//!
//! Each function runs inside the caller's transaction. Rows are made in the order of their natural
//! key, so that two batches that meet wait for each other instead of deadlocking.

use std::collections::BTreeMap;

use dialer_audit::Record;
use dialer_limiter::Token;
use dialer_types::{
    AttemptId, CampaignId, E164, LineType, Mint, PersonId, PlacementId, SellerId, SubjectId,
    UnixMillis,
};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::{
    heads::create_heads,
    numbers::{NumberError, NumberKeys},
};

/// Why rows were not written.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The database said no.
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    /// A number could not be encrypted.
    #[error("{0}")]
    Number(#[from] NumberError),
    /// A record that has no canonical bytes.
    #[error("audit record: {0}")]
    Record(#[from] dialer_audit::CanonicalError),
    /// What was just written is not there: a bug or a broken database.
    #[error("a {0} that was just written cannot be read back")]
    Lost(&'static str),
}

/// `subject.kind` of a number.
const NUMBER: i16 = 1;
/// `subject.kind` of an account.
const ACCOUNT: i16 = 2;
/// `subject.kind` of a person.
const PERSON: i16 = 3;

/// A subject as found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub subject: SubjectId,
    /// Whether this call made it: then nobody can have judged it yet.
    pub new: bool,
}

/// A person as found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundPerson {
    /// Which subject.
    pub subject: SubjectId,
    /// Its public id.
    pub person: PersonId,
    /// Whether this call made it.
    pub new: bool,
}

async fn new_subjects(
    connection: &mut PgConnection,
    kind: i16,
    count: usize,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO subject (kind) SELECT $1 FROM generate_series(1, $2) RETURNING id",
    )
    .bind(kind)
    .bind(i64::try_from(count).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await
}

/// The subjects of these numbers, in the order asked; numbers that nobody has yet are made. A line
/// type that is known replaces an unknown one; two that differ make it unknown, the strictest.
///
/// # Errors
/// See [`RowsError`].
pub async fn numbers(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    wanted: &[(E164, LineType)],
    mint: &mut Mint,
    now: UnixMillis,
) -> Result<Vec<Found>, RowsError> {
    let mut lines: BTreeMap<[u8; 32], (E164, LineType)> = BTreeMap::new();
    let hashes: Vec<[u8; 32]> = wanted.iter().map(|(number, _)| keys.lookup_hash(number)).collect();
    for (hash, (number, line)) in hashes.iter().zip(wanted) {
        lines
            .entry(*hash)
            .and_modify(|(_, held)| *held = merge_lines(*held, *line))
            .or_insert((*number, *line));
    }
    let mut found = find_numbers(connection, lines.keys()).await?;
    let missing: Vec<_> = lines.iter().filter(|(hash, _)| !found.contains_key(*hash)).collect();
    if !missing.is_empty() {
        let ids = new_subjects(connection, NUMBER, missing.len()).await?;
        let mut cipher = Vec::with_capacity(missing.len());
        for (_, (number, _)) in &missing {
            cipher.push(keys.encrypt(number, nonce(mint))?);
        }
        let rows = sqlx::query(
            "INSERT INTO number (subject_id, keyed_hash, cipher, line_type, created_at)
             SELECT n.*, $5 FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::smallint[]) AS n
             ON CONFLICT (keyed_hash) DO NOTHING RETURNING subject_id, keyed_hash",
        )
        .bind(ids)
        .bind(missing.iter().map(|(hash, _)| hash.to_vec()).collect::<Vec<_>>())
        .bind(cipher)
        .bind(missing.iter().map(|(_, (_, line))| i16::from(line.code())).collect::<Vec<_>>())
        .bind(now.0)
        .fetch_all(&mut *connection)
        .await?;
        let mut heads = Vec::with_capacity(rows.len());
        for row in &rows {
            heads.push((SubjectId(row.try_get(0)?), Token(mint.ulid(now))));
        }
        create_heads(connection, &heads).await?;
        // A row that another transaction made meanwhile is found now: the insert waited for it.
        let made: Vec<i64> = heads.iter().map(|(subject, _)| subject.0).collect();
        for (hash, (held, line)) in
            find_numbers(connection, missing.iter().map(|(h, _)| *h)).await?
        {
            let new = made.contains(&held.subject.0);
            found.insert(hash, (Found { new, ..held }, line));
        }
    }
    update_lines(connection, &lines, &found).await?;
    hashes
        .iter()
        .map(|hash| found.get(hash).map(|(found, _)| *found).ok_or(RowsError::Lost("number")))
        .collect()
}

type FoundNumbers = BTreeMap<[u8; 32], (Found, LineType)>;

async fn find_numbers<'a>(
    connection: &mut PgConnection,
    hashes: impl Iterator<Item = &'a [u8; 32]>,
) -> Result<FoundNumbers, RowsError> {
    let hashes: Vec<Vec<u8>> = hashes.map(|hash| hash.to_vec()).collect();
    let rows = sqlx::query(
        "SELECT keyed_hash, subject_id, line_type FROM number WHERE keyed_hash = ANY($1)",
    )
    .bind(hashes)
    .fetch_all(connection)
    .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let hash: &[u8] = row.try_get(0)?;
        let hash = hash.try_into().map_err(|_| RowsError::Lost("number"))?;
        let line: i16 = row.try_get(2)?;
        let line =
            u8::try_from(line).ok().and_then(LineType::from_code).unwrap_or(LineType::Unknown);
        found.insert(hash, (Found { subject: SubjectId(row.try_get(1)?), new: false }, line));
    }
    Ok(found)
}

fn merge_lines(held: LineType, told: LineType) -> LineType {
    match (held, told) {
        (LineType::Unknown, told) => told,
        (held, LineType::Unknown) => held,
        (held, told) if held == told => held,
        _ => LineType::Unknown,
    }
}

async fn update_lines(
    connection: &mut PgConnection,
    told: &BTreeMap<[u8; 32], (E164, LineType)>,
    found: &FoundNumbers,
) -> Result<(), RowsError> {
    let mut changes: Vec<(i64, i16)> = told
        .iter()
        .filter_map(|(hash, (_, line))| {
            let (held, held_line) = found.get(hash)?;
            let merged = merge_lines(*held_line, *line);
            (merged != *held_line).then_some((held.subject.0, i16::from(merged.code())))
        })
        .collect();
    changes.sort_unstable();
    for (subject, line) in changes {
        sqlx::query("UPDATE number SET line_type = $2 WHERE subject_id = $1")
            .bind(subject)
            .bind(line)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The persons with these external ids of one seller, in the order asked; unknown ones are made.
///
/// # Errors
/// See [`RowsError`].
pub async fn persons(
    connection: &mut PgConnection,
    seller: SellerId,
    external_ids: &[&str],
    mint: &mut Mint,
    now: UnixMillis,
) -> Result<Vec<FoundPerson>, RowsError> {
    let found = parties(connection, PERSON, seller, external_ids, mint, now).await?;
    external_ids
        .iter()
        .map(|id| {
            let (subject, public, new) = found.get(*id).ok_or(RowsError::Lost("person"))?;
            Ok(FoundPerson { subject: *subject, person: PersonId(*public), new: *new })
        })
        .collect()
}

/// The accounts with these external ids of one seller, in the order asked; unknown ones are made.
///
/// # Errors
/// See [`RowsError`].
pub async fn accounts(
    connection: &mut PgConnection,
    seller: SellerId,
    external_ids: &[&str],
    mint: &mut Mint,
    now: UnixMillis,
) -> Result<Vec<Found>, RowsError> {
    let found = parties(connection, ACCOUNT, seller, external_ids, mint, now).await?;
    external_ids
        .iter()
        .map(|id| {
            let (subject, _, new) = found.get(*id).ok_or(RowsError::Lost("account"))?;
            Ok(Found { subject: *subject, new: *new })
        })
        .collect()
}

type Parties = BTreeMap<String, (SubjectId, u128, bool)>;

async fn parties(
    connection: &mut PgConnection,
    kind: i16,
    seller: SellerId,
    external_ids: &[&str],
    mint: &mut Mint,
    now: UnixMillis,
) -> Result<Parties, RowsError> {
    let mut wanted: Vec<&str> = external_ids.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = find_parties(connection, kind, seller, &wanted).await?;
    let missing: Vec<&str> = wanted.into_iter().filter(|id| !found.contains_key(*id)).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let ids = new_subjects(connection, kind, missing.len()).await?;
    let sql = if kind == PERSON {
        "INSERT INTO person (subject_id, id, external_id, seller_id, created_at)
         SELECT n.*, $4, $5 FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS n
         ON CONFLICT (seller_id, external_id) DO NOTHING RETURNING subject_id"
    } else {
        "INSERT INTO account (subject_id, external_id, seller_id, created_at)
         SELECT n.subject_id, n.external_id, $4, $5
         FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS n(subject_id, id, external_id)
         ON CONFLICT (seller_id, external_id) DO NOTHING RETURNING subject_id"
    };
    let public: Vec<Uuid> = missing.iter().map(|_| Uuid::from_u128(mint.ulid(now))).collect();
    let made: Vec<i64> = sqlx::query_scalar(sql)
        .bind(ids)
        .bind(public)
        .bind(&missing)
        .bind(Uuid::from_u128(seller.0))
        .bind(now.0)
        .fetch_all(&mut *connection)
        .await?;
    let heads: Vec<_> =
        made.iter().map(|subject| (SubjectId(*subject), Token(mint.ulid(now)))).collect();
    create_heads(connection, &heads).await?;
    for (id, (subject, public, _)) in find_parties(connection, kind, seller, &missing).await? {
        let new = made.contains(&subject.0);
        found.insert(id, (subject, public, new));
    }
    Ok(found)
}

async fn find_parties(
    connection: &mut PgConnection,
    kind: i16,
    seller: SellerId,
    external_ids: &[&str],
) -> Result<Parties, RowsError> {
    let sql = if kind == PERSON {
        "SELECT external_id, subject_id, id FROM person
         WHERE seller_id = $1 AND external_id = ANY($2)"
    } else {
        "SELECT external_id, subject_id, seller_id FROM account
         WHERE seller_id = $1 AND external_id = ANY($2)"
    };
    let rows = sqlx::query(sql)
        .bind(Uuid::from_u128(seller.0))
        .bind(external_ids)
        .fetch_all(connection)
        .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let public: Uuid = row.try_get(2)?;
        found.insert(row.try_get(0)?, (SubjectId(row.try_get(1)?), public.as_u128(), false));
    }
    Ok(found)
}

/// A record and what its entry is found by.
#[derive(Debug)]
pub struct AuditEntry {
    /// What is recorded.
    pub record: Record,
    /// The campaign it belongs to.
    pub campaign: Option<CampaignId>,
    /// The attempt it belongs to.
    pub attempt: Option<AttemptId>,
    /// The placement it belongs to.
    pub placement: Option<PlacementId>,
}

impl AuditEntry {
    /// A record that belongs to no campaign.
    #[must_use]
    pub const fn of(record: Record) -> Self {
        Self { record, campaign: None, attempt: None, placement: None }
    }
}

/// Audit entries as Postgres takes many of them: column by column, in the order of recording.
#[derive(Debug, Default)]
pub struct AuditColumns {
    /// When, milliseconds since 1970.
    pub at: Vec<i64>,
    /// Codes of [`dialer_audit::record::Kind`].
    pub kinds: Vec<i16>,
    /// The campaigns.
    pub campaigns: Vec<Option<Uuid>>,
    /// The contacts of the attempts.
    pub contacts: Vec<Option<Uuid>>,
    /// Their tries.
    pub tries: Vec<Option<i16>>,
    /// The placements.
    pub placements: Vec<Option<Uuid>>,
    /// Canonical bytes.
    pub leaves: Vec<Vec<u8>>,
}

impl AuditColumns {
    /// The columns of these entries.
    ///
    /// # Errors
    /// If a record has no canonical bytes.
    pub fn of(entries: &[AuditEntry]) -> Result<Self, RowsError> {
        let mut columns = Self::default();
        for AuditEntry { record, campaign, attempt, placement } in entries {
            columns.at.push(record.at.0);
            columns.kinds.push(i16::from(record.body.kind().code()));
            columns.campaigns.push(campaign.map(|id| Uuid::from_u128(id.0)));
            columns.contacts.push(attempt.map(|attempt| Uuid::from_u128(attempt.contact.0)));
            let try_no = |attempt: AttemptId| i16::try_from(attempt.try_no).unwrap_or(i16::MAX);
            columns.tries.push(attempt.map(try_no));
            columns.placements.push(placement.map(|id| Uuid::from_u128(id.0)));
            columns.leaves.push(dialer_audit::canonical::encode(record)?);
        }
        Ok(columns)
    }
}

/// Appends audit entries in this order; returns their ids. The sequencer gives each its leaf index
/// later.
///
/// # Errors
/// See [`RowsError`].
pub async fn append_audit(
    connection: &mut PgConnection,
    entries: &[AuditEntry],
) -> Result<Vec<i64>, RowsError> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let columns = AuditColumns::of(entries)?;
    let mut ids: Vec<i64> = sqlx::query_scalar(
        "INSERT INTO audit_entry (at, kind, campaign_id, contact_id, try_no, placement, leaf)
         SELECT at, kind, campaign_id, contact_id, try_no, placement, leaf
         FROM unnest($1::bigint[], $2::smallint[], $3::uuid[], $4::uuid[], $5::smallint[],
                     $6::uuid[], $7::bytea[])
              WITH ORDINALITY AS n(at, kind, campaign_id, contact_id, try_no, placement, leaf, place)
         ORDER BY place RETURNING id",
    )
    .bind(columns.at)
    .bind(columns.kinds)
    .bind(columns.campaigns)
    .bind(columns.contacts)
    .bind(columns.tries)
    .bind(columns.placements)
    .bind(columns.leaves)
    .fetch_all(connection)
    .await?;
    ids.sort_unstable();
    Ok(ids)
}

/// Twelve random bytes, for one use.
#[must_use]
pub fn nonce(mint: &mut Mint) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (to, from) in
        nonce.iter_mut().zip(mint.bits().to_be_bytes().into_iter().chain(mint.bits().to_be_bytes()))
    {
        *to = from;
    }
    nonce
}
