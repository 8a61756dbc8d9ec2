//! Both stores in memory: the oracle of the real ones, and what the simulator breaks.

use std::collections::BTreeMap;

use dialer_types::{PlacementId, SubjectId};

use crate::{
    demand::Demand,
    head::{Head, Token},
};

/// The Redis side: a cache that may lose writes, come back empty or hold something older.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    heads: BTreeMap<SubjectId, Head>,
}

impl Cache {
    /// The cached head, if any.
    #[must_use]
    pub fn read(&self, subject: SubjectId) -> Option<&Head> {
        self.heads.get(&subject)
    }

    /// Grants the demand if every head is the one judged; otherwise changes nothing.
    pub fn reserve(&mut self, demand: &Demand) -> bool {
        let stands = demand.claims().iter().all(|claim| {
            self.heads.get(&claim.subject).is_some_and(|head| head.token() == claim.base)
        });
        if stands {
            for claim in demand.claims() {
                self.heads.insert(claim.subject, claim.next.clone());
            }
        }
        stands
    }

    /// Stores a head read from the truth, unless one is there already.
    pub fn load(&mut self, subject: SubjectId, head: &Head) {
        self.heads.entry(subject).or_insert_with(|| head.clone());
    }

    /// A head moved in the truth: a copy that stood at `from` follows, any other is dropped.
    pub fn follow(&mut self, subject: SubjectId, from: Token, head: &Head) {
        if let Some(held) = self.heads.get(&subject) {
            if held.token() == from {
                self.heads.insert(subject, head.clone());
            } else {
                self.heads.remove(&subject);
            }
        }
    }

    /// Forgets a head.
    pub fn forget(&mut self, subject: SubjectId) {
        self.heads.remove(&subject);
    }

    /// Comes back empty.
    pub fn empty(&mut self) {
        self.heads.clear();
    }
}

/// The Postgres side: the truth.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    heads: BTreeMap<SubjectId, Head>,
    committed: Vec<PlacementId>,
}

impl Truth {
    /// A subject comes into being.
    pub fn create(&mut self, subject: SubjectId, head: Head) {
        self.heads.entry(subject).or_insert(head);
    }

    /// The head as it stands.
    #[must_use]
    pub fn read(&self, subject: SubjectId) -> Option<&Head> {
        self.heads.get(&subject)
    }

    /// Commits the demand if every head is the one judged; otherwise changes nothing.
    pub fn commit(&mut self, demand: &Demand) -> bool {
        let stands = demand.claims().iter().all(|claim| {
            self.heads.get(&claim.subject).is_some_and(|head| head.token() == claim.base)
        });
        if stands {
            for claim in demand.claims() {
                self.heads.insert(claim.subject, claim.next.clone());
            }
            self.committed.push(demand.placement());
        }
        stands
    }

    /// Moves a head by an event; returns the token it moved from and the new head.
    pub fn advance(
        &mut self,
        subject: SubjectId,
        event: impl FnOnce(&Head) -> Option<Head>,
    ) -> Option<(Token, Head)> {
        let held = self.heads.get_mut(&subject)?;
        let next = event(held)?;
        let from = held.token();
        *held = next.clone();
        Some((from, next))
    }

    /// Every placement ever committed, in order.
    #[must_use]
    pub fn committed(&self) -> &[PlacementId] {
        &self.committed
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::{CampaignNo, Outcome, Purpose, SellerNo, Technology, UnixMillis};

    use super::*;
    use crate::Entry;

    fn demand(placement: u128, heads: &[(SubjectId, Head)]) -> Demand {
        let entry = Entry {
            key: Entry::key_of(PlacementId(placement)),
            at_seconds: 10,
            seller: SellerNo(1),
            campaign: CampaignNo(1),
            purpose: Purpose::Telemarketing,
            technology: Technology::Manual,
            outcome: Outcome::Pending,
            inbound: false,
        };
        Demand::new(PlacementId(placement), heads, entry, UnixMillis(0)).unwrap()
    }

    #[test]
    fn two_judgements_on_one_base_commit_once_even_when_the_cache_lost_the_first() {
        let subject = SubjectId(1);
        let base = Head::new(Token(100));
        let mut truth = Truth::default();
        truth.create(subject, base.clone());
        let mut cache = Cache::default();
        cache.load(subject, &base);

        let first = demand(1, &[(subject, base.clone())]);
        assert!(cache.reserve(&first) && truth.commit(&first));
        cache.empty();
        cache.load(subject, &base); // a stale reload
        let second = demand(2, &[(subject, base)]);
        assert!(cache.reserve(&second), "the cache was fooled");
        assert!(!truth.commit(&second), "the truth was not");
        assert_eq!(truth.committed(), &[PlacementId(1)]);
    }

    #[test]
    fn a_demand_on_two_subjects_changes_both_or_none() {
        let (a, b) = (SubjectId(1), SubjectId(2));
        let mut cache = Cache::default();
        cache.load(a, &Head::new(Token(1)));
        cache.load(b, &Head::new(Token(2)));
        let stale = demand(9, &[(a, Head::new(Token(1))), (b, Head::new(Token(3)))]);
        assert!(!cache.reserve(&stale));
        assert_eq!(cache.read(a).map(Head::token), Some(Token(1)));
    }

    #[test]
    fn a_copy_at_another_token_is_dropped_and_not_overwritten_when_the_truth_moves() {
        let subject = SubjectId(1);
        let mut cache = Cache::default();
        cache.load(subject, &Head::new(Token(5)));
        cache.follow(subject, Token(4), &Head::new(Token(6)));
        assert_eq!(cache.read(subject), None);
    }
}
