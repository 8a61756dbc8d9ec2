//! What moves heads besides commits, and what befalls Redis.

use super::{
    Commitment, Denied, Disposition, Head, Item, Mark, Moved, NOW, Next, Outcome, Pair, Released,
    RuleId, SellerNo, SubjectId, Token, keep, redis_key,
};

/// What an event makes of a head.
#[derive(Debug, Clone, Copy)]
enum Event {
    Suppress,
    Lift,
    Touch,
    /// The two are one: the first takes the other's history, the other is closed.
    Merge,
}

impl Pair {
    /// An open placement ends, or one that has ended is said to end once more.
    pub(super) async fn settle(&mut self) {
        let again = self.pick(4) == 0;
        let from = if again { &self.ended } else { &self.placed };
        if from.is_empty() {
            return;
        }
        let count = from.len();
        let at = self.pick(count);
        let placed = if again {
            let of = &self.ended[at];
            self.world.copy(of)
        } else {
            self.placed.swap_remove(at)
        };
        let dispositions = [Disposition::Busy, Disposition::NotSent, Disposition::Unknown];
        let disposition = dispositions[self.pick(3)];
        let next = Next::Due { at: NOW, because: String::new() };
        let item = [self.world.ended(&placed, disposition, next)];
        self.world.stores.write(self.world.stores.node, &item).await.unwrap();
        if again {
            return; // one outcome each: nothing has changed, as the comparison shows
        }
        self.ends(&placed, disposition.outcome()).await;
        self.ended.push(placed);
    }

    /// The pure stores end a placement as the real ones just did.
    async fn ends(&mut self, placed: &Commitment, outcome: Option<Outcome>) {
        let after = self.world.truth().await;
        let placement = placed.demand.placement();
        for claim in placed.demand.claims() {
            // The token is drawn by the real store: it is taken from there.
            let token = after[&claim.subject].token();
            let moved = self.truth.advance(claim.subject, |head| match outcome {
                Some(outcome) => head.settled(token, placement, outcome),
                None => head.released(token, placement),
            });
            if let Some((from, head)) = moved {
                self.cache.follow(claim.subject, from, &head);
            }
        }
    }

    /// A commit whose end nobody knows is given up: before it arrives, or after.
    pub(super) async fn release(&mut self) {
        let committed = self.pick(2) == 0;
        let from = if committed { &self.placed } else { &self.late };
        if from.is_empty() {
            return;
        }
        let count = from.len();
        let at = self.pick(count);
        let of = if committed {
            self.placed.swap_remove(at)
        } else {
            let of = &self.late[at];
            self.world.copy(of) // it is still under way, and comes too late
        };
        let item = [Item::Release(Box::new(Released {
            placement: of.demand.placement(),
            attempt: of.attempt,
            campaign: of.campaign,
            subjects: of.demand.claims().iter().map(|claim| claim.subject).collect(),
            due_at: NOW,
            because: "commit_unavailable",
            at: NOW,
        }))];
        self.world.stores.write(self.world.stores.node, &item).await.unwrap();
        if committed {
            self.ends(&of, None).await;
            self.ended.push(of);
        } else {
            self.attempts.push(of.attempt);
        }
    }

    /// A denial: where Postgres has other heads by now, the copies it rests on go.
    pub(super) async fn deny(&mut self, who: usize) {
        let Some(heads) = self.read[who].clone() else { return };
        let judged: Vec<_> = heads.iter().map(|(subject, head)| (*subject, head.token())).collect();
        let item = [Item::Deny(Box::new(Denied {
            judged: judged.clone(),
            attempt: dialer_types::AttemptId { contact: self.contacts[who].id, try_no: 1 },
            campaign: self.world.campaign,
            next: Next::Due { at: NOW, because: String::new() },
            records: Vec::new(),
            rules: vec![RuleId::new("us.tsr.dnc")],
        }))];
        self.world.stores.write(self.world.stores.node, &item).await.unwrap();
        let stands = judged
            .iter()
            .all(|(subject, token)| self.truth.read(*subject).unwrap().token() == *token);
        if !stands {
            judged.iter().for_each(|(subject, _)| self.cache.forget(*subject));
        }
    }

