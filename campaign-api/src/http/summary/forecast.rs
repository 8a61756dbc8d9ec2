//! The dry run of a campaign: in each hour of the next seven days how many contacts the rules let
//! be called, and what holds the others back. Nothing is placed, nothing is changed.

mod tally;

use std::sync::Arc;

use axum::{Json, extract::State};
use chrono::{DateTime, Timelike};
use chrono_tz::Tz;
use dialer_types::{CampaignId, ListId, UnixMillis, say};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    super::{
        auth::{May, Why},
        error::Problem,
        extract::{Faults, Id, MayBody},
        time::Time,
    },
    Barred, States, Unlock, barred, states,
    tally::{scale, scaled},
    turn, unlocks,
};
use crate::{
    app::App,
    judging::{self, AT_ONCE, Campaign, HOURS, Which},
    words::{codes, language, told},
};
use tally::Counted;

/// Contacts that are judged for one forecast: each some twenty times. Above, every n-th is, chosen
/// by a hash of its id, and the scale is stated.
const MOST: u64 = 100_000;
/// What is asked; without a body all of the campaign, in hours of UTC.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// Only the contacts of this list (ULID).
    list: Option<String>,
    /// IANA name of the zone whose full hours are counted, for example `Asia/Kolkata`; UTC without.
    #[schema(example = "America/New_York")]
    zone: Option<String>,
}

/// The next seven days. `contacts` = `callable` + `beyond` + `never` + `under_way` + `finished`,
/// always. It says what the rules allow, if nobody is called in between and no fact changes: not how
/// many calls the trunks and the pace of the campaign will get done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Forecast {
    /// The moment it speaks of.
    pub at: Time,
    /// The zone whose hours are counted.
    pub zone: String,
    /// The end of the last hour.
    pub until: Time,
    /// All of them.
    pub contacts: u64,
    /// Those that may be called in one hour or more.
    pub callable: u64,
    /// Those that only time keeps from being called, for longer than these days.
    pub beyond: u64,
    /// Those that something else keeps from being called in all these days.
    pub never: u64,
    /// In a dialer's hands.
    pub under_way: u64,
    /// Done with.
    pub finished: u64,
    /// 168 hours of elapsed time. The first is under way: what of it is over does not count.
    pub hours: Vec<Hour>,
    /// The rules that hold contacts back, by how many hours they cost.
    pub held_by: Vec<HeldBy>,
    /// Of `never`: supplying this one fact alone would leave nothing, or only time, in the way.
    pub unlock: Vec<Unlock>,
    /// Of `never`: those that no fact unlocks, by what keeps them from being called.
    pub blocked: Vec<Barred>,
    /// Of `never`: those that need two facts or more.
    pub needs_several: u64,
    /// Of `never`: those that nothing changes.
    pub for_good: u64,
    /// Of `never`: those whose data cannot be read.
    pub unreadable: u64,
    /// Contacts that were judged one by one.
    pub judged: u64,
    /// Every how many-th contact was judged. Above 1 the counts are estimates scaled up from those.
    pub one_in: u64,
}

/// One hour.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hour {
    /// Its beginning.
    pub from: Time,
    /// The same in the zone: `2026-11-27T09:00:00-05:00`.
    pub local: String,
    /// Contacts that may be called at some moment of it.
    pub callable: u64,
    /// Of the others, those whose next try is not due yet (a disposition that is tried again).
    pub not_due: u64,
}

/// A rule that holds contacts back.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldBy {
    /// Its id.
    pub rule: String,
    /// What it is called.
    pub title: String,
    /// Where it is written.
    pub citation: String,
    /// What it waits for; `null` where time alone helps.
    pub waits_for: Option<String>,
    /// It in a sentence.
    pub sentence: String,
    /// Contacts that it holds back for one whole hour or more.
    pub contacts: u64,
    /// In each of the 168 hours how many contacts it holds back in all of it. Of a contact that time
    /// alone holds back, the rule that lets it go last counts; of another every rule that no time
    /// lifts.
    pub by_hour: Vec<u64>,
}

