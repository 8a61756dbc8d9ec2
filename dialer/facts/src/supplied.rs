//! What somebody looked up, wrote down or counted: wishes of persons, look-ups of numbers, licences of
//! campaigns, counters of sellers. Read for a batch of contacts in one question.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::NaiveDate;
use dialer_judge::{Checks, Supplied};
use dialer_policy::{
    Blocked, CallerCounter, Licence, LineCheck, LineClass, Reassigned, ReassignmentCheck, Wishes,
};
use dialer_types::{CampaignId, LineType, SubjectId, UnixMillis};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{FactsError, code};

/// Of a look-up and of a counter the newest alone counts, so no more than that is read. Dates come as
/// days since 1970, so that no date type of the driver is needed.
const READ: &str = "
    SELECT 1::smallint AS what, w.person_subject AS subject, NULL::uuid AS campaign,
           NULL::uuid AS seller, NULL::text AS name, w.blocked AS words,
           NULL::bigint AS a, NULL::bigint AS b, NULL::bigint AS c, w.id AS place
    FROM (SELECT DISTINCT ON (person_subject) person_subject, blocked, id FROM wish_event
          WHERE person_subject = ANY($1) ORDER BY person_subject, at DESC, id DESC) w
    UNION ALL
    SELECT 2::smallint, n.number_subject, NULL, n.seller_id, n.database,
           ARRAY[coalesce(n.reassigned, n.line_class)], n.as_of - DATE '1970-01-01', n.line_type,
           NULL, n.id
    FROM (SELECT DISTINCT ON (number_subject, seller_id, database, reassigned = 'no_data') *
          FROM number_check_event WHERE number_subject = ANY($2)
          ORDER BY number_subject, seller_id, database, reassigned = 'no_data', as_of DESC, id DESC) n
    UNION ALL
    SELECT 3::smallint, NULL, a.id, l.seller_id, l.licence,
           ARRAY[l.kind, coalesce(l.campaign_id::text, ''), coalesce(l.script, '')],
           l.valid_from - DATE '1970-01-01', l.valid_until - DATE '1970-01-01', NULL, l.id
    FROM campaign a JOIN licence_event l ON l.seller_id = a.seller_id
         AND (l.campaign_id IS NULL OR l.campaign_id = a.id)
         AND (l.script IS NULL OR l.script = a.prompt)
    WHERE a.id = ANY($3)
    UNION ALL
    SELECT 4::smallint, NULL, a.id, k.seller_id, k.counter, NULL, k.count, k.as_of, k.resets_at, 0
    FROM campaign a JOIN caller_counter k ON k.seller_id = a.seller_id WHERE a.id = ANY($3)
    ORDER BY what, place";

/// What was read for some contacts.
#[derive(Debug, Default)]
pub(crate) struct Supply {
    /// `None`: there is an entry that cannot be read, and whoever it concerns is not called.
    wishes: BTreeMap<i64, Option<Wishes>>,
    checks: BTreeMap<i64, Vec<Sellers>>,
    licences: BTreeMap<Uuid, Arc<[Licence]>>,
    counters: BTreeMap<Uuid, Arc<[CallerCounter]>>,
}

/// Whose look-up it is (everybody's without one), and what it said; nothing where that cannot be read.
type Sellers = (Option<Uuid>, Option<Check>);

#[derive(Debug, Clone)]
enum Check {
    Reassigned(ReassignmentCheck),
    Line(LineCheck),
}

