//! Attempts made elsewhere and conversations the person began: rules may count them too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::header,
};
use dialer_audit::{
    Record as AuditRecord,
    record::{Imported, ImportedKind, Token as AuditToken},
};
use dialer_limiter::{Entry, Head, Token};
use dialer_types::{
    CampaignNo, E164, LineType, Outcome, PlacementId, Purpose, Say, SellerId, SellerNo, SubjectId,
    Technology, UnixMillis, say,
};
use schema::{
    heads::{Moved, lock_heads, store_heads},
    rows::{self, AuditEntry},
};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Earlier as EarlierRight, May},
    error::{Fault, Problem},
    extract::{Body, cards},
    lists::{limited, read_header},
    sellers::number_of,
    time::Time,
};
use crate::{
    app::App,
    events,
    import::{records::Records, row::Header},
};

/// Items of one transaction, and the most of a JSON array.
const AT_ONCE: usize = 1000;
/// What is older is recorded and counts for no rule: longer than the longest horizon of the packs.
const HORIZON: Duration = Duration::from_secs(400 * 86_400);
/// Faults that a report lists; the rest is counted.
const FAULTS: usize = 1000;
/// Columns of the CSV form: those of the JSON form.
const COLUMNS: [&str; 9] =
    ["seller", "number", "person", "account", "at", "outcome", "purpose", "technology", "inbound"];

/// Something that happened before, or elsewhere.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// On whose behalf: ULID.
    #[schema(value_type = String)]
    pub seller: SellerId,
    /// E.164.
    pub number: String,
    /// The seller's own id of the person.
    pub person: Option<String>,
    /// The seller's own id of the account.
    pub account: Option<String>,
    /// When.
    pub at: Time,
    /// How it ended, for example `no_answer` or `conversation`.
    #[schema(value_type = String)]
    pub outcome: Outcome,
    /// Why.
    #[schema(value_type = String)]
    pub purpose: Purpose,
    /// How.
    #[schema(value_type = String)]
    pub technology: Technology,
    /// The person called.
    #[serde(default)]
    pub inbound: bool,
}

/// What became of it.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Report {
    /// Recorded.
    pub recorded: u64,
    /// On record already, or twice in the file: an earlier attempt with the same seller, number,
    /// person, account, moment, direction, outcome, purpose and technology. Counted once.
    pub duplicates: u64,
    /// Not recorded: see `faults`.
    pub rejected: u64,
    /// The first thousand faults, with their lines.
    pub faults: Vec<Fault>,
}

/// A checked item and where it stood.
struct Item {
    line: u64,
    number: E164,
    said: Earlier,
}

