//! SDP, RTP and G.711 playout, without IO: what the media threads of the shell send and why.
//!
//! A [`Prompt`] is made once from samples; for a call, an [`Offer`] goes out, [`Answer::read`] says
//! where and how the far end wants it, and a [`Playout`] gives the packets when they are due.
#![warn(missing_docs)]

pub mod g711;
mod offer_answer;
mod playout;
mod prompt;
pub mod sdp;

pub use offer_answer::{Answer, AnswerError, Direction, Offer};
pub use playout::Playout;
pub use prompt::{FRAME, FRAME_SAMPLES, Frames, Prompt, PromptError, tone};

/// An audio format that can be sent: 8 kHz, mono, one byte a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// Every format, in the order offered.
    pub const ALL: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// The static payload type (RFC 3551 section 6).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The encoding name (RFC 3551 section 6), compared without regard to case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// A sample as one byte.
    #[must_use]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcmu => g711::ulaw_encode(sample),
            Self::Pcma => g711::alaw_encode(sample),
        }
    }

    /// A byte as a sample.
    #[must_use]
    pub fn decode(self, code: u8) -> i16 {
        match self {
            Self::Pcmu => g711::ulaw_decode(code),
            Self::Pcma => g711::alaw_decode(code),
        }
    }
}
