//! OPTIONS: is the other side there.

use std::time::Duration;

use dialer_sip::{Event, ProbeId, Probed, TransmitKind};

use crate::rig::{Rig, SECONDS_32, Sent};

impl Rig {
    /// Asks the trunk; gives the request.
    fn ask(&mut self) -> (ProbeId, Sent) {
        let probe = self.endpoint.options(Self::trunk(), self.now).unwrap();
        self.drain();
        (probe, self.take(TransmitKind::Options))
    }

    fn probed(&mut self, expected: ProbeId) -> Probed {
        match self.event() {
            Event::Probed { probe, outcome } if probe == expected => outcome,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_options_request_names_nobody_and_has_what_section_11_wants() {
    let mut rig = Rig::new();
    let (probe, request) = rig.ask();
    let message = request.message();
    assert_eq!(request.to, Rig::trunk());
    assert_eq!(message.method(), Some(&b"OPTIONS"[..]));
    assert_eq!(message.request_uri(), Some(&b"sip:192.0.2.1:5060"[..]));
    assert!(message.base().is_ok() && message.from_tag().is_some() && message.to_tag().is_none());
    for (name, value) in [
        ("Max-Forwards", "70"),
        ("To", "<sip:192.0.2.1:5060>"),
        ("CSeq", "1 OPTIONS"),
        ("Contact", "<sip:198.51.100.7:5080>"),
        ("Accept", "application/sdp"),
        ("User-Agent", "test"),
        ("Content-Length", "0"),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    assert!(request.send_before.is_none() && !request.text().contains("1555"));
    rig.respond(&request, 200, "t", &[]);
    assert_eq!(rig.probed(probe), Probed::Alive);
    rig.finish();
}

#[test]
fn every_final_response_but_408_and_503_is_a_sign_of_life() {
    let wait = |seconds| Some(Duration::from_secs(seconds));
    let refused = |retry_after| Probed::Unavailable { retry_after };
    for (status, headers, expected) in [
        (200, &[][..], Probed::Alive),
        (202, &[], Probed::Alive),
        (302, &[], Probed::Alive),
        (401, &[("WWW-Authenticate", "Digest realm=\"a\", nonce=\"n\"")], Probed::Alive),
        (407, &[("Proxy-Authenticate", "Digest realm=\"a\", nonce=\"n\"")], Probed::Alive),
        (403, &[], Probed::Alive),
        (404, &[], Probed::Alive),
        (405, &[], Probed::Alive),
        (408, &[], Probed::Silent),
        (481, &[], Probed::Alive),
        (483, &[], Probed::Alive),
        (500, &[("Retry-After", "9")], Probed::Alive),
        (501, &[], Probed::Alive),
        (503, &[], refused(None)),
        (503, &[("Retry-After", "120")], refused(wait(120))),
        (503, &[("Retry-After", "18000;duration=3600")], refused(wait(18_000))),
        (503, &[("Retry-After", "5 (I am busy)")], refused(wait(5))),
        (503, &[("Retry-After", "4294967295")], refused(wait(4_294_967_295))),
        (503, &[("Retry-After", "99999999999999999999")], refused(None)),
        (503, &[("Retry-After", "soon")], refused(None)),
        (504, &[], Probed::Alive),
        (600, &[], Probed::Alive),
    ] {
        let mut rig = Rig::new();
        let (probe, request) = rig.ask();
        rig.respond(&request, status, "t", headers);
        assert_eq!(rig.probed(probe), expected, "{status} {headers:?}");
        // A challenge is not answered: no credentials are needed to be there.
        rig.finish();
    }
}

#[test]
fn an_unanswered_one_is_sent_again_by_timer_e_and_given_up_by_timer_f() {
    let mut rig = Rig::new();
    let (probe, request) = rig.ask();
    rig.advance(SECONDS_32);
    let again: Vec<_> = rig.sent.drain(..).collect();
    assert!(again.iter().all(|sent| sent.bytes == request.bytes && sent.to == Rig::trunk()));
    let at: Vec<_> = again.iter().map(|sent| sent.at.as_millis()).collect();
    assert_eq!(at, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!(rig.probed(probe), Probed::Silent);
    rig.finish();
}

#[test]
fn a_provisional_response_slows_it_down_to_t2_and_is_no_answer() {
    let mut rig = Rig::new();
    let (probe, request) = rig.ask();
    rig.respond(&request, 100, "", &[]);
    rig.advance(Duration::from_secs(9));
    let at: Vec<_> = rig.sent.drain(..).map(|sent| sent.at.as_millis()).collect();
    assert_eq!(at, [4000, 8000]);
    assert!(rig.events.is_empty());
    rig.respond(&request, 200, "t", &[]);
    assert_eq!(rig.probed(probe), Probed::Alive);
    rig.finish();
}

#[test]
fn a_repeated_answer_and_one_that_comes_too_late_say_nothing_new() {
    let mut rig = Rig::new();
    let (probe, request) = rig.ask();
    rig.respond(&request, 503, "t", &[]);
    assert_eq!(rig.probed(probe), Probed::Unavailable { retry_after: None });
    // Timer K: absorbed for T4.
    rig.advance(Duration::from_secs(4));
    rig.respond(&request, 200, "t", &[]);
    assert_eq!(rig.endpoint.unmatched(), 0);
    rig.advance(Duration::from_secs(2));
    rig.respond(&request, 200, "t", &[]);
    assert_eq!(rig.endpoint.unmatched(), 1);
    let (probe, request) = rig.ask();
    rig.advance(SECONDS_32);
    rig.sent.clear();
    assert_eq!(rig.probed(probe), Probed::Silent);
    rig.respond(&request, 200, "t", &[]);
    assert_eq!(rig.endpoint.unmatched(), 2);
    rig.finish();
}

#[test]
fn an_answer_to_another_branch_or_another_method_is_not_taken() {
    let mut rig = Rig::new();
    let (probe, request) = rig.ask();
    let (other, method) = (request.text(), request.text());
    let branch = request.message().branch().unwrap().to_vec();
    let branch = String::from_utf8(branch).unwrap();
    let guessed = format!("{}0000", &branch[..branch.len() - 4]);
    let forged = Sent { bytes: other.replace(&branch, &guessed).into_bytes(), ..request.clone() };
    rig.respond(&forged, 200, "t", &[]);
    let bytes = method.replace("1 OPTIONS", "1 BYE").into_bytes();
    let forged = Sent { bytes, ..request.clone() };
    rig.respond(&forged, 200, "t", &[]);
    assert!(rig.events.is_empty());
    assert_eq!(rig.endpoint.unmatched(), 2);
    rig.respond(&request, 200, "t", &[]);
    assert_eq!(rig.probed(probe), Probed::Alive);
    rig.finish();
}

#[test]
fn a_datagram_that_did_not_leave_ends_the_probes_of_that_address_only() {
    let mut rig = Rig::new();
    let (one, _) = rig.ask();
    let elsewhere = "192.0.2.2:5060".parse().unwrap();
    let two = rig.endpoint.options(elsewhere, rig.now).unwrap();
    rig.drain();
    rig.sent.clear();
    rig.endpoint.handle_transport_error(Rig::trunk(), rig.now);
    rig.drain();
    assert_eq!(rig.probed(one), Probed::Unreachable);
    assert!(rig.events.is_empty());
    rig.advance(SECONDS_32);
    rig.sent.clear();
    assert_eq!(rig.probed(two), Probed::Silent);
    rig.finish();
}

#[test]
fn a_call_and_a_probe_do_not_mix_up_their_answers() {
    let mut rig = Rig::new();
    let plain = rig.plain();
    let (_, invite) = rig.place(plain);
    let (probe, request) = rig.ask();
    rig.respond(&request, 486, "t", &[]);
    assert_eq!(rig.probed(probe), Probed::Alive);
    rig.respond(&invite, 503, "t", &[]);
    rig.take(TransmitKind::Ack);
    assert_eq!(rig.ended().code, Some(503));
    rig.finish();
}

#[test]
fn probes_are_bounded() {
    let mut rig = Rig::new();
    let begun = (0..2_000).filter(|_| rig.endpoint.options(Rig::trunk(), rig.now).is_ok()).count();
    assert_eq!(begun, 1_024);
    rig.drain();
    rig.advance(SECONDS_32 * 2);
    rig.sent.clear();
    rig.events.clear();
    assert!(rig.endpoint.options(Rig::trunk(), rig.now).is_ok());
}
