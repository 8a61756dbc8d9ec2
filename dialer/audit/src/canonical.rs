//! Canonical bytes of a record: deterministically encoded CBOR (RFC 8949 section 4.2.1).
//!
//! Definite lengths, shortest heads, map keys unsigned and ascending, no floats, no tags. Decoding
//! is strict: bytes that this module would not have written are refused, so that one record has
//! exactly one leaf. Own code rather than a CBOR crate because strictness is the point; `minicbor`
//! is the oracle of the tests.

use crate::{
    field::Field,
    record::{Body, Kind, Record, VERSION},
    tree::Hash,
};

/// The longest leaf, in bytes. A decision of the worst contact seen is below 4 KiB.
pub const MAX_LEAF: usize = 64 * 1024;

/// Why a record has no canonical bytes, or why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// The bytes stop in the middle.
    #[error("the leaf ends at byte {0}, in the middle of an item")]
    Ends(usize),
    /// Bytes after the record.
    #[error("the leaf goes on after its record, at byte {0}")]
    Trailing(usize),
    /// Not what RFC 8949 section 4.2.1 prescribes.
    #[error("not canonical at byte {at}: {what}")]
    NotCanonical {
        /// Offset of the item.
        at: usize,
        /// Which rule it breaks.
        what: &'static str,
    },
    /// Another type than the layout says.
    #[error("byte {at}: expected {expected}")]
    Type {
        /// Offset of the item.
        at: usize,
        /// What the layout says.
        expected: &'static str,
    },
    /// A value out of its range or vocabulary.
    #[error("byte {at}: not a {what}")]
    Range {
        /// Offset of the item.
        at: usize,
        /// What it should have been.
        what: &'static str,
    },
    /// A field that the layout of this version does not know.
    #[error("{of} has no field {key} in layout version {VERSION}")]
    UnknownField {
        /// The map.
        of: &'static str,
        /// The key.
        key: u64,
    },
    /// A field that must be there.
    #[error("{of} lacks its field {field}")]
    Missing {
        /// The map.
        of: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A layout version that this build does not know.
    #[error(
        "the leaf has layout version {0}; this build knows versions up to {VERSION}: use a newer one"
    )]
    Version(u64),
    /// A kind that this build does not know.
    #[error(
        "the leaf is of kind {0}, which layout version {VERSION} of this build does not know: use a newer one"
    )]
    Kind(u64),
    /// A kind or field under another version than the one that brought it.
    #[error("the leaf has layout version {version}; its kind {kind} belongs to another")]
    KindVersion {
        /// The code.
        kind: u64,
        /// The leaf's version.
        version: u64,
    },
    /// Longer than [`MAX_LEAF`].
    #[error("a leaf of {0} bytes; the longest allowed is {MAX_LEAF}")]
    TooLong(usize),
    /// A telephone number in a text: the audit holds none (DESIGN section 4).
    #[error(
        "a text of the record looks like a telephone number; the audit holds surrogate ids only"
    )]
    TelephoneNumber,
}

/// The canonical bytes of a record: the leaf.
///
/// # Errors
/// If the record is not of its body's version, longer than [`MAX_LEAF`] or holds a telephone number.
pub fn encode(record: &Record) -> Result<Vec<u8>, CanonicalError> {
    if record.version != record.body.version() {
        return Err(CanonicalError::Version(u64::from(record.version)));
    }
    let mut writer = Writer { out: Vec::with_capacity(1024), number_seen: false };
    record.put(&mut writer);
    if writer.number_seen {
        return Err(CanonicalError::TelephoneNumber);
    }
    if writer.out.len() > MAX_LEAF {
        return Err(CanonicalError::TooLong(writer.out.len()));
    }
    Ok(writer.out)
}

/// What a record says, in canonical bytes, whenever it was recorded: `{2: node, 4: body}`.
pub(crate) fn timeless(record: &Record) -> Result<Vec<u8>, CanonicalError> {
    let mut writer = Writer { out: Vec::with_capacity(1024), number_seen: false };
    writer.head(MAP, if record.node.is_some() { 2 } else { 1 });
    if let Some(node) = &record.node {
        writer.head(UINT, 2);
        node.put(&mut writer);
    }
    writer.head(UINT, 4);
    record.body.put(&mut writer);
    if writer.number_seen { Err(CanonicalError::TelephoneNumber) } else { Ok(writer.out) }
}

