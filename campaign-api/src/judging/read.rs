//! Contacts with all that a judgement of them needs, read in one snapshot: heads first, facts
//! second, as the gate does.

use std::{collections::BTreeSet, time::Duration};

use dialer_facts::{FactsError, campaign_terms, lists::Lists};
use dialer_judge::{CallTerms, CampaignTerms, ContactFacts, NumberFacts};
use dialer_policy::AddressBasis;
use dialer_types::{
    CampaignId, CampaignNo, ContactId, E164, LineType, ListId, PartyRole, PartyType, SellerId,
    SubjectId, UnixMillis, say,
};
use schema::numbers::NumberKeys;
use sqlx::{PgConnection, Postgres, Row, Transaction, postgres::PgRow};
use uuid::Uuid;

use super::Case;
use crate::{app::App, http::error::Problem};

/// Contacts read at once: few enough that a batch is a fraction of a second.
pub(crate) const AT_ONCE: i64 = 1000;
/// The person of a number that is in no list: nobody. Subjects of the database count from 1.
const NOBODY: SubjectId = SubjectId(-1);
/// A number that was never stored.
const NEVER_SEEN: SubjectId = SubjectId(-2);

/// What a campaign's contacts are judged by.
#[derive(Debug, Clone)]
pub(crate) struct Campaign {
    pub(crate) id: CampaignId,
    pub(crate) seller: SellerId,
    pub(crate) terms: CampaignTerms,
    pub(crate) status: String,
    pub(crate) max_tries: i16,
}

/// Which contacts of a campaign.
#[derive(Debug, Default)]
pub(crate) struct Which {
    /// Only these.
    pub(crate) contacts: Option<Vec<ContactId>>,
    /// Only of this list.
    pub(crate) list: Option<ListId>,
    /// Only those that are neither leased nor finished.
    pub(crate) open: bool,
    /// Only those with a greater id.
    pub(crate) after: Option<ContactId>,
    /// Of every so many one; 0 and 1: every one.
    pub(crate) one_in: i64,
}

/// A contact, where it stands and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: ContactId,
    pub(crate) external_id: String,
    /// `contact.state`.
    pub(crate) state: i16,
    /// Placements that count, made so far.
    pub(crate) made: i16,
    pub(crate) due_at: Option<UnixMillis>,
    pub(crate) because: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) since: Option<UnixMillis>,
    pub(crate) finished: Option<String>,
    pub(crate) case: Case,
}

/// A transaction that sees one moment and cannot change anything, for a judgement: refused to a process
/// that may not judge.
pub(crate) async fn snapshot(app: &App) -> Result<Transaction<'static, Postgres>, Problem> {
    app.fit()?;
    Ok(app.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
}

/// A campaign's terms.
pub(crate) async fn campaign(
    connection: &mut PgConnection,
    id: CampaignId,
) -> Result<Campaign, Problem> {
    let row = sqlx::query(
        "SELECT a.seller_id, s.no, a.purpose, a.technology, a.announces, a.caller_id,
                a.ring_timeout_ms, a.status, a.max_tries, a.no
         FROM campaign a JOIN seller s ON s.id = a.seller_id WHERE a.id = $1",
    )
    .bind(Uuid::from_u128(id.0))
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Problem::not_found(say!("no campaign {id}", id)))?;
    let (announces, caller_id): (Vec<String>, String) = (row.try_get(4)?, row.try_get(5)?);
    let ring_timeout: i32 = row.try_get(6)?;
    let ring_timeout = Duration::from_millis(u64::try_from(ring_timeout).unwrap_or(0));
    let (no, purpose, technology) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let mut terms = campaign_terms(no, purpose, technology, &announces, &caller_id, ring_timeout)?;
    terms.no = u32::try_from(row.try_get::<i32, _>(9)?).ok().map(CampaignNo);
    Ok(Campaign {
        id,
        seller: SellerId(row.try_get::<Uuid, _>(0)?.as_u128()),
        terms,
        status: row.try_get(7)?,
        max_tries: row.try_get(8)?,
    })
}

