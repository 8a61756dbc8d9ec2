//! Reading what SIP allows and what carriers send, and printing only what SIP asks for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use dialer_sip::wire::{
    CSeq, Message, NameAddr, RequestBuilder, ResponseBuilder, Uri, Via, WireError,
};
use proptest::prelude::*;

fn parse(text: &str) -> Message<'_> {
    Message::parse(text.as_bytes()).unwrap()
}

#[test]
fn compact_folded_blank_before_colon_bare_lf_and_leading_crlf_are_read() {
    let text = "\r\n\r\nSIP/2.0 200 OK\nv : SIP / 2.0 / UDP  192.0.2.1:5060 ;branch\n = z9hG4bK1 ,SIP/2.0/TCP x\n\
                F: \"a, \\\"b\" <sip:a@b>\r\n ;tag=1\r\nt: sip:c@d ; tag=2\ni:id\nCSEQ\t: 0009\r\n\tINVITE\nl: 3\n\nabcd";
    let message = parse(text);
    let base = message.base().unwrap();
    assert_eq!(base.via.branch(), Some(&b"z9hG4bK1"[..]));
    assert_eq!(
        (base.via.host, base.via.port, base.via.transport),
        (&b"192.0.2.1"[..], Some(5060), &b"UDP"[..])
    );
    assert_eq!(base.from.tag(), Some(&b"1"[..]));
    assert_eq!(base.from.display, b"a, \\\"b");
    assert_eq!((base.to.uri, base.to.tag()), (&b"sip:c@d"[..], Some(&b"2"[..])));
    assert_eq!((base.cseq.number, base.cseq.method), (9, &b"INVITE"[..]));
    assert_eq!(base.call_id, b"id");
    assert_eq!(message.body(), b"abc");
    assert_eq!(message.values("Via").count(), 2);
}

#[test]
fn bytes_that_are_not_utf_8_and_binary_bodies_are_kept() {
    let raw = b"INVITE sip:a@b SIP/2.0\r\nFrom: J\xf6rg <sip:a@b>;tag=1\r\nContent-Length: 4\r\n\r\n\x00\xff\r\n";
    let message = Message::parse(raw).unwrap();
    assert_eq!(message.from().unwrap().display, b"J\xf6rg");
    assert_eq!(message.body(), b"\x00\xff\r\n");
    assert_eq!(dialer_sip::wire::text(b"J\xf6rg"), "J\u{f6}rg");
}

#[test]
fn content_length_is_honoured_both_ways() {
    let message = |length: &str| format!("SIP/2.0 200 OK\r\n{length}\r\nbody");
    assert_eq!(parse(&message("")).body(), b"body");
    assert_eq!(parse(&message("Content-Length: 0\r\n")).body(), b"");
    assert_eq!(parse(&message("l: 2\r\nContent-Length: 2\r\n")).body(), b"bo");
    for (length, error) in [
        ("Content-Length: 5\r\n", WireError::Truncated),
        ("Content-Length: -1\r\n", WireError::ContentLength),
        ("Content-Length: 99999999999\r\n", WireError::ContentLength),
        ("Content-Length: \r\n", WireError::ContentLength),
        ("Content-Length: 1\r\nl: 2\r\n", WireError::ContentLength),
    ] {
        assert_eq!(Message::parse(message(length).as_bytes()).unwrap_err(), error, "{length}");
    }
}

#[test]
fn lists_are_split_at_commas_outside_quotes_and_brackets() {
    let message = parse(
        "SIP/2.0 302 Moved\r\nContact: \"a, b\" <sip:a@b;x=1,2>;q=0.5, sip:c@d\r\nX: 1\r\nm: <sip:e@f>,,\r\n\r\n",
    );
    let contacts: Vec<_> = message.values("Contact").map(|c| NameAddr::parse(c).unwrap()).collect();
    assert_eq!(contacts.len(), 3);
    assert_eq!(
        (contacts[0].uri, contacts[0].params.get("Q")),
        (&b"sip:a@b;x=1,2"[..], Some(&b"0.5"[..]))
    );
    assert_eq!(contacts[2].uri, b"sip:e@f");
    assert_eq!(message.contact_uri(), Some(&b"sip:a@b;x=1,2"[..]));
}

#[test]
fn a_uri_gives_user_host_port_and_parameters() {
    let uri = Uri::parse(b"sip:a;b?c:pw@[2001:db8::1]:5070;lr;x=y?Subject=z").unwrap();
    assert_eq!((uri.user, uri.host, uri.port), (&b"a;b?c"[..], &b"[2001:db8::1]"[..], Some(5070)));
    assert_eq!((uri.params.get("LR"), uri.params.get("x")), (Some(&b""[..]), Some(&b"y"[..])));
    assert_eq!(uri.address().unwrap().to_string(), "[2001:db8::1]:5070");
    assert_eq!(Uri::parse(b"sips:192.0.2.1").unwrap().address().unwrap().port(), 5060);
    assert_eq!(Uri::parse(b"sip:example.com").unwrap().address(), None);
    for other in [&b"tel:+1555"[..], b"sip:", b"sip:a@", b"sip:h:99999", b""] {
        assert_eq!(Uri::parse(other), None);
    }
}

