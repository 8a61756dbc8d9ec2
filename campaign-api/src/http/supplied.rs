//! Facts that somebody looked up, wrote down or counted, and that rules ask for: what they have in
//! common. Each sort has a module of its own.

pub mod counters;
pub mod licences;
pub mod number_checks;
pub mod wishes;

use chrono::NaiveDate;
use dialer_audit::{
    Record,
    record::{FactKind, FactRecorded, Token as AuditToken},
};
use dialer_limiter::Token;
use dialer_policy::Wait;
use dialer_types::{CampaignId, PlacementId, Say, SellerId, SubjectId, UnixMillis, say};
use schema::{
    heads::Moved,
    rows::{self, AuditEntry},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Postgres, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    attempts::ulid,
    error::Problem,
    extract::{Faults, free_text::holds_number},
};
use crate::{app::App, events, users::Caller, words::told};

/// The longest id of a database, a licence or a counter.
const ID: usize = 100;
/// The longest word on where evidence is kept, in characters.
const SOURCE: usize = 500;
/// Most rows of one answer: more events on one person or number are a loop in somebody's program.
const MOST: i64 = 1000;

/// What became of a fact.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnRecord {
    /// The event: the new token of the heads it moved, if it moved any. ULID.
    pub event: String,
    /// The subjects (numbers and persons) whose heads it moved.
    pub subjects: Vec<i64>,
    /// Contacts that waited for this and are due now.
    pub woken: u64,
    /// Contacts that wait for this and that the dialers judge again within seconds.
    pub waiting: i64,
    /// Warnings in words; none if all is well.
    pub notes: Vec<String>,
}

impl OnRecord {
    fn new(event: Token, notes: &[Say]) -> Self {
        Self {
            event: PlacementId(event.0).to_string(),
            subjects: Vec::new(),
            woken: 0,
            waiting: 0,
            notes: notes.iter().map(told).collect(),
        }
    }
}

/// The id of a database, a licence or a counter, as rules name it.
fn check_id(faults: &mut Faults, field: &str, id: &str) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if id.is_empty() || id.len() > ID || !id.chars().all(fits) {
        faults.add(
            field,
            say!("must be the id that a rule names: 1 to {most} letters, digits, '.', '_' and '-', like us.rnd", most = ID),
        );
    }
}

/// Where the evidence of it is kept: part of the audit.
fn check_source(faults: &mut Faults, source: &str) {
    faults.text("source", source, SOURCE);
    if holds_number(source) {
        faults.add("source", "holds something like a telephone number; the audit holds none");
    }
}

/// A date as people write it in programs.
fn date(faults: &mut Faults, field: &str, text: &str) -> Option<NaiveDate> {
    // The driver and the calendar reach farther than anybody's papers do.
    let years = NaiveDate::from_ymd_opt(1900, 1, 1)?..NaiveDate::from_ymd_opt(2200, 1, 1)?;
    let read = text.parse().ok().filter(|date| years.contains(date));
    if read.is_none() {
        faults.add(field, "must be a date of the years 1900 to 2199, like 2026-12-24");
    }
    read
}

/// A warning where no rule that is loaded asks for this.
fn unasked(app: &App, wait: &Wait) -> Option<Say> {
    let asked = app.judging.ruleset().facts_asked().any(|it| it == *wait);
    (!asked).then(|| match wait {
        Wait::Check(id) | Wait::Licence(id) | Wait::Counter(id) => say!("no rule that is loaded asks for {id}, so it changes no verdict: check the id, or add a rule", id),
        _ => "no rule that is loaded heeds wishes, so they change no verdict: add a rule of the kind preference".into(),
    })
}

/// What the audit keeps of a fact.
pub(super) struct Fact {
    pub(super) what: FactKind,
    pub(super) subjects: Vec<SubjectId>,
    pub(super) seller: Option<SellerId>,
    pub(super) campaign: Option<CampaignId>,
    pub(super) about: Option<String>,
    pub(super) said: String,
    pub(super) said_at: UnixMillis,
    pub(super) evidence: String,
}

pub(super) async fn audit(
    connection: &mut PgConnection,
    fact: Fact,
    event: Token,
    caller: Caller,
    now: UnixMillis,
) -> Result<(), Problem> {
    let campaign = fact.campaign;
    let body = FactRecorded {
        event: AuditToken(event.0),
        what: fact.what,
        subjects: fact.subjects,
        seller: fact.seller,
        campaign,
        about: fact.about,
        said: fact.said,
        said_at: fact.said_at,
        evidence: fact.evidence,
        actor: ulid(caller.user),
    };
    let record = Record::new(None, body.into(), now);
    rows::append_audit(connection, &[AuditEntry { campaign, ..AuditEntry::of(record) }]).await?;
    Ok(())
}

/// Whose.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// ULID of the seller.
    pub seller: String,
}

/// The seller of a question.
fn asked_seller(text: &str) -> Result<SellerId, Problem> {
    let mut faults = Faults::default();
    let seller = faults.parse("seller", text);
    faults.finish()?;
    seller.ok_or_else(|| Problem::internal("a question without faults"))
}

/// Commits, and lets Redis follow. What is stricter ends calls, as an opt-out does.
async fn conclude(
    app: &App,
    mut transaction: Transaction<'_, Postgres>,
    moved: &[Moved],
    seller: i32,
    stricter: bool,
    now: UnixMillis,
) -> Result<(), Problem> {
    if stricter {
        events::announce_opt_out(&mut transaction, moved, seller, None, now).await?;
    }
    transaction.commit().await?;
    if stricter {
        events::opted_out(app, moved).await;
    } else {
        events::follow(app, moved).await;
    }
    Ok(())
}

/// How many contacts of a seller wait for this. The dialers see that it came, and wake them: there
/// may be millions, and no request waits for that.
async fn waiting(
    connection: &mut PgConnection,
    seller: SellerId,
    cause: &str,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) FROM parked WHERE cause = $2
             AND campaign_id IN (SELECT id FROM campaign WHERE seller_id = $1)",
    )
    .bind(Uuid::from_u128(seller.0))
    .bind(cause)
    .fetch_one(connection)
    .await
}
