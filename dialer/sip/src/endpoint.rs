//! The user agent: every call of one socket.

mod calls;
mod check;
mod receive;

use std::net::SocketAddr;
use std::time::Instant;

use crate::call::Call;
use crate::config::{Config, Invite, InviteError};
use crate::core::Core;
use crate::event::{CallId, Event, Transmit, TransmitKind};
use crate::probe::{ProbeError, ProbeId, Probes};
use calls::Calls;

/// A SIP user agent client without sockets, clock or threads: datagrams and times go in,
/// datagrams and events come out. After each call drain [`Endpoint::poll_transmit`] and
/// [`Endpoint::poll_event`], then sleep until [`Endpoint::poll_timeout`].
#[derive(Debug)]
pub struct Endpoint {
    core: Core,
    calls: Calls,
    probes: Probes,
    malformed: u64,
    unmatched: u64,
}

impl Endpoint {
    /// An endpoint without calls. `seed` feeds every tag, branch and cnonce: 32 unpredictable bytes,
    /// different for each endpoint ever made.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let calls = Calls::new(config.max_calls);
        let (core, probes) = (Core::new(config, seed), Probes::default());
        Self { core, calls, probes, malformed: 0, unmatched: 0 }
    }

    /// Places one call: one INVITE, with its retransmissions and its re-send after 401 or 407.
    /// Fenced by clippy (G1): only the engine's `place` may call it.
    ///
    /// # Errors
    /// See [`InviteError`]; nothing was queued then.
    pub fn invite(&mut self, invite: Invite, now: Instant) -> Result<CallId, InviteError> {
        check::check(&invite)?;
        if now > invite.not_after {
            return Err(InviteError::TooLate);
        }
        let id = self.calls.reserve().ok_or(InviteError::Full)?;
        let Some(call) = Call::new(id, invite, &mut self.core, now) else {
            self.calls.release(id);
            return Err(InviteError::TooLarge);
        };
        self.calls.begin(call);
        Ok(id)
    }

    /// Asks with OPTIONS whether the other side is there: [`Event::Probed`] says.
    ///
    /// # Errors
    /// When too many probes are under way; nothing was queued then.
    pub fn options(
        &mut self,
        destination: SocketAddr,
        now: Instant,
    ) -> Result<ProbeId, ProbeError> {
        self.probes.begin(&mut self.core, destination, now)
    }

    /// Ends a call before its answer; after it, hangs up. `reason` is the value of the CANCEL's
    /// Reason header (RFC 3326), empty for none.
    ///
    /// An INVITE that the driver has not taken is withdrawn ([`Event::NotSent`]). Before the first
    /// provisional response the CANCEL waits for it (RFC 3261 section 9.1). A 2xx that crosses it
    /// is acknowledged and hung up, and the call ends as answered with [`crate::Ended::crossed`].
    pub fn cancel(&mut self, call: CallId, reason: &str, now: Instant) {
        self.calls.with(call, |call| call.cancel(&mut self.core, reason, now));
    }

    /// Hangs up; before an answer, cancels. The call ends at once, its BYE is retransmitted as needed.
    pub fn bye(&mut self, call: CallId, now: Instant) {
        self.calls.with(call, |call| call.bye(&mut self.core, now));
    }

    /// The driver did not send this call's INVITE, because `send_before` had passed. The first
    /// INVITE takes the call with it ([`Event::NotSent`]); an unsent re-send ends it as
    /// [`crate::Ending::Cancelled`], for the first INVITE was on the wire.
    pub fn not_sent(&mut self, call: CallId, now: Instant) {
        self.calls.with(call, |call| call.not_sent(&mut self.core, now));
    }

    /// Sending to `destination` failed (an error of `sendto`, or ICMP).
    pub fn handle_transport_error(&mut self, destination: SocketAddr, now: Instant) {
        for id in self.calls.all() {
            self.calls.with(id, |call| call.transport_error(&mut self.core, destination, now));
        }
        self.probes.transport_error(&mut self.core, destination);
    }

    /// Lets every timer due at `now` fire.
    pub fn handle_timeout(&mut self, now: Instant) {
        for id in self.calls.due(now) {
            self.calls.with(id, |call| call.expire(&mut self.core, now));
        }
        self.probes.expire(&mut self.core, now);
    }

    /// When [`Endpoint::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.calls.next_deadline(), self.probes.next_deadline()].into_iter().flatten().min()
    }

    /// The next datagram to send. Taking an INVITE means sending it, or calling [`Endpoint::not_sent`].
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.core.transmits.pop_front()?;
        let invite =
            matches!(transmit.kind, TransmitKind::InviteFirst | TransmitKind::InviteResend);
        if let Some(id) = transmit.call.filter(|_| invite) {
            self.calls.with(id, Call::take_invite);
        }
        Some(transmit)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.events.pop_front()
    }

    /// Whether nothing is left: no call, no probe, no lingering transaction, nothing queued.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.probes.is_empty()
            && self.core.transmits.is_empty()
            && self.core.events.is_empty()
    }

    /// Calls that have not ended. Ended ones may linger (RFC 6026) and are not counted.
    #[must_use]
    pub const fn live_calls(&self) -> usize {
        self.calls.live()
    }

    /// Datagrams received that were no SIP message, keep-alives not counted.
    #[must_use]
    pub const fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Responses received whose branch is not ours (spoofed, or far too late).
    #[must_use]
    pub const fn unmatched(&self) -> u64 {
        self.unmatched
    }
}
