//! The message index: where the parts of a datagram are.

use memchr::memchr;

use super::error::WireError;
use super::fields::{CSeq, NameAddr, Via};
use super::scan::{Header, Headers, Values, number, trim};

#[derive(Debug, Clone, Copy)]
enum Start<'a> {
    Request { method: &'a [u8], uri: &'a [u8] },
    Response { status: u16, phrase: &'a [u8] },
}

/// A SIP message lying in a datagram. Values of the headers every message has are found once;
/// others are looked for when asked.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    start: Start<'a>,
    head: &'a [u8],
    body: &'a [u8],
    via: Option<&'a [u8]>,
    more_vias: bool,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
}

/// The headers every message must have (RFC 3261 section 8.1.1), read.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// Topmost Via.
    pub via: Via<'a>,
    /// From.
    pub from: NameAddr<'a>,
    /// To.
    pub to: NameAddr<'a>,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq.
    pub cseq: CSeq<'a>,
}

impl<'a> Message<'a> {
    /// Reads start line, header lines and body. The required headers are checked by
    /// [`Message::base`], so that a request lacking one can still be answered.
    ///
    /// # Errors
    /// When the datagram is no SIP message, or its body is cut off.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, WireError> {
        if datagram.len() > super::MAX_DATAGRAM {
            return Err(WireError::TooLong);
        }
        let mut data = datagram;
        while let [b'\r' | b'\n', rest @ ..] = data {
            data = rest;
        }
        if data.is_empty() {
            return Err(WireError::Empty);
        }
        let newline = memchr(b'\n', data).ok_or(WireError::StartLine)?;
        let (line, head) = data.split_at(newline);
        let head = head.get(1..).unwrap_or_default();
        let mut message = Self {
            start: start_line(line)?,
            head,
            body: b"",
            via: None,
            more_vias: false,
            from: None,
            to: None,
            call_id: None,
            cseq: None,
        };
        message.index()?;
        Ok(message)
    }

    fn index(&mut self) -> Result<(), WireError> {
        let mut headers = Headers::new(self.head);
        let mut length = None;
        for header in headers.by_ref() {
            let slot = match header.name.len() {
                1 | 2 | 3 | 4 | 7 => self.slot(&header),
                14 if header.is("Content-Length") => {
                    content_length(&header, &mut length)?;
                    None
                }
                _ => None,
            };
            if let Some(slot) = slot {
                let again = slot.is_some();
                slot.get_or_insert(header.value);
                self.more_vias |= again && header.is("Via");
            } else if header.name.eq_ignore_ascii_case(b"l") {
                content_length(&header, &mut length)?;
            }
        }
        let rest = headers.rest();
        self.body = match length {
            Some(length) => rest.get(..length).ok_or(WireError::Truncated)?,
            None => rest,
        };
        Ok(())
    }

    fn slot(&mut self, header: &Header<'_>) -> Option<&mut Option<&'a [u8]>> {
        match header.name.first().map(u8::to_ascii_lowercase)? {
            b'v' if header.is("Via") => Some(&mut self.via),
            b'f' if header.is("From") => Some(&mut self.from),
            b't' if header.is("To") => Some(&mut self.to),
            b'i' | b'c' if header.is("Call-ID") => Some(&mut self.call_id),
            b'c' if header.is("CSeq") => Some(&mut self.cseq),
            _ => None,
        }
    }

    /// Whether this is a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// Method of a request, as sent.
    #[must_use]
    pub const fn method(&self) -> Option<&'a [u8]> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// Request-URI of a request.
    #[must_use]
    pub const fn request_uri(&self) -> Option<&'a [u8]> {
        match self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// Status code of a response, 100 to 699.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }

    /// Reason phrase of a response; may be empty.
    #[must_use]
    pub const fn phrase(&self) -> Option<&'a [u8]> {
        match self.start {
            Start::Response { phrase, .. } => Some(phrase),
            Start::Request { .. } => None,
        }
    }

    /// All header lines in order.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        Headers::new(self.head)
    }

    /// Value of the first header called `name` (full form; compact ones are found too).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|header| header.is(name)).map(|header| header.value)
    }

    /// Values of all headers called `name`, not split at commas.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.headers().filter(move |header| header.is(name)).map(|header| header.value)
    }

    /// Elements of all headers called `name`, split at commas.
    #[must_use]
    pub const fn values(&self, name: &'static str) -> Values<'a> {
        Values::new(self.headers(), name)
    }

    /// The topmost Via.
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub fn top_via(&self) -> Result<Via<'a>, WireError> {
        let value = self.via.ok_or(WireError::Missing("Via"))?;
        Via::parse(super::scan::cut(value, b',').0)
    }

    /// Whether there is more than one Via element.
    #[must_use]
    pub fn has_more_vias(&self) -> bool {
        self.more_vias || self.via.is_some_and(|value| !super::scan::cut(value, b',').1.is_empty())
    }

    /// Branch of the topmost Via.
    #[must_use]
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.top_via().ok()?.branch()
    }

    /// From.
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub fn from(&self) -> Result<NameAddr<'a>, WireError> {
        let value = self.from.ok_or(WireError::Missing("From"))?;
        NameAddr::parse(value).map_err(|_| WireError::Malformed("From"))
    }

    /// To.
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub fn to(&self) -> Result<NameAddr<'a>, WireError> {
        let value = self.to.ok_or(WireError::Missing("To"))?;
        NameAddr::parse(value).map_err(|_| WireError::Malformed("To"))
    }

    /// Tag of From.
    #[must_use]
    pub fn from_tag(&self) -> Option<&'a [u8]> {
        self.from().ok()?.tag()
    }

    /// Tag of To.
    #[must_use]
    pub fn to_tag(&self) -> Option<&'a [u8]> {
        self.to().ok()?.tag()
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> Option<&'a [u8]> {
        self.call_id.filter(|value| !value.is_empty())
    }

    /// CSeq.
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub fn cseq(&self) -> Result<CSeq<'a>, WireError> {
        CSeq::parse(self.cseq.ok_or(WireError::Missing("CSeq"))?)
    }

    /// URI of the first Contact.
    #[must_use]
    pub fn contact_uri(&self) -> Option<&'a [u8]> {
        NameAddr::parse(self.values("Contact").next()?).ok().map(|contact| contact.uri)
    }

    /// The body: as many bytes as Content-Length says, all that follows where it is absent.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The required headers, read and checked against each other.
    ///
    /// # Errors
    /// Which one is missing or malformed; [`WireError::Malformed`] `CSeq` where its method is not
    /// the request's.
    pub fn base(&self) -> Result<Base<'a>, WireError> {
        let base = Base {
            via: self.top_via()?,
            from: self.from()?,
            to: self.to()?,
            call_id: self.call_id().ok_or(WireError::Missing("Call-ID"))?,
            cseq: self.cseq()?,
        };
        match self.method() {
            Some(method) if method != base.cseq.method => Err(WireError::Malformed("CSeq")),
            _ => Ok(base),
        }
    }
}

