//! Reading the audit back: whole or by a filter, in pages, with inclusion proofs for a part. Both
//! programs export through this, so that both give the same rows.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::ControlFlow,
    sync::Arc,
};

use dialer_audit::{
    Body, Hash, Misfit, Record,
    canonical::{self, CanonicalError},
    export::Source,
    leaf_hash,
    proof::{Prover, Survey},
};
use dialer_types::{CampaignId, E164, RuleId, SubjectId, UnixMillis};
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::{grounds, numbers::NumberKeys};

/// Leaves read at once: what an export holds in memory, whatever its length.
const AT_ONCE: i64 = 500;
/// Leaf hashes read at once, 32 bytes each.
const HASHES_AT_ONCE: i64 = 20_000;

/// Why the audit could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The database said no.
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    /// An entry that is no leaf.
    #[error("leaf {0}: {1}")]
    Leaf(i64, CanonicalError),
    /// The leaves in the database are not those that were signed.
    #[error(
        "the leaves in the database do not give the root that was signed for {0} leaves: somebody has changed them"
    )]
    Tampered(i64),
    /// A permit that cannot be read: what it rests on is gone.
    #[error(
        "the grounds of a permit, the record with the leaf hash {0}, are not in the database: somebody has removed them"
    )]
    NoGrounds(Hash),
    /// A permit that its grounds do not fit.
    #[error("a permit does not fit its grounds: {0}")]
    Misfit(#[from] Misfit),
}

/// Which records. All conditions must hold; without any the export is whole.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Recorded at this moment or later.
    pub from: Option<UnixMillis>,
    /// Recorded before this moment.
    pub to: Option<UnixMillis>,
    /// Of this campaign: its decisions, placements and what was done to it.
    pub campaign: Option<CampaignId>,
    /// About this number: decisions on it, its placements, suppressions, consents and imports.
    pub number: Option<E164>,
    /// About this person, by the seller's own id.
    pub person: Option<String>,
    /// Decisions that this rule denied.
    pub rule: Option<RuleId>,
}

/// A condition that nothing can ever fit: an empty part would pass for proof of absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slip {
    /// It ends before it begins.
    Interval,
    /// Nobody ever made this campaign.
    Campaign,
    /// No pack has this rule, and no decision names it.
    Rule,
}

/// Said of a person or number that is on no record: erased, or never called.
pub const NOBODY_KNOWN: &str = "nobody with this id is known";

impl Filter {
    /// What of it can only be a slip of the pen. `in_packs` says whether a loaded pack has a rule.
    /// A person or number that nobody knows is none: they may have been erased.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub async fn slips(
        &self,
        pool: &PgPool,
        in_packs: impl Fn(&str) -> bool,
    ) -> Result<Vec<Slip>, TrailError> {
        let mut slips = Vec::new();
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            slips.push(Slip::Interval);
        }
        if let Some(campaign) = self.campaign {
            let known: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT FROM campaign WHERE id = $1)")
                    .bind(Uuid::from_u128(campaign.0))
                    .fetch_one(pool)
                    .await?;
            slips.extend((!known).then_some(Slip::Campaign));
        }
        if let Some(rule) = self.rule.as_ref().filter(|rule| !in_packs(rule.as_str())) {
            // A rule of packs that were loaded once: slow to look for, and only after a slip.
            let known: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT FROM decision WHERE $1 = ANY(rules))")
                    .bind(rule.as_str())
                    .fetch_one(pool)
                    .await?;
            slips.extend((!known).then_some(Slip::Rule));
        }
        Ok(slips)
    }

    /// Whether everything is asked for.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(
            self,
            Self { from: None, to: None, campaign: None, number: None, person: None, rule: None }
        )
    }
}

/// The newest signed state, and its note.
#[derive(Debug, Clone)]
pub struct Signed {
    /// How many leaves.
    pub size: i64,
    /// The root.
    pub root: Vec<u8>,
    /// The C2SP signed note.
    pub note: String,
}

/// The newest checkpoint, if one was signed.
///
/// # Errors
/// See [`TrailError`].
pub async fn newest(pool: &PgPool) -> Result<Option<Signed>, TrailError> {
    let row =
        sqlx::query("SELECT size, root, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
            .fetch_optional(pool)
            .await?;
    row.map(|row| {
        Ok(Signed { size: row.try_get(0)?, root: row.try_get(1)?, note: row.try_get(2)? })
    })
    .transpose()
}

/// A leaf of an export.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Its place in the log.
    pub index: u64,
    /// Its bytes.
    pub leaf: Vec<u8>,
    /// In a part: the proof that it is there.
    pub path: Option<Vec<Hash>>,
    /// Of a permit: what it rests on.
    pub grounds: Option<Arc<Record>>,
    /// In a part: whether it stands there only because the permit after it rests on it.
    pub beside: bool,
}

