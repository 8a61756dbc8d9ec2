//! INVITE client transaction: RFC 3261 section 17.1.1 with the Accepted state of RFC 6026.

use std::time::Instant;

use super::timer::Backoff;
use crate::config::Timers;

/// The states. Terminated is kept until the call itself goes.
#[derive(Debug)]
pub(crate) enum InviteClient {
    Calling(Calling),
    Proceeding,
    Completed(Completed),
    Accepted(Accepted),
    Forsaken(Forsaken),
    Terminated,
}

/// Sent, nothing heard.
#[derive(Debug)]
pub(crate) struct Calling {
    request: Vec<u8>,
    /// Timer A.
    again: Backoff,
    /// Timer B.
    give_up: Instant,
}

/// A final response other than 2xx came; its retransmissions are acknowledged again.
#[derive(Debug)]
pub(crate) struct Completed {
    ack: Vec<u8>,
    /// Timer D.
    ends: Instant,
}

/// A 2xx came; further ones are let through to the call, which acknowledges them.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Timer M.
    ends: Instant,
}

/// Given up without a final response. RFC 3261 forgets the transaction at once; it is kept for
/// 64*T1 more, so that a late 1xx is cancelled and a late 2xx hung up instead of leaving a person
/// with a ringing or silent phone.
#[derive(Debug)]
pub(crate) struct Forsaken {
    ends: Instant,
}

/// What a timer of [`Calling`] asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CallingStep {
    Wait,
    Retransmit(Vec<u8>),
    TimedOut,
}

impl Calling {
    pub(crate) fn new(request: Vec<u8>, timers: &Timers, now: Instant) -> Self {
        Self { request, again: Backoff::new(timers.t1, None, now), give_up: now + timers.give_up() }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.again.next().min(self.give_up)
    }

    pub(crate) fn expire(&mut self, now: Instant) -> CallingStep {
        if now >= self.give_up {
            CallingStep::TimedOut
        } else if self.again.fire(now) {
            CallingStep::Retransmit(self.request.clone())
        } else {
            CallingStep::Wait
        }
    }
}

impl Completed {
    pub(crate) fn new(ack: Vec<u8>, timers: &Timers, now: Instant) -> Self {
        Self { ack, ends: now + timers.give_up() }
    }

    /// The bytes that answer a retransmitted final response.
    pub(crate) fn ack(&self) -> &[u8] {
        &self.ack
    }

    pub(crate) const fn ends(&self) -> Instant {
        self.ends
    }
}

impl InviteClient {
    pub(crate) fn accepted(timers: &Timers, now: Instant) -> Self {
        Self::Accepted(Accepted { ends: now + timers.give_up() })
    }

    pub(crate) fn forsaken(timers: &Timers, now: Instant) -> Self {
        Self::Forsaken(Forsaken { ends: now + timers.give_up() })
    }

    /// Whether a final response is still awaited.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Calling(_) | Self::Proceeding)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Calling(calling) => Some(calling.deadline()),
            Self::Completed(completed) => Some(completed.ends),
            Self::Accepted(accepted) => Some(accepted.ends),
            Self::Forsaken(forsaken) => Some(forsaken.ends),
            Self::Proceeding | Self::Terminated => None,
        }
    }

    /// Ends the states that only wait (timers D and M). [`Calling`] has its own `expire`.
    pub(crate) fn expire_wait(&mut self, now: Instant) {
        let waiting = !matches!(self, Self::Calling(_));
        if waiting && self.deadline().is_some_and(|ends| now >= ends) {
            *self = Self::Terminated;
        }
    }
}
