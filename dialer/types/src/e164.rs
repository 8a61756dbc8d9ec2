//! Telephone numbers that mask themselves.

use std::{fmt, str::FromStr};

use crate::{Say, say};

/// A telephone number in E.164 form. `Debug` and `Display` mask it; [`E164::expose`] discloses it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(u64);

/// Why a text is not an E.164 number. Never carries the text: it may be somebody's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum E164Error {
    /// No leading plus.
    #[error("a number must be in international form, starting with '+'")]
    NoPlus,
    /// Something that is not a digit.
    #[error("a number holds only digits after the '+' (character {0} is not one)")]
    NotDigit(usize),
    /// Too short or too long.
    #[error("a number has 7 to 15 digits, this one has {0}")]
    Length(usize),
    /// Country codes do not start with zero.
    #[error("a country code does not start with 0")]
    LeadingZero,
}

/// For people: the same words as `Display`, and others in other languages.
impl From<E164Error> for Say {
    fn from(error: E164Error) -> Self {
        match error {
            E164Error::NoPlus => "a number must be in international form, starting with '+'".into(),
            E164Error::NotDigit(at) => {
                say!("a number holds only digits after the '+' (character {at} is not one)", at)
            }
            E164Error::Length(count) => {
                say!("a number has 7 to 15 digits, this one has {count}", count)
            }
            E164Error::LeadingZero => "a country code does not start with 0".into(),
        }
    }
}

impl E164 {
    /// The number as it goes on the wire, for example `+13055550123`. Never log the result.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("+{}", self.0)
    }

    /// The digits as one integer, without the plus.
    #[must_use]
    pub const fn digits(&self) -> u64 {
        self.0
    }

    /// The number whose digits are this integer.
    ///
    /// # Errors
    /// If it has fewer than 7 or more than 15 digits.
    pub fn from_digits(digits: u64) -> Result<Self, E164Error> {
        let length = digits.checked_ilog10().map_or(1, |log| log as usize + 1);
        if (7..=15).contains(&length) { Ok(Self(digits)) } else { Err(E164Error::Length(length)) }
    }
}

impl FromStr for E164 {
    type Err = E164Error;

    fn from_str(text: &str) -> Result<Self, E164Error> {
        let digits = text.strip_prefix('+').ok_or(E164Error::NoPlus)?;
        if let Some(at) = digits.bytes().position(|byte| !byte.is_ascii_digit()) {
            return Err(E164Error::NotDigit(at + 2));
        }
        if !(7..=15).contains(&digits.len()) {
            return Err(E164Error::Length(digits.len()));
        }
        if digits.starts_with('0') {
            return Err(E164Error::LeadingZero);
        }
        digits.parse().map(Self).map_err(|_| E164Error::Length(digits.len()))
    }
}

impl fmt::Display for E164 {
    /// The first three digits and the last two; the rest is hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let hidden = text.len().saturating_sub(5);
        let head: String = text.chars().take(3).collect();
        let tail: String = text.chars().skip(3 + hidden).collect();
        write!(f, "+{head}{}{tail}", "*".repeat(hidden))
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_a_number_masks_it_and_exposing_it_does_not() {
        let number: E164 = "+13055550123".parse().unwrap();
        assert_eq!(number.to_string(), "+130******23");
        assert_eq!(format!("{number:?}"), "E164(+130******23)");
        assert_eq!(number.expose(), "+13055550123");
        assert_eq!(E164::from_digits(number.digits()), Ok(number));
    }

    #[test]
    fn texts_that_are_not_numbers_are_refused_without_repeating_them() {
        for (text, error) in [
            ("13055550123", E164Error::NoPlus),
            ("+1305555o123", E164Error::NotDigit(9)),
            ("+123456", E164Error::Length(6)),
            ("+1234567890123456", E164Error::Length(16)),
            ("+03055550123", E164Error::LeadingZero),
            ("", E164Error::NoPlus),
        ] {
            assert_eq!(text.parse::<E164>(), Err(error), "{text}");
            assert_eq!(Say::from(error).to_string(), error.to_string());
        }
    }
}
