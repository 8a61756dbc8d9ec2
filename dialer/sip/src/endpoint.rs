//! The user agent: every call of one socket.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use crate::config::{Config, Invite, InviteError};
use crate::event::{CallId, Event, Transmit};

/// A SIP user agent client without sockets, clock or threads: datagrams and times go in,
/// datagrams and events come out. After each call drain [`Endpoint::poll_transmit`] and
/// [`Endpoint::poll_event`], then sleep until [`Endpoint::poll_timeout`].
#[derive(Debug)]
pub struct Endpoint {
    #[expect(dead_code, reason = "under construction")]
    config: Config,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

#[allow(
    clippy::needless_pass_by_ref_mut,
    unused_variables,
    missing_docs,
    reason = "signatures first: bodies follow"
)]
impl Endpoint {
    /// An endpoint without calls. `seed` feeds every tag, branch and cnonce: 32 unpredictable bytes,
    /// different for each endpoint ever made.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Places one call: one INVITE, with its retransmissions and its re-send after 401 or 407.
    /// Fenced by clippy (G1): only the engine's `place` may call it.
    ///
    /// # Errors
    /// See [`InviteError`]; nothing was queued then.
    pub fn invite(&mut self, invite: Invite, now: Instant) -> Result<CallId, InviteError> {
        Err(InviteError::Full)
    }

    /// Ends a call before its answer. `reason` is the value of the CANCEL's Reason header
    /// (`SIP;cause=...;text="..."`), empty for none.
    pub fn cancel(&mut self, call: CallId, reason: &str, now: Instant) {}

    /// Hangs up.
    pub fn bye(&mut self, call: CallId, now: Instant) {}

    /// The driver did not send this call's INVITE, because `send_before` had passed.
    pub fn not_sent(&mut self, call: CallId, now: Instant) {}

    /// A datagram came in.
    pub fn handle_datagram(&mut self, source: SocketAddr, data: &[u8], now: Instant) {}

    /// Sending to `destination` failed (an error of `sendto`, or ICMP).
    pub fn handle_transport_error(&mut self, destination: SocketAddr, now: Instant) {}

    /// Lets every timer due at `now` fire.
    pub fn handle_timeout(&mut self, now: Instant) {}

    /// When [`Endpoint::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether nothing is left: no call, no lingering transaction, nothing queued.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.transmits.is_empty() && self.events.is_empty()
    }

    /// Calls that have not ended. Ended ones may linger (RFC 6026) and are not counted.
    #[must_use]
    pub fn live_calls(&self) -> usize {
        0
    }
}
