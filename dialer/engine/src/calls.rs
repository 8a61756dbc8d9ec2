//! What the SIP core says of a placed call, and what is done with it.

use dialer_judge::Spoken;
use dialer_media::Answer;
use dialer_sip::{By, CallId, Ended, Ending, Event, ProbeId, Probed};
use dialer_types::{AttemptId, CampaignId, Disposition, Now, PlacementId, SubjectId};

use crate::{
    OptOut,
    attempt::{Calling, Doom, State},
    engine::Engine,
    fences::Fences,
    output::{MediaStart, Output},
    place::End,
    trunk::Evidence,
};

/// Reason of a CANCEL that an opt-out caused (RFC 3326).
const REASON_SUPPRESSED: &str = "SIP;cause=487;text=\"Do not call\"";
/// Reason of a CANCEL at shutdown.
const REASON_STOPPING: &str = "SIP;cause=487;text=\"Stopping\"";

impl<F: Fences> Engine<F> {
    /// Takes every event of the endpoint, then its datagrams.
    pub(crate) fn drain_endpoint(&mut self, now: Now) {
        while let Some(event) = self.endpoint.poll_event() {
            self.event(event, now);
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.transmit(transmit, now);
        }
    }

    fn event(&mut self, event: Event, now: Now) {
        match event {
            Event::Trying { .. } => {}
            Event::Early { call, .. } => self.trunk_responded(call, now),
            Event::Confirmed { call, sdp } => {
                self.trunk_responded(call, now);
                self.answered(call, sdp.as_deref(), now);
            }
            Event::NotSent { call } => self.not_sent(call, now),
            Event::Ended(ended) => self.ended(&ended, now),
            Event::Probed { probe, outcome } => self.probed(probe, outcome, now),
        }
    }

    fn answered(&mut self, call: CallId, sdp: Option<&[u8]>, now: Now) {
        let Some((_, calling)) = self.call(call) else {
            return;
        };
        calling.answered_at = Some(now.wall);
        let (placement, port) = (calling.placement, calling.port);
        let offer = self.offer(placement, port);
        let accepted = sdp.and_then(|sdp| Answer::read(sdp, &offer).ok()).filter(Answer::may_send);
        let Some(accepted) = accepted else {
            // Nothing can be said to the person: hang up rather than leave them in silence.
            self.endpoint.bye(call, now.mono);
            return;
        };
        let Some((order, calling)) = self.call(call) else {
            return;
        };
        calling.media = true;
        let prompt = std::sync::Arc::clone(&order.campaign.prompt);
        self.outputs.push_back(Output::StartMedia(MediaStart {
            placement,
            port,
            remote: accepted.remote,
            codec: accepted.codec,
            payload_type: accepted.payload_type,
            prompt,
        }));
    }

    fn ended(&mut self, ended: &Ended, now: Now) {
        let Some((attempt, calling)) = self.finish(ended.call) else {
            return;
        };
        self.trunks.ended(calling.trunk, calling.epoch, evidence(ended), now.mono);
        if !calling.sent {
            self.trunks.stayed(calling.trunk);
        }
        self.free(&calling);
        let end = End {
            placement: calling.placement,
            subjects: calling.subjects,
            position: calling.position,
            disposition: disposition(ended, calling.sent),
            spoken: spoken(ended, calling.answered_at),
            because: ended.note.unwrap_or("ended"),
        };
        self.settle(&attempt.order, end, now);
    }

    /// The INVITE never left.
    fn not_sent(&mut self, call: CallId, now: Now) {
        let Some((attempt, calling)) = self.finish(call) else {
            return;
        };
        self.trunks.unsent(calling.trunk, calling.epoch);
        if !calling.sent {
            self.trunks.stayed(calling.trunk);
        }
        self.free(&calling);
        let because = attempt.doom.map_or("lapsed", Doom::word);
        let end = End {
            placement: calling.placement,
            subjects: calling.subjects,
            position: calling.position,
            disposition: Disposition::NotSent,
            spoken: Spoken::default(),
            because,
        };
        self.settle(&attempt.order, end, now);
    }

    /// The INVITE has left the socket: from here on the placement counts for ever.
    pub(crate) fn sent(&mut self, call: CallId, now: Now) {
        let node = self.config.node;
        let Some((_, calling)) = self.call(call) else {
            return;
        };
        let trunk = calling.trunk;
        if std::mem::replace(&mut calling.sent, true) {
            return; // with credentials: counted when it was let out
        }
        let sent = dialer_audit::record::Sent {
            placement: calling.placement,
            sent_at: now.wall,
            sip_call_id: calling.sip_call_id.clone(),
        };
        self.trunks.left(trunk, now.mono);
        self.gauges.sent += 1;
        let record = dialer_audit::Record::new(Some(node), sent.into(), now.wall);
        self.outputs.push_back(Output::Record(Box::new(record)));
    }

