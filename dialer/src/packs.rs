//! The rule packs of a running dialer: looked at, swapped whole, and whoever waits by the rules until
//! then judged again. Packs with a fault are not taken: the last good ones go on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dialer_engine::Input;
use dialer_facts::rules::{Looked, Packs};
use dialer_types::UnixMillis;
use tokio_util::sync::CancellationToken;

use crate::{
    inbox::Inbox,
    metrics::PACK,
    store::{Stores, rules::WAKE_AT_ONCE},
};

/// How often the packs are looked at: a change is in force after two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often some of those that wait are made due: at most 5,000 parked and 5,000 deferred contacts a
/// second and dialer ([`WAKE_AT_ONCE`]), so that a million does not fill Postgres in one go. The gate
/// takes fewer: at most 1,000 a second where the rules refuse, and the campaigns' rates else.
const WAKE_EVERY: Duration = Duration::from_millis(200);
/// Who was judged so long after a change may still have been judged by the rules until then: until
/// the shard has the others, and clocks agree within a second.
const ON_OLD: Duration = Duration::from_secs(2);
/// For how long somebody is looked for who was judged by then: a denial waits for Postgres before it
/// is where it can be found.
const WAKE_FOR: Duration = Duration::from_secs(30);

/// Who is made due again.
#[derive(Debug)]
struct Waking {
    /// Whoever was judged until then.
    judged: UnixMillis,
    /// When the next are.
    next: Instant,
    /// Nobody turns up any more after this.
    until: Instant,
}

impl Waking {
    /// Those whom the rules before judged: those in force are so since this moment.
    fn since(rules: UnixMillis, stores: &Stores) -> Self {
        let now = stores.clock.now().mono;
        Self { judged: rules.after(ON_OLD), next: now, until: now + WAKE_FOR }
    }

    /// Makes some due; returns itself while there may be more.
    async fn go_on(mut self, stores: &Stores) -> Option<Self> {
        let woken = stores.judge_again(self.judged).await;
        let now = stores.clock.now().mono;
        let (pause, done) = match woken {
            Ok(woken) if woken >= WAKE_AT_ONCE => (WAKE_EVERY, false),
            Ok(_) => (LOOK_EVERY, now >= self.until),
            Err(error) => {
                tracing::warn!(%error, "contacts that wait by other rules are not woken yet");
                // What Postgres could not be told of is written later, too.
                self.until = now + WAKE_FOR;
                (LOOK_EVERY, false)
            }
        };
        self.next = now + pause;
        (!done).then_some(self)
    }
}

/// Looks at the packs until the end. `since`: from when on the rules are in force that this process
/// began with. Whoever waits by others is woken then, too: they may have changed while no dialer ran,
/// or the one that changed them has ended too soon.
pub async fn watch(
    mut packs: Packs,
    since: UnixMillis,
    stores: Arc<Stores>,
    inbox: Inbox,
    stop: CancellationToken,
) {
    let mut waking = Some(Waking::since(since, &stores));
    let now = || stores.clock.now().mono;
    let mut look = now() + LOOK_EVERY;
    // Whether the rules in force are still to be written down.
    let mut owed = false;
    loop {
        let next = waking.as_ref().map_or(look, |waking| waking.next.min(look));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(next.saturating_duration_since(now())) => {}
        }
        if let Some(due) = waking.take_if(|waking| waking.next <= now()) {
            waking = due.go_on(&stores).await;
        }
        if now() < look {
            continue;
        }
        let looked = tokio::task::spawn_blocking(move || {
            let looked = packs.look();
            (packs, looked)
        });
        let Ok((back, looked)) = looked.await else { return };
        packs = back;
        if owed || matches!(looked, Looked::Changed { .. }) {
            owed = !write(&stores, &packs).await;
        }
        if let Looked::Changed { .. } = looked {
            // In force even if Postgres cannot be told: every decision says by which rules it is.
            let rules = packs.held();
            stores.metrics.describe_rules(&rules);
            inbox.send(Input::Rules(rules)).await;
            waking = Some(Waking::since(stores.clock.now().wall, &stores));
        }
        let refused = i64::from(packs.is_refused());
        stores.metrics.files_refused.with_label_values(&[PACK]).set(refused);
        look = now() + LOOK_EVERY;
    }
}

/// Writes down by which rules this process judges; returns whether it is written.
async fn write(stores: &Stores, packs: &Packs) -> bool {
    match stores.rules_in_force(packs.held().version()).await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "which rules are in force is not on record yet");
            false
        }
    }
}
