//! Asking for facts in batches: what is read is in `dialer-facts`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use dialer_engine::{Answer, ContactFacts, Input};
use dialer_facts::lists::Lists;
use dialer_types::{AttemptId, ContactId};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::{StoreError, Stores};
use crate::{batch, inbox::Inbox};

/// Batches of reads under way at once.
const IN_FLIGHT: usize = 2;

/// Serves attempts until nobody can ask any more.
pub async fn serve(
    stores: Arc<Stores>,
    mut asked: mpsc::Receiver<AttemptId>,
    lists: Arc<ArcSwap<Lists>>,
    inbox: Inbox,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        let Some((batch, permit)) = batch::collect_for(&mut asked, &room).await else { return };
        let (stores, inbox, lists) = (Arc::clone(&stores), inbox.clone(), Arc::clone(&lists));
        tasks.spawn(async move {
            let _room = permit;
            let contacts: BTreeSet<_> = batch.iter().map(|attempt| attempt.contact).collect();
            let timer = stores.metrics.step("facts");
            let facts = stores.postgres(stores.facts(&contacts, &lists.load())).await;
            drop(timer);
            for attempt in batch {
                let known = facts.as_ref().ok().and_then(|facts| facts.get(&attempt.contact));
                let answer = match known {
                    Some(facts) => Answer::Given(Box::new(facts.clone())),
                    None => Answer::Unavailable,
                };
                inbox.send(Input::Facts(attempt, answer)).await;
            }
        });
    }
}

impl Stores {
    /// The facts of these contacts. A contact with anything that cannot be read is left out, and
    /// left out means no call.
    ///
    /// # Errors
    /// If Postgres is not there.
    pub async fn facts(
        &self,
        contacts: &BTreeSet<ContactId>,
        lists: &Lists,
    ) -> Result<BTreeMap<ContactId, ContactFacts>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        Ok(dialer_facts::contacts(&mut connection, &self.keys, lists, contacts).await?)
    }
}
