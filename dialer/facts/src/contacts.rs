//! What Postgres and the national lists say about contacts, read in batches after their heads.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use dialer_judge::{Checks, ContactFacts, Entry, NumberFacts, Supplied};
use dialer_policy::{
    Address, AddressBasis, Consent, ConsentForm, Evidenced, Lift, Piece, Relationship,
    RelationshipKind,
};
use dialer_types::{
    ContactId, E164, EventId, LineType, PartyRole, PartyType, Purpose, SubjectId, Technology,
    UnixMillis,
};
use schema::numbers::NumberKeys;
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    FactsError, code,
    entries::{self, Standing},
    lists::{self, Lists},
    supplied::Supply,
};

/// One row of `consent_event`.
#[derive(Debug, Clone)]
struct Event {
    same_seller: bool,
    number: Option<SubjectId>,
    grant: bool,
    form: ConsentForm,
    purpose: Purpose,
    technology: Option<Technology>,
    at: UnixMillis,
    id: EventId,
    evidence: Evidenced,
    lifts: Vec<EventId>,
}

/// What is known of a contact before its numbers.
struct Bare {
    seller: Uuid,
    campaign: Uuid,
    person: i64,
    facts: ContactFacts,
}

/// The facts of these contacts. A contact with anything that cannot be read is left out, and
/// left out means no call.
///
/// # Errors
/// If Postgres is not there.
pub async fn contacts(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    lists: &Lists,
    contacts: &BTreeSet<ContactId>,
) -> Result<BTreeMap<ContactId, ContactFacts>, FactsError> {
    let ids: Vec<Uuid> = contacts.iter().map(|contact| Uuid::from_u128(contact.0)).collect();
    let rows = sqlx::query(
        "SELECT c.id, a.seller_id, c.person_subject, c.party_type, c.party_role, c.country,
                c.region, c.postal_code, c.time_zone, c.relationship_kind,
                c.relationship_since - DATE '1970-01-01', c.address_verified,
                s.narrows_by_verified_address, a.id
         FROM contact c JOIN campaign a ON a.id = c.campaign_id JOIN seller s ON s.id = a.seller_id
         WHERE c.id = ANY($1)",
    )
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    let mut found = BTreeMap::new();
    for row in &rows {
        let id: Uuid = row.try_get(0)?;
        keep(&mut found, ContactId(id.as_u128()), bare(row));
    }
    let people: Vec<i64> = found.values().map(|bare| bare.person).collect();
    let numbers = sqlx::query(
        "SELECT cn.contact_id, cn.number_subject, n.cipher, n.line_type
         FROM contact_number cn JOIN number n ON n.subject_id = cn.number_subject
         WHERE cn.contact_id = ANY($1) ORDER BY cn.contact_id, cn.position",
    )
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    let events = sqlx::query(
        "SELECT person_subject, seller_id, number_subject, kind, form, purpose, technology, at,
                event, source <> '', wording IS NOT NULL, channel IS NOT NULL, lifts
         FROM consent_event WHERE person_subject = ANY($1) ORDER BY at, id",
    )
    .bind(&people)
    .fetch_all(&mut *connection)
    .await?;
    let mut by_person: BTreeMap<i64, Vec<&PgRow>> = BTreeMap::new();
    for row in &events {
        by_person.entry(row.try_get(0)?).or_default().push(row);
    }
    let subjects = numbers.iter().map(|row| row.try_get(1)).collect::<Result<Vec<i64>, _>>()?;
    let campaigns = found.values().map(|bare| bare.campaign).collect();
    let supply = Supply::read(connection, &people, &subjects, &campaigns).await?;
    let subjects: Vec<SubjectId> =
        subjects.into_iter().chain(people.iter().copied()).map(SubjectId).collect();
    let entries = entries::entries(connection, &subjects).await?;
    for bare in found.values_mut() {
        bare.facts.entries.extend(on(&entries, SubjectId(bare.person)));
    }
    for row in &numbers {
        let id: Uuid = row.try_get(0)?;
        let contact = ContactId(id.as_u128());
        let Some(mut bare) = found.remove(&contact) else { continue };
        let rows = by_person.get(&bare.person).map(Vec::as_slice).unwrap_or_default();
        let whole = number(keys, lists, row, rows, bare.seller).and_then(|mut number| {
            number.checks = supply.checks(number.subject.0, bare.seller)?;
            bare.facts.supplied = supply.of(bare.person, bare.campaign)?;
            bare.facts.emergency.clone_from(&lists.emergency);
            bare.facts.entries.extend(on(&entries, number.subject));
            bare.facts.numbers.push(number);
            Ok(bare)
        });
        keep(&mut found, contact, whole);
    }
    Ok(found.into_iter().map(|(contact, bare)| (contact, bare.facts)).collect())
}

