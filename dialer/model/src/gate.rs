//! From a due contact to a judgement.

use dialer_limiter::{Demand, Entry, Head, MarkKind, memory::Cache};
use dialer_types::{
    CampaignNo, Outcome, PlacementId, Purpose, SellerNo, SubjectId, Technology, UnixMillis,
};

use crate::{
    Action, Event, Gate, Minting, Redis,
    world::{self, Contact, Got, Job, Judged, Place, Stage, World, each, id},
};

/// The wall clock's first tick, in seconds: far enough from zero for any window.
const EPOCH_S: u32 = 1_000;

impl Gate {
    /// What a hand may do next by itself.
    pub(crate) fn hand_may(&self, world: &World, hand: u8, actions: &mut Vec<Action>) {
        let held = &world.hands[usize::from(hand)];
        let instances = || 0..u8::try_from(world.redis.len()).unwrap_or(0);
        match &held.stage {
            Stage::Free => {
                for (contact, at) in (0..).zip(&world.contacts) {
                    if at.place == Place::Due && held.minted < self.setup.judgements {
                        actions.push(Action::Take { hand, contact });
                    }
                }
            }
            Stage::Reading { got, consent, .. } => {
                let Some(job) = held.job else { return };
                if !self.setup.fences.heads_first && consent.is_none() && self.asks_facts(job) {
                    actions.push(Action::Facts { hand });
                } else if let Some(subject) = each(job.subjects).nth(got.len()) {
                    let ways = match self.setup.redis {
                        Redis::Anything => {
                            0..=u8::try_from(world.ever[usize::from(subject)].len()).unwrap_or(0)
                        }
                        Redis::Whole | Redis::Slots => {
                            0..=u8::try_from(world.redis.len() - 1).unwrap_or(0)
                        }
                    };
                    actions.extend(ways.map(|from| Action::Read { hand, from }));
                } else {
                    actions.push(Action::ReadTruth { hand });
                }
            }
            Stage::Loading { .. } => {
                actions.extend(instances().map(|into| Action::Load { hand, into }));
            }
            Stage::Known(_) => actions.push(Action::Facts { hand }),
            Stage::Reserving(..) => {
                for at in instances() {
                    actions.push(Action::Reserve { hand, at, heard: true });
                    if world.faults.answers > 0 {
                        actions.push(Action::Reserve { hand, at, heard: false });
                    }
                }
            }
            Stage::Committing(judged) => {
                let under_way = world.flying.iter().any(|flying| flying.key == judged.key);
                if !under_way || world.faults.answers > 0 {
                    actions.push(Action::Impatient { hand });
                }
            }
            Stage::Cleared(_) | Stage::Handed(..) | Stage::Ended(..) | Stage::Released(_) => {
                self.ends_may(world, hand, actions);
            }
        }
    }

    pub(crate) fn take(&self, world: &mut World, hand: u8, contact: u8) -> Option<()> {
        let at = &mut world.contacts[usize::from(contact)];
        if world.attempts.contains(&(contact, at.try_no)) {
            at.try_no += 1;
            if at.try_no > self.setup.tries {
                at.place = Place::Done;
                return Some(());
            }
        }
        at.place = Place::Leased(hand);
        let job = Job { contact, try_no: at.try_no, subjects: at.subjects };
        let held = &mut world.hands[usize::from(hand)];
        held.job = Some(job);
        held.stage = Stage::Reading { got: Vec::new(), found: 0, consent: None };
        Some(())
    }

    /// Redis says what it has: all heads at once, or the next.
    pub(crate) fn read(&self, world: &mut World, hand: u8, from: u8) -> Option<()> {
        let (job, mut got, mut found, consent) = reading(world, hand)?;
        let rest: Vec<u8> = each(job.subjects).skip(got.len()).collect();
        let many = if self.setup.redis == Redis::Whole { rest.len() } else { 1 };
        for subject in rest.into_iter().take(many) {
            let copy = match self.setup.redis {
                Redis::Anything => world.ever[usize::from(subject)]
                    .get(usize::from(from))
                    .map(|head| (**head).clone()),
                Redis::Whole | Redis::Slots => {
                    world.redis[usize::from(from)].read(id(subject)).cloned()
                }
            };
            found |= u8::from(copy.is_some()) << subject;
            let copy = copy
                .filter(|head| !self.setup.fences.reserved_is_reread || !is_reserved(head))
                .map(world::head);
            got.push((subject, copy));
        }
        if got.len() == each(job.subjects).count() && got.iter().all(|(_, head)| head.is_some()) {
            return self.known(world, hand, got, consent);
        }
        world.hands[usize::from(hand)].stage = Stage::Reading { got, found, consent };
        Some(())
    }

