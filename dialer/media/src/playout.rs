//! Playing a prompt as RTP (RFC 3550), without a clock or a socket.

use std::time::{Duration, Instant};

use rtp_rs::{RtpPacketBuilder, Seq};

use crate::prompt::{FRAME, FRAME_SAMPLES, Frames, span};

/// The RTP header without contributing sources or extension.
const HEADER: usize = 12;
/// Frames sent back to back after a delay; after a longer one the rest is played later instead.
const MAX_BEHIND: u32 = 5;

/// One prompt on its way to one far end: a frame each 20 ms.
///
/// The driver asks [`Playout::poll_timeout`] when to come back, then calls
/// [`Playout::poll_packet`] until it gives nothing. A driver that comes late by up to 100 ms catches
/// up; one that comes later plays the rest later, as a new talkspurt, so that no word is lost and
/// no burst of packets is sent.
#[derive(Debug, Clone)]
pub struct Playout {
    frames: Frames,
    payload_type: u8,
    ssrc: u32,
    sequence: Seq,
    /// The timestamp of the first frame.
    timestamp: u32,
    /// When the first frame is due; moved when the rest is played later.
    start: Instant,
    /// Index of the next frame.
    next: usize,
    /// Whether the next frame begins a talkspurt (RFC 3551 section 4.1).
    marker: bool,
    packet: [u8; HEADER + FRAME_SAMPLES],
}

impl Playout {
    /// A playout whose first frame is due at `start`. The RTP source, first sequence number and
    /// first timestamp are to be random (RFC 3550 section 5.1).
    #[must_use]
    pub fn new(frames: Frames, ssrc: u32, seq0: u16, ts0: u32, start: Instant) -> Self {
        Self {
            payload_type: frames.codec().payload_type(),
            frames,
            ssrc,
            sequence: Seq::from(seq0),
            timestamp: ts0,
            start,
            next: 0,
            marker: true,
            packet: [0; HEADER + FRAME_SAMPLES],
        }
    }

    /// Sends under the payload type of the answer, 0 to 127, instead of the static one.
    #[must_use]
    pub const fn with_payload_type(mut self, payload_type: u8) -> Self {
        self.payload_type = payload_type & 0x7F;
        self
    }

    /// When the next packet is due; `None` when all are sent.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.next < self.frames.count()).then(|| self.due(self.next))
    }

    /// The next packet, if it is due.
    pub fn poll_packet(&mut self, now: Instant) -> Option<&[u8]> {
        let late = now.checked_duration_since(self.poll_timeout()?)?;
        if late >= FRAME * MAX_BEHIND {
            self.resume_after(late);
        }
        let payload = self.frames.get(self.next)?;
        let written = RtpPacketBuilder::new()
            .payload_type(self.payload_type)
            .marked(self.marker)
            .sequence(self.sequence)
            .timestamp(self.timestamp.wrapping_add(samples(self.next)))
            .ssrc(self.ssrc)
            .payload(payload)
            .build_into(&mut self.packet)
            .ok()?;
        self.sequence = self.sequence.next();
        self.next += 1;
        self.marker = false;
        self.packet.get(..written)
    }

    /// Whether the last frame has been heard to its end.
    #[must_use]
    pub fn finished(&self, now: Instant) -> bool {
        self.next >= self.frames.count() && now >= self.ends_at()
    }

    /// When the prompt will have been heard, if nothing delays it.
    #[must_use]
    pub fn ends_at(&self) -> Instant {
        self.due(self.frames.count())
    }

    /// Frames sent so far.
    #[must_use]
    pub const fn sent(&self) -> usize {
        self.next
    }

    fn due(&self, frame: usize) -> Instant {
        self.start + span(frame)
    }

    /// Makes the next frame due now. The timestamp runs on through the silence, in whole frames.
    fn resume_after(&mut self, late: Duration) {
        let missed = late.as_nanos() / FRAME.as_nanos();
        let missed = usize::try_from(missed).unwrap_or(usize::MAX);
        self.start += late;
        self.timestamp = self.timestamp.wrapping_add(samples(missed));
        self.marker = true;
    }
}

/// Timestamp units of so many frames; the timestamp wraps round.
#[expect(clippy::cast_possible_truncation, reason = "timestamps count modulo 2^32")]
const fn samples(frames: usize) -> u32 {
    frames.wrapping_mul(FRAME_SAMPLES) as u32
}

#[cfg(test)]
mod tests;
