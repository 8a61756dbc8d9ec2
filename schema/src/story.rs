//! Reading what the page of one attempt is written from (`dialer_audit::page`).

use std::collections::{BTreeMap, BTreeSet};

use dialer_audit::{
    Body, Hash, Record, canonical,
    page::{Covered, OnFile, Story, Told},
};
use dialer_types::{
    AttemptId, CampaignId, ContactId, EventId, Outcome, PartyRole, PartyType, PlacementId, Purpose,
    SubjectId, Technology, TrunkId, UnixMillis,
};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{grounds, numbers::NumberKeys, trail::TrailError};

/// Rows of one kind that a page lists; older ones are left out of the page, never of the audit.
const MOST: i64 = 200;

/// What is to be told of an attempt; `None` if nothing was ever recorded of it.
///
/// # Errors
/// See [`TrailError`].
pub async fn read(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    attempt: AttemptId,
) -> Result<Option<Story>, TrailError> {
    let contact = Uuid::from_u128(attempt.contact.0);
    let row = sqlx::query(
        "SELECT g.id, g.name, s.name, p.external_id, c.country, c.region, c.postal_code, c.time_zone,
                c.party_type, c.party_role, c.relationship_kind, c.relationship_since::text,
                c.person_subject, c.account_subject, a.external_id
         FROM contact c JOIN campaign g ON g.id = c.campaign_id JOIN seller s ON s.id = g.seller_id
         JOIN person p ON p.subject_id = c.person_subject
         LEFT JOIN account a ON a.subject_id = c.account_subject WHERE c.id = $1",
    )
    .bind(contact)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut records = records(connection, attempt).await?;
    if records.is_empty() {
        return Ok(None);
    }
    records.extend(changed_rules(connection, &records).await?);
    in_order(&mut records);
    let person = SubjectId(row.try_get(12)?);
    let account = row.try_get::<Option<i64>, _>(13)?.map(SubjectId);
    let external: String = row.try_get(3)?;
    let mut subjects = BTreeMap::from([(person, format!("the person {external}"))]);
    if let Some(account) = account {
        let name = row.try_get::<Option<String>, _>(14)?.unwrap_or_default();
        subjects.insert(account, format!("the account {name}"));
    }
    let numbers = numbers(connection, keys, contact, &records).await?;
    let on_file = on_file(connection, person, &numbers).await?;
    subjects.extend(numbers.iter().map(|(id, number)| (*id, number.clone())));
    Ok(Some(Story {
        attempt,
        campaign: format!("{} ({})", row.try_get::<String, _>(1)?, CampaignId(id(&row, 0)?)),
        seller: row.try_get(2)?,
        person: external,
        contact: told_by_the_list(&row)?,
        subjects,
        trunks: trunks(connection, &records).await?,
        users: users(connection, &records).await?,
        on_file,
        covered: covered(connection, &records).await?,
        records,
    }))
}

/// The newest attempt of each seller on the person that it calls by this id, with the seller's
/// name, newest first. Two sellers may use the same id, for two people perhaps.
///
/// # Errors
/// See [`TrailError`].
pub async fn newest(
    connection: &mut PgConnection,
    person: &str,
) -> Result<Vec<(AttemptId, String)>, TrailError> {
    let rows = sqlx::query(
        "SELECT n.contact_id, n.try_no, s.name FROM person p JOIN seller s ON s.id = p.seller_id
         CROSS JOIN LATERAL
             (SELECT e.id, e.contact_id, e.try_no FROM contact c JOIN audit_entry e ON e.contact_id = c.id
              WHERE c.person_subject = p.subject_id AND e.try_no IS NOT NULL
              ORDER BY e.id DESC LIMIT 1) n
         WHERE p.external_id = $1 ORDER BY n.id DESC",
    )
    .bind(person)
    .fetch_all(connection)
    .await?;
    let attempt = |row: &PgRow| {
        let try_no = u16::try_from(row.try_get::<i16, _>(1)?).unwrap_or(0);
        Ok((AttemptId { contact: ContactId(id(row, 0)?), try_no }, row.try_get(2)?))
    };
    rows.iter().map(attempt).collect()
}

