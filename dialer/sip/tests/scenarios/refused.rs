//! Calls that are refused, lost, or never answered.

use std::time::Duration;

use dialer_sip::{By, Ending, Invite, InviteError, TransmitKind};

use crate::rig::{Rig, SECONDS_32, response};

#[test]
fn a_busy_call_is_acknowledged_and_its_486_again_when_it_comes_again() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(rig.plain());
    rig.respond(&invite, 486, "far", &[]);
    let ack = rig.take(TransmitKind::Ack);
    assert_eq!(ack.header("CSeq"), "1 ACK");
    assert_eq!(ack.message().branch(), invite.message().branch());
    assert_eq!(ack.message().request_uri(), invite.message().request_uri());
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by, ended.code), (Ending::Busy, By::Remote, Some(486)));
    assert_eq!(ended.phrase, "Whatever");
    rig.advance(SECONDS_32.checked_sub(Duration::from_millis(1)).unwrap());
    rig.respond(&invite, 486, "far", &[]);
    assert_eq!(rig.take(TransmitKind::Ack).bytes, ack.bytes);
    rig.advance(Duration::from_millis(1));
    assert!(rig.endpoint.is_idle());
    rig.finish();
}

#[test]
fn a_503_keeps_its_retry_after_and_a_q850_cause_says_more() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(rig.plain());
    rig.respond(&invite, 503, "far", &[("Retry-After", "120 (maintenance);duration=60")]);
    rig.take(TransmitKind::Ack);
    let ended = rig.ended();
    assert_eq!(ended.ending, Ending::Congestion);
    assert_eq!(ended.retry_after, Some(Duration::from_secs(120)));
    let (_, invite) = rig.place(rig.plain());
    rig.respond(&invite, 503, "far", &[("Reason", "Q.850 ;cause=17;text=\"User busy\"")]);
    rig.take(TransmitKind::Ack);
    assert_eq!(rig.ended().ending, Ending::Busy);
    rig.finish();
}

#[test]
fn a_487_that_nobody_asked_for_is_the_networks() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(rig.plain());
    rig.respond(&invite, 487, "far", &[]);
    rig.take(TransmitKind::Ack);
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by), (Ending::Congestion, By::Network));
    rig.finish();
}

#[test]
fn a_lost_invite_is_sent_again_by_timer_a_exactly() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(Invite { ring_timeout: SECONDS_32 * 2, ..rig.plain() });
    rig.advance(SECONDS_32);
    let again: Vec<_> = rig.sent.drain(..).collect();
    let at: Vec<u128> = again.iter().map(|sent| sent.at.as_millis()).collect();
    assert_eq!(at, [500, 1500, 3500, 7500, 15_500, 31_500]);
    for sent in &again {
        assert_eq!(sent.kind, TransmitKind::InviteRetransmit);
        assert_eq!(sent.bytes, invite.bytes);
        assert_eq!(sent.send_before, None);
    }
    // Timer B.
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by, ended.code), (Ending::TransportError, By::Timeout, None));
    assert_eq!(ended.note, Some("the trunk does not answer"));
    rig.finish();
}

#[test]
fn a_ring_timeout_before_timer_b_is_still_a_trunk_that_does_not_answer() {
    let mut rig = Rig::new();
    rig.place(rig.plain());
    rig.advance(SECONDS_32);
    assert!(rig.sent.drain(..).all(|sent| sent.kind == TransmitKind::InviteRetransmit));
    assert_eq!(rig.ended().ending, Ending::TransportError);
    rig.finish();
}

#[test]
fn a_provisional_response_stops_timer_a_and_timer_b() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(Invite { ring_timeout: SECONDS_32 * 4, ..rig.plain() });
    rig.advance(Duration::from_millis(499));
    rig.respond(&invite, 100, "", &[]);
    rig.event();
    rig.advance(SECONDS_32 * 3);
    rig.nothing_sent();
    rig.respond(&invite, 480, "far", &[]);
    rig.take(TransmitKind::Ack);
    assert_eq!(rig.ended().ending, Ending::Unavailable);
    rig.finish();
}

#[test]
fn a_lost_bye_is_sent_again_by_timer_e_exactly() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.answer(&invite, "far");
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    rig.ended();
    rig.advance(SECONDS_32 * 2);
    let again: Vec<_> = rig.sent.drain(..).collect();
    let at: Vec<u128> = again.iter().map(|sent| sent.at.as_millis()).collect();
    assert_eq!(at, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert!(again.iter().all(|sent| sent.bytes == bye.bytes));
    rig.finish();
}

