//! Lines of numbers, as publishers send them: any order, duplicates, comments, CRLF.

use std::io::{self, BufRead, Read as _};

/// Longest line, bytes: a comment may be a paragraph; a file without line ends is no list.
const LINE_MOST: u64 = 4096;

/// How to read numbers that are not in international form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct National<'a> {
    /// The country calling code, in digits.
    pub(crate) code: &'a str,
    /// What goes off the front of a number that begins so; `Some("")` keeps a leading zero.
    pub(crate) trunk: Option<&'a str>,
}

/// Why a line is not a number. Never repeats the line: it may be somebody's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// A letter, or another sign that no number has.
    #[error(
        "character {0} is neither a digit nor one of ' -.,()'; a line holds one number and nothing else"
    )]
    Sign(usize),
    /// National digits, and nothing says of which country.
    #[error(
        "a number that does not start with '+' needs its country: add --country CODE, for example 1"
    )]
    NoCountry,
    /// Too short or too long.
    #[error("a number has 7 to 15 digits with its country code, this one has {0}")]
    Length(usize),
    /// Of the North American plan, and not of its length.
    #[error("a number of country code 1 has 10 digits behind it, this one has {0}")]
    NorthAmerican(usize),
    /// Country codes do not start with zero.
    #[error("a country code does not start with 0")]
    LeadingZero,
    /// A national number with a zero that may or may not belong to it.
    #[error(
        "a national number that begins with 0 is ambiguous: add --trunk-prefix 0 to take the zero \
         off (most countries), or --trunk-prefix none to keep it (Italy and a few more)"
    )]
    TrunkZero,
    /// `(0)` within an international number.
    #[error("'(0)' in a number in international form: take it out")]
    ZeroInBrackets,
    /// No end in sight.
    #[error("longer than 4096 bytes: this is no file of one number a line")]
    Long,
    /// In a delta.
    #[error("a line of a delta begins with '+' (to add) or '-' (to remove)")]
    NoSign,
}

/// A line that is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct LineError {
    /// Counted from 1.
    pub line: u64,
    /// Why.
    pub fault: LineFault,
}

/// What stops the reading of lines.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Line(#[from] LineError),
}

/// Hands every line that is not blank to `each`, with its number, without white space at its ends.
pub(crate) fn each<E: From<ReadError>>(
    input: &mut impl BufRead,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut line = Vec::new();
    for at in 1.. {
        line.clear();
        let read = input.by_ref().take(LINE_MOST).read_until(b'\n', &mut line);
        if read.map_err(ReadError::Io)? == 0 {
            break;
        }
        if line.len() as u64 == LINE_MOST && line.last() != Some(&b'\n') {
            return Err(ReadError::Line(LineError { line: at, fault: LineFault::Long }).into());
        }
        let mut text = line.as_slice();
        if at == 1 {
            // The byte order mark that spreadsheets put before UTF-8.
            text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        }
        let text = text.trim_ascii();
        if !text.is_empty() {
            each(at, text)?;
        }
    }
    Ok(())
}

/// Whether a line says nothing about numbers.
pub(crate) fn is_comment(text: &[u8]) -> bool {
    text.first() == Some(&b'#')
}

/// The digits of a number as one integer.
pub(crate) fn number(text: &[u8], national: Option<&National<'_>>) -> Result<u64, LineFault> {
    let mut digits = Digits::default();
    if let Some(rest) = text.strip_prefix(b"+") {
        digits.add(rest, 2)?;
        if digits.first == Some(0) {
            return Err(LineFault::LeadingZero);
        }
        if text.windows(3).any(|three| three == b"(0)") {
            return Err(LineFault::ZeroInBrackets);
        }
    } else {
        let National { code, trunk } = national.ok_or(LineFault::NoCountry)?;
        let rest = match trunk {
            Some(trunk) => text.strip_prefix(trunk.as_bytes()).unwrap_or(text),
            None => text,
        };
        digits.add(code.as_bytes(), 1)?;
        let before = digits.first;
        digits.first = None;
        digits.add(rest, 1 + text.len() - rest.len())?;
        if trunk.is_none() && digits.first == Some(0) {
            return Err(LineFault::TrunkZero);
        }
        digits.first = before;
    }
    match digits.count {
        count if !(7..=15).contains(&count) => Err(LineFault::Length(count)),
        // No code but 1 begins with 1.
        count if digits.first == Some(1) && count != 11 => {
            Err(LineFault::NorthAmerican(count.saturating_sub(1)))
        }
        _ => Ok(digits.value),
    }
}

