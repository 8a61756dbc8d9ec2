//! The carrier's side of the protocol, without IO: datagrams and times in, datagrams out.
//!
//! RFC 3261 as a user agent server over UDP: INVITE retransmissions are answered with the last
//! response, final responses are repeated until the ACK, CANCEL gives 487, BYE either way.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
};

use dialer_sip::wire::{Message, RequestBuilder, ResponseBuilder, reason_phrase, text};
use serde::Serialize;

use super::{
    auth::Auth,
    behaviour::{Behaviour, Plan, Plans},
};

/// Timer T1 of RFC 3261, milliseconds.
const T1: u64 = 500;
/// Timer T2.
const T2: u64 = 4000;
/// How long responses are repeated and calls remembered after their end: 64 T1.
const PATIENCE: u64 = 64 * T1;
/// A caller who never hangs up is hung up on, milliseconds after the answer.
const LONGEST_TALK: u64 = 120_000;

/// How the carrier behaves.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) local: SocketAddr,
    pub(super) plans: Plans,
    pub(super) auth: Option<String>,
    pub(super) fail_all: Option<u16>,
    pub(super) options: u16,
    pub(super) retry_after: Option<u32>,
}

/// Where RTP comes in.
pub(super) trait Media {
    /// The address for SDP.
    fn address(&self) -> IpAddr;
    /// A new port; `None` if there is none.
    fn open(&mut self) -> Option<u16>;
    /// Done with it.
    fn close(&mut self, port: u16);
    /// Packets received per port, sorted.
    fn counts(&self) -> Vec<u64>;
}

/// What the carrier says when it stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// Calls (distinct INVITE transactions that were not asked to authenticate).
    invites: u64,
    /// INVITE datagrams beyond those.
    repeated: u64,
    answered: u64,
    cancelled: u64,
    /// Answers that were never acknowledged.
    unacknowledged: u64,
    /// RTP packets per answered call.
    rtp_min: u64,
    rtp_median: u64,
    rtp_max: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing final was said.
    Open,
    /// A final response was sent and not acknowledged.
    Final { status: u16, since: u64, wait: u64 },
    /// Acknowledged; a 2xx makes it a call that goes on.
    Confirmed { status: u16 },
    /// We hung up and wait for the 200 of it.
    Leaving { since: u64, wait: u64 },
    /// Over, remembered for what comes late.
    Over,
}

#[derive(Debug)]
struct Call {
    peer: SocketAddr,
    invite: Vec<u8>,
    branch: Vec<u8>,
    plan: Plan,
    state: State,
    /// The last response to the INVITE, sent again when the INVITE is.
    response: Vec<u8>,
    bye: Vec<u8>,
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Ring,
    Decide,
    Repeat,
    HangUp,
    Forget,
}

/// The carrier.
#[derive(Debug)]
pub(super) struct Carrier {
    settings: Settings,
    auth: Option<Auth>,
    calls: HashMap<u64, Call>,
    by_call_id: HashMap<Vec<u8>, Vec<u64>>,
    called: HashMap<String, usize>,
    timers: BinaryHeap<Reverse<(u64, u64, Timer)>>,
    out: VecDeque<(SocketAddr, Vec<u8>)>,
    next: u64,
    invites: u64,
    repeated: u64,
    answered: u64,
    cancelled: u64,
    unacknowledged: u64,
}