/// Records attempts made elsewhere: a JSON array of up to 1000, all or nothing; or CSV of any
/// length with the same names as columns, where good rows are kept.
#[utoipa::path(post, path = "/v1/earlier-attempts", tag = "earlier attempts",
    request_body(content((Vec<Earlier> = "application/json"), (String = "text/csv"))),
    responses((status = 200, body = Report), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn record(
    _: May<EarlierRight>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Report>, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("text/csv")) {
        return record_csv(&app, request.into_body()).await.map(Json);
    }
    let Body(said) = Body::<Vec<Earlier>>::from_request(request, &()).await?;
    if said.len() > AT_ONCE {
        return Err(Problem::too_large(say!(
            "{count} items; at most {most}, or send CSV",
            count = said.len(),
            most = AT_ONCE
        )));
    }
    let (mut items, mut faults) = (Vec::new(), Vec::new());
    for (line, said) in (1..).zip(said) {
        match check(line, said, app.now()) {
            Ok(item) => items.push(item),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let mut connection = app.pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let Stored { moved, recorded, faults } = store(&app, &mut transaction, &items).await?;
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    transaction.commit().await?;
    events::follow(&app, &moved).await;
    let duplicates = count(items.len()).saturating_sub(recorded);
    Ok(Json(Report { recorded, duplicates, ..Report::default() }))
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

async fn record_csv(app: &App, body: axum::body::Body) -> Result<Report, Problem> {
    let mut records = Records::new(limited(body));
    let needed = ["seller", "number", "at", "outcome", "purpose", "technology"];
    let header = read_header(&mut records, &COLUMNS, &needed).await?;
    let mut report = Report::default();
    let mut items = Vec::new();
    loop {
        let record = records.next().await.map_err(|error| {
            let kept = report.recorded;
            Problem::malformed(
                say!("{error}; {kept} rows before it are recorded", kept)
                    .with("error", error.say()),
            )
        })?;
        let Some(record) = record else { break };
        match read(&header, record)
            .and_then(|(line, said)| check(line, said, app.now()).map_err(|fault| vec![fault]))
        {
            Ok(item) => items.push(item),
            Err(faults) => report.reject(faults),
        }
        if items.len() >= AT_ONCE {
            flush(app, &mut items, &mut report).await?;
        }
    }
    flush(app, &mut items, &mut report).await?;
    Ok(report)
}

impl Report {
    pub(super) fn reject(&mut self, faults: Vec<Fault>) {
        self.rejected += 1;
        let room = FAULTS.saturating_sub(self.faults.len());
        self.faults.extend(faults.into_iter().take(room));
    }
}

async fn flush(app: &App, items: &mut Vec<Item>, report: &mut Report) -> Result<(), Problem> {
    let mut connection = app.pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let Stored { moved, recorded, faults } = store(app, &mut transaction, items).await?;
    transaction.commit().await?;
    events::follow(app, &moved).await;
    report.recorded += recorded;
    report.duplicates += count(items.len().saturating_sub(faults.len())).saturating_sub(recorded);
    for fault in faults {
        report.reject(vec![fault]);
    }
    items.clear();
    Ok(())
}

fn read(
    header: &Header,
    record: crate::import::records::Record<'_>,
) -> Result<(u64, Earlier), Vec<Fault>> {
    let mut fields = header.fields(record)?;
    let cards = cards::in_row(&fields, &COLUMNS);
    if !cards.is_empty() {
        return Err(cards);
    }
    let line = fields.line;
    let seller = fields.must("seller");
    let number = fields.needed("number", 20);
    let person = fields.optional("person", 200);
    let account = fields.optional("account", 200);
    if fields.get("at").is_none() {
        fields.fault("at", "is missing");
    }
    let at = fields.time("at");
    let outcome = fields.must("outcome");
    let purpose = fields.must("purpose");
    let technology = fields.must("technology");
    let inbound = fields.word("inbound", "true, false").unwrap_or(false);
    let said = match (seller, at, outcome, purpose, technology) {
        (Some(seller), Some(at), Some(outcome), Some(purpose), Some(technology)) => Some(Earlier {
            seller,
            number,
            person,
            account,
            at: Time(at),
            outcome,
            purpose,
            technology,
            inbound,
        }),
        _ => None,
    };
    fields.finish(said).and_then(|said| said.map(|said| (line, said)).ok_or_else(Vec::new))
}

fn check(line: u64, said: Earlier, now: UnixMillis) -> Result<Item, Fault> {
    let fault =
        |field: &str, reason: Say| Err(Fault { line: Some(line), field: field.to_owned(), reason });
    let number = match said.number.parse::<E164>() {
        Ok(number) => number,
        Err(error) => return fault("number", error.into()),
    };
    if said.at.0 > now {
        return fault("at", "is in the future".into());
    }
    for (field, text) in [("person", &said.person), ("account", &said.account)] {
        if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > 200) {
            return fault(field, "must have 1 to 200 characters".into());
        }
    }
    Ok(Item { line, number, said })
}

/// The subjects of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Subjects {
    number: SubjectId,
    person: Option<SubjectId>,
    account: Option<SubjectId>,
}

/// What became of some items. Those that are neither recorded nor faults were known already.
struct Stored {
    moved: Vec<Moved>,
    recorded: u64,
    faults: Vec<Fault>,
}

/// What makes two records the same: nobody calls one number twice in a millisecond.
type Same = (SellerId, Subjects, i64, bool, Outcome, Purpose, Technology);

/// Those of these items that are on record. The heads are locked: another import waits.
async fn on_record(
    connection: &mut PgConnection,
    items: &[Item],
    subjects: &[Subjects],
) -> Result<BTreeSet<Same>, Problem> {
    let rows = sqlx::query(
        "SELECT DISTINCT e.seller_id, e.number_subject, e.person_subject, e.account_subject, e.at,
                e.inbound, e.outcome, e.purpose, e.technology
         FROM unnest($1::bigint[], $2::bigint[]) AS n(number, at)
         JOIN earlier_contact e ON e.number_subject = n.number AND e.at = n.at",
    )
    .bind(subjects.iter().map(|subjects| subjects.number.0).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.said.at.0.0).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let mut found = BTreeSet::new();
    for row in &rows {
        let code = |at: usize| -> Result<u8, sqlx::Error> {
            Ok(u8::try_from(row.try_get::<i16, _>(at)?).unwrap_or(u8::MAX))
        };
        let words = Outcome::from_code(code(6)?)
            .zip(Purpose::from_code(code(7)?))
            .zip(Technology::from_code(code(8)?));
        let Some(((outcome, purpose), technology)) = words else { continue };
        let seller = SellerId(row.try_get::<Uuid, _>(0)?.as_u128());
        let subjects = Subjects {
            number: SubjectId(row.try_get(1)?),
            person: row.try_get::<Option<i64>, _>(2)?.map(SubjectId),
            account: row.try_get::<Option<i64>, _>(3)?.map(SubjectId),
        };
        let (at, inbound) = (row.try_get(4)?, row.try_get(5)?);
        found.insert((seller, subjects, at, inbound, outcome, purpose, technology));
    }
    Ok(found)
}

/// Records the items in the caller's transaction, each once; those whose history is full are faults
/// and are not recorded.
async fn store(
    app: &App,
    connection: &mut PgConnection,
    items: &[Item],
) -> Result<Stored, Problem> {
    let now = app.now();
    let mut sellers: BTreeMap<SellerId, i32> = BTreeMap::new();
    let named: BTreeSet<SellerId> = items.iter().map(|item| item.said.seller).collect();
    for seller in &named {
        sellers.insert(*seller, number_of(connection, *seller).await?);
    }
    let subjects = name(app, connection, items, now).await?;
    let all: Vec<SubjectId> = subjects.iter().flat_map(Subjects::all).collect();
    let before: BTreeMap<SubjectId, Head> =
        lock_heads(connection, &all).await?.into_iter().collect();
    let mut heads = before.clone();
    let mut known = on_record(connection, items, &subjects).await?;
    let (mut kept, mut faults) = (Vec::new(), Vec::new());
    for (item, subjects) in items.iter().zip(&subjects) {
        if !known.insert(item.same(*subjects)) {
            continue;
        }
        let id = PlacementId(app.ulid());
        let no = sellers.get(&item.said.seller).copied().unwrap_or(0);
        if enter(&mut heads, subjects, id, item, no, now) {
            kept.push((id, item, subjects));
        } else {
            faults.push(Fault {
                line: Some(item.line),
                field: "number".to_owned(),
                reason: "the history of a subject is full: it denies every call as it is".into(),
            });
        }
    }
    insert(connection, &kept, now).await?;
    let moved: Vec<Moved> = heads
        .into_iter()
        .filter_map(|(subject, head)| {
            let from = before.get(&subject)?.token();
            (from != head.token()).then_some(Moved { subject, from, head })
        })
        .collect();
    store_heads(connection, &moved).await?;
    let entries: Vec<AuditEntry> = kept
        .iter()
        .map(|(id, item, subjects)| {
            AuditEntry::of(AuditRecord::new(None, body(*id, item, subjects), now))
        })
        .collect();
    rows::append_audit(connection, &entries).await?;
    Ok(Stored { moved, recorded: count(kept.len()), faults })
}

impl Item {
    const fn same(&self, subjects: Subjects) -> Same {
        let Earlier { seller, at, inbound, outcome, purpose, technology, .. } = &self.said;
        (*seller, subjects, at.0.0, *inbound, *outcome, *purpose, *technology)
    }
}

impl Subjects {
    fn all(&self) -> BTreeSet<SubjectId> {
        [Some(self.number), self.person, self.account].into_iter().flatten().collect()
    }
}

/// Persons, then accounts, then numbers: the order of locks of this process.
async fn name(
    app: &App,
    connection: &mut PgConnection,
    items: &[Item],
    now: UnixMillis,
) -> Result<Vec<Subjects>, Problem> {
    let mut mint = app.new_mint().map_err(Problem::internal)?;
    let sellers: BTreeSet<SellerId> = items.iter().map(|item| item.said.seller).collect();
    let mut persons: BTreeMap<(SellerId, &str), SubjectId> = BTreeMap::new();
    let mut accounts: BTreeMap<(SellerId, &str), SubjectId> = BTreeMap::new();
    for seller in &sellers {
        let of = items.iter().filter(|item| item.said.seller == *seller);
        let names: Vec<&str> = of.filter_map(|item| item.said.person.as_deref()).collect();
        let found = rows::persons(connection, *seller, &names, &mut mint, now).await?;
        persons.extend(names.into_iter().zip(found).map(|(n, f)| ((*seller, n), f.subject)));
    }
    for seller in &sellers {
        let of = items.iter().filter(|item| item.said.seller == *seller);
        let names: Vec<&str> = of.filter_map(|item| item.said.account.as_deref()).collect();
        let found = rows::accounts(connection, *seller, &names, &mut mint, now).await?;
        accounts.extend(names.into_iter().zip(found).map(|(n, f)| ((*seller, n), f.subject)));
    }
    let wanted: Vec<_> = items.iter().map(|item| (item.number, LineType::Unknown)).collect();
    let numbers = rows::numbers(connection, &app.keys, &wanted, &mut mint, now).await?;
    let of = |map: &BTreeMap<(SellerId, &str), SubjectId>, item: &Item, name: &Option<String>| {
        name.as_deref().and_then(|name| map.get(&(item.said.seller, name)).copied())
    };
    Ok(items
        .iter()
        .zip(numbers)
        .map(|(item, number)| Subjects {
            number: number.subject,
            person: of(&persons, item, &item.said.person),
            account: of(&accounts, item, &item.said.account),
        })
        .collect())
}

/// Puts the entry into each head, or into none if one of them is full.
fn enter(
    heads: &mut BTreeMap<SubjectId, Head>,
    subjects: &Subjects,
    id: PlacementId,
    item: &Item,
    seller: i32,
    now: UnixMillis,
) -> bool {
    let horizon = now.before(HORIZON);
    let entry = Entry {
        key: Entry::key_of(id),
        at_seconds: Entry::seconds(item.said.at.0),
        seller: SellerNo(u32::try_from(seller).unwrap_or(0)),
        campaign: CampaignNo(0),
        purpose: item.said.purpose,
        technology: item.said.technology,
        outcome: item.said.outcome,
        inbound: item.said.inbound,
    };
    let old = item.said.at.0 < horizon;
    // Too old for any rule that counts; but a refusal has no end in some places.
    let lasting = entry.lasting();
    if old && lasting.is_none() {
        return true;
    }
    let token = Token::from(id);
    let entered = |head: &Head| match lasting {
        Some(mark) if old => head.with_mark(token, mark),
        _ => head.with_entry(token, entry, horizon),
    };
    let mut next = Vec::new();
    for subject in subjects.all() {
        match heads.get(&subject).map(entered) {
            Some(Ok(head)) => next.push((subject, head)),
            Some(Err(_)) | None => return false,
        }
    }
    heads.extend(next);
    true
}

async fn insert(
    connection: &mut PgConnection,
    kept: &[(PlacementId, &Item, &Subjects)],
    now: UnixMillis,
) -> Result<(), Problem> {
    fn each<T>(
        kept: &[(PlacementId, &Item, &Subjects)],
        value: impl Fn(&Item, &Subjects) -> T,
    ) -> Vec<T> {
        kept.iter().map(|(_, item, subjects)| value(item, subjects)).collect()
    }
    sqlx::query(
        "INSERT INTO earlier_contact (id, seller_id, number_subject, person_subject, account_subject,
            inbound, purpose, technology, outcome, at, recorded_at)
         SELECT n.*, $11 FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[],
            $6::boolean[], $7::smallint[], $8::smallint[], $9::smallint[], $10::bigint[]) AS n",
    )
    .bind(kept.iter().map(|(id, _, _)| Uuid::from_u128(id.0)).collect::<Vec<_>>())
    .bind(each(kept, |item, _| Uuid::from_u128(item.said.seller.0)))
    .bind(each(kept, |_, subjects| subjects.number.0))
    .bind(each(kept, |_, subjects| subjects.person.map(|person| person.0)))
    .bind(each(kept, |_, subjects| subjects.account.map(|account| account.0)))
    .bind(each(kept, |item, _| item.said.inbound))
    .bind(each(kept, |item, _| i16::from(item.said.purpose.code())))
    .bind(each(kept, |item, _| i16::from(item.said.technology.code())))
    .bind(each(kept, |item, _| i16::from(item.said.outcome.code())))
    .bind(each(kept, |item, _| item.said.at.0.0))
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

fn body(id: PlacementId, item: &Item, subjects: &Subjects) -> dialer_audit::Body {
    Imported {
        event: AuditToken(id.0),
        what: if item.said.inbound {
            ImportedKind::InboundConversation
        } else {
            ImportedKind::Attempt
        },
        subjects: subjects.all().into_iter().collect(),
        seller: item.said.seller,
        occurred_at: item.said.at.0,
        outcome: item.said.outcome,
        source: "api".to_owned(),
    }
    .into()
}
