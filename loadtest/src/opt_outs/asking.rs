//! Opting out, one person after the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::stack::{Api, clock};

/// Since when the first number has rung: the second is about to be called.
const RUNG_MS: std::ops::RangeInclusive<i64> = 900..=10_000;
/// Between two looks for somebody who is called.
const LOOK: Duration = Duration::from_millis(10);
/// How long may pass without anybody.
const NOBODY: Duration = Duration::from_secs(30);

/// Somebody who has opted out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// Number of the person.
    pub(super) person: u32,
    /// When the answer was read, ms of the deployment's clock.
    pub(super) answered_at: i64,
    /// How long it took, ms.
    pub(super) took_ms: i64,
}

/// Asks in a thread of its own.
#[derive(Debug)]
pub(super) struct Asking {
    thread: JoinHandle<anyhow::Result<Vec<Answered>>>,
    /// That nobody needs more than were asked for.
    enough: Arc<AtomicBool>,
}

impl Asking {
    /// Has `count` people opt out, and more until it is [enough](Self::enough).
    pub(super) fn start(
        api: Api,
        seller: String,
        count: u32,
        postgres: String,
        offset_ms: i64,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let count = usize::try_from(count)?;
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let thread = thread::Builder::new().name("opt-outs".to_owned()).spawn(move || {
            let mut connection = runtime.block_on(PgConnection::connect(&postgres))?;
            let mut done = Vec::new();
            while done.len() < count || !told.load(Ordering::Acquire) {
                let called = clock::monotonic();
                let person = loop {
                    let now = clock::real_unix_millis() + offset_ms;
                    let found = called_person(&mut connection, now, &done);
                    if let Some(person) = runtime.block_on(found)? {
                        break person;
                    }
                    if done.len() >= count && told.load(Ordering::Acquire) {
                        return Ok(done);
                    }
                    if called.elapsed() > NOBODY {
                        bail!("nobody was called for {NOBODY:?}");
                    }
                    thread::sleep(LOOK);
                };
                done.push(opt_out(&api, &seller, person, offset_ms)?);
            }
            Ok(done)
        })?;
        Ok(Self { thread, enough })
    }

    /// Nobody need opt out but those who were asked for.
    pub(super) fn enough(&self) {
        self.enough.store(true, Ordering::Release);
    }

    pub(super) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    pub(super) fn end(self) -> anyhow::Result<Vec<Answered>> {
        self.thread.join().unwrap_or_else(|_| bail!("asking panicked"))
    }
}

/// Somebody whose one number rings and whose other was not called yet; who has rung longest.
async fn called_person(
    connection: &mut PgConnection,
    now: i64,
    done: &[Answered],
) -> anyhow::Result<Option<u32>> {
    let done: Vec<String> = done.iter().map(|one| format!("p{}", one.person)).collect();
    let found: Option<String> = sqlx::query_scalar(
        "SELECT r.external_id
         FROM placement p JOIN person r ON r.subject_id = p.person_subject
         WHERE r.external_id <> ALL($3)
         GROUP BY r.external_id
         HAVING count(*) = 1 AND min(p.at) BETWEEN $1 AND $2
         ORDER BY min(p.at) LIMIT 1",
    )
    .bind(now - RUNG_MS.end())
    .bind(now - RUNG_MS.start())
    .bind(done)
    .fetch_optional(connection)
    .await?;
    let number = |id: String| id.strip_prefix('p').and_then(|digits| digits.parse().ok());
    found.map(|id| number(id).context("a person of another name")).transpose()
}

fn opt_out(api: &Api, seller: &str, person: u32, offset_ms: i64) -> anyhow::Result<Answered> {
    let body = json!({ "seller": seller, "person": format!("p{person}"), "reason": "asked" });
    let asked = clock::monotonic();
    api.post("/v1/suppressions", &body)?;
    let answered_at = clock::real_unix_millis() + offset_ms;
    let took_ms = i64::try_from(asked.elapsed().as_millis())?;
    Ok(Answered { person, answered_at, took_ms })
}
