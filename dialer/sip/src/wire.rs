//! Reading and printing SIP messages (RFC 3261 section 7 and 25).
//!
//! Lenient in: compact names, folded headers, comma lists, blanks before the colon, bare LF,
//! leading CRLF, bytes that are not UTF-8, binary bodies. Strict out. Nothing is allocated while
//! parsing: every accessor returns a slice of the datagram.

mod build;
mod error;
mod fields;
mod message;
#[cfg(test)]
mod oracle;
mod scan;

pub use build::{RequestBuilder, ResponseBuilder, reason_phrase};
pub use error::WireError;
pub use fields::{CSeq, NameAddr, Params, Uri, Via};
pub use message::{Base, Message};
pub use scan::{Header, Headers, Values};

pub(crate) use fields::unquote;
pub(crate) use scan::trim;

/// Largest datagram read, in bytes: the largest that UDP can carry (RFC 768's length field).
pub const MAX_DATAGRAM: usize = 65_535;

/// Largest UDP payload that can be sent over IPv4: 65,535 less 20 (IP) and 8 (UDP).
pub const MAX_PAYLOAD: usize = 65_507;

/// Above this many bytes RFC 3261 section 18.1.1 wants a congestion-controlled transport.
/// Requests over it are still sent over UDP; the driver counts and reports them.
pub const COMFORTABLE_DATAGRAM: usize = 1_300;

/// Bytes of a header as text: UTF-8 where it is, otherwise read as Latin-1, so nothing is lost.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|&b| char::from(b)).collect(), str::to_owned)
}

/// Whether `bytes` is a token (RFC 3261 section 25.1).
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b))
}
