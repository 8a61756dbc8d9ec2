//! The part of SDP (RFC 8866) that audio needs: reading descriptions.
//!
//! Lenient: lines that do not matter here (`o=`, `b=`, `t=` ...) are not even looked at, because a
//! slip in one of them must not silence an answered call; that is why this is not a general SDP
//! crate. Strict: what is read is bounded, and addresses and ports are real ones.

use std::net::IpAddr;

/// The longest description read, bytes.
pub const MAX_BYTES: usize = 16 * 1024;
/// The most media read.
pub const MAX_MEDIA: usize = 16;

/// Why a text is not a description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`MAX_BYTES`].
    #[error("an SDP of {0} bytes; the longest read is {MAX_BYTES}")]
    TooLong(usize),
    /// It does not begin with `v=0`.
    #[error("not SDP: it does not begin with v=0")]
    NoVersion,
    /// A `c=` line that cannot be read.
    #[error("line {0}: not a connection line (c=IN IP4 address)")]
    Connection(usize),
    /// An `m=` line that cannot be read.
    #[error("line {0}: not a media line (m=kind port transport formats)")]
    Media(usize),
    /// More than [`MAX_MEDIA`] media.
    #[error("more than {MAX_MEDIA} media lines")]
    TooManyMedia,
}

/// The address of a `c=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// An address; a multicast TTL is dropped.
    Address(IpAddr),
    /// A host name, or a network other than IN: not usable without asking somebody.
    Other(String),
}

/// A description.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// Where media go that say nothing else.
    pub connection: Option<Connection>,
    /// Attributes of the whole: name and value.
    pub attributes: Vec<(String, String)>,
    /// Media in their order.
    pub media: Vec<Media>,
}

/// An `m=` line with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video` ...
    pub kind: String,
    /// The port; 0 means rejected.
    pub port: u16,
    /// The transport, for example `RTP/AVP`.
    pub transport: String,
    /// The formats in order of preference: payload types for RTP.
    pub formats: Vec<String>,
    /// Where this one goes.
    pub connection: Option<Connection>,
    /// Its attributes: name and value (empty without one).
    pub attributes: Vec<(String, String)>,
}

impl Description {
    /// Reads a description. Lines end with CR LF or LF.
    ///
    /// # Errors
    /// If it is too long, does not begin with `v=0`, or a `c=` or `m=` line is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        if bytes.len() > MAX_BYTES {
            return Err(SdpError::TooLong(bytes.len()));
        }
        let text = String::from_utf8_lossy(bytes);
        let mut lines = (1..).zip(text.lines().map(str::trim_end));
        if lines.next().is_none_or(|(_, line)| line != "v=0") {
            return Err(SdpError::NoVersion);
        }
        let mut description = Self::default();
        for (number, line) in lines {
            match line.split_once('=') {
                Some(("m", value)) => {
                    if description.media.len() >= MAX_MEDIA {
                        return Err(SdpError::TooManyMedia);
                    }
                    let media = Media::parse(value).ok_or(SdpError::Media(number))?;
                    description.media.push(media);
                }
                Some(("c", value)) => {
                    let read = Connection::parse(value).ok_or(SdpError::Connection(number))?;
                    *description.connection() = Some(read);
                }
                Some(("a", value)) => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    let attribute = (name.trim().to_owned(), value.trim().to_owned());
                    description.attributes().push(attribute);
                }
                _ => {}
            }
        }
        Ok(description)
    }

    /// The attributes that a line read now belongs to.
    fn attributes(&mut self) -> &mut Vec<(String, String)> {
        match self.media.last_mut() {
            Some(media) => &mut media.attributes,
            None => &mut self.attributes,
        }
    }

    fn connection(&mut self) -> &mut Option<Connection> {
        match self.media.last_mut() {
            Some(media) => &mut media.connection,
            None => &mut self.connection,
        }
    }
}

impl Connection {
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (network, kind, address) = (words.next()?, words.next()?, words.next()?);
        let bare = address.split('/').next().unwrap_or(address);
        let parsed = bare.parse().ok().filter(|_| network.eq_ignore_ascii_case("IN"));
        let fits = |address: &IpAddr| {
            kind.eq_ignore_ascii_case(if address.is_ipv4() { "IP4" } else { "IP6" })
        };
        Some(parsed.filter(fits).map_or_else(|| Self::Other(address.to_owned()), Self::Address))
    }
}