fn id(row: &PgRow, column: usize) -> Result<u128, sqlx::Error> {
    row.try_get::<Uuid, _>(column).map(|id| id.as_u128())
}

fn told_by_the_list(row: &PgRow) -> Result<Vec<(String, String)>, sqlx::Error> {
    let text = |column: usize| row.try_get::<Option<String>, _>(column);
    let mut told = Vec::new();
    let parts: Vec<String> = [text(4)?, text(5)?, text(6)?].into_iter().flatten().collect();
    let address = if parts.is_empty() { "none".to_owned() } else { parts.join("-") };
    told.push(("address".to_owned(), address));
    told.extend(text(7)?.map(|zone| ("zone given".to_owned(), zone)));
    let code = |column: usize| row.try_get::<i16, _>(column).map(|code| u8::try_from(code).ok());
    let party = code(8)?.and_then(PartyType::from_code).map_or("unknown", PartyType::as_str);
    let role = code(9)?.and_then(PartyRole::from_code).map_or("unknown", PartyRole::as_str);
    told.push(("party".to_owned(), format!("{party}, {role}")));
    if let (Some(kind), Some(since)) = (text(10)?, text(11)?) {
        told.push(("relationship".to_owned(), format!("{kind} since {since}")));
    }
    Ok(told)
}

/// The records of the attempt, those too that know only its placement.
async fn records(
    connection: &mut PgConnection,
    attempt: AttemptId,
) -> Result<Vec<Told>, TrailError> {
    let rows = sqlx::query(
        "SELECT l.index, e.leaf, e.id FROM audit_entry e
         LEFT JOIN audit_leaf l ON l.entry_id = e.id
         WHERE e.contact_id = $1 AND e.try_no = $2
         UNION
         SELECT l.index, e.leaf, e.id FROM placement p
         JOIN audit_entry e ON e.placement = p.id AND e.contact_id IS NULL
                               AND e.placement IS NOT NULL
         LEFT JOIN audit_leaf l ON l.entry_id = e.id
         WHERE p.contact_id = $1 AND p.try_no = $2
         ORDER BY 3 LIMIT $3",
    )
    .bind(Uuid::from_u128(attempt.contact.0))
    .bind(i16::try_from(attempt.try_no).unwrap_or(i16::MAX))
    .bind(MOST)
    .fetch_all(&mut *connection)
    .await?;
    let entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let named: BTreeSet<Hash> = entries
        .iter()
        .filter_map(|(_, record)| match &record.body {
            Body::Permit(permit) => Some(permit.grounds),
            _ => None,
        })
        .collect();
    let under = grounds::read(connection, &named.into_iter().collect::<Vec<_>>()).await?;
    let mut all = Vec::with_capacity(entries.len());
    for (index, record) in entries {
        let (records, grounds) = grounds::told(record, &under)?;
        all.extend(records.into_iter().map(|record| Told { index, grounds, record }));
    }
    Ok(all)
}

/// The changes of the rules of the processes that judged it, from its first record to its last.
async fn changed_rules(
    connection: &mut PgConnection,
    records: &[Told],
) -> Result<Vec<Told>, TrailError> {
    let times = || records.iter().map(|told| told.record.at.0);
    let nodes: BTreeSet<_> = records.iter().filter_map(|told| told.record.node).collect();
    let rows = sqlx::query(
        "SELECT l.index, e.leaf FROM audit_entry e LEFT JOIN audit_leaf l ON l.entry_id = e.id
         WHERE e.kind = 12 AND e.at BETWEEN $1 AND $2 ORDER BY e.at DESC LIMIT $3",
    )
    .bind(times().min())
    .bind(times().max())
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    let changes = rows.iter().map(entry).collect::<Result<Vec<_>, TrailError>>()?;
    let told = |(index, record)| Told { index, grounds: None, record };
    let mut changes: Vec<Told> = changes.into_iter().map(told).collect();
    changes.retain(|told| told.record.node.is_some_and(|node| nodes.contains(&node)));
    Ok(changes)
}