impl Carrier {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            auth: settings.auth.as_deref().map(Auth::new),
            settings,
            calls: HashMap::new(),
            by_call_id: HashMap::new(),
            called: HashMap::new(),
            timers: BinaryHeap::new(),
            out: VecDeque::new(),
            next: 0,
            invites: 0,
            repeated: 0,
            answered: 0,
            cancelled: 0,
            unacknowledged: 0,
        }
    }

    pub(super) fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.out.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<u64> {
        self.timers.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn summary(&self, media: &impl Media) -> Summary {
        let counts = media.counts();
        Summary {
            invites: self.invites,
            repeated: self.repeated,
            answered: self.answered,
            cancelled: self.cancelled,
            unacknowledged: self.unacknowledged,
            rtp_min: counts.first().copied().unwrap_or(0),
            rtp_median: counts.get(counts.len() / 2).copied().unwrap_or(0),
            rtp_max: counts.last().copied().unwrap_or(0),
        }
    }

    pub(super) fn handle_datagram(
        &mut self,
        datagram: &[u8],
        peer: SocketAddr,
        media: &mut impl Media,
        now: u64,
    ) {
        let Ok(message) = Message::parse(datagram) else { return };
        if message.base().is_err() {
            return;
        }
        match message.method() {
            None => self.response(&message),
            Some(b"INVITE") if message.to_tag().is_some() => {
                // No call is changed once it is made.
                self.reply(&message, peer, 488, "x");
            }
            Some(b"INVITE") => self.invite(datagram, &message, peer, media, now),
            Some(b"ACK") => self.ack(&message, now),
            Some(b"CANCEL") => self.cancel(&message, peer, now),
            Some(b"BYE") => self.bye(&message, peer, media, now),
            Some(b"OPTIONS") => self.reply(&message, peer, self.settings.options, "o"),
            Some(_) => self.reply(&message, peer, 501, "x"),
        }
    }

    pub(super) fn handle_timeout(&mut self, media: &mut impl Media, now: u64) {
        while self.poll_timeout().is_some_and(|at| at <= now) {
            let Some(Reverse((_, id, timer))) = self.timers.pop() else { return };
            match timer {
                Timer::Ring => self.ring(id),
                Timer::Decide => self.decide(id, media, now),
                Timer::Repeat => self.repeat(id, media, now),
                Timer::HangUp => self.hang_up(id, media, now),
                Timer::Forget => self.forget(id),
            }
        }
    }

    fn invite(
        &mut self,
        datagram: &[u8],
        message: &Message<'_>,
        peer: SocketAddr,
        media: &impl Media,
        now: u64,
    ) {
        if let Some(id) = self.transaction(message) {
            self.repeated += 1;
            let again = self.calls.get(&id).map(|call| call.response.clone());
            self.out.extend(again.filter(|bytes| !bytes.is_empty()).map(|bytes| (peer, bytes)));
            return;
        }
        self.next += 1;
        let id = self.next;
        let number = user_of(message.request_uri().unwrap_or_default());
        let allowed = self.authorized(message);
        let nth = self.called.get(&number).copied().unwrap_or(0);
        let call = Call {
            peer,
            invite: datagram.to_vec(),
            branch: message.branch().unwrap_or_default().to_vec(),
            plan: self.settings.plans.plan(&number, nth),
            state: State::Open,
            response: Vec::new(),
            bye: Vec::new(),
            port: None,
        };
        let ring_ms = call.plan.ring_ms;
        let silent = call.plan.behaviour == Behaviour::Trying;
        self.calls.insert(id, call);
        let call_id = message.call_id().unwrap_or_default().to_vec();
        self.by_call_id.entry(call_id).or_default().push(id);
        if !allowed {
            self.finish(id, 407, media, now);
            return;
        }
        self.invites += 1;
        *self.called.entry(number).or_default() += 1;
        self.say(id, 100);
        if let Some(status) = self.settings.fail_all {
            self.finish(id, status, media, now);
        } else if !silent {
            self.timers.push(Reverse((now + ring_ms / 4, id, Timer::Ring)));
            self.timers.push(Reverse((now + ring_ms, id, Timer::Decide)));
        }
    }

    fn authorized(&self, message: &Message<'_>) -> bool {
        self.auth.as_ref().is_none_or(|auth| {
            message.all("Proxy-Authorization").any(|value| {
                auth.accepts("INVITE", &text(value), |nonce| nonce.starts_with("nonce-"))
            })
        })
    }

    /// The INVITE transaction a request belongs to: same Call-ID and branch.
    fn transaction(&self, message: &Message<'_>) -> Option<u64> {
        let ids = self.by_call_id.get(message.call_id()?)?;
        let branch = message.branch()?;
        ids.iter().copied().find(|id| self.calls.get(id).is_some_and(|call| call.branch == branch))
    }

    /// The call a request inside it belongs to: the last one under its Call-ID.
    fn dialog(&self, message: &Message<'_>) -> Option<u64> {
        self.by_call_id.get(message.call_id()?)?.last().copied()
    }

    fn ring(&mut self, id: u64) {
        let Some(call) = self.calls.get(&id).filter(|call| call.state == State::Open) else {
            return;
        };
        match call.plan.behaviour {
            Behaviour::Answer | Behaviour::Busy | Behaviour::Decline if call.plan.other_way => {
                self.say(id, 183);
            }
            Behaviour::Answer | Behaviour::Busy | Behaviour::Decline | Behaviour::NoAnswer => {
                self.say(id, 180);
            }
            _ => {}
        }
    }

    fn decide(&mut self, id: u64, media: &mut impl Media, now: u64) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.state == State::Open) else {
            return;
        };
        let status = match call.plan.behaviour {
            Behaviour::NoAnswer | Behaviour::Trying => return,
            Behaviour::Answer => 200,
            Behaviour::Busy => 486,
            Behaviour::Unavailable => 480,
            Behaviour::Decline => 603,
            Behaviour::Invalid => 404,
            Behaviour::Congestion => 503,
            Behaviour::Fail if call.plan.other_way => 404,
            Behaviour::Fail => 503,
        };
        if status == 200 {
            call.port = media.open();
        }
        let status = if status == 200 && call.port.is_none() { 503 } else { status };
        self.answered += u64::from(status == 200);
        self.finish(id, status, media, now);
    }

    /// Sends a provisional response.
    fn say(&mut self, id: u64, status: u16) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(builder) = respond(call, status, id, self.settings.local) else { return };
        call.response = builder.build();
        self.out.push_back((call.peer, call.response.clone()));
    }

    /// Sends a final response and repeats it until it is acknowledged.
    fn finish(&mut self, id: u64, status: u16, media: &impl Media, now: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(mut builder) = respond(call, status, id, self.settings.local) else { return };
        if status == 407 {
            let nonce = format!("nonce-{id}");
            builder = builder.header("Proxy-Authenticate", Auth::challenge(&nonce));
        }
        if let Some(seconds) = self.settings.retry_after.filter(|_| status == 503) {
            builder = builder.header("Retry-After", seconds.to_string());
        }
        call.response = match call.port.filter(|_| status == 200) {
            Some(port) => {
                builder.body("application/sdp", sdp(media.address(), port, id).as_bytes())
            }
            None => builder.build(),
        };
        call.state = State::Final { status, since: now, wait: T1 };
        self.out.push_back((call.peer, call.response.clone()));
        self.timers.push(Reverse((now + T1, id, Timer::Repeat)));
    }

    fn ack(&mut self, message: &Message<'_>, now: u64) {
        let Some(id) = self.transaction(message).or_else(|| self.dialog(message)) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let State::Final { status, .. } = call.state else { return };
        if status == 200 {
            call.state = State::Confirmed { status };
            let talk = call.plan.talk_ms.unwrap_or(LONGEST_TALK);
            self.timers.push(Reverse((now + talk, id, Timer::HangUp)));
        } else {
            call.state = State::Over;
            self.timers.push(Reverse((now + PATIENCE, id, Timer::Forget)));
        }
    }

    fn cancel(&mut self, message: &Message<'_>, peer: SocketAddr, now: u64) {
        let Some(id) = self.transaction(message) else {
            self.reply(message, peer, 481, "x");
            return;
        };
        self.reply(message, peer, 200, &tag(id));
        if self.calls.get(&id).is_some_and(|call| call.state == State::Open) {
            self.cancelled += 1;
            self.finish(id, 487, &NoMedia, now);
        }
    }

    fn bye(&mut self, message: &Message<'_>, peer: SocketAddr, media: &mut impl Media, now: u64) {
        let Some(id) = self.dialog(message) else {
            self.reply(message, peer, 481, "x");
            return;
        };
        self.reply(message, peer, 200, &tag(id));
        self.end(id, media, now);
    }

    fn end(&mut self, id: u64, media: &mut impl Media, now: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(port) = call.port.take() {
            media.close(port);
        }
        if call.state != State::Over {
            call.state = State::Over;
            self.timers.push(Reverse((now + PATIENCE, id, Timer::Forget)));
        }
    }

    fn hang_up(&mut self, id: u64, media: &mut impl Media, now: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if !matches!(call.state, State::Confirmed { status: 200 }) {
            return;
        }
        if let Some(port) = call.port.take() {
            media.close(port);
        }
        call.bye = bye(call, id, self.settings.local).unwrap_or_default();
        call.state = State::Leaving { since: now, wait: T1 };
        self.out.push_back((call.peer, call.bye.clone()));
        self.timers.push(Reverse((now + T1, id, Timer::Repeat)));
    }

    /// The answer to our BYE, the only request we send.
    fn response(&mut self, message: &Message<'_>) {
        let Some(id) = self.dialog(message) else { return };
        if let Some(call) = self.calls.get_mut(&id)
            && matches!(call.state, State::Leaving { .. })
            && message.status().is_some_and(|status| status >= 200)
        {
            // The repeat timer finds it over and sees to its being forgotten.
            call.state = State::Over;
        }
    }

    fn repeat(&mut self, id: u64, media: &mut impl Media, now: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (since, wait, bytes) = match &mut call.state {
            State::Final { since, wait, .. } => (*since, wait, &call.response),
            State::Leaving { since, wait } => (*since, wait, &call.bye),
            State::Over => {
                self.timers.push(Reverse((now + PATIENCE, id, Timer::Forget)));
                return;
            }
            State::Open | State::Confirmed { .. } => return,
        };
        if now >= since + PATIENCE {
            self.unacknowledged +=
                u64::from(matches!(call.state, State::Final { status: 200, .. }));
            self.end(id, media, now);
            return;
        }
        *wait = (*wait * 2).min(T2);
        let next = now + *wait;
        self.out.push_back((call.peer, bytes.clone()));
        self.timers.push(Reverse((next, id, Timer::Repeat)));
    }

    fn forget(&mut self, id: u64) {
        let Some(call) = self.calls.remove(&id) else { return };
        let Ok(message) = Message::parse(&call.invite) else { return };
        let call_id = message.call_id().unwrap_or_default();
        if let Some(ids) = self.by_call_id.get_mut(call_id) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_call_id.remove(call_id);
            }
        }
    }

    /// A response that needs no memory.
    fn reply(&mut self, message: &Message<'_>, peer: SocketAddr, status: u16, tag: &str) {
        let phrase = reason_phrase(status);
        if let Ok(mut builder) = ResponseBuilder::new(message, status, phrase, tag, Some(peer)) {
            if let Some(seconds) = self.settings.retry_after.filter(|_| status == 503) {
                builder = builder.header("Retry-After", seconds.to_string());
            }
            self.out.push_back((peer, builder.build()));
        }
    }
}

