//! Hearing of opt-outs, and the send lease that rests on having heard (G7); and, because it is asked
//! so often, whether this node's clock is Postgres's.
//!
//! On a connection of its own: no other work of this process is to hold up a question.

use std::{sync::Arc, time::Duration};

use dialer_engine::Input;
use dialer_types::{Now, UnixMillis};
use schema::opt_outs::{self, ASK_EVERY, Heard, Listener, OptOut, SEND_LEASE};
use sqlx::{ConnectOptions, PgConnection};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, StoreError, Stores};
use crate::{
    clock::{Leap, NODE_BOUND, apart},
    gate::Need,
    inbox::Inbox,
};

/// A question without an answer is given up after this, and asked on a new connection: six leases
/// are lost by then.
const SILENT: Duration = Duration::from_millis(500);
/// Pause before the next connection.
const PAUSE: Duration = Duration::from_millis(100);
/// How often rows that nobody has to hear any more are let go.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// Asks until the end.
pub async fn serve(stores: Arc<Stores>, inbox: Inbox, stop: CancellationToken) {
    let mut ear =
        Ear { listener: Listener::default(), postgres: Leap::new(), lost: false, forgotten: None };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            failed = ear.listen(&stores, &inbox) => {
                if let Err(error) = failed {
                    tracing::debug!(%error, "opt-outs are not heard");
                }
            }
        }
        stores.gate.report(Need::Lease, false);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

struct Ear {
    listener: Listener,
    /// Postgres's clock against our monotonic one.
    postgres: Leap,
    /// The last lease had lapsed before it was renewed.
    lost: bool,
    forgotten: Option<Now>,
}

impl Ear {
    /// Asks on one connection until it fails.
    async fn listen(&mut self, stores: &Stores, inbox: &Inbox) -> Result<(), StoreError> {
        // The plan of its question has to know the numbers in it.
        let options = stores.pool.connect_options().as_ref().clone();
        let options = options.options([("plan_cache_mode", "auto")]);
        let connect = tokio::time::timeout(PATIENCE, options.connect());
        let mut connection: PgConnection = connect.await.map_err(|_| StoreError::Late)??;
        self.listener.reconnected();
        loop {
            let asked = stores.clock.now();
            let question =
                tokio::time::timeout(SILENT, self.listener.ask(&mut connection, asked.wall));
            let heard = question.await.map_err(|_| StoreError::Late)??;
            let answered = stores.clock.now();
            let lease = asked.mono + SEND_LEASE;
            let took = answered.mono.saturating_duration_since(asked.mono);
            stores.metrics.lease_seconds.observe(took.as_secs_f64());
            let sure = self.clocks(stores, &heard, asked, answered);
            for out in heard.outs {
                inbox.send(Input::Suppressed(told(out))).await;
            }
            if sure {
                // Heard first, leased then.
                inbox.send(Input::Leased(lease)).await;
            }
            self.report(stores, sure && answered.mono < lease);
            self.forget(stores, &mut connection, answered).await?;
            let next = asked.mono + ASK_EVERY;
            tokio::time::sleep(next.saturating_duration_since(stores.clock.now().mono)).await;
        }
    }

    /// Whether this node's clock and Postgres's agree, and Postgres's has not leapt: no lease
    /// otherwise. The bound on each node makes twice of it between any two.
    fn clocks(&mut self, stores: &Stores, heard: &Heard, asked: Now, answered: Now) -> bool {
        let offset = stores.clock.offset_ms();
        let ours = |now: Now| UnixMillis(now.wall.0.saturating_sub(offset));
        let apart = apart(heard.clock, ours(asked), ours(answered));
        let agree = apart <= NODE_BOUND;
        if !agree && stores.gate.met(Need::Clock) {
            tracing::error!(
                apart_ms = apart.as_millis(),
                "this node's clock is not Postgres's: nothing is sent until they agree; see to NTP on both"
            );
        }
        stores.gate.report(Need::Clock, agree);
        // Shares of the rates live by Postgres's clock.
        let steady = self.postgres.check(Now { wall: heard.clock, mono: answered.mono });
        agree && steady
    }

    fn report(&mut self, stores: &Stores, leased: bool) {
        if !leased && !self.lost {
            stores.metrics.leases_lost.inc();
        }
        self.lost = !leased;
        stores.gate.report(Need::Lease, leased);
    }

    async fn forget(
        &mut self,
        stores: &Stores,
        connection: &mut PgConnection,
        now: Now,
    ) -> Result<(), StoreError> {
        let due = |last: Now| now.mono.saturating_duration_since(last.mono) >= FORGET_EVERY;
        if self.forgotten.is_none_or(due) {
            let gone = opt_outs::forget(connection, stores.clock.now().wall).await?;
            tracing::debug!(gone, "opt-outs that everybody has heard are let go");
            self.forgotten = Some(now);
        }
        Ok(())
    }
}

fn told(out: OptOut) -> dialer_engine::OptOut {
    dialer_engine::OptOut { subjects: out.subjects, seller: out.seller, purpose: out.purpose }
}
