//! How many contacts each campaign may have taken now: its rate, its concurrency, its trunks.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dialer_pacing::Pacer;
use dialer_types::{CampaignId, TrunkId};

use super::{LOOK_EVERY, Loads};
use crate::{
    campaigns::{Campaigns, Running},
    trunks::{Admission, Shares},
};

/// The tick that the pacers' bursts make up for: a slow look loses nothing of the rate.
const BURST_TICK: Duration = Duration::from_millis(50);
/// Most contacts taken by one statement.
const AT_ONCE: u32 = 256;
/// Refusals a second whose launches come back to the pace of their campaign: forty judgements for
/// each call of a campaign of five a second. What is refused beyond that costs pace, as a call does,
/// so a campaign judges no faster than its rate and this. Each judgement reads Redis and Postgres,
/// each refusal is a row of the audit.
const REFUSED_MILLI_CPS: u32 = 200_000;
/// The same for all campaigns of this node together: they cannot keep the stores from those who call.
const ALL_REFUSED_MILLI_CPS: u32 = 1_000_000;
/// What may come back at one moment: a batch of the ledger that was held up is no loss.
const REFUSED_AT_ONCE: Duration = Duration::from_millis(500);

/// Shares `room` out, one call at a time in turn, starting after the campaign that was served last:
/// deficit round robin, where every call costs the same. Returns the grants in the order of `wants`
/// and the campaign to start after next time.
#[must_use]
fn share_out(
    wants: &[(CampaignId, u32)],
    mut room: u32,
    after: Option<CampaignId>,
) -> (Vec<u32>, Option<CampaignId>) {
    let mut grants = vec![0; wants.len()];
    let first = wants.iter().position(|(id, _)| after.is_none_or(|after| *id > after)).unwrap_or(0);
    let mut last = after;
    loop {
        let before = room;
        for at in (0..wants.len()).cycle().skip(first).take(wants.len()) {
            let (Some((id, want)), Some(grant)) = (wants.get(at), grants.get_mut(at)) else {
                continue;
            };
            if room > 0 && *grant < *want {
                *grant += 1;
                room -= 1;
                last = Some(*id);
            }
        }
        if room == before {
            return (grants, last);
        }
    }
}

/// How fast one campaign goes.
struct Pace {
    pacer: Pacer,
    /// How many refusals may come back to the pacer.
    refusals: Pacer,
    /// Nothing was due: not asked again before.
    dry_until: Option<Instant>,
}

impl Pace {
    fn new(milli_cps: u32) -> Self {
        Self {
            pacer: Pacer::new(milli_cps, Pacer::burst_for(milli_cps, BURST_TICK)),
            refusals: refusals(REFUSED_MILLI_CPS),
            dry_until: None,
        }
    }

    /// Lets launches that were refused come back, as many as this campaign and all of them may.
    fn take_back(&mut self, refused: &[Instant], all: &mut Pacer, now: Instant) {
        let own = self.refusals.quota(0, refused.len(), now).launches;
        let granted = all.quota(0, usize::try_from(own).unwrap_or(usize::MAX), now).launches;
        self.refusals.give_back(own - granted);
        // The latest first: of them the most could have been kept.
        for at in refused.iter().rev().take(usize::try_from(granted).unwrap_or(usize::MAX)) {
            self.pacer.take_back(*at);
        }
    }
}

fn refusals(milli_cps: u32) -> Pacer {
    Pacer::new(milli_cps, Pacer::burst_for(milli_cps, REFUSED_AT_ONCE))
}

/// What a campaign may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) campaign: CampaignId,
    pub(super) launches: u32,
    /// It is one, to try this trunk.
    tries: Option<TrunkId>,
}

/// What the scheduler keeps from one look to the next.
pub(super) struct Paces {
    campaigns: BTreeMap<CampaignId, Pace>,
    /// How many refusals may come back, over all campaigns.
    refusals: Pacer,
    /// The campaign that was served last.
    last: Option<CampaignId>,
    /// Who tried each trunk last, by a launch granted when.
    trials: BTreeMap<TrunkId, (CampaignId, Instant)>,
}

impl Paces {
    pub(super) fn new() -> Self {
        Self {
            campaigns: BTreeMap::new(),
            refusals: refusals(ALL_REFUSED_MILLI_CPS),
            last: None,
            trials: BTreeMap::new(),
        }
    }

    /// The gate is closed: what was earned is forgotten.
    pub(super) fn clear(&mut self) {
        self.campaigns.clear();
    }

