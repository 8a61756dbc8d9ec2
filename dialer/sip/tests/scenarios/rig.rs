//! The two sides: an endpoint, and a far end that says what the test tells it to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dialer_sip::wire::{Message, RequestBuilder, ResponseBuilder};
use dialer_sip::{
    CallId, Config, Credentials, Ended, Endpoint, Event, Invite, Timers, TransmitKind,
};

pub(crate) const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\n";
pub(crate) const TRUNK: &str = "192.0.2.1:5060";
pub(crate) const SECONDS_32: Duration = Duration::from_secs(32);

#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Since the start of the test.
    pub(crate) at: Duration,
    pub(crate) kind: TransmitKind,
    pub(crate) bytes: Vec<u8>,
    pub(crate) to: SocketAddr,
    pub(crate) send_before: Option<Instant>,
}

impl Sent {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        String::from_utf8(self.message().header(name).unwrap_or_default().to_vec()).unwrap()
    }
}

pub(crate) struct Rig {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) sent: VecDeque<Sent>,
    pub(crate) events: VecDeque<Event>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "a base for the test's clock, and calls without a gate"
)]
impl Rig {
    pub(crate) fn new() -> Self {
        let config = Config {
            advertised: "198.51.100.7:5080".parse().unwrap(),
            user_agent: "test".to_owned(),
            timers: Timers::default(),
            max_calls: 4,
        };
        let now = Instant::now();
        Self {
            endpoint: Endpoint::new(config, [7; 32]),
            now,
            start: now,
            sent: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn trunk() -> SocketAddr {
        TRUNK.parse().unwrap()
    }

    pub(crate) fn plain(&self) -> Invite {
        Invite {
            destination: Self::trunk(),
            request_uri: "sip:+15550100@192.0.2.1".to_owned(),
            from_uri: "sip:+15550199@198.51.100.7".to_owned(),
            from_display: "Acme \"A\"".to_owned(),
            to_uri: "sip:+15550100@192.0.2.1".to_owned(),
            call_id: "placement-1".to_owned(),
            body: SDP.to_vec(),
            extra_headers: vec![(
                "P-Asserted-Identity".to_owned(),
                "<sip:+15550199@x.example>".to_owned(),
            )],
            credentials: None,
            ring_timeout: Duration::from_secs(25),
            not_after: self.now + Duration::from_secs(5),
        }
    }

    pub(crate) fn with_credentials(&self) -> Invite {
        let credentials =
            Credentials { username: "acme".to_owned(), password: "secret".to_owned() };
        Invite { credentials: Some(credentials), ..self.plain() }
    }

    /// Places a call and gives its INVITE.
    pub(crate) fn place(&mut self, invite: Invite) -> (CallId, Sent) {
        let call = self.endpoint.invite(invite, self.now).unwrap();
        self.drain();
        (call, self.take(TransmitKind::InviteFirst))
    }

    pub(crate) fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.sent.push_back(Sent {
                at: self.now - self.start,
                kind: transmit.kind,
                bytes: transmit.payload,
                to: transmit.destination,
                send_before: transmit.send_before,
            });
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.events.push_back(event);
        }
    }

    /// The next datagram sent, which must be of this kind.
    pub(crate) fn take(&mut self, kind: TransmitKind) -> Sent {
        let sent =
            self.sent.pop_front().unwrap_or_else(|| panic!("nothing sent, {kind:?} expected"));
        assert_eq!(sent.kind, kind, "{}", sent.text());
        sent
    }

    pub(crate) fn nothing_sent(&self) {
        assert!(self.sent.is_empty(), "{:?}", self.sent.iter().map(Sent::text).collect::<Vec<_>>());
    }

    pub(crate) fn event(&mut self) -> Event {
        self.events.pop_front().expect("an event")
    }

    pub(crate) fn ended(&mut self) -> Ended {
        match self.event() {
            Event::Ended(ended) => *ended,
            other => panic!("{other:?} instead of the end"),
        }
    }

    /// Lets time pass, every timer firing exactly when it is due.
    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(due) = self.endpoint.poll_timeout().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.endpoint.handle_timeout(self.now);
            self.drain();
            assert!(
                self.endpoint.poll_timeout().is_none_or(|next| next > self.now),
                "a timer stays due"
            );
        }
        self.now = until;
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.endpoint.handle_datagram(Self::trunk(), bytes, self.now);
        self.drain();
    }

    /// The far end answers `request`.
    pub(crate) fn respond(
        &mut self,
        request: &Sent,
        status: u16,
        tag: &str,
        headers: &[(&str, &str)],
    ) {
        let bytes = response(request, status, tag, headers);
        self.receive(&bytes);
    }

    /// Rings, answers; the ACK and the events are checked and taken.
    pub(crate) fn answer(&mut self, invite: &Sent, tag: &str) -> Sent {
        self.respond(invite, 180, tag, &[]);
        assert!(matches!(self.event(), Event::Early { code: 180, .. }));
        self.respond(invite, 200, tag, &[]);
        assert!(matches!(self.event(), Event::Confirmed { sdp: Some(sdp), .. } if sdp == SDP));
        self.take(TransmitKind::Ack)
    }

    /// A request of the far end in the dialog that `invite` and `tag` made.
    pub(crate) fn request(
        &mut self,
        invite: &Sent,
        tag: &str,
        method: &str,
        cseq: u32,
        headers: &[(&str, &str)],
    ) {
        let bytes = in_dialog(invite, tag, method, cseq, headers);
        self.receive(&bytes);
    }

    /// No call is left after every lingering transaction has had its time, and none is missed.
    pub(crate) fn finish(mut self) {
        assert_eq!(self.endpoint.live_calls(), 0);
        self.nothing_sent();
        assert!(self.events.is_empty(), "{:?}", self.events);
        self.advance(SECONDS_32 * 3);
        self.sent.clear();
        assert!(self.events.is_empty(), "{:?}", self.events);
        assert!(self.endpoint.is_idle(), "{:?}", self.endpoint);
        assert_eq!(self.endpoint.poll_timeout(), None);
    }
}

/// A response as the trunk would send it; 18x and 2xx carry Contact and SDP.
pub(crate) fn response(
    request: &Sent,
    status: u16,
    tag: &str,
    headers: &[(&str, &str)],
) -> Vec<u8> {
    let message = request.message();
    let source = "198.51.100.7:5080".parse().unwrap();
    let mut builder =
        ResponseBuilder::new(&message, status, "Whatever", tag, Some(source)).unwrap();
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    if (200..300).contains(&status) && message.method() == Some(b"INVITE") {
        if !headers.iter().any(|(name, _)| *name == "Contact") {
            builder = builder.header("Contact", "<sip:gw@192.0.2.1>");
        }
        return builder.body("application/sdp", SDP);
    }
    builder.build()
}

pub(crate) fn in_dialog(
    invite: &Sent,
    tag: &str,
    method: &str,
    cseq: u32,
    headers: &[(&str, &str)],
) -> Vec<u8> {
    let mut builder = RequestBuilder::new(method, b"sip:198.51.100.7:5080")
        .header("Via", format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKfar{cseq}{method};rport"))
        .header("Max-Forwards", "70")
        .header("From", format!("{};tag={tag}", invite.header("To")))
        .header("To", invite.header("From"))
        .header("Call-ID", invite.header("Call-ID"))
        .header("CSeq", format!("{cseq} {method}"));
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.build()
}
