//! The timers of a call.

use std::time::Instant;

use super::{Call, Cancel, Why};
use crate::core::Core;
use crate::disposition::Ending;
use crate::event::{By, TransmitKind};
use crate::transaction::invite_client::{CallingStep, InviteClient};
use crate::transaction::non_invite_client::Step;

impl Call {
    /// The earliest of its timers.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let cancel = match &self.cancel {
            Cancel::Sent { transaction, give_up, .. } => {
                let wait = self.invite.is_open().then_some(*give_up);
                [transaction.deadline(), wait]
            }
            Cancel::No | Cancel::Wanted { .. } => [None, None],
        };
        let byes = self.legs.iter().filter_map(|leg| leg.bye.as_ref()?.transaction.deadline());
        let retired = self.retired.iter().map(|(_, completed)| completed.ends());
        [self.ring_deadline, self.invite.deadline(), self.linger_until]
            .into_iter()
            .chain(cancel)
            .flatten()
            .chain(byes)
            .chain(retired)
            .min()
    }

    /// Lets every timer fire that is due; afterwards none is.
    pub(crate) fn expire(&mut self, core: &mut Core, now: Instant) {
        if self.ring_deadline.is_some_and(|deadline| now >= deadline) {
            self.ring_deadline = None;
            if self.invite.is_open() && matches!(self.cancel, Cancel::No) {
                let reason =
                    if self.rang_at.is_some() { "Q.850;cause=19" } else { "Q.850;cause=18" };
                self.want_cancel(core, Why::RingTimeout, reason, now);
            }
        }
        self.expire_invite(core, now);
        self.expire_cancel(core, now);
        self.expire_byes(core, now);
        self.retired.retain(|(_, completed)| completed.ends() > now);
        self.linger_until = self.linger_until.filter(|until| *until > now);
    }

    fn expire_invite(&mut self, core: &mut Core, now: Instant) {
        let InviteClient::Calling(calling) = &mut self.invite else {
            return self.invite.expire_wait(now);
        };
        match calling.expire(now) {
            CallingStep::Wait => {}
            // It may not have arrived, and is not to: the person said no meanwhile, or we stop. Where
            // it has, the first provisional response brings the CANCEL.
            CallingStep::Retransmit(_)
                if matches!(self.cancel, Cancel::Wanted { why: Why::Asked, .. }) => {}
            CallingStep::Retransmit(bytes) => {
                core.send(self.id, TransmitKind::InviteRetransmit, self.destination, bytes, None);
            }
            CallingStep::TimedOut => {
                // Asked to cancel: that is how it ended. A ring timeout is not: nothing ever rang.
                let ending = match self.local_ending() {
                    Some(Ending::Cancelled) => Ending::Cancelled,
                    _ => Ending::TransportError,
                };
                self.forsake(core, ending, By::Timeout, "the trunk does not answer", now);
            }
        }
    }

    fn expire_cancel(&mut self, core: &mut Core, now: Instant) {
        let Cancel::Sent { transaction, give_up, .. } = &mut self.cancel else {
            return;
        };
        if let Step::Retransmit(bytes) = transaction.expire(now) {
            core.send(self.id, TransmitKind::Cancel, self.destination, bytes, None);
        }
        if now >= *give_up && self.invite.is_open() {
            let ending = self.local_ending().unwrap_or(Ending::Cancelled);
            self.forsake(core, ending, By::Local, "no final response after CANCEL", now);
        }
    }

    fn expire_byes(&mut self, core: &mut Core, now: Instant) {
        for leg in &mut self.legs {
            let Some(bye) = &mut leg.bye else {
                continue;
            };
            if let Step::Retransmit(bytes) = bye.transaction.expire(now) {
                core.send(self.id, TransmitKind::Bye, leg.next_hop, bytes, None);
            }
        }
    }
}
