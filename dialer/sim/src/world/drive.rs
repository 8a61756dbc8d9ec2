//! What a driver does for its engine: stores, datagrams, media, and the send itself.

use dialer_audit::Receipt;
use dialer_engine::{
    Answer, Commitment, Conflict, ContactFacts, Denied, Fences, Input, NumberFacts, Output,
    Released, Returned, Settlement, Transmit, TransmitKind,
};
use dialer_limiter::{Demand, Head, Reservation};
use dialer_policy::{AddressBasis, Consent, Evidenced};
use dialer_types::{AttemptId, PartyRole, PartyType, PlacementId, SubjectId, UnixMillis};
use std::sync::Arc;

use super::{Event, Faults, World};
use crate::{
    carrier,
    check::{Leaving, Wire},
    stores::{Incarnation, Reach},
};

/// Something a node asks of a store.
#[derive(Debug)]
pub(crate) enum Op {
    Heads(AttemptId, Vec<SubjectId>),
    Facts(AttemptId),
    Reserve(Arc<Demand>),
    Commit(Box<Commitment>),
    Forget(Vec<SubjectId>),
    Deny(Box<Denied>),
    Return(Returned),
    Release(Box<Released>),
    Settle(Box<Settlement>),
}

/// What the store said.
#[derive(Debug)]
pub(crate) enum Reply {
    Heads(AttemptId, Option<Vec<(SubjectId, Head)>>),
    Facts(AttemptId, Option<Box<ContactFacts>>),
    Reserved(PlacementId, Option<bool>),
    Committed(PlacementId, Option<bool>),
}

