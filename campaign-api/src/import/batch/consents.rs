//! The consents of a batch: as `POST /v1/consents` records them, many at once.

use std::collections::{BTreeMap, BTreeSet};

use dialer_audit::{
    Record,
    record::{ConsentGiven, Revoked, Token as AuditToken},
};
use dialer_limiter::Token;
use dialer_types::{Purpose, SubjectId};
use schema::{
    heads::{Moved, lock_heads, move_heads},
    rows::{self, AuditEntry, Found},
};
use uuid::Uuid;

use super::{Fresh, Work};
use crate::{events, http::error::Problem, import::contact::RowConsent};

/// What makes two entries the same: person, kind, form, purpose, technology, moment.
type Entry = (i64, &'static str, String, i16, Option<i16>, i64);

/// An entry to be made.
struct New<'b> {
    of: &'b Fresh<'b>,
    consent: &'b RowConsent,
    entry: Entry,
}

impl<'b> New<'b> {
    /// A revocation is an entry of its own, after the grant.
    fn both(of: &'b Fresh<'b>, consent: &'b RowConsent) -> impl Iterator<Item = Self> {
        let at = [("grant", Some(consent.at)), ("revoke", consent.revoked_at)];
        at.into_iter().filter_map(move |(kind, at)| {
            let technology = consent.technology.map(|technology| i16::from(technology.code()));
            let (purpose, person) = (i16::from(consent.purpose.code()), of.person.subject.0);
            let entry = (person, kind, consent.form.to_owned(), purpose, technology, at?.0);
            Some(Self { of, consent, entry })
        })
    }

    fn grants(&self) -> bool {
        self.entry.1 == "grant"
    }

    /// The subjects that were there before: nobody has judged a new one.
    fn held(&self) -> impl Iterator<Item = SubjectId> {
        let numbers = self.of.numbers.iter().filter(|n| !n.new).map(|n| n.subject);
        let person = self.of.person;
        numbers.chain((!person.new).then_some(person.subject))
    }
}