#[test]
fn fields_that_cannot_be_read_are_errors() {
    for via in [
        &b"SIP/3.0/UDP h"[..],
        b"SIP/2.0/UDP",
        b"SIP/2.0/UDP h:x",
        b"",
        b"SIP/2.0/UDP ;branch=1",
        b"HTTP/2.0/UDP h",
    ] {
        assert!(Via::parse(via).is_err(), "{via:?}");
    }
    for name in [&b"\"open <sip:a@b>"[..], b"<sip:a@b", b"<>", b"", b";tag=1"] {
        assert!(NameAddr::parse(name).is_err(), "{name:?}");
    }
    for cseq in [&b"1"[..], b"x INVITE", b"2147483648 INVITE", b"1 IN VITE", b"1 "] {
        assert!(CSeq::parse(cseq).is_err(), "{cseq:?}");
    }
}

/// After RFC 4475 section 3.1.2 and 3.3: messages to refuse, in words of our own.
#[test]
fn ill_formed_messages_are_refused() {
    let cases = [
        ("INVITE sip:a@b SIP/7.0\r\n\r\n", WireError::Version),
        ("SIP/2.0 4294967301 Big\r\n\r\n", WireError::Status),
        ("SIP/2.0 099 Small\r\n\r\n", WireError::Status),
        ("INVITE <sip:a@b> SIP/2.0\r\n\r\n", WireError::StartLine),
        ("INVITE sip:a@b; x SIP/2.0\r\n\r\n", WireError::StartLine),
        ("INVITE sip:a@b\r\n\r\n", WireError::StartLine),
        ("INV@ITE sip:a@b SIP/2.0\r\n\r\n", WireError::StartLine),
        ("hello", WireError::StartLine),
        ("\r\n\r\n", WireError::Empty),
    ];
    for (text, error) in cases {
        assert_eq!(Message::parse(text.as_bytes()).unwrap_err(), error, "{text}");
    }
}

#[test]
fn a_message_lacking_a_required_header_or_with_two_methods_has_no_base() {
    let lines = [
        "Via: SIP/2.0/UDP h;branch=z9hG4bK1",
        "From: <sip:a@b>;tag=1",
        "To: <sip:c@d>",
        "Call-ID: x",
        "CSeq: 1 OPTIONS",
    ];
    let all = format!("OPTIONS sip:c@d SIP/2.0\r\n{}\r\n\r\n", lines.join("\r\n"));
    assert!(parse(&all).base().is_ok());
    for (left_out, name) in ["Via", "From", "To", "Call-ID", "CSeq"].into_iter().enumerate() {
        let rest: Vec<_> =
            lines.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, l)| *l).collect();
        let text = format!("OPTIONS sip:c@d SIP/2.0\r\n{}\r\n\r\n", rest.join("\r\n"));
        assert_eq!(parse(&text).base().unwrap_err(), WireError::Missing(name));
    }
    let mixed = all.replace("1 OPTIONS", "1 INVITE");
    assert_eq!(parse(&mixed).base().unwrap_err(), WireError::Malformed("CSeq"));
}

#[test]
fn a_response_copies_what_it_must_and_fills_in_the_via() {
    let request = "INVITE sip:c@d SIP/2.0\r\nv: SIP/2.0/UDP h:5071;branch=z9hG4bK1;rport, SIP/2.0/UDP i;branch=2\r\n\
                   f: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\ni: x\r\nCSeq: 7 INVITE\r\nRecord-Route: <sip:p;lr>,\r\n <sip:q;lr>\r\n\r\n";
    let request = parse(request);
    let source = "192.0.2.9:6000".parse().unwrap();
    let ok = ResponseBuilder::new(&request, 200, "OK", "far", Some(source)).unwrap();
    let ok = ok.header("Contact", "<sip:d>\r\nEvil: 1").body("application/sdp", b"v=0\r\n");
    assert_eq!(
        String::from_utf8(ok).unwrap(),
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h:5071;branch=z9hG4bK1;rport=6000;received=192.0.2.9\r\n\
         Via: SIP/2.0/UDP i;branch=2\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=far\r\nCall-ID: x\r\n\
         CSeq: 7 INVITE\r\nRecord-Route: <sip:p;lr>,   <sip:q;lr>\r\nContact: <sip:d>  Evil: 1\r\n\
         Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    );
    let trying = ResponseBuilder::new(&request, 100, "Trying", "far", None).unwrap().build();
    let trying = Message::parse(&trying).unwrap();
    assert_eq!((trying.to_tag(), trying.header("Record-Route")), (None, None));
}