impl Supply {
    /// Reads what concerns these persons, numbers and campaigns.
    ///
    /// # Errors
    /// If Postgres is not there.
    pub(crate) async fn read(
        connection: &mut PgConnection,
        persons: &[i64],
        numbers: &[i64],
        campaigns: &BTreeSet<Uuid>,
    ) -> Result<Self, FactsError> {
        let campaigns: Vec<Uuid> = campaigns.iter().copied().collect();
        let rows = sqlx::query(READ)
            .bind(persons)
            .bind(numbers)
            .bind(&campaigns)
            .fetch_all(connection)
            .await?;
        let mut supply = Self::default();
        let mut held: BTreeMap<Uuid, Held> = BTreeMap::new();
        let mut counters: BTreeMap<Uuid, Vec<CallerCounter>> = BTreeMap::new();
        for row in &rows {
            match row.try_get::<i16, _>(0)? {
                1 => {
                    let wishes = readable("wish_event", wishes(row));
                    supply.wishes.insert(row.try_get(1)?, wishes);
                }
                2 => {
                    let check = readable("number_check_event", check(row));
                    let of = supply.checks.entry(row.try_get(1)?).or_default();
                    of.push((row.try_get(3)?, check));
                }
                3 => held.entry(row.try_get(2)?).or_default().add(row)?,
                _ => counters.entry(row.try_get(2)?).or_default().push(counter(row)?),
            }
        }
        supply.licences = held.into_iter().map(|(id, held)| (id, held.licences())).collect();
        supply.counters = counters.into_iter().map(|(id, all)| (id, all.into())).collect();
        Ok(supply)
    }

    /// What is on record of a person, and of the campaign that calls.
    ///
    /// # Errors
    /// If something of it cannot be read.
    pub(crate) fn of(&self, person: i64, campaign: Uuid) -> Result<Supplied, FactsError> {
        let unreadable = || FactsError::row("wish_event", "a blocked time is not understood");
        let wishes = self.wishes.get(&person).map(|held| held.clone().ok_or_else(unreadable));
        Ok(Supplied {
            wishes: wishes.transpose()?,
            licences: self.licences.get(&campaign).cloned().unwrap_or_default(),
            counters: self.counters.get(&campaign).cloned().unwrap_or_default(),
        })
    }

    /// What look-ups said of a number: those of the seller, and those that are everybody's.
    ///
    /// # Errors
    /// If something of it cannot be read.
    pub(crate) fn checks(&self, number: i64, seller: Uuid) -> Result<Checks, FactsError> {
        let mut checks = Checks::default();
        let all = self.checks.get(&number).into_iter().flatten();
        for (_, check) in all.filter(|(of, _)| of.is_none_or(|of| of == seller)) {
            match check {
                None => return Err(FactsError::row("number_check_event", "is not understood")),
                Some(Check::Reassigned(check)) => checks.reassignment.push(check.clone()),
                // They come in the order of recording: of one day the last holds.
                Some(Check::Line(check)) => {
                    if checks.line.is_none_or(|held| held.as_of <= check.as_of) {
                        checks.line = Some(*check);
                    }
                }
            }
        }
        Ok(checks)
    }
}

/// What is on record of a person, a number and a campaign: for a question about one number alone.
///
/// # Errors
/// If Postgres is not there, or something of it cannot be read.
pub async fn supplied(
    connection: &mut PgConnection,
    person: SubjectId,
    number: SubjectId,
    campaign: CampaignId,
    seller: Uuid,
) -> Result<(Supplied, Checks), FactsError> {
    let campaign = Uuid::from_u128(campaign.0);
    let campaigns = BTreeSet::from([campaign]);
    let supply = Supply::read(connection, &[person.0], &[number.0], &campaigns).await?;
    Ok((supply.of(person.0, campaign)?, supply.checks(number.0, seller)?))
}

fn readable<T>(table: &'static str, read: Result<T, FactsError>) -> Option<T> {
    read.inspect_err(|error| tracing::error!(table, %error, "what is on record cannot be read"))
        .ok()
}

fn wishes(row: &PgRow) -> Result<Wishes, FactsError> {
    let words: Vec<String> = row.try_get(5)?;
    let mut blocked = Vec::with_capacity(words.len());
    for word in &words {
        let read = Blocked::read(word);
        blocked.extend(read.map_err(|why| FactsError::row("wish_event", why.to_string()))?);
    }
    Ok(Wishes { blocked })
}