impl Leaf {
    /// What its row is written from.
    #[must_use]
    pub fn source(&self) -> Source<'_> {
        let (grounds, path) = (self.grounds.as_deref(), self.path.as_deref());
        Source { index: self.index, leaf: &self.leaf, grounds, path }
    }
}

/// Reads the leaves that a filter lets through, in their order. The grounds of their permits come along:
/// in a part before the first permit that rests on them, whatever their own place.
#[derive(Debug)]
pub struct Trail {
    pool: PgPool,
    filter: Filter,
    number: Option<i64>,
    persons: Option<Vec<i64>>,
    size: i64,
    next: i64,
    prover: Option<Prover>,
    ready: VecDeque<Leaf>,
    /// Grounds that were handed out: a kilobyte or two each, and few beside the permits.
    known: BTreeMap<Hash, Arc<Record>>,
}

impl Trail {
    /// Begins. For a part every leaf hash up to the checkpoint is read once, for the proofs.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub async fn open(
        pool: &PgPool,
        keys: &NumberKeys,
        filter: Filter,
        signed: &Signed,
    ) -> Result<Self, TrailError> {
        let mut connection = pool.acquire().await?;
        let number = match &filter.number {
            Some(number) => Some(subject_of(&mut connection, keys, number).await?),
            None => None,
        };
        let persons = match &filter.person {
            Some(person) => Some(
                sqlx::query_scalar("SELECT subject_id FROM person WHERE external_id = $1")
                    .bind(person)
                    .fetch_all(&mut *connection)
                    .await?,
            ),
            None => None,
        };
        let prover = if filter.is_whole() {
            None
        } else {
            let survey = survey(&mut connection, signed.size).await?;
            if survey.tree().root().0.as_slice() != signed.root.as_slice() {
                return Err(TrailError::Tampered(signed.size));
            }
            Some(survey.into_prover())
        };
        let (size, pool) = (signed.size, pool.clone());
        let (ready, known) = (VecDeque::new(), BTreeMap::new());
        Ok(Self { pool, filter, number, persons, size, next: 0, prover, ready, known })
    }

    /// What the manifest says of the filter: people as surrogate ids, numbers masked.
    #[must_use]
    pub fn said(&self) -> BTreeMap<String, String> {
        let Filter { from, to, campaign, number, rule, .. } = &self.filter;
        let mut said = BTreeMap::new();
        let mut say = |name: &str, value: Option<String>| {
            said.extend(value.map(|value| (name.to_owned(), value)));
        };
        let subjects = |ids: &[i64]| {
            let ids: Vec<_> = ids.iter().filter(|id| **id != NOBODY).map(i64::to_string).collect();
            if ids.is_empty() { NOBODY_KNOWN.to_owned() } else { ids.join(" ") }
        };
        say("from", from.map(dialer_audit::page::time));
        say("to", to.map(dialer_audit::page::time));
        say("campaign", campaign.map(|id| id.to_string()));
        say("number", number.map(|number| number.to_string()));
        say("number_subject", self.number.map(|id| subjects(&[id])));
        say("person_subjects", self.persons.as_deref().map(subjects));
        say("rule", rule.as_ref().map(|rule| rule.as_str().to_owned()));
        said
    }

    /// Which conditions name somebody who is on no record: `number`, `person`.
    #[must_use]
    pub fn nobody(&self) -> Vec<&'static str> {
        let number = (self.number == Some(NOBODY)).then_some("number");
        let person = self.persons.as_ref().is_some_and(Vec::is_empty).then_some("person");
        number.into_iter().chain(person).collect()
    }

    /// Whether this is a part: its rows carry proofs.
    #[must_use]
    pub const fn is_part(&self) -> bool {
        self.prover.is_some()
    }

    /// The next leaves, at most some hundreds; none at the end.
    ///
    /// # Errors
    /// See [`TrailError`].
    pub async fn next(&mut self) -> Result<Vec<Leaf>, TrailError> {
        while self.ready.is_empty() {
            if self.page().await?.is_break() {
                break;
            }
        }
        Ok(self.ready.drain(..).collect())
    }

    async fn page(&mut self) -> Result<ControlFlow<()>, TrailError> {
        let mut connection = self.pool.acquire().await?;
        let rows = self.candidates(&mut connection).await?;
        if rows.is_empty() {
            return Ok(ControlFlow::Break(()));
        }
        for row in &rows {
            let (index, leaf): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
            self.next = index + 1;
            let record =
                canonical::decode(&leaf).map_err(|fault| TrailError::Leaf(index, fault))?;
            let grounds = match &record.body {
                Body::Permit(permit) => Some(permit.grounds),
                _ => None,
            };
            let path = match &mut self.prover {
                None => {
                    if matches!(record.body, Body::Grounds(_)) {
                        self.known.insert(leaf_hash(&leaf), Arc::new(record));
                    }
                    None
                }
                Some(prover) => {
                    let wanted = Wanted {
                        rule: self.filter.rule.as_ref(),
                        number: self.number,
                        persons: self.persons.as_deref(),
                    };
                    if !wanted.fits(&record) {
                        continue;
                    }
                    Some(prove(&mut connection, prover, index, self.size).await?)
                }
            };
            let grounds = match grounds {
                Some(hash) => Some(self.under(&mut connection, hash).await?),
                None => None,
            };
            let index = u64::try_from(index).unwrap_or(0);
            self.ready.push_back(Leaf { index, leaf, path, grounds, beside: false });
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The grounds with this leaf hash; in a part they are handed out when they are first asked for.
    async fn under(
        &mut self,
        connection: &mut PgConnection,
        hash: Hash,
    ) -> Result<Arc<Record>, TrailError> {
        if let Some(known) = self.known.get(&hash) {
            return Ok(Arc::clone(known));
        }
        let found = grounds::read(connection, &[hash]).await?.remove(&hash);
        // Whole logs have had them before their permit.
        let (Some(found), Some(prover)) = (found, &mut self.prover) else {
            return Err(TrailError::NoGrounds(hash));
        };
        let index = found.index.and_then(|index| i64::try_from(index).ok());
        let index = index.filter(|index| *index < self.size).ok_or(TrailError::NoGrounds(hash))?;
        let path = Some(prove(connection, prover, index, self.size).await?);
        let index = u64::try_from(index).unwrap_or(0);
        self.ready.push_back(Leaf { index, leaf: found.leaf, path, grounds: None, beside: true });
        let record = Arc::new(found.record);
        self.known.insert(hash, Arc::clone(&record));
        Ok(record)
    }

    /// The next rows that may fit. What a placement tells of its subjects is exact here; what only
    /// the record tells is looked at afterwards.
    async fn candidates(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Vec<sqlx::postgres::PgRow>, sqlx::Error> {
        sqlx::query(
            "SELECT l.index, e.leaf FROM audit_leaf l JOIN audit_entry e ON e.id = l.entry_id
             WHERE l.index >= $1 AND l.index < $2
               AND ($3::bigint IS NULL OR e.at >= $3) AND ($4::bigint IS NULL OR e.at < $4)
               AND ($5::uuid IS NULL OR e.campaign_id = $5 OR EXISTS
                    (SELECT FROM placement p WHERE p.id = e.placement AND p.campaign_id = $5))
               AND ($6::bigint IS NULL OR e.kind IN (1, 6, 7, 8, 9, 12) OR EXISTS
                    (SELECT FROM placement p WHERE p.id = e.placement AND p.number_subject = $6))
               AND ($7::bigint[] IS NULL OR e.kind IN (1, 6, 7, 8, 9, 12) OR EXISTS
                    (SELECT FROM placement p WHERE p.id = e.placement AND p.person_subject = ANY($7)))
               AND (NOT $8 OR e.kind = 1) AND ($10 OR e.kind <> 14)
             ORDER BY l.index LIMIT $9",
        )
        .bind(self.next)
        .bind(self.size)
        .bind(self.filter.from.map(|at| at.0))
        .bind(self.filter.to.map(|at| at.0))
        .bind(self.filter.campaign.map(|id| Uuid::from_u128(id.0)))
        .bind(self.number)
        .bind(self.persons.clone())
        .bind(self.filter.rule.is_some())
        .bind(AT_ONCE)
        // In a part grounds come with their permits and never for themselves.
        .bind(self.prover.is_none())
        .fetch_all(connection)
        .await
    }
}

/// The rule that was probably meant by an unknown id: the one that begins most like it.
pub fn meant<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let shared = |rule: &str| rule.bytes().zip(typed.bytes()).take_while(|(a, b)| a == b).count();
    known
        .map(|rule| (shared(rule), rule))
        .filter(|(shared, _)| *shared >= 6 && shared * 4 >= typed.len() * 3)
        .max_by_key(|(shared, rule)| (*shared, std::cmp::Reverse(rule.len())))
        .map(|(_, rule)| rule)
}

/// The subject of a number that nobody has: no row fits it.
const NOBODY: i64 = -1;

async fn subject_of(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    number: &E164,
) -> Result<i64, sqlx::Error> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT subject_id FROM number WHERE keyed_hash = $1")
            .bind(keys.lookup_hash(number).to_vec())
            .fetch_optional(connection)
            .await?;
    Ok(found.unwrap_or(NOBODY))
}

