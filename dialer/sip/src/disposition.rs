//! From final responses and Reason headers to how a call ended.

use crate::wire::Message;

/// How a call ended; the variants are named as in the dialer's dispositions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// 2xx.
    Answered,
    /// Busy.
    Busy,
    /// Rang and was not answered.
    NoAnswer,
    /// Not reachable now.
    Unavailable,
    /// No such number.
    InvalidNumber,
    /// Number changed or out of service.
    Disconnected,
    /// The network or the trunk failed.
    Congestion,
    /// The person declined.
    Rejected,
    /// The person does not want this caller (607).
    Unwanted,
    /// Blocked by analytics (608, 603+).
    Blocked,
    /// The Identity header was not accepted.
    IdentityFailed,
    /// Ours to fix: credentials, method, media.
    Misconfigured,
    /// 482, 483.
    Loop,
    /// 3xx, which is not followed.
    Redirected,
    /// We ended it before an answer.
    Cancelled,
    /// Sending failed, or nothing ever answered.
    TransportError,
}

/// One value of a Reason header (RFC 3326).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `Q.850`, `SIP` ...
    pub protocol: String,
    /// Cause number.
    pub cause: Option<u16>,
    /// Text, without quotes.
    pub text: String,
}
