//! Calls that are answered.

use std::time::Duration;

use dialer_sip::{By, Ending, Event, TransmitKind};

use crate::rig::{Rig, SDP, SECONDS_32, response};

#[test]
fn an_invite_is_printed_strictly() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(rig.plain());
    let text = invite.text();
    assert!(text.starts_with("INVITE sip:+15550100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5080;branch=z9hG4bK"));
    assert!(text.contains(";rport\r\n"));
    assert!(text.contains("Max-Forwards: 70\r\n"));
    assert!(text.contains("From: \"Acme \\\"A\\\"\" <sip:+15550199@198.51.100.7>;tag="));
    assert!(text.contains("Contact: <sip:198.51.100.7:5080>\r\n"));
    assert!(text.contains("P-Asserted-Identity: <sip:+15550199@x.example>\r\n"));
    assert!(!text.contains("100rel"));
    assert!(text.contains(&format!("Content-Length: {}\r\n\r\nv=0", SDP.len())));
    assert_eq!(invite.message().base().unwrap().cseq.number, 1);
    assert_eq!(invite.send_before, Some(rig.start + Duration::from_secs(5)));
}

#[test]
fn an_answered_call_that_we_hang_up() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.respond(&invite, 100, "", &[]);
    rig.respond(&invite, 100, "", &[]);
    assert_eq!(rig.event(), Event::Trying { call });
    rig.advance(Duration::from_secs(1));
    rig.respond(&invite, 183, "far", &[]);
    assert_eq!(rig.event(), Event::Early { call, code: 183, sdp: None });
    rig.advance(Duration::from_secs(4));
    let ack = rig.answer(&invite, "far");
    assert_eq!(ack.message().request_uri(), Some(&b"sip:gw@192.0.2.1"[..]));
    assert_eq!(ack.header("CSeq"), "1 ACK");
    assert_eq!(ack.message().to_tag(), Some(&b"far"[..]));
    assert_ne!(ack.message().branch(), invite.message().branch());
    rig.advance(Duration::from_secs(60));
    rig.nothing_sent();
    rig.endpoint.bye(call, rig.now);
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    assert_eq!(bye.header("CSeq"), "2 BYE");
    assert_eq!(bye.message().to_tag(), Some(&b"far"[..]));
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by, ended.code), (Ending::Answered, By::Local, Some(200)));
    assert!(ended.answered && !ended.crossed);
    assert_eq!(ended.ringing, Some(Duration::from_secs(4)));
    assert_eq!(ended.talking, Some(Duration::from_secs(60)));
    rig.respond(&bye, 200, "", &[]);
    rig.finish();
}

#[test]
fn an_answered_call_that_the_far_end_hangs_up() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.answer(&invite, "far");
    rig.advance(SECONDS_32 * 2);
    rig.request(&invite, "far", "BYE", 9, &[("Reason", "Q.850;cause=16;text=\"Normal\"")]);
    let ok = rig.take(TransmitKind::Response);
    assert_eq!(ok.message().status(), Some(200));
    let ended = rig.ended();
    assert_eq!((ended.call, ended.ending, ended.by), (call, Ending::Answered, By::Remote));
    assert_eq!(ended.reasons[0].cause, Some(16));
    // Its 200 was lost: the same BYE meets the same answer.
    rig.request(&invite, "far", "BYE", 9, &[]);
    assert_eq!(rig.take(TransmitKind::Response).message().status(), Some(200));
    rig.finish();
}

#[test]
fn a_retransmitted_200_is_acknowledged_again_for_32_seconds_even_after_bye() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    let ack = rig.answer(&invite, "far");
    let ok = response(&invite, 200, "far", &[]);
    rig.receive(&ok);
    assert_eq!(rig.take(TransmitKind::Ack).bytes, ack.bytes);
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    rig.respond(&bye, 200, "", &[]);
    rig.ended();
    rig.advance(SECONDS_32.checked_sub(Duration::from_millis(1)).unwrap());
    rig.receive(&ok);
    assert_eq!(rig.take(TransmitKind::Ack).bytes, ack.bytes);
    rig.advance(Duration::from_millis(2));
    rig.receive(&ok);
    rig.nothing_sent();
    assert_eq!(rig.endpoint.unmatched(), 1);
    rig.finish();
}

#[test]
fn a_second_200_from_a_fork_is_acked_then_byed() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.answer(&invite, "one");
    rig.respond(&invite, 200, "two", &[("Contact", "<sip:two@192.0.2.77:5062>")]);
    let ack = rig.take(TransmitKind::Ack);
    assert_eq!(ack.message().to_tag(), Some(&b"two"[..]));
    assert_eq!(ack.to, "192.0.2.77:5062".parse().unwrap());
    let bye = rig.take(TransmitKind::Bye);
    assert_eq!(bye.message().to_tag(), Some(&b"two"[..]));
    assert_eq!(bye.message().request_uri(), Some(&b"sip:two@192.0.2.77:5062"[..]));
    rig.respond(&bye, 200, "", &[]);
    // The call itself goes on.
    assert_eq!(rig.endpoint.live_calls(), 1);
    // Its ACK was lost.
    rig.respond(&invite, 200, "two", &[]);
    assert_eq!(rig.take(TransmitKind::Ack).bytes, ack.bytes);
    rig.nothing_sent();
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    assert_eq!(bye.message().to_tag(), Some(&b"one"[..]));
    rig.respond(&bye, 200, "", &[]);
    rig.ended();
    rig.finish();
}