    /// What every campaign may start now, charged to its pacer, with at most `most` contacts in the
    /// shard; and when to look again.
    pub(super) fn plan(
        &mut self,
        running: &Campaigns,
        shares: &Shares,
        loads: &Loads,
        most: usize,
        now: Instant,
    ) -> (Vec<Want>, Instant) {
        self.campaigns.retain(|id, _| running.contains_key(id));
        loads.retain(|id| running.contains_key(id));
        let mut next = now + LOOK_EVERY;
        let mut wants = Vec::new();
        for campaign in running.values() {
            let (want, revisit) = self.want(campaign, shares, loads, now);
            next = next.min(revisit);
            wants.extend(Some(want).filter(|want| want.launches > 0));
        }
        let room = u32::try_from(most.saturating_sub(loads.total())).unwrap_or(u32::MAX);
        let asked: Vec<_> = wants.iter().map(|want| (want.campaign, want.launches)).collect();
        let (grants, served) = share_out(&asked, room, self.last);
        self.last = served;
        for (want, grant) in wants.iter_mut().zip(grants) {
            self.give_back(want.campaign, want.launches - grant);
            want.launches = grant;
        }
        wants.retain(|want| want.launches > 0);
        // One try a trunk: those go first whose turn comes after the one who tried last.
        wants.sort_by_key(|want| {
            let tried = want.tries.and_then(|trunk| self.trials.get(&trunk));
            tried.is_some_and(|(last, _)| want.campaign <= *last)
        });
        (wants, next)
    }

    /// How many calls a campaign may start now, and when it may be more.
    fn want(
        &mut self,
        campaign: &Running,
        shares: &Shares,
        loads: &Loads,
        now: Instant,
    ) -> (Want, Instant) {
        let id = campaign.terms.id;
        let nodes = u64::try_from(shares.nodes()).unwrap_or(1);
        let holders = u64::try_from(shares.holders(&campaign.terms.trunks)).unwrap_or(1);
        let rate = u32::try_from(campaign.milli_cps / holders).unwrap_or(u32::MAX);
        let pace = self.campaigns.entry(id).or_insert_with(|| Pace::new(rate));
        if pace.pacer.rate_milli_cps() != rate {
            let dry_until = pace.dry_until;
            *pace = Pace { dry_until, ..Pace::new(rate) };
        }
        let refused = loads.refusals(id);
        pace.take_back(&refused, &mut self.refusals, now);
        for (trunk, trial) in &self.trials {
            if trial.0 == id && refused.contains(&trial.1) {
                shares.not_tried(*trunk, now);
            }
        }
        let nothing = Want { campaign: id, launches: 0, tries: None };
        if let Some(dry) = pace.dry_until.filter(|dry| *dry > now) {
            return (nothing, dry);
        }
        let (most, tries) = match shares.admit(&campaign.terms.trunks, now) {
            Admission::None => return (nothing, now + LOOK_EVERY / 4),
            Admission::One(trunk) => (1, Some(trunk)),
            Admission::Any => (AT_ONCE, None),
        };
        let max_live = (u64::from(campaign.max_concurrent) / nodes).max(1);
        let max_live = usize::try_from(max_live).unwrap_or(usize::MAX);
        let quota = pace.pacer.quota(loads.of(id), max_live, now);
        let launches = quota.launches.min(most);
        pace.pacer.give_back(quota.launches - launches);
        (Want { campaign: id, launches, tries }, quota.revisit_at)
    }

    /// Whether contacts are to be taken; not if another campaign tries that trunk by now.
    pub(super) fn may_take(&mut self, want: &Want, shares: &Shares, now: Instant) -> bool {
        let may = want.tries.is_none_or(|trunk| shares.may_try(trunk, now));
        if !may {
            self.give_back(want.campaign, want.launches);
        }
        may
    }

    /// So many contacts were taken. A trunk is tried once there is one for it.
    pub(super) fn took(&mut self, want: &Want, used: u32, shares: &Shares, now: Instant) {
        if let Some(trunk) = want.tries.filter(|_| used > 0) {
            shares.trying(trunk, now);
            self.trials.insert(trunk, (want.campaign, now));
        }
        let unused = want.launches.saturating_sub(used);
        self.give_back(want.campaign, unused);
        if let Some(pace) = self.campaigns.get_mut(&want.campaign).filter(|_| unused > 0) {
            pace.dry_until = Some(now + LOOK_EVERY);
        }
    }

    fn give_back(&mut self, campaign: CampaignId, launches: u32) {
        if let Some(pace) = self.campaigns.get_mut(&campaign) {
            pace.pacer.give_back(launches);
        }
    }
}

#[cfg(test)]
mod tests;
