//! The summary that matters: of these contacts, who may be called now, later today, later, never,
//! and which missing fact would unlock how many.

pub mod forecast;
mod tally;

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use dialer_types::{CampaignId, ListId, UnixMillis, say};
use serde::Serialize;
use sqlx::{PgConnection, Row};
use tokio::{sync::SemaphorePermit, time::timeout};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{May, Why},
    error::Problem,
    extract::Id,
    time::Time,
};
use crate::{
    app::App,
    judging::{self, AT_ONCE, Campaign, Which},
    words::{codes, language, told},
};
use tally::{Tally, scaled};

/// Contacts that are judged for one summary. Above, every n-th is, chosen by a hash of its id, and
/// the scale is stated.
const MOST: u64 = 200_000;
/// How long a summary waits for its turn.
const TURN: Duration = Duration::from_secs(30);

/// Where the contacts of a list or campaign stand. `contacts` = `callable_now` + `later_today` +
/// `later` + `never` + `under_way` + `finished`, always.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// The moment it speaks of.
    pub at: Time,
    /// `draft`, `running`, `paused`, `stopped` or `ended`: only a running campaign calls anybody.
    pub campaign_status: String,
    /// All of them.
    pub contacts: u64,
    /// No rule denies a call now. It may take a while until their turn comes.
    pub callable_now: u64,
    /// Only time stands in the way, and it has passed within this day, in every zone where the
    /// person may be.
    pub later_today: u64,
    /// Only time stands in the way, for longer.
    pub later: u64,
    /// No passing of time brings a lawful call. What would is under `unlock`, what keeps the others
    /// under `blocked`.
    pub never: u64,
    /// In a dialer's hands.
    pub under_way: u64,
    /// Done with.
    pub finished: u64,
    /// Of `never`: supplying this one fact alone would leave nothing, or only time, in the way.
    /// One contact may be under several.
    pub unlock: Vec<Unlock>,
    /// Of `never`: those that no fact unlocks, by what keeps them from being called. One contact may
    /// be under several.
    pub blocked: Vec<Barred>,
    /// Of `never`: those that need two facts or more.
    pub needs_several: u64,
    /// Of `never`: those that nothing changes.
    pub for_good: u64,
    /// Of `never`: those whose data cannot be read.
    pub unreadable: u64,
    /// The rules that deny now, by how many contacts each stands in the way of.
    pub blocked_by: Vec<Blocked>,
    /// Contacts that were judged one by one.
    pub judged: u64,
    /// Every how many-th contact was judged. Above 1 the counts are estimates scaled up from those.
    pub one_in: u64,
}

/// A missing fact.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unlock {
    /// `consent`, `address`, `list:ID`, `feed` or `contact`: words of a parked contact's cause.
    pub waits_for: String,
    /// How many it would unlock by itself.
    pub contacts: u64,
    /// It in a sentence.
    pub sentence: String,
}

/// What nobody unlocks by supplying a fact.
#[derive(Debug, Serialize, ToSchema)]
pub struct Barred {
    /// `suppression`, `pack` or `obligation:WORD`: words of a parked contact's cause.
    pub waits_for: String,
    /// How many it keeps from being called.
    pub contacts: u64,
    /// It in a sentence.
    pub sentence: String,
}

/// A rule that stands in the way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Blocked {
    /// Its id.
    pub rule: String,
    /// What it is called.
    pub title: String,
    /// Where it is written.
    pub citation: String,
    /// Contacts that are not callable now and have a number that it denies.
    pub contacts: u64,
}