fn on(
    entries: &BTreeMap<SubjectId, Vec<Standing>>,
    subject: SubjectId,
) -> impl Iterator<Item = Entry> {
    entries.get(&subject).into_iter().flatten().map(|standing| standing.entry)
}

fn number(
    keys: &NumberKeys,
    lists: &Lists,
    row: &PgRow,
    events: &[&PgRow],
    seller: Uuid,
) -> Result<NumberFacts, FactsError> {
    let subject = SubjectId(row.try_get(1)?);
    let cipher: &[u8] = row.try_get(2)?;
    let number: E164 =
        keys.decrypt(cipher).map_err(|error| FactsError::row("number", error.to_string()))?;
    let events = events.iter().map(|row| event(row, seller)).collect::<Result<Vec<_>, _>>()?;
    let (consents, lifts) = fold(&events, subject);
    Ok(NumberFacts {
        subject,
        number,
        line: code(row.try_get(3)?, LineType::from_code, "number.line_type")?,
        consents,
        lifts,
        lists: lists::facts(lists, number),
        checks: Checks::default(),
    })
}

fn keep(found: &mut BTreeMap<ContactId, Bare>, contact: ContactId, read: Result<Bare, FactsError>) {
    match read {
        Ok(bare) => {
            found.insert(contact, bare);
        }
        Err(error) => {
            tracing::error!(%contact, %error, "a contact cannot be read and is not called")
        }
    }
}

fn bare(row: &PgRow) -> Result<Bare, FactsError> {
    let country: Option<String> = row.try_get(5)?;
    let address = match country {
        None => None,
        Some(country) => Some(Address {
            country,
            region: row.try_get(6)?,
            postal_code: row.try_get(7)?,
            time_zone: row.try_get(8)?,
        }),
    };
    let kind: Option<String> = row.try_get(9)?;
    // As days since 1970, so that no date type of the driver is needed.
    let since: Option<i32> = row.try_get(10)?;
    let since = since.and_then(NaiveDate::from_epoch_days);
    let relationship = match (kind.as_deref(), since) {
        (Some(kind), Some(since)) => Some(Relationship {
            kind: match kind {
                "existing_customer" => RelationshipKind::ExistingCustomer,
                "inquiry" => RelationshipKind::Inquiry,
                other => return Err(FactsError::row("contact", other)),
            },
            since,
        }),
        _ => None,
    };
    let verified: bool = row.try_get(11)?;
    Ok(Bare {
        seller: row.try_get(1)?,
        campaign: row.try_get(13)?,
        person: row.try_get(2)?,
        facts: ContactFacts {
            party: code(row.try_get(3)?, PartyType::from_code, "contact.party_type")?,
            role: code(row.try_get(4)?, PartyRole::from_code, "contact.party_role")?,
            address,
            address_basis: if verified { AddressBasis::Verified } else { AddressBasis::Stated },
            narrowing: row.try_get(12)?,
            relationship,
            emergency: None,
            supplied: Supplied::default(),
            entries: Vec::new(),
            numbers: Vec::new(),
        },
    })
}

fn event(row: &PgRow, seller: Uuid) -> Result<Event, FactsError> {
    let (by, kind, form): (Uuid, String, String) =
        (row.try_get(1)?, row.try_get(3)?, row.try_get(4)?);
    let technology: Option<i16> = row.try_get(6)?;
    let lifts: Vec<Uuid> = row.try_get(12)?;
    Ok(Event {
        same_seller: by == seller,
        number: row.try_get::<Option<i64>, _>(2)?.map(SubjectId),
        grant: kind == "grant",
        form: match form.as_str() {
            "prior_express" => ConsentForm::PriorExpress,
            "prior_express_written" => ConsentForm::PriorExpressWritten,
            "opt_in" => ConsentForm::OptIn,
            other => return Err(FactsError::row("consent_event", other)),
        },
        purpose: code(row.try_get(5)?, Purpose::from_code, "consent_event.purpose")?,
        technology: technology
            .map(|value| code(value, Technology::from_code, "consent_event.technology"))
            .transpose()?,
        at: UnixMillis(row.try_get(7)?),
        id: EventId(row.try_get::<Uuid, _>(8)?.as_u128()),
        evidence: evidence(row)?,
        lifts: lifts.into_iter().map(|entry| EventId(entry.as_u128())).collect(),
    })
}

fn evidence(row: &PgRow) -> Result<Evidenced, sqlx::Error> {
    let mut evidence = Evidenced::NONE;
    for (column, piece) in [(9, Piece::Source), (10, Piece::Wording), (11, Piece::Channel)] {
        if row.try_get(column)? {
            evidence = evidence.with(piece);
        }
    }
    Ok(evidence)
}

