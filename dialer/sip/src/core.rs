//! What calls share: configuration, randomness, and the two queues out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use crate::config::{Config, Timers};
use crate::event::{CallId, Event, Transmit, TransmitKind};
use crate::random::Random;
use crate::transaction::Mark;
use crate::wire::{Message, ResponseBuilder, reason_phrase};

/// Methods answered in a dialog or outside one (section 20.5).
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO";

/// One input makes at most a handful of outputs per call it touches, so the queues are bounded by
/// the calls as long as the driver drains them after each input.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) random: Random,
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
}

impl Core {
    pub(crate) fn new(mut config: Config, seed: [u8; 32]) -> Self {
        config.timers = config.timers.at_least_a_millisecond();
        Self {
            config,
            random: Random::new(seed),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) const fn timers(&self) -> &Timers {
        &self.config.timers
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn send(
        &mut self,
        call: CallId,
        kind: TransmitKind,
        destination: SocketAddr,
        payload: Vec<u8>,
        send_before: Option<Instant>,
    ) {
        self.transmits.push_back(Transmit {
            destination,
            payload,
            kind,
            call: Some(call),
            send_before,
        });
    }

    /// Takes back every INVITE of `call` that the driver has not taken yet.
    pub(crate) fn withdraw_invites(&mut self, call: CallId) {
        self.transmits.retain(|transmit| {
            let invite = matches!(
                transmit.kind,
                TransmitKind::InviteFirst
                    | TransmitKind::InviteResend
                    | TransmitKind::InviteRetransmit
            );
            !(invite && transmit.call == Some(call))
        });
    }

    /// Answers a request without keeping state (section 8.2.7): the same request gets the same answer.
    pub(crate) fn answer(
        &mut self,
        call: Option<CallId>,
        source: SocketAddr,
        request: &Message<'_>,
        status: u16,
        headers: &[(&str, &str)],
    ) {
        let tag = self.random.tag_for(&[
            request.call_id().unwrap_or_default(),
            request.from_tag().unwrap_or_default(),
            request.branch().unwrap_or_default(),
        ]);
        let tag = Mark { slot: u32::MAX, nonce: tag }.tag();
        let phrase = reason_phrase(status);
        // What lacks the headers to copy cannot be answered.
        let Ok(mut answer) = ResponseBuilder::new(request, status, phrase, &tag, Some(source))
        else {
            return;
        };
        for (name, value) in headers {
            answer = answer.header(name, value);
        }
        if !self.config.user_agent.is_empty() {
            answer = answer.header("Server", &self.config.user_agent);
        }
        let destination = reply_to(request, source);
        let kind = TransmitKind::Response;
        let payload = answer.build();
        self.transmits.push_back(Transmit { destination, payload, kind, call, send_before: None });
    }
}

/// Where the response to a request goes (section 18.2.2, RFC 3581 section 4).
fn reply_to(request: &Message<'_>, source: SocketAddr) -> SocketAddr {
    match request.top_via() {
        Ok(via) if via.rport().is_none() => {
            SocketAddr::new(source.ip(), via.port.filter(|&port| port != 0).unwrap_or(5060))
        }
        _ => source,
    }
}