impl<F: Fences> World<F> {
    /// Hands an input to a node, or keeps it while the node is paused.
    pub(crate) fn give(&mut self, node: usize, input: Input<'static>) {
        let Some(held) = self.nodes.get_mut(node) else {
            return;
        };
        if held.engine.is_none() {
            return;
        }
        if held.paused_until > self.now_ms {
            held.waiting.push_back(input);
            return;
        }
        let now = held.now(self.base, self.now_ms);
        if let Some(engine) = held.engine.as_mut() {
            engine.handle_input(input, now);
        }
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self
            .nodes
            .get_mut(node)
            .and_then(|held| held.engine.as_mut())
            .and_then(dialer_engine::Engine::poll_output)
        {
            self.carry_out(node, output);
        }
        let base = self.base;
        let Some(held) = self.nodes.get_mut(node) else {
            return;
        };
        let Some(wanted) = held.engine.as_ref().and_then(dialer_engine::Engine::poll_timeout)
        else {
            return;
        };
        let late = wanted.saturating_duration_since(base.mono).as_micros().div_ceil(1000);
        let wanted_ms = u64::try_from(late).unwrap_or(u64::MAX).max(self.now_ms + 1);
        if held.wake_ms.is_none_or(|wake| wanted_ms < wake) {
            held.wake_ms = Some(wanted_ms);
            let at = held.at;
            self.at(wanted_ms, Event::Wake(at));
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        let Some(at) = self.nodes.get(node).map(|held| held.at) else {
            return;
        };
        let op = match output {
            Output::ReadHeads(attempt, subjects) => Op::Heads(attempt, subjects),
            Output::LoadFacts(attempt) => Op::Facts(attempt),
            Output::Reserve(_, demand) => Op::Reserve(demand),
            Output::Commit(commitment) => Op::Commit(commitment),
            Output::Forget(subjects) => Op::Forget(subjects),
            Output::Deny(denied) => Op::Deny(denied),
            Output::Return(returned) => Op::Return(returned),
            Output::Release(released) => Op::Release(released),
            Output::Settle(settlement) => Op::Settle(settlement),
            Output::Transmit(transmit) => {
                self.transmit(at, transmit);
                return;
            }
            Output::StartMedia(media) => {
                self.after(500, 3_000, Event::Played(at, media.placement));
                return;
            }
            Output::Record(_)
            | Output::StopMedia(..)
            | Output::TrunkChanged(..)
            | Output::TrunkProbed(..) => return,
        };
        if let Op::Commit(commitment) = &op
            && !self.stores.fences.commit_first
        {
            let placement = commitment.demand.placement();
            self.after(1, 5, Event::Answer(at, Box::new(Reply::Committed(placement, Some(true)))));
        }
        let slow = self.faults == Faults::All && self.rng.chance(15);
        let (low, high) = if slow || self.is_slow(at, &op) { (500, 6_000) } else { (1, 20) };
        self.after(low, high, Event::Apply(at, Box::new(op)));
    }

    /// Whether this takes long: Redis is slow, has to be given its functions, or a node's way to
    /// Postgres is slow.
    fn is_slow(&self, at: Incarnation, op: &Op) -> bool {
        let links = self.nodes.get(at.node).map(|node| node.links).unwrap_or_default();
        match op {
            Op::Heads(..) | Op::Forget(_) => self.now_ms < self.stores.slow_until,
            Op::Reserve(_) => self.now_ms < self.stores.slow_until || !self.stores.functions,
            _ => self.now_ms < links.slow_truth_until,
        }
    }

    /// Whether a commit's answer does not reach this node.
    fn is_deaf(&self, at: Incarnation) -> bool {
        self.nodes.get(at.node).is_some_and(|node| self.now_ms < node.links.deaf_until)
    }

    /// What a node reaches of the stores now.
    fn reach(&self, at: Incarnation) -> Reach {
        let links = self.nodes.get(at.node).map(|node| node.links).unwrap_or_default();
        let all = self.stores.reach();
        Reach {
            cache: all.cache.filter(|_| self.now_ms >= links.no_cache_until).map(|_| links.side),
            truth: all.truth && self.now_ms >= links.no_truth_until,
        }
    }

    /// An operation reaches its store.
    pub(crate) fn apply(&mut self, at: Incarnation, op: Op) {
        let reach = self.reach(at);
        let durable = matches!(op, Op::Deny(_) | Op::Return(_) | Op::Release(_) | Op::Settle(_));
        if durable {
            if reach.truth {
                match op {
                    Op::Deny(denied) => {
                        let now = self.base.wall_at(self.now_ms);
                        self.stores.deny(&denied, at, now, reach);
                    }
                    Op::Return(returned) => self.stores.give_back(&returned, at),
                    Op::Release(released) => self.stores.release(&released, at, reach),
                    Op::Settle(settlement) => self.stores.settle(&settlement, at, reach),
                    _ => {}
                }
            } else if self.alive(at).is_some() {
                self.at(self.now_ms + 500, Event::Apply(at, Box::new(op)));
            }
            return;
        }
        let reply = match op {
            Op::Heads(attempt, subjects) => {
                Reply::Heads(attempt, self.stores.read(&subjects, reach))
            }
            Op::Facts(attempt) => Reply::Facts(
                attempt,
                if reach.truth { self.facts(attempt).map(Box::new) } else { None },
            ),
            Op::Reserve(demand) => {
                Reply::Reserved(demand.placement(), self.stores.reserve(&demand, reach))
            }
            Op::Commit(commitment) => {
                let placement = commitment.demand.placement();
                let done = reach.truth.then(|| self.stores.commit(&commitment, at, self.now_ms));
                if !self.stores.fences.commit_first || self.is_deaf(at) {
                    return;
                }
                Reply::Committed(placement, done)
            }
            Op::Forget(subjects) => {
                self.stores.forget(&subjects, reach);
                return;
            }
            Op::Deny(_) | Op::Return(_) | Op::Release(_) | Op::Settle(_) => return,
        };
        // An answer may be lost on its way; then the engine's patience runs out.
        let lost = self.faults == Faults::All && self.rng.chance(8);
        if !lost {
            let slow = self.faults == Faults::All && self.rng.chance(30);
            self.after(0, if slow { 3_000 } else { 10 }, Event::Answer(at, Box::new(reply)));
        } else if let Reply::Committed(placement, _) = reply
            && !self.stores.fences.timeout_denies
        {
            let reply = Reply::Committed(placement, Some(true));
            self.after(0, 10, Event::Answer(at, Box::new(reply)));
        }
    }

    /// A store's answer reaches its node.
    pub(crate) fn answer(&mut self, at: Incarnation, reply: Reply) {
        if self.alive(at).is_none() {
            return;
        }
        let deny = self.stores.fences.timeout_denies;
        let input = match reply {
            Reply::Heads(attempt, read) => Input::Heads(attempt, given(read)),
            Reply::Facts(attempt, read) => Input::Facts(attempt, given(read)),
            Reply::Reserved(placement, granted) => {
                Input::Reserved(placement, verdict(granted, true, || reservation(placement)))
            }
            Reply::Committed(placement, done) => {
                let crossed = self.faults == Faults::All && self.rng.chance(3);
                let named = if crossed { PlacementId(placement.0 ^ 1) } else { placement };
                if crossed {
                    self.log.crossed.push(placement);
                }
                Input::Committed(placement, verdict(done, deny, || receipt(named)))
            }
        };
        self.give(at.node, input);
    }

    /// What Postgres says of a contact now.
    fn facts(&self, attempt: AttemptId) -> Option<ContactFacts> {
        let contact = self.stores.contacts.get(&attempt.contact)?;
        let person = self.people.persons.get(contact.person)?;
        let seller = self.people.campaigns.get(contact.campaign)?.seller_no;
        let consents: Vec<Consent> = person
            .consents
            .iter()
            .map(|consent| Consent {
                form: consent.form,
                same_seller: consent.seller == seller,
                purpose: consent.purpose,
                technology: None,
                given_at: UnixMillis(0),
                revoked_at: consent
                    .revoked_at
                    .filter(|at| *at <= self.now_ms)
                    .map(|_| UnixMillis(1)),
                evidence: Evidenced::NONE,
                event: None,
            })
            .collect();
        Some(ContactFacts {
            party: PartyType::Consumer,
            role: PartyRole::Principal,
            address: None,
            address_basis: AddressBasis::Stated,
            narrowing: false,
            relationship: None,
            emergency: None,
            supplied: dialer_engine::Supplied::default(),
            entries: Vec::new(),
            numbers: person
                .numbers
                .iter()
                .filter_map(|index| self.people.numbers.get(*index))
                .map(|number| NumberFacts {
                    subject: number.subject,
                    number: number.number,
                    line: number.line,
                    consents: consents.clone(),
                    lifts: Vec::new(),
                    lists: Vec::new(),
                    checks: dialer_engine::Checks::default(),
                })
                .collect(),
        })
    }

    fn transmit(&mut self, at: Incarnation, transmit: Transmit) {
        let first = transmit.kind == TransmitKind::InviteFirst;
        if first && self.faults == Faults::All && self.rng.chance(25) {
            // The process is held up between the engine's word and the socket.
            let stall = self.rng.between(50, 9_000);
            if let Some(node) = self.alive(at) {
                node.paused_until = node.paused_until.max(u64::MAX / 2);
            }
            self.at(self.now_ms + stall, Event::SendLate(at, Box::new(transmit)));
            return;
        }
        self.send(at, &transmit);
    }

    pub(crate) fn send_late(&mut self, at: Incarnation, transmit: Transmit) {
        let now_ms = self.now_ms;
        let Some(node) = self.alive(at) else { return };
        node.paused_until = now_ms;
        self.send(at, &transmit);
        self.resume(at.node);
    }

    /// Directly before the send: the last look at the clock (G3).
    fn send(&mut self, at: Incarnation, transmit: &Transmit) {
        let (base, now_ms) = (self.base, self.now_ms);
        let closes = self.stores.fences.clock_closes;
        let Some(node) = self.alive(at) else { return };
        let now = node.now(base, now_ms);
        let off = transmit.kind == TransmitKind::InviteFirst && node.links.is_off();
        let late = transmit.send_before.is_some_and(|before| now.mono >= before) || (off && closes);
        if late {
            if let Some(call) = transmit.call {
                self.give(at.node, Input::TooLate(call));
            }
            return;
        }
        let trunk = if transmit.destination == carrier::address(1) { 1 } else { 2 };
        self.log.wire.push(Wire {
            at_ms: now_ms,
            by: at,
            leaving: Leaving::of(transmit),
            trunk,
            bytes: transmit.payload.clone(),
        });
        if let (TransmitKind::InviteFirst | TransmitKind::InviteResend, Some(call)) =
            (transmit.kind, transmit.call)
        {
            self.give(at.node, Input::Sent(call));
        }
        self.travel(|bytes| Event::ToCarrier(trunk, bytes), &transmit.payload);
    }

    /// The network: loses, repeats, delays, and so reorders.
    pub(crate) fn travel(&mut self, event: impl Fn(Vec<u8>) -> Event, bytes: &[u8]) {
        let troubled = self.faults == Faults::All;
        if troubled && self.rng.chance(50) {
            return;
        }
        self.after(5, if troubled { 120 } else { 30 }, event(bytes.to_vec()));
        if troubled && self.rng.chance(30) {
            self.after(5, 900, event(bytes.to_vec()));
        }
    }

    pub(crate) fn datagram(&mut self, node: usize, from: u8, bytes: Vec<u8>) {
        let Some(held) = self.nodes.get_mut(node) else {
            return;
        };
        if held.paused_until > self.now_ms {
            held.datagrams.push_back((from, bytes));
            return;
        }
        let now = held.now(self.base, self.now_ms);
        self.log.heard(self.now_ms, held.at, &bytes);
        if let Some(engine) = held.engine.as_mut() {
            engine.handle_input(Input::Datagram(carrier::address(from), &bytes), now);
        }
        self.drain(node);
    }

    /// A pause is over: what waited comes in at once.
    pub(crate) fn resume(&mut self, node: usize) {
        loop {
            let Some(held) = self.nodes.get_mut(node) else {
                return;
            };
            if held.paused_until > self.now_ms {
                return;
            }
            if let Some(input) = held.waiting.pop_front() {
                self.give(node, input);
            } else if let Some((from, bytes)) = held.datagrams.pop_front() {
                self.datagram(node, from, bytes);
            } else {
                return;
            }
        }
    }

    pub(crate) fn carrier_hears(&mut self, trunk: u8, bytes: &[u8]) {
        let Ok(message) = dialer_sip::wire::Message::parse(bytes) else {
            return;
        };
        let host = message.top_via().ok().map(|via| dialer_sip::wire::text(via.host));
        let node =
            host.and_then(|host| host.rsplit('.').next()?.parse::<usize>().ok()?.checked_sub(100));
        let Some(node) = node else { return };
        let first_invite = message.method() == Some(b"INVITE");
        let call_id = message.call_id().map(<[u8]>::to_vec);
        let Some(carrier) = self.carriers.get_mut(usize::from(trunk) - 1) else {
            return;
        };
        let sends = carrier.datagram(bytes, &mut self.rng);
        let hangs_up =
            call_id.as_ref().filter(|_| first_invite).and_then(|id| carrier.hangs_up(id));
        for sent in sends.into_iter().chain(hangs_up) {
            let delay = self.rng.between(5, 60);
            let lost = self.faults == Faults::All && self.rng.chance(50);
            if !lost {
                let at = self.now_ms + sent.after_ms + delay;
                self.at(at, Event::ToNode(node, trunk, sent.bytes));
            }
        }
        if let (true, Some(call_id)) = (first_invite, call_id) {
            self.after(7_000, 7_000, Event::CarrierAgain(trunk, call_id, node, 0));
        }
    }

    /// The carrier repeats a 200 that nobody has acknowledged.
    pub(crate) fn carrier_again(&mut self, trunk: u8, call_id: Vec<u8>, node: usize, round: u32) {
        let Some(carrier) = self.carriers.get(usize::from(trunk) - 1) else {
            return;
        };
        if let Some(bytes) = carrier.retransmits(&call_id)
            && round < 8
        {
            self.travel(|bytes| Event::ToNode(node, trunk, bytes), &bytes);
            self.after(2_000, 4_000, Event::CarrierAgain(trunk, call_id, node, round + 1));
        }
    }
}

fn given<T>(answer: Option<T>) -> Answer<T> {
    answer.map_or(Answer::Unavailable, Answer::Given)
}

/// `None`, the store being away, is no; but for the test that takes this fence out.
fn verdict<T>(
    said: Option<bool>,
    deny: bool,
    proof: impl FnOnce() -> T,
) -> Answer<Result<T, Conflict>> {
    match said {
        Some(true) => Answer::Given(Ok(proof())),
        Some(false) => Answer::Given(Err(Conflict)),
        None if deny => Answer::Unavailable,
        None => Answer::Given(Ok(proof())),
    }
}

#[expect(clippy::disallowed_methods, reason = "the simulated Redis asserts what it granted")]
fn reservation(placement: PlacementId) -> Reservation {
    Reservation::assertion(placement)
}

#[expect(clippy::disallowed_methods, reason = "the simulated Postgres asserts what it committed")]
fn receipt(placement: PlacementId) -> Receipt {
    Receipt::assertion(placement)
}