/// Well-formed, or ill-formed in ways that do not concern a client.
const ACCEPT: [&str; 27] = [
    "wsinv",
    "intmeth",
    "esc01",
    "escnull",
    "esc02",
    "lwsdisp",
    "longreq",
    "dblreq",
    "semiuri",
    "transports",
    "mpart01",
    "unreason",
    "noreason",
    "badbranch",
    "bcast",
    "bext01",
    "cparam01",
    "cparam02",
    "inv2543",
    "invut",
    "novelsc",
    "regaut01",
    "regescrt",
    "sdp01",
    "unkscm",
    "unksm2",
    "zeromf",
];

/// To be refused.
const REFUSE: [&str; 13] = [
    "clerr",
    "ncl",
    "scalar02",
    "scalarlg",
    "quotbal",
    "ltgtruri",
    "lwsruri",
    "badvers",
    "mismatch01",
    "mismatch02",
    "bigcode",
    "insuf",
    "mcl01",
];

/// RFC 4475's own messages, where the shared folder is at hand: all are read without panic, the
/// well-formed ones in full, and of the ill-formed ones those that would mislead a client refused.
#[test]
fn the_torture_messages_of_rfc_4475_are_read_or_refused_as_they_should() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/sip-torture");
    if !std::path::Path::new(folder).is_dir() {
        println!("skipped: {folder} is absent");
        return;
    }
    let read = |name: &str| std::fs::read(format!("{folder}/{name}.dat")).unwrap();

    let mut wrong = Vec::new();
    for name in ACCEPT {
        let bytes = read(name);
        let outcome = Message::parse(&bytes).and_then(|message| message.base().map(|_| ()));
        if let Err(error) = outcome {
            wrong.push(format!("{name}: {error}"));
        }
    }

    for name in REFUSE {
        let bytes = read(name);
        if Message::parse(&bytes).and_then(|message| message.base().map(|_| ())).is_ok() {
            wrong.push(format!("{name}: accepted"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for name in [
        "multi01", "badinv01", "lwsstart", "trws", "escruri", "baddate", "regbadct", "badaspec",
        "baddn",
    ] {
        let bytes = read(name);
        let outcome = Message::parse(&bytes).and_then(|message| message.base().map(|_| ()));
        println!("{name}: {outcome:?} (either will do: it concerns servers)");
    }
}

/// Touches every accessor.
fn exercise(message: &Message<'_>) {
    let _ = (
        message.base().is_ok(),
        message.branch(),
        message.from_tag(),
        message.to_tag(),
        message.contact_uri(),
    );
    for name in ["Via", "Record-Route", "Contact", "WWW-Authenticate"] {
        for value in message.values(name) {
            if let Ok(address) = NameAddr::parse(value) {
                let _ = Uri::parse(address.uri).and_then(|uri| uri.address());
                assert!(address.params.iter().count() <= value.len());
            }
        }
    }
    let answer =
        ResponseBuilder::new(message, 200, "OK", "t", Some("192.0.2.1:5060".parse().unwrap()));
    if let Ok(answer) = answer {
        let bytes = answer.body("application/sdp", b"x");
        if bytes.len() <= dialer_sip::wire::MAX_DATAGRAM {
            let answer = Message::parse(&bytes).unwrap();
            assert_eq!((answer.status(), answer.body()), (Some(200), &b"x"[..]));
            assert_eq!(answer.headers().filter(|header| header.is("Content-Length")).count(), 1);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(message) = Message::parse(&bytes) {
            exercise(&message);
        }
    }

    #[test]
    fn no_line_noise_after_a_good_start_makes_the_accessors_panic(
        lines in prop::collection::vec("(v|Via|From|t|CSeq|m|Contact|Record-Route|l|i)?[ :]{0,2}[ -~\r\n\t]{0,40}", 0..12),
        request in any::<bool>(),
    ) {
        let first = if request { "INVITE sip:a@b SIP/2.0" } else { "SIP/2.0 200 OK" };
        let text = format!("{first}\r\n{}\r\n\r\nbody", lines.join("\r\n"));
        if let Ok(message) = Message::parse(text.as_bytes()) {
            exercise(&message);
        }
    }

    #[test]
    fn what_is_printed_is_read_back(
        values in prop::collection::vec(("X-[a-z]{1,8}", "[!-~]([ -~\r\n]{0,20}[!-~])?"), 0..6),
        body in prop::collection::vec(any::<u8>(), 1..80),
    ) {
        let mut request = RequestBuilder::new("OPTIONS", b"sip:a@b");
        for (name, value) in &values {
            request = request.header(name, value);
        }
        let bytes = request.body("application/x", &body);
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.body(), &body[..]);
        let read: Vec<_> = message.headers().filter(|header| header.name.starts_with(b"X-")).collect();
        prop_assert_eq!(read.len(), values.len());
        for (header, (name, value)) in read.iter().zip(&values) {
            prop_assert_eq!(header.name, name.as_bytes());
            let printed = value.replace(['\r', '\n'], " ");
            prop_assert_eq!(header.value, printed.as_bytes());
        }
    }
}
