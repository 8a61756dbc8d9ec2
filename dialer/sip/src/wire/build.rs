//! Printing messages: full header names, CRLF, Content-Length always present and last.

use std::io::Write as _;
use std::net::SocketAddr;

use super::error::WireError;
use super::message::Message;

/// Builds a request. Line breaks inside values become blanks, so a value cannot add a header.
#[derive(Debug, Clone)]
pub struct RequestBuilder {
    out: Vec<u8>,
}

impl RequestBuilder {
    /// Starts with the request line.
    #[must_use]
    pub fn new(method: &str, uri: &[u8]) -> Self {
        let mut out = Vec::with_capacity(1024);
        put(&mut out, method.as_bytes());
        out.push(b' ');
        put(&mut out, uri);
        out.extend_from_slice(b" SIP/2.0\r\n");
        Self { out }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        line(&mut self.out, name.as_bytes(), value.as_ref());
        self
    }

    /// The message without a body.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        finish(self.out, None)
    }

    /// The message with a body.
    #[must_use]
    pub fn body(self, content_type: &str, body: &[u8]) -> Vec<u8> {
        finish(self.out, Some((content_type, body)))
    }
}

/// Builds the response to a request (RFC 3261 section 8.2.6).
#[derive(Debug, Clone)]
pub struct ResponseBuilder {
    out: Vec<u8>,
}

impl ResponseBuilder {
    /// Copies Via, From, To, Call-ID and CSeq from `request`, and Record-Route where the response
    /// may make a dialog (101 to 299). `source` fills in received and rport (RFC 3581) of the
    /// topmost Via. `to_tag` is added where the request's To has none and the status is not 100.
    ///
    /// # Errors
    /// When `request` lacks one of the headers to copy.
    pub fn new(
        request: &Message<'_>,
        status: u16,
        phrase: &str,
        to_tag: &str,
        source: Option<SocketAddr>,
    ) -> Result<Self, WireError> {
        let mut out = Vec::with_capacity(1024);
        write_to(&mut out, format_args!("SIP/2.0 {status} "));
        put(&mut out, phrase.as_bytes());
        out.extend_from_slice(b"\r\n");
        copy_vias(&mut out, request, source)?;
        for name in ["From", "To", "Call-ID", "CSeq"] {
            let value = request.header(name).ok_or(WireError::Missing(name))?;
            if name == "To" && status != 100 && request.to()?.tag().is_none() && !to_tag.is_empty()
            {
                let tagged = [value, b";tag=", to_tag.as_bytes()].concat();
                line(&mut out, b"To", &tagged);
            } else {
                line(&mut out, name.as_bytes(), value);
            }
        }
        if (101..300).contains(&status) {
            for value in request.all("Record-Route") {
                line(&mut out, b"Record-Route", value);
            }
        }
        Ok(Self { out })
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        line(&mut self.out, name.as_bytes(), value.as_ref());
        self
    }

    /// The message without a body.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        finish(self.out, None)
    }

    /// The message with a body.
    #[must_use]
    pub fn body(self, content_type: &str, body: &[u8]) -> Vec<u8> {
        finish(self.out, Some((content_type, body)))
    }
}

fn copy_vias(
    out: &mut Vec<u8>,
    request: &Message<'_>,
    source: Option<SocketAddr>,
) -> Result<(), WireError> {
    let top = request.top_via()?;
    for (i, element) in request.values("Via").enumerate() {
        let Some(source) = source.filter(|_| i == 0) else {
            line(out, b"Via", element);
            continue;
        };
        let mut via = [b"SIP/2.0/", top.transport, b" ", top.host].concat();
        if let Some(port) = top.port {
            write_to(&mut via, format_args!(":{port}"));
        }
        for (name, value) in top.params.iter() {
            if name.eq_ignore_ascii_case(b"received") {
                continue;
            }
            via.push(b';');
            via.extend_from_slice(name);
            if name.eq_ignore_ascii_case(b"rport") {
                write_to(&mut via, format_args!("={}", source.port()));
            } else if !value.is_empty() {
                via.push(b'=');
                via.extend_from_slice(value);
            }
        }
        write_to(&mut via, format_args!(";received={}", source.ip()));
        line(out, b"Via", &via);
    }
    Ok(())
}

fn finish(mut out: Vec<u8>, body: Option<(&str, &[u8])>) -> Vec<u8> {
    let body = match body {
        Some((content_type, body)) if !body.is_empty() => {
            line(&mut out, b"Content-Type", content_type.as_bytes());
            body
        }
        _ => b"",
    };
    write_to(&mut out, format_args!("Content-Length: {}\r\n\r\n", body.len()));
    out.extend_from_slice(body);
    out
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put(out, name);
    out.extend_from_slice(b": ");
    put(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends `bytes` with line breaks and NULs as blanks.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().map(|&b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { b }));
}

/// Writing to a vector cannot fail.
fn write_to(out: &mut Vec<u8>, words: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(words);
    debug_assert!(written.is_ok(), "a Vec takes every byte");
}

/// The usual reason phrase of a status code (RFC 3261 section 21 and the IANA registry).
#[must_use]
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        415 => "Unsupported Media Type",
        420 => "Bad Extension",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        _ => "Unknown",
    }
}
