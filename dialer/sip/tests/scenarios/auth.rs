//! Challenges.

use std::time::Duration;

use dialer_sip::{By, Ending, Event, Invite, TransmitKind};

use crate::rig::{Rig, Sent};

const MD5: (&str, &str) = (
    "Proxy-Authenticate",
    "Digest realm=\"trunk\", nonce=\"n1\", qop=\"auth,auth-int\", algorithm=MD5, opaque=\"o\"",
);
const SHA: (&str, &str) =
    ("WWW-Authenticate", "Digest realm=\"trunk\", nonce=\"n2\", qop=\"auth\", algorithm=SHA-256");

fn challenge(rig: &mut Rig, invite: &Sent, status: u16, header: (&str, &str)) -> Sent {
    rig.respond(invite, status, "proxy", &[header]);
    let ack = rig.take(TransmitKind::Ack);
    assert_eq!(ack.message().branch(), invite.message().branch());
    let again = rig.take(TransmitKind::InviteResend);
    assert_ne!(again.message().branch(), invite.message().branch());
    assert_eq!(again.message().from_tag(), invite.message().from_tag());
    assert_eq!(again.message().call_id(), invite.message().call_id());
    assert_eq!(again.message().to_tag(), None);
    assert_eq!(again.message().body(), invite.message().body());
    assert_eq!(again.send_before, invite.send_before);
    again
}

/// The parameter of an Authorization header.
fn param(sent: &Sent, header: &str, name: &str) -> String {
    let value = sent.header(header);
    let (_, rest) = value.split_once(&format!("{name}=")).unwrap();
    rest.split(',').next().unwrap().trim_matches('"').to_owned()
}

