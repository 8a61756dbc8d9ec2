//! How the dialers see the trunks, and which campaigns stand still for want of one or of a prompt.

use std::collections::BTreeMap;

use dialer_types::{CampaignId, Say, TrunkId, UnixMillis};
use serde::Serialize;
use sqlx::{PgConnection, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{error::Problem, time::Time};

/// How old a heartbeat may be before its dialer is taken for dead, milliseconds.
const DEAD_AFTER_MS: i64 = 15_000;
/// Trunks named in a sentence: more would be no sentence.
const NAMED: i64 = 5;

/// Why a running campaign places no call, and cannot.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stalled {
    /// `no_trunk`, `no_prompt` or `no_dialer`.
    pub reason: &'static str,
    /// Since when; absent where nobody knows.
    pub since: Option<Time>,
    /// In words, in the language that was asked for.
    #[serde(serialize_with = "crate::words::spoken")]
    #[schema(value_type = String)]
    pub sentence: Say,
}

/// How the live dialers see a trunk.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrunkHealth {
    /// `up`, `down` (for every live dialer), `partly_down` or `unknown` (no dialer has said yet).
    pub state: &'static str,
    /// Since when it is down for somebody, or up for everybody.
    pub since: Option<Time>,
    /// Dialers for which it is down.
    pub down_for: i64,
    /// Live dialers.
    pub dialers: i64,
    /// Why it is down, in one word: `failing`, `refused`, `silent`, `unreachable`, `retry_after`
    /// or `trying`.
    pub reason: Option<String>,
    /// Why it is down, in the language that was asked for.
    #[serde(serialize_with = "spoken_if")]
    #[schema(value_type = Option<String>)]
    pub sentence: Option<Say>,
}

impl TrunkHealth {
    /// Of a trunk that no dialer has said anything of.
    pub(super) const fn unknown(dialers: i64) -> Self {
        let (since, down_for, reason, sentence) = (None, 0, None, None);
        Self { state: "unknown", since, down_for, dialers, reason, sentence }
    }
}

fn spoken_if<S: serde::Serializer>(say: &Option<Say>, serializer: S) -> Result<S::Ok, S::Error> {
    match say {
        Some(say) => crate::words::spoken(say, serializer),
        None => serializer.serialize_none(),
    }
}

/// The words of `trunk_state.reason`, told.
fn why(reason: &str) -> Say {
    match reason {
        "failing" => Say::of("calls fail before anybody is reached"),
        "refused" => Say::of("OPTIONS is refused with 503"),
        "silent" => Say::of("no answer to OPTIONS"),
        "unreachable" => Say::of("nothing can be sent to its address"),
        "retry_after" => Say::of("it asks to be left alone for a while (Retry-After)"),
        "trying" => Say::of("it answers OPTIONS again and is tried with one call at a time"),
        other => Say::raw(other),
    }
}

/// Why a running campaign cannot place a call: it has no trunk that any live dialer could use, or no
/// dialer can play its prompt.
pub(super) async fn stalled(
    connection: &mut PgConnection,
    campaign: CampaignId,
    status: &str,
    now: UnixMillis,
) -> Result<Option<Stalled>, Problem> {
    if status != "running" {
        return Ok(None);
    }
    let row = sqlx::query(
        "WITH live AS (
             SELECT id FROM node
             WHERE kind = 'dialer' AND stopped_at IS NULL AND heartbeat_at > $2
         ), seen AS (
             SELECT coalesce(s.open, false) AS open, s.since
             FROM campaign_trunk t CROSS JOIN live
             LEFT JOIN trunk_state s ON s.node = live.id AND s.trunk_id = t.trunk_id
             WHERE t.campaign_id = $1
         )
         SELECT EXISTS (SELECT FROM live), EXISTS (SELECT FROM seen WHERE NOT open),
                (SELECT max(since) FROM seen), (SELECT max(heartbeat_at) FROM node WHERE kind = 'dialer'),
                NOT EXISTS (SELECT FROM live LEFT JOIN prompt_state p
                            ON p.node = live.id AND p.campaign_id = $1 WHERE p.node IS NULL),
                (SELECT a.dialed_by = 'permits' FROM campaign a WHERE a.id = $1)",
    )
    .bind(Uuid::from_u128(campaign.0))
    .bind(now.0.saturating_sub(DEAD_AFTER_MS))
    .fetch_one(&mut *connection)
    .await?;
    if row.try_get(5)? {
        // Its owner's dialer has trunks that we know nothing of.
        return Ok(None);
    }
    let (live, usable): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    let (since, beat): (Option<i64>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
    let silent: bool = row.try_get(4)?;
    if live && silent {
        return no_prompt(connection, campaign).await.map(Some);
    }
    Ok(match (live, usable) {
        (_, true) => None,
        (false, false) => Some(Stalled {
            reason: "no_dialer",
            since: beat.map(Time::at),
            sentence: Say::of("stalled: no dialer is running"),
        }),
        (true, false) => Some(Stalled {
            reason: "no_trunk",
            since: since.map(Time::at),
            sentence: no_trunk(connection, campaign, now).await?,
        }),
    })
}

