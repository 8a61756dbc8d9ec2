//! A batch of rows of a contact list, in one transaction.

mod consents;
mod do_not_call;

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use dialer_types::{CampaignId, ListId, Mint, Say, SellerId, SellerNo, SubjectId, UnixMillis, say};
use schema::{
    heads::Moved,
    numbers::NumberKeys,
    rows::{self, Found, FoundPerson},
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::contact::{Read, Row};
use crate::http::error::{Fault, Problem};

/// Rows of one transaction.
pub(crate) const ROWS: usize = 1000;

/// What an import is about.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) campaign: CampaignId,
    pub(crate) seller: SellerId,
    /// Its small number, which stands in marks.
    pub(crate) seller_no: SellerNo,
    pub(crate) list: ListId,
    pub(crate) name: &'a str,
    pub(crate) keys: &'a NumberKeys,
}

/// Why a note stands in the report of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The row was rejected.
    Fault,
    /// It was rejected because of what passes for a payment card number.
    Card,
    /// The row was imported, and this was changed.
    Repair,
    /// The row's person is in the campaign.
    Duplicate,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Card => "card",
            Self::Repair => "repair",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Rows that are not in Postgres yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// With what was changed to read them.
    good: Vec<(Row, Vec<Fault>)>,
    bad: Vec<(Kind, Fault)>,
    rejected: i64,
    quarantined: i64,
    blank: i64,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) imported: i64,
    pub(crate) duplicates: i64,
    pub(crate) rejected: i64,
    pub(crate) repaired: i64,
    pub(crate) quarantined: i64,
    pub(crate) blank: i64,
    pub(crate) moved: Vec<Moved>,
    /// Somebody is not to be called any more: the dialers are being told.
    pub(crate) opted_out: bool,
    /// Repairs and duplicates that were told.
    pub(crate) told: usize,
}

impl Batch {
    /// Whether it is time to store it.
    pub(crate) const fn is_full(&self) -> bool {
        self.good.len() + self.bad.len() >= ROWS
    }

    /// Takes a row, good or bad.
    pub(crate) fn push(&mut self, read: Read) {
        match read {
            Read::Blank => self.blank += 1,
            Read::Good(row, repairs) => self.good.push((*row, repairs)),
            Read::Bad(faults) => {
                self.rejected += 1;
                self.bad.extend(faults.into_iter().map(|fault| (Kind::Fault, fault)));
            }
            Read::Card(faults) => {
                self.rejected += 1;
                self.quarantined += 1;
                self.bad.extend(faults.into_iter().map(|fault| (Kind::Card, fault)));
            }
        }
    }

    /// Stores it; counters and rows are in one transaction, so that they agree whatever happens.
    /// At most `room` repairs and duplicates are told.
    pub(crate) async fn store(
        &self,
        connection: &mut PgConnection,
        target: &Target<'_>,
        mint: &mut Mint,
        room: usize,
        now: UnixMillis,
    ) -> Result<Stored, Problem> {
        let mut transaction = connection.begin().await?;
        // A plan made while the tables were empty reads them whole for every batch.
        sqlx::query("SET LOCAL plan_cache_mode = force_custom_plan")
            .execute(&mut *transaction)
            .await?;
        // Shared: a start of the campaign waits, and then sees these contacts.
        let status: String =
            sqlx::query_scalar("SELECT status FROM campaign WHERE id = $1 FOR SHARE")
                .bind(Uuid::from_u128(target.campaign.0))
                .fetch_one(&mut *transaction)
                .await?;
        let mut work = Work { transaction: &mut transaction, target, mint, now };
        let Parted { mut fresh, mut known, mut twice } =
            work.contacts(&self.good, status == "running").await?;
        work.numbers(&mut fresh).await?;
        work.own(&fresh).await?;
        // A row of somebody who is there already adds nothing but evidence: a consent that is not on
        // file, what is taken back, and that nobody is to call.
        work.numbers_held(&mut known).await?;
        work.lock(fresh.iter().chain(&known)).await?;
        let (mut moved, added, revoked) = work.consents(&fresh, &known).await?;
        let marked = work.do_not_call(fresh.iter().chain(&known)).await?;
        let opted_out = revoked || !marked.is_empty();
        moved.extend(marked);
        tell_added(&mut twice, &added, &known);
        if status == "running" {
            work.due(&fresh).await?;
        }
        let mended = fresh.iter().filter(|fresh| !fresh.repairs.is_empty());
        let repaired = mended.clone().count();
        twice.truncate(room);
        let mut notes: Vec<(Kind, &Fault)> = self.bad.iter().map(|(kind, f)| (*kind, f)).collect();
        notes.extend(twice.iter().map(|fault| (Kind::Duplicate, fault)));
        let repairs = mended.flat_map(|fresh| fresh.repairs).map(|fault| (Kind::Repair, fault));
        notes.extend(repairs.take(room.saturating_sub(twice.len())));
        let stored = Stored {
            imported: count(fresh.len()),
            duplicates: count(self.good.len().saturating_sub(fresh.len())),
            rejected: self.rejected,
            repaired: count(repaired),
            quarantined: self.quarantined,
            blank: self.blank,
            moved,
            opted_out,
            told: notes.len().saturating_sub(self.bad.len()),
        };
        work.notes(&notes).await?;
        work.count(&stored).await?;
        transaction.commit().await?;
        Ok(stored)
    }
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A row that became a contact.
#[derive(Debug)]
struct Fresh<'r> {
    row: &'r Row,
    repairs: &'r [Fault],
    contact: Uuid,
    person: FoundPerson,
    numbers: Vec<Found>,
}