/// For responses without SDP.
struct NoMedia;

impl Media for NoMedia {
    fn address(&self) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
    }
    fn open(&mut self) -> Option<u16> {
        None
    }
    fn close(&mut self, _: u16) {}
    fn counts(&self) -> Vec<u64> {
        Vec::new()
    }
}

fn tag(id: u64) -> String {
    format!("carrier-{id}")
}

fn respond(call: &Call, status: u16, id: u64, local: SocketAddr) -> Option<ResponseBuilder> {
    let message = Message::parse(&call.invite).ok()?;
    let phrase = reason_phrase(status);
    let builder = ResponseBuilder::new(&message, status, phrase, &tag(id), Some(call.peer)).ok()?;
    let contact = (101..300).contains(&status).then(|| format!("<sip:carrier@{local}>"));
    Some(contact.into_iter().fold(builder, |builder, contact| builder.header("Contact", contact)))
}

fn bye(call: &Call, id: u64, local: SocketAddr) -> Option<Vec<u8>> {
    let invite = Message::parse(&call.invite).ok()?;
    let from = format!("{};tag={}", text(invite.header("To")?), tag(id));
    let mut builder = RequestBuilder::new("BYE", invite.contact_uri()?)
        .header("Via", format!("SIP/2.0/UDP {local};branch=z9hG4bKcarrier{id}"))
        .header("Max-Forwards", "70");
    for route in invite.all("Record-Route") {
        builder = builder.header("Route", route);
    }
    let builder = builder
        .header("From", from)
        .header("To", invite.header("From")?)
        .header("Call-ID", invite.call_id()?)
        .header("CSeq", "1 BYE");
    Some(builder.build())
}

fn sdp(address: IpAddr, port: u16, id: u64) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=carrier {id} 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\n\
         t=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// The user part of a Request-URI: the called number.
fn user_of(uri: &[u8]) -> String {
    let uri = text(uri);
    let rest = uri.split_once(':').map_or(uri.as_str(), |(_, rest)| rest);
    let user = rest.split_once('@').map_or(rest, |(user, _)| user);
    user.split(';').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
