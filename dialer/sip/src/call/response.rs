//! Responses to the requests of a call.

use std::time::Instant;

use super::{Answer, Call, Cancel, Final, Leg, MAX_LEGS, MAX_RESENDS};
use crate::core::Core;
use crate::dialog::Dialog;
use crate::digest::challenges;
use crate::disposition::{Ending, Reason};
use crate::event::{By, Event, TransmitKind};
use crate::retry_after::retry_after;
use crate::transaction::invite_client::{Completed, InviteClient};
use crate::transaction::non_invite_client::NonInviteClient;
use crate::wire::{Base, Message, text};

/// Why a challenge is not answered.
struct Unanswered(Ending, By, &'static str);

impl Call {
    /// A response whose branch carries `nonce`. One whose nonce is not ours is ignored.
    pub(crate) fn receive(
        &mut self,
        core: &mut Core,
        nonce: u64,
        response: &Message<'_>,
        base: &Base<'_>,
        now: Instant,
    ) {
        let Some(status) = response.status() else {
            return;
        };
        match base.cseq.method {
            b"INVITE" if nonce == self.nonce => match status {
                100..=199 => self.provisional(core, status, response, now),
                200..=299 => self.success(core, status, response, now),
                _ => self.failure(core, status, response, now),
            },
            b"INVITE" if status >= 300 => {
                if let Some((_, completed)) = self.retired.iter().find(|(old, _)| *old == nonce) {
                    let ack = completed.ack().to_vec();
                    core.send(self.id, TransmitKind::Ack, self.destination, ack, None);
                }
            }
            b"CANCEL" if nonce == self.nonce => {
                if let Cancel::Sent { transaction, .. } = &mut self.cancel {
                    transaction.receive(status, core.timers(), now);
                }
            }
            b"BYE" => self.bye_response(core, nonce, status, response, now),
            _ => {}
        }
    }

    fn provisional(&mut self, core: &mut Core, status: u16, response: &Message<'_>, now: Instant) {
        match self.invite {
            InviteClient::Calling(_) => self.invite = InviteClient::Proceeding,
            InviteClient::Proceeding => {}
            InviteClient::Forsaken(_) => return self.send_cancel(core, now),
            InviteClient::Completed(_) | InviteClient::Accepted(_) | InviteClient::Terminated => {
                return;
            }
        }
        let call = self.id;
        if status == 100 {
            if !std::mem::replace(&mut self.trying, true) {
                core.event(Event::Trying { call });
            }
        } else {
            if (180..=183).contains(&status) {
                self.rang_at.get_or_insert(now);
            }
            core.event(Event::Early { call, code: status, sdp: sdp(response) });
        }
        if matches!(self.cancel, Cancel::Wanted { .. }) {
            self.send_cancel(core, now);
        }
    }

    fn success(&mut self, core: &mut Core, status: u16, response: &Message<'_>, now: Instant) {
        let tag = response.to_tag().unwrap_or_default();
        if let Some(leg) = self.legs.iter().find(|leg| leg.is_of(tag)) {
            core.send(self.id, TransmitKind::Ack, leg.next_hop, leg.ack.clone(), None);
            return;
        }
        if self.legs.len() >= MAX_LEGS {
            return;
        }
        if self.invite.is_open() || matches!(self.invite, InviteClient::Forsaken(_)) {
            self.invite = InviteClient::accepted(core.timers(), now);
        }
        let index = self.legs.len();
        self.acknowledge(core, response);
        if self.ended || index > 0 {
            return self.hang_up(core, index, now);
        }
        self.last = read_final(status, response);
        self.answered_at = Some(now);
        self.ring_deadline = None;
        self.request = None;
        if matches!(self.cancel, Cancel::No) {
            core.event(Event::Confirmed { call: self.id, sdp: sdp(response) });
        } else {
            self.hang_up(core, index, now);
            self.end_answered(core, By::Local, Some("answered while being cancelled"), now);
        }
    }

    /// Makes the dialog of a 2xx and acknowledges it.
    fn acknowledge(&mut self, core: &mut Core, response: &Message<'_>) {
        let dialog = Dialog::new(response, self.request_uri.as_bytes());
        let way = dialog.way();
        let next_hop = way.next_hop.unwrap_or(self.destination);
        let nonce = core.random.next();
        let ack = self.print_ack_in_dialog(core, &way, dialog.remote_tag(), nonce);
        core.send(self.id, TransmitKind::Ack, next_hop, ack.clone(), None);
        self.legs.push(Leg { dialog, next_hop, ack, cseq: self.cseq, bye: None });
    }

    fn failure(&mut self, core: &mut Core, status: u16, response: &Message<'_>, now: Instant) {
        match &self.invite {
            InviteClient::Completed(completed) => {
                let ack = completed.ack().to_vec();
                core.send(self.id, TransmitKind::Ack, self.destination, ack, None);
                return;
            }
            InviteClient::Accepted(_) | InviteClient::Terminated => return,
            InviteClient::Calling(_) | InviteClient::Proceeding | InviteClient::Forsaken(_) => {}
        }
        let ack = self.print_ack_in_transaction(core, response);
        core.send(self.id, TransmitKind::Ack, self.destination, ack.clone(), None);
        self.invite = InviteClient::Completed(Completed::new(ack, core.timers(), now));
        if self.ended {
            return;
        }
        self.last = read_final(status, response);
        if matches!(status, 401 | 407) && matches!(self.cancel, Cancel::No) {
            if let Err(Unanswered(ending, by, note)) = self.challenged(core, response, now) {
                self.end(core, ending, by, Some(note), now);
            }
            return;
        }
        self.end_refused(core, now);
    }

    /// Sends the INVITE again with credentials, in a new transaction (section 22.2).
    fn challenged(
        &mut self,
        core: &mut Core,
        response: &Message<'_>,
        now: Instant,
    ) -> Result<(), Unanswered> {
        let broken = |note| Unanswered(Ending::Misconfigured, By::Remote, note);
        if self.credentials.is_none() {
            return Err(broken("challenged, and the trunk has no credentials"));
        }
        if self.resends >= MAX_RESENDS {
            return Err(broken("challenged too often"));
        }
        self.learn_challenges(response).map_err(broken)?;
        if now > self.not_after {
            return Err(Unanswered(Ending::Cancelled, By::Local, "challenged after not_after"));
        }
        let Some(request) = self.request.take() else {
            return Err(broken("challenged after the end"));
        };
        if let InviteClient::Completed(completed) =
            std::mem::replace(&mut self.invite, InviteClient::Terminated)
        {
            self.retired.push((self.nonce, completed));
        }
        self.resends += 1;
        self.cseq += 1;
        self.nonce = core.random.next();
        let uri = self.request_uri.clone();
        self.authorization = self.answer_challenges(core, "INVITE", &uri);
        let bytes = self.print_invite(core, &request);
        self.request = Some(request);
        self.launch(core, TransmitKind::InviteResend, bytes, now);
        Ok(())
    }

    /// Keeps the challenges of a 401 or 407. An old realm may come again only with a stale nonce.
    fn learn_challenges(&mut self, response: &Message<'_>) -> Result<(), &'static str> {
        let challenges = challenges(response);
        if challenges.is_empty() {
            return Err("no challenge that can be answered");
        }
        for challenge in challenges {
            let same = |answer: &&mut Answer| {
                answer.challenge.proxy == challenge.proxy
                    && answer.challenge.realm == challenge.realm
            };
            match self.answers.iter_mut().find(same) {
                Some(_) if !challenge.stale => return Err("credentials refused"),
                Some(answer) => *answer = Answer { challenge, count: 0 },
                None => self.answers.push(Answer { challenge, count: 0 }),
            }
        }
        Ok(())
    }

    fn bye_response(
        &mut self,
        core: &mut Core,
        nonce: u64,
        status: u16,
        response: &Message<'_>,
        now: Instant,
    ) {
        let of_nonce = |leg: &Leg| leg.bye.as_ref().is_some_and(|bye| bye.nonce == nonce);
        let Some(index) = self.legs.iter().position(of_nonce) else {
            return;
        };
        let Some(bye) = self.legs.get_mut(index).and_then(|leg| leg.bye.as_mut()) else {
            return;
        };
        let first = bye.transaction.receive(status, core.timers(), now);
        let again =
            first && matches!(status, 401 | 407) && !bye.resent && self.credentials.is_some();
        // A BYE with the old nonce count is challenged anew where the far end demands a fresh nonce.
        if !again {
            return;
        }
        let challenges = challenges(response);
        self.answers.retain(|answer| {
            !challenges.iter().any(|new| {
                new.proxy == answer.challenge.proxy && new.realm == answer.challenge.realm
            })
        });
        self.answers.extend(challenges.into_iter().map(|challenge| Answer { challenge, count: 0 }));
        let nonce = core.random.next();
        let Some((bytes, next_hop)) = self.print_bye(core, index, nonce) else {
            return;
        };
        let transaction = NonInviteClient::new(bytes.clone(), core.timers(), now);
        if let Some(leg) = self.legs.get_mut(index) {
            leg.bye = Some(super::Bye { nonce, transaction, resent: true });
        }
        core.send(self.id, TransmitKind::Bye, next_hop, bytes, None);
    }
}

fn read_final(status: u16, response: &Message<'_>) -> Final {
    Final {
        code: Some(status),
        phrase: response.phrase().map(text).unwrap_or_default(),
        reasons: Reason::of(response),
        retry_after: retry_after(response),
    }
}

/// The body, where it is SDP.
fn sdp(message: &Message<'_>) -> Option<Vec<u8>> {
    let body = message.body();
    let kind = message.header("Content-Type")?;
    let end = kind.iter().position(|&b| b == b';').unwrap_or(kind.len());
    let is_sdp = crate::wire::trim(kind.get(..end)?).eq_ignore_ascii_case(b"application/sdp");
    (is_sdp && !body.is_empty()).then(|| body.to_vec())
}