fn md5(text: &str) -> String {
    use md5::Digest as _;
    md5::Md5::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

/// What the far end computes for user acme, password secret.
fn expected(sent: &Sent, header: &str, hash: fn(&str) -> String) -> String {
    let message = sent.message();
    let method = std::str::from_utf8(message.method().unwrap()).unwrap();
    let key = hash("acme:trunk:secret");
    let what = hash(&format!("{method}:{}", param(sent, header, "uri")));
    let [nonce, nc, cnonce] = ["nonce", "nc", "cnonce"].map(|name| param(sent, header, name));
    hash(&format!("{key}:{nonce}:{nc}:{cnonce}:auth:{what}"))
}

#[test]
fn a_407_is_answered_with_md5_and_the_bye_counts_on() {
    let mut rig = Rig::new();
    let (call, first) = rig.place(rig.with_credentials());
    let invite = challenge(&mut rig, &first, 407, MD5);
    let header = "Proxy-Authorization";
    assert_eq!(invite.header("CSeq"), "2 INVITE");
    assert_eq!(param(&invite, header, "nc"), "00000001");
    assert_eq!(param(&invite, header, "opaque"), "o");
    assert_eq!(param(&invite, header, "uri"), "sip:+15550100@192.0.2.1");
    assert_eq!(param(&invite, header, "response"), expected(&invite, header, md5));
    // The 407 comes again: the first transaction still acknowledges it.
    rig.respond(&first, 407, "proxy", &[MD5]);
    let ack = rig.take(TransmitKind::Ack);
    assert_eq!(ack.header("CSeq"), "1 ACK");
    let ack = rig.answer(&invite, "far");
    assert_eq!(ack.header("CSeq"), "2 ACK");
    assert_eq!(ack.header(header), invite.header(header));
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    assert_eq!(bye.header("CSeq"), "3 BYE");
    assert_eq!(param(&bye, header, "nc"), "00000002");
    assert_eq!(param(&bye, header, "response"), expected(&bye, header, md5));
    // The proxy wants a fresh nonce.
    rig.respond(
        &bye,
        407,
        "",
        &[("Proxy-Authenticate", "Digest realm=\"trunk\", nonce=\"n9\", qop=\"auth\", stale=true")],
    );
    let bye = rig.take(TransmitKind::Bye);
    assert_eq!(bye.header("CSeq"), "4 BYE");
    assert_eq!(param(&bye, header, "nonce"), "n9");
    assert_eq!(param(&bye, header, "response"), expected(&bye, header, md5));
    rig.respond(&bye, 200, "", &[]);
    assert_eq!(rig.ended().ending, Ending::Answered);
    rig.finish();
}

#[test]
fn a_401_is_answered_with_sha_256_and_beside_an_earlier_407() {
    let mut rig = Rig::new();
    let (call, first) = rig.place(rig.with_credentials());
    let second = challenge(&mut rig, &first, 407, MD5);
    let third = challenge(&mut rig, &second, 401, SHA);
    assert_eq!(param(&third, "Authorization", "algorithm"), "SHA-256");
    assert_eq!(
        param(&third, "Authorization", "response"),
        expected(&third, "Authorization", sha256)
    );
    assert_eq!(param(&third, "Proxy-Authorization", "nc"), "00000002");
    assert_eq!(
        param(&third, "Proxy-Authorization", "response"),
        expected(&third, "Proxy-Authorization", md5)
    );
    rig.answer(&third, "far");
    rig.endpoint.bye(call, rig.now);
    rig.drain();
    let bye = rig.take(TransmitKind::Bye);
    rig.respond(&bye, 200, "", &[]);
    rig.ended();
    rig.finish();
}

#[test]
fn a_stale_nonce_is_answered_anew_and_a_refused_password_is_not() {
    let mut rig = Rig::new();
    let (_, first) = rig.place(rig.with_credentials());
    let second = challenge(&mut rig, &first, 401, SHA);
    let stale = (
        "WWW-Authenticate",
        "Digest realm=\"trunk\", nonce=\"n3\", qop=\"auth\", algorithm=SHA-256, stale=true",
    );
    let third = challenge(&mut rig, &second, 401, stale);
    assert_eq!(param(&third, "Authorization", "nonce"), "n3");
    assert_eq!(param(&third, "Authorization", "nc"), "00000001");
    rig.respond(&third, 401, "far", &[SHA]);
    rig.take(TransmitKind::Ack);
    let ended = rig.ended();
    assert_eq!(
        (ended.ending, ended.by, ended.code),
        (Ending::Misconfigured, By::Remote, Some(401))
    );
    assert_eq!(ended.note, Some("credentials refused"));
    rig.finish();
}

#[test]
fn a_far_end_that_is_stale_for_ever_is_given_up() {
    let mut rig = Rig::new();
    let (_, mut invite) = rig.place(rig.with_credentials());
    let stale = ("WWW-Authenticate", "Digest realm=\"trunk\", nonce=\"n3\", stale=true");
    for _ in 0..3 {
        invite = challenge(&mut rig, &invite, 401, stale);
    }
    rig.respond(&invite, 401, "far", &[stale]);
    rig.take(TransmitKind::Ack);
    assert_eq!(rig.ended().note, Some("challenged too often"));
    rig.finish();
}

#[test]
fn a_challenge_without_credentials_is_ours_to_fix() {
    let mut rig = Rig::new();
    let (_, invite) = rig.place(rig.plain());
    rig.respond(&invite, 401, "far", &[SHA]);
    rig.take(TransmitKind::Ack);
    assert_eq!(rig.ended().ending, Ending::Misconfigured);
    let (_, invite) = rig.place(rig.with_credentials());
    rig.respond(&invite, 401, "far", &[("WWW-Authenticate", "Basic realm=\"x\"")]);
    rig.take(TransmitKind::Ack);
    assert_eq!(rig.ended().note, Some("no challenge that can be answered"));
    rig.finish();
}

#[test]
fn a_challenge_after_not_after_is_not_answered() {
    let mut rig = Rig::new();
    let not_after = rig.now + Duration::from_millis(300);
    let (_, invite) = rig.place(Invite { not_after, ..rig.with_credentials() });
    rig.advance(Duration::from_millis(301));
    rig.respond(&invite, 407, "proxy", &[MD5]);
    rig.take(TransmitKind::Ack);
    rig.nothing_sent();
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by, ended.code), (Ending::Cancelled, By::Local, Some(407)));
    assert_eq!(ended.note, Some("challenged after not_after"));
    rig.finish();
}

#[test]
fn a_resend_the_driver_did_not_send_ends_the_call() {
    let mut rig = Rig::new();
    let (call, first) = rig.place(rig.with_credentials());
    challenge(&mut rig, &first, 407, MD5);
    rig.endpoint.not_sent(call, rig.now);
    rig.drain();
    let ended = rig.ended();
    assert_eq!((ended.ending, ended.by, ended.code), (Ending::Cancelled, By::Local, Some(407)));
    rig.finish();
}

#[test]
fn a_challenge_to_a_cancelled_invite_is_not_answered() {
    let mut rig = Rig::new();
    let (call, invite) = rig.place(rig.with_credentials());
    rig.endpoint.cancel(call, "", rig.now);
    rig.respond(&invite, 407, "proxy", &[MD5]);
    rig.take(TransmitKind::Ack);
    rig.nothing_sent();
    assert_eq!(rig.ended().ending, Ending::Cancelled);
    rig.finish();
}

#[test]
fn an_early_answer_to_the_resend_is_an_early_event() {
    let mut rig = Rig::new();
    let (call, first) = rig.place(rig.with_credentials());
    let invite = challenge(&mut rig, &first, 407, MD5);
    rig.respond(&invite, 183, "far", &[]);
    assert_eq!(rig.event(), Event::Early { call, code: 183, sdp: None });
    rig.respond(&invite, 404, "far", &[]);
    rig.take(TransmitKind::Ack);
    assert_eq!(rig.ended().ending, Ending::InvalidNumber);
    rig.finish();
}
