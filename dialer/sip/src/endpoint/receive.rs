//! Datagrams in: responses to their transaction, requests to their dialog or to a polite answer.

use std::net::SocketAddr;
use std::time::Instant;

use super::Endpoint;
use crate::core::ALLOW;
use crate::probe;
use crate::transaction::Mark;
use crate::wire::{Base, Message, WireError};

impl Endpoint {
    /// A datagram came in.
    pub fn handle_datagram(&mut self, source: SocketAddr, data: &[u8], now: Instant) {
        match Message::parse(data) {
            Ok(message) if message.is_request() => self.request(source, &message, now),
            Ok(message) => self.response(&message, now),
            Err(WireError::Empty) => {}
            Err(_) => self.malformed += 1,
        }
    }

    /// Matched on the branch of the topmost Via and the method of CSeq (RFC 3261 section 17.1.3),
    /// never on Call-ID.
    fn response(&mut self, response: &Message<'_>, now: Instant) {
        let Ok(base) = response.base() else {
            self.malformed += 1;
            return;
        };
        // More than one Via: meant for somebody behind us, whom we are not (section 8.1.3.3).
        let single = !response.has_more_vias();
        let mark = base.via.branch().filter(|_| single).and_then(Mark::from_branch);
        if let Some(Mark { slot: probe::SLOT, nonce }) = mark {
            if !self.probes.receive(&mut self.core, nonce, response, &base, now) {
                self.unmatched += 1;
            }
            return;
        }
        let found = mark.and_then(|mark| Some((mark, self.calls.at(mark.slot)?.id())));
        let Some((mark, id)) = found else {
            self.unmatched += 1;
            return;
        };
        self.calls.with(id, |call| call.receive(&mut self.core, mark.nonce, response, &base, now));
    }

    fn request(&mut self, source: SocketAddr, request: &Message<'_>, now: Instant) {
        if request.method() == Some(b"ACK") {
            return;
        }
        let Ok(base) = request.base() else {
            self.malformed += 1;
            return self.core.answer(None, source, request, 400, &[]);
        };
        let Some(tag) = base.to.tag() else {
            return self.stranger(source, request, &base);
        };
        let call = Mark::from_tag(tag).and_then(|mark| self.calls.at(mark.slot));
        let call = call.filter(|call| call.is_named(tag, base.call_id)).map(crate::call::Call::id);
        match call {
            Some(id) => self
                .calls
                .with(id, |call| call.request(&mut self.core, source, request, &base, now)),
            None => self.core.answer(None, source, request, 481, &[]),
        }
    }

    /// A request outside any dialog: we only place calls.
    fn stranger(&mut self, source: SocketAddr, request: &Message<'_>, base: &Base<'_>) {
        let (status, headers): (u16, &[(&str, &str)]) = match base.cseq.method {
            b"OPTIONS" => (200, &[("Allow", ALLOW), ("Accept", "application/sdp")]),
            b"INVITE" => (486, &[]),
            b"CANCEL" | b"BYE" | b"PRACK" | b"UPDATE" | b"INFO" => (481, &[]),
            b"REGISTER" | b"SUBSCRIBE" | b"NOTIFY" | b"MESSAGE" | b"PUBLISH" | b"REFER" => {
                (405, &[("Allow", ALLOW)])
            }
            _ => (501, &[("Allow", ALLOW)]),
        };
        self.core.answer(None, source, request, status, headers);
    }
}
