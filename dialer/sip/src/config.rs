//! What an endpoint and a call are told.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Base times of RFC 3261 section 17.1.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; 500 ms. Everything that gives up does so after 64 of these.
    pub t1: Duration,
    /// Longest interval between retransmissions of a non-INVITE request; 4 s.
    pub t2: Duration,
    /// Longest time a message stays in the network; 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

/// What an [`crate::Endpoint`] is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address in Via and Contact: where the far end reaches us.
    pub advertised: SocketAddr,
    /// Value of User-Agent.
    pub user_agent: String,
    /// Base times.
    pub timers: Timers,
    /// Most calls alive at once; more are refused with [`crate::InviteError::Full`].
    pub max_calls: usize,
}

/// Digest credentials of a trunk. Debug hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password in clear; needed to answer SHA-256 and MD5 challenges alike.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// One call to place. Holds telephone numbers, so Debug shows only where it goes.
#[derive(Clone)]
pub struct Invite {
    /// The trunk's address.
    pub destination: SocketAddr,
    /// Request-URI, for example `sip:+15550100@192.0.2.1`.
    pub request_uri: String,
    /// URI of From, without angle brackets or parameters of the header.
    pub from_uri: String,
    /// Display name of From; empty for none.
    pub from_display: String,
    /// URI of To, without angle brackets.
    pub to_uri: String,
    /// Call-ID, unique per placement: the caller puts the placement's id into it.
    pub call_id: String,
    /// The SDP offer; empty for none.
    pub body: Vec<u8>,
    /// Further headers, for example P-Asserted-Identity. Headers the endpoint writes itself are refused.
    pub extra_headers: Vec<(String, String)>,
    /// For 401 and 407; without them a challenge ends the call as misconfigured.
    pub credentials: Option<Credentials>,
    /// From the first INVITE; when it has passed without a final response, the call is cancelled.
    pub ring_timeout: Duration,
    /// No first INVITE and no re-send leaves after this moment (G3).
    pub not_after: Instant,
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite")
            .field("destination", &self.destination)
            .field("call_id", &self.call_id)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Why a call was not begun. Nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// [`Config::max_calls`] are alive, or too many ended ones still linger.
    #[error("no room for another call")]
    Full,
    /// `not_after` has passed (G3).
    #[error("too late: not_after has passed")]
    TooLate,
    /// A field holds bytes that would not print as one value, or a header name that is ours.
    #[error("field {0} cannot be printed in a SIP message")]
    Field(&'static str),
    /// The INVITE would not fit into one UDP datagram.
    #[error("INVITE over {} bytes", crate::wire::MAX_PAYLOAD)]
    TooLarge,
}
