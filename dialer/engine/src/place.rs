//! From a granted reservation to the wire, and the settlement that ends it.

use std::time::Duration;

use dialer_audit::Receipt;
use dialer_judge::{
    Commitment, Order, OtherNumbers, Permitted, Released, Returned, Settlement, Spoken, ending,
    intent,
};
use dialer_limiter::Reservation;
use dialer_sip::{CallId, Invite, InviteError};
use dialer_types::{AttemptId, Disposition, Now, PlacementId};

use crate::{
    attempt::{Attempt, Calling, Chosen, Doom, State},
    clearance::Clearance,
    engine::Engine,
    fences::Fences,
    input::{Answer, Conflict},
    judge::MAX_ROUNDS,
    lease::LOOK_AGAIN,
    output::Output,
};

impl<F: Fences> Engine<F> {
    /// Redis answered.
    pub(crate) fn reserved(
        &mut self,
        placement: PlacementId,
        answer: Answer<Result<Reservation, Conflict>>,
        now: Now,
    ) {
        let Some((mut attempt, State::Reserving(mut chosen))) =
            self.take(placement, |state| matches!(state, State::Reserving(_)))
        else {
            return;
        };
        let reservation = match answer {
            Answer::Given(Ok(reservation)) => reservation,
            Answer::Given(Err(Conflict)) => {
                self.gauges.conflicts += 1;
                self.record_lost(&mut chosen);
                self.again(attempt, now);
                return;
            }
            Answer::Unavailable => {
                self.forget(&chosen);
                self.record_lost(&mut chosen);
                self.give_back(&attempt.order, Duration::from_secs(1), "gate_unavailable", now);
                return;
            }
        };
        if let Some(doom) = self.doom(&attempt) {
            self.forget(&chosen);
            self.record_lost(&mut chosen);
            self.give_back(&attempt.order, Duration::ZERO, doom.word(), now);
            return;
        }
        if self.is_outdated(&chosen) {
            // Nothing is committed yet: judged again at once, by the rules in force.
            self.forget(&chosen);
            self.record_lost(&mut chosen);
            self.again(attempt, now);
            return;
        }
        let clock_bound = u32::try_from(self.config.clock_bound.as_millis()).unwrap_or(u32::MAX);
        let permitted = Permitted {
            placement,
            trunk: chosen.trunk,
            demand: &chosen.demand,
            not_after: chosen.judged.not_after,
            sip_call_id: &chosen.sip_call_id,
        };
        let intent = intent(
            self.config.node,
            &attempt.order,
            &permitted,
            clock_bound,
            self.config.clock_offset_ms,
            now.wall,
        );
        let order = &attempt.order;
        let mut records = chosen.records.clone();
        records.push(intent);
        self.outputs.push_back(Output::Commit(Box::new(Commitment {
            demand: std::sync::Arc::clone(&chosen.demand),
            attempt: order.attempt,
            campaign: order.campaign.id,
            seller: order.campaign.seller,
            number: chosen.number_subject,
            person: order.person,
            account: order.account,
            trunk: chosen.trunk,
            at: chosen.at,
            not_after: chosen.judged.not_after,
            sip_call_id: chosen.sip_call_id.clone(),
            records,
        })));
        self.placements.insert(placement, order.attempt);
        attempt.state = State::Committing(chosen, reservation);
        self.wait(attempt, now);
    }

    /// Postgres answered.
    pub(crate) fn committed(
        &mut self,
        placement: PlacementId,
        answer: Answer<Result<Receipt, Conflict>>,
        now: Now,
    ) {
        let Some((attempt, State::Committing(mut chosen, reservation))) =
            self.take(placement, |state| matches!(state, State::Committing(..)))
        else {
            return;
        };
        match answer {
            Answer::Given(Ok(receipt)) => {
                self.hold(attempt, chosen, Box::new((reservation, receipt)), now);
            }
            Answer::Given(Err(Conflict)) => {
                drop(reservation);
                self.gauges.conflicts += 1;
                self.forget(&chosen);
                self.record_lost(&mut chosen);
                self.again(attempt, now);
            }
            Answer::Unavailable => {
                drop(reservation);
                self.release(&attempt.order, &chosen, now);
            }
        }
    }

    /// The commit's answer never came: nothing leaves, and Postgres is told so for certain.
    pub(crate) fn release(&mut self, order: &Order, chosen: &Chosen, now: Now) {
        self.forget(chosen);
        self.outputs.push_back(Output::Release(Box::new(Released {
            placement: chosen.judged.placement,
            attempt: order.attempt,
            campaign: order.campaign.id,
            subjects: chosen.subjects(),
            due_at: now.wall.after(Duration::from_secs(1)),
            because: "commit_unavailable",
            at: now.wall,
        })));
    }