/// Dry run: per hour of the next seven days how many contacts may be called, and why not the others.
#[utoipa::path(post, path = "/v1/campaigns/{id}/forecast", tag = "summaries",
    params(("id" = String, Path, description = "ULID of the campaign")),
    request_body(content = Option<Asked>, description = "Which contacts, in which zone's hours"),
    responses((status = 200, body = Forecast), (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn make(
    _: May<Why>,
    State(app): State<Arc<App>>,
    Id(campaign): Id<CampaignId>,
    MayBody(asked): MayBody<Asked>,
) -> Result<Json<Forecast>, Problem> {
    let mut faults = Faults::default();
    let list: Option<ListId> = asked.list.and_then(|list| faults.parse("list", &list));
    let zone = asked.zone.as_deref().unwrap_or("UTC");
    let zone: Tz = zone.parse().unwrap_or_else(|_| {
        faults.add("zone", "must be the name of a time zone, like America/New_York");
        Tz::UTC
    });
    faults.finish()?;
    forecast(&app, campaign, list, zone).await.map(Json)
}

/// Judges batch after batch. A client that goes away drops this between two batches.
async fn forecast(
    app: &App,
    id: CampaignId,
    list: Option<ListId>,
    zone: Tz,
) -> Result<Forecast, Problem> {
    let _turn = turn(app).await?;
    let lists = app.judging.lists().await?;
    let rules = app.judging.ruleset();
    let language = language();
    let mut snapshot = judging::snapshot(app).await?;
    let now = app.now();
    let campaign = judging::campaign(&mut snapshot, id).await?;
    of_campaign(&mut snapshot, &campaign, list).await?;
    let states = states(&mut snapshot, &campaign, list).await?;
    let one_in = i64::try_from(states.open.div_ceil(MOST).max(1)).unwrap_or(1);
    let mut which = Which { list, open: true, one_in, ..Which::default() };
    let start = hour_of(now, zone);
    let mut counted = Counted::new(start, now, language);
    loop {
        let known = judging::contacts(&mut snapshot, &app.keys, &lists, &campaign, &which).await?;
        let last = known.last().map(|contact| contact.id);
        let full = i64::try_from(known.len()).is_ok_and(|rows| rows == AT_ONCE);
        let ruleset = Arc::clone(&rules);
        let judging = move || {
            known.iter().for_each(|contact| counted.add(contact, &ruleset));
            counted
        };
        counted = tokio::task::spawn_blocking(judging).await.map_err(Problem::internal)?;
        which.after = last;
        if !full {
            break;
        }
    }
    Ok(told_of(&counted, &states, one_in, zone))
}

/// Refuses a list that is not the campaign's: it would be forecast as nobody.
async fn of_campaign(
    connection: &mut sqlx::PgConnection,
    campaign: &Campaign,
    list: Option<ListId>,
) -> Result<(), Problem> {
    let Some(list) = list else { return Ok(()) };
    let row = sqlx::query("SELECT campaign_id FROM contact_list WHERE id = $1")
        .bind(Uuid::from_u128(list.0))
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| Problem::not_found(say!("no list {list}", list)))?;
    if row.try_get::<Uuid, _>(0)?.as_u128() != campaign.id.0 {
        return Err(Problem::not_found(say!("the campaign has no list {list}", list)));
    }
    Ok(())
}

/// The beginning of the full hour that the clock of a zone shows.
fn hour_of(now: UnixMillis, zone: Tz) -> UnixMillis {
    let Some(utc) = DateTime::from_timestamp_millis(now.0) else { return now };
    let local = utc.with_timezone(&zone);
    let over = i64::from(local.minute() * 60 + local.second()) * 1000;
    UnixMillis(now.0 - over - i64::from(local.timestamp_subsec_millis()))
}

fn told_of(counted: &Counted, states: &States, one_in: i64, zone: Tz) -> Forecast {
    let judged = counted.judged();
    let never = &counted.never;
    let parts = [counted.callable, counted.beyond, never.never, 0];
    let [callable, beyond, refused, rest] = scaled(parts, states.open);
    let up = |count: u64| scale(count, states.open, judged);
    let local = |from: UnixMillis| {
        let at = DateTime::from_timestamp_millis(from.0).unwrap_or_default();
        at.with_timezone(&zone).to_rfc3339()
    };
    let hours = counted.hours.iter().enumerate().map(|(place, hour)| {
        let from = counted.hour(place);
        Hour {
            from: Time(from),
            local: local(from),
            callable: up(hour.callable),
            not_due: up(hour.not_due),
        }
    });
    let held = counted.held.iter().map(|(rule, held)| HeldBy {
        rule: rule.to_string(),
        title: held.title.clone(),
        citation: held.citation.clone(),
        sentence: match &held.waits_for {
            Some(word) => codes::cause(word),
            None => told(&say!(
                "{title}: time alone stands in the way, and the call is lawful later",
                title = held.title
            )),
        },
        waits_for: held.waits_for.clone(),
        contacts: up(held.contacts),
        by_hour: held.by_hour.iter().map(|count| up(*count)).collect(),
    });
    let mut held_by: Vec<_> = held.collect();
    held_by.sort_by_key(|it| std::cmp::Reverse(it.by_hour.iter().sum::<u64>()));
    Forecast {
        at: Time(counted.now),
        zone: zone.name().to_owned(),
        until: Time(counted.hour(HOURS)),
        contacts: states.open + states.under_way + states.finished,
        callable,
        beyond,
        never: refused + rest,
        under_way: states.under_way,
        finished: states.finished,
        hours: hours.collect(),
        held_by,
        unlock: unlocks(never, up),
        blocked: barred(never, up),
        needs_several: up(never.needs_several),
        for_good: up(never.for_good),
        unreadable: up(never.unreadable),
        judged,
        one_in: u64::try_from(one_in).unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn hours_are_those_of_the_zones_clock() {
        let at = |text: &str| Time::read(text).unwrap().0;
        for (zone, start) in [
            (Tz::UTC, "2026-11-27T09:00:00Z"),
            (Tz::Asia__Kolkata, "2026-11-27T08:30:00Z"),
            (Tz::Asia__Kathmandu, "2026-11-27T09:15:00Z"),
            (Tz::America__New_York, "2026-11-27T09:00:00Z"),
        ] {
            assert_eq!(hour_of(at("2026-11-27T09:20:30.250Z"), zone), at(start), "{zone}");
        }
    }
}