async fn no_prompt(
    connection: &mut PgConnection,
    campaign: CampaignId,
) -> Result<Stalled, Problem> {
    let row = sqlx::query(
        "SELECT c.prompt, p.reason, p.since FROM campaign c
         JOIN prompt_state p ON p.campaign_id = c.id WHERE c.id = $1 ORDER BY p.since DESC LIMIT 1",
    )
    .bind(Uuid::from_u128(campaign.0))
    .fetch_one(connection)
    .await?;
    let (prompt, reason): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let why = match reason.as_str() {
        "missing" => Say::of("it is not in the dialers' folder of prompts"),
        "format" => Say::of("it is not a WAV of 16 bits PCM with 8000 or 16000 samples a second"),
        _ => Say::of("the dialers cannot read it"),
    };
    Ok(Stalled {
        reason: "no_prompt",
        since: Some(Time::at(row.try_get(2)?)),
        sentence: Say::of("stalled: no prompt ({prompt}: {why})")
            .with("prompt", &prompt)
            .with("why", why),
    })
}

async fn no_trunk(
    connection: &mut PgConnection,
    campaign: CampaignId,
    now: UnixMillis,
) -> Result<Say, Problem> {
    let rows = sqlx::query(
        "SELECT DISTINCT tr.name, s.reason FROM campaign_trunk t
         JOIN trunk tr ON tr.id = t.trunk_id
         JOIN trunk_state s ON s.trunk_id = t.trunk_id AND s.open
         JOIN node n ON n.id = s.node AND n.stopped_at IS NULL AND n.heartbeat_at > $2
         WHERE t.campaign_id = $1 ORDER BY 1, 2 LIMIT $3",
    )
    .bind(Uuid::from_u128(campaign.0))
    .bind(now.0.saturating_sub(DEAD_AFTER_MS))
    .bind(NAMED)
    .fetch_all(connection)
    .await?;
    let mut all: Option<Say> = None;
    for row in &rows {
        let (name, reason): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let one = Say::of("{trunk}: {why}").with("trunk", &name).with("why", why(&reason));
        all = Some(match all {
            None => one,
            Some(before) => Say::of("{before}; {one}").with("before", before).with("one", one),
        });
    }
    Ok(match all {
        None => Say::of("stalled: no trunk"),
        Some(why) => Say::of("stalled: no trunk ({why})").with("why", why),
    })
}

/// How the live dialers see every trunk; and how many dialers are live.
pub(super) async fn trunk_health(
    connection: &mut PgConnection,
    now: UnixMillis,
) -> Result<(BTreeMap<TrunkId, TrunkHealth>, i64), Problem> {
    let fresh = now.0.saturating_sub(DEAD_AFTER_MS);
    let dialers: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM node
         WHERE kind = 'dialer' AND stopped_at IS NULL AND heartbeat_at > $1",
    )
    .bind(fresh)
    .fetch_one(&mut *connection)
    .await?;
    let rows = sqlx::query(
        "SELECT s.trunk_id, count(*) FILTER (WHERE s.open), max(s.since) FILTER (WHERE s.open),
                max(s.since), min(s.reason) FILTER (WHERE s.open)
         FROM trunk_state s
         JOIN node n ON n.id = s.node AND n.stopped_at IS NULL AND n.heartbeat_at > $1
         GROUP BY 1",
    )
    .bind(fresh)
    .fetch_all(connection)
    .await?;
    let mut health = BTreeMap::new();
    for row in &rows {
        let (id, down_for): (Uuid, i64) = (row.try_get(0)?, row.try_get(1)?);
        let (down, any): (Option<i64>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
        let reason: Option<String> = row.try_get(4)?;
        let state = match down_for {
            0 => "up",
            down_for if down_for >= dialers => "down",
            _ => "partly_down",
        };
        let seen = TrunkHealth {
            state,
            since: down.or(any).map(Time::at),
            down_for,
            dialers,
            sentence: reason.as_deref().map(why),
            reason,
        };
        health.insert(TrunkId(id.as_u128()), seen);
    }
    Ok((health, dialers))
}