#[test]
fn a_provisional_response_to_bye_slows_it_to_t2() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.answer(&invite, "far");
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    rig.ended();
    rig.respond(&bye, 100, "", &[]);
    rig.advance(Duration::from_secs(9));
    let at: Vec<u128> = rig.sent.drain(..).map(|sent| sent.at.as_millis()).collect();
    assert_eq!(at, [4000, 8000]);
    rig.respond(&bye, 200, "", &[]);
    rig.finish();
}

#[test]
fn a_send_error_ends_calls_nobody_has_answered_and_no_other() {
    let mut rig = Rig::new();
    let (silent, _) = rig.place(rig.plain());
    let (ringing, invite) = rig.place(Invite { call_id: "placement-2".to_owned(), ..rig.plain() });
    rig.respond(&invite, 180, "far", &[]);
    rig.event();
    rig.endpoint.handle_transport_error("192.0.2.99:5060".parse().unwrap(), rig.now);
    rig.drain();
    assert!(rig.events.is_empty());
    rig.endpoint.handle_transport_error(Rig::trunk(), rig.now);
    rig.drain();
    let ended = rig.ended();
    assert_eq!((ended.call, ended.ending, ended.by), (silent, Ending::TransportError, By::Network));
    assert_eq!(rig.endpoint.live_calls(), 1);
    rig.endpoint.cancel(ringing, "", rig.now);
    rig.drain();
    let cancel = rig.take(TransmitKind::Cancel);
    rig.respond(&cancel, 200, "", &[]);
    rig.respond(&invite, 487, "far", &[]);
    rig.take(TransmitKind::Ack);
    rig.ended();
    rig.finish();
}

#[test]
fn a_response_whose_branch_is_not_ours_is_ignored() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(rig.plain());
    let real = String::from_utf8(response(&invite, 200, "evil", &[])).unwrap();
    let branch = String::from_utf8(invite.message().branch().unwrap().to_vec()).unwrap();
    let mut nonce = branch.clone().into_bytes();
    *nonce.last_mut().unwrap() ^= 1;
    let forged = String::from_utf8(nonce).unwrap();
    let elsewhere = branch.replacen("00000000", "00000003", 1);
    for other in [forged.as_str(), elsewhere.as_str(), "z9hG4bKx", "x", ""] {
        rig.receive(real.replace(&branch, other).as_bytes());
    }
    // Right branch, but of another method, or with another Via below.
    rig.receive(real.replace("1 INVITE", "1 BYE").as_bytes());
    rig.receive(real.replace("1 INVITE", "1 CANCEL").as_bytes());
    rig.receive(
        real.replace("From:", "Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK1\r\nFrom:").as_bytes(),
    );
    rig.nothing_sent();
    assert!(rig.events.is_empty());
    rig.respond(&invite, 486, "far", &[]);
    rig.take(TransmitKind::Ack);
    rig.ended();
    rig.finish();
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "calls without a gate; proves the fence of G1 stands"
)]
fn what_cannot_be_sent_is_refused_with_nothing_queued() {
    let mut rig = Rig::new();
    let plain = rig.plain();
    let late = rig.now + Duration::from_millis(5001);
    let header = |name: &str, value: &str| Invite {
        extra_headers: vec![(name.to_owned(), value.to_owned())],
        ..plain.clone()
    };
    let cases = [
        (
            Invite { request_uri: "sip:a b".to_owned(), ..plain.clone() },
            InviteError::Field("request_uri"),
        ),
        (
            Invite { from_uri: "sip:a>\r\nX: y".to_owned(), ..plain.clone() },
            InviteError::Field("from_uri"),
        ),
        (
            Invite { from_display: "a\r\nX: y".to_owned(), ..plain.clone() },
            InviteError::Field("from_display"),
        ),
        (Invite { call_id: String::new(), ..plain.clone() }, InviteError::Field("call_id")),
        (header("X", "a\nVia: b"), InviteError::Field("extra_headers")),
        (header("via", "b"), InviteError::Field("extra_headers")),
        (header("X Y", "b"), InviteError::Field("extra_headers")),
        (Invite { body: vec![b'a'; 65_507], ..plain.clone() }, InviteError::TooLarge),
    ];
    for (invite, error) in cases {
        assert_eq!(rig.endpoint.invite(invite, rig.now), Err(error));
    }
    assert_eq!(rig.endpoint.invite(plain.clone(), late), Err(InviteError::TooLate));
    assert!(rig.endpoint.is_idle());
    for _ in 0..4 {
        rig.place(plain.clone());
    }
    assert_eq!(rig.endpoint.invite(plain, rig.now), Err(InviteError::Full));
    rig.endpoint.handle_transport_error(Rig::trunk(), rig.now);
    rig.drain();
    rig.events.clear();
    rig.finish();
}