impl Work<'_> {
    /// Locks the heads that consents and do-not-call entries of these rows move, all at once and so in
    /// order: whoever commits or settles meanwhile waits for them in the same order.
    pub(super) async fn lock<'r>(
        &mut self,
        rows: impl Iterator<Item = &'r Fresh<'r>>,
    ) -> Result<(), Problem> {
        let moving: Vec<&Fresh<'_>> =
            rows.filter(|fresh| fresh.row.do_not_call || !fresh.row.consents.is_empty()).collect();
        let theirs = self.numbers_of(moving.iter().map(|fresh| fresh.person.subject)).await?;
        let subjects: Vec<SubjectId> = moving
            .iter()
            .flat_map(|fresh| fresh.numbers.iter().map(|number| number.subject))
            .chain(moving.iter().map(|fresh| fresh.person.subject))
            .chain(theirs.into_values().flatten())
            .collect();
        lock_heads(self.transaction, &subjects).await?;
        Ok(())
    }

    /// Numbers of the persons who are there already: their heads move with what is on file.
    pub(super) async fn numbers_held(&mut self, known: &mut [Fresh<'_>]) -> Result<(), Problem> {
        let theirs = self.numbers_of(known.iter().map(|held| held.person.subject)).await?;
        for held in known {
            let numbers = theirs.get(&held.person.subject).map_or(&[][..], Vec::as_slice);
            held.numbers =
                numbers.iter().map(|number| Found { subject: *number, new: false }).collect();
        }
        Ok(())
    }

    /// The numbers of these persons, over all campaigns: [`events::numbers_of`] for many.
    pub(super) async fn numbers_of(
        &mut self,
        persons: impl Iterator<Item = SubjectId>,
    ) -> Result<BTreeMap<SubjectId, Vec<SubjectId>>, Problem> {
        let persons: Vec<i64> = persons.map(|person| person.0).collect();
        if persons.is_empty() {
            return Ok(BTreeMap::new());
        }
        let held: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT DISTINCT c.person_subject, n.number_subject FROM contact c
             JOIN contact_number n ON n.contact_id = c.id WHERE c.person_subject = ANY($1)
             ORDER BY 1, 2",
        )
        .bind(persons)
        .fetch_all(&mut *self.transaction)
        .await?;
        let mut theirs: BTreeMap<SubjectId, Vec<SubjectId>> = BTreeMap::new();
        for (person, number) in held {
            theirs.entry(SubjectId(person)).or_default().push(SubjectId(number));
        }
        Ok(theirs)
    }

    /// Consents that came with rows: entries, audit records, and the heads of subjects that were
    /// there before (nobody has judged a new one). Of persons who are there already only what is not
    /// on file, told by the lines of their rows; whoever waited for a consent is woken.
    pub(super) async fn consents(
        &mut self,
        fresh: &[Fresh<'_>],
        known: &[Fresh<'_>],
    ) -> Result<(Vec<Moved>, BTreeSet<u64>, bool), Problem> {
        let all = |rows: &'_ [Fresh<'_>]| rows.iter().any(|row| !row.row.consents.is_empty());
        if !all(fresh) && !all(known) {
            return Ok(Default::default());
        }
        let mut on_file = self.on_file(known).await?;
        let (mut new, mut added) = (Vec::new(), BTreeSet::new());
        for of in fresh {
            new.extend(of.row.consents.iter().flat_map(|consent| New::both(of, consent)));
        }
        on_file.extend(new.iter().map(|new: &New<'_>| new.entry.clone()));
        for of in known {
            for one in of.row.consents.iter().flat_map(|consent| New::both(of, consent)) {
                if on_file.insert(one.entry.clone()) {
                    added.insert(of.row.line);
                    new.push(one);
                }
            }
        }
        if new.is_empty() {
            return Ok(Default::default());
        }
        self.insert_consents(&new).await?;
        let event = Token(self.mint.ulid(self.now));
        let moving: Vec<SubjectId> = new.iter().flat_map(New::held).collect();
        let moved =
            move_heads(self.transaction, &moving, |_, head| Some(head.touched(event))).await?;
        let revoked = self.announce_revoked(&new, &moved).await?;
        let stands = |new: &&New<'_>| new.grants() && new.consent.revoked_at.is_none();
        let given = new.iter().filter(|new| stands(new) && !new.of.person.new);
        let given: Vec<SubjectId> = given.map(|new| new.of.person.subject).collect();
        if !given.is_empty() {
            events::wake(self.transaction, &given, "consent", self.now).await?;
        }
        let entries: Vec<AuditEntry> = new.iter().map(|new| self.record(new, event)).collect();
        rows::append_audit(self.transaction, &entries).await?;
        Ok((moved, added, revoked))
    }

    /// Tells the dialers of what was taken back; says whether there was any. What rings ends, as by
    /// `POST /v1/consents`.
    async fn announce_revoked(
        &mut self,
        new: &[New<'_>],
        moved: &[Moved],
    ) -> Result<bool, Problem> {
        let mut theirs: BTreeMap<u8, (Purpose, BTreeSet<SubjectId>)> = BTreeMap::new();
        for new in new.iter().filter(|new| !new.grants()) {
            let purpose = new.consent.purpose;
            let found = theirs.entry(purpose.code()).or_insert((purpose, BTreeSet::new()));
            found.1.extend(new.held());
        }
        let seller = i32::try_from(self.target.seller_no.0).unwrap_or(0);
        let mut told = false;
        for (purpose, subjects) in theirs.into_values() {
            let of = |moved: &&Moved| subjects.contains(&moved.subject);
            let moved: Vec<Moved> = moved.iter().filter(of).cloned().collect();
            let purpose = Some(purpose);
            events::announce_opt_out(self.transaction, &moved, seller, purpose, self.now).await?;
            told |= !moved.is_empty();
        }
        Ok(told)
    }

    /// What is on file of persons who are there already, for all their numbers.
    async fn on_file(&mut self, known: &[Fresh<'_>]) -> Result<BTreeSet<Entry>, Problem> {
        let persons: Vec<i64> = known
            .iter()
            .filter(|held| !held.row.consents.is_empty())
            .map(|held| held.person.subject.0)
            .collect();
        if persons.is_empty() {
            return Ok(BTreeSet::new());
        }
        let held: Vec<(i64, bool, String, i16, Option<i16>, i64)> = sqlx::query_as(
            "SELECT person_subject, kind = 'grant', form, purpose, technology, at
             FROM consent_event
             WHERE person_subject = ANY($1) AND seller_id = $2 AND number_subject IS NULL",
        )
        .bind(persons)
        .bind(Uuid::from_u128(self.target.seller.0))
        .fetch_all(&mut *self.transaction)
        .await?;
        let kind = |grant| if grant { "grant" } else { "revoke" };
        let entries = held.into_iter().map(|(person, grant, form, purpose, technology, at)| {
            (person, kind(grant), form, purpose, technology, at)
        });
        Ok(entries.collect())
    }

    async fn insert_consents(&mut self, new: &[New<'_>]) -> Result<(), Problem> {
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
        .bind(new.iter().map(|new| new.entry.0).collect::<Vec<_>>())
        .bind(new.iter().map(|new| new.entry.1).collect::<Vec<_>>())
        .bind(new.iter().map(|new| new.entry.2.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|new| new.entry.3).collect::<Vec<_>>())
        .bind(new.iter().map(|new| new.entry.4).collect::<Vec<_>>())
        .bind(new.iter().map(|new| new.entry.5).collect::<Vec<_>>())
        .bind(new.iter().map(|new| self.source(new.consent)).collect::<Vec<_>>())
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Where the evidence is: what the row says, otherwise the list.
    fn source(&self, consent: &RowConsent) -> String {
        consent.source.clone().unwrap_or_else(|| format!("list {}", self.target.name))
    }

    fn record(&self, new: &New<'_>, event: Token) -> AuditEntry {
        let (event, seller, consent) = (AuditToken(event.0), Some(self.target.seller), new.consent);
        let mut subjects: Vec<SubjectId> = new.of.numbers.iter().map(|n| n.subject).collect();
        subjects.push(new.of.person.subject);
        let body = match consent.revoked_at.filter(|_| !new.grants()) {
            Some(revoked_at) => {
                let (source, purpose) = (self.source(consent), Some(consent.purpose));
                Revoked { event, subjects, seller, purpose, source, revoked_at }.into()
            }
            None => ConsentGiven {
                event,
                subjects,
                seller,
                form: consent.form.to_owned(),
                purpose: consent.purpose,
                technology: consent.technology,
                given_at: consent.at,
                evidence: self.source(consent),
                wording: None,
                channel: None,
                lifts: None,
            }
            .into(),
        };
        AuditEntry {
            campaign: Some(self.target.campaign),
            ..AuditEntry::of(Record::new(None, body, self.now))
        }
    }
}