impl Media {
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace().map(str::to_owned);
        let (kind, port, transport) = (words.next()?, words.next()?, words.next()?);
        // "port/number" counts consecutive ports; only the first is used.
        let port = port.split('/').next()?.parse().ok()?;
        let formats = words.collect();
        Some(Self { kind, port, transport, formats, connection: None, attributes: Vec::new() })
    }

    /// The value of the first attribute of this name; empty if it has none.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The encoding that `a=rtpmap` gives a format: name, and clock rate in hertz.
    #[must_use]
    pub fn rtpmap(&self, format: &str) -> Option<(&str, u32)> {
        self.attributes.iter().filter(|(name, _)| name == "rtpmap").find_map(|(_, value)| {
            let (found, encoding) = value.split_once(' ')?;
            let mut parts = encoding.trim().split('/');
            let (name, rate) = (parts.next()?, parts.next()?.parse().ok()?);
            (found == format).then_some((name, rate))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_belongs_to_a_media_line_is_kept_with_it() {
        let text = "v=0\r\no=whatever\r\nc=IN IP4 192.0.2.1\r\na=sendonly\r\n\
            m=audio 4000/2 RTP/AVP 0 8\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:8 PCMA/8000/1\r\n\
            m=video 0 RTP/AVP 31\na=inactive\n";
        let read = Description::parse(text.as_bytes()).unwrap();
        assert_eq!(read.connection, Some(Connection::Address("192.0.2.1".parse().unwrap())));
        assert_eq!(read.attributes, [("sendonly".to_owned(), String::new())]);
        let [audio, video] = &read.media[..] else { panic!("{read:?}") };
        assert_eq!((audio.port, &audio.formats[..]), (4000, &["0".to_owned(), "8".to_owned()][..]));
        assert_eq!(audio.connection, Some(Connection::Address("2001:db8::1".parse().unwrap())));
        assert_eq!(audio.rtpmap("8"), Some(("PCMA", 8000)));
        assert_eq!(audio.rtpmap("0"), None);
        assert_eq!((video.port, video.attribute("inactive")), (0, Some("")));
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        for (text, error) in [
            ("", SdpError::NoVersion),
            ("v=1\n", SdpError::NoVersion),
            ("m=audio 1 RTP/AVP 0\n", SdpError::NoVersion),
            ("v=0\nc=IN IP4\n", SdpError::Connection(2)),
            ("v=0\n\nm=audio\n", SdpError::Media(3)),
            ("v=0\nm=audio 70000 RTP/AVP 0\n", SdpError::Media(2)),
            ("v=0\nm=audio -1 RTP/AVP 0\n", SdpError::Media(2)),
        ] {
            assert_eq!(Description::parse(text.as_bytes()), Err(error), "{text:?}");
        }
        let many = format!("v=0\n{}", "m=audio 1 RTP/AVP 0\n".repeat(MAX_MEDIA + 1));
        assert_eq!(Description::parse(many.as_bytes()), Err(SdpError::TooManyMedia));
        let long = vec![b' '; MAX_BYTES + 1];
        assert_eq!(Description::parse(&long), Err(SdpError::TooLong(MAX_BYTES + 1)));
    }

    #[test]
    fn an_address_of_the_wrong_kind_is_no_address() {
        for line in ["IN IP4 example.com", "IN IP4 ::1", "IN IP6 192.0.2.1", "ATM NSAP 192.0.2.1"] {
            let read = Description::parse(format!("v=0\nc={line}\n").as_bytes()).unwrap();
            assert!(matches!(read.connection, Some(Connection::Other(_))), "{line}");
        }
        let read = Description::parse(b"v=0\nc=IN IP4 233.252.0.1/127\n").unwrap();
        assert_eq!(read.connection, Some(Connection::Address("233.252.0.1".parse().unwrap())));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _read = Description::parse(&bytes);
            let _led = Description::parse(&[b"v=0\r\n", &bytes[..]].concat());
        }
    }
}
