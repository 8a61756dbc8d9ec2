//! People to measure with: each with a number, a consent and seven calls in the past. Made by Postgres
//! itself, a range of indexes at a time; whoever has an index can be told without looking.

use std::time::Duration;

use anyhow::Result;
use dialer_limiter::{Demand, Entry, Head, Token};
use dialer_types::{
    CampaignNo, ContactId, E164, Mint, Outcome, PlacementId, Purpose, SellerNo, SubjectId,
    Technology, UnixMillis,
};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::store::Stores;

/// Calls in each history.
const PAST: u64 = 7;
/// People made in one statement.
const AT_ONCE: u32 = 50_000;
/// What each of the numbers is, a mobile in Great Britain: the judgement does not look at more.
const NUMBER: u64 = 447_700_900_000;
/// The first subject: beyond whatever was there.
const SUBJECT: i64 = 1 << 40;

/// Somebody who is to be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) contact: ContactId,
    pub(super) person: SubjectId,
    pub(super) number: SubjectId,
}

/// Everybody who was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct People {
    made_at: UnixMillis,
    pub(super) count: u32,
}

impl People {
    /// The person of an index below the count.
    pub(super) fn at(&self, index: u32) -> Person {
        let made_at = u128::from(self.made_at.0.unsigned_abs());
        let person = SubjectId(SUBJECT + 2 * i64::from(index));
        Person {
            contact: ContactId(made_at << 80 | u128::from(index)),
            person,
            number: SubjectId(person.0 + 1),
        }
    }
}

/// A seller with a campaign on a trunk, and these people in its list.
pub(super) async fn people(stores: &Stores, mint: &mut Mint, count: u32) -> Result<People> {
    let now = stores.clock.now().wall;
    let [seller, campaign, trunk] = [(); 3].map(|()| Uuid::from_u128(mint.ulid(now)));
    let mut connection = stores.pool.acquire().await?;
    let house = format!(
        "INSERT INTO seller (id, name, created_at) VALUES ('{seller}', 'measure', 0);
         INSERT INTO trunk (id, name, address, milli_cps, max_concurrent, created_at)
         VALUES ('{trunk}', 'measure', '127.0.0.1:9', 1000000000, 1000000, 0);
         INSERT INTO campaign (id, seller_id, name, purpose, technology, status, caller_id, announces,
             prompt, milli_cps, max_concurrent, max_tries, ring_timeout_ms, retry, created_at)
         VALUES ('{campaign}', '{seller}', 'measure', {}, {}, 'running', '+442079460100',
             '{{identity,purpose_statement,callback_number}}', 'measure.wav', 1000000000, 1000000, 3, 20000,
             '{{}}', 0);
         INSERT INTO campaign_trunk VALUES ('{campaign}', '{trunk}', 1);
         INSERT INTO contact_list (id, campaign_id, name, state, created_at)
         VALUES ('{campaign}', '{campaign}', 'list', 'imported', 0)",
        Purpose::Informational.code(),
        Technology::Prerecorded.code(),
    );
    sqlx::raw_sql(AssertSqlSafe(house)).execute(&mut *connection).await?;
    // A bulk load without a look for each reference, and without a flush for each statement; a login that
    // may not set this takes longer.
    for (set, to) in [("session_replication_role", "replica"), ("synchronous_commit", "off")] {
        let set = format!("SET {set} = {to}; SET statement_timeout = 0");
        sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *connection).await.ok();
    }
    let mut begin = 0;
    while begin < count {
        let end = count.min(begin + AT_ONCE);
        some(stores, &mut connection, mint, (seller, campaign, now), begin..end).await?;
        tracing::info!(people = end, "made");
        begin = end;
    }
    // Its settings go with it.
    sqlx::Connection::close(connection.detach()).await?;
    sqlx::query("SELECT refresh_statistics(), make_partitions(true)").execute(&stores.pool).await?;
    Ok(People { made_at: now, count })
}