/// A record and its index.
fn entry(row: &PgRow) -> Result<(Option<u64>, Record), TrailError> {
    let (index, leaf): (Option<i64>, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
    let record =
        canonical::decode(&leaf).map_err(|fault| TrailError::Leaf(index.unwrap_or(-1), fault))?;
    Ok((index.and_then(|index| u64::try_from(index).ok()), record))
}

/// As it happened: writers of the wire's records follow after those of the outcome at times.
fn in_order(records: &mut [Told]) {
    records.sort_by_key(|told| (happened(told), told.index.unwrap_or(u64::MAX)));
}

/// When it took place: an INVITE leaves before it is recorded.
const fn happened(told: &Told) -> UnixMillis {
    match &told.record.body {
        Body::Sent(sent) => sent.sent_at,
        _ => told.record.at,
    }
}

/// The numbers of the contact and of the judgements, masked.
async fn numbers(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    contact: Uuid,
    records: &[Told],
) -> Result<BTreeMap<SubjectId, String>, TrailError> {
    let judged: BTreeSet<i64> = records
        .iter()
        .filter_map(|told| match &told.record.body {
            Body::Decision(decision) => Some(decision.subjects.iter().map(|subject| subject.0)),
            _ => None,
        })
        .flatten()
        .collect();
    let rows = sqlx::query(
        "SELECT subject_id, cipher FROM number WHERE subject_id = ANY($1) OR subject_id IN
         (SELECT number_subject FROM contact_number WHERE contact_id = $2)",
    )
    .bind(judged.into_iter().collect::<Vec<_>>())
    .bind(contact)
    .fetch_all(connection)
    .await?;
    let mut numbers = BTreeMap::new();
    for row in rows {
        let (subject, cipher): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        let number = keys.decrypt(&cipher);
        let number = number.map_or_else(
            |_| "a number that this key does not open".to_owned(),
            |number| format!("the number {number}"),
        );
        numbers.insert(SubjectId(subject), number);
    }
    Ok(numbers)
}

/// Consents, suppressions and earlier contacts, oldest first.
async fn on_file(
    connection: &mut PgConnection,
    person: SubjectId,
    numbers: &BTreeMap<SubjectId, String>,
) -> Result<Vec<OnFile>, TrailError> {
    let numbers: Vec<i64> = numbers.keys().map(|subject| subject.0).collect();
    let mut files = consents(connection, person).await?;
    files.extend(suppressions(connection, person, &numbers).await?);
    files.extend(earlier(connection, person, &numbers).await?);
    files.extend(supplied(connection, person, &numbers).await?);
    files.sort_by_key(|file| file.recorded_at);
    Ok(files)
}

async fn consents(
    connection: &mut PgConnection,
    person: SubjectId,
) -> Result<Vec<OnFile>, TrailError> {
    let rows = sqlx::query(
        "SELECT e.recorded_at, e.kind, e.form, e.purpose, e.technology, e.at, e.source, s.name,
                e.lifts, e.event
         FROM consent_event e JOIN seller s ON s.id = e.seller_id
         WHERE e.person_subject = $1 ORDER BY e.id DESC LIMIT $2",
    )
    .bind(person.0)
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    let mut files = Vec::new();
    for row in rows {
        let kind: String = row.try_get(1)?;
        let what = if kind == "grant" { "consent" } else { "revocation" };
        let technology = row.try_get::<Option<i16>, _>(4)?;
        let technology = technology.map_or("any technology", |code| {
            word(code, Technology::from_code).map_or("unknown", Technology::as_str)
        });
        let purpose: i16 = row.try_get(3)?;
        let purpose = word(purpose, Purpose::from_code).map_or("unknown", Purpose::as_str);
        let (form, source, seller): (String, String, String) =
            (row.try_get(2)?, row.try_get(6)?, row.try_get(7)?);
        let at = dialer_audit::page::time(UnixMillis(row.try_get(5)?));
        let lifts = lifted(&row)?;
        files.push(OnFile {
            recorded_at: UnixMillis(row.try_get(0)?),
            what: format!(
                "{what} {form} to {seller} for {purpose}, {technology}, of {at}, source {source}{lifts}"
            ),
        });
    }
    Ok(files)
}

/// What a consent lifts, and what it is called by then.
fn lifted(row: &PgRow) -> Result<String, TrailError> {
    let (lifts, event): (Vec<Uuid>, Uuid) = (row.try_get(8)?, row.try_get(9)?);
    if lifts.is_empty() {
        return Ok(String::new());
    }
    let lifts: Vec<_> = lifts.iter().map(|it| EventId(it.as_u128()).to_string()).collect();
    Ok(format!("; it is {}, and lifts the entry {}", EventId(event.as_u128()), lifts.join(", ")))
}

async fn suppressions(
    connection: &mut PgConnection,
    person: SubjectId,
    numbers: &[i64],
) -> Result<Vec<OnFile>, TrailError> {
    let rows = sqlx::query(
        "SELECT e.recorded_at, e.kind, e.at, e.reason, s.name, e.purpose, e.event
         FROM suppression_event e
         LEFT JOIN seller s ON s.id = e.seller_id
         WHERE e.person_subject = $1 OR e.number_subject = ANY($2) ORDER BY e.id DESC LIMIT $3",
    )
    .bind(person.0)
    .bind(numbers)
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    let mut files = Vec::new();
    for row in rows {
        let kind: String = row.try_get(1)?;
        let what = if kind == "add" { "suppression" } else { "end of a suppression" };
        let at = dialer_audit::page::time(UnixMillis(row.try_get(2)?));
        let reason: String = row.try_get(3)?;
        let about = row.try_get::<Option<i16>, _>(5)?.map_or_else(String::new, |code| {
            let about = word(code, Purpose::from_code).map_or("unknown", Purpose::as_str);
            format!(" about {about} only")
        });
        let event = EventId(row.try_get::<Uuid, _>(6)?.as_u128());
        let whose = row.try_get::<Option<String>, _>(4)?.unwrap_or_else(|| "every seller".into());
        files.push(OnFile {
            recorded_at: UnixMillis(row.try_get(0)?),
            what: format!("{what} for {whose}{about}, of {at}, reason {reason}, called {event}"),
        });
    }
    Ok(files)
}

async fn earlier(
    connection: &mut PgConnection,
    person: SubjectId,
    numbers: &[i64],
) -> Result<Vec<OnFile>, TrailError> {
    let rows = sqlx::query(
        "SELECT e.recorded_at, e.inbound, e.at, e.outcome, s.name FROM earlier_contact e
         JOIN seller s ON s.id = e.seller_id
         WHERE e.person_subject = $1 OR e.number_subject = ANY($2) ORDER BY e.at DESC LIMIT $3",
    )
    .bind(person.0)
    .bind(numbers)
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    let mut files = Vec::new();
    for row in rows {
        let inbound: bool = row.try_get(1)?;
        let what = if inbound { "inbound conversation with" } else { "earlier attempt for" };
        let at = dialer_audit::page::time(UnixMillis(row.try_get(2)?));
        let outcome: i16 = row.try_get(3)?;
        let outcome = word(outcome, Outcome::from_code).map_or("unknown", Outcome::as_str);
        let seller: String = row.try_get(4)?;
        files.push(OnFile {
            recorded_at: UnixMillis(row.try_get(0)?),
            what: format!("{what} {seller}, of {at}, {outcome}"),
        });
    }
    Ok(files)
}

/// Wishes of the person, and what look-ups of the numbers said.
async fn supplied(
    connection: &mut PgConnection,
    person: SubjectId,
    numbers: &[i64],
) -> Result<Vec<OnFile>, TrailError> {
    let rows = sqlx::query(
        "SELECT w.recorded_at, 'wishes' AS what, s.name,
                coalesce(nullif(array_to_string(w.blocked, '; '), ''), 'no time blocked'), w.source, w.id
         FROM wish_event w JOIN seller s ON s.id = w.seller_id WHERE w.person_subject = $1
         UNION ALL
         SELECT c.recorded_at, 'look-up of ' || c.database, coalesce(s.name, 'every seller'),
                coalesce(c.reassigned, c.line_class) || ', as of ' || c.as_of, c.source, c.id
         FROM number_check_event c LEFT JOIN seller s ON s.id = c.seller_id
         WHERE c.number_subject = ANY($2)
         ORDER BY 1 DESC, 6 DESC LIMIT $3",
    )
    .bind(person.0)
    .bind(numbers)
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    let mut files = Vec::new();
    for row in rows {
        let (what, seller): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        let (said, source): (String, String) = (row.try_get(3)?, row.try_get(4)?);
        files.push(OnFile {
            recorded_at: UnixMillis(row.try_get(0)?),
            what: format!("{what} for {seller}: {said}, source {source}"),
        });
    }
    Ok(files)
}

fn word<T>(code: i16, of: impl Fn(u8) -> Option<T>) -> Option<T> {
    u8::try_from(code).ok().and_then(of)
}

async fn trunks(
    connection: &mut PgConnection,
    records: &[Told],
) -> Result<BTreeMap<TrunkId, String>, TrailError> {
    let used: Vec<Uuid> = records
        .iter()
        .filter_map(|told| match &told.record.body {
            Body::Intent(intent) => Some(Uuid::from_u128(intent.trunk.0)),
            _ => None,
        })
        .collect();
    let rows = sqlx::query("SELECT id, name FROM trunk WHERE id = ANY($1)")
        .bind(used)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((TrunkId(id(row, 0)?), row.try_get(1)?))).collect()
}

