//! A carrier: answers, is busy, lets it ring, fails, or says nothing. Reads with the SIP core's
//! `wire`, decides by chance from the Call-ID.

use std::collections::BTreeMap;

use dialer_sip::wire::{Message, RequestBuilder, ResponseBuilder, text};

use crate::rng::Rng;

/// The carrier's address on the simulated network; the trunk's number picks the host.
pub(crate) fn address(trunk: u8) -> std::net::SocketAddr {
    ([10, 0, 0, trunk], 5060).into()
}

/// A datagram the carrier sends, after a delay.
#[derive(Debug)]
pub(crate) struct Sends {
    pub(crate) after_ms: u64,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
struct Leg {
    invite: Vec<u8>,
    last: Vec<u8>,
    acked: bool,
    over: bool,
    plan: Plan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Answer { ring_ms: u64, hang_up_ms: Option<u64> },
    Refuse(u16),
    Ring,
    Silent,
}

/// How a carrier fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// 503 to everything.
    Everything,
    /// 503 to calls; OPTIONS is answered as if nothing were.
    Calls,
    /// Not a word.
    Silence,
}

/// What the carrier knows of its calls.
#[derive(Debug, Default)]
pub(crate) struct Carrier {
    legs: BTreeMap<Vec<u8>, Leg>,
    /// How it fails now.
    pub(crate) outage: Option<Outage>,
}

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

impl Carrier {
    /// A datagram came in; what goes out, and when.
    pub(crate) fn datagram(&mut self, bytes: &[u8], rng: &mut Rng) -> Vec<Sends> {
        let Ok(message) = Message::parse(bytes) else {
            return Vec::new();
        };
        let (Some(method), Some(call_id)) = (message.method(), message.call_id()) else {
            return Vec::new();
        };
        match (self.outage, method) {
            (Some(Outage::Silence), _) => return Vec::new(),
            (Some(Outage::Everything), b"OPTIONS") => {
                return respond(&message, 503, 0).into_iter().collect();
            }
            _ => {}
        }
        match method {
            b"INVITE" => self.invite(call_id, bytes, rng),
            b"ACK" => {
                if let Some(leg) = self.legs.get_mut(call_id) {
                    leg.acked = true;
                }
                Vec::new()
            }
            b"CANCEL" => self.cancel(call_id, &message),
            b"BYE" => {
                if let Some(leg) = self.legs.get_mut(call_id) {
                    leg.over = true;
                }
                respond(&message, 200, 0).into_iter().collect()
            }
            _ => respond(&message, 200, 0).into_iter().collect(),
        }
    }

    fn invite(&mut self, call_id: &[u8], bytes: &[u8], rng: &mut Rng) -> Vec<Sends> {
        if let Some(leg) = self.legs.get(call_id) {
            let bytes = leg.last.clone();
            return if bytes.is_empty() { Vec::new() } else { vec![Sends { after_ms: 0, bytes }] };
        }
        let plan = match rng.between(0, 99) {
            _ if self.outage.is_some() => Plan::Refuse(503),
            0..=44 => Plan::Answer {
                ring_ms: rng.between(200, 6_000),
                hang_up_ms: rng.chance(300).then(|| rng.between(300, 3_000)),
            },
            45..=64 => Plan::Refuse(486),
            65..=84 => Plan::Ring,
            85..=89 => Plan::Refuse(503),
            90..=93 => Plan::Refuse(404),
            94..=97 => Plan::Refuse(480),
            _ => Plan::Silent,
        };
        let mut leg =
            Leg { invite: bytes.to_vec(), last: Vec::new(), acked: false, over: false, plan };
        let Ok(message) = Message::parse(bytes) else {
            return Vec::new();
        };
        let mut sends = Vec::new();
        if plan != Plan::Silent {
            sends.extend(respond(&message, 100, 0));
        }
        match plan {
            Plan::Answer { ring_ms, .. } => {
                sends.extend(respond(&message, 180, 100));
                sends.extend(answer(&message, ring_ms));
            }
            Plan::Refuse(status) => sends.extend(respond(&message, status, 300)),
            Plan::Ring => sends.extend(respond(&message, 180, 150)),
            Plan::Silent => {}
        }
        if let Some(last) = sends.last() {
            leg.last.clone_from(&last.bytes);
        }
        self.legs.insert(call_id.to_vec(), leg);
        sends
    }

    fn cancel(&mut self, call_id: &[u8], message: &Message<'_>) -> Vec<Sends> {
        let Some(leg) = self.legs.get_mut(call_id) else {
            return Vec::new();
        };
        let mut sends: Vec<_> = respond(message, 200, 0).into_iter().collect();
        if leg.plan == Plan::Ring && !leg.over {
            leg.over = true;
            if let Ok(invite) = Message::parse(&leg.invite) {
                sends.extend(respond(&invite, 487, 20));
            }
            if let Some(last) = sends.last() {
                leg.last.clone_from(&last.bytes);
            }
        }
        sends
    }

    /// Whether a 200 still needs sending again: nobody has acknowledged it.
    pub(crate) fn retransmits(&self, call_id: &[u8]) -> Option<Vec<u8>> {
        let leg = self.legs.get(call_id)?;
        (matches!(leg.plan, Plan::Answer { .. }) && !leg.acked && !leg.over)
            .then(|| leg.last.clone())
    }

    /// Our BYE, if this leg hangs up by itself: after how long, and the bytes.
    pub(crate) fn hangs_up(&self, call_id: &[u8]) -> Option<Sends> {
        let leg = self.legs.get(call_id)?;
        let Plan::Answer { ring_ms, hang_up_ms: Some(talk_ms) } = leg.plan else {
            return None;
        };
        let invite = Message::parse(&leg.invite).ok()?;
        let from = text(invite.header("To")?);
        let to = text(invite.header("From")?);
        let bytes = RequestBuilder::new("BYE", invite.contact_uri()?)
            .header("Via", format!("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKbye{ring_ms}"))
            .header("Max-Forwards", "70")
            .header("From", format!("{from};tag=carrier"))
            .header("To", to)
            .header("Call-ID", text(call_id))
            .header("CSeq", "1 BYE")
            .build();
        Some(Sends { after_ms: ring_ms + talk_ms, bytes })
    }
}

fn respond(request: &Message<'_>, status: u16, after_ms: u64) -> Option<Sends> {
    let bytes = ResponseBuilder::new(request, status, "Simulated", "carrier", None)
        .ok()?
        .header("Contact", "<sip:carrier@10.0.0.1:5060>")
        .build();
    Some(Sends { after_ms, bytes })
}

fn answer(request: &Message<'_>, after_ms: u64) -> Option<Sends> {
    let bytes = ResponseBuilder::new(request, 200, "OK", "carrier", None)
        .ok()?
        .header("Contact", "<sip:carrier@10.0.0.1:5060>")
        .body("application/sdp", SDP);
    Some(Sends { after_ms, bytes })
}