    /// The prompt is over, or its media failed: hang up.
    pub(crate) fn played(&mut self, placement: PlacementId, now: Now) {
        let Some(call) = self.calling_of(placement) else {
            return;
        };
        self.endpoint.bye(call, now.mono);
    }

    /// Somebody must not be called: stop what is not sent, cancel what rings (G7).
    pub(crate) fn suppressed(&mut self, out: &OptOut, now: Now) {
        self.doom_where(Doom::Suppressed, now, |order, placed| {
            let concerned = placed.map_or_else(|| order.subjects(), <[_]>::to_vec);
            out.binds(order.campaign.seller_no, order.campaign.purpose)
                && concerned.iter().any(|subject| out.subjects.contains(subject))
        });
    }

    /// Nothing more of this campaign is placed. What rings goes on: the people behind it are
    /// being called lawfully.
    pub(crate) fn halted(&mut self, campaign: CampaignId) {
        for attempt in self.attempts.values_mut() {
            if attempt.order.campaign.id == campaign {
                attempt.doom.get_or_insert(Doom::Halted);
            }
        }
    }

    /// Ends every call.
    pub(crate) fn hang_up(&mut self, now: Now) {
        self.doom_where(Doom::Draining, now, |_, _| true);
        let talking: Vec<CallId> = self.calls.keys().copied().collect();
        for call in talking {
            if self.call(call).is_some_and(|(_, calling)| calling.answered_at.is_some()) {
                self.endpoint.bye(call, now.mono);
            }
        }
    }

    fn doom_where(
        &mut self,
        doom: Doom,
        now: Now,
        concerns: impl Fn(&crate::Order, Option<&[SubjectId]>) -> bool,
    ) {
        let mut to_cancel = Vec::new();
        for attempt in self.attempts.values_mut() {
            let placed = match &attempt.state {
                State::Calling(calling) => Some(calling.subjects.as_slice()),
                State::Gathering { .. }
                | State::Reserving(_)
                | State::Committing(..)
                | State::Holding(..) => None,
            };
            if !concerns(&attempt.order, placed) {
                continue;
            }
            attempt.doom = Some(doom);
            if let State::Calling(calling) = &attempt.state
                && calling.answered_at.is_none()
            {
                to_cancel.push((calling.call, calling.sent));
            }
        }
        let reason = if doom == Doom::Suppressed { REASON_SUPPRESSED } else { REASON_STOPPING };
        for (call, sent) in to_cancel {
            if sent {
                if F::SUPPRESSION_CANCELS && self.withdraw_unleased(call) {
                    self.endpoint.not_sent(call, now.mono);
                } else if F::SUPPRESSION_CANCELS {
                    self.endpoint.cancel(call, reason, now.mono);
                }
            } else if F::SUPPRESSION_STOPS {
                let before = self.outputs.len();
                self.outputs.retain(|output| {
                    !matches!(output, Output::Transmit(transmit) if transmit.call == Some(call))
                });
                if self.withdraw_unleased(call) || self.outputs.len() < before {
                    self.endpoint.not_sent(call, now.mono);
                } else {
                    // The driver holds the datagram: it may have left.
                    self.endpoint.cancel(call, reason, now.mono);
                }
            }
        }
    }

    fn trunk_responded(&mut self, call: CallId, now: Now) {
        if let Some(trunk) = self.trunk_of(call) {
            self.trunks.responded(trunk, now.mono);
        }
    }

    /// Sends the OPTIONS that are due.
    pub(crate) fn probe_trunks(&mut self, now: Now) {
        for id in self.trunks.expire(now.mono) {
            let address = self.trunks.get(id).map(|trunk| trunk.address);
            let sent = address.and_then(|to| self.endpoint.options(to, now.mono).ok());
            self.trunks.probing(id, sent, self.mint.bits(), now.mono);
        }
    }

    fn probed(&mut self, probe: ProbeId, outcome: Probed, now: Now) {
        let chance = self.mint.bits();
        if let Some(trunk) = self.trunks.probed(probe, outcome, chance, now.mono) {
            let result = match outcome {
                Probed::Alive => "ok",
                Probed::Unavailable { .. } => "refused",
                Probed::Silent => "silent",
                Probed::Unreachable => "unreachable",
            };
            self.outputs.push_back(Output::TrunkProbed(trunk, result));
        }
    }

    /// Says which trunks stand otherwise than before.
    pub(crate) fn tell_trunks(&mut self, now: Now) {
        for (trunk, standing) in self.trunks.news(now.mono) {
            self.outputs.push_back(Output::TrunkChanged(trunk, standing));
        }
    }

