//! The real stores and the pure ones, driven by the same random operations, answer the same and hold
//! the same heads after each. A seed that ever failed is kept in `differential/failed_seeds.txt`.

use std::sync::Arc;

use dialer::store::{Stores, ledgers::Item};
use dialer_engine::{Answer, Commitment, Denied, Next, Released};
use dialer_limiter::{
    Demand, Head, Mark, Token,
    memory::{Cache, Truth},
    redis_key,
};
use dialer_types::{Disposition, Mint, Outcome, RuleId, SellerNo, SubjectId};
use schema::heads::Moved;

use crate::world::{Contact, NOW, World};

mod events;

/// Operations of a seed.
const OPERATIONS: usize = 220;
/// Things that are kept for later, of each kind: reservations whose commit is under way, messages to
/// Redis, heads that were read.
const KEPT: usize = 6;

/// Both kinds of stores.
struct Pair {
    world: World,
    /// Another process on the same stores.
    other: Arc<Stores>,
    cache: Cache,
    truth: Truth,
    contacts: Vec<Contact>,
    /// The next try of each contact.
    tries: Vec<u16>,
    /// What was read last of each contact: often stale.
    read: Vec<Option<Vec<(SubjectId, Head)>>>,
    /// Heads that were read from Postgres, to be stored in Redis late.
    heads: Vec<(SubjectId, Head)>,
    /// Reserved; the commit is on its way.
    late: Vec<Commitment>,
    /// Tries that Postgres has in `attempt`.
    attempts: Vec<dialer_types::AttemptId>,
    /// Committed and open, and ended.
    placed: Vec<Commitment>,
    ended: Vec<Commitment>,
    /// Messages to Redis that have not arrived yet.
    messages: Vec<Vec<Moved>>,
    committed: usize,
    refused: usize,
    dice: Mint,
}

