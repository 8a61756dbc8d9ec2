//! A batch of rows of a contact list, in one transaction.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use dialer_audit::{
    Record,
    record::{ConsentGiven, Revoked, Token as AuditToken},
};
use dialer_limiter::Token;
use dialer_types::{CampaignId, ListId, Mint, SellerId, SubjectId, UnixMillis};
use schema::{
    heads::{Moved, move_heads},
    numbers::NumberKeys,
    rows::{self, AuditEntry, Found, FoundPerson},
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::row::{Row, RowConsent};
use crate::http::error::{Fault, Problem};

/// Rows of one transaction.
pub(crate) const ROWS: usize = 1000;

/// What an import is about.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) campaign: CampaignId,
    pub(crate) seller: SellerId,
    pub(crate) list: ListId,
    pub(crate) name: &'a str,
    pub(crate) keys: &'a NumberKeys,
}

/// Rows that are not in Postgres yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) good: Vec<Row>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) rejected: i64,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) imported: i64,
    pub(crate) duplicates: i64,
    pub(crate) rejected: i64,
    pub(crate) moved: Vec<Moved>,
}

impl Batch {
    /// Whether it is time to store it.
    pub(crate) const fn is_full(&self) -> bool {
        self.good.len() + self.faults.len() >= ROWS
    }

    /// Takes a row, good or bad.
    pub(crate) fn push(&mut self, row: Result<Row, Vec<Fault>>) {
        match row {
            Ok(row) => self.good.push(row),
            Err(faults) => {
                self.rejected += 1;
                self.faults.extend(faults);
            }
        }
    }

    /// Stores it; counters and rows are in one transaction, so that they agree whatever happens.
    pub(crate) async fn store(
        &self,
        connection: &mut PgConnection,
        target: &Target<'_>,
        mint: &mut Mint,
        now: UnixMillis,
    ) -> Result<Stored, Problem> {
        let mut transaction = connection.begin().await?;
        // Shared: a start of the campaign waits, and then sees these contacts.
        let status: String =
            sqlx::query_scalar("SELECT status FROM campaign WHERE id = $1 FOR SHARE")
                .bind(Uuid::from_u128(target.campaign.0))
                .fetch_one(&mut *transaction)
                .await?;
        let mut work = Work { transaction: &mut transaction, target, mint, now };
        let (mut fresh, known) = work.contacts(&self.good, status == "running").await?;
        work.numbers(&mut fresh).await?;
        // A row of somebody who is there already adds nothing but what it takes back.
        let consents: Vec<&Fresh<'_>> = fresh.iter().chain(&known).collect();
        let moved = work.consents(&consents).await?;
        if status == "running" {
            work.due(&fresh).await?;
        }
        let imported = i64::try_from(fresh.len()).unwrap_or(i64::MAX);
        let good = i64::try_from(self.good.len()).unwrap_or(i64::MAX);
        let stored = Stored {
            imported,
            duplicates: good.saturating_sub(imported),
            rejected: self.rejected,
            moved,
        };
        work.faults(&self.faults).await?;
        work.count(&stored).await?;
        transaction.commit().await?;
        Ok(stored)
    }
}

/// A row that became a contact.
#[derive(Debug)]
struct Fresh<'r> {
    row: &'r Row,
    contact: Uuid,
    person: FoundPerson,
    numbers: Vec<Found>,
}

struct Work<'w> {
    transaction: &'w mut PgConnection,
    target: &'w Target<'w>,
    mint: &'w mut Mint,
    now: UnixMillis,
}