    /// The rate is kept where it counts, at the wire: whatever time the stores took, no second sees
    /// more INVITEs than the trunk's figure. What must wait, for that or for a send lease, is cleared
    /// when its turn has come, not before.
    fn hold(
        &mut self,
        mut attempt: Attempt,
        chosen: Box<Chosen>,
        proofs: Box<(Reservation, Receipt)>,
        now: Now,
    ) {
        let mut turn = self.trunks.turn(chosen.trunk, now.mono);
        if !self.has_lease(now.mono) {
            turn = Some(turn.unwrap_or(now.mono).max(now.mono + LOOK_AGAIN));
        }
        // What has waited until its permit was over is settled as not sent.
        match turn.filter(|_| now.wall < chosen.judged.not_after) {
            Some(turn) if self.doom(&attempt).is_none() && !self.is_outdated(&chosen) => {
                self.placements.insert(chosen.judged.placement, attempt.order.attempt);
                attempt.state = State::Holding(chosen, proofs);
                self.wait_until(turn, attempt);
            }
            _ => self.clear(attempt, *chosen, proofs.0, proofs.1, now),
        }
    }

    /// The turn of a held placement has come, perhaps.
    pub(crate) fn held(&mut self, placement: PlacementId, now: Now) {
        if let Some((attempt, State::Holding(chosen, proofs))) =
            self.take(placement, |state| matches!(state, State::Holding(..)))
        {
            self.hold(attempt, chosen, proofs, now);
        }
    }

    /// Durable: put the proofs together and place, if it still stands.
    fn clear(
        &mut self,
        attempt: Attempt,
        chosen: Chosen,
        reservation: Reservation,
        receipt: Receipt,
        now: Now,
    ) {
        let order = &attempt.order;
        if let Some(doom) = self.doom(&attempt) {
            self.unsent(order, &chosen, doom.word(), now);
            return;
        }
        if !self.trunks.admits(chosen.trunk, now.mono) {
            self.unsent(order, &chosen, "no_trunk", now);
            return;
        }
        let rules = self.ruleset.version();
        let cleared = Clearance::new::<F>(&chosen.judged, &reservation, &receipt, rules, now);
        let clearance = match cleared {
            Ok(clearance) => clearance,
            Err(error) => {
                let because = match error {
                    crate::ClearanceError::Mismatch => "proof_mismatch",
                    crate::ClearanceError::Lapsed => "lapsed",
                    crate::ClearanceError::OtherRules => "rules_changed",
                };
                self.unsent(order, &chosen, because, now);
                return;
            }
        };
        let Some(port) = self.ports.pop_front() else {
            self.unsent(order, &chosen, "no_media_port", now);
            return;
        };
        let Some(invite) = self.invite(order, &chosen, &clearance, port) else {
            self.ports.push_back(port);
            self.unsent(order, &chosen, "no_trunk", now);
            return;
        };
        match self.place(clearance, invite, now) {
            Ok(call) => self.calling(attempt, &chosen, call, port, now),
            Err(error) => {
                self.ports.push_back(port);
                let because = match error {
                    InviteError::TooLate => "lapsed",
                    InviteError::Full => "no_room",
                    InviteError::Field(_) | InviteError::TooLarge => "unprintable",
                };
                self.unsent(order, &chosen, because, now);
            }
        }
    }

    /// The one road to the wire. The clearance is used up.
    fn place(
        &mut self,
        clearance: Clearance,
        invite: Invite,
        now: Now,
    ) -> Result<CallId, InviteError> {
        drop(clearance);
        #[expect(clippy::disallowed_methods, reason = "G1: the fence is this function")]
        self.endpoint.invite(invite, now.mono)
    }

    fn invite(
        &self,
        order: &Order,
        chosen: &Chosen,
        clearance: &Clearance,
        port: u16,
    ) -> Option<Invite> {
        let trunk = self.trunks.get(chosen.trunk)?;
        let ours = self.config.sip.advertised;
        let (to, from) = (chosen.number.expose(), order.campaign.caller_id.expose());
        let mut extra_headers =
            vec![("P-Asserted-Identity".to_owned(), format!("<sip:{from}@{}>", ours.ip()))];
        if self.config.campaign_header {
            extra_headers.push(("X-Ringfence-Campaign".to_owned(), order.campaign.name.clone()));
        }
        Some(Invite {
            destination: trunk.address,
            request_uri: format!("sip:{to}@{};user=phone", trunk.address),
            from_uri: format!("sip:{from}@{}", ours.ip()),
            from_display: String::new(),
            to_uri: format!("sip:{to}@{};user=phone", trunk.address.ip()),
            call_id: chosen.sip_call_id.clone(),
            body: self.offer(chosen.judged.placement, port).to_string().into_bytes(),
            extra_headers,
            credentials: trunk.credentials.clone(),
            ring_timeout: order.campaign.ring_timeout,
            not_after: clearance.send_before(),
        })
    }

    fn calling(
        &mut self,
        mut attempt: Attempt,
        chosen: &Chosen,
        call: CallId,
        port: u16,
        now: Now,
    ) {
        let epoch = self.trunks.placed(chosen.trunk, now.mono);
        self.calls.insert(call, attempt.order.attempt);
        self.placements.insert(chosen.judged.placement, attempt.order.attempt);
        attempt.state = State::Calling(Calling {
            placement: chosen.judged.placement,
            call,
            subjects: chosen.subjects(),
            position: chosen.position,
            trunk: chosen.trunk,
            epoch,
            port,
            sip_call_id: chosen.sip_call_id.clone(),
            sent: false,
            answered_at: None,
            media: false,
        });
        attempt.deadline = None;
        self.attempts.insert(attempt.order.attempt, attempt);
    }