impl Pair {
    async fn new(seed: u64) -> Self {
        let mut world = World::new().await;
        let mut contacts = Vec::new();
        for _ in 0..5 {
            contacts.push(world.contact(None).await);
        }
        // A household with one number; a person in two lists, by another number; and somebody alone.
        contacts[1].number = contacts[0].number;
        contacts[2].person = contacts[0].person;
        contacts[3].number = contacts[2].number;
        let mut truth = Truth::default();
        for (subject, head) in world.truth().await {
            truth.create(subject, head);
        }
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            other: world.another().await,
            world,
            cache: Cache::default(),
            truth,
            tries: vec![0; contacts.len()],
            read: vec![None; contacts.len()],
            contacts,
            heads: Vec::new(),
            late: Vec::new(),
            attempts: Vec::new(),
            placed: Vec::new(),
            ended: Vec::new(),
            messages: Vec::new(),
            committed: 0,
            refused: 0,
            dice: Mint::new(bytes),
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
    async fn look(&mut self, who: usize) {
        let contact = self.contacts[who];
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
        keep(&mut self.heads, expected[0].clone());
        self.read[who] = Some(heads);
    }

    /// The next try of a contact, judged on what was read of it last.
    fn judged(&mut self, who: usize) -> Option<Commitment> {
        let heads = self.read[who].clone()?;
        self.tries[who] += 1;
        Some(self.world.judged(self.contacts[who], self.tries[who], &heads))
    }

    /// Asks both for a reservation. It lasts here: the test may be slower than a permit's life.
    async fn reserved(&mut self, commitment: &Commitment) {
        let demand = &commitment.demand;
        let granted = self.world.stores.redis.reserve(demand).await.unwrap();
        assert_eq!(granted, self.cache.reserve(demand), "reserve");
        self.outlast(demand, granted).await;
    }

    async fn outlast(&self, demand: &Demand, granted: bool) {
        for claim in demand.claims() {
            let key = redis_key(claim.subject);
            let redis = &self.world.stores.redis;
            let left: i64 =
                redis::from_redis_value(redis.send(redis::cmd("PTTL").arg(&key)).await.unwrap())
                    .unwrap();
            assert!(
                !granted || (1..=10_000).contains(&left),
                "it lives as long as a permit: {left}"
            );
            redis.send(redis::cmd("PERSIST").arg(&key)).await.unwrap();
        }
    }

    async fn reserve(&mut self, who: usize, commit: bool) {
        let Some(commitment) = self.judged(who) else { return };
        self.reserved(&commitment).await;
        if commit {
            self.commit(commitment).await;
        } else {
            keep(&mut self.late, commitment);
        }
    }

    /// A reservation's commit arrives at last.
    async fn commit_late(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let at = self.pick(self.late.len());
        let commitment = self.late.swap_remove(at);
        self.commit(commitment).await;
    }

    async fn commit(&mut self, commitment: Commitment) {
        let copy = self.world.copy(&commitment);
        let answers = self.world.stores.commit(vec![commitment]).await;
        let expected = self.would_stand(&copy);
        assert_eq!(stands(&answers[0].1), expected, "commit of {}", copy.attempt);
        self.record(copy, expected).await;
    }

    fn would_stand(&mut self, commitment: &Commitment) -> bool {
        !self.attempts.contains(&commitment.attempt) && self.truth.commit(&commitment.demand)
    }

    /// Keeps what was committed; of what was not, the copies are forgotten as the engine does.
    async fn record(&mut self, commitment: Commitment, stood: bool) {
        if stood {
            self.committed += 1;
            self.attempts.push(commitment.attempt);
            self.placed.push(commitment);
            return;
        }
        self.refused += 1;
        let subjects: Vec<_> = commitment.demand.claims().iter().map(|it| it.subject).collect();
        self.world.stores.redis.forget(&subjects).await.unwrap();
        subjects.into_iter().for_each(|subject| self.cache.forget(subject));
    }

    /// Two processes reserve and commit at a time. Whichever is first, it is as if they had come one
    /// after the other.
    async fn race(&mut self, one: usize, two: usize) {
        if one == two {
            return;
        }
        let (Some(one), Some(two)) = (self.judged(one), self.judged(two)) else { return };
        let granted = tokio::join!(
            self.world.stores.redis.reserve(&one.demand),
            self.other.redis.reserve(&two.demand)
        );
        let granted = [granted.0.unwrap(), granted.1.unwrap()];
        let mut swapped = self.cache.clone();
        let as_given = [self.cache.reserve(&one.demand), self.cache.reserve(&two.demand)];
        if granted != as_given {
            let second = swapped.reserve(&two.demand);
            assert_eq!(granted, [swapped.reserve(&one.demand), second], "reservations at a time");
            self.cache = swapped;
        }
        // Of two that share a head one was granted: it is looked at first.
        let (first, second) = if granted[1] { (&two, &one) } else { (&one, &two) };
        self.outlast(&first.demand, granted[0] || granted[1]).await;
        self.outlast(&second.demand, granted[0] && granted[1]).await;
        let copies = [self.world.copy(&one), self.world.copy(&two)];
        let answers =
            tokio::join!(self.world.stores.commit(vec![one]), self.other.commit(vec![two]));
        let stood = [stands(&answers.0[0].1), stands(&answers.1[0].1)];
        let mut swapped = self.truth.clone();
        let as_given = [self.truth.commit(&copies[0].demand), self.truth.commit(&copies[1].demand)];
        if stood != as_given {
            let second = swapped.commit(&copies[1].demand);
            assert_eq!(stood, [swapped.commit(&copies[0].demand), second], "commits at a time");
            self.truth = swapped;
        }
        for (copy, stood) in copies.into_iter().zip(stood) {
            self.record(copy, stood).await;
        }
    }

    /// What differs, subject by subject.
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

    async fn operate(&mut self) {
        let who = self.pick(self.contacts.len());
        match self.pick(36) {
            0..=6 => self.look(who).await,
            7..=11 => self.reserve(who, true).await,
            12..=13 => self.reserve(who, false).await,
            14..=15 => self.commit_late().await,
            16..=17 => {
                let other = self.pick(self.contacts.len());
                self.race(who, other).await;
            }
            18..=20 => self.settle().await,
            21 => self.release().await,
            22 => self.deny(who).await,
            23..=25 => self.event(who).await,
            26 => self.message().await,
            27 => self.load().await,
            28 => self.forget(who).await,
            29 => self.befall().await,
            _ => self.look(who).await,
        }
    }
}

fn stands<T>(answer: &Answer<Result<T, dialer_engine::Conflict>>) -> bool {
    match answer {
        Answer::Given(said) => said.is_ok(),
        Answer::Unavailable => panic!("a store was not there, or too slow for this test"),
    }
}

/// Keeps the last few.
fn keep<T>(all: &mut Vec<T>, one: T) {
    if all.len() == KEPT {
        all.remove(0);
    }
    all.push(one);
}

#[expect(clippy::print_stdout, reason = "the seed, for whoever reads the test's output")]
async fn play(seed: u64) {
    println!("seed {seed}: to play it again put it into differential/failed_seeds.txt");
    let mut pair = Pair::new(seed).await;
    for _ in 0..OPERATIONS {
        pair.operate().await;
        pair.compare().await;
    }
    let (committed, refused) = (pair.committed, pair.refused);
    println!("seed {seed}: {committed} committed, {refused} refused, {} ended", pair.ended.len());
    assert!(committed > 5 && refused > 3, "seed {seed}: nothing was tested");
    let rows = pair.world.count("SELECT count(*) FROM placement").await;
    assert_eq!(usize::try_from(rows).unwrap(), committed);
    let outcomes = pair.world.count("SELECT count(*) FROM outcome").await;
    assert_eq!(usize::try_from(outcomes).unwrap(), pair.ended.len(), "one outcome each");
}

#[tokio::test]
async fn random_operations_give_the_same_answers_as_the_pure_stores() {
    for seed in 1..=3 {
        play(seed).await;
    }
    let mut fresh = [0; 4];
    getrandom::fill(&mut fresh).unwrap();
    play(u64::from(u32::from_be_bytes(fresh))).await;
}

#[tokio::test]
async fn seeds_that_once_failed_stay_mended() {
    let kept = include_str!("differential/failed_seeds.txt");
    for seed in kept.lines().filter_map(|line| line.split('#').next()?.trim().parse().ok()) {
        play(seed).await;
    }
}