impl Work<'_> {
    /// Persons, accounts and contacts of the rows whose person is not in the campaign yet; and, of
    /// the others, those that take a consent back.
    async fn contacts<'r>(
        &mut self,
        good: &'r [Row],
        running: bool,
    ) -> Result<(Vec<Fresh<'r>>, Vec<Fresh<'r>>), Problem> {
        let names: Vec<&str> = good.iter().map(|row| row.external_id.as_str()).collect();
        let persons =
            rows::persons(self.transaction, self.target.seller, &names, self.mint, self.now)
                .await?;
        // The first row of a person counts; in subject order, so that two imports do not deadlock.
        let mut first: BTreeMap<SubjectId, (&Row, FoundPerson)> = BTreeMap::new();
        let mut known = Vec::new();
        let taking_back = |row: &'r Row, person: FoundPerson| {
            let revokes = row.consent.as_ref().is_some_and(|given| given.revoked_at.is_some());
            revokes.then(|| Fresh { row, contact: Uuid::nil(), person, numbers: Vec::new() })
        };
        for (row, person) in good.iter().zip(persons) {
            match first.entry(person.subject) {
                Entry::Vacant(free) => {
                    free.insert((row, person));
                }
                Entry::Occupied(_) => known.extend(taking_back(row, person)),
            }
        }
        let ids: Vec<i64> = first.keys().map(|subject| subject.0).collect();
        let held: Vec<i64> = sqlx::query_scalar(
            "SELECT person_subject FROM contact WHERE campaign_id = $1 AND person_subject = ANY($2)",
        )
        .bind(Uuid::from_u128(self.target.campaign.0))
        .bind(ids)
        .fetch_all(&mut *self.transaction)
        .await?;
        for held in held {
            if let Some((row, person)) = first.remove(&SubjectId(held)) {
                known.extend(taking_back(row, person));
            }
        }
        let mut fresh: Vec<Fresh<'r>> = first
            .into_values()
            .map(|(row, person)| Fresh {
                row,
                contact: Uuid::from_u128(self.mint.ulid(self.now)),
                person,
                numbers: Vec::new(),
            })
            .collect();
        let accounts = self.accounts(&fresh).await?;
        let made = self.insert_contacts(&fresh, &accounts, running).await?;
        // Another import of the same persons came first: those are duplicates.
        fresh.retain(|fresh| made.contains(&fresh.contact));
        Ok((fresh, known))
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
                relationship_since)
             SELECT n.id, $1, $2, $3, n.person, n.account, n.party_type, n.party_role, n.country,
                n.region, n.postal_code, n.time_zone, n.kind, n.since::date
             FROM unnest($4::uuid[], $5::bigint[], $6::bigint[], $7::smallint[], $8::smallint[],
                $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
                AS n(id, person, account, party_type, party_role, country, region, postal_code,
                     time_zone, kind, since)
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
        .fetch_all(&mut *self.transaction)
        .await?;
        Ok(made.into_iter().collect())
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

    /// Consents that came with rows: events, audit entries, and the heads of subjects that were
    /// there before (nobody has judged a new one).
    async fn consents(&mut self, fresh: &[&Fresh<'_>]) -> Result<Vec<Moved>, Problem> {
        let given: Vec<(&Fresh<'_>, &RowConsent)> =
            fresh.iter().filter_map(|f| Some((*f, f.row.consent.as_ref()?))).collect();
        if given.is_empty() {
            return Ok(Vec::new());
        }
        self.insert_consents(&given).await?;
        let event = Token(self.mint.ulid(self.now));
        let known: Vec<SubjectId> = given
            .iter()
            .flat_map(|(fresh, _)| {
                let numbers = fresh.numbers.iter().filter(|n| !n.new).map(|n| n.subject);
                numbers.chain((!fresh.person.new).then_some(fresh.person.subject))
            })
            .collect();
        let moved =
            move_heads(self.transaction, &known, |_, head| Some(head.touched(event))).await?;
        let entries: Vec<AuditEntry> =
            given.iter().flat_map(|(fresh, consent)| self.records(fresh, consent, event)).collect();
        rows::append_audit(self.transaction, &entries).await?;
        Ok(moved)
    }

    async fn insert_consents(
        &mut self,
        given: &[(&Fresh<'_>, &RowConsent)],
    ) -> Result<(), Problem> {
        // A revocation is an event of its own, after the grant.
        let mut events: Vec<(i64, &str, &RowConsent, i64)> = Vec::new();
        for (fresh, consent) in given {
            events.push((fresh.person.subject.0, "grant", consent, consent.at.0));
            if let Some(at) = consent.revoked_at {
                events.push((fresh.person.subject.0, "revoke", consent, at.0));
            }
        }
        let sources: Vec<String> = events.iter().map(|event| self.source(event.2)).collect();
        let technology = |consent: &RowConsent| consent.technology.map(|t| i16::from(t.code()));
        sqlx::query(
            "INSERT INTO consent_event (seller_id, recorded_at, person_subject, kind, form, purpose,
                                        technology, at, source)
             SELECT $1, $2, n.person, n.kind, n.form, n.purpose, n.technology, n.at, n.source
             FROM unnest($3::bigint[], $4::text[], $5::text[], $6::smallint[], $7::smallint[],
                         $8::bigint[], $9::text[]) WITH ORDINALITY
                  AS n(person, kind, form, purpose, technology, at, source, place)
             ORDER BY n.place",
        )
        .bind(Uuid::from_u128(self.target.seller.0))
        .bind(self.now.0)
        .bind(events.iter().map(|event| event.0).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.1).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.2.form).collect::<Vec<_>>())
        .bind(events.iter().map(|event| i16::from(event.2.purpose.code())).collect::<Vec<_>>())
        .bind(events.iter().map(|event| technology(event.2)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.3).collect::<Vec<_>>())
        .bind(sources)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Where the evidence is: what the row says, otherwise the list.
    fn source(&self, consent: &RowConsent) -> String {
        consent.source.clone().unwrap_or_else(|| format!("list {}", self.target.name))
    }

    fn records(&self, fresh: &Fresh<'_>, consent: &RowConsent, event: Token) -> Vec<AuditEntry> {
        let event = AuditToken(event.0);
        let seller = Some(self.target.seller);
        let mut subjects: Vec<SubjectId> = fresh.numbers.iter().map(|n| n.subject).collect();
        subjects.push(fresh.person.subject);
        let revoked = consent.revoked_at.map(|revoked_at| {
            let source = self.source(consent);
            let purpose = Some(consent.purpose);
            Revoked { event, subjects: subjects.clone(), seller, purpose, source, revoked_at }
                .into()
        });
        let given = ConsentGiven {
            event,
            subjects,
            seller,
            form: consent.form.to_owned(),
            purpose: consent.purpose,
            technology: consent.technology,
            given_at: consent.at,
            evidence: self.source(consent),
        };
        std::iter::once(given.into())
            .chain(revoked)
            .map(|body| AuditEntry {
                campaign: Some(self.target.campaign),
                ..AuditEntry::of(Record::new(None, body, self.now))
            })
            .collect()
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

    async fn faults(&mut self, faults: &[Fault]) -> Result<(), Problem> {
        let line = |fault: &Fault| i64::try_from(fault.line.unwrap_or(0)).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO list_fault (list_id, line, field, reason)
             SELECT $1, n.line, n.field, n.reason
             FROM unnest($2::bigint[], $3::text[], $4::text[]) AS n(line, field, reason)",
        )
        .bind(Uuid::from_u128(self.target.list.0))
        .bind(faults.iter().map(line).collect::<Vec<_>>())
        .bind(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>())
        .bind(faults.iter().map(|fault| fault.reason.to_string()).collect::<Vec<_>>())
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    async fn count(&mut self, stored: &Stored) -> Result<(), Problem> {
        sqlx::query(
            "UPDATE contact_list SET rows = rows + $2 + $3 + $4, imported = imported + $2,
                rejected = rejected + $3, duplicates = duplicates + $4 WHERE id = $1",
        )
        .bind(Uuid::from_u128(self.target.list.0))
        .bind(stored.imported)
        .bind(stored.rejected)
        .bind(stored.duplicates)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}
