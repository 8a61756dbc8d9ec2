//! Why a datagram is not a SIP message.

/// Why a datagram, or one of its required headers, could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Only CRLFs or nothing: a keep-alive (RFC 5626 section 3.5.1).
    #[error("empty datagram")]
    Empty,
    /// More than [`super::MAX_DATAGRAM`] bytes.
    #[error("datagram over 65,535 bytes")]
    TooLong,
    /// The first line is neither a request line nor a status line.
    #[error("malformed start line")]
    StartLine,
    /// A version other than SIP/2.0.
    #[error("unsupported SIP version")]
    Version,
    /// A status code outside 100 to 699.
    #[error("status code out of range")]
    Status,
    /// Content-Length is not a number, or two of them differ.
    #[error("malformed Content-Length")]
    ContentLength,
    /// Content-Length promises more bytes than the datagram holds (RFC 3261 section 18.3).
    #[error("body shorter than Content-Length")]
    Truncated,
    /// A header every message needs is absent (RFC 3261 section 8.1.1).
    #[error("missing header {0}")]
    Missing(&'static str),
    /// A header every message needs cannot be read.
    #[error("malformed header {0}")]
    Malformed(&'static str),
}
