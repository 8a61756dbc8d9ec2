//! Users and their API keys. A key is shown once; the database keeps its SHA-256.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dialer_types::{Mint, UnixMillis};
use sha2::{Digest, Sha256};
use sqlx::{PgPool, Row};
use uuid::Uuid;

/// What every key starts with, so that a leaked one is recognised by scanners.
const PREFIX: &str = "rfk_";

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Campaigns, lists, consents, suppressions.
    CampaignManager,
    /// Attempts, audit, suppressions.
    Compliance,
    /// Trunks.
    Operator,
    /// Permits and their outcomes: a dialer that is not ours.
    Dialer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Admin, Self::CampaignManager, Self::Compliance, Self::Operator, Self::Dialer];

    /// The word in the database and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::CampaignManager => "campaign_manager",
            Self::Compliance => "compliance",
            Self::Operator => "operator",
            Self::Dialer => "dialer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or_else(|| {
            format!("no role {word:?}; one of {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The user.
    pub user: Uuid,
    /// What the user may do.
    pub role: Role,
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database said no.
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    /// A user of that name has another role.
    #[error("user {name:?} exists with the role {role}; roles are not changed by making keys")]
    OtherRole {
        /// Whose name it is.
        name: String,
        /// The role.
        role: String,
    },
    /// No random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Makes a user, if there is none of that name, and a new key. Returns the key: it is not kept.
///
/// # Errors
/// See [`KeyError`].
pub async fn create_key(
    pool: &PgPool,
    name: &str,
    role: Role,
    mint: &mut Mint,
    now: UnixMillis,
) -> Result<String, KeyError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(KeyError::Random)?;
    let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "INSERT INTO app_user (id, name, role, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(Uuid::from_u128(mint.ulid(now)))
    .bind(name)
    .bind(role.as_str())
    .bind(now.0)
    .execute(&mut *transaction)
    .await?;
    let row = sqlx::query("SELECT id, role FROM app_user WHERE name = $1")
        .bind(name)
        .fetch_one(&mut *transaction)
        .await?;
    let held: String = row.try_get(1)?;
    if held != role.as_str() {
        return Err(KeyError::OtherRole { name: name.to_owned(), role: held });
    }
    sqlx::query("INSERT INTO api_key (id, user_id, hash, created_at) VALUES ($1, $2, $3, $4)")
        .bind(Uuid::from_u128(mint.ulid(now)))
        .bind(row.try_get::<Uuid, _>(0)?)
        .bind(hash(&key).as_slice())
        .bind(now.0)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(key)
}

/// Whose key this is.
///
/// # Errors
/// If the database does not answer.
pub async fn find(pool: &PgPool, key: &str) -> Result<Option<Caller>, sqlx::Error> {
    let wanted = hash(key);
    let row = sqlx::query(
        "SELECT k.hash, u.id, u.role FROM api_key k JOIN app_user u ON u.id = k.user_id
         WHERE k.hash = $1 AND k.revoked_at IS NULL",
    )
    .bind(wanted.as_slice())
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let held: &[u8] = row.try_get(0)?;
    let role: String = row.try_get(2)?;
    let caller = role.parse().ok().map(|role| Ok(Caller { user: row.try_get(1)?, role }));
    if same(held, &wanted) { caller.transpose() } else { Ok(None) }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Whether two hashes are the same, in time that does not tell how much of them is.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differ, (left, right)| differ | (left ^ right)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_only_in_every_byte() {
        assert!(same(&[1, 2, 3], &[1, 2, 3]));
        assert!(!same(&[1, 2, 3], &[1, 2, 4]));
        assert!(!same(&[1, 2, 3], &[1, 2]));
    }
}