async fn survey(connection: &mut PgConnection, size: i64) -> Result<Survey, TrailError> {
    let (mut survey, mut next) = (Survey::default(), 0);
    while next < size {
        let to = size.min(next + HASHES_AT_ONCE);
        for hash in hashes(connection, next, to).await? {
            survey.append(hash);
        }
        next = to;
    }
    Ok(survey)
}

async fn hashes(
    connection: &mut PgConnection,
    from: i64,
    to: i64,
) -> Result<Vec<Hash>, TrailError> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT leaf_hash FROM audit_leaf WHERE index >= $1 AND index < $2 ORDER BY index",
    )
    .bind(from)
    .bind(to)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|hash| hash.try_into().map(Hash).map_err(|_| TrailError::Tampered(to)))
        .collect()
}

async fn prove(
    connection: &mut PgConnection,
    prover: &mut Prover,
    index: i64,
    size: i64,
) -> Result<Vec<Hash>, TrailError> {
    let at = u64::try_from(index).unwrap_or(0);
    if !prover.holds(at) {
        let (from, to) = prover.tile(at);
        let bound = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
        let hashes = hashes(connection, bound(from), bound(to)).await?;
        if !prover.hold(at, hashes) {
            return Err(TrailError::Tampered(size));
        }
    }
    prover.prove(at).ok_or(TrailError::Tampered(size))
}

