//! Non-INVITE client transaction: RFC 3261 section 17.1.2, for CANCEL, BYE
//! and OPTIONS.

use std::time::Instant;

use super::timer::Backoff;
use crate::config::Timers;

/// The states.
#[derive(Debug)]
pub(crate) enum NonInviteClient {
    Trying(Trying),
    Proceeding(Proceeding),
    Completed(Completed),
    Terminated,
}

/// Sent, nothing heard.
#[derive(Debug)]
pub(crate) struct Trying {
    request: Vec<u8>,
    /// Timer E.
    again: Backoff,
    /// Timer F.
    give_up: Instant,
}

/// A provisional response came: retransmitted every T2.
#[derive(Debug)]
pub(crate) struct Proceeding {
    request: Vec<u8>,
    again: Backoff,
    give_up: Instant,
}

/// A final response came; its retransmissions are absorbed.
#[derive(Debug)]
pub(crate) struct Completed {
    /// Timer K.
    ends: Instant,
}

/// What a timer asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    Retransmit(Vec<u8>),
    TimedOut,
}

impl NonInviteClient {
    pub(crate) fn new(request: Vec<u8>, timers: &Timers, now: Instant) -> Self {
        Self::Trying(Trying {
            request,
            again: Backoff::new(timers.t1, Some(timers.t2), now),
            give_up: now + timers.give_up(),
        })
    }

    /// A response with this status came. Whether it is the first final one.
    pub(crate) fn receive(&mut self, status: u16, timers: &Timers, now: Instant) -> bool {
        match std::mem::replace(self, Self::Terminated) {
            Self::Trying(Trying { request, give_up, .. }) if status < 200 => {
                let again = Backoff::new(timers.t2, Some(timers.t2), now);
                *self = Self::Proceeding(Proceeding { request, again, give_up });
                false
            }
            Self::Trying(_) => self.complete(timers, now),
            Self::Proceeding(_) if status >= 200 => self.complete(timers, now),
            same => {
                *self = same;
                false
            }
        }
    }

    fn complete(&mut self, timers: &Timers, now: Instant) -> bool {
        *self = Self::Completed(Completed { ends: now + timers.t4 });
        true
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Trying(trying) => Some(trying.again.next().min(trying.give_up)),
            Self::Proceeding(proceeding) => Some(proceeding.again.next().min(proceeding.give_up)),
            Self::Completed(completed) => Some(completed.ends),
            Self::Terminated => None,
        }
    }

    pub(crate) fn expire(&mut self, now: Instant) -> Step {
        let (request, again, give_up) = match self {
            Self::Trying(t) => (&t.request, &mut t.again, t.give_up),
            Self::Proceeding(p) => (&p.request, &mut p.again, p.give_up),
            Self::Completed(completed) => {
                if now >= completed.ends {
                    *self = Self::Terminated;
                }
                return Step::Wait;
            }
            Self::Terminated => return Step::Wait,
        };
        if now >= give_up {
            *self = Self::Terminated;
            Step::TimedOut
        } else if again.fire(now) {
            Step::Retransmit(request.clone())
        } else {
            Step::Wait
        }
    }

    /// Whether a final response is still waited for.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Trying(_) | Self::Proceeding(_))
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self, Self::Terminated)
    }
}
