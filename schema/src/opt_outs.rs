//! Opt-outs as dialers hear of them (G7): written by whoever records one, heard by every dialer.
//!
//! A dialer asks for new rows every [`ASK_EVERY`], and may send INVITEs for [`SEND_LEASE`] from the
//! moment it asked. An opt-out is answered [`ANSWER_AFTER`] its commit: by then every lease that was
//! asked for before the commit has lapsed, and every later one knows the row. Nobody has to be known
//! for that, nor to be alive, and no two clocks to agree: only Postgres has to have one primary.

use std::time::Duration;

use dialer_types::{Purpose, SellerNo, SubjectId, UnixMillis};
use sqlx::{PgConnection, Row};

/// How long a dialer may send INVITEs from the moment it asked for opt-outs.
pub const SEND_LEASE: Duration = Duration::from_millis(80);
/// How often a dialer asks: three questions may be lost before it has to hold back.
pub const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long after its commit an opt-out is answered. What is beyond the lease is for timers that cut
/// to milliseconds, and for a datagram between the last look at the clock and the wire.
pub const ANSWER_AFTER: Duration = Duration::from_millis(90);
/// Rows are kept so long: a dialer that heard nothing for that time has no call left that rings.
pub const KEEP: Duration = Duration::from_secs(24 * 3600);

/// How old what is heard again over a new connection is at most: longer than a call rings.
const YOUNG: Duration = Duration::from_secs(180);

/// Somebody who is not to be called any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOut {
    /// Whom.
    pub subjects: Vec<SubjectId>,
    /// By whom not; `SellerNo(0)`: by anybody.
    pub seller: SellerNo,
    /// For which purpose not; `None`: for none.
    pub purpose: Option<Purpose>,
}

/// Writes it down for the dialers, in the transaction that moves the heads. Answer [`ANSWER_AFTER`]
/// its commit.
///
/// # Errors
/// If Postgres refuses.
pub async fn announce(
    connection: &mut PgConnection,
    out: &OptOut,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO opt_out (subjects, seller_no, purpose, at) VALUES ($1, $2, $3, $4)")
        .bind(out.subjects.iter().map(|subject| subject.0).collect::<Vec<_>>())
        .bind(i32::try_from(out.seller.0).unwrap_or(0))
        .bind(out.purpose.map(|purpose| i16::from(purpose.code())))
        .bind(now.0)
        .execute(connection)
        .await
        .map(|_| ())
}

/// What one question brought.
#[derive(Debug)]
pub struct Heard {
    /// Opt-outs that were not heard before.
    pub outs: Vec<OptOut>,
    /// Postgres's clock.
    pub clock: UnixMillis,
}

/// Where a listener stands.
#[derive(Debug, Default)]
pub struct Listener {
    /// The snapshot of the last question: what is visible in it is heard.
    last: Option<String>,
    /// The next question goes over a connection that the last one did not.
    anew: bool,
}

impl Listener {
    /// Questions go over another connection from now on. Perhaps to another server, whose numbers of
    /// transactions need not go on where the last one's were: the next question brings what is young,
    /// too, heard or not.
    pub const fn reconnected(&mut self) {
        self.anew = true;
    }

    /// Asks for what was committed since the last question. The first brings nothing: what was
    /// recorded before it stands in the heads. `now`: the time of the deployment.
    ///
    /// # Errors
    /// If Postgres does not answer, is a standby (which may not know yet what was answered), or a row
    /// is not understood: then the next question brings the same again.
    pub async fn ask(
        &mut self,
        connection: &mut PgConnection,
        now: UnixMillis,
    ) -> Result<Heard, sqlx::Error> {
        let first = self.last.is_none();
        let last = match self.last.clone() {
            Some(last) => last,
            None => {
                sqlx::query_scalar("SELECT pg_current_snapshot()::text")
                    .fetch_one(&mut *connection)
                    .await?
            }
        };
        let young = if self.anew && !first { now.before(YOUNG).0 } else { i64::MAX };
        // One statement, one snapshot. Not kept prepared: the plan has to know the numbers, or it may
        // read the whole table.
        let rows = sqlx::query(
            "WITH now AS MATERIALIZED (
                 SELECT pg_current_snapshot()::text AS snapshot, pg_is_in_recovery() AS standby,
                        (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock
             )
             SELECT now.snapshot, now.standby, now.clock, o.id, o.subjects, o.seller_no, o.purpose
             FROM now LEFT JOIN opt_out o
                  ON (o.xact >= pg_snapshot_xmin($1::text::pg_snapshot)
                      AND NOT pg_visible_in_snapshot(o.xact, $1::text::pg_snapshot))
                  OR o.at >= $2",
        )
        .bind(&last)
        .bind(young)
        .persistent(false)
        .fetch_all(connection)
        .await?;
        let now = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let (snapshot, standby, clock) = (now.try_get(0)?, now.try_get(1)?, now.try_get(2)?);
        if standby {
            return Err(sqlx::Error::Protocol("the server is a standby".to_owned()));
        }
        let mut outs = Vec::new();
        for row in rows.iter().filter(|_| !first) {
            if row.try_get::<Option<i64>, _>(3)?.is_some() {
                outs.push(out(row)?);
            }
        }
        (self.last, self.anew) = (Some(snapshot), false);
        Ok(Heard { outs, clock: UnixMillis(clock) })
    }
}

fn out(row: &sqlx::postgres::PgRow) -> Result<OptOut, sqlx::Error> {
    let subjects: Vec<i64> = row.try_get(4)?;
    let (seller, purpose): (i32, Option<i16>) = (row.try_get(5)?, row.try_get(6)?);
    let purpose = match purpose {
        // A purpose of a later release: for this one it is every purpose.
        Some(code) => u8::try_from(code).ok().and_then(Purpose::from_code),
        None => None,
    };
    Ok(OptOut {
        subjects: subjects.into_iter().map(SubjectId).collect(),
        seller: SellerNo(u32::try_from(seller).unwrap_or(0)),
        purpose,
    })
}

/// Lets rows go that nobody can still have to hear.
///
/// # Errors
/// If Postgres refuses.
pub async fn forget(connection: &mut PgConnection, now: UnixMillis) -> Result<u64, sqlx::Error> {
    sqlx::query("DELETE FROM opt_out WHERE at < $1")
        .bind(now.before(KEEP).0)
        .execute(connection)
        .await
        .map(|done| done.rows_affected())
}
