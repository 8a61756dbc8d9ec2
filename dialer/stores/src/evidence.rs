//! A commit's decision and intent as one short audit entry: what many permits rest on alike is
//! recorded once, as grounds, before the first of them.
//!
//! *Grounds are earlier in the log than every permit that rests on them.* Either both are entries of
//! one transaction, the grounds with the smaller id; or the grounds are known here, which they become
//! when the commit that wrote them has been acknowledged: then they have been visible since before the
//! permit's entry got its id, which is larger, because ids of one sequence grow with time. So whoever
//! sees a permit in Postgres sees its grounds, with a smaller id. The sequencer indexes what it sees in
//! the order of ids, and looks at everything once more before it indexes a permit whose grounds it has
//! not indexed (`audit.rs`): an id that it has given up waiting for is found then.
//!
//! What is known is forgotten with each new connection to Postgres: behind it may be another server,
//! one that took over and lost what the last had acknowledged (no synchronous standby). Then placements
//! are lost, and that is said at start; but the grounds of later permits must not be.
//!
//! Commits whose acknowledgement was lost teach nothing: their grounds are written again, which costs a
//! leaf. Only the transaction of [`crate::commit`] may use this.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use dialer_audit::{CanonicalError, Hash, Record, canonical, fold, leaf_hash};
use dialer_judge::Commitment;
use schema::rows::AuditEntry;

/// Grounds remembered, 64 bytes each and the map's own: half a megabyte. A dialer has one for each
/// campaign, trunk, kind of line and set of places with their rules that it calls at the time: some
/// hundreds. What is forgotten is written again, a leaf of a kilobyte.
const REMEMBERED: usize = 4_096;

/// The grounds that this process has made durable.
#[derive(Debug)]
pub struct Grounds(Mutex<Remembered>);

#[derive(Debug)]
struct Remembered {
    /// How many connections there had been when the first of these was asked for.
    connections: u64,
    /// From what they say to the hash of their leaf.
    leaves: BTreeMap<Hash, Hash>,
    /// The oldest first.
    order: VecDeque<Hash>,
}

impl Remembered {
    /// Forgets everything if there was another connection since.
    fn at(&mut self, connections: u64) -> &mut Self {
        if self.connections < connections {
            *self = Self { connections, leaves: BTreeMap::new(), order: VecDeque::new() };
        }
        self
    }
}

/// Grounds that a transaction writes.
#[derive(Debug)]
pub(crate) struct News {
    /// How many connections there had been by then.
    connections: u64,
    /// From what they say to the hash of their leaf.
    leaves: BTreeMap<Hash, Hash>,
}

impl Default for Grounds {
    fn default() -> Self {
        Self::new()
    }
}

impl Grounds {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Remembered {
            connections: 0,
            leaves: BTreeMap::new(),
            order: VecDeque::new(),
        }))
    }

    fn leaf_of(&self, key: &Hash, connections: u64) -> Option<Hash> {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = remembered.at(connections);
        let same = remembered.connections == connections;
        remembered.leaves.get(key).copied().filter(|_| same)
    }

    /// Remembers what a transaction wrote, unless there was another connection since. Only once its
    /// commit was acknowledged.
    pub(crate) fn learn(&self, news: News) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.at(news.connections).connections != news.connections {
            return;
        }
        for (key, leaf) in news.leaves {
            if remembered.leaves.insert(key, leaf).is_none() {
                remembered.order.push_back(key);
            }
        }
        while remembered.order.len() > REMEMBERED {
            let Some(oldest) = remembered.order.pop_front() else { return };
            remembered.leaves.remove(&oldest);
        }
    }

    /// The audit entries of these commitments, in order, and the grounds among them. `connections`: how
    /// many this process has opened by now, that of the transaction among them.
    ///
    /// # Errors
    /// If a record has no canonical bytes.
    pub(crate) fn entries(
        &self,
        batch: &[&Commitment],
        connections: u64,
    ) -> Result<(Vec<AuditEntry>, News), CanonicalError> {
        let mut entries = Vec::new();
        let mut news = News { connections, leaves: BTreeMap::new() };
        for commitment in batch {
            let of = |record: Record| AuditEntry {
                record,
                campaign: Some(commitment.campaign),
                attempt: Some(commitment.attempt),
                placement: Some(commitment.demand.placement()),
            };
            let mut records = commitment.records.as_slice();
            while let Some((first, rest)) = records.split_first() {
                records = rest;
                let folded = rest.first().and_then(|second| fold(first, second));
                let Some(folded) = folded else {
                    // Copied: a batch that is refused is tried again one by one.
                    entries.push(of(first.clone()));
                    continue;
                };
                records = rest.get(1..).unwrap_or_default();
                let key = folded.key()?;
                let known = news.leaves.get(&key).copied();
                let leaf = match known.or_else(|| self.leaf_of(&key, connections)) {
                    Some(leaf) => leaf,
                    None => {
                        let grounds = folded.grounds().clone();
                        let leaf = leaf_hash(&canonical::encode(&grounds)?);
                        let campaign = Some(commitment.campaign);
                        // Of no attempt: they are found by the permits that name them.
                        entries.push(AuditEntry { campaign, ..AuditEntry::of(grounds) });
                        news.leaves.insert(key, leaf);
                        leaf
                    }
                };
                entries.push(of(folded.permit(leaf)));
            }
        }
        Ok((entries, news))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(no: usize) -> Hash {
        Hash::of(&no.to_be_bytes())
    }

    fn news(connections: u64, key: usize, leaf: usize) -> News {
        News { connections, leaves: BTreeMap::from([(hash(key), hash(leaf))]) }
    }

    #[test]
    fn only_so_many_grounds_are_remembered_and_the_oldest_are_forgotten() {
        let known = Grounds::new();
        for no in 0..=REMEMBERED {
            known.learn(news(1, no, no + 1));
            known.learn(news(1, no, no + 2));
        }
        assert_eq!(known.leaf_of(&hash(0), 1), None);
        assert_eq!(known.leaf_of(&hash(1), 1), Some(hash(3)), "either leaf is on record");
        let remembered = known.0.lock().unwrap();
        assert_eq!((remembered.leaves.len(), remembered.order.len()), (REMEMBERED, REMEMBERED));
    }

    #[test]
    fn grounds_that_another_server_may_not_have_are_not_known() {
        let known = Grounds::new();
        known.learn(news(2, 7, 8));
        assert_eq!(known.leaf_of(&hash(7), 2), Some(hash(8)));
        assert_eq!(known.leaf_of(&hash(7), 3), None, "there was another connection");
        // A commit on a connection of before is acknowledged late.
        known.learn(news(2, 7, 8));
        assert_eq!(known.leaf_of(&hash(7), 3), None);
        known.learn(news(3, 7, 9));
        assert_eq!(known.leaf_of(&hash(7), 3), Some(hash(9)));
        assert_eq!(known.leaf_of(&hash(7), 2), None, "the one before may not have them");
    }
}
