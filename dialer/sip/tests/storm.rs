//! Random far ends, drivers and networks: nothing panics, every call ends exactly once, every 2xx
//! is acknowledged, no INVITE leaves late, nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a base for the clock, calls without a gate"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dialer_sip::wire::{Message, RequestBuilder, ResponseBuilder};
use dialer_sip::{
    CallId, Config, Credentials, Endpoint, Event, Invite, Timers, Transmit, TransmitKind,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Act {
    Place {
        credentials: bool,
        ring: u64,
        not_after: u64,
    },
    Cancel(usize),
    Bye(usize),
    Pass(u64),
    Fail,
    /// Answer the n-th request sent, with a change of one byte where asked.
    Respond {
        to: usize,
        status: u16,
        tag: u8,
        flip: Option<(usize, u8)>,
    },
    Request {
        of: usize,
        method: usize,
        tag: u8,
        cseq: u32,
    },
    Noise(Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    let status = prop_oneof![
        4 => Just(100_u16), 4 => Just(180), 4 => Just(200), 2 => Just(401), 2 => Just(407), 2 => Just(487),
        2 => Just(486), 1 => 100_u16..700,
    ];
    prop_oneof![
        3 => (any::<bool>(), 1_u64..40_000, 0_u64..3_000)
            .prop_map(|(credentials, ring, not_after)| Act::Place { credentials, ring, not_after }),
        1 => any::<usize>().prop_map(Act::Cancel),
        1 => any::<usize>().prop_map(Act::Bye),
        4 => prop_oneof![0_u64..600, 0_u64..40_000].prop_map(Act::Pass),
        1 => Just(Act::Fail),
        8 => (any::<usize>(), status, 0_u8..3, prop::option::weighted(0.1, (any::<usize>(), any::<u8>())))
            .prop_map(|(to, status, tag, flip)| Act::Respond { to, status, tag, flip }),
        3 => (any::<usize>(), 0_usize..8, 0_u8..3, 0_u32..4)
            .prop_map(|(of, method, tag, cseq)| Act::Request { of, method, tag, cseq }),
        1 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Act::Noise),
    ]
}

const METHODS: [&str; 8] = ["BYE", "INVITE", "ACK", "OPTIONS", "INFO", "CANCEL", "UPDATE", "FROB"];
const TRUNK: &str = "192.0.2.1:5060";

#[derive(Default)]
struct Fate {
    first: Option<Vec<u8>>,
    confirmed: u32,
    over: u32,
}

struct World {
    endpoint: Endpoint,
    now: Instant,
    sent: Vec<Transmit>,
    calls: Vec<CallId>,
    fates: BTreeMap<CallId, Fate>,
    acks: usize,
}

impl World {
    fn new() -> Self {
        let config = Config {
            advertised: "198.51.100.7:5080".parse().unwrap(),
            user_agent: String::new(),
            timers: Timers::default(),
            max_calls: 3,
        };
        Self {
            endpoint: Endpoint::new(config, [1; 32]),
            now: Instant::now(),
            sent: Vec::new(),
            calls: Vec::new(),
            fates: BTreeMap::new(),
            acks: 0,
        }
    }

    fn place(&mut self, credentials: bool, ring: u64, not_after: u64) {
        let word = || Credentials { username: "a".to_owned(), password: "b".to_owned() };
        let invite = Invite {
            destination: TRUNK.parse().unwrap(),
            request_uri: "sip:1@192.0.2.1".to_owned(),
            from_uri: "sip:2@198.51.100.7".to_owned(),
            from_display: String::new(),
            to_uri: "sip:1@192.0.2.1".to_owned(),
            call_id: format!("call-{}", self.calls.len()),
            body: b"v=0\r\n".to_vec(),
            extra_headers: Vec::new(),
            credentials: credentials.then(word),
            ring_timeout: Duration::from_millis(ring),
            not_after: self.now + Duration::from_millis(not_after),
        };
        if let Ok(call) = self.endpoint.invite(invite, self.now) {
            self.calls.push(call);
            assert!(self.fates.insert(call, Fate::default()).is_none(), "a handle is used twice");
        }
        assert!(self.endpoint.live_calls() <= 3);
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            if transmit.kind == TransmitKind::Ack {
                self.acks += 1;
            }
            let late = transmit.send_before.is_some_and(|limit| self.now > limit);
            assert!(!late, "queued after not_after");
            Message::parse(&transmit.payload).unwrap().base().unwrap();
            if let Some(fate) = transmit.call.and_then(|call| self.fates.get_mut(&call)) {
                match transmit.kind {
                    TransmitKind::InviteFirst => {
                        assert!(fate.first.replace(transmit.payload.clone()).is_none())
                    }
                    TransmitKind::InviteResend => fate.first = Some(transmit.payload.clone()),
                    TransmitKind::InviteRetransmit => {
                        assert_eq!(fate.first.as_ref(), Some(&transmit.payload))
                    }
                    _ => {}
                }
            }
            self.sent.push(transmit);
        }
        while let Some(event) = self.endpoint.poll_event() {
            let (call, over) = match &event {
                Event::Trying { call } | Event::Early { call, .. } => (*call, false),
                Event::Confirmed { call, .. } => {
                    self.fates.get_mut(call).unwrap().confirmed += 1;
                    (*call, false)
                }
                Event::NotSent { call } => (*call, true),
                Event::Ended(ended) => (ended.call, true),
                // Nobody asks a trunk for a sign of life here.
                Event::Probed { .. } => continue,
            };
            let fate = self.fates.get_mut(&call).unwrap();
            assert_eq!(fate.over, 0, "an event after the end: {event:?}");
            fate.over += u32::from(over);
            assert!(fate.confirmed <= 1);
        }
    }

    fn pass(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(due) = self.endpoint.poll_timeout().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.endpoint.handle_timeout(self.now);
            self.drain();
            assert!(self.endpoint.poll_timeout().is_none_or(|next| next > self.now));
        }
        self.now = until;
    }

    fn respond(&mut self, to: usize, status: u16, tag: u8, flip: Option<(usize, u8)>) {
        let requests: Vec<_> =
            self.sent.iter().filter(|sent| sent.kind != TransmitKind::Response).collect();
        let Some(request) = requests.get(to % requests.len().max(1)) else {
            return;
        };
        let message = Message::parse(&request.payload).unwrap();
        let of_invite = message.method() == Some(b"INVITE");
        let mut bytes =
            ResponseBuilder::new(&message, status, "X", &format!("far{tag}"), None).unwrap();
        if matches!(status, 401 | 407) {
            let name = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
            let stale = if tag == 2 { ",stale=true" } else { "" };
            bytes = bytes
                .header(name, format!("Digest realm=\"r{tag}\",nonce=\"n\",qop=\"auth\"{stale}"));
        }
        let mut bytes =
            bytes.header("Contact", "<sip:x@192.0.2.1>").body("application/sdp", b"v=0\r\n");
        if let Some((at, byte)) = flip {
            let at = at % bytes.len();
            bytes[at] ^= byte;
        }
        let acks = self.acks;
        let intact = flip.is_none();
        let call = request.call.unwrap();
        self.endpoint.handle_datagram(TRUNK.parse().unwrap(), &bytes, self.now);
        let live = self.endpoint.live_calls();
        self.drain();
        let answered = intact && of_invite && (200..300).contains(&status);
        // The fate's last INVITE: a 2xx to it must be acknowledged while its call goes on.
        let current = self.fates[&call].first.as_deref() == Some(&self.sent_invite(call)[..]);
        if answered
            && current
            && self.fates[&call].over == 0
            && live > 0
            && self.is_latest(call, to)
        {
            assert!(self.acks > acks, "a 2xx without ACK");
        }
    }

    fn sent_invite(&self, call: CallId) -> Vec<u8> {
        let mut invites = self.sent.iter().filter(|sent| {
            sent.call == Some(call)
                && matches!(sent.kind, TransmitKind::InviteFirst | TransmitKind::InviteResend)
        });
        invites.next_back().map(|sent| sent.payload.clone()).unwrap_or_default()
    }

    /// Whether the `to`-th request has the branch of the call's latest INVITE.
    fn is_latest(&self, call: CallId, to: usize) -> bool {
        let requests: Vec<_> =
            self.sent.iter().filter(|sent| sent.kind != TransmitKind::Response).collect();
        let branch = |bytes: &[u8]| Message::parse(bytes).unwrap().branch().map(<[u8]>::to_vec);
        branch(&requests[to % requests.len()].payload) == branch(&self.sent_invite(call))
    }

    fn request(&mut self, of: usize, method: usize, tag: u8, cseq: u32) {
        let invites: Vec<_> =
            self.sent.iter().filter(|sent| sent.kind == TransmitKind::InviteFirst).collect();
        let Some(invite) = invites.get(of % invites.len().max(1)) else {
            return;
        };
        let invite = Message::parse(&invite.payload).unwrap();
        let to = [invite.header("To").unwrap(), format!(";tag=far{tag}").as_bytes()].concat();
        let bytes = RequestBuilder::new(METHODS[method], b"sip:198.51.100.7:5080")
            .header("Via", format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{of}{cseq}"))
            .header("From", to)
            .header("To", invite.header("From").unwrap())
            .header("Call-ID", invite.call_id().unwrap())
            .header("CSeq", format!("{cseq} {}", METHODS[method]))
            .build();
        self.endpoint.handle_datagram(TRUNK.parse().unwrap(), &bytes, self.now);
    }

    fn act(&mut self, act: Act) {
        let pick = |calls: &[CallId], n: usize| calls.get(n % calls.len().max(1)).copied();
        match act {
            Act::Place { credentials, ring, not_after } => self.place(credentials, ring, not_after),
            Act::Cancel(n) => {
                if let Some(call) = pick(&self.calls, n) {
                    self.endpoint.cancel(call, "SIP;cause=487", self.now);
                }
            }
            Act::Bye(n) => {
                if let Some(call) = pick(&self.calls, n) {
                    self.endpoint.bye(call, self.now);
                }
            }
            Act::Pass(ms) => self.pass(Duration::from_millis(ms)),
            Act::Fail => self.endpoint.handle_transport_error(TRUNK.parse().unwrap(), self.now),
            Act::Respond { to, status, tag, flip } => self.respond(to, status, tag, flip),
            Act::Request { of, method, tag, cseq } => self.request(of, method, tag, cseq),
            Act::Noise(bytes) => {
                self.endpoint.handle_datagram(TRUNK.parse().unwrap(), &bytes, self.now)
            }
        }
        self.drain();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000,
        failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_each_call_ends_once_and_nothing_is_left(acts in prop::collection::vec(act(), 0..60)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
        }
        for call in world.calls.clone() {
            world.endpoint.bye(call, world.now);
        }
        world.drain();
        world.pass(Duration::from_secs(300));
        prop_assert_eq!(world.endpoint.live_calls(), 0);
        prop_assert!(world.endpoint.is_idle(), "{:?}", world.endpoint);
        prop_assert_eq!(world.endpoint.poll_timeout(), None);
        for (call, fate) in &world.fates {
            prop_assert_eq!(fate.over, 1, "{} ended {} times", call, fate.over);
        }
    }
}
