//! Splitting a message into header lines, list elements and parameters.

use memchr::{memchr, memchr3};

/// One header line: name as sent, value without the blanks around it. A folded value still holds
/// its line breaks; the field parsers read them as blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Name as sent, possibly compact.
    pub name: &'a [u8],
    /// Value, trimmed.
    pub value: &'a [u8],
}

impl Header<'_> {
    /// Whether this header is `full`, compact forms and case included.
    #[must_use]
    pub fn is(&self, full: &str) -> bool {
        self.name.eq_ignore_ascii_case(full.as_bytes())
            || matches!(self.name, [letter] if compact(full) == Some(letter.to_ascii_lowercase()))
    }
}

/// Compact form of a header name (RFC 3261 section 7.3.3 and the IANA registry).
fn compact(full: &str) -> Option<u8> {
    const FORMS: [(&str, u8); 13] = [
        ("Via", b'v'),
        ("From", b'f'),
        ("To", b't'),
        ("Call-ID", b'i'),
        ("Contact", b'm'),
        ("Content-Length", b'l'),
        ("Content-Type", b'c'),
        ("Content-Encoding", b'e'),
        ("Subject", b's'),
        ("Supported", b'k'),
        ("Session-Expires", b'x'),
        ("Refer-To", b'r'),
        ("Identity", b'y'),
    ];
    FORMS.iter().find(|(name, _)| name.eq_ignore_ascii_case(full)).map(|&(_, letter)| letter)
}

/// Iterates over the header lines of a message; stops after the blank line.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
    done: bool,
}

impl<'a> Headers<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest, done: false }
    }

    /// What follows the lines read so far; after the last one, the body.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next logical line (continuation lines included) without its line end.
    fn line(&mut self) -> Option<&'a [u8]> {
        if self.done || self.rest.is_empty() {
            return None;
        }
        let mut from = 0;
        let end = loop {
            let Some(at) = memchr(b'\n', self.rest.get(from..).unwrap_or_default()) else {
                break self.rest.len();
            };
            let newline = from + at;
            let blank = trim(self.rest.get(..newline).unwrap_or_default()).is_empty();
            let folded = matches!(self.rest.get(newline + 1), Some(b' ' | b'\t'));
            if blank || !folded {
                break newline;
            }
            from = newline + 1;
        };
        let line = self.rest.get(..end).unwrap_or_default();
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.done = true;
            return None;
        }
        Some(line)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        loop {
            let line = self.line()?;
            // A line without a colon is not a header; it is skipped, not fatal.
            if let Some(colon) = memchr(b':', line) {
                let (name, value) = line.split_at(colon);
                return Some(Header {
                    name: trim(name),
                    value: trim(value.get(1..).unwrap_or_default()),
                });
            }
        }
    }
}

/// Elements of all headers of one name, comma lists split (RFC 3261 section 7.3.1).
#[derive(Debug, Clone)]
pub struct Values<'a> {
    headers: Headers<'a>,
    name: &'static str,
    rest: &'a [u8],
}

impl<'a> Values<'a> {
    pub(super) const fn new(headers: Headers<'a>, name: &'static str) -> Self {
        Self { headers, name, rest: b"" }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            while !self.rest.is_empty() {
                let (element, rest) = cut(self.rest, b',');
                self.rest = rest;
                let element = trim(element);
                if !element.is_empty() {
                    return Some(element);
                }
            }
            self.rest = self.headers.by_ref().find(|header| header.is(self.name))?.value;
        }
    }
}

/// Splits at the first `at` outside quotes and angle brackets; the separator is dropped.
pub(super) fn cut(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    // Mostly the separator comes before any quote or bracket, or there is nothing at all.
    match memchr3(at, b'"', b'<', bytes) {
        None => (bytes, b""),
        Some(i) if bytes.get(i) == Some(&at) => {
            let (left, right) = bytes.split_at(i);
            (left, right.get(1..).unwrap_or_default())
        }
        Some(_) => cut_careful(bytes, at),
    }
}

fn cut_careful(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    let (mut quoted, mut angle, mut escaped) = (false, false, false);
    for (i, &b) in bytes.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match b {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else {
            match b {
                b'"' => quoted = true,
                b'<' => angle = true,
                b'>' => angle = false,
                _ if b == at && !angle => {
                    let (left, right) = bytes.split_at(i);
                    return (left, right.get(1..).unwrap_or_default());
                }
                _ => {}
            }
        }
    }
    (bytes, b"")
}

/// Without the blanks (SP, HTAB, CR, LF) at both ends.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A number of decimal digits only, within `u32`.
pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u32, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u32::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}
