//! rsip as a second opinion: on every message that rsip reads, both readings agree.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use rsip::prelude::*;

use super::Message;

/// Compares the readings of one datagram. `false` where rsip does not read it or lacks a header.
fn agrees(raw: &[u8]) -> bool {
    let Ok(theirs) = rsip::SipMessage::try_from(raw) else {
        return false;
    };
    let Ok(ours) = Message::parse(raw) else {
        // rsip ignores Content-Length; a body that is cut off is ours to refuse.
        return false;
    };
    match &theirs {
        rsip::SipMessage::Request(request) => {
            assert_eq!(ours.method(), Some(request.method.to_string().as_bytes()));
            assert!(ours.request_uri().is_some());
        }
        rsip::SipMessage::Response(response) => {
            assert_eq!(ours.status(), Some(response.status_code.code()));
        }
    }
    let (Ok(call_id), Ok(from), Ok(to), Ok(cseq), Ok(via)) = (
        theirs.call_id_header(),
        theirs.from_header().and_then(|from| from.typed()),
        theirs.to_header().and_then(|to| to.typed()),
        theirs.cseq_header().and_then(|cseq| cseq.typed()),
        theirs.via_header().and_then(|via| via.typed()),
    ) else {
        return false;
    };
    assert_eq!(ours.call_id().unwrap(), call_id.value().as_bytes());
    let tag = |params: &[rsip::Param]| {
        params.iter().find_map(|param| match param {
            rsip::Param::Tag(tag) => Some(tag.value().as_bytes().to_vec()),
            _ => None,
        })
    };
    assert_eq!(ours.from_tag().map(<[u8]>::to_vec), tag(&from.params));
    assert_eq!(ours.to_tag().map(<[u8]>::to_vec), tag(&to.params));
    assert_eq!(ours.from().unwrap().uri, from.uri.to_string().as_bytes());
    assert_eq!(ours.cseq().unwrap().number, cseq.seq);
    assert_eq!(ours.cseq().unwrap().method, cseq.method.to_string().as_bytes());
    let branch = via.branch().map(|branch| branch.value().as_bytes());
    assert_eq!(ours.branch(), branch);
    // rsip's body is everything after the blank line; ours stops where Content-Length says.
    assert!(theirs.body().starts_with(ours.body()));
    true
}

fn token() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.!%*_+~-]{1,12}"
}

prop_compose! {
    fn message()(
        request in any::<bool>(),
        status in 100_u16..700,
        words in prop::array::uniform5(token()),
        number in 0_u32..1 << 31,
        tagged in any::<(bool, bool)>(),
        port in prop::option::of(1_u16..),
        body in prop::collection::vec(b' '..b'~', 0..40),
        extra in prop::collection::vec((token(), "[ -~]{0,30}"), 0..5),
        display in prop::option::of("[a-z ]{1,10}"),
    ) -> Vec<u8> {
        let [branch, from_tag, to_tag, call_id, user] = words;
        let first = if request {
            format!("INVITE sip:{user}@example.com SIP/2.0")
        } else {
            format!("SIP/2.0 {status} Some words")
        };
        let sent_by = port.map_or("192.0.2.1".to_owned(), |port| format!("192.0.2.1:{port}"));
        let tag = |with: bool, tag: &str| if with { format!(";tag={tag}") } else { String::new() };
        let display = display.map(|name| format!("\"{name}\" ")).unwrap_or_default();
        let mut out = format!(
            "{first}\r\nVia: SIP/2.0/UDP {sent_by};branch=z9hG4bK{branch};rport\r\n\
             From: {display}<sip:a@example.com>{}\r\nTo: <sip:{user}@example.com;user=phone>{}\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} INVITE\r\n",
            tag(tagged.0, &from_tag), tag(tagged.1, &to_tag),
        );
        for (name, value) in extra {
            out.push_str(&format!("X-{name}: {value}\r\n"));
        }
        out.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut out = out.into_bytes();
        out.extend_from_slice(&body);
        out
    }
}

proptest! {
    #[test]
    fn what_rsip_reads_we_read_the_same(raw in message()) {
        let message = Message::parse(&raw).unwrap();
        prop_assert!(message.base().is_ok());
        agrees(&raw);
    }
}

#[test]
fn rsip_reads_the_usual_messages_so_that_the_comparison_compares() {
    let usual =
        b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport\r\n\
        From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\nCall-ID: x@y\r\n\
        CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    assert!(agrees(usual));
    let request =
        b"INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKabc\r\n\
        From: \"A\" <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: x@y\r\n\
        CSeq: 1 INVITE\r\nContent-Length: 2\r\n\r\nhi";
    assert!(agrees(request));
}

/// RFC 4475's messages, where the shared folder is at hand.
#[test]
fn rsip_and_we_agree_on_the_torture_messages_it_reads() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/sip-torture");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: {folder} is absent");
        return;
    };
    let files = entries.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|ext| ext == "dat"));
    let agreed = files.filter(|path| agrees(&std::fs::read(path).unwrap())).count();
    assert!(agreed >= 5, "only {agreed} compared");
}