    fn free(&mut self, calling: &Calling) {
        if calling.media {
            self.outputs.push_back(Output::StopMedia(calling.placement, calling.port));
        }
        // Back of the queue: a port rests as long as possible, so that late packets of its last
        // call do not reach the next.
        self.ports.push_back(calling.port);
    }

    fn call(&mut self, call: CallId) -> Option<(&crate::Order, &mut Calling)> {
        let attempt = self.attempts.get_mut(self.calls.get(&call)?)?;
        match &mut attempt.state {
            State::Calling(calling) => Some((&attempt.order, calling)),
            State::Gathering { .. }
            | State::Reserving(_)
            | State::Committing(..)
            | State::Holding(..) => None,
        }
    }

    pub(crate) fn trunk_of(&mut self, call: CallId) -> Option<dialer_types::TrunkId> {
        self.call(call).map(|(_, calling)| calling.trunk)
    }

    fn calling_of(&self, placement: PlacementId) -> Option<CallId> {
        let id: &AttemptId = self.placements.get(&placement)?;
        match &self.attempts.get(id)?.state {
            State::Calling(calling) => Some(calling.call),
            State::Gathering { .. }
            | State::Reserving(_)
            | State::Committing(..)
            | State::Holding(..) => None,
        }
    }

    fn finish(&mut self, call: CallId) -> Option<(crate::attempt::Attempt, Calling)> {
        let id = self.calls.remove(&call)?;
        self.withdraw_unleased(call);
        let mut attempt = self.remove(id)?;
        let state =
            std::mem::replace(&mut attempt.state, State::Gathering { heads: None, facts: None });
        match state {
            State::Calling(calling) => {
                self.placements.remove(&calling.placement);
                Some((attempt, calling))
            }
            State::Gathering { .. }
            | State::Reserving(_)
            | State::Committing(..)
            | State::Holding(..) => None,
        }
    }
}

/// What the end of a call says of its trunk.
fn evidence(ended: &Ended) -> Evidence {
    if ended.answered {
        return Evidence::Party;
    }
    // Nothing of the called party for as long as it may ring: somebody said 100 and no more.
    let unheard =
        ended.by == By::Local && ended.ending == Ending::NoAnswer && ended.ringing.is_none();
    let failed =
        matches!(ended.ending, Ending::Congestion | Ending::TransportError | Ending::Misconfigured);
    if failed || unheard {
        // RFC 3261 section 21.5.4: of a 503 it binds every request to this server.
        return Evidence::Failed(ended.retry_after.filter(|_| ended.code == Some(503)));
    }
    // The 487 to a CANCEL of ours comes from the next proxy, whoever is behind it.
    if ended.code.is_some() && ended.by == By::Remote { Evidence::Party } else { Evidence::Nothing }
}

fn disposition(ended: &Ended, sent: bool) -> Disposition {
    if !sent && ended.code.is_none() && !ended.answered {
        // The socket refused the first datagram and nothing ever came back: it never left.
        return Disposition::NotSent;
    }
    if ended.crossed {
        // Somebody answered just as we gave up, and heard nothing.
        return Disposition::Abandoned;
    }
    if ended.answered {
        return Disposition::Answered;
    }
    match ended.ending {
        Ending::Answered => Disposition::Answered,
        Ending::Busy => Disposition::Busy,
        Ending::NoAnswer => Disposition::NoAnswer,
        Ending::Unavailable => Disposition::Unavailable,
        Ending::InvalidNumber => Disposition::InvalidNumber,
        Ending::Disconnected => Disposition::Disconnected,
        Ending::Congestion => Disposition::Congestion,
        Ending::Rejected => Disposition::Rejected,
        Ending::Unwanted => Disposition::Unwanted,
        Ending::Blocked => Disposition::Blocked,
        Ending::IdentityFailed => Disposition::IdentityFailed,
        Ending::Misconfigured => Disposition::Misconfigured,
        Ending::Loop => Disposition::Loop,
        Ending::Redirected => Disposition::Redirected,
        Ending::Cancelled => Disposition::Cancelled,
        Ending::TransportError => Disposition::TransportError,
    }
}

fn spoken(ended: &Ended, answered_at: Option<dialer_types::UnixMillis>) -> Spoken {
    Spoken {
        sip_code: ended.code,
        q850: ended
            .reasons
            .iter()
            .find(|reason| reason.protocol.eq_ignore_ascii_case("Q.850"))
            .and_then(|reason| reason.cause)
            .and_then(|cause| u8::try_from(cause).ok()),
        ring_ms: ended.ringing.and_then(|ringing| u32::try_from(ringing.as_millis()).ok()),
        answered_at,
    }
}
