use proptest::prelude::*;

use super::*;

fn offer() -> Offer {
    Offer::new(77, "192.0.2.10".parse().unwrap(), 40_000)
}

fn read(body: &str) -> Result<Answer, AnswerError> {
    Answer::read(format!("v=0\r\n{body}").as_bytes(), &offer())
}

#[test]
fn the_offer_is_this_text() {
    assert_eq!(
        offer().to_string(),
        "v=0\r\no=- 77 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    let six = Offer::new(1, "2001:db8::7".parse().unwrap(), 5_004).to_string();
    assert!(six.contains("\r\nc=IN IP6 2001:db8::7\r\n"), "{six}");
}

#[test]
fn an_offer_read_as_an_answer_says_what_it_was_made_of() {
    for codecs in [vec![Codec::Pcma], vec![Codec::Pcma, Codec::Pcmu], Codec::ALL.to_vec()] {
        let ours = Offer { codecs: codecs.clone(), ..offer() };
        let answer = Answer::read(ours.to_string().as_bytes(), &offer()).unwrap();
        assert_eq!(
            answer,
            Answer {
                remote: "192.0.2.10:40000".parse().unwrap(),
                codec: codecs[0],
                payload_type: codecs[0].payload_type(),
                telephone_event: Some(101),
                direction: Direction::SendRecv,
                ptime_ms: Some(20),
            }
        );
        assert!(answer.may_send() && answer.will_send());
    }
}

#[test]
fn the_connection_of_the_media_wins_over_that_of_the_whole() {
    let answer =
        read("c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.2\r\n").unwrap();
    assert_eq!(answer.remote, "192.0.2.2:4000".parse().unwrap());
    let answer = read("c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n").unwrap();
    assert_eq!(answer.remote, "192.0.2.1:4000".parse().unwrap());
    assert_eq!((answer.telephone_event, answer.ptime_ms), (None, None));
}

#[test]
fn the_first_format_that_was_offered_is_taken_under_its_payload_type() {
    for (formats, maps, expected) in [
        ("18 8 0", "", (Codec::Pcma, 8)),
        ("0 8", "", (Codec::Pcmu, 0)),
        ("96 0", "a=rtpmap:96 pcma/8000\r\n", (Codec::Pcma, 96)),
        ("0 8", "a=rtpmap:0 PCMU/16000\r\n", (Codec::Pcma, 8)),
        ("0", "a=rtpmap:0 PCMU/8000/1\r\n", (Codec::Pcmu, 0)),
    ] {
        let answer =
            read(&format!("c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP {formats}\r\n{maps}"));
        let answer = answer.unwrap();
        assert_eq!((answer.codec, answer.payload_type), expected, "{formats} {maps}");
    }
}

#[test]
fn a_format_that_was_not_offered_is_not_taken() {
    let only = Offer { codecs: vec![Codec::Pcma], ..offer() };
    let text = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0 18\r\n";
    assert_eq!(Answer::read(text, &only), Err(AnswerError::NoCodec("0 18".into())));
}

#[test]
fn directions_and_the_old_hold_decide_who_sends() {
    for (whole, media, may_send, will_send) in [
        ("", "", true, true),
        ("", "a=sendrecv\r\n", true, true),
        ("", "a=sendonly\r\n", false, true),
        ("", "a=recvonly\r\n", true, false),
        ("", "a=inactive\r\n", false, false),
        ("a=inactive\r\n", "", false, false),
        ("a=inactive\r\n", "a=recvonly\r\n", true, false),
        ("", "c=IN IP4 0.0.0.0\r\n", false, true),
        ("", "c=IN IP6 ::\r\n", false, true),
    ] {
        let text = format!("c=IN IP4 192.0.2.1\r\n{whole}m=audio 4000 RTP/AVP 0\r\n{media}");
        let answer = read(&text).unwrap();
        assert_eq!((answer.may_send(), answer.will_send()), (may_send, will_send), "{text}");
    }
}

#[test]
fn an_answer_that_leaves_no_way_to_send_says_why() {
    let at = "c=IN IP4 192.0.2.1\r\n";
    for (text, error) in [
        (at.to_owned(), AnswerError::NoAudio),
        (format!("{at}m=video 4000 RTP/AVP 31\r\n"), AnswerError::NoAudio),
        (format!("{at}m=audio 0 RTP/AVP 0\r\n"), AnswerError::Rejected),
        (format!("{at}m=audio 4000 RTP/SAVP 0\r\n"), AnswerError::Transport("RTP/SAVP".into())),
        (format!("{at}m=audio 4000 RTP/AVP\r\n"), AnswerError::NoCodec(String::new())),
        (format!("{at}m=audio 4000 RTP/AVP 256 -8 x\r\n"), AnswerError::NoCodec("256 -8 x".into())),
        ("m=audio 4000 RTP/AVP 0\r\n".into(), AnswerError::NoConnection),
        (
            "c=IN IP4 233.252.0.1/127\r\nm=audio 4000 RTP/AVP 0\r\n".into(),
            AnswerError::Address("233.252.0.1".into()),
        ),
        (
            "c=IN IP4 255.255.255.255\r\nm=audio 4000 RTP/AVP 0\r\n".into(),
            AnswerError::Address("255.255.255.255".into()),
        ),
        (
            "c=IN IP4 media.example.com\r\nm=audio 4000 RTP/AVP 0\r\n".into(),
            AnswerError::Address("media.example.com".into()),
        ),
    ] {
        assert_eq!(read(&text), Err(error), "{text}");
    }
    assert!(matches!(Answer::read(b"", &offer()), Err(AnswerError::Sdp(_))));
}

proptest! {
    #[test]
    fn no_damage_to_an_answer_makes_a_panic(at in any::<prop::sample::Index>(), to: u8, cut in any::<prop::sample::Index>()) {
        let mut bytes = offer().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _whole = Answer::read(&bytes, &offer());
        let _part = Answer::read(&bytes[..cut.index(bytes.len())], &offer());
    }
}