#[derive(Default)]
struct Digits {
    value: u64,
    count: usize,
    first: Option<u8>,
}

impl Digits {
    /// Takes the digits of a text whose first character is the `from`th of its line.
    fn add(&mut self, text: &[u8], from: usize) -> Result<(), LineFault> {
        for (at, byte) in text.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                self.first.get_or_insert(digit);
                self.count += 1;
                // Past 15 digits it is refused by its length; the value may be anything.
                self.value = self.value.wrapping_mul(10).wrapping_add(u64::from(digit));
            } else if !b" -.,()".contains(byte) {
                return Err(LineFault::Sign(from + at));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, national: Option<(&str, Option<&str>)>) -> Result<u64, LineFault> {
        let national = national.map(|(code, trunk)| National { code, trunk });
        number(text.as_bytes(), national.as_ref())
    }

    #[test]
    fn numbers_are_read_in_the_forms_that_publishers_use() {
        let us = Some(("1", None));
        for (text, national) in [
            ("+13055550123", None),
            ("+1 (305) 555-0123", None),
            ("+13055550123", us),
            ("3055550123", us),
            ("305,5550123", us),
            ("(305) 555-0123", us),
        ] {
            assert_eq!(read(text, national), Ok(13_055_550_123), "{text}");
        }
        assert_eq!(read("020 7946 0001", Some(("44", Some("0")))), Ok(442_079_460_001));
        assert_eq!(read("20 7946 0001", Some(("44", Some("0")))), Ok(442_079_460_001));
        assert_eq!(read("06 1234567", Some(("39", Some("")))), Ok(39_061_234_567));
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_reason() {
        let us = Some(("1", None));
        for (text, national, fault) in [
            ("+1305555o123", None, LineFault::Sign(9)),
            ("305555o123", us, LineFault::Sign(7)),
            ("020o", Some(("44", Some("0"))), LineFault::Sign(4)),
            ("3055550123", None, LineFault::NoCountry),
            ("+130555", None, LineFault::Length(6)),
            ("+4420794600011234567", None, LineFault::Length(19)),
            ("+1305555012", None, LineFault::NorthAmerican(9)),
            ("13055550123", us, LineFault::NorthAmerican(11)),
            ("3055550123 3055550124", us, LineFault::Length(21)),
            ("+03055550123", None, LineFault::LeadingZero),
            ("02079460001", Some(("44", None)), LineFault::TrunkZero),
            ("+44 (0)20 7946 0001", None, LineFault::ZeroInBrackets),
            ("+", None, LineFault::Length(0)),
        ] {
            assert_eq!(read(text, national), Err(fault), "{text}");
        }
    }

    #[test]
    fn lines_keep_their_numbers_and_lose_their_ends() {
        let mut seen = Vec::new();
        let mut input = &b"\xEF\xBB\xBF# a\r\n\r\n  +1\t\r\n+2"[..];
        let read = each(&mut input, |at, text| {
            seen.push((at, String::from_utf8_lossy(text).into_owned()));
            Ok::<_, ReadError>(())
        });
        read.unwrap();
        assert_eq!(seen, [(1, "# a".to_owned()), (3, "+1".to_owned()), (4, "+2".to_owned())]);
        let long = vec![b'1'; 5000];
        let error = each(&mut long.as_slice(), |_, _| Ok::<_, ReadError>(())).unwrap_err();
        assert!(error.to_string().starts_with("line 1: longer than"), "{error}");
    }
}