/// What only a record tells.
struct Wanted<'a> {
    rule: Option<&'a RuleId>,
    number: Option<i64>,
    persons: Option<&'a [i64]>,
}

impl Wanted<'_> {
    fn fits(&self, record: &Record) -> bool {
        let denied = self.rule.is_none_or(|rule| match &record.body {
            Body::Decision(decision) => decision.denied_by.iter().any(|d| d.rule == *rule),
            _ => false,
        });
        denied
            && self.number.is_none_or(|number| concerns(record, &[number]))
            && self.persons.is_none_or(|persons| concerns(record, persons))
    }
}

fn concerns(record: &Record, subjects: &[i64]) -> bool {
    subjects_of(record).is_none_or(|of| of.iter().any(|subject| subjects.contains(&subject.0)))
}

/// The subjects that a record names; `None` where its placement tells, which SQL has looked at.
fn subjects_of(record: &Record) -> Option<BTreeSet<SubjectId>> {
    let of = match &record.body {
        Body::Decision(body) => &body.subjects,
        Body::Suppression(body) => &body.subjects,
        Body::Consent(body) => &body.subjects,
        Body::Revocation(body) => &body.subjects,
        Body::Imported(body) => &body.subjects,
        // Of nobody in particular: in exports of everybody only.
        Body::Rules(_) => return Some(BTreeSet::new()),
        Body::Fact(body) => &body.subjects,
        Body::Permit(_)
        | Body::Grounds(_)
        | Body::Intent(_)
        | Body::Sent(_)
        | Body::NotSent(_)
        | Body::Outcome(_)
        | Body::Correction(_)
        | Body::Campaign(_) => return None,
    };
    Some(of.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_that_was_meant_begins_like_the_typed_one() {
        let known = ["us.regf.hours", "us.regf.hours_inconvenient", "us.fcc.hours", "us.tx.cap"];
        let meant = |typed: &str| meant(typed, known.into_iter());
        assert_eq!(meant("us.regf.hourz"), Some("us.regf.hours"));
        assert_eq!(meant("us.fcc.hour"), Some("us.fcc.hours"));
        for far in ["", "us.x", "de.uwg.consent", "us.regf.seven_in_seven"] {
            assert_eq!(meant(far), None, "{far}");
        }
    }
}
