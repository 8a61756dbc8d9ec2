//! The send lease (G7): an INVITE leaves only while this node is known to have heard of every opt-out.
//!
//! Whoever drives the engine asks Postgres for new opt-outs many times a second, hands over what came
//! ([`Input::Suppressed`](crate::Input::Suppressed)) and then a lease that began when it asked
//! ([`Input::Leased`](crate::Input::Leased)). An opt-out is answered a lease's length after it is
//! durable: by then every lease that did not know of it has lapsed, whatever became of its node.

use std::time::{Duration, Instant};

use dialer_sip::{CallId, Transmit, TransmitKind};
use dialer_types::Now;

use crate::{engine::Engine, fences::Fences, output::Output};

/// What is cleared and has no lease is looked at again after this: as often as leases are renewed.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl<F: Fences> Engine<F> {
    /// Whether INVITEs may leave now.
    pub(crate) fn has_lease(&self, now: Instant) -> bool {
        !F::SEND_LEASE || self.lease.is_some_and(|until| now < until)
    }

    /// The lease was renewed: answers to challenges that waited for it, or for their turn, leave.
    /// Placements that wait look for themselves.
    pub(crate) fn leased(&mut self, until: Instant, now: Now) {
        self.lease = Some(self.lease.map_or(until, |held| held.max(until)));
        for transmit in std::mem::take(&mut self.unleased) {
            self.transmit(transmit, now);
        }
    }

    /// Hands a datagram to the driver; an INVITE only under the lease, and not after it. One with
    /// credentials counts like any other to the rate of its trunk and waits for its turn.
    pub(crate) fn transmit(&mut self, transmit: Transmit, now: Now) {
        let leased = self.has_lease(now.mono);
        match transmit.kind {
            TransmitKind::InviteFirst if leased => self.let_out(transmit),
            TransmitKind::InviteResend if leased => {
                let trunk = transmit.call.and_then(|call| self.trunk_of(call));
                match trunk {
                    Some(trunk) if self.trunks.turn(trunk, now.mono).is_some() => {
                        self.unleased.push(transmit);
                    }
                    Some(trunk) => {
                        self.trunks.resent(trunk, now.mono);
                        self.let_out(transmit);
                    }
                    None => self.let_out(transmit),
                }
            }
            TransmitKind::InviteFirst | TransmitKind::InviteResend => self.unleased.push(transmit),
            TransmitKind::InviteRetransmit if leased => self.let_out(transmit),
            // As good as lost: the next one may leave.
            TransmitKind::InviteRetransmit => {}
            _ => self.outputs.push_back(Output::Transmit(transmit)),
        }
    }

    fn let_out(&mut self, mut transmit: Transmit) {
        if F::SEND_LEASE
            && let Some(lease) = self.lease
        {
            transmit.send_before =
                Some(transmit.send_before.map_or(lease, |before| before.min(lease)));
        }
        self.outputs.push_back(Output::Transmit(transmit));
    }

    /// What waited for a lease until its permit's life was over does not leave.
    pub(crate) fn give_up_unleased(&mut self, now: Now) {
        let late = |transmit: &Transmit| transmit.send_before.is_none_or(|it| it <= now.mono);
        let calls: Vec<_> = self.unleased.extract_if(.., |it| late(it)).collect();
        for call in calls.into_iter().filter_map(|transmit| transmit.call) {
            self.endpoint.not_sent(call, now.mono);
        }
    }

    /// Takes back the INVITE of this call that waits for a lease. Returns whether there was one.
    pub(crate) fn withdraw_unleased(&mut self, call: CallId) -> bool {
        let before = self.unleased.len();
        self.unleased.retain(|transmit| transmit.call != Some(call));
        self.unleased.len() < before
    }
}
