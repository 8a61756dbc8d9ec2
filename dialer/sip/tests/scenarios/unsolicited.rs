//! Requests that nobody asked for.

use dialer_sip::TransmitKind;
use dialer_sip::wire::RequestBuilder;

use crate::rig::Rig;

fn stranger(method: &str, to_tag: &str, via: &str) -> Vec<u8> {
    RequestBuilder::new(method, b"sip:198.51.100.7:5080")
        .header("Via", via)
        .header("From", "<sip:x@192.0.2.66>;tag=abc")
        .header("To", format!("<sip:y@198.51.100.7>{to_tag}"))
        .header("Call-ID", "unknown")
        .header("CSeq", format!("1 {method}"))
        .build()
}

const VIA: &str = "SIP/2.0/UDP 192.0.2.66:5099;branch=z9hG4bKx;rport";

#[test]
fn strangers_get_polite_answers() {
    let mut rig = Rig::new();
    let cases = [
        ("INVITE", "", 486),
        ("OPTIONS", "", 200),
        ("CANCEL", "", 481),
        ("BYE", ";tag=none", 481),
        ("BYE", ";tag=000000000000000000000000", 481),
        ("INVITE", ";tag=none", 481),
        ("REGISTER", "", 405),
        ("MESSAGE", "", 405),
        ("FROB", "", 501),
    ];
    for (method, tag, status) in cases {
        let request = stranger(method, tag, VIA);
        rig.receive(&request);
        let first = rig.take(TransmitKind::Response);
        let answer = first.message();
        assert_eq!(answer.status(), Some(status), "{method} {tag}");
        assert!(answer.to_tag().is_some());
        assert_eq!(answer.top_via().unwrap().rport(), Some(Some(5060)));
        assert_eq!(answer.top_via().unwrap().received(), Some(&b"192.0.2.1"[..]));
        // Sent to where it came from, and the same again for the same request.
        assert_eq!(first.to, Rig::trunk());
        rig.receive(&request);
        assert_eq!(rig.take(TransmitKind::Response).bytes, first.bytes);
    }
    for tag in ["", ";tag=none"] {
        rig.receive(&stranger("ACK", tag, VIA));
        rig.nothing_sent();
    }
    rig.finish();
}

#[test]
fn without_rport_the_answer_goes_to_the_port_of_via() {
    let mut rig = Rig::new();
    rig.receive(&stranger("OPTIONS", "", "SIP/2.0/UDP 192.0.2.66:5099;branch=z9hG4bKx"));
    assert_eq!(rig.take(TransmitKind::Response).to, "192.0.2.1:5099".parse().unwrap());
    rig.finish();
}

#[test]
fn noise_is_counted_and_not_answered() {
    let mut rig = Rig::new();
    rig.receive(b"");
    rig.receive(b"\r\n\r\n");
    assert_eq!(rig.endpoint.malformed(), 0);
    rig.receive(b"GET / HTTP/1.1\r\n\r\n");
    rig.receive(&vec![b'a'; 65_536]);
    rig.receive(b"SIP/2.0 200 OK\r\n\r\n");
    assert_eq!(rig.endpoint.malformed(), 3);
    rig.receive(b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: x\r\n\r\n");
    assert_eq!(rig.take(TransmitKind::Response).message().status(), Some(400));
    rig.finish();
}