async fn some(
    stores: &Stores,
    connection: &mut PgConnection,
    mint: &mut Mint,
    (seller, campaign, now): (Uuid, Uuid, UnixMillis),
    which: std::ops::Range<u32>,
) -> Result<()> {
    let cipher = stores.keys.encrypt(&E164::from_digits(NUMBER)?, schema::rows::nonce(mint))?;
    let head = past(mint, now, Duration::from_secs(24 * 3600))?;
    let consented = now.before(Duration::from_secs(30 * 24 * 3600)).0;
    sqlx::query(
        "WITH n AS MATERIALIZED (
             SELECT $1 + 2 * i::bigint AS person, gen_random_uuid() AS token,
                    (lpad(to_hex($3::bigint), 12, '0') || lpad(to_hex(i), 20, '0'))::uuid AS contact
             FROM generate_series($4::integer, $5::integer - 1) AS i
         ), s AS (
             INSERT INTO subject (id, kind) OVERRIDING SYSTEM VALUE
             SELECT person, 3 FROM n UNION ALL SELECT person + 1, 1 FROM n
         ), numbers AS (
             INSERT INTO number (subject_id, keyed_hash, cipher, line_type, created_at)
             SELECT person + 1, sha256(int8send(person)), $6, 2, 0 FROM n
         ), persons AS (
             INSERT INTO person (subject_id, id, seller_id, external_id, created_at)
             SELECT person, contact, $7, person::text, 0 FROM n
         ), heads AS (
             INSERT INTO subject_head (subject_id, token, head)
             SELECT person + k, token, overlay($2::bytea PLACING uuid_send(token) FROM 1)
             FROM n CROSS JOIN generate_series(0, 1) AS k ORDER BY 1
         ), contacts AS (
             INSERT INTO contact (id, campaign_id, list_id, person_subject, party_type, party_role,
                                  country, state, node)
             SELECT contact, $8, $8, person, 1, 1, 'GB', 3, $9 FROM n
         ), of AS (
             INSERT INTO contact_number (contact_id, position, number_subject)
             SELECT contact, 0, person + 1 FROM n
         )
         INSERT INTO consent_event (seller_id, person_subject, kind, form, purpose, at, source, recorded_at)
         SELECT $7, person, 'grant', 'prior_express_written', $10, $11, 'measure', $11 FROM n",
    )
    .bind(SUBJECT)
    .bind(head.encode())
    .bind(now.0)
    .bind(i32::try_from(which.start)?)
    .bind(i32::try_from(which.end)?)
    .bind(cipher)
    .bind(seller)
    .bind(campaign)
    .bind(Uuid::from_u128(stores.node.0))
    .bind(i16::from(Purpose::Informational.code()))
    .bind(consented)
    .execute(connection)
    .await?;
    Ok(())
}

/// A head with seven calls that far apart, the last one three such times ago.
pub(super) fn past(mint: &mut Mint, now: UnixMillis, apart: Duration) -> Result<Head> {
    let mut head = Head::new(Token(mint.ulid(now)));
    for back in (0..PAST).rev() {
        let at = now.before(apart * u32::try_from(3 + back)?);
        head = called(mint, &head, at)?;
    }
    Ok(head)
}

/// The head after one call more.
pub(super) fn called(mint: &mut Mint, head: &Head, at: UnixMillis) -> Result<Head> {
    let placement = PlacementId(mint.ulid(at));
    let entry = Entry {
        key: Entry::key_of(placement),
        at_seconds: Entry::seconds(at),
        seller: SellerNo(1),
        campaign: CampaignNo(1),
        purpose: Purpose::Informational,
        technology: Technology::Prerecorded,
        outcome: Outcome::NoAnswer,
        inbound: false,
    };
    let demand = Demand::new(placement, &[(SubjectId(1), head.clone())], entry, UnixMillis(0))?;
    Ok(demand.claims().first().map_or_else(|| head.clone(), |claim| claim.next.clone()))
}
