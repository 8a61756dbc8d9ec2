//! Telephone numbers as people write them, to E.164, by the numbering plans of libphonenumber.

use std::str::FromStr;

use dialer_types::{E164, E164Error, Say, say};
use phonenumber::country;

/// The digits of a number that may be complete without its plus have at least this many.
const COMPLETE: usize = 11;

/// A country whose numbering plan is known: two capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    letters: [u8; 2],
    id: country::Id,
}

impl Region {
    /// The country with these two letters.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.trim().to_ascii_uppercase().as_bytes().try_into().ok()?;
        // Everybody writes UK, and no plan has that name.
        let letters = if letters == *b"UK" { *b"GB" } else { letters };
        let text = std::str::from_utf8(&letters).ok()?;
        country::Id::from_str(text).ok().map(|id| Self { letters, id })
    }

    /// Its two letters.
    pub(crate) const fn letters(self) -> [u8; 2] {
        self.letters
    }

    /// Its country code.
    fn code(self) -> Option<u16> {
        phonenumber::metadata::DATABASE.by_id(self.text()).map(phonenumber::Metadata::country_code)
    }

    /// Its two letters.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.letters).unwrap_or_default()
    }
}

/// A number that was read.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) number: E164,
    pub(crate) repair: Option<Say>,
}

/// Reads a cell; `region` is the country whose numbers may stand without their country code.
pub(crate) fn read(text: &str, region: Option<Region>) -> Result<Read, Say> {
    let (digits, plus) = digits(text)?;
    if plus {
        return international(&digits).map(|number| Read { number, repair: None }).map_err(spoken);
    }
    let Some(region) = region else {
        return without_region(&digits);
    };
    if let Some(number) = dialled_abroad(region, &digits) {
        return Ok(Read { number, repair: None });
    }
    let national = valid(Some(region), &digits);
    let complete = (digits.len() >= COMPLETE).then(|| valid(None, &format!("+{digits}"))).flatten();
    match (national, complete) {
        (Some(national), Some(complete)) if national != complete => Err(say!(
            "may be a number of {region} or a whole one that lost its '+': write it with '+' and the country code",
            region = region.text()
        )),
        (Some(number), _) => Ok(Read { number, repair: None }),
        (None, Some(number)) => {
            Ok(Read { number, repair: Some("had lost the '+' before its country code".into()) })
        }
        (None, None) => Err(say!(
            "is no number of {region}: too long, too short or not in its numbering plan",
            region = region.text()
        )),
    }
}

/// Whether a cell of a telephone column is a number and nothing else, even if its digits pass for
/// those of a card.
pub(crate) fn is_valid(number: &E164) -> bool {
    valid(None, &number.expose()).as_ref() == Some(number)
}

/// Whether a number is one of this country, and not of another that shares its code.
pub(crate) fn is_of(number: &E164, region: Region) -> bool {
    phonenumber::parse(None, number.expose())
        .is_ok_and(|number| number.country().id() == Some(region.id))
}

/// The digits, and whether a plus is before them.
fn digits(text: &str) -> Result<(String, bool), Say> {
    let text = text.trim();
    let text = ["tel:", "TEL:", "Tel:", "tel.", "Tel."]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text)
        .trim();
    if several(text) {
        return Err(
            "holds several numbers: give each a column of its own (phone_1 to phone_4)".into()
        );
    }
    let (plus, rest) = match text.strip_prefix('+') {
        // +44 (0)20: the zero is for callers at home.
        Some(rest) => (true, rest.replacen("(0)", "", 1)),
        None => (
            false,
            text.strip_prefix("(+").map_or_else(|| text.to_owned(), |rest| format!("+{rest}")),
        ),
    };
    let (plus, rest) = match rest.strip_prefix('+') {
        Some(rest) if !plus => (true, rest.to_owned()),
        _ => (plus, rest),
    };
    let mut digits = String::new();
    for character in rest.chars() {
        match character {
            '0'..='9' => digits.push(character),
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{A0}' => {}
            'x' | 'X' | '#' | ',' | ';' | 'e' if digits.len() >= 7 => {
                return Err("has an extension, which cannot be dialled; leave it out".into());
            }
            _ => {
                return Err(
                    "holds something else than digits: a number has only digits after the '+'"
                        .into(),
                );
            }
        }
        if digits.len() > 20 {
            return Err("has too many digits for a telephone number".into());
        }
    }
    Ok((digits, plus))
}

/// Two numbers in one cell, divided by something that is in no number.
fn several(text: &str) -> bool {
    let long = |part: &str| part.bytes().filter(u8::is_ascii_digit).count() >= 7;
    text.split(['/', ';', ',', '|', '&']).filter(|part| long(part)).count() > 1
        || text.matches('+').count() > 1 && text.split('+').filter(|part| long(part)).count() > 1
}

fn international(digits: &str) -> Result<E164, E164Error> {
    format!("+{digits}").parse()
}

/// A number as it is dialled to another country: 011 in North America, 00 nearly everywhere else.
/// Not left to the library, which takes the region's own prefix out of a foreign number.
fn dialled_abroad(region: Region, digits: &str) -> Option<E164> {
    let prefix = if region.code() == Some(1) { "011" } else { "00" };
    valid(None, &format!("+{}", digits.strip_prefix(prefix)?))
}