    /// Postgres says the rest, in one statement.
    pub(crate) fn read_truth(&self, world: &mut World, hand: u8) -> Option<()> {
        let (_, mut got, found, consent) = reading(world, hand)?;
        let mut load = Vec::new();
        for (subject, head) in got.iter_mut().filter(|(_, head)| head.is_none()) {
            *head = world.truth.read(id(*subject)).cloned().map(world::head);
            load.push((*subject, found & (1 << *subject) != 0));
        }
        if self.setup.redis == Redis::Anything {
            return self.known(world, hand, got, consent);
        }
        world.hands[usize::from(hand)].stage = Stage::Loading { got, load, consent };
        Some(())
    }

    /// One `SET`, with `NX` unless it replaces.
    pub(crate) fn load(&self, world: &mut World, hand: u8, into: u8) -> Option<()> {
        let held = &world.hands[usize::from(hand)];
        let Stage::Loading { got, load, consent } = held.stage.clone() else { return None };
        let (subject, replaces) = *load.first()?;
        let head = got.iter().find(|(of, _)| *of == subject)?.1.clone()?;
        let mut copy: Cache = (*world.redis[usize::from(into)]).clone();
        if replaces || !self.setup.fences.load_never_overwrites {
            copy.forget(id(subject));
        }
        copy.load(id(subject), &head);
        world.redis[usize::from(into)] = world::cache(copy, self.subjects);
        if load.len() == 1 {
            return self.known(world, hand, got, consent);
        }
        let load = load.into_iter().skip(1).collect();
        world.hands[usize::from(hand)].stage = Stage::Loading { got, load, consent };
        Some(())
    }

    fn asks_facts(&self, job: Job) -> bool {
        job.contact == 0 && self.setup.may(Event::Revoke)
    }

    fn known(&self, world: &mut World, hand: u8, got: Got, consent: Option<bool>) -> Option<()> {
        let job = world.hands[usize::from(hand)].job?;
        match consent {
            None if self.asks_facts(job) => {
                world.hands[usize::from(hand)].stage = Stage::Known(got);
                Some(())
            }
            consent => self.judge(world, hand, &got, consent.unwrap_or(true)),
        }
    }

    pub(crate) fn facts(&self, world: &mut World, hand: u8) -> Option<()> {
        let consented = world.consent;
        match &mut world.hands[usize::from(hand)].stage {
            Stage::Reading { consent, .. } => {
                *consent = Some(consented);
                Some(())
            }
            Stage::Known(got) => {
                let got = std::mem::take(got);
                self.judge(world, hand, &got, consented)
            }
            _ => None,
        }
    }

    /// Permit: a demand under a token of its own. Denial: the contact is done with, or due again where
    /// Postgres disagrees with the heads it rests on.
    fn judge(&self, world: &mut World, hand: u8, got: &Got, consent: bool) -> Option<()> {
        let ahead = if hand == 0 { self.setup.time.clocks } else { 0 };
        let wall = EPOCH_S + u32::from(world.now) + u32::from(ahead);
        let heads: Vec<(SubjectId, Head)> = got
            .iter()
            .filter_map(|(subject, head)| Some((id(*subject), (**head.as_ref()?).clone())))
            .collect();
        let held = &mut world.hands[usize::from(hand)];
        let job = held.job?;
        held.minted += 1;
        let number = if self.setup.fences.minting == Minting::PerTry { 0 } else { held.minted };
        let key = 1
            + u64::from(hand) * 1_000
            + u64::from(job.contact) * 100
            + u64::from(job.try_no) * 10
            + u64::from(number) * 10_000;
        if held.doomed {
            // What was read may be older than the event: given back, and judged afresh.
            self.leave(world, hand, |contact| contact.place = Place::Due);
            return Some(());
        }
        if !consent || self.denies(&heads, wall) {
            self.denied(world, hand, &heads);
            return Some(());
        }
        let token = match self.setup.fences.minting {
            Minting::Fresh | Minting::PerTry => u128::from(key),
            Minting::Counter => heads.iter().map(|(_, head)| head.token().0).max()? + 1,
        };
        let fences = &self.setup.fences;
        let keep = if fences.horizon_covers_guard {
            self.setup.counts_for()
        } else {
            self.setup.time.window
        };
        let horizon = UnixMillis(i64::from(wall.saturating_sub(u32::from(keep))) * 1_000);
        let demand = Demand::new(PlacementId(token), &heads, entry(key, wall), horizon).ok()?;
        let judged = Judged { key, at: world.now, demand: world::demand(demand) };
        world.hands[usize::from(hand)].stage = Stage::Reserving(judged, 0);
        Some(())
    }