/// The rows of a batch.
struct Parted<'r> {
    /// Those that became contacts.
    fresh: Vec<Fresh<'r>>,
    /// Those of somebody who is there already, and bring evidence: see [`evidence`].
    known: Vec<Fresh<'r>>,
    /// All of somebody who is there already, as they are told.
    twice: Vec<Fault>,
}

/// A row with what was changed to read it, and whose it is.
type Whose<'r> = (&'r Row, &'r [Fault], FoundPerson);

struct Work<'w> {
    transaction: &'w mut PgConnection,
    target: &'w Target<'w>,
    mint: &'w mut Mint,
    now: UnixMillis,
}

impl Work<'_> {
    /// Persons, accounts and contacts of the rows whose person is not in the campaign yet; and, of
    /// the others, those that bring evidence.
    async fn contacts<'r>(
        &mut self,
        good: &'r [(Row, Vec<Fault>)],
        running: bool,
    ) -> Result<Parted<'r>, Problem> {
        let names: Vec<&str> = good.iter().map(|(row, _)| row.external_id.as_str()).collect();
        let persons =
            rows::persons(self.transaction, self.target.seller, &names, self.mint, self.now)
                .await?;
        // The first row of a person counts; in subject order, so that two imports do not deadlock.
        let mut first: BTreeMap<SubjectId, Whose<'r>> = BTreeMap::new();
        let mut known = Vec::new();
        let mut twice = Vec::new();
        for ((row, repairs), person) in good.iter().zip(persons) {
            match first.entry(person.subject) {
                Entry::Vacant(free) => {
                    free.insert((row, repairs, person));
                }
                Entry::Occupied(held) => {
                    let (held, ..) = held.get();
                    twice.push(said_before(row, held));
                    known.extend(evidence(row, person));
                }
            }
        }
        for (held, hashes) in self.held(first.keys()).await? {
            if let Some((row, _, person)) = first.remove(&held) {
                twice.push(self.there_before(row, &hashes));
                known.extend(evidence(row, person));
            }
        }
        let mut fresh: Vec<Fresh<'r>> = first
            .into_values()
            .map(|(row, repairs, person)| Fresh {
                row,
                repairs,
                contact: Uuid::from_u128(self.mint.ulid(self.now)),
                person,
                numbers: Vec::new(),
            })
            .collect();
        let accounts = self.accounts(&fresh).await?;
        let made = self.insert_contacts(&fresh, &accounts, running).await?;
        // Another import of the same persons came first: those are duplicates.
        fresh.retain(|fresh| {
            let made = made.contains(&fresh.contact);
            if !made {
                twice.push(duplicate(fresh.row, "its person is in the campaign already".into()));
                known.extend(evidence(fresh.row, fresh.person));
            }
            made
        });
        Ok(Parted { fresh, known, twice })
    }

    /// Which of these persons are in the campaign, with the hashes of their numbers.
    async fn held(
        &mut self,
        persons: impl Iterator<Item = &SubjectId>,
    ) -> Result<Vec<(SubjectId, Vec<Vec<u8>>)>, Problem> {
        let held: Vec<(i64, Vec<Vec<u8>>)> = sqlx::query_as(
            // An inner query, so that the numbers of the held alone are looked up.
            "SELECT c.person_subject, array(SELECT n.keyed_hash FROM contact_number cn
                    JOIN number n ON n.subject_id = cn.number_subject WHERE cn.contact_id = c.id)
             FROM contact c WHERE c.campaign_id = $1 AND c.person_subject = ANY($2)",
        )
        .bind(Uuid::from_u128(self.target.campaign.0))
        .bind(persons.map(|subject| subject.0).collect::<Vec<_>>())
        .fetch_all(&mut *self.transaction)
        .await?;
        Ok(held.into_iter().map(|(person, hashes)| (SubjectId(person), hashes)).collect())
    }

    fn there_before(&self, row: &Row, hashes: &[Vec<u8>]) -> Fault {
        let keys = self.target.keys;
        let held = |number| hashes.iter().any(|hash| *hash == keys.lookup_hash(number));
        let same = row.numbers.iter().all(|(number, _)| held(number));
        duplicate(
            row,
            if same {
                "its person is in the campaign already".into()
            } else {
                "its person is in the campaign already, with other numbers: those of this row are not added".into()
            },
        )
    }

    async fn accounts(&mut self, fresh: &[Fresh<'_>]) -> Result<Vec<Option<i64>>, Problem> {
        let names: Vec<&str> = fresh.iter().filter_map(|f| f.row.account.as_deref()).collect();
        let found =
            rows::accounts(self.transaction, self.target.seller, &names, self.mint, self.now)
                .await?;
        let mut found = found.iter().map(|found| found.subject.0);
        Ok(fresh.iter().map(|f| f.row.account.as_ref().and_then(|_| found.next())).collect())
    }

    async fn insert_contacts(
        &mut self,
        fresh: &[Fresh<'_>],
        accounts: &[Option<i64>],
        running: bool,
    ) -> Result<BTreeSet<Uuid>, Problem> {
        fn each<'f, T>(fresh: &'f [Fresh<'_>], value: impl Fn(&'f Row) -> T) -> Vec<T> {
            fresh.iter().map(|fresh| value(fresh.row)).collect()
        }
        let made: Vec<Uuid> = sqlx::query_scalar(
            "INSERT INTO contact (id, campaign_id, list_id, state, person_subject, account_subject,
                party_type, party_role, country, region, postal_code, time_zone, relationship_kind,
                relationship_since, address_verified)
             SELECT n.id, $1, $2, $3, n.person, n.account, n.party_type, n.party_role, n.country,
                n.region, n.postal_code, n.time_zone, n.kind, n.since::date, n.verified
             FROM unnest($4::uuid[], $5::bigint[], $6::bigint[], $7::smallint[], $8::smallint[],
                $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
                $15::boolean[])
                AS n(id, person, account, party_type, party_role, country, region, postal_code,
                     time_zone, kind, since, verified)
             ON CONFLICT (campaign_id, person_subject) DO NOTHING RETURNING id",
        )
        .bind(Uuid::from_u128(self.target.campaign.0))
        .bind(Uuid::from_u128(self.target.list.0))
        .bind(if running { 2_i16 } else { 1 })
        .bind(fresh.iter().map(|f| f.contact).collect::<Vec<_>>())
        .bind(fresh.iter().map(|f| f.person.subject.0).collect::<Vec<_>>())
        .bind(accounts)
        .bind(each(fresh, |row| i16::from(row.party_type.code())))
        .bind(each(fresh, |row| i16::from(row.party_role.code())))
        .bind(each(fresh, |row| row.country.as_deref()))
        .bind(each(fresh, |row| row.region.as_deref()))
        .bind(each(fresh, |row| row.postal_code.as_deref()))
        .bind(each(fresh, |row| row.time_zone.as_deref()))
        .bind(each(fresh, |row| row.relationship.map(|(kind, _)| kind)))
        .bind(each(fresh, |row| row.relationship.map(|(_, since)| since.to_string())))
        .bind(each(fresh, |row| row.address_verified))
        .fetch_all(&mut *self.transaction)
        .await?;
        Ok(made.into_iter().collect())
    }

    /// What no rule needs, encrypted.
    async fn own(&mut self, fresh: &[Fresh<'_>]) -> Result<(), Problem> {
        let (mut contacts, mut sealed) = (Vec::new(), Vec::new());
        for fresh in fresh.iter().filter(|fresh| !fresh.row.own.is_empty()) {
            let text = serde_json::to_vec(&fresh.row.own).map_err(Problem::internal)?;
            let nonce = rows::nonce(self.mint);
            contacts.push(fresh.contact);
            sealed.push(self.target.keys.encrypt_secret(&text, nonce).map_err(Problem::internal)?);
        }
        if contacts.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO contact_field (contact_id, cipher)
             SELECT * FROM unnest($1::uuid[], $2::bytea[])",
        )
        .bind(contacts)
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    async fn numbers(&mut self, fresh: &mut [Fresh<'_>]) -> Result<(), Problem> {
        let wanted: Vec<_> = fresh.iter().flat_map(|f| f.row.numbers.iter().copied()).collect();
        let found =
            rows::numbers(self.transaction, self.target.keys, &wanted, self.mint, self.now).await?;
        let mut found = found.into_iter();
        let (mut contacts, mut positions, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
        for fresh in fresh {
            fresh.numbers = found.by_ref().take(fresh.row.numbers.len()).collect();
            for (position, number) in (0_i16..).zip(&fresh.numbers) {
                contacts.push(fresh.contact);
                positions.push(position);
                subjects.push(number.subject.0);
            }
        }
        sqlx::query(
            "INSERT INTO contact_number (contact_id, position, number_subject)
             SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[])",
        )
        .bind(contacts)
        .bind(positions)
        .bind(subjects)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    async fn due(&mut self, fresh: &[Fresh<'_>]) -> Result<(), Problem> {
        sqlx::query(
            "INSERT INTO due (contact_id, campaign_id, due_at)
             SELECT id, $1, $2 FROM unnest($3::uuid[]) AS id",
        )
        .bind(Uuid::from_u128(self.target.campaign.0))
        .bind(self.now.0)
        .bind(fresh.iter().map(|fresh| fresh.contact).collect::<Vec<_>>())
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    async fn notes(&mut self, notes: &[(Kind, &Fault)]) -> Result<(), Problem> {
        if notes.is_empty() {
            return Ok(());
        }
        let line = |fault: &Fault| i64::try_from(fault.line.unwrap_or(0)).unwrap_or(i64::MAX);
        let said = notes.iter().map(|(_, fault)| serde_json::to_string(&fault.reason).ok());
        sqlx::query(
            "INSERT INTO list_fault (list_id, line, field, reason, kind, said)
             SELECT $1, n.* FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
                AS n(line, field, reason, kind, said)",
        )
        .bind(Uuid::from_u128(self.target.list.0))
        .bind(notes.iter().map(|(_, fault)| line(fault)).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, fault)| fault.field.as_str()).collect::<Vec<_>>())
        .bind(notes.iter().map(|(_, fault)| fault.reason.to_string()).collect::<Vec<_>>())
        .bind(notes.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>())
        .bind(said.collect::<Vec<_>>())
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    async fn count(&mut self, stored: &Stored) -> Result<(), Problem> {
        sqlx::query(
            "UPDATE contact_list SET rows = rows + $2 + $3 + $4, imported = imported + $2,
                rejected = rejected + $3, duplicates = duplicates + $4, repaired = repaired + $5,
                quarantined = quarantined + $6, blank = blank + $7, touched_at = $8 WHERE id = $1",
        )
        .bind(Uuid::from_u128(self.target.list.0))
        .bind(stored.imported)
        .bind(stored.rejected)
        .bind(stored.duplicates)
        .bind(stored.repaired)
        .bind(stored.quarantined)
        .bind(stored.blank)
        .bind(self.now.0)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}

/// A row of somebody who is there already counts for the evidence that it brings.
fn evidence(row: &Row, person: FoundPerson) -> Option<Fresh<'_>> {
    let brings = row.do_not_call || !row.consents.is_empty();
    brings.then(|| Fresh { row, repairs: &[], contact: Uuid::nil(), person, numbers: Vec::new() })
}

/// Says of duplicates what was taken from them all the same.
fn tell_added(twice: &mut [Fault], added: &BTreeSet<u64>, known: &[Fresh<'_>]) {
    let marked: BTreeSet<u64> =
        known.iter().filter(|held| held.row.do_not_call).map(|held| held.row.line).collect();
    for fault in twice {
        let Some(line) = fault.line else { continue };
        if added.contains(&line) {
            let reason = fault.reason.clone();
            fault.reason = Say::of("{reason}; its consent was added").with("reason", reason);
        }
        if marked.contains(&line) {
            let reason = fault.reason.clone();
            fault.reason =
                Say::of("{reason}; that nobody is to call was recorded").with("reason", reason);
        }
    }
}

/// A second row of a person in the same batch.
fn said_before(row: &Row, held: &Row) -> Fault {
    let line = held.line;
    let mut numbers = row.numbers.iter().map(|(number, _)| number);
    let same = numbers.all(|number| held.numbers.iter().any(|(held, _)| held == number));
    duplicate(
        row,
        if same {
            say!("its person is in line {line} already", line)
        } else {
            say!(
                "its person is in line {line} already, with other numbers: those of this row are not added",
                line
            )
        },
    )
}

fn duplicate(row: &Row, reason: Say) -> Fault {
    Fault { line: Some(row.line), field: "external_id".to_owned(), reason }
}