/// Of a campaign: who may be called when.
#[utoipa::path(get, path = "/v1/campaigns/{id}/summary", tag = "summaries",
    params(("id" = String, Path, description = "ULID of the campaign")),
    responses((status = 200, body = Summary), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn of_campaign(
    _: May<Why>,
    State(app): State<Arc<App>>,
    Id(campaign): Id<CampaignId>,
) -> Result<Json<Summary>, Problem> {
    make(&app, campaign, None).await.map(Json)
}

/// Of a list: who may be called when.
#[utoipa::path(get, path = "/v1/lists/{id}/summary", tag = "summaries",
    params(("id" = String, Path, description = "ULID of the list")),
    responses((status = 200, body = Summary), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn of_list(
    _: May<Why>,
    State(app): State<Arc<App>>,
    Id(list): Id<ListId>,
) -> Result<Json<Summary>, Problem> {
    let campaign: Uuid = sqlx::query_scalar("SELECT campaign_id FROM contact_list WHERE id = $1")
        .bind(Uuid::from_u128(list.0))
        .fetch_optional(&app.pool)
        .await?
        .ok_or_else(|| Problem::not_found(say!("no list {list}", list)))?;
    make(&app, CampaignId(campaign.as_u128()), Some(list)).await.map(Json)
}

/// Waits until a summary or forecast may be made; its turn ends with what it returns.
async fn turn(app: &App) -> Result<SemaphorePermit<'_>, Problem> {
    timeout(TURN, app.judging.summaries.acquire())
        .await
        .map_err(|_| {
            Problem::conflict("busy", "other summaries are being made; ask again in a minute")
        })?
        .map_err(Problem::internal)
}

/// Judges batch after batch. A client that goes away drops this between two batches.
async fn make(app: &App, id: CampaignId, list: Option<ListId>) -> Result<Summary, Problem> {
    let _turn = turn(app).await?;
    let lists = app.judging.lists().await?;
    let rules = app.judging.ruleset();
    let language = language();
    let mut snapshot = judging::snapshot(app).await?;
    let now = app.now();
    let campaign = judging::campaign(&mut snapshot, id).await?;
    let states = states(&mut snapshot, &campaign, list).await?;
    let one_in = i64::try_from(states.open.div_ceil(MOST).max(1)).unwrap_or(1);
    let mut which = Which { list, open: true, one_in, ..Which::default() };
    let mut tally = Tally::default();
    loop {
        let known = judging::contacts(&mut snapshot, &app.keys, &lists, &campaign, &which).await?;
        let last = known.last().map(|contact| contact.id);
        let full = i64::try_from(known.len()).is_ok_and(|rows| rows == AT_ONCE);
        let ruleset = Arc::clone(&rules);
        let judging = move || {
            for contact in &known {
                let opinion = contact.case.judge(&ruleset, now);
                tally.add(&opinion, contact.retried_at(now), now, language);
            }
            tally
        };
        tally = tokio::task::spawn_blocking(judging).await.map_err(Problem::internal)?;
        which.after = last;
        if !full {
            break;
        }
    }
    Ok(told_of(&tally, &states, one_in, (now, campaign.status)))
}

fn told_of(
    tally: &Tally,
    states: &States,
    one_in: i64,
    (now, campaign_status): (UnixMillis, String),
) -> Summary {
    let judged = tally.judged();
    let parts = [tally.callable_now, tally.later_today, tally.later, tally.never];
    let [callable_now, later_today, later, never] = scaled(parts, states.open);
    let up = |count: u64| tally::scale(count, states.open, judged);
    let blocked = tally.blocked.iter().map(|(rule, held)| Blocked {
        rule: rule.to_string(),
        title: held.title.clone(),
        citation: held.citation.clone(),
        contacts: up(held.contacts),
    });
    let mut blocked_by: Vec<_> = blocked.collect();
    blocked_by.sort_by_key(|it| std::cmp::Reverse(it.contacts));
    Summary {
        at: Time(now),
        campaign_status,
        contacts: states.open + states.under_way + states.finished,
        callable_now,
        later_today,
        later,
        never,
        under_way: states.under_way,
        finished: states.finished,
        unlock: unlocks(tally, up),
        blocked: barred(tally, up),
        needs_several: up(tally.needs_several),
        for_good: up(tally.for_good),
        unreadable: up(tally.unreadable),
        blocked_by,
        judged,
        one_in: u64::try_from(one_in).unwrap_or(1),
    }
}

/// The facts that would unlock contacts, the most first; `up` scales counts of a sample.
fn unlocks(tally: &Tally, up: impl Fn(u64) -> u64) -> Vec<Unlock> {
    let unlock = tally.unlock.iter().map(|(word, contacts)| Unlock {
        waits_for: word.clone(),
        contacts: up(*contacts),
        sentence: told(&say!(
            "would unlock {contacts}: {remedy}",
            contacts = up(*contacts),
            remedy = codes::cause(word)
        )),
    });
    let mut unlock: Vec<_> = unlock.collect();
    unlock.sort_by_key(|it| std::cmp::Reverse(it.contacts));
    unlock
}

/// What no fact unlocks, the most first.
fn barred(tally: &Tally, up: impl Fn(u64) -> u64) -> Vec<Barred> {
    let barred = tally.barred.iter().map(|(word, contacts)| Barred {
        waits_for: word.clone(),
        contacts: up(*contacts),
        sentence: told(&say!(
            "keeps {contacts} from being called: {remedy}",
            contacts = up(*contacts),
            remedy = codes::cause(word)
        )),
    });
    let mut barred: Vec<_> = barred.collect();
    barred.sort_by_key(|it| std::cmp::Reverse(it.contacts));
    barred
}

/// How many contacts there are to judge, and how many not.
#[derive(Debug, Default)]
struct States {
    open: u64,
    under_way: u64,
    finished: u64,
}

async fn states(
    connection: &mut PgConnection,
    campaign: &Campaign,
    list: Option<ListId>,
) -> Result<States, Problem> {
    let rows = sqlx::query(
        "SELECT state, count(*) FROM contact
         WHERE campaign_id = $1 AND ($2::uuid IS NULL OR list_id = $2) GROUP BY 1",
    )
    .bind(Uuid::from_u128(campaign.id.0))
    .bind(list.map(|list| Uuid::from_u128(list.0)))
    .fetch_all(connection)
    .await?;
    let mut states = States::default();
    for row in &rows {
        let (state, count): (i16, i64) = (row.try_get(0)?, row.try_get(1)?);
        let place = match state {
            3 => &mut states.under_way,
            5 => &mut states.finished,
            _ => &mut states.open,
        };
        *place += u64::try_from(count).unwrap_or(0);
    }
    Ok(states)
}