    /// A mark, or as many distinct placements over all the heads as the cap allows.
    fn denies(&self, heads: &[(SubjectId, Head)], wall: u32) -> bool {
        let marked = heads
            .iter()
            .any(|(_, head)| head.marks().iter().any(|mark| mark.kind == MarkKind::Suppressed));
        let mut keys: Vec<u64> = heads
            .iter()
            .flat_map(|(_, head)| head.entries())
            .filter(|entry| wall < entry.at_seconds + u32::from(self.setup.counts_for()))
            .map(|entry| entry.key)
            .collect();
        keys.sort_unstable();
        keys.dedup();
        marked || keys.len() >= self.setup.cap
    }

    /// `stores/src/ledger.rs`: a denial that rests on other tokens than Postgres has is judged again.
    fn denied(&self, world: &mut World, hand: u8, heads: &[(SubjectId, Head)]) {
        let stands = heads.iter().all(|(subject, head)| {
            world.truth.read(*subject).is_some_and(|held| held.token() == head.token())
        });
        if !stands {
            for at in 0..world.redis.len() {
                self.forget(world, at, heads.iter().map(|(subject, _)| *subject));
            }
        }
        self.leave(world, hand, |contact| {
            contact.place = if stands { Place::Done } else { Place::Due };
        });
    }

    pub(crate) fn forget(
        &self,
        world: &mut World,
        at: usize,
        subjects: impl Iterator<Item = SubjectId>,
    ) {
        let mut copy = (*world.redis[at]).clone();
        subjects.for_each(|subject| copy.forget(subject));
        world.redis[at] = world::cache(copy, self.subjects);
    }

    /// Lost a race: reads everything again, as often as it may.
    pub(crate) fn again(&self, world: &mut World, hand: u8) {
        let held = &mut world.hands[usize::from(hand)];
        if held.minted < self.setup.judgements && !held.doomed {
            held.stage = Stage::Reading { got: Vec::new(), found: 0, consent: None };
        } else {
            self.leave(world, hand, |contact| contact.place = Place::Due);
        }
    }

    /// The hand has done with its contact; what that changes counts only while it has it.
    pub(crate) fn leave(&self, world: &mut World, hand: u8, change: impl FnOnce(&mut Contact)) {
        let held = &mut world.hands[usize::from(hand)];
        let job = held.job.take();
        (held.stage, held.doomed) = (Stage::Free, false);
        let Some(job) = job else { return };
        let contact = &mut world.contacts[usize::from(job.contact)];
        let holds = matches!(contact.place, Place::Leased(by) | Place::Orphaned(by) if by == hand);
        if holds && contact.try_no == job.try_no {
            change(contact);
            if contact.try_no > self.setup.tries {
                contact.place = Place::Done;
            }
        }
    }
}

fn reading(world: &World, hand: u8) -> Option<(Job, Got, u8, Option<bool>)> {
    let held = &world.hands[usize::from(hand)];
    match &held.stage {
        Stage::Reading { got, found, consent } => Some((held.job?, got.clone(), *found, *consent)),
        _ => None,
    }
}

/// As in `store/heads.rs`: the last event is a reservation that is not settled.
fn is_reserved(head: &Head) -> bool {
    head.entries().last().is_some_and(|entry| {
        entry.outcome == Outcome::Pending && entry.key == Entry::key_of(PlacementId(head.token().0))
    })
}

fn entry(key: u64, wall: u32) -> Entry {
    Entry {
        key,
        at_seconds: Entry::seconds(UnixMillis(i64::from(wall) * 1_000)),
        seller: SellerNo(1),
        campaign: CampaignNo(1),
        purpose: Purpose::Telemarketing,
        technology: Technology::Manual,
        outcome: Outcome::Pending,
        inbound: false,
    }
}