/// Up to [`AT_ONCE`] contacts in the order of their ids.
pub(crate) async fn contacts(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    lists: &Lists,
    campaign: &Campaign,
    which: &Which,
) -> Result<Vec<Known>, Problem> {
    let only = which.contacts.as_ref();
    let only = only.map(|ids| ids.iter().map(|id| Uuid::from_u128(id.0)).collect::<Vec<_>>());
    let rows = sqlx::query(
        "SELECT c.id, p.external_id, c.state, c.made, c.next_position, c.finished,
                c.person_subject, c.account_subject, d.due_at, d.because, k.cause, k.since,
                ARRAY(SELECT cn.position FROM contact_number cn
                      WHERE cn.contact_id = c.id ORDER BY cn.position),
                ARRAY(SELECT cn.number_subject FROM contact_number cn
                      WHERE cn.contact_id = c.id ORDER BY cn.position)
         FROM contact c JOIN person p ON p.subject_id = c.person_subject
         LEFT JOIN due d ON d.contact_id = c.id LEFT JOIN parked k ON k.contact_id = c.id
         WHERE c.campaign_id = $1 AND ($2::uuid[] IS NULL OR c.id = ANY($2))
           AND ($3::uuid IS NULL OR c.list_id = $3) AND (NOT $4 OR c.state IN (1, 2, 4))
           AND c.id > $5
           AND ($6 <= 1 OR mod(abs(hashtext(c.id::text)::bigint), $6) = 0)
         ORDER BY c.id LIMIT $7",
    )
    .bind(Uuid::from_u128(campaign.id.0))
    .bind(only)
    .bind(which.list.map(|list| Uuid::from_u128(list.0)))
    .bind(which.open)
    .bind(Uuid::from_u128(which.after.map_or(0, |after| after.0)))
    .bind(which.one_in)
    .bind(AT_ONCE)
    .fetch_all(&mut *connection)
    .await?;
    let mut known =
        rows.iter().map(|row| bare(row, campaign)).collect::<Result<Vec<_>, Problem>>()?;
    let mut subjects: Vec<_> = known.iter().flat_map(|contact| contact.case.subjects()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let heads = dialer_facts::heads(connection, &subjects).await?;
    let ids: BTreeSet<ContactId> = known.iter().map(|contact| contact.id).collect();
    let mut facts = dialer_facts::contacts(connection, keys, lists, &ids).await?;
    for contact in &mut known {
        let subjects = contact.case.subjects().into_iter();
        contact.case.heads =
            subjects.map(|id| heads.get(&id).map(|head| (id, head.clone()))).collect();
        contact.case.facts = facts.remove(&contact.id);
    }
    Ok(known)
}

fn bare(row: &PgRow, campaign: &Campaign) -> Result<Known, Problem> {
    let next: i16 = row.try_get(4)?;
    let (positions, numbers): (Vec<i16>, Vec<i64>) = (row.try_get(12)?, row.try_get(13)?);
    let mut order: Vec<SubjectId> = numbers.into_iter().map(SubjectId).collect();
    // From the next position round to it again, as the scheduler does.
    let first = positions.iter().position(|at| *at >= next).unwrap_or(0);
    order.rotate_left(first);
    let moment = |at: Option<i64>| at.map(UnixMillis);
    Ok(Known {
        id: ContactId(row.try_get::<Uuid, _>(0)?.as_u128()),
        external_id: row.try_get(1)?,
        state: row.try_get(2)?,
        made: row.try_get(3)?,
        due_at: moment(row.try_get(8)?),
        because: row.try_get(9)?,
        cause: row.try_get(10)?,
        since: moment(row.try_get(11)?),
        finished: row.try_get(5)?,
        case: Case {
            terms: CallTerms {
                campaign: campaign.terms,
                person: SubjectId(row.try_get(6)?),
                account: row.try_get::<Option<i64>, _>(7)?.map(SubjectId),
            },
            order,
            facts: None,
            heads: None,
        },
    })
}

impl Case {
    /// Every subject whose head the judgement needs, each once, in order.
    fn subjects(&self) -> Vec<SubjectId> {
        let own = [self.terms.person].into_iter().chain(self.terms.account);
        let mut subjects: Vec<_> = self.order.iter().copied().chain(own).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }
}

/// A number that is in no list of the campaign: a consumer of whom nothing is known but what the
/// number itself says, its history and its do-not-call marks.
pub(crate) async fn stranger(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    lists: &Lists,
    campaign: &Campaign,
    number: E164,
) -> Result<Case, Problem> {
    let row = sqlx::query("SELECT subject_id, line_type FROM number WHERE keyed_hash = $1")
        .bind(keys.lookup_hash(&number).as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    let (subject, line) = match &row {
        Some(row) => {
            let line: i16 = row.try_get(1)?;
            let line = u8::try_from(line).ok().and_then(LineType::from_code);
            (SubjectId(row.try_get(0)?), line.unwrap_or(LineType::Unknown))
        }
        None => (NEVER_SEEN, LineType::Unknown),
    };
    let heads = dialer_facts::heads(connection, &[subject]).await?;
    let heads: Vec<_> = heads.into_iter().collect();
    let unreadable = row.is_some() && heads.is_empty();
    let seller = Uuid::from_u128(campaign.seller.0);
    let (supplied, checks) =
        dialer_facts::supplied(connection, NOBODY, subject, campaign.id, seller).await?;
    Ok(Case {
        terms: CallTerms { campaign: campaign.terms, person: NOBODY, account: None },
        order: vec![subject],
        facts: Some(ContactFacts {
            party: PartyType::Consumer,
            role: PartyRole::Principal,
            address: None,
            address_basis: AddressBasis::Stated,
            narrowing: false,
            relationship: None,
            emergency: lists.emergency.clone(),
            supplied,
            entries: Vec::new(),
            numbers: vec![NumberFacts {
                subject,
                number,
                line,
                consents: Vec::new(),
                lifts: Vec::new(),
                lists: dialer_facts::lists::facts(lists, number),
                checks,
            }],
        }),
        heads: (!unreadable).then_some(heads),
    })
}

impl From<FactsError> for Problem {
    fn from(error: FactsError) -> Self {
        match error {
            FactsError::Sql(error) => error.into(),
            other => Self::internal(other),
        }
    }
}
