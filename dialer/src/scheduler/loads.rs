//! What the shard has of each campaign.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use dialer_types::{AttemptId, CampaignId};
use tokio::sync::Notify;

/// Contacts in the shard, by campaign. Shared by the scheduler, which puts them there, and the
/// shard, which is done with them.
#[derive(Debug, Clone, Default)]
pub struct Loads(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    campaigns: Mutex<BTreeMap<CampaignId, Held>>,
    refusals: Notify,
}

/// What the shard has of a campaign.
#[derive(Debug, Default)]
struct Held {
    /// Contacts, and when their launches were granted.
    contacts: BTreeMap<AttemptId, Instant>,
    /// When the launches were granted that the rules refused since they were last asked for.
    refused: Vec<Instant>,
}

impl Loads {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<CampaignId, Held>> {
        self.0.campaigns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more contact of this campaign, by a launch granted at this moment.
    pub fn begin(&self, campaign: CampaignId, attempt: AttemptId, granted_at: Instant) {
        self.lock().entry(campaign).or_default().contacts.insert(attempt, granted_at);
    }

    /// One contact less.
    pub fn end(&self, campaign: CampaignId, attempt: AttemptId) {
        self.done(campaign, attempt, false);
    }

    /// One contact less, because the rules refused every number of it: its launch starts no call.
    /// What was given back unjudged comes through [`Loads::end`]: a store, a trunk or a race was in
    /// the way, and going on slower is right.
    pub fn refused(&self, campaign: CampaignId, attempt: AttemptId) {
        self.done(campaign, attempt, true);
        self.0.refusals.notify_one();
    }

    fn done(&self, campaign: CampaignId, attempt: AttemptId, refused: bool) {
        let mut loads = self.lock();
        let Some(held) = loads.get_mut(&campaign) else { return };
        let granted_at = held.contacts.remove(&attempt);
        held.refused.extend(granted_at.filter(|_| refused));
        if held.contacts.is_empty() && held.refused.is_empty() {
            loads.remove(&campaign);
        }
    }

    /// When the launches were granted that were refused since last asked.
    pub(super) fn refusals(&self, campaign: CampaignId) -> Vec<Instant> {
        self.lock()
            .get_mut(&campaign)
            .map(|held| std::mem::take(&mut held.refused))
            .unwrap_or_default()
    }

    /// Waits for a refusal that nobody has been told of.
    pub(super) async fn refusal(&self) {
        self.0.refusals.notified().await;
    }

    /// Forgets the refusals of campaigns that do not run: nobody asks for them any more.
    pub(super) fn retain(&self, runs: impl Fn(&CampaignId) -> bool) {
        self.lock().retain(|id, held| {
            if !runs(id) {
                held.refused.clear();
            }
            !(held.contacts.is_empty() && held.refused.is_empty())
        });
    }

    /// Contacts of one campaign.
    #[must_use]
    pub fn of(&self, campaign: CampaignId) -> usize {
        self.lock().get(&campaign).map_or(0, |held| held.contacts.len())
    }

    /// Contacts in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.lock().values().map(|held| held.contacts.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::ContactId;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]
    fn what_was_refused_is_told_once_with_the_moment_it_was_granted() {
        let (loads, campaign, now) = (Loads::default(), CampaignId(1), Instant::now());
        let attempt = |contact| AttemptId { contact: ContactId(contact), try_no: 1 };
        for contact in 1..=3 {
            loads.begin(campaign, attempt(contact), now);
        }
        // Taken twice is the same attempt.
        loads.begin(campaign, attempt(3), now);
        assert_eq!((loads.of(campaign), loads.total()), (3, 3));
        loads.end(campaign, attempt(1));
        loads.refused(campaign, attempt(2));
        loads.refused(campaign, attempt(2));
        assert_eq!((loads.of(campaign), loads.refusals(campaign)), (1, vec![now]));
        assert!(loads.refusals(campaign).is_empty());
        loads.refused(campaign, attempt(3));
        loads.retain(|_| true);
        assert_eq!((loads.total(), loads.lock().len()), (0, 1), "still to be asked for");
        loads.retain(|_| false);
        assert!(loads.lock().is_empty(), "nobody asks for them any more");
    }
}