fn without_region(digits: &str) -> Result<Read, Say> {
    // 00 is what most countries dial for the plus; only a number that then exists is taken so.
    if let Some(number) =
        digits.strip_prefix("00").and_then(|rest| valid(None, &format!("+{rest}")))
    {
        return Ok(Read { number, repair: Some("began with 00, which is taken for '+'".into()) });
    }
    Err("is not in international form, starting with '+', and it is not known of which country it is: give the country of the file (region=US) or a column country".into())
}

/// A number that exists in the numbering plan.
fn valid(region: Option<Region>, text: &str) -> Option<E164> {
    // Only digits and a plus reach the library, and not more than a number has.
    if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+') {
        return None;
    }
    let number = phonenumber::parse(region.map(|region| region.id), text).ok()?;
    // A national number has the country code of its country.
    let code = region.map(Region::code);
    if !phonenumber::is_valid(&number)
        || code.is_some_and(|code| code != Some(number.code().value()))
    {
        return None;
    }
    number.format().mode(phonenumber::Mode::E164).to_string().parse().ok()
}

fn spoken(error: E164Error) -> Say {
    match error {
        E164Error::NoPlus => "must be in international form, starting with '+'".into(),
        E164Error::NotDigit(_) => "holds only digits after the '+'".into(),
        E164Error::Length(found) => say!("has {found} digits; a number has 7 to 15", found),
        E164Error::LeadingZero => "has a 0 after the '+'; no country code begins so".into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::import::cards;

    fn is_card(cell: &str, read: Option<&Read>) -> bool {
        cards::holds_card(cell) && !read.is_some_and(|read| is_valid(&read.number))
    }

    #[test]
    fn national_numbers_are_read_by_the_plan_of_their_country() {
        let cases = [
            ("US", "3055550123", Ok("+13055550123")),
            ("US", "(305) 555-0123", Ok("+13055550123")),
            ("US", "305.555.0123", Ok("+13055550123")),
            ("US", "1-305-555-0123", Ok("+13055550123")),
            ("US", "+1 305 555 0123", Ok("+13055550123")),
            ("US", "tel:+1-305-555-0123", Ok("+13055550123")),
            ("US", "4792345678", Ok("+14792345678")),
            ("US", "4915123456789", Ok("+4915123456789")),
            ("US", "011 49 151 23456789", Ok("+4915123456789")),
            ("US", "5550123", Err("no number of US")),
            ("US", "30555501234", Err("no number of US")),
            ("US", "305-555-0123 x12", Err("extension")),
            ("US", "305-555-0123 / 305-555-0124", Err("several")),
            ("US", "305-555-CALL", Err("only digits")),
            ("GB", "07911 123456", Ok("+447911123456")),
            ("GB", "7911123456", Ok("+447911123456")),
            ("GB", "+44 (0)20 7946 0958", Ok("+442079460958")),
            ("DE", "0151 23456789", Ok("+4915123456789")),
            ("DE", "39 06 6982 0000", Err("lost its '+'")),
            ("FR", "612345678", Ok("+33612345678")),
            ("IT", "02 3661 8300", Ok("+390236618300")),
            ("IT", "236618300", Err("no number of IT")),
            ("CN", "138 0013 8000", Ok("+8613800138000")),
            ("CN", "010-62345678", Ok("+861062345678")),
            ("", "3055550123", Err("starting with '+'")),
            ("", "0049 151 23456789", Ok("+4915123456789")),
            ("", "+12345678901234567", Err("17 digits")),
            ("", "+0305555012", Err("0 after")),
        ];
        for (region, text, expected) in cases {
            match (read(text, Region::read(region)), expected) {
                (Ok(read), Ok(number)) => {
                    assert_eq!(read.number.expose(), number, "{region} {text}")
                }
                (Err(reason), Err(part)) => {
                    assert!(reason.to_string().contains(part), "{region} {text}: {reason}");
                }
                (found, _) => panic!("{region} {text}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_number_is_of_the_country_whose_plan_has_it() {
        for (number, region, is) in [
            ("+13055550123", "US", true),
            ("+14165550123", "US", false),
            ("+14165550123", "CA", true),
            ("+442079460958", "GB", true),
            ("+442079460958", "US", false),
        ] {
            let region = Region::read(region).unwrap();
            assert_eq!(is_of(&number.parse().unwrap(), region), is, "{number} {region:?}");
        }
    }

    #[test]
    fn a_number_that_exists_is_no_card_and_a_card_is_no_number() {
        // A German mobile number whose 13 digits pass the check of a card.
        let cell =
            (0..10).map(|last| format!("+491512345678{last}")).find(|n| cards::holds_card(n));
        let cell = cell.unwrap();
        assert!(!is_card(&cell, read(&cell, None).ok().as_ref()));
        for card in ["4222222222222", "+4222222222222", "4111 1111 1111 1111", "378282246310005"] {
            assert!(is_card(card, read(card, Region::read("US")).ok().as_ref()), "{card}");
        }
    }

    proptest! {
        #[test]
        fn any_cell_is_read_without_a_panic(text in "\\PC{0,40}|[-+0-9() .x]{0,30}", region in "[A-Z]{2}") {
            if let Ok(read) = read(&text, Region::read(&region)) {
                prop_assert!(read.number.expose().len() <= 16);
            }
        }
    }
}
