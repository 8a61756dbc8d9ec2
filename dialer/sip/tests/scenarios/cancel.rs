//! CANCEL and what may cross it.

use std::time::Duration;

use dialer_sip::{By, Ending, Event, TransmitKind};

use crate::rig::{Rig, SECONDS_32};

const REASON: &str = "SIP;cause=487;text=\"revoked\"";

#[test]
fn a_ring_timeout_cancels_and_is_no_answer() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.advance(Duration::from_millis(100));
    rig.respond(&invite, 180, "far", &[]);
    rig.event();
    rig.advance(Duration::from_secs(25));
    let cancel = rig.take(TransmitKind::Cancel);
    assert_eq!(cancel.at, Duration::from_secs(25));
    assert_eq!(cancel.header("CSeq"), "1 CANCEL");
    assert_eq!(cancel.message().branch(), invite.message().branch());
    assert_eq!(cancel.message().to_tag(), None);
    assert_eq!(cancel.header("Reason"), "Q.850;cause=19");
    rig.respond(&cancel, 200, "far", &[]);
    rig.respond(&invite, 487, "far", &[]);
    let ack = rig.take(TransmitKind::Ack);
    assert_eq!(ack.message().branch(), invite.message().branch());
    assert_eq!(ack.message().to_tag(), Some(&b"far"[..]));
    let ended = rig.ended();
    assert_eq!(
        (ended.call, ended.ending, ended.by, ended.code),
        (call, Ending::NoAnswer, By::Local, Some(487))
    );
    assert!(ended.ringing.is_some() && !ended.answered);
    rig.finish();
}

#[test]
fn a_cancel_before_any_answer_waits_for_the_first_provisional_response() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.endpoint.cancel(call, REASON, rig.now);
    rig.drain();
    rig.nothing_sent();
    // Nor is the INVITE sent again, which may not have arrived: nobody is to be called any more.
    rig.advance(Duration::from_millis(1_600));
    rig.nothing_sent();
    rig.respond(&invite, 100, "", &[]);
    let cancel = rig.take(TransmitKind::Cancel);
    assert_eq!(cancel.header("Reason"), REASON);
    rig.event();
    // Lost: it is sent again.
    rig.advance(Duration::from_millis(500));
    assert_eq!(rig.take(TransmitKind::Cancel).bytes, cancel.bytes);
    rig.respond(&cancel, 200, "", &[]);
    rig.respond(&invite, 487, "far", &[]);
    rig.take(TransmitKind::Ack);
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by), (Ending::Cancelled, By::Local));
    rig.finish();
}

#[test]
fn a_200_that_crosses_the_cancel_is_acked_then_byed() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.respond(&invite, 180, "far", &[]);
    rig.event();
    rig.endpoint.cancel(call, REASON, rig.now);
    rig.drain();
    let cancel = rig.take(TransmitKind::Cancel);
    rig.respond(&invite, 200, "far", &[]);
    rig.take(TransmitKind::Ack);
    let bye = rig.take(TransmitKind::Bye);
    rig.respond(&cancel, 200, "far", &[]);
    rig.respond(&bye, 200, "", &[]);
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by, ended.code), (Ending::Answered, By::Local, Some(200)));
    assert!(ended.answered && ended.crossed);
    rig.finish();
}

#[test]
fn a_200_that_comes_before_a_remembered_cancel_could_leave_is_acked_then_byed() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.endpoint.cancel(call, REASON, rig.now);
    rig.respond(&invite, 200, "far", &[]);
    rig.take(TransmitKind::Ack);
    let bye = rig.take(TransmitKind::Bye);
    rig.respond(&bye, 481, "", &[]);
    assert!(rig.ended().crossed);
    rig.finish();
}

