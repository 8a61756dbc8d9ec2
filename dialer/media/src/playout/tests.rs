#![expect(clippy::disallowed_methods, reason = "an Instant cannot be made without reading a clock")]

use proptest::prelude::*;
use rtp_rs::RtpReader;

use super::*;
use crate::{Codec, Prompt};

/// A prompt whose frame number `n` is full of one level of its own.
fn frames(count: i16, codec: Codec) -> Frames {
    let samples: Vec<i16> = (0..count).flat_map(|no| [no * 500; 160]).collect();
    Prompt::from_samples(&samples, 8_000).unwrap().frames(codec)
}

/// What a packet says: marker, payload type, sequence number, timestamp, source, payload.
type Seen = (bool, u8, u16, u32, u32, Vec<u8>);

fn read(packet: &[u8]) -> Seen {
    let rtp = RtpReader::new(packet).unwrap();
    assert_eq!((rtp.version(), rtp.padding(), rtp.csrc_count()), (2, None, 0));
    assert!(rtp.extension().is_none());
    let sequence = rtp.sequence_number().into();
    (rtp.mark(), rtp.payload_type(), sequence, rtp.timestamp(), rtp.ssrc(), rtp.payload().to_vec())
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn each_packet_carries_its_frame_under_the_right_header_even_as_counters_wrap() {
    let start = Instant::now();
    let frames = frames(5, Codec::Pcma);
    let mut playout = Playout::new(frames.clone(), 0xDEAD_BEEF, 65_534, u32::MAX - 200, start);
    for (no, sequence) in [(0_usize, 65_534), (1, 65_535), (2, 0), (3, 1), (4, 2)] {
        let at = start + span(no);
        assert_eq!(playout.poll_timeout(), Some(at));
        assert_eq!(playout.poll_packet(at - ms(1)), None);
        let timestamp = (u32::MAX - 200).wrapping_add(samples(no));
        let payload = frames.get(no).unwrap().to_vec();
        let packet = playout.poll_packet(at).unwrap();
        assert_eq!(packet.len(), 172);
        assert_eq!(read(packet), (no == 0, 8, sequence, timestamp, 0xDEAD_BEEF, payload));
        assert_eq!(playout.poll_packet(at), None);
    }
    assert_eq!((playout.poll_timeout(), playout.sent()), (None, 5));
}

#[test]
fn it_is_finished_when_the_last_frame_has_been_heard_and_not_when_it_was_sent() {
    let start = Instant::now();
    let mut playout = Playout::new(frames(2, Codec::Pcmu), 1, 1, 1, start);
    assert_eq!(playout.ends_at(), start + ms(40));
    assert!(playout.poll_packet(start).is_some());
    assert!(!playout.finished(start + ms(60)), "a frame is still to be sent");
    assert!(playout.poll_packet(start + ms(20)).is_some());
    assert!(!playout.finished(start + ms(39)));
    assert!(playout.finished(start + ms(40)));
    assert_eq!(playout.poll_packet(start + ms(400)), None);
}

#[test]
fn the_payload_type_of_the_answer_is_used() {
    let start = Instant::now();
    let mut playout = Playout::new(frames(1, Codec::Pcmu), 1, 1, 1, start).with_payload_type(96);
    assert_eq!(read(playout.poll_packet(start).unwrap()).1, 96);
    let mut playout = Playout::new(frames(1, Codec::Pcmu), 1, 1, 1, start).with_payload_type(255);
    assert_eq!(read(playout.poll_packet(start).unwrap()).1, 127);
}

#[test]
fn a_driver_that_is_a_little_late_catches_up_to_the_schedule() {
    let start = Instant::now();
    let mut playout = Playout::new(frames(10, Codec::Pcmu), 1, 1, 1, start);
    let late = start + ms(99);
    let packets = std::iter::from_fn(|| playout.poll_packet(late).map(<[u8]>::len)).count();
    assert_eq!(packets, 5);
    assert_eq!(playout.poll_timeout(), Some(start + ms(100)));
    assert_eq!(playout.ends_at(), start + ms(200));
}

#[test]
fn a_driver_that_was_stopped_plays_the_rest_later_as_a_new_talkspurt() {
    let start = Instant::now();
    let mut playout = Playout::new(frames(4, Codec::Pcmu), 1, 10, 1_000, start);
    assert!(playout.poll_packet(start).is_some());
    let back = start + ms(20 + 1_010);
    let (marker, _, sequence, timestamp, ..) = read(playout.poll_packet(back).unwrap());
    // 50 whole frames of silence lie between the frames 0 and 1.
    assert_eq!((marker, sequence, timestamp), (true, 11, 1_000 + 160 + 50 * 160));
    assert_eq!(playout.poll_packet(back), None);
    assert_eq!(playout.poll_timeout(), Some(back + ms(20)));
    let (marker, _, sequence, timestamp, ..) = read(playout.poll_packet(back + ms(20)).unwrap());
    assert_eq!((marker, sequence, timestamp), (false, 12, 1_000 + 160 * 2 + 50 * 160));
    assert_eq!(playout.ends_at(), back + ms(60));
}

proptest! {
    #[test]
    fn every_frame_is_sent_once_in_order_never_early_and_never_in_bursts(
        pauses in prop::collection::vec(prop_oneof![0_u64..5, 0_u64..40, 0_u64..2_000], 1..200),
        seq0: u16, ts0: u32,
    ) {
        let start = Instant::now();
        let sounds = frames(30, Codec::Pcmu);
        let mut playout = Playout::new(sounds.clone(), 7, seq0, ts0, start);
        let mut now = start;
        let mut seen = 0_usize;
        let mut last = None;
        for pause in pauses {
            now += ms(pause);
            let mut burst = 0;
            while let Some(due) = playout.poll_timeout() {
                let Some(packet) = playout.poll_packet(now) else {
                    prop_assert!(now < due);
                    break;
                };
                prop_assert!(now >= due);
                let (marker, _, sequence, timestamp, _, payload) = read(packet);
                prop_assert_eq!(sequence, seq0.wrapping_add(u16::try_from(seen).unwrap()));
                prop_assert_eq!(&payload[..], sounds.get(seen).unwrap());
                let elapsed = timestamp.wrapping_sub(ts0);
                // The timestamp never runs ahead of the clock, nor steps but by whole frames.
                prop_assert!(u128::from(elapsed / 160) * 20 <= (now - start).as_millis());
                prop_assert_eq!(elapsed % 160, 0);
                let step = last.map(|last: u32| elapsed - last);
                prop_assert!(step.is_none_or(|step| step == 160 || marker && step > 160));
                last = Some(elapsed);
                seen += 1;
                burst += 1;
            }
            prop_assert!(burst <= 5, "{burst} packets at one moment");
        }
        prop_assert_eq!(playout.sent(), seen);
    }
}