/// The record of canonical bytes.
///
/// # Errors
/// If [`encode`] would not have written exactly these bytes.
pub fn decode(leaf: &[u8]) -> Result<Record, CanonicalError> {
    if leaf.len() > MAX_LEAF {
        return Err(CanonicalError::TooLong(leaf.len()));
    }
    let mut reader = Reader { bytes: leaf, at: 0 };
    let record = Record::take(&mut reader)?;
    if reader.at != leaf.len() {
        return Err(CanonicalError::Trailing(reader.at));
    }
    Ok(record)
}

/// The leaf hash of the grounds that a leaf names, if it is a permit: cheaper than the whole record.
/// Nothing of bytes that are no leaf.
#[must_use]
pub fn grounds_of(leaf: &[u8]) -> Option<Hash> {
    let mut reader = Reader { bytes: leaf, at: 0 };
    let mut read = || -> Result<Option<Hash>, CanonicalError> {
        reader.length(MAP, "a map")?;
        let (_version_key, _version, _at_key, _at) =
            (reader.unsigned()?, reader.unsigned()?, reader.unsigned()?, reader.signed()?);
        let mut key = reader.unsigned()?;
        if key == 2 {
            reader.bytes()?;
            key = reader.unsigned()?;
        }
        if key != 3 || reader.unsigned()? != u64::from(Kind::Permit.code()) {
            return Ok(None);
        }
        let (_body_key, _fields) = (reader.unsigned()?, reader.length(MAP, "a map")?);
        if reader.unsigned()? == 0 { Hash::take(&mut reader).map(Some) } else { Ok(None) }
    };
    read().ok().flatten()
}

// {0: version, 1: at, 2: node?, 3: kind, 4: body}. By hand: the body's layout hangs on the kind.
impl Record {
    fn put(&self, writer: &mut Writer) {
        writer.head(MAP, if self.node.is_some() { 5 } else { 4 });
        writer.head(UINT, 0);
        self.version.put(writer);
        writer.head(UINT, 1);
        self.at.put(writer);
        if let Some(node) = &self.node {
            writer.head(UINT, 2);
            node.put(writer);
        }
        writer.head(UINT, 3);
        writer.head(UINT, u64::from(self.body.kind().code()));
        writer.head(UINT, 4);
        self.body.put(writer);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let mut left = reader.length(MAP, "a map")?;
        let mut expect = |reader: &mut Reader<'_>, key: u64, field: &'static str| {
            let missing = CanonicalError::Missing { of: "record", field };
            left = left.checked_sub(1).ok_or(missing.clone())?;
            if reader.unsigned()? == key { Ok(()) } else { Err(missing) }
        };
        expect(reader, 0, "version")?;
        let version = reader.unsigned()?;
        if !(1..=u64::from(VERSION)).contains(&version) {
            return Err(CanonicalError::Version(version));
        }
        expect(reader, 1, "at")?;
        let at = Field::take(reader)?;
        let node = if reader.peek() == Some(2) {
            expect(reader, 2, "node")?;
            Some(Field::take(reader)?)
        } else {
            None
        };
        expect(reader, 3, "kind")?;
        let code = reader.unsigned()?;
        let kind =
            u8::try_from(code).ok().and_then(Kind::from_code).ok_or(CanonicalError::Kind(code))?;
        let other = CanonicalError::KindVersion { kind: code, version };
        if version < u64::from(kind.since()) {
            return Err(other);
        }
        expect(reader, 4, "body")?;
        let body = Body::take(kind, reader)?;
        if u64::from(body.version()) != version {
            return Err(other);
        }
        if left > 0 {
            return Err(CanonicalError::UnknownField { of: "record", key: reader.unsigned()? });
        }
        Ok(Self { version: body.version(), at, node, body })
    }
}

pub(crate) const UINT: u8 = 0;
pub(crate) const NINT: u8 = 1;
pub(crate) const BYTES: u8 = 2;
pub(crate) const TEXT: u8 = 3;
pub(crate) const LIST: u8 = 4;
pub(crate) const MAP: u8 = 5;
const SIMPLE: u8 = 7;
const FALSE: u64 = 20;
const TRUE: u64 = 21;

