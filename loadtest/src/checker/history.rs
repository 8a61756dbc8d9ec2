//! What was placed to whom before: earlier attempts of the world and placements of the wire.

use std::collections::HashMap;

use dialer_types::{Outcome, Purpose, Technology};

use super::{calls::Placement, world::World};

/// One earlier placement or inbound conversation.
#[derive(Debug, Clone)]
pub struct Past {
    /// When, ms.
    pub at: i64,
    /// Whose.
    pub seller: String,
    /// The number dialled (or that called).
    pub number: String,
    /// Why.
    pub purpose: Purpose,
    /// How.
    pub technology: Technology,
    /// How it ended, in the end.
    pub outcome: Outcome,
    /// From when the outcome is known, ms.
    pub known_at: i64,
    /// When somebody was spoken to.
    pub talked_at: Option<i64>,
    /// They called.
    pub inbound: bool,
    /// The wire shows how it ended, but the dialer died in it and cannot know.
    pub untold: bool,
}

/// All of it, and who it concerns.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In order: the world's earlier ones, then the wire's, each by time.
    pub all: Vec<Past>,
    by_number: HashMap<String, Vec<usize>>,
    by_person: HashMap<(String, String), Vec<usize>>,
    by_account: HashMap<(String, String), Vec<usize>>,
}

/// What a history entry shares with the call that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Related {
    /// Index into [`History::all`].
    pub index: usize,
    /// Same number.
    pub number: bool,
    /// Same account of the same seller.
    pub account: bool,
    /// Same person of the same seller.
    pub person: bool,
}

impl History {
    /// The world's own past.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut history = Self::default();
        let mut earlier: Vec<_> = world.earlier.iter().collect();
        earlier.sort_by_key(|entry| entry.at);
        for entry in earlier {
            let Some(at) = entry.at else { continue };
            let talked = matches!(entry.outcome, Outcome::Conversation | Outcome::Refused);
            history.push(
                Past {
                    at,
                    seller: entry.seller.clone(),
                    number: entry.number.clone(),
                    purpose: entry.purpose,
                    technology: entry.technology,
                    outcome: entry.outcome,
                    known_at: at,
                    talked_at: talked.then_some(at),
                    inbound: entry.inbound,
                    untold: false,
                },
                entry.external_id.as_deref(),
                entry.account.as_deref(),
            );
        }
        history
    }

    /// Adds a placement of the wire; person and account only where every contact it may have been
    /// for agrees on them. Returns its index.
    pub fn place(&mut self, world: &World, placement: &Placement, candidates: &[usize]) -> usize {
        let contacts: Vec<_> =
            candidates.iter().filter_map(|&index| world.contacts.get(index)).collect();
        let first = contacts
            .first()
            .and_then(|contact| world.campaign_of(contact).map(|campaign| (*contact, campaign)));
        let agreed =
            |same: &dyn Fn(&super::world::Contact) -> bool| contacts.iter().all(|c| same(c));
        let index = self.all.len();
        let Some((contact, campaign)) = first else {
            self.push(past(placement, "", Purpose::Telemarketing, Technology::Manual), None, None);
            return index;
        };
        let person = agreed(&|other| {
            other.external_id == contact.external_id
                && world.campaign_of(other).is_some_and(|c| c.seller == campaign.seller)
        });
        let account =
            !contact.account.is_empty() && agreed(&|other| other.account == contact.account);
        self.push(
            past(placement, &campaign.seller, campaign.purpose, campaign.technology),
            person.then_some(contact.external_id.as_str()),
            account.then_some(contact.account.as_str()),
        );
        index
    }

    /// The dialer cannot know how this one ended.
    pub fn untold(&mut self, index: usize) {
        if let Some(past) = self.all.get_mut(index) {
            past.untold = true;
        }
    }

    fn push(&mut self, past: Past, person: Option<&str>, account: Option<&str>) {
        let index = self.all.len();
        self.by_number.entry(past.number.clone()).or_default().push(index);
        let key = |name: &str| (past.seller.clone(), name.to_owned());
        if let Some(person) = person {
            self.by_person.entry(key(person)).or_default().push(index);
        }
        if let Some(account) = account.filter(|account| !account.is_empty()) {
            self.by_account.entry(key(account)).or_default().push(index);
        }
        self.all.push(past);
    }

    /// Every entry that shares number, account or person with a call of `seller`.
    #[must_use]
    pub fn related(&self, seller: &str, person: &str, account: &str, number: &str) -> Vec<Related> {
        let none = Vec::new();
        let numbers = self.by_number.get(number).unwrap_or(&none);
        let persons = self.by_person.get(&(seller.to_owned(), person.to_owned())).unwrap_or(&none);
        let accounts = self
            .by_account
            .get(&(seller.to_owned(), account.to_owned()))
            .filter(|_| !account.is_empty())
            .unwrap_or(&none);
        let mut indexes: Vec<usize> = [numbers.as_slice(), persons, accounts].concat();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
            .into_iter()
            .map(|index| Related {
                index,
                number: numbers.contains(&index),
                account: accounts.contains(&index),
                person: persons.contains(&index),
            })
            .collect()
    }
}

fn past(placement: &Placement, seller: &str, purpose: Purpose, technology: Technology) -> Past {
    Past {
        at: placement.at,
        seller: seller.to_owned(),
        number: placement.number.clone(),
        purpose,
        technology,
        outcome: placement.outcome(),
        known_at: placement.ended_at().unwrap_or(i64::MAX),
        talked_at: placement.answered_at,
        inbound: false,
        untold: false,
    }
}
