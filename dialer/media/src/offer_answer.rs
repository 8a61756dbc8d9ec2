//! The offer of a call and what the answer to it means (RFC 3264).

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use crate::{
    Codec,
    sdp::{Connection, Description, Media, SdpError},
};

/// The payload type under which RFC 4733 telephone events are offered.
const TELEPHONE_EVENT: u8 = 101;

/// An offer of one audio stream: G.711 both ways and telephone events, frames of 20 ms. `Display`
/// is the SDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The session id of `o=` (RFC 8866 section 5.2): any number, the same for the whole call.
    pub id: u64,
    /// Its version: one more with every changed offer.
    pub version: u64,
    /// The address at which RTP is received: the advertised one.
    pub address: IpAddr,
    /// The port at which RTP is received.
    pub port: u16,
    /// The formats offered, the preferred one first.
    pub codecs: Vec<Codec>,
}

impl Offer {
    /// An offer of everything that can be sent.
    #[must_use]
    pub fn new(id: u64, address: IpAddr, port: u16) -> Self {
        Self { id, version: 1, address, port, codecs: Codec::ALL.to_vec() }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, version, address, port, codecs } = self;
        let kind = if address.is_ipv4() { "IP4" } else { "IP6" };
        write!(
            f,
            "v=0\r\no=- {id} {version} IN {kind} {address}\r\ns=-\r\nc=IN {kind} {address}\r\n"
        )?;
        write!(f, "t=0 0\r\nm=audio {port} RTP/AVP")?;
        for codec in codecs {
            write!(f, " {}", codec.payload_type())?;
        }
        write!(f, " {TELEPHONE_EVENT}\r\n")?;
        for codec in codecs {
            write!(f, "a=rtpmap:{} {}/8000\r\n", codec.payload_type(), codec.name())?;
        }
        write!(f, "a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000\r\n")?;
        write!(f, "a=fmtp:{TELEPHONE_EVENT} 0-15\r\na=ptime:20\r\na=sendrecv\r\n")
    }
}

/// Which way media flow, as the far end says it of itself (RFC 3264 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// It sends and receives.
    SendRecv,
    /// It only sends: we are on hold.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    const ALL: [(&str, Self); 4] = [
        ("sendrecv", Self::SendRecv),
        ("sendonly", Self::SendOnly),
        ("recvonly", Self::RecvOnly),
        ("inactive", Self::Inactive),
    ];

    /// The last one given; later lines of one level override earlier ones.
    fn of(attributes: &[(String, String)]) -> Option<Self> {
        attributes.iter().rev().find_map(|(name, _)| {
            Self::ALL.iter().find(|(word, _)| name.eq_ignore_ascii_case(word)).map(|(_, it)| *it)
        })
    }
}

/// What an answer agrees to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Where RTP is to be sent. May be the unspecified address: see [`Answer::may_send`].
    pub remote: SocketAddr,
    /// The format to send.
    pub codec: Codec,
    /// The payload type to send it under.
    pub payload_type: u8,
    /// The payload type of RFC 4733 telephone events, if it takes them.
    pub telephone_event: Option<u8>,
    /// Which way, as the far end says it.
    pub direction: Direction,
    /// The packet length it would like, milliseconds.
    pub ptime_ms: Option<u16>,
}

/// Why no audio can be sent by this answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not SDP.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// Nothing about audio.
    #[error("the answer has no audio")]
    NoAudio,
    /// The audio was rejected: port 0.
    #[error("the answer rejects the audio (port 0)")]
    Rejected,
    /// Another transport than was offered.
    #[error("the answer wants the transport {0}; RTP/AVP was offered")]
    Transport(String),
    /// None of the formats offered.
    #[error("the answer takes none of the formats offered; it has {0}")]
    NoCodec(String),
    /// No `c=` line for the audio.
    #[error("the answer does not say where audio goes (no c= line)")]
    NoConnection,
    /// Not an address to which one call's audio may go.
    #[error("the answer sends audio to {0}, which is not a unicast address")]
    Address(String),
}

impl Answer {
    /// Reads the answer to `offer`.
    ///
    /// # Errors
    /// If it is not SDP or leaves no way to send audio.
    pub fn read(sdp: &[u8], offer: &Offer) -> Result<Self, AnswerError> {
        let description = Description::parse(sdp)?;
        let audio = description.media.iter().find(|media| media.kind.eq_ignore_ascii_case("audio"));
        let audio = audio.ok_or(AnswerError::NoAudio)?;
        if audio.port == 0 {
            return Err(AnswerError::Rejected);
        }
        // AVPF differs in RTCP timing only, and some answer with it.
        if !["RTP/AVP", "RTP/AVPF"].iter().any(|known| audio.transport.eq_ignore_ascii_case(known))
        {
            return Err(AnswerError::Transport(audio.transport.clone()));
        }
        let (codec, payload_type) = audio
            .formats
            .iter()
            .find_map(|format| codec(audio, format, offer))
            .ok_or_else(|| AnswerError::NoCodec(audio.formats.join(" ")))?;
        let connection = audio.connection.as_ref().or(description.connection.as_ref());
        let address = match connection.ok_or(AnswerError::NoConnection)? {
            Connection::Address(address) if is_unicast(*address) => *address,
            Connection::Address(address) => return Err(AnswerError::Address(address.to_string())),
            Connection::Other(name) => return Err(AnswerError::Address(name.clone())),
        };
        let direction = Direction::of(&audio.attributes);
        let direction = direction.or_else(|| Direction::of(&description.attributes));
        Ok(Self {
            remote: SocketAddr::new(address, audio.port),
            codec,
            payload_type,
            telephone_event: audio.formats.iter().find_map(|format| telephone_event(audio, format)),
            direction: direction.unwrap_or(Direction::SendRecv),
            ptime_ms: audio.attribute("ptime").and_then(|value| value.parse().ok()),
        })
    }

    /// Whether audio may be sent now: the far end receives, and is not on hold in the old manner
    /// (RFC 3264 section 8.4: `c=0.0.0.0`).
    #[must_use]
    pub const fn may_send(&self) -> bool {
        matches!(self.direction, Direction::SendRecv | Direction::RecvOnly)
            && !self.remote.ip().is_unspecified()
    }

    /// Whether audio can be expected from it.
    #[must_use]
    pub const fn will_send(&self) -> bool {
        matches!(self.direction, Direction::SendRecv | Direction::SendOnly)
    }
}

fn is_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_multicast() && !broadcast
}

/// The payload type that a format stands for.
fn payload_type(format: &str) -> Option<u8> {
    format.parse().ok().filter(|number| *number < 128)
}

/// The offered format that this one is: by `a=rtpmap`, else by its static number.
fn codec(audio: &Media, format: &str, offer: &Offer) -> Option<(Codec, u8)> {
    let number = payload_type(format)?;
    let is = |codec: &&Codec| match audio.rtpmap(format) {
        Some((name, rate)) => name.eq_ignore_ascii_case(codec.name()) && rate == 8000,
        None => number == codec.payload_type(),
    };
    offer.codecs.iter().find(is).map(|codec| (*codec, number))
}

fn telephone_event(audio: &Media, format: &str) -> Option<u8> {
    let (name, rate) = audio.rtpmap(format)?;
    let is = name.eq_ignore_ascii_case("telephone-event") && rate == 8000;
    payload_type(format).filter(|_| is)
}

#[cfg(test)]
mod tests;