fn check(row: &PgRow) -> Result<Check, FactsError> {
    let odd = |what: &str| FactsError::row("number_check_event", what);
    let database: String = row.try_get(4)?;
    let words: Vec<String> = row.try_get(5)?;
    let word = words.first().map(String::as_str).unwrap_or_default();
    let as_of = date(row.try_get(6)?).ok_or_else(|| odd("as_of"))?;
    if let Some(line) = row.try_get::<Option<i64>, _>(7)? {
        let line = i16::try_from(line).map_err(|_| odd("line_type"))?;
        let line = code(line, LineType::from_code, "number_check_event.line_type")?;
        let class = LineClass::from_word(word).ok_or_else(|| odd("line_class"))?;
        return Ok(Check::Line(LineCheck { as_of, line, class }));
    }
    let answer = match word {
        "no" => Reassigned::No,
        "yes" => Reassigned::Yes,
        "no_data" => Reassigned::NoData,
        _ => return Err(odd("reassigned")),
    };
    Ok(Check::Reassigned(ReassignmentCheck { database: database.into(), as_of, answer }))
}

fn counter(row: &PgRow) -> Result<CallerCounter, FactsError> {
    let counter: String = row.try_get(4)?;
    let count: i64 = row.try_get(6)?;
    Ok(CallerCounter {
        counter: counter.into(),
        count: u32::try_from(count).map_err(|_| FactsError::row("caller_counter", "count"))?,
        as_of: UnixMillis(row.try_get(7)?),
        resets_at: UnixMillis(row.try_get(8)?),
    })
}

fn date(days: Option<i64>) -> Option<NaiveDate> {
    days.and_then(|days| i32::try_from(days).ok()).and_then(NaiveDate::from_epoch_days)
}

/// The events of one campaign's licences, oldest first, as far as they were folded.
#[derive(Debug, Default)]
struct Held(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Of the campaign alone, of its script alone; both empty: all that the seller does.
    scope: (String, String),
    licence: Licence,
}

impl Held {
    fn add(&mut self, row: &PgRow) -> Result<(), FactsError> {
        let licence: String = row.try_get(4)?;
        let words: Vec<String> = row.try_get(5)?;
        let [kind, campaign, script] = words.as_slice() else {
            return Err(FactsError::row("licence_event", "scope"));
        };
        let scope = (campaign.clone(), script.clone());
        if kind == "withdraw" {
            self.withdraw(&licence, &scope);
        } else {
            let (from, until) = (date(row.try_get(6)?), date(row.try_get(7)?));
            self.0.push(Entry { scope, licence: Licence { id: licence.into(), from, until } });
        }
        Ok(())
    }

    /// What was withdrawn never holds again, and stays on record: it is not unknown.
    fn withdraw(&mut self, licence: &str, scope: &(String, String)) {
        let ours = |entry: &&mut Entry| *entry.licence.id == *licence && entry.scope == *scope;
        for entry in self.0.iter_mut().filter(ours) {
            entry.licence.until = Some(NaiveDate::MIN);
        }
    }

    fn licences(self) -> Arc<[Licence]> {
        self.0.into_iter().map(|entry| entry.licence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_ends_what_was_recorded_before_it_in_its_own_scope() {
        let seller = (String::new(), String::new());
        let campaign = ("c".to_owned(), String::new());
        let entry = |scope: &(String, String)| Entry {
            scope: scope.clone(),
            licence: Licence { id: "bond".into(), from: None, until: None },
        };
        let holding = |held: &Held| {
            held.0.iter().map(|entry| entry.licence.until.is_none()).collect::<Vec<_>>()
        };
        let mut held = Held(vec![entry(&seller), entry(&campaign)]);
        held.withdraw("other", &seller);
        assert_eq!(holding(&held), [true, true]);
        held.withdraw("bond", &seller);
        assert_eq!(holding(&held), [false, true], "the campaign's own stays");
        held.0.push(entry(&seller));
        assert_eq!(holding(&held), [false, true, true], "given again");
        assert_eq!(held.licences().len(), 3, "what was withdrawn is still on record");
    }
}