/// Appends canonical items.
#[derive(Debug)]
pub(crate) struct Writer {
    out: Vec<u8>,
    number_seen: bool,
}

impl Writer {
    /// A head of a major type with the shortest argument.
    #[expect(clippy::cast_possible_truncation, reason = "each arm's range fits its type")]
    pub(crate) fn head(&mut self, major: u8, argument: u64) {
        let major = major << 5;
        match argument {
            0..=23 => self.out.push(major | argument as u8),
            24..=0xFF => self.out.extend([major | 24, argument as u8]),
            0x100..=0xFFFF => {
                self.out.push(major | 25);
                self.out.extend((argument as u16).to_be_bytes());
            }
            0x1_0000..=0xFFFF_FFFF => {
                self.out.push(major | 26);
                self.out.extend((argument as u32).to_be_bytes());
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend(argument.to_be_bytes());
            }
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number_seen |= holds_number(text);
        self.head(TEXT, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.head(SIMPLE, if value { TRUE } else { FALSE });
    }
}

/// A plus with seven digits behind it, the shortest E.164 number.
fn holds_number(text: &str) -> bool {
    text.split('+').skip(1).any(|rest| {
        let mut digits = rest.bytes();
        (0..7).all(|_| digits.next().is_some_and(|byte| byte.is_ascii_digit()))
    })
}

/// Reads canonical items and refuses any other.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Offset of the next byte.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn slice(&mut self, length: u64) -> Result<&'a [u8], CanonicalError> {
        let ends = CanonicalError::Ends(self.bytes.len());
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let slice = end.and_then(|end| self.bytes.get(self.at..end)).ok_or(ends)?;
        self.at += slice.len();
        Ok(slice)
    }

    fn head(&mut self) -> Result<(u8, u64), CanonicalError> {
        let at = self.at;
        let first = self.peek().ok_or(CanonicalError::Ends(at))?;
        self.at += 1;
        let (length, least) = match first & 31 {
            direct @ 0..=23 => return Ok((first >> 5, u64::from(direct))),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            31 => {
                return Err(CanonicalError::NotCanonical { at, what: "indefinite length" });
            }
            _ => {
                return Err(CanonicalError::NotCanonical { at, what: "reserved head" });
            }
        };
        let argument = self.slice(length)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        if argument < least {
            return Err(CanonicalError::NotCanonical { at, what: "longer than the shortest form" });
        }
        Ok((first >> 5, argument))
    }

    /// The argument of a head of this major type.
    pub(crate) fn length(
        &mut self,
        major: u8,
        expected: &'static str,
    ) -> Result<u64, CanonicalError> {
        let at = self.at;
        match self.head()? {
            (found, argument) if found == major => Ok(argument),
            _ => Err(CanonicalError::Type { at, expected }),
        }
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, CanonicalError> {
        self.length(UINT, "an unsigned integer")
    }

    pub(crate) fn signed(&mut self) -> Result<i64, CanonicalError> {
        let at = self.at;
        let range = CanonicalError::Range { at, what: "64-bit integer" };
        match self.head()? {
            (UINT, argument) => i64::try_from(argument).map_err(|_| range),
            (NINT, argument) => i64::try_from(argument).map(|value| -1 - value).map_err(|_| range),
            _ => Err(CanonicalError::Type { at, expected: "an integer" }),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], CanonicalError> {
        let length = self.length(BYTES, "a byte string")?;
        self.slice(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, CanonicalError> {
        let at = self.at;
        let length = self.length(TEXT, "a text")?;
        let text = std::str::from_utf8(self.slice(length)?)
            .map_err(|_| CanonicalError::Range { at, what: "UTF-8 text" })?;
        if holds_number(text) { Err(CanonicalError::TelephoneNumber) } else { Ok(text) }
    }

    pub(crate) fn bool(&mut self) -> Result<bool, CanonicalError> {
        let at = self.at;
        match self.head()? {
            (SIMPLE, FALSE) => Ok(false),
            (SIMPLE, TRUE) => Ok(true),
            _ => Err(CanonicalError::Type { at, expected: "true or false" }),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