#[test]
fn a_487_that_never_comes_is_waited_for_64_t1_and_a_late_200_is_hung_up() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.respond(&invite, 100, "", &[]);
    rig.event();
    rig.endpoint.cancel(call, "", rig.now);
    rig.drain();
    let cancel = rig.take(TransmitKind::Cancel);
    rig.respond(&cancel, 200, "", &[]);
    rig.advance(SECONDS_32.checked_sub(Duration::from_millis(1)).unwrap());
    assert!(rig.events.is_empty());
    rig.advance(Duration::from_millis(1));
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.code), (Ending::Cancelled, None));
    rig.advance(Duration::from_secs(3));
    rig.respond(&invite, 200, "far", &[]);
    rig.take(TransmitKind::Ack);
    let bye = rig.take(TransmitKind::Bye);
    rig.respond(&bye, 200, "", &[]);
    rig.finish();
}

#[test]
fn a_100_and_then_nothing_is_cancelled_at_the_ring_timeout() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(rig.plain());
    rig.respond(&invite, 100, "", &[]);
    rig.event();
    rig.advance(Duration::from_secs(24));
    rig.nothing_sent();
    rig.advance(Duration::from_secs(1));
    let cancel = rig.take(TransmitKind::Cancel);
    assert_eq!(cancel.header("Reason"), "Q.850;cause=18");
    rig.respond(&cancel, 481, "", &[]);
    rig.advance(SECONDS_32);
    assert_eq!(rig.ended().ending, Ending::NoAnswer);
    rig.finish();
}

#[test]
fn a_607_that_crosses_our_cancel_is_still_unwanted() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.respond(&invite, 180, "far", &[]);
    rig.event();
    rig.endpoint.cancel(call, "", rig.now);
    rig.respond(&invite, 607, "far", &[]);
    rig.take(TransmitKind::Cancel);
    rig.take(TransmitKind::Ack);
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by), (Ending::Unwanted, By::Remote));
    rig.finish();
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "calls without a gate; proves the fence of G1 stands"
)]
fn an_invite_that_the_driver_has_not_taken_is_withdrawn() {
    let mut rig = Rig::new();
    let call = rig.endpoint.invite(rig.plain(), rig.now).unwrap();
    rig.endpoint.cancel(call, REASON, rig.now);
    rig.drain();
    rig.nothing_sent();
    assert_eq!(rig.event(), Event::NotSent { call });
    assert!(rig.endpoint.is_idle());
    rig.finish();
}

#[test]
fn an_invite_the_driver_did_not_send_takes_its_call_with_it() {
    let mut rig = Rig::new();
    let (call, _) = rig.place(rig.plain());
    // A slow driver: the first retransmission is queued already.
    rig.endpoint.handle_timeout(rig.now + Duration::from_millis(500));
    rig.endpoint.not_sent(call, rig.now);
    rig.drain();
    rig.nothing_sent();
    assert_eq!(rig.event(), Event::NotSent { call });
    assert!(rig.endpoint.is_idle());
    // The handle is dead, even though its place is used again.
    let (next, invite) = rig.place(rig.plain());
    assert_ne!(next, call);
    rig.endpoint.not_sent(call, rig.now);
    rig.endpoint.cancel(call, "", rig.now);
    assert_eq!(rig.endpoint.live_calls(), 1);
    rig.respond(&invite, 486, "far", &[]);
    rig.take(TransmitKind::Ack);
    rig.ended();
    rig.finish();
}

#[test]
fn not_sent_after_a_response_changes_nothing() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.respond(&invite, 100, "", &[]);
    rig.event();
    rig.endpoint.not_sent(call, rig.now);
    rig.drain();
    assert!(rig.events.is_empty());
    rig.respond(&invite, 486, "far", &[]);
    rig.take(TransmitKind::Ack);
    assert_eq!(rig.ended().ending, Ending::Busy);
    rig.finish();
}

#[test]
fn a_cancel_with_a_silent_trunk_ends_as_cancelled() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.plain());
    rig.endpoint.cancel(call, "", rig.now);
    rig.advance(SECONDS_32);
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by, ended.code), (Ending::Cancelled, By::Timeout, None));
    rig.sent.clear();
    // It rings after all: now the CANCEL can go.
    rig.respond(&invite, 180, "far", &[]);
    let cancel = rig.take(TransmitKind::Cancel);
    rig.respond(&cancel, 200, "", &[]);
    rig.respond(&invite, 487, "far", &[]);
    rig.take(TransmitKind::Ack);
    rig.finish();
}
