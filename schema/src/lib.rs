//! What the programs must agree on: the tables, how numbers are kept, the configuration file, and
//! the SQL that both processes use on heads and subjects, so that it is written once.
#![warn(missing_docs)]

pub mod config;
pub mod grounds;
pub mod heads;
pub mod numbers;
pub mod opt_outs;
pub mod releases;
pub mod rows;
pub mod story;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trail;

/// The migrations, in order. `schema.sql` is the same as one text.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The version of the tables that this release is made for: the number of the newest migration. A
/// release runs on newer tables, too, as long as they say so (`schema_version.oldest`).
pub const VERSION: i32 = 15;

/// The whole schema as one text; a test keeps it equal to [`MIGRATOR`].
pub const SCHEMA_SQL: &str = include_str!("../schema.sql");

/// The group role of the running programs: it may do what they need and change no append-only row.
/// A deployment's login is a member of it.
pub const APP_ROLE: &str = "ringfence_app";
