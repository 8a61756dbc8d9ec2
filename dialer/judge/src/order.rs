//! Whom to call for which campaign: a contact that was taken.

use std::{sync::Arc, time::Duration};

use dialer_policy::Abilities;
use dialer_types::{
    AttemptId, CampaignId, CampaignNo, E164, Purpose, SellerId, SellerNo, SubjectId, Technology,
    TrunkId,
};

use crate::{CallTerms, CampaignTerms, RetryRules};

/// A campaign's terms, as they stand when a contact is taken.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// Its small number in packed histories.
    pub no: CampaignNo,
    /// Its name, for the correlation header.
    pub name: String,
    /// On whose behalf.
    pub seller: SellerId,
    /// The seller's small number.
    pub seller_no: SellerNo,
    /// Why it calls.
    pub purpose: Purpose,
    /// How it calls.
    pub technology: Technology,
    /// What its prompt announces, together with what this build can do.
    pub abilities: Abilities,
    /// The seller's own number, shown to the called party.
    pub caller_id: E164,
    /// Ring this long, then cancel.
    pub ring_timeout: Duration,
    /// Placements made for one contact, at most.
    pub max_tries: u16,
    /// When to try again.
    pub retry: RetryRules,
    /// Its trunks, the preferred first.
    pub trunks: Vec<TrunkId>,
    /// Name of its prompt.
    pub prompt: Arc<str>,
}

/// A contact the scheduler took: try it now.
#[derive(Debug, Clone)]
pub struct Order {
    /// The attempt: follows from contact and try, so taking it twice is the same attempt.
    pub attempt: AttemptId,
    /// Placements made for this contact so far.
    pub made: u16,
    /// For which campaign.
    pub campaign: Arc<Campaign>,
    /// Whom.
    pub person: SubjectId,
    /// About which account.
    pub account: Option<SubjectId>,
    /// The contact's numbers with their positions, in the order to try them.
    pub numbers: Vec<(u8, SubjectId)>,
}

impl Order {
    /// What its call is judged by.
    #[must_use]
    pub fn terms(&self) -> CallTerms {
        CallTerms {
            campaign: CampaignTerms {
                seller_no: self.campaign.seller_no,
                no: Some(self.campaign.no),
                purpose: self.campaign.purpose,
                technology: self.campaign.technology,
                abilities: self.campaign.abilities,
            },
            person: self.person,
            account: self.account,
        }
    }

    /// Every subject whose head the judgement needs, each once, in order.
    #[must_use]
    pub fn subjects(&self) -> Vec<SubjectId> {
        let mut subjects: Vec<_> = self
            .numbers
            .iter()
            .map(|(_, subject)| *subject)
            .chain([self.person])
            .chain(self.account)
            .collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }
}