/// What the events, oldest first, come to for one number: the latest grant of each form, purpose
/// and technology, revoked where a later revocation covers it. A revocation without a grant is kept
/// as a consent that never stood, because the rules look for revocations. A grant that lifts
/// do-not-call entries stays beside later ones, which lift nothing.
fn fold(events: &[Event], number: SubjectId) -> (Vec<Consent>, Vec<Lift>) {
    let mut held: Vec<Consent> = Vec::new();
    let mut lifts: Vec<Lift> = Vec::new();
    for event in events.iter().filter(|event| event.number.is_none_or(|of| of == number)) {
        let same = |consent: &Consent| {
            consent.same_seller == event.same_seller
                && consent.form == event.form
                && consent.purpose == event.purpose
        };
        let consent = Consent {
            form: event.form,
            same_seller: event.same_seller,
            purpose: event.purpose,
            technology: event.technology,
            given_at: event.at,
            revoked_at: None,
            evidence: event.evidence,
            event: Some(event.id),
        };
        if event.grant {
            let replaced = |held: &Consent| same(held) && held.technology == event.technology;
            let lifting = |held: &Consent| lifts.iter().any(|it| Some(it.consent) == held.event);
            held.retain(|held| !replaced(held) || lifting(held));
            held.push(consent);
            let named = event.lifts.iter();
            lifts.extend(named.map(|entry| Lift { entry: *entry, consent: event.id }));
            continue;
        }
        let mut covered = false;
        for held in held.iter_mut().filter(|held| same(held)) {
            if event.technology.is_none() || event.technology == held.technology {
                held.revoked_at.get_or_insert(event.at);
                covered = true;
            }
        }
        if !covered {
            held.push(Consent { revoked_at: Some(event.at), ..consent });
        }
    }
    (held, lifts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(grant: bool, number: Option<i64>, technology: Option<Technology>, at: i64) -> Event {
        Event {
            same_seller: true,
            number: number.map(SubjectId),
            grant,
            form: ConsentForm::PriorExpress,
            purpose: Purpose::Telemarketing,
            technology,
            at: UnixMillis(at),
            id: EventId(u128::try_from(at).unwrap()),
            evidence: Evidenced::NONE,
            lifts: Vec::new(),
        }
    }

    #[test]
    fn a_grant_that_lifts_stays_beside_a_later_one_and_ends_with_a_revocation() {
        let lifting = Event { lifts: vec![EventId(77)], ..event(true, None, None, 1) };
        let again = event(true, None, None, 2);
        let (held, lifts) = fold(&[lifting.clone(), again.clone()], SubjectId(7));
        assert_eq!(lifts, [Lift { entry: EventId(77), consent: EventId(1) }]);
        let given: Vec<_> = held.iter().map(|it| (it.given_at.0, it.revoked_at)).collect();
        assert_eq!(given, [(1, None), (2, None)]);
        let (held, _) = fold(&[lifting, event(false, None, None, 3), again], SubjectId(7));
        let given: Vec<_> = held.iter().map(|it| (it.given_at.0, it.revoked_at)).collect();
        assert_eq!(given, [(1, Some(UnixMillis(3))), (2, None)]);
    }

    #[test]
    fn events_fold_to_what_stands_for_one_number() {
        let ai = Some(Technology::AiVoice);
        type Case = (&'static str, Vec<Event>, Vec<(i64, Option<i64>)>);
        let cases: [Case; 7] = [
            ("a grant stands", vec![event(true, None, None, 1)], vec![(1, None)]),
            (
                "a revocation ends it",
                vec![event(true, None, None, 1), event(false, None, None, 2)],
                vec![(1, Some(2))],
            ),
            (
                "a grant after it stands again",
                vec![
                    event(true, None, None, 1),
                    event(false, None, None, 2),
                    event(true, None, None, 3),
                ],
                vec![(3, None)],
            ),
            (
                "a revocation of everything reaches a grant for one technology",
                vec![event(true, None, ai, 1), event(false, None, None, 2)],
                vec![(1, Some(2))],
            ),
            (
                "another number's revocation does not reach this one",
                vec![event(true, None, None, 1), event(false, Some(8), None, 2)],
                vec![(1, None)],
            ),
            (
                "a revocation of the person's reaches a grant for the number",
                vec![event(true, Some(7), None, 1), event(false, None, None, 2)],
                vec![(1, Some(2))],
            ),
            (
                "a revocation without a grant is seen",
                vec![event(false, None, None, 2)],
                vec![(2, Some(2))],
            ),
        ];
        for (name, events, expected) in cases {
            let found: Vec<_> = fold(&events, SubjectId(7))
                .0
                .iter()
                .map(|c| (c.given_at.0, c.revoked_at.map(|at| at.0)))
                .collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}
