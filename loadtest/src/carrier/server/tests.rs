use super::*;
use crate::checker::scan::{Scanned, scan};

struct Ports(Vec<u16>);

impl Media for Ports {
    fn address(&self) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
    }
    fn open(&mut self) -> Option<u16> {
        self.0.push(4000);
        Some(4000)
    }
    fn close(&mut self, port: u16) {
        self.0.retain(|open| *open != port);
    }
    fn counts(&self) -> Vec<u64> {
        vec![1, 5, 9]
    }
}

fn peer() -> SocketAddr {
    "127.0.0.1:5060".parse().unwrap()
}

struct Rig {
    carrier: Carrier,
    ports: Ports,
}

impl Rig {
    fn new(mix: &str) -> Self {
        Self::with(mix, |_| ())
    }

    fn with(mix: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            local: "127.0.0.1:5070".parse().unwrap(),
            plans: Plans {
                seed: 1,
                mix: mix.parse().unwrap(),
                ring: "1000".parse().unwrap(),
                talk: "800".parse().unwrap(),
                script: toml::from_str("").unwrap(),
            },
            auth: None,
            fail_all: None,
            options: 200,
            retry_after: None,
        };
        change(&mut settings);
        Self { carrier: Carrier::new(settings), ports: Ports(Vec::new()) }
    }

    fn send(&mut self, now: u64, raw: &str) -> Vec<Scanned> {
        self.carrier.handle_datagram(raw.as_bytes(), peer(), &mut self.ports, now);
        self.said()
    }

    fn wait(&mut self, now: u64) -> Vec<Scanned> {
        self.carrier.handle_timeout(&mut self.ports, now);
        self.said()
    }

    fn said(&mut self) -> Vec<Scanned> {
        std::iter::from_fn(|| self.carrier.poll_transmit())
            .map(|(to, raw)| {
                assert_eq!(to, peer());
                scan(&raw).unwrap()
            })
            .collect()
    }

    fn statuses(said: &[Scanned]) -> Vec<u16> {
        said.iter().map(|message| message.status).collect()
    }
}

