//! People to measure with: each with a number, a consent and seven calls in the past.

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
const AT_ONCE: u32 = 5_000;
/// The first of the numbers: a mobile in Great Britain.
const FIRST: u64 = 447_700_000_000;
/// The first subject: beyond whatever was there.
const SUBJECT: i64 = 1 << 40;

/// Somebody who is to be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) contact: ContactId,
    pub(super) person: SubjectId,
    pub(super) number: SubjectId,
}

/// A seller with a campaign on a trunk, and these people in its list.
pub(super) async fn people(stores: &Stores, mint: &mut Mint, count: u32) -> Result<Vec<Person>> {
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
    let mut all = Vec::new();
    let mut begin = 0;
    while begin < count {
        let end = count.min(begin + AT_ONCE);
        all.extend(some(stores, &mut connection, mint, (seller, campaign), begin..end).await?);
        begin = end;
    }
    Ok(all)
}

async fn some(
    stores: &Stores,
    connection: &mut PgConnection,
    mint: &mut Mint,
    (seller, campaign): (Uuid, Uuid),
    which: std::ops::Range<u32>,
) -> Result<Vec<Person>> {
    let now = stores.clock.now().wall;
    let (mut people, mut hashes, mut ciphers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut heads, mut tokens) = (Vec::new(), Vec::new());
    for index in which {
        let number = E164::from_digits(FIRST + u64::from(index))?;
        let person = SubjectId(SUBJECT + 2 * i64::from(index));
        let contact = ContactId(mint.ulid(now));
        people.push(Person { contact, person, number: SubjectId(person.0 + 1) });
        hashes.push(stores.keys.lookup_hash(&number).to_vec());
        let nonce = schema::rows::nonce(mint);
        ciphers.push(stores.keys.encrypt(&number, nonce)?);
        let head = past(mint, now)?;
        tokens.push(Uuid::from_u128(head.token().0));
        heads.push(head.encode());
    }
    let persons: Vec<i64> = people.iter().map(|person| person.person.0).collect();
    let contacts: Vec<Uuid> = people.iter().map(|it| Uuid::from_u128(it.contact.0)).collect();
    let consented = now.before(Duration::from_secs(30 * 24 * 3600)).0;
    sqlx::query(
        "WITH n AS MATERIALIZED (
             SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[], $5::uuid[], $6::bytea[])
                      AS n(person, contact, hash, cipher, token, head)
         ), s AS (
             INSERT INTO subject (id, kind) OVERRIDING SYSTEM VALUE
             SELECT person, 3 FROM n UNION ALL SELECT person + 1, 1 FROM n
         ), numbers AS (
             INSERT INTO number (subject_id, keyed_hash, cipher, line_type, created_at)
             SELECT person + 1, hash, cipher, 2, 0 FROM n
         ), persons AS (
             INSERT INTO person (subject_id, id, seller_id, external_id, created_at)
             SELECT person, contact, $7, person::text, 0 FROM n
         ), heads AS (
             INSERT INTO subject_head (subject_id, token, head)
             SELECT person, token, head FROM n UNION ALL SELECT person + 1, token, head FROM n
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
    .bind(persons)
    .bind(contacts)
    .bind(hashes)
    .bind(ciphers)
    .bind(tokens)
    .bind(heads)
    .bind(seller)
    .bind(campaign)
    .bind(Uuid::from_u128(stores.node.0))
    .bind(i16::from(Purpose::Informational.code()))
    .bind(consented)
    .execute(connection)
    .await?;
    Ok(people)
}

/// A head with calls some days apart, the last one three days ago.
fn past(mint: &mut Mint, now: UnixMillis) -> Result<Head> {
    let subject = SubjectId(1);
    let mut head = Head::new(Token(mint.ulid(now)));
    for back in (0..PAST).rev() {
        let at = now.before(Duration::from_secs((3 + back) * 24 * 3600));
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
        let demand = Demand::new(placement, &[(subject, head.clone())], entry, UnixMillis(0))?;
        if let Some(claim) = demand.claims().first() {
            head = claim.next.clone();
        }
    }
    Ok(head)
}
