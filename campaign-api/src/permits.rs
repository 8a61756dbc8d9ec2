//! The gate as a service: judge, reserve and commit for a dialer that is not ours, with the very code
//! and statements of the dialer, up to the hand-over.
//!
//! The way of a permit: [`lease`] takes the contact, as a dialer would; [`gate`] judges, reserves,
//! commits and puts the proofs together; [`end`] settles what the owner tells; [`close`] ends what
//! nobody told of; [`node`] is this process among the others.

mod close;
mod end;
mod gate;
mod heads;
mod lease;
mod node;
mod read;

use std::sync::{Mutex, PoisonError, RwLock};

use dialer_limiter::Token;
use dialer_stores::{By, Grounds, Item, Mark, PATIENCE, WriteError, write};
use dialer_types::{ContactId, NodeId, PlacementId};
use schema::heads::Moved;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::{app::App, events::follow, http::error::Problem};

pub(crate) use close::serve;
pub(crate) use end::{Told, Words, outcome, sent};
pub(crate) use gate::{Decided, Denial, decide};
pub(crate) use lease::{Lease, Wanted, take};
pub(crate) use node::enter;
pub(crate) use read::{Permit, read};

/// Things that could not be written yet, at most: with more of them nothing is permitted. Each is a
/// request that was answered with 503.
const ROOM: usize = 10_000;

/// What permits need of this process.
#[derive(Debug)]
pub(crate) struct Permits {
    /// This incarnation; `None` while others take it for dead, or Postgres is away.
    node: RwLock<Option<NodeId>>,
    /// Who closes what nobody told of: another word than the owner's, so that the owner's corrects it.
    closer: NodeId,
    unfinished: Mutex<Vec<Unfinished>>,
    /// Grounds of permits that this process has made durable.
    grounds: Grounds,
    /// Requests under way: they go on when their caller hangs up.
    pub(crate) tasks: TaskTracker,
}

/// What Postgres did not write; written again until it does.
#[derive(Debug)]
struct Unfinished {
    by: By,
    items: Vec<Item>,
    mark: Mark,
}

impl Permits {
    /// None yet.
    pub(crate) fn new(node: NodeId, closer: NodeId) -> Self {
        let (unfinished, tasks) = (Mutex::new(Vec::new()), TaskTracker::new());
        let grounds = Grounds::new();
        Self { node: RwLock::new(Some(node)), closer, unfinished, grounds, tasks }
    }

    /// This incarnation.
    ///
    /// # Errors
    /// 503 while it may commit nothing.
    pub(crate) fn node(&self) -> Result<NodeId, Problem> {
        let node = *self.node.read().unwrap_or_else(PoisonError::into_inner);
        let full = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).len() >= ROOM;
        node.filter(|_| !full).ok_or_else(|| {
            Problem::unavailable("permits_closed", "this process of the API gives no permits now")
        })
    }

    fn set_node(&self, node: Option<NodeId>) {
        *self.node.write().unwrap_or_else(PoisonError::into_inner) = node;
    }

    fn later(&self, unfinished: Unfinished) {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).push(unfinished);
    }

    fn take_unfinished(&self) -> Vec<Unfinished> {
        std::mem::take(&mut *self.unfinished.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes these down, now or, where Postgres does not answer, later. Returns whether a denial among
/// them rested on heads that have moved since.
///
/// # Errors
/// If it is not written yet.
async fn finish(app: &App, by: By, items: Vec<Item>) -> Result<bool, Problem> {
    let mark = new_mark(app);
    match write_once(app, by, &items, mark).await {
        Ok(stale) => Ok(stale),
        Err(error) => {
            let is_lost = matches!(error, WriteError::Heads(_) | WriteError::Rows(_));
            if !is_lost {
                app.permits.later(Unfinished { by, items, mark });
            }
            Err(error.into())
        }
    }
}

/// Requests are written side by side, so each batch is a series of its own.
fn new_mark(app: &App) -> Mark {
    Mark { series: NodeId(app.ulid()), number: 1 }
}

async fn write_once(app: &App, by: By, items: &[Item], mark: Mark) -> Result<bool, WriteError> {
    let written = write(&app.pool, by, items, Some(mark), || Token(app.ulid()));
    let (moved, stale) = in_time(written).await?;
    if let Err(error) = app.redis.forget(&stale).await {
        tracing::debug!(%error, "stale copies are left to lapse");
    }
    if !moved.is_empty() {
        follow(app, &moved as &[Moved]).await;
    }
    Ok(!stale.is_empty())
}

/// Bounds a call of Postgres in time: late is not there.
async fn in_time<T>(call: impl Future<Output = Result<T, WriteError>>) -> Result<T, WriteError> {
    timeout(PATIENCE, call).await.unwrap_or(Err(WriteError::Sql(sqlx::Error::PoolTimedOut)))
}

/// A permit that was not given is forgotten: its key may be used again.
async fn forget(app: &App, permit: PlacementId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM permit WHERE id = $1")
        .bind(uuid::Uuid::from_u128(permit.0))
        .execute(&app.pool)
        .await
        .map(drop)
}

/// What people are told of a contact that is not there.
pub(crate) fn no_contact(contact: ContactId) -> Problem {
    Problem::not_found(dialer_types::say!("no contact {id} in this campaign", id = contact))
}