    /// Another process moves heads in Postgres; Redis is told at once, later, or never.
    pub(super) async fn event(&mut self, who: usize) {
        let kinds = [Event::Suppress, Event::Lift, Event::Touch, Event::Merge];
        let event = kinds[self.pick(4)];
        let contact = self.contacts[who];
        let other = self.pick(self.contacts.len());
        let other = self.contacts[other].person;
        let subjects = match event {
            Event::Merge if other == contact.person => return,
            Event::Merge => vec![contact.person, other],
            Event::Touch => vec![contact.person],
            Event::Suppress | Event::Lift => Self::subjects(contact),
        };
        let token = Token(self.dice.ulid(NOW));
        let taken = self.truth.read(other).unwrap().clone();
        let next =
            |subject: SubjectId, head: &Head| after(event, subject == other, &taken, head, token);
        let mut connection = self.world.owner.begin().await.unwrap();
        let moved = schema::heads::move_heads(&mut connection, &subjects, next).await.unwrap();
        connection.commit().await.unwrap();
        for subject in subjects {
            self.truth.advance(subject, |head| next(subject, head));
        }
        match self.pick(3) {
            0 => {}
            1 => keep(&mut self.messages, moved),
            _ => self.tell(&moved).await,
        }
    }

    async fn tell(&mut self, moved: &[Moved]) {
        self.world.stores.redis.follow(moved).await.unwrap();
        for moved in moved {
            self.cache.follow(moved.subject, moved.from, &moved.head);
        }
    }

    /// A message to Redis arrives late, and perhaps again later.
    pub(super) async fn message(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        let at = self.pick(self.messages.len());
        let moved = self.messages[at].clone();
        self.tell(&moved).await;
    }

    /// A head that was read a while ago is stored only now: where none is, or instead of what is there.
    pub(super) async fn load(&mut self) {
        if self.heads.is_empty() {
            return;
        }
        let at = self.pick(self.heads.len());
        let (subject, head) = self.heads[at].clone();
        let instead = self.pick(2) == 0;
        self.world.stores.redis.load(&[(subject, head.clone(), instead)]).await.unwrap();
        if instead {
            self.cache.forget(subject);
        }
        self.cache.load(subject, &head);
    }

    pub(super) async fn forget(&mut self, who: usize) {
        let subjects = Self::subjects(self.contacts[who]);
        self.world.stores.redis.forget(&subjects).await.unwrap();
        subjects.into_iter().for_each(|subject| self.cache.forget(subject));
    }

    /// Redis comes back empty, or without its functions, or loses one head.
    pub(super) async fn befall(&mut self) {
        match self.pick(3) {
            0 => {
                self.world.redis.empty().unwrap();
                self.cache.empty();
            }
            1 => {
                let flush = redis::cmd("FUNCTION").arg("FLUSH").to_owned();
                self.world.stores.redis.send(&flush).await.unwrap();
            }
            _ => {
                let at = self.pick(self.contacts.len());
                let subject = self.contacts[at].number;
                let delete = redis::cmd("DEL").arg(redis_key(subject)).to_owned();
                self.world.stores.redis.send(&delete).await.unwrap();
                self.cache.forget(subject);
            }
        }
    }
}

fn after(event: Event, is_other: bool, taken: &Head, head: &Head, token: Token) -> Option<Head> {
    let mark = Mark::suppressed(Some(SellerNo(1)));
    match event {
        Event::Suppress => head.with_mark(token, mark).ok(),
        Event::Lift => Some(head.without_mark(token, mark)),
        Event::Touch => Some(head.touched(token)),
        Event::Merge if is_other => head.with_mark(token, Mark::suppressed(None)).ok(),
        Event::Merge => {
            let mut new = taken.entries().iter().filter(|entry| !head.entries().contains(entry));
            let horizon = dialer_types::UnixMillis(0);
            new.try_fold(head.touched(token), |head, entry| {
                head.with_entry(token, *entry, horizon).ok()
            })
        }
    }
}