    /// Committed, and provably never sent: it stops counting.
    pub(crate) fn unsent(
        &mut self,
        order: &Order,
        chosen: &Chosen,
        because: &'static str,
        now: Now,
    ) {
        let end = End {
            placement: chosen.judged.placement,
            subjects: chosen.subjects(),
            position: chosen.position,
            disposition: Disposition::NotSent,
            spoken: Spoken::default(),
            because,
        };
        self.settle(order, end, now);
    }

    /// The one place that ends a placement (G8).
    pub(crate) fn settle(&mut self, order: &Order, end: End, now: Now) {
        let counts = end.disposition != Disposition::NotSent;
        let made = order.made + u16::from(counts);
        let next = order.campaign.retry.next(
            end.disposition,
            made,
            order.campaign.max_tries,
            remaining(order, made),
            now.wall,
        );
        let record = ending(
            self.config.node,
            order.attempt,
            end.placement,
            end.disposition,
            end.spoken,
            end.because,
            now.wall,
        );
        self.gauges.settled += 1;
        self.outputs.push_back(Output::Settle(Box::new(Settlement {
            placement: end.placement,
            attempt: order.attempt,
            campaign: order.campaign.id,
            subjects: end.subjects,
            disposition: end.disposition,
            spoken: end.spoken,
            next,
            made,
            next_position: if counts { following(order, end.position) } else { end.position },
            record,
            at: now.wall,
        })));
    }

    /// Gives a contact back unjudged.
    pub(crate) fn give_back(
        &mut self,
        order: &Order,
        delay: Duration,
        because: &'static str,
        now: Now,
    ) {
        self.outputs.push_back(Output::Return(Returned {
            attempt: order.attempt,
            campaign: order.campaign.id,
            at: now.wall.after(delay),
            because,
        }));
    }

    /// Lost a race: read everything again, a bounded number of times.
    fn again(&mut self, mut attempt: Attempt, now: Now) {
        attempt.rounds += 1;
        if attempt.rounds >= MAX_ROUNDS || self.doom(&attempt).is_some() {
            self.give_back(&attempt.order, Duration::from_millis(500), "contended", now);
            return;
        }
        self.gather(attempt, now);
    }

    /// A judgement that led to no placement is a judgement all the same: it goes on record.
    fn record_lost(&mut self, chosen: &mut Chosen) {
        for record in std::mem::take(&mut chosen.records) {
            self.outputs.push_back(Output::Record(Box::new(record)));
        }
    }

    fn forget(&mut self, chosen: &Chosen) {
        self.outputs.push_back(Output::Forget(chosen.subjects()));
    }

    /// Whether its permit is of rules that are not in force any more.
    fn is_outdated(&self, chosen: &Chosen) -> bool {
        F::SAME_RULES && chosen.judged.permit.ruleset() != self.ruleset.version()
    }

    fn doom(&self, attempt: &Attempt) -> Option<Doom> {
        match attempt.doom {
            Some(Doom::Suppressed) if !F::SUPPRESSION_STOPS => None,
            Some(doom) => Some(doom),
            None => (self.draining && F::DRAIN).then_some(Doom::Draining),
        }
    }

    /// Takes the attempt of a placement out of the map if it is in the state expected.
    fn take(
        &mut self,
        placement: PlacementId,
        expected: impl FnOnce(&State) -> bool,
    ) -> Option<(Attempt, State)> {
        let id: AttemptId = *self.placements.get(&placement)?;
        if !self.attempts.get(&id).is_some_and(|attempt| expected(&attempt.state)) {
            return None;
        }
        self.placements.remove(&placement);
        let mut attempt = self.remove(id)?;
        let state =
            std::mem::replace(&mut attempt.state, State::Gathering { heads: None, facts: None });
        Some((attempt, state))
    }
}

/// How a placement ended.
pub(crate) struct End {
    pub(crate) placement: PlacementId,
    pub(crate) subjects: Vec<dialer_types::SubjectId>,
    pub(crate) position: u8,
    pub(crate) disposition: Disposition,
    pub(crate) spoken: Spoken,
    pub(crate) because: &'static str,
}

/// The position after this one, in the contact's order.
fn following(order: &Order, position: u8) -> u8 {
    let positions: Vec<u8> = {
        let mut positions: Vec<u8> = order.numbers.iter().map(|(position, _)| *position).collect();
        positions.sort_unstable();
        positions
    };
    positions
        .iter()
        .find(|other| **other > position)
        .or_else(|| positions.first())
        .copied()
        .unwrap_or(0)
}

/// Whether numbers of the contact are left that have not been tried yet.
fn remaining(order: &Order, made: u16) -> OtherNumbers {
    OtherNumbers(usize::from(made) < order.numbers.len())
}