async fn users(
    connection: &mut PgConnection,
    records: &[Told],
) -> Result<BTreeMap<String, String>, TrailError> {
    let named: Vec<Uuid> = records
        .iter()
        .filter_map(|told| match &told.record.body {
            Body::Correction(corrected) => corrected.actor.parse::<PlacementId>().ok(),
            _ => None,
        })
        .map(|user| Uuid::from_u128(user.0))
        .collect();
    let rows = sqlx::query("SELECT id, name FROM app_user WHERE id = ANY($1)")
        .bind(named)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let user = ContactId(id(row, 0)?).to_string();
            Ok((user.clone(), format!("{} ({user})", row.try_get::<String, _>(1)?)))
        })
        .collect()
}

/// The first checkpoint over all of the records, if they are all in the tree.
async fn covered(
    connection: &mut PgConnection,
    records: &[Told],
) -> Result<Option<Covered>, TrailError> {
    let indexes: Option<Vec<u64>> = records.iter().map(|told| told.index).collect();
    let last = indexes.and_then(|indexes| indexes.into_iter().max());
    let Some(last) = last.and_then(|last| i64::try_from(last).ok()) else { return Ok(None) };
    let row = sqlx::query(
        "SELECT size, root, at FROM audit_checkpoint WHERE size > $1 ORDER BY size LIMIT 1",
    )
    .bind(last)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let root: Vec<u8> = row.try_get(1)?;
    let size: i64 = row.try_get(0)?;
    Ok(Some(Covered {
        size: u64::try_from(size).unwrap_or(0),
        root: root.try_into().map(Hash).map_err(|_| TrailError::Tampered(size))?,
        at: UnixMillis(row.try_get(2)?),
    }))
}
