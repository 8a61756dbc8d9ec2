//! The terms of a call, and the judgement.

use std::time::Duration;

use dialer_limiter::{Demand, Entry, Head};
use dialer_policy::{Abilities, Evaluation, Ruleset, Verdict};
use dialer_types::{
    CampaignNo, Outcome, PlacementId, Purpose, SellerNo, SubjectId, Technology, UnixMillis,
};

use crate::known::{ContactFacts, NumberFacts, policy_facts};

/// The longest a permit may live: long against a commit, short against a cap's window.
pub const PERMIT_LIFE: Duration = Duration::from_secs(5);
/// How far the clocks of the processes may disagree.
pub const CLOCK_BOUND: Duration = Duration::from_secs(1);
/// Rolling limits are lengthened by this, so that a call that leaves at the end of its permit's
/// life by a clock that is ahead is still within them.
pub const GUARD: Duration = PERMIT_LIFE.saturating_add(CLOCK_BOUND);

/// Entries older than this may be dropped from heads: longer than the longest horizon of the packs
/// (61 days in France, a calendar month in Australia).
pub const HORIZON: Duration = Duration::from_secs(70 * 24 * 3600);

/// What every call of a campaign has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CampaignTerms {
    /// On whose behalf: the seller's small number.
    pub seller_no: SellerNo,
    /// The campaign's own small number; `None` counts every campaign as this one, which is stricter.
    pub no: Option<CampaignNo>,
    /// Why it calls.
    pub purpose: Purpose,
    /// How it calls.
    pub technology: Technology,
    /// What its prompt announces, together with what this build can do.
    pub abilities: Abilities,
}

/// The terms of a call: the campaign's, and whom it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTerms {
    /// The campaign's.
    pub campaign: CampaignTerms,
    /// Whom.
    pub person: SubjectId,
    /// About which account.
    pub account: Option<SubjectId>,
}

impl CallTerms {
    /// The subjects a placement to this number counts for, each once, in order.
    #[must_use]
    pub fn concerned(&self, number: SubjectId) -> Vec<SubjectId> {
        let mut subjects: Vec<_> = [number, self.person].into_iter().chain(self.account).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }
}

/// Judges a call to one number of a contact. `heads`: those of the contact's subjects, all of them;
/// others are passed over. `guard`: [`GUARD`], but for the simulator, which takes it away.
#[must_use]
pub fn judge(
    ruleset: &Ruleset,
    terms: &CallTerms,
    contact: &ContactFacts,
    number: &NumberFacts,
    heads: &[(SubjectId, Head)],
    guard: Duration,
    now: UnixMillis,
) -> Verdict {
    let facts = policy_facts(terms, contact, number, heads, now);
    let abilities = terms.campaign.abilities;
    let evaluation = Evaluation { guard, abilities, narrowing: contact.narrowing };
    ruleset.evaluate(&facts, &evaluation, now)
}

/// Whether the heads of those a placement to this number counts for have room for it. Without
/// room the gate asks nobody and places nothing, whatever the rules say.
#[must_use]
pub fn has_room(
    terms: &CallTerms,
    number: SubjectId,
    heads: &[(SubjectId, Head)],
    now: UnixMillis,
) -> bool {
    let concerned = terms.concerned(number);
    let heads: Vec<_> = heads.iter().filter(|(id, _)| concerned.contains(id)).cloned().collect();
    let placement = PlacementId(0);
    let entry = Entry {
        key: Entry::key_of(placement),
        at_seconds: Entry::seconds(now),
        seller: terms.campaign.seller_no,
        campaign: CampaignNo(0),
        purpose: terms.campaign.purpose,
        technology: terms.campaign.technology,
        outcome: Outcome::Pending,
        inbound: false,
    };
    heads.is_empty() || Demand::new(placement, &heads, entry, now.before(HORIZON)).is_ok()
}