#[test]
fn a_record_route_becomes_the_route_of_ack_and_bye() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    let path = [
        ("Record-Route", "<sip:192.0.2.20;lr>, <sip:192.0.2.21:5070;lr>"),
        ("Record-Route", "<sip:edge.example;lr>"),
        ("Contact", "\"Doe, J\" <sip:person@10.0.0.1>;expires=60"),
    ];
    rig.respond(&invite, 200, "far", &path);
    rig.event();
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let ack = rig.take(TransmitKind::Ack);
    let bye = rig.take(TransmitKind::Bye);
    rig.ended();
    for sent in [&ack, &bye] {
        let routes: Vec<_> = sent.message().values("Route").map(<[u8]>::to_vec).collect();
        let expected: [&[u8]; 3] =
            [b"<sip:edge.example;lr>", b"<sip:192.0.2.21:5070;lr>", b"<sip:192.0.2.20;lr>"];
        assert_eq!(routes, expected);
        assert_eq!(sent.message().request_uri(), Some(&b"sip:person@10.0.0.1"[..]));
        // The first hop is a name, which is not resolved here.
        assert_eq!(sent.to, Rig::trunk());
    }
    rig.respond(&bye, 200, "", &[]);
    rig.finish();
}

#[test]
fn a_strict_router_gets_the_remote_target_as_the_last_route() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    let path = [
        ("Record-Route", "<sip:192.0.2.21;lr>"),
        ("Record-Route", "<sip:192.0.2.20:5071?x=y>"),
        ("Contact", "<sip:person@10.0.0.1>"),
    ];
    rig.respond(&invite, 200, "far", &path);
    rig.event();
    let ack = rig.take(TransmitKind::Ack);
    assert_eq!(ack.message().request_uri(), Some(&b"sip:192.0.2.20:5071"[..]));
    let routes: Vec<_> = ack.message().values("Route").map(<[u8]>::to_vec).collect();
    let expected: [&[u8]; 2] = [b"<sip:192.0.2.21;lr>", b"<sip:person@10.0.0.1>"];
    assert_eq!(routes, expected);
    assert_eq!(ack.to, "192.0.2.20:5071".parse().unwrap());
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    rig.respond(&bye, 200, "", &[]);
    rig.ended();
    rig.finish();
}

#[test]
fn requests_in_the_dialog_are_answered_and_the_call_goes_on() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.answer(&invite, "far");
    let cases = [
        ("INVITE", 488),
        ("ACK", 0),
        ("OPTIONS", 200),
        ("INFO", 200),
        ("UPDATE", 405),
        ("REFER", 603),
        ("FROB", 501),
    ];
    for (cseq, (method, status)) in (10..).zip(cases) {
        rig.request(&invite, "far", method, cseq, &[]);
        if status > 0 {
            assert_eq!(
                rig.take(TransmitKind::Response).message().status(),
                Some(status),
                "{method}"
            );
        }
        rig.nothing_sent();
    }
    // Out of order.
    rig.request(&invite, "far", "INFO", 9, &[]);
    assert_eq!(rig.take(TransmitKind::Response).message().status(), Some(500));
    // Not the far end's tag.
    rig.request(&invite, "forged", "BYE", 90, &[]);
    assert_eq!(rig.take(TransmitKind::Response).message().status(), Some(481));
    assert_eq!(rig.endpoint.live_calls(), 1);
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    rig.respond(&bye, 200, "", &[]);
    rig.ended();
    rig.finish();
}

#[test]
fn a_bye_that_overtakes_the_200_is_answered_when_it_comes_again() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(rig.plain());
    rig.request(&invite, "far", "BYE", 1, &[]);
    rig.nothing_sent();
    rig.request(&invite, "far", "UPDATE", 1, &[]);
    assert_eq!(rig.take(TransmitKind::Response).message().status(), Some(405));
    rig.answer(&invite, "far");
    rig.request(&invite, "far", "BYE", 1, &[]);
    assert_eq!(rig.take(TransmitKind::Response).message().status(), Some(200));
    assert_eq!(rig.ended().by, By::Remote);
    rig.finish();
}

#[test]
fn a_damaged_contact_or_record_route_is_not_sent_on() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    let path = [
        ("Record-Route", "<sip:a b;lr>, <sip:192.0.2.21;lr>, <sip:open"),
        ("Contact", "<sip:a b>"),
    ];
    rig.respond(&invite, 200, "far", &path);
    rig.event();
    let ack = rig.take(TransmitKind::Ack);
    assert_eq!(ack.message().request_uri(), invite.message().request_uri());
    assert_eq!(ack.header("Route"), "<sip:192.0.2.21;lr>");
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    rig.respond(&bye, 200, "", &[]);
    rig.ended();
    rig.finish();
}
