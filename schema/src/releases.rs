//! Which releases run on a database, and which may. Every process says for which schema it was made,
//! in the name that it gives Postgres: a connection is there as long as its process, and nobody has
//! to keep a list.

use sqlx::{PgConnection, Row};

use crate::VERSION;

/// The oldest release that may run on the tables as [`VERSION`] has them: `schema_version.oldest`
/// after all migrations.
pub const OLDEST: i32 = 10;

/// Releases that do not say for which schema they were made: the last of them.
const SILENT: i32 = 10;
/// Between the program's name and the rest.
const MARK: &str = " schema ";
/// What the programs are called.
const PROGRAMS: [&str; 2] = [DIALER, API];

/// What the dialer is called.
pub const DIALER: &str = "ringfence-dialer";
/// What the API is called.
pub const API: &str = "campaign-api";

/// What a process tells Postgres of itself: the program, the schema that it was made for, and its own
/// name, if it has one. Postgres keeps the first 63 bytes.
#[must_use]
pub fn application_name(program: &str, own: &str) -> String {
    format!("{program}{MARK}{VERSION} {own}").trim_end().to_owned()
}

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// What it said of itself.
    pub name: String,
    /// The schema that it was made for.
    pub schema: i32,
    /// From where it is connected; empty over a local socket.
    pub from: String,
}

/// Processes that run now and that the migrations of this release retire: made for a schema before
/// [`OLDEST`], and not retired by an earlier migration.
///
/// # Errors
/// If Postgres does not answer.
pub async fn retired_by_migrating(
    connection: &mut PgConnection,
) -> Result<Vec<Running>, sqlx::Error> {
    let laid: bool = sqlx::query_scalar("SELECT to_regclass('schema_version') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    let already: i32 = match laid {
        true => {
            sqlx::query_scalar("SELECT oldest FROM schema_version")
                .fetch_one(&mut *connection)
                .await?
        }
        false => 0,
    };
    let rows = sqlx::query(
        "SELECT DISTINCT application_name, coalesce(host(client_addr), '')
         FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()
         ORDER BY 1, 2",
    )
    .fetch_all(connection)
    .await?;
    let mut retired = Vec::new();
    for row in rows {
        let (name, from): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(schema) = schema_of(&name)
            && (already..OLDEST).contains(&schema)
        {
            retired.push(Running { name, schema, from });
        }
    }
    Ok(retired)
}

/// The schema that a process of ours was made for; `None` for somebody else's.
fn schema_of(name: &str) -> Option<i32> {
    let said = PROGRAMS.iter().find_map(|program| name.strip_prefix(program))?;
    match said.strip_prefix(MARK) {
        Some(said) => said.split(' ').next()?.parse().ok(),
        None => said.is_empty().then_some(SILENT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_for_which_schema_it_was_made() {
        for name in [application_name(DIALER, "d 1"), application_name(API, "")] {
            assert_eq!(schema_of(&name), Some(VERSION), "{name}");
        }
        for (name, schema) in [
            ("ringfence-dialer", Some(SILENT)),
            ("campaign-api", Some(SILENT)),
            ("ringfence-dialer schema 9 d7", Some(9)),
            ("ringfence-dialer-of-mine", None),
            ("psql", None),
            ("", None),
        ] {
            assert_eq!(schema_of(name), schema, "{name}");
        }
    }
}
