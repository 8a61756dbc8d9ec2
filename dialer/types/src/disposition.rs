//! How a placement ended: the dialer's disposition, and the coarser outcome that rules count.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Say,
    call::{UnknownWord, vocabulary},
};

vocabulary! {
    /// How a placement ended (`reference/sip.md` section 4). Exactly one per attempt (G8).
    Disposition, "disposition", {
        /// Answered (2xx).
        Answered = 1, "answered";
        /// 486, 600, Q.850 17.
        Busy = 2, "busy";
        /// Rang until our ring timeout, or 480/408 after ringing.
        NoAnswer = 3, "no_answer";
        /// 480 without ringing, 430, Q.850 20.
        Unavailable = 4, "unavailable";
        /// 404, 484, 485, 604, Q.850 1, 3, 28.
        InvalidNumber = 5, "invalid_number";
        /// 410, Q.850 22, 27.
        Disconnected = 6, "disconnected";
        /// 5xx, 408 or timeout without ringing: the network's fault.
        Congestion = 7, "congestion";
        /// 603: the person declined.
        Rejected = 8, "rejected";
        /// 607: never call again.
        Unwanted = 9, "unwanted";
        /// 608: blocked by analytics.
        Blocked = 10, "blocked";
        /// 428, 436, 437, 438.
        IdentityFailed = 11, "identity_failed";
        /// 401/407 after retry, 403, 405, 420, 488 ...: ours to fix.
        Misconfigured = 12, "misconfigured";
        /// 482, 483.
        Loop = 13, "loop";
        /// 3xx, not followed.
        Redirected = 14, "redirected";
        /// Ended by us before an answer: suppression, stop, drain.
        Cancelled = 15, "cancelled";
        /// Answered, and nobody was there for the person.
        Abandoned = 16, "abandoned";
        /// The datagram could not be sent, or nothing ever answered.
        TransportError = 17, "transport_error";
        /// Cleared, but the INVITE provably never left: does not count against caps.
        NotSent = 18, "not_sent";
        /// The dialer stopped before it knew: counts as made (G8).
        Unknown = 19, "outcome_unknown";
    }
}

vocabulary! {
    /// What a rule sees of an earlier attempt. `pending` and `unknown` count under every filter.
    Outcome, "outcome", {
        /// Reserved or under way: not known yet.
        Pending = 0, "pending";
        /// Busy.
        Busy = 1, "busy";
        /// Special information tone: not in service.
        Sit = 2, "sit";
        /// Rang, nobody answered.
        NoAnswer = 3, "no_answer";
        /// A voice mailbox answered.
        Voicemail = 4, "voicemail";
        /// Answered by a person, nobody connected.
        Abandoned = 5, "abandoned";
        /// A person was spoken to.
        Conversation = 6, "conversation";
        /// A conversation in which further calls were declined.
        Refused = 7, "refused";
        /// The network failed; read as `sit`.
        Failed = 8, "failed";
        /// Nobody knows how it ended.
        Unknown = 9, "unknown";
    }
}

impl Disposition {
    /// What happened, in a sentence without a full stop.
    #[must_use]
    pub fn say(self) -> Say {
        match self {
            Self::Answered => "the call was answered",
            Self::Busy => "the line was busy",
            Self::NoAnswer => "it rang and nobody answered",
            Self::Unavailable => "the person could not be reached",
            Self::InvalidNumber => "the number does not exist",
            Self::Disconnected => "the number is out of service",
            Self::Congestion => "the network could not carry the call",
            Self::Rejected => "the person declined the call",
            Self::Unwanted => "the person does not want to be called again",
            Self::Blocked => "the carrier blocked the call",
            Self::IdentityFailed => "the carrier did not accept the caller's identity",
            Self::Misconfigured => "the carrier refused the call as we sent it: look at the trunk",
            Self::Loop => "the network sent the call in a circle",
            Self::Redirected => "the call was redirected, which is not followed",
            Self::Cancelled => "we ended the call before it was answered",
            Self::Abandoned => "the call was answered and nobody was there for the person",
            Self::TransportError => "the carrier could not be reached",
            Self::NotSent => "nothing was sent; it does not count",
            Self::Unknown => "nobody knows how it ended; it counts as made",
        }
        .into()
    }

    /// What rules count this as. `None` for [`Disposition::NotSent`], which stops counting.
    #[must_use]
    pub const fn outcome(self) -> Option<Outcome> {
        Some(match self {
            Self::Answered => Outcome::Conversation,
            Self::Busy => Outcome::Busy,
            Self::NoAnswer | Self::Unavailable | Self::Cancelled => Outcome::NoAnswer,
            Self::InvalidNumber | Self::Disconnected => Outcome::Sit,
            Self::Rejected | Self::Unwanted => Outcome::Refused,
            Self::Abandoned => Outcome::Abandoned,
            Self::Congestion
            | Self::Blocked
            | Self::IdentityFailed
            | Self::Misconfigured
            | Self::Loop
            | Self::Redirected
            | Self::TransportError => Outcome::Failed,
            Self::NotSent => return None,
            Self::Unknown => Outcome::Unknown,
        })
    }
}
