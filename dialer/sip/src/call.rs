//! One call: an INVITE, what became of it, and the dialogs it made.

mod end;
mod expire;
mod incoming;
mod print;
mod response;

use std::net::SocketAddr;
use std::time::Instant;

use crate::config::{Credentials, Invite};
use crate::core::Core;
use crate::dialog::Dialog;
use crate::digest::Challenge;
use crate::disposition::Reason;
use crate::event::{CallId, TransmitKind};
use crate::transaction::Mark;
use crate::transaction::invite_client::{Calling, Completed, InviteClient};
use crate::transaction::non_invite_client::NonInviteClient;

/// Most INVITEs sent after the first: a 407 of a proxy, a 401 of the far end, one stale nonce.
const MAX_RESENDS: u8 = 3;

/// Most dialogs one INVITE may make. Trunks fork to a handful of branches; more is an attack, and
/// a 2xx that nobody acknowledges is hung up by its sender.
const MAX_LEGS: usize = 8;

/// Who wanted the CANCEL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Asked,
    RingTimeout,
}

/// How far a CANCEL has come.
#[derive(Debug)]
enum Cancel {
    No,
    /// To be sent at the first provisional response (section 9.1).
    Wanted {
        why: Why,
        reason: String,
    },
    Sent {
        why: Why,
        transaction: NonInviteClient,
        give_up: Instant,
    },
}

/// A dialog made by a 2xx. The first is the call; others are forks, hung up at once.
#[derive(Debug)]
struct Leg {
    dialog: Dialog,
    next_hop: SocketAddr,
    ack: Vec<u8>,
    cseq: u32,
    bye: Option<Bye>,
}

#[derive(Debug)]
struct Bye {
    nonce: u64,
    transaction: NonInviteClient,
    resent: bool,
}

/// A challenge answered in this call, and how many requests used its nonce.
#[derive(Debug)]
struct Answer {
    challenge: Challenge,
    count: u32,
}

/// The final response, for the record.
#[derive(Debug, Default)]
struct Final {
    code: Option<u16>,
    phrase: String,
    reasons: Vec<Reason>,
    retry_after: Option<std::time::Duration>,
}

#[derive(Debug)]
pub(crate) struct Call {
    id: CallId,
    destination: SocketAddr,
    request_uri: String,
    /// Values of From (with our tag) and To (without).
    from: String,
    to: String,
    call_id: String,
    local_tag: String,
    not_after: Instant,
    credentials: Option<Credentials>,
    /// Kept until it can no longer be needed for a re-send.
    request: Option<Box<Invite>>,
    cseq: u32,
    /// Nonce of the INVITE's branch; the CANCEL shares it.
    nonce: u64,
    invite: InviteClient,
    /// INVITEs that a challenge ended, with their nonces.
    retired: Vec<(u64, Completed)>,
    resends: u8,
    /// Whether the driver has taken the current INVITE.
    taken: bool,
    answers: Vec<Answer>,
    /// Authorization headers of the current INVITE; its ACK repeats them (section 22.1).
    authorization: Vec<(&'static str, String)>,
    cancel: Cancel,
    ring_deadline: Option<Instant>,
    trying: bool,
    rang_at: Option<Instant>,
    answered_at: Option<Instant>,
    legs: Vec<Leg>,
    last: Final,
    ended: bool,
    linger_until: Option<Instant>,
}

impl Call {
    /// Prepares a call and queues its INVITE. `None` where it would not fit into a datagram.
    pub(crate) fn new(id: CallId, invite: Invite, core: &mut Core, now: Instant) -> Option<Self> {
        let local_tag = Mark { slot: id.slot, nonce: core.random.next() }.tag();
        let display = match invite.from_display.as_str() {
            "" => String::new(),
            name => format!("\"{}\" ", name.replace('\\', "\\\\").replace('"', "\\\"")),
        };
        let mut call = Self {
            id,
            destination: invite.destination,
            request_uri: invite.request_uri.clone(),
            from: format!("{display}<{}>;tag={local_tag}", invite.from_uri),
            to: format!("<{}>", invite.to_uri),
            call_id: invite.call_id.clone(),
            local_tag,
            not_after: invite.not_after,
            credentials: invite.credentials.clone(),
            ring_deadline: now.checked_add(invite.ring_timeout),
            request: None,
            cseq: 1,
            nonce: core.random.next(),
            invite: InviteClient::Terminated,
            retired: Vec::new(),
            resends: 0,
            taken: false,
            answers: Vec::new(),
            authorization: Vec::new(),
            cancel: Cancel::No,
            trying: false,
            rang_at: None,
            answered_at: None,
            legs: Vec::new(),
            last: Final::default(),
            ended: false,
            linger_until: None,
        };
        let bytes = call.print_invite(core, &invite);
        if bytes.len() > crate::wire::MAX_PAYLOAD {
            return None;
        }
        call.request = Some(Box::new(invite));
        call.launch(core, TransmitKind::InviteFirst, bytes, now);
        Some(call)
    }

