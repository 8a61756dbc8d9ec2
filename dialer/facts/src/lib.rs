//! Reading what a judgement rests on: what Postgres knows of contacts, their heads, the national
//! lists, the rule packs, a campaign's terms.
//!
//! The dialer reads through this crate before it judges, and so does the API when it is asked why a
//! contact is not called. Nothing here writes.
#![warn(missing_docs)]

mod campaign;
mod contacts;
mod entries;
pub mod feeds;
mod heads;
pub mod lists;
pub mod rules;
mod supplied;

pub use campaign::{campaign_terms, retry_rules};
pub use contacts::contacts;
pub use entries::{Standing, entries};
pub use heads::heads;
pub use supplied::supplied;

/// Why facts could not be read. Never repeats a number.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// Postgres failed.
    #[error("postgres: {0}")]
    Sql(#[from] sqlx::Error),
    /// A value in the database is outside its vocabulary.
    #[error("{table}: {what}")]
    Row {
        /// Where.
        table: &'static str,
        /// What.
        what: String,
    },
}

impl FactsError {
    /// A value that is not understood.
    pub(crate) fn row(table: &'static str, what: impl Into<String>) -> Self {
        Self::Row { table, what: what.into() }
    }
}

/// A value of a vocabulary that is stored as a small number.
pub(crate) fn code<T>(
    value: i16,
    of: fn(u8) -> Option<T>,
    what: &'static str,
) -> Result<T, FactsError> {
    u8::try_from(value)
        .ok()
        .and_then(of)
        .ok_or_else(|| FactsError::row("code", format!("{what} is {value}")))
}
