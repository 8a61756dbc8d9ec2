//! What an endpoint gives: datagrams to send and events.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::disposition::{Ending, Reason};
use crate::probe::{ProbeId, Probed};

/// A call of one endpoint. Never names another call: the generation changes when a place is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// What a datagram to send is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransmitKind {
    /// The first INVITE of a call. Subject to `send_before`.
    InviteFirst,
    /// The same bytes again (timer A).
    InviteRetransmit,
    /// The INVITE with credentials, after 401 or 407. Subject to `send_before`.
    InviteResend,
    /// ACK.
    Ack,
    /// CANCEL.
    Cancel,
    /// BYE.
    Bye,
    /// OPTIONS outside any dialog.
    Options,
    /// Answer to a request of the far end.
    Response,
    /// Anything else.
    Other,
}

/// A datagram to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub destination: SocketAddr,
    /// The bytes.
    pub payload: Vec<u8>,
    /// What it is.
    pub kind: TransmitKind,
    /// The call it belongs to; `None` for answers to requests outside any call, and for probes.
    pub call: Option<CallId>,
    /// For [`TransmitKind::InviteFirst`] and [`TransmitKind::InviteResend`]: the driver compares the
    /// clock with this directly before sending, and calls [`crate::Endpoint::not_sent`] instead of
    /// sending when it has passed (G3).
    pub send_before: Option<Instant>,
}

impl Transmit {
    /// Whether it is larger than RFC 3261 section 18.1.1 wants on UDP.
    #[must_use]
    pub const fn is_oversized(&self) -> bool {
        self.payload.len() > crate::wire::COMFORTABLE_DATAGRAM
    }
}

/// The payload holds telephone numbers: Debug shows its length only.
impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmit")
            .field("destination", &self.destination)
            .field("kind", &self.kind)
            .field("call", &self.call)
            .field("send_before", &self.send_before)
            .field("bytes", &self.payload.len())
            .finish()
    }
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// Us: CANCEL, BYE, ring timeout, a lapsed `not_after`.
    Local,
    /// The far end: a final response or its BYE.
    Remote,
    /// The network: sending failed, or 487 that nobody asked for.
    Network,
    /// Nothing came for too long.
    Timeout,
}

/// How a call ended, with the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Which call.
    pub call: CallId,
    /// The classification (`reference/sip.md` section 4).
    pub ending: Ending,
    /// Final status code of the INVITE, 200 to 699; `None` where none came.
    pub code: Option<u16>,
    /// Reason phrase of the final response; empty where none came.
    pub phrase: String,
    /// Reason headers (RFC 3326) of the final response or of the far end's BYE.
    pub reasons: Vec<Reason>,
    /// Retry-After of the final response, seconds resolution.
    pub retry_after: Option<Duration>,
    /// A 2xx came, even if only after our CANCEL.
    pub answered: bool,
    /// The 2xx crossed our CANCEL or came after we had given up: it was acknowledged and hung up at once.
    pub crossed: bool,
    /// Time from the first 180 to 183 to the answer or the end; `None` where it never rang.
    pub ringing: Option<Duration>,
    /// Time from the 2xx to the end; `None` where it was not answered.
    pub talking: Option<Duration>,
    /// Who ended it.
    pub by: By,
    /// What happened, where the fields above do not say; fixed words, for the record.
    pub note: Option<&'static str>,
}

/// What happened to a call, or to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// 100, at most once.
    Trying {
        /// Which call.
        call: CallId,
    },
    /// Another provisional response.
    Early {
        /// Which call.
        call: CallId,
        /// 101 to 199.
        code: u16,
        /// Its body, where its Content-Type is application/sdp.
        sdp: Option<Vec<u8>>,
    },
    /// Answered: the ACK is queued and the call is up.
    Confirmed {
        /// Which call.
        call: CallId,
        /// Body of the 2xx, where its Content-Type is application/sdp.
        sdp: Option<Vec<u8>>,
    },
    /// The INVITE never left, so nothing rang. The call is gone.
    NotSent {
        /// Which call.
        call: CallId,
    },
    /// A probe is over, exactly once for each.
    Probed {
        /// Which.
        probe: ProbeId,
        /// What it found.
        outcome: Probed,
    },
    /// Over. The last event of a call, exactly once unless [`Event::NotSent`] came.
    Ended(Box<Ended>),
}
