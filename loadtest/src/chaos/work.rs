//! Whether work is due, looked at over and over, and from that how long the gate was closed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::bail;
use sqlx::{Connection as _, PgConnection};

use crate::stack::clock;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(200);
/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// A look: when (ms of the deployment's clock), and whether a contact was due then.
pub(super) type Look = (i64, bool);

/// Looks in a thread of its own, past the proxies.
pub(super) struct Work {
    end: Arc<AtomicBool>,
    looking: JoinHandle<Vec<Look>>,
}

impl Work {
    pub(super) fn watch(postgres: String, offset_ms: i64) -> anyhow::Result<Self> {
        let end = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&end);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let looking = thread::Builder::new().name("work".to_owned()).spawn(move || {
            let mut looks = Vec::new();
            let mut connection = None;
            while !ended.load(Ordering::Relaxed) {
                let at = clock::real_unix_millis() + offset_ms;
                let look = async {
                    let held = match connection.take() {
                        Some(held) => held,
                        None => PgConnection::connect(&postgres).await?,
                    };
                    look(held, at).await
                };
                let seen = runtime.block_on(async { tokio::time::timeout(PATIENCE, look).await });
                // Postgres may be away: what was due before still is.
                if let Ok(Ok((held, due))) = seen {
                    connection = Some(held);
                    looks.push((at, due));
                }
                thread::sleep(EVERY);
            }
            looks
        })?;
        Ok(Self { end, looking })
    }

    /// Ends the looking.
    pub(super) fn end(self) -> anyhow::Result<Vec<Look>> {
        self.end.store(true, Ordering::Relaxed);
        self.looking.join().or_else(|_| bail!("looking for due work panicked"))
    }
}

async fn look(mut held: PgConnection, at: i64) -> Result<(PgConnection, bool), sqlx::Error> {
    let due: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM due WHERE due_at <= $1)")
        .bind(at)
        .fetch_one(&mut held)
        .await?;
    Ok((held, due))
}

/// The longest time without an INVITE although work was due: from when, and how long, ms.
#[must_use]
pub(super) fn longest_closed(invites: &[i64], looks: &[Look], start: i64) -> (i64, i64) {
    let mut moments: Vec<(i64, Option<bool>)> = invites.iter().map(|at| (*at, None)).collect();
    moments.extend(looks.iter().map(|(at, due)| (*at, Some(*due))));
    moments.sort_unstable();
    let (mut open, mut longest) = (start, (start, 0));
    let mut due = false;
    for (at, look) in moments {
        if at < start {
            continue;
        }
        // Until the next look, work that was due is due.
        if due && at - open > longest.1 {
            longest = (open, at - open);
        }
        match look {
            None | Some(false) => open = at,
            Some(true) => {}
        }
        due = look.unwrap_or(due);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_is_without_an_invite_while_work_is_due() {
        let busy: Vec<Look> = (0..100).map(|look| (look * 100, true)).collect();
        assert_eq!(longest_closed(&[100, 200, 5000, 5100, 9900], &busy, 0), (200, 4800));
        // An idle stretch begins anew; a missing look changes nothing.
        let mut looks = busy.clone();
        looks.retain(|(at, _)| !(2000..4000).contains(at));
        assert_eq!(longest_closed(&[100, 200, 5000, 9900], &looks, 0), (5000, 4900));
        let idle: Vec<Look> = busy.iter().map(|(at, _)| (*at, *at >= 4000)).collect();
        assert_eq!(longest_closed(&[100, 9000], &idle, 0), (3900, 5100));
        assert_eq!(longest_closed(&[], &busy, 5000), (5000, 4900));
        assert_eq!(longest_closed(&[], &[], 5000), (5000, 0));
    }
}
