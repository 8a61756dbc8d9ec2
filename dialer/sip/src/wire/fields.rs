//! Values of the headers a user agent looks into: Via, name-addr, CSeq, URIs, parameters.

use super::error::WireError;
use super::scan::{cut, number, trim};

/// Parameters after the first semicolon: `;a=1;b;c="x"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Name and value of each parameter; the value is empty where none is given. Quotes around a
    /// value are removed, escapes inside are kept.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let (one, next) = cut(rest, b';');
                rest = next;
                let (name, value) = cut(one, b'=');
                let name = trim(name);
                if !name.is_empty() {
                    return Some((name, unquote(trim(value))));
                }
            }
            None
        })
    }

    /// Value of `name` (case-insensitive), empty where it has none.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

/// Without one pair of double quotes.
pub(crate) fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// One element of a Via header (RFC 3261 section 20.42).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, `TLS` ... as sent.
    pub transport: &'a [u8],
    /// Host of sent-by; an IPv6 reference keeps its brackets.
    pub host: &'a [u8],
    /// Port of sent-by where given.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one element.
    ///
    /// # Errors
    /// [`WireError::Malformed`] when protocol, transport or sent-by cannot be told apart.
    pub fn parse(element: &'a [u8]) -> Result<Self, WireError> {
        const BAD: WireError = WireError::Malformed("Via");
        let (head, params) = cut(trim(element), b';');
        let (name, rest) = cut(head, b'/');
        let (version, rest) = cut(rest, b'/');
        if !trim(name).eq_ignore_ascii_case(b"SIP") || trim(version) != b"2.0" {
            return Err(BAD);
        }
        let rest = trim(rest);
        let blank = rest.iter().position(|&b| is_blank(b)).ok_or(BAD)?;
        let (transport, sent_by) = rest.split_at(blank);
        let (host, port) = host_port(trim(sent_by)).ok_or(BAD)?;
        Ok(Self { transport, host, port, params: Params::new(params) })
    }

    /// The branch parameter.
    #[must_use]
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.get("branch")
    }

    /// The received parameter.
    #[must_use]
    pub fn received(&self) -> Option<&'a [u8]> {
        self.params.get("received")
    }

    /// The rport parameter: `Some(None)` where it is asked for but not filled in (RFC 3581).
    #[must_use]
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(port)
    }
}

fn port(bytes: &[u8]) -> Option<u16> {
    number(bytes).and_then(|n| u16::try_from(n).ok())
}

const fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// `host[:port]`, with an IPv6 reference's brackets kept on the host.
fn host_port(bytes: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let colon = if bytes.first() == Some(&b'[') {
        let close = bytes.iter().position(|&b| b == b']')?;
        let after = bytes.iter().skip(close).position(|&b| b == b':');
        after.map(|at| close + at)
    } else {
        bytes.iter().position(|&b| b == b':')
    };
    let (host, digits) = colon.map_or((bytes, None), |at| {
        let (host, rest) = bytes.split_at(at);
        (host, rest.get(1..))
    });
    let host = trim(host);
    if host.is_empty() || host.iter().any(|&b| is_blank(b)) {
        return None;
    }
    match digits {
        None => Some((host, None)),
        Some(digits) => Some((host, Some(port(trim(digits))?))),
    }
}

/// A name-addr or addr-spec with its header parameters: From, To, Contact, Route (section 20.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// Display name without its quotes; empty where there is none.
    pub display: &'a [u8],
    /// The URI.
    pub uri: &'a [u8],
    /// Parameters of the header, not of the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one element.
    ///
    /// # Errors
    /// [`WireError::Malformed`] when quotes or angle brackets do not balance, or the URI is empty.
    pub fn parse(element: &'a [u8]) -> Result<Self, WireError> {
        const BAD: WireError = WireError::Malformed("name-addr");
        let element = trim(element);
        let (display, rest) = match element {
            [b'"', rest @ ..] => {
                let end = closing_quote(rest).ok_or(BAD)?;
                let (display, rest) = rest.split_at(end);
                (display, rest.get(1..).unwrap_or_default())
            }
            _ => match memchr::memchr(b'<', element) {
                Some(open) => {
                    let (display, rest) = element.split_at(open);
                    (trim(display), rest)
                }
                None => (element.get(..0).unwrap_or_default(), element),
            },
        };
        let rest = trim(rest);
        let (uri, params) = match rest {
            [b'<', rest @ ..] => {
                let close = memchr::memchr(b'>', rest).ok_or(BAD)?;
                let (uri, rest) = rest.split_at(close);
                let (_, params) = cut(rest.get(1..).unwrap_or_default(), b';');
                (trim(uri), params)
            }
            _ => {
                let (uri, params) = cut(rest, b';');
                (trim(uri), params)
            }
        };
        if uri.is_empty() {
            return Err(BAD);
        }
        Ok(Self { display, uri, params: Params::new(params) })
    }

    /// The tag parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }
}

/// Where the quoted string that began before `bytes` ends.
fn closing_quote(bytes: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(i),
            _ => {}
        }
    }
    None
}

/// CSeq (section 20.16). Numbers are below 2^31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Sequence number.
    pub number: u32,
    /// Method.
    pub method: &'a [u8],
}

impl<'a> CSeq<'a> {
    /// Reads the header's value.
    ///
    /// # Errors
    /// [`WireError::Malformed`] when the number is out of range or the method is missing.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        const BAD: WireError = WireError::Malformed("CSeq");
        let value = trim(value);
        let blank = value.iter().position(|&b| is_blank(b)).ok_or(BAD)?;
        let (digits, method) = value.split_at(blank);
        let method = trim(method);
        let number = number(digits).filter(|&n| n < 1 << 31).ok_or(BAD)?;
        if !super::is_token(method) {
            return Err(BAD);
        }
        Ok(Self { number, method })
    }
}

/// Parts of a `sip:` or `sips:` URI (section 19.1) that routing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// User part, without password; empty where there is none.
    pub user: &'a [u8],
    /// Host; an IPv6 reference keeps its brackets.
    pub host: &'a [u8],
    /// Port where given.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Params<'a>,
}

impl<'a> Uri<'a> {
    /// Reads a URI; `None` where it is not a SIP URI.
    #[must_use]
    pub fn parse(uri: &'a [u8]) -> Option<Self> {
        let colon = uri.iter().position(|&b| b == b':')?;
        let (scheme, rest) = uri.split_at(colon);
        if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
            return None;
        }
        let rest = rest.get(1..)?;
        // The user part may hold ';' and '?', so '@' is looked for first.
        let (user, rest) = match rest.iter().position(|&b| b == b'@') {
            Some(at) => (rest.get(..at)?, rest.get(at + 1..)?),
            None => (rest.get(..0)?, rest),
        };
        let (rest, _headers) = cut(rest, b'?');
        let (place, params) = cut(rest, b';');
        let (host, port) = host_port(place)?;
        let (user, _password) = cut(user, b':');
        Some(Self { user, host, port, params: Params::new(params) })
    }

    /// Host and port as an address, where the host is a literal; the port is 5060 unless given.
    #[must_use]
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        let host = match self.host {
            [b'[', inner @ .., b']'] => inner,
            host => host,
        };
        let ip: std::net::IpAddr = std::str::from_utf8(host).ok()?.parse().ok()?;
        Some(std::net::SocketAddr::new(ip, self.port.unwrap_or(5060)))
    }
}
