//! How a call ends.

use std::time::Instant;

use super::{Call, Cancel, Why};
use crate::core::Core;
use crate::disposition::{Ending, classify, decision};
use crate::event::{By, Ended, Event};
use crate::transaction::invite_client::InviteClient;

impl Call {
    /// What our own CANCEL makes of the call; `None` where there is none.
    pub(super) const fn local_ending(&self) -> Option<Ending> {
        match &self.cancel {
            Cancel::No => None,
            Cancel::Wanted { why, .. } | Cancel::Sent { why, .. } => Some(match why {
                Why::Asked => Ending::Cancelled,
                Why::RingTimeout => Ending::NoAnswer,
            }),
        }
    }

    /// After a final response other than 2xx. What we did comes first, but for a decision of the
    /// person or of a policy (603, 607, 608) that crossed our CANCEL.
    pub(super) fn end_refused(&mut self, core: &mut Core, now: Instant) {
        let code = self.last.code.unwrap_or(500);
        let decided = decision(code, &self.last.phrase, &self.last.reasons);
        let (ending, by, note) = match (decided, self.local_ending()) {
            (Some(decided), _) => (decided, By::Remote, None),
            (None, Some(local)) => (local, By::Local, None),
            (None, None) => {
                let rang = self.rang_at.is_some();
                let ending = classify(code, &self.last.phrase, &self.last.reasons, rang);
                if code == 487 {
                    (ending, By::Network, Some("cancelled by the network"))
                } else {
                    (ending, By::Remote, None)
                }
            }
        };
        self.end(core, ending, by, note, now);
    }

    /// After an answer.
    pub(super) fn end_answered(
        &mut self,
        core: &mut Core,
        by: By,
        note: Option<&'static str>,
        now: Instant,
    ) {
        self.end(core, Ending::Answered, by, note, now);
    }

    /// No final response will be waited for any longer.
    pub(super) fn forsake(
        &mut self,
        core: &mut Core,
        ending: Ending,
        by: By,
        note: &'static str,
        now: Instant,
    ) {
        self.invite = InviteClient::forsaken(core.timers(), now);
        if !self.ended {
            self.end(core, ending, by, Some(note), now);
        }
    }

    /// Ends once; later endings change nothing.
    pub(super) fn end(
        &mut self,
        core: &mut Core,
        ending: Ending,
        by: By,
        note: Option<&'static str>,
        now: Instant,
    ) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.ring_deadline = None;
        self.request = None;
        let last = std::mem::take(&mut self.last);
        let over = self.answered_at.unwrap_or(now);
        core.event(Event::Ended(Box::new(Ended {
            call: self.id,
            ending,
            code: last.code,
            phrase: last.phrase,
            reasons: last.reasons,
            retry_after: last.retry_after,
            answered: self.answered_at.is_some(),
            crossed: self.answered_at.is_some() && !matches!(self.cancel, Cancel::No),
            ringing: self.rang_at.map(|rang| over.saturating_duration_since(rang)),
            talking: self.answered_at.map(|answered| now.saturating_duration_since(answered)),
            by,
            note,
        })));
    }

    /// The current INVITE never left. The first one takes the call with it; a re-send ends it.
    pub(super) fn unsend(&mut self, core: &mut Core, note: &'static str, now: Instant) {
        core.withdraw_invites(self.id);
        self.invite = InviteClient::Terminated;
        if self.resends == 0 {
            self.ended = true;
            core.event(Event::NotSent { call: self.id });
        } else {
            self.end(core, Ending::Cancelled, By::Local, Some(note), now);
        }
    }

    /// Sending to the trunk failed. Only an INVITE nobody has answered is given up: everything
    /// else is retransmitted and has its own end.
    pub(crate) fn transport_error(
        &mut self,
        core: &mut Core,
        destination: std::net::SocketAddr,
        now: Instant,
    ) {
        if self.destination == destination && matches!(self.invite, InviteClient::Calling(_)) {
            core.withdraw_invites(self.id);
            let ending = match self.local_ending() {
                Some(Ending::Cancelled) => Ending::Cancelled,
                _ => Ending::TransportError,
            };
            self.forsake(core, ending, By::Network, "sending failed", now);
        }
    }
}
