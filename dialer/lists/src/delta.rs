//! A delta: what a publisher has added and removed since a copy.
//!
//! Text: a first line `# delta`; the header lines `# id: us.national_dnc`, `# base: 2026-11-01` (of
//! which day the copy is that it was made for) and `# as_of: 2026-11-08`; then one number a line in
//! international form, with `+` to add it and `-` to remove it: `+13055550123`, `-13055550124`.
//! `++1...` and `-+1...` say the same. Blank lines and other comments are passed over.

use std::io::{self, BufRead};

use chrono::NaiveDate;
use dialer_types::E164;

use crate::{
    lines::{self, LineError, LineFault, ReadError},
    sorter::Sorter,
};

/// Why a file is not a delta.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The file could not be read, or not sorted for want of room.
    #[error("cannot be read or sorted: {0}")]
    Io(#[from] io::Error),
    /// The first line is another.
    #[error("line 1 is not '# delta'")]
    NotDelta,
    /// A header is missing or wrong, or stands behind the first number.
    #[error("header '# {0}: ...' is missing before the first number, or not understood")]
    Header(&'static str),
    /// A line is not understood.
    #[error(transparent)]
    Line(#[from] LineError),
    /// One number in two ways.
    #[error("the number {0} is both added and removed: which of them holds cannot be known")]
    Contradiction(E164),
}

impl From<ReadError> for DeltaError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Io(error),
            ReadError::Line(error) => Self::Line(error),
        }
    }
}

/// What a delta is for, and its changes, sorted.
#[derive(Debug)]
pub(crate) struct Delta {
    /// The list.
    pub(crate) id: String,
    /// Of which day the copy is that it changes.
    pub(crate) base: NaiveDate,
    /// Of which day the list is then.
    pub(crate) as_of: NaiveDate,
    changes: Sorter,
}

impl Delta {
    /// Reads a delta; what does not fit into memory goes to a nameless file beside `beside`.
    pub(crate) fn read(
        input: &mut impl BufRead,
        beside: &std::path::Path,
        at_once: usize,
    ) -> Result<Self, DeltaError> {
        let mut first = true;
        let (mut id, mut base, mut as_of) = (None, None, None);
        let mut changes = Sorter::new(beside, at_once);
        let complete = |id: &Option<String>, base: Option<NaiveDate>, as_of: Option<NaiveDate>| {
            id.as_ref().ok_or(DeltaError::Header("id"))?;
            base.ok_or(DeltaError::Header("base"))?;
            as_of.ok_or(DeltaError::Header("as_of")).map(drop)
        };
        lines::each(input, |line, text| {
            if first {
                first = false;
                return if text == b"# delta" { Ok(()) } else { Err(DeltaError::NotDelta) };
            }
            if lines::is_comment(text) {
                match header(text) {
                    Some(("id", value)) if !value.is_empty() => id = Some(value.to_owned()),
                    Some(("base", value)) => base = value.parse().ok(),
                    Some(("as_of", value)) => as_of = value.parse().ok(),
                    _ => {}
                }
                return Ok(());
            }
            complete(&id, base, as_of)?;
            let change = change(text).map_err(|fault| LineError { line, fault })?;
            Ok(changes.push(change)?)
        })?;
        if first {
            return Err(DeltaError::NotDelta);
        }
        complete(&id, base, as_of)?;
        let (id, base) = (id.unwrap_or_default(), base.unwrap_or_default());
        Ok(Self { id, base, as_of: as_of.unwrap_or_default(), changes })
    }

    /// Hands every change to `each`, by ascending number: the number, and whether it is removed.
    pub(crate) fn each<E: From<DeltaError> + From<io::Error>>(
        self,
        mut each: impl FnMut(u64, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut last = None;
        self.changes.merge(|change| {
            let (digits, removed) = (change >> 1, change & 1 == 1);
            if last == Some(digits) {
                let number = E164::from_digits(digits).map_err(io::Error::other)?;
                return Err(DeltaError::Contradiction(number).into());
            }
            last = Some(digits);
            each(digits, removed)
        })
    }
}

fn header(text: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(text).ok()?.strip_prefix('#')?.split_once(':')?;
    Some((name.trim(), value.trim()))
}

/// The number twice, and one more if it is removed: they sort by number.
fn change(text: &[u8]) -> Result<u64, LineFault> {
    let (sign, rest) = text.split_first().ok_or(LineFault::NoSign)?;
    let removed = match sign {
        b'+' => 0,
        b'-' => 1,
        _ => return Err(LineFault::NoSign),
    };
    let number = if rest.first() == Some(&b'+') {
        lines::number(rest, None)
    } else {
        let mut whole = Vec::with_capacity(rest.len() + 1);
        whole.push(b'+');
        whole.extend_from_slice(rest);
        lines::number(&whole, None)
    };
    Ok(number? << 1 | removed)
}