fn request(method: &str, branch: &str, to_tag: &str, extra: &str) -> String {
    let cseq = if matches!(method, "ACK" | "CANCEL") { "1" } else { "2" };
    let cseq = if method == "INVITE" { "1" } else { cseq };
    format!(
        "{method} sip:+13055550123@127.0.0.1:5070 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:+1@h>;tag=f\r\nTo: <sip:+13055550123@h>{to_tag}\r\nCall-ID: c1\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:d@127.0.0.1:5060>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

#[test]
fn an_answered_call_rings_answers_until_acknowledged_and_ends_with_our_bye_or_theirs() {
    let mut rig = Rig::new("answer=1");
    let said = rig.send(0, &request("INVITE", "a", "", ""));
    assert_eq!(Rig::statuses(&said), [100]);
    let ringing = rig.wait(250);
    assert!(matches!(Rig::statuses(&ringing)[..], [180 | 183]));
    let answer = rig.wait(1000);
    assert_eq!(Rig::statuses(&answer), [200]);
    assert_eq!(rig.ports.0, [4000]);
    // Not acknowledged: 500 ms, then 1 s later, then 2 s.
    assert_eq!(Rig::statuses(&rig.wait(1500)), [200]);
    assert_eq!(rig.wait(2499).len(), 0);
    assert_eq!(Rig::statuses(&rig.wait(2500)), [200]);
    assert_eq!(rig.send(2600, &request("ACK", "b", ";tag=carrier-1", "")).len(), 0);
    assert_eq!(rig.wait(3000).len(), 0, "acknowledged: no more");
    let said = rig.send(3100, &request("BYE", "c", ";tag=carrier-1", ""));
    assert_eq!(Rig::statuses(&said), [200]);
    assert_eq!(rig.ports.0, [0; 0], "the RTP port is closed");
    assert_eq!(rig.wait(200_000).len(), 0, "and nothing more is said");
    assert!(rig.carrier.calls.is_empty() && rig.carrier.by_call_id.is_empty(), "and forgotten");
}

#[test]
fn the_far_end_hangs_up_by_itself_and_repeats_its_bye_until_answered() {
    let mut rig = Rig::with("answer=1", |settings| {
        settings.plans.script =
            toml::from_str("[numbers.\"+13055550123\"]\ncalls=[\"answer\"]\ntalk_ms=800").unwrap();
    });
    rig.send(0, &request("INVITE", "a", "", ""));
    rig.wait(1000);
    rig.send(1100, &request("ACK", "b", ";tag=carrier-1", ""));
    let bye = rig.wait(1900);
    assert_eq!((bye.len(), bye[0].method.as_str()), (1, "BYE"));
    assert_eq!(bye[0].to_tag.as_deref(), Some("f"));
    assert_eq!(rig.wait(2400)[0].method, "BYE");
    let ok = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKcarrier1\r\n\
        From: <sip:+13055550123@h>;tag=carrier-1\r\nTo: <sip:+1@h>;tag=f\r\nCall-ID: c1\r\n\
        CSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n";
    rig.send(2500, ok);
    assert_eq!(rig.wait(100_000).len(), 0);
    rig.wait(200_000);
    assert!(rig.carrier.calls.is_empty());
}

#[test]
fn a_repeated_invite_gets_the_last_response_and_is_no_second_call() {
    let mut rig = Rig::new("busy=1");
    rig.send(0, &request("INVITE", "a", "", ""));
    assert_eq!(Rig::statuses(&rig.send(500, &request("INVITE", "a", "", ""))), [100]);
    rig.wait(600);
    assert_eq!(Rig::statuses(&rig.wait(1000)), [486]);
    assert_eq!(Rig::statuses(&rig.send(1100, &request("INVITE", "a", "", ""))), [486]);
    rig.send(1200, &request("ACK", "a", ";tag=carrier-1", ""));
    assert_eq!(rig.wait(1600).len(), 0);
    let summary = rig.carrier.summary(&rig.ports);
    assert_eq!((summary.invites, summary.repeated, summary.answered), (1, 2, 0));
    assert_eq!((summary.rtp_min, summary.rtp_median, summary.rtp_max), (1, 5, 9));
}

#[test]
fn a_call_nobody_answers_rings_until_it_is_cancelled() {
    let mut rig = Rig::new("no_answer=1");
    rig.send(0, &request("INVITE", "a", "", ""));
    assert_eq!(Rig::statuses(&rig.wait(60_000)), [180]);
    let said = rig.send(60_001, &request("CANCEL", "a", "", ""));
    let found: Vec<_> = said.iter().map(|m| (m.status, m.cseq_method.as_str())).collect();
    assert_eq!(found, [(200, "CANCEL"), (487, "INVITE")]);
    assert_eq!(Rig::statuses(&rig.send(60_002, &request("CANCEL", "zz", "", ""))), [481]);
    assert_eq!(rig.carrier.summary(&rig.ports).cancelled, 1);
}

#[test]
fn a_cancel_that_comes_after_the_answer_changes_nothing() {
    let mut rig = Rig::new("answer=1");
    rig.send(0, &request("INVITE", "a", "", ""));
    rig.wait(1000);
    let said = rig.send(1001, &request("CANCEL", "a", "", ""));
    assert_eq!(Rig::statuses(&said), [200]);
    assert_eq!(said[0].cseq_method, "CANCEL");
    assert_eq!(rig.carrier.summary(&rig.ports).cancelled, 0);
}

#[test]
fn each_behaviour_has_its_response() {
    for (mix, status) in
        [("unavailable=1", 480), ("decline=1", 603), ("invalid=1", 404), ("congestion=1", 503)]
    {
        let mut rig = Rig::new(mix);
        rig.send(0, &request("INVITE", "a", "", ""));
        let said = rig.wait(1000);
        assert_eq!(said.last().unwrap().status, status, "{mix}");
    }
    let mut rig = Rig::with("answer=1", |settings| settings.fail_all = Some(503));
    assert_eq!(Rig::statuses(&rig.send(0, &request("INVITE", "a", "", ""))), [100, 503]);
    let mut rig = Rig::new("trying=1");
    assert_eq!(Rig::statuses(&rig.send(0, &request("INVITE", "a", "", ""))), [100]);
    assert_eq!(rig.wait(90_000).len(), 0);
}

#[test]
fn who_must_authenticate_is_asked_and_the_question_is_no_call() {
    let mut rig = Rig::with("answer=1", |settings| settings.auth = Some("u:p".to_owned()));
    assert_eq!(Rig::statuses(&rig.send(0, &request("INVITE", "a", "", ""))), [407]);
    rig.send(1, &request("ACK", "a", ";tag=carrier-1", ""));
    let wrong = "Proxy-Authorization: Digest username=\"u\", response=\"0\"\r\n";
    assert_eq!(Rig::statuses(&rig.send(2, &request("INVITE", "b", "", wrong))), [407]);
    assert_eq!(rig.carrier.summary(&rig.ports).invites, 0);
}

#[test]
fn rubbish_and_strangers_do_no_harm() {
    let mut rig = Rig::new("answer=1");
    for raw in
        ["", "\r\n\r\n", "nonsense", "INVITE sip:x SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n"]
    {
        assert_eq!(rig.send(0, raw).len(), 0, "{raw:?}");
    }
    assert_eq!(Rig::statuses(&rig.send(0, &request("BYE", "x", ";tag=y", ""))), [481]);
    assert_eq!(Rig::statuses(&rig.send(0, &request("OPTIONS", "x", "", ""))), [200]);
    assert_eq!(Rig::statuses(&rig.send(0, &request("PUBLISH", "x", "", ""))), [501]);
    assert_eq!(rig.send(0, &request("ACK", "x", "", "")).len(), 0);
}

#[test]
fn options_are_answered_as_told_and_a_503_may_ask_for_a_pause() {
    let options = "OPTIONS sip:127.0.0.1:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKo\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <sip:b>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(Rig::new("answer=1").send(0, options)[0].status, 200);
    let mut rig = Rig::with("answer=1", |settings| {
        settings.options = 503;
        settings.retry_after = Some(7);
    });
    rig.carrier.handle_datagram(options.as_bytes(), peer(), &mut rig.ports, 0);
    let (_, raw) = rig.carrier.poll_transmit().unwrap();
    let text = String::from_utf8(raw).unwrap();
    assert!(text.starts_with("SIP/2.0 503 ") && text.contains("Retry-After: 7\r\n"), "{text}");
}
