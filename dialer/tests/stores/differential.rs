//! The real stores and the pure ones, driven by the same random operations, answer the same.

use std::collections::BTreeMap;

use dialer_engine::{Answer, Next};
use dialer_limiter::{
    Head, Token,
    memory::{Cache, Truth},
    redis_key,
};
use dialer_types::{Disposition, Mint, Outcome, SubjectId};

use crate::world::{Contact, NOW, World};

struct Pair {
    world: World,
    cache: Cache,
    truth: Truth,
    contacts: Vec<Contact>,
    tries: BTreeMap<i64, u16>,
    /// What was read last of each contact: often stale.
    read: BTreeMap<i64, Vec<(SubjectId, Head)>>,
    placed: Vec<dialer_engine::Commitment>,
    dice: Mint,
}

impl Pair {
    async fn new(seed: u8) -> Self {
        let mut world = World::new().await;
        let mut contacts = Vec::new();
        for _ in 0..3 {
            contacts.push(world.contact(None).await);
        }
        // A household: two of them share a number.
        let shared = contacts[0].number;
        contacts[1].number = shared;
        let mut truth = Truth::default();
        for (subject, head) in world.truth().await {
            truth.create(subject, head);
        }
        Self {
            world,
            cache: Cache::default(),
            truth,
            contacts,
            tries: BTreeMap::new(),
            read: BTreeMap::new(),
            placed: Vec::new(),
            dice: Mint::new([seed; 32]),
        }
    }

    fn pick(&mut self, of: usize) -> usize {
        usize::try_from(self.dice.bits() % u64::try_from(of).unwrap()).unwrap()
    }

    fn subjects(contact: Contact) -> Vec<SubjectId> {
        let mut subjects = vec![contact.number, contact.person];
        subjects.sort_unstable();
        subjects
    }

    /// Reads through the real cache; the pure one is loaded alike.
    async fn look(&mut self, contact: Contact) {
        let heads = self.world.heads(contact).await;
        let mut expected = Vec::new();
        for subject in Self::subjects(contact) {
            let truth = self.truth.read(subject).unwrap().clone();
            let open = |head: &Head| {
                head.entries().last().is_some_and(|entry| {
                    entry.outcome == Outcome::Pending
                        && u128::from(entry.key) == head.token().0 & u128::from(u64::MAX)
                })
            };
            if self.cache.read(subject).is_some_and(open) {
                self.cache.forget(subject);
            }
            self.cache.load(subject, &truth);
            expected.push((subject, self.cache.read(subject).unwrap().clone()));
        }
        assert_eq!(heads, expected, "read");
        self.read.insert(contact.person.0, heads);
    }

    async fn reserve(&mut self, contact: Contact, commit: bool) {
        let Some(heads) = self.read.get(&contact.person.0).cloned() else { return };
        let try_no = self.tries.entry(contact.person.0).or_insert(0);
        *try_no += 1;
        let commitment = self.world.judged(contact, *try_no, &heads);
        let granted = self.world.stores.redis.reserve(&commitment.demand).await.unwrap();
        assert_eq!(granted, self.cache.reserve(&commitment.demand), "reserve");
        if !commit {
            return;
        }
        let expected = self.truth.commit(&commitment.demand);
        let copy = self.world.copy(&commitment);
        let answers = self.world.stores.commit(vec![commitment]).await;
        assert_eq!(matches!(answers[0].1, Answer::Given(Ok(_))), expected, "commit");
        if expected {
            self.placed.push(copy);
        } else {
            let subjects = Self::subjects(contact);
            self.world.stores.redis.forget(&subjects).await.unwrap();
            subjects.into_iter().for_each(|subject| self.cache.forget(subject));
        }
    }

    async fn settle(&mut self) {
        if self.placed.is_empty() {
            return;
        }
        let at = self.pick(self.placed.len());
        let placed = self.placed.swap_remove(at);
        let disposition = [Disposition::Busy, Disposition::NotSent][self.pick(2)];
        let next = Next::Due { at: NOW, because: String::new() };
        let item = [self.world.ended(&placed, disposition, next)];
        let before = self.world.truth().await;
        self.world.stores.write(self.world.stores.node, &item).await.unwrap();
        let after = self.world.truth().await;
        let placement = placed.demand.placement();
        for claim in placed.demand.claims() {
            // The token is drawn by the real store: it is taken from there.
            let token = after[&claim.subject].token();
            let moved = self.truth.advance(claim.subject, |head| match disposition.outcome() {
                Some(outcome) => head.settled(token, placement, outcome),
                None => head.released(token, placement),
            });
            let Some((from, head)) = moved else {
                assert_eq!(before[&claim.subject], after[&claim.subject]);
                continue;
            };
            self.cache.follow(claim.subject, from, &head);
        }
    }

    /// Another process moves a head in Postgres; Redis is told, or the message is lost.
    async fn event(&mut self, contact: Contact, told: bool) {
        let token = Token(self.dice.ulid(NOW));
        let mut connection = self.world.owner.acquire().await.unwrap();
        let moved = schema::heads::move_heads(&mut connection, &[contact.number], |_, head| {
            Some(head.touched(token))
        })
        .await
        .unwrap();
        let (from, head) =
            self.truth.advance(contact.number, |head| Some(head.touched(token))).unwrap();
        if told {
            self.world.stores.redis.follow(&moved).await.unwrap();
            self.cache.follow(contact.number, from, &head);
        }
    }

    async fn compare(&self) {
        for (subject, head) in self.world.truth().await {
            assert_eq!(Some(&head), self.truth.read(subject), "the truth of {}", subject.0);
            let value =
                self.world.stores.redis.send(redis::cmd("GET").arg(redis_key(subject))).await;
            let copy: Option<Vec<u8>> = redis::from_redis_value(value.unwrap()).unwrap();
            let copy = copy.map(|bytes| Head::decode(&bytes).unwrap());
            assert_eq!(copy.as_ref(), self.cache.read(subject), "the copy of {}", subject.0);
        }
    }
}

#[tokio::test]
async fn random_operations_give_the_same_answers_as_the_pure_stores() {
    for seed in 1..=4 {
        let mut pair = Pair::new(seed).await;
        let mut committed = 0;
        for _ in 0..150 {
            let at = pair.pick(pair.contacts.len());
            let contact = pair.contacts[at];
            match pair.pick(12) {
                0..=3 => pair.look(contact).await,
                4..=6 => pair.reserve(contact, true).await,
                7 => pair.reserve(contact, false).await,
                8 => pair.settle().await,
                9 => pair.event(contact, true).await,
                10 => pair.event(contact, false).await,
                _ => {
                    pair.world.redis.empty().unwrap();
                    pair.cache.empty();
                }
            }
            committed = committed.max(pair.truth.committed().len());
        }
        pair.compare().await;
        assert!(committed > 5, "seed {seed} committed {committed}: nothing was tested");
        let rows = pair.world.count("SELECT count(*) FROM placement").await;
        assert_eq!(usize::try_from(rows).unwrap(), committed);
    }
}