    /// Begins an INVITE transaction.
    fn launch(&mut self, core: &mut Core, kind: TransmitKind, bytes: Vec<u8>, now: Instant) {
        self.invite = InviteClient::Calling(Calling::new(bytes.clone(), core.timers(), now));
        self.taken = false;
        core.send(self.id, kind, self.destination, bytes, Some(self.not_after));
    }

    pub(crate) const fn id(&self) -> CallId {
        self.id
    }

    /// The driver takes the current INVITE.
    pub(crate) const fn take_invite(&mut self) {
        self.taken = true;
    }

    /// Whether a request naming our tag and Call-ID belongs here.
    pub(crate) fn is_named(&self, tag: &[u8], call_id: &[u8]) -> bool {
        self.local_tag.as_bytes() == tag && self.call_id.as_bytes() == call_id
    }

    /// Whether it has not ended.
    pub(crate) const fn is_live(&self) -> bool {
        !self.ended
    }

    /// Whether nothing is left to wait for.
    pub(crate) fn is_over(&self) -> bool {
        let byes = self.legs.iter().filter_map(|leg| leg.bye.as_ref());
        let cancelled = match &self.cancel {
            Cancel::Sent { transaction, .. } => transaction.is_over(),
            Cancel::No | Cancel::Wanted { .. } => true,
        };
        self.ended
            && matches!(self.invite, InviteClient::Terminated)
            && self.retired.is_empty()
            && cancelled
            && self.linger_until.is_none()
            && byes.into_iter().all(|bye| bye.transaction.is_over())
    }

    /// Ends the call before its answer; after it, hangs up.
    pub(crate) fn cancel(&mut self, core: &mut Core, reason: &str, now: Instant) {
        if self.ended {
        } else if !self.legs.is_empty() {
            self.bye(core, now);
        } else if !self.taken {
            self.unsend(core, "cancelled before the INVITE was sent", now);
        } else {
            self.want_cancel(core, Why::Asked, reason, now);
        }
    }

    fn want_cancel(&mut self, core: &mut Core, why: Why, reason: &str, now: Instant) {
        if matches!(self.cancel, Cancel::Sent { .. }) {
            return;
        }
        self.cancel = Cancel::Wanted { why, reason: reason.to_owned() };
        if matches!(self.invite, InviteClient::Proceeding) {
            self.send_cancel(core, now);
        }
    }

    /// Sends the CANCEL, wanted or not (a forsaken INVITE that rings after all).
    fn send_cancel(&mut self, core: &mut Core, now: Instant) {
        let (why, reason) = match std::mem::replace(&mut self.cancel, Cancel::No) {
            Cancel::Wanted { why, reason } => (why, reason),
            Cancel::No => (Why::RingTimeout, String::new()),
            sent @ Cancel::Sent { .. } => {
                self.cancel = sent;
                return;
            }
        };
        let bytes = self.print_cancel(core, &reason);
        let transaction = NonInviteClient::new(bytes.clone(), core.timers(), now);
        self.cancel = Cancel::Sent { why, transaction, give_up: now + core.timers().give_up() };
        core.send(self.id, TransmitKind::Cancel, self.destination, bytes, None);
    }

    /// Hangs up; before an answer, cancels.
    pub(crate) fn bye(&mut self, core: &mut Core, now: Instant) {
        if self.ended {
        } else if self.legs.is_empty() {
            self.cancel(core, "", now);
        } else {
            self.hang_up(core, 0, now);
            self.end_answered(core, crate::event::By::Local, None, now);
        }
    }

    /// Sends a BYE in dialog `index`, once.
    fn hang_up(&mut self, core: &mut Core, index: usize, now: Instant) {
        if self.legs.get(index).is_none_or(|leg| leg.bye.is_some()) {
            return;
        }
        let nonce = core.random.next();
        let Some((bytes, next_hop)) = self.print_bye(core, index, nonce) else {
            return;
        };
        let transaction = NonInviteClient::new(bytes.clone(), core.timers(), now);
        if let Some(leg) = self.legs.get_mut(index) {
            leg.bye = Some(Bye { nonce, transaction, resent: false });
        }
        core.send(self.id, TransmitKind::Bye, next_hop, bytes, None);
    }

    /// The driver could not send the INVITE in time.
    pub(crate) fn not_sent(&mut self, core: &mut Core, now: Instant) {
        // Anything heard proves that it was sent.
        if !self.ended && matches!(self.invite, InviteClient::Calling(_)) {
            self.unsend(core, "not_after passed before the INVITE could be sent again", now);
        }
    }
}