fn content_length(header: &Header<'_>, length: &mut Option<usize>) -> Result<(), WireError> {
    let value = number(header.value).and_then(|n| usize::try_from(n).ok());
    let value = value.ok_or(WireError::ContentLength)?;
    match *length {
        Some(earlier) if earlier != value => Err(WireError::ContentLength),
        _ => {
            *length = Some(value);
            Ok(())
        }
    }
}

fn start_line(line: &[u8]) -> Result<Start<'_>, WireError> {
    let line = trim(line);
    let blank = memchr(b' ', line).ok_or(WireError::StartLine)?;
    let (first, rest) = line.split_at(blank);
    let rest = trim(rest);
    if is_version(first) {
        check_version(first)?;
        let (digits, phrase) = rest.split_at(memchr(b' ', rest).unwrap_or(rest.len()));
        let status = number(digits).ok_or(WireError::Status)?;
        let status = u16::try_from(status).ok().filter(|code| (100..=699).contains(code));
        return Ok(Start::Response {
            status: status.ok_or(WireError::Status)?,
            phrase: trim(phrase),
        });
    }
    let blank = rest.iter().rposition(|&b| b == b' ').ok_or(WireError::StartLine)?;
    let (uri, version) = rest.split_at(blank);
    let (uri, version) = (trim(uri), trim(version));
    if !is_version(version) || !super::is_token(first) {
        return Err(WireError::StartLine);
    }
    check_version(version)?;
    if uri.is_empty() || uri.iter().any(|&b| matches!(b, b' ' | b'\t' | b'<' | b'>' | b'"')) {
        return Err(WireError::StartLine);
    }
    Ok(Start::Request { method: first, uri })
}

fn is_version(word: &[u8]) -> bool {
    word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
}

fn check_version(word: &[u8]) -> Result<(), WireError> {
    if word.eq_ignore_ascii_case(b"SIP/2.0") { Ok(()) } else { Err(WireError::Version) }
}
