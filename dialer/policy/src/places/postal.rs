//! Where a postal code of the US, Canada or the UK can be: `schema/places/postal.txt`.
//!
//! A code only ever adds candidates. One that is malformed or in no table adds nothing and says so.

use std::collections::HashMap;

use crate::{Place, PostalCode};

/// A table's answer: the number of a spot, from 1.
type Spot = u16;

/// Postal codes by country.
#[derive(Debug)]
pub(super) struct PostalCodes {
    /// By ZIP code.
    us: Vec<Spot>,
    /// By the first part of the code, all three characters; see [`first_part`].
    ca: Vec<Spot>,
    /// By area and by outward code, in letters and digits.
    gb: HashMap<[u8; 4], Spot>,
}

/// Letters, digits, letters: 26 * 10 * 26.
const FIRST_PARTS: usize = 6760;
const ZIP_CODES: usize = 100_000;
/// The longest is `12345-6789`; nobody writes more than a few blanks into one.
const LONGEST: usize = 16;

/// The countries whose codes are in one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Us,
    Ca,
    Gb,
}

fn table(country: Place) -> Option<Table> {
    Some(match country.as_str() {
        "US" | "PR" | "VI" | "GU" | "MP" | "AS" => Table::Us,
        "CA" => Table::Ca,
        "GB" | "GG" | "JE" | "IM" => Table::Gb,
        _ => return None,
    })
}

fn letter(byte: u8) -> Option<usize> {
    byte.is_ascii_uppercase().then(|| usize::from(byte - b'A'))
}

fn digit(byte: u8) -> Option<usize> {
    byte.is_ascii_digit().then(|| usize::from(byte - b'0'))
}

fn number(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0, |value, byte| digit(*byte).map(|digit| value * 10 + digit))
}

/// `A1A`: letter, digit, letter.
fn first_part(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [one, two, three] => Some(letter(*one)? * 260 + digit(*two)? * 26 + letter(*three)?),
        _ => None,
    }
}

/// Every first part that starts so.
fn first_parts(start: &[u8]) -> Option<std::ops::Range<usize>> {
    Some(match start {
        [one] => letter(*one)? * 260..letter(*one)? * 260 + 260,
        [one, two] => {
            let from = letter(*one)? * 260 + digit(*two)? * 26;
            from..from + 26
        }
        all => first_part(all)?..first_part(all)? + 1,
    })
}

fn key(code: &[u8]) -> Option<[u8; 4]> {
    let mut key = [0; 4];
    key.get_mut(..code.len())?.copy_from_slice(code);
    Some(key)
}

/// The outward code, `SW1A` of `SW1A 1AA` or of itself.
fn outward(code: &[u8]) -> Option<&[u8]> {
    let is_inward = |end: &[u8]| match end {
        [one, two, three] => {
            one.is_ascii_digit() && two.is_ascii_uppercase() && three.is_ascii_uppercase()
        }
        _ => false,
    };
    let start = match code.split_at_checked(code.len().saturating_sub(3)) {
        Some((start, end)) if start.len() > 1 && is_inward(end) => start,
        _ => code,
    };
    let letters = start.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let rest = start.get(letters..)?;
    let right = match rest {
        [one] => one.is_ascii_digit(),
        [one, two] => one.is_ascii_digit() && two.is_ascii_alphanumeric(),
        _ => false,
    };
    (right && (1..=2).contains(&letters)).then_some(start)
}

impl Default for PostalCodes {
    fn default() -> Self {
        Self { us: vec![0; ZIP_CODES], ca: vec![0; FIRST_PARTS], gb: HashMap::new() }
    }
}

impl PostalCodes {
    /// Takes a line of the table in: longer codes must come after shorter ones. `None` if it cannot
    /// be read.
    pub(super) fn take(&mut self, country: &str, codes: &str, spot: Spot) -> Option<()> {
        match country {
            "US" => self.zip_codes(codes, spot),
            "CA" => self.ca.get_mut(first_parts(codes.as_bytes())?).map(|parts| parts.fill(spot)),
            "GB" => codes.split(',').try_for_each(|code| {
                self.gb.insert(key(code.as_bytes())?, spot);
                Some(())
            }),
            _ => None,
        }
    }

    /// `010`, `010-027` or `424:01,20-22`.
    fn zip_codes(&mut self, codes: &str, spot: Spot) -> Option<()> {
        let (base, runs, width) = match codes.split_once(':') {
            Some((prefix, runs)) => (number(prefix.as_bytes())? * 100, runs, 1),
            None => (0, codes, 100),
        };
        for run in runs.split(',') {
            let (from, to) = run.split_once('-').unwrap_or((run, run));
            let (from, to) = (number(from.as_bytes())?, number(to.as_bytes())?);
            self.us.get_mut(base + from * width..base + (to + 1) * width)?.fill(spot);
        }
        Some(())
    }

    /// What the table of a country says of a code.
    pub(super) fn find(&self, country: Place, code: &str) -> (PostalCode, Option<Spot>) {
        let Some(table) = table(country) else {
            return (PostalCode::NotLookedUp, None);
        };
        let mut plain = [0_u8; LONGEST];
        let mut length = 0;
        for byte in code.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
            let Some(slot) = plain.get_mut(length) else {
                return (PostalCode::Malformed, None);
            };
            *slot = byte.to_ascii_uppercase();
            length += 1;
        }
        if length == 0 {
            return (PostalCode::NotLookedUp, None);
        }
        let plain = plain.get(..length).unwrap_or_default();
        match self.spot(table, plain) {
            None => (PostalCode::Malformed, None),
            Some(0) => (PostalCode::Unknown, None),
            Some(spot) => (PostalCode::Known, Some(spot)),
        }
    }

    /// `None` if it is no code of the country; 0 if the table does not have it.
    fn spot(&self, table: Table, code: &[u8]) -> Option<Spot> {
        match (table, code.len()) {
            (Table::Us, 5 | 9) => {
                number(code)?;
                self.us.get(number(code.get(..5)?)?).copied()
            }
            (Table::Ca, 3 | 6) => {
                let (start, rest) = code.split_at_checked(3)?;
                let right = match rest {
                    [] => true,
                    [one, two, three] => {
                        one.is_ascii_digit() && two.is_ascii_uppercase() && three.is_ascii_digit()
                    }
                    _ => false,
                };
                self.ca.get(first_part(start).filter(|_| right)?).copied()
            }
            (Table::Gb, 2..=7) => {
                let outward = outward(code)?;
                let area = outward.split(u8::is_ascii_digit).next()?;
                let found = self.gb.get(&key(outward)?).or_else(|| self.gb.get(&key(area)?));
                Some(found.copied().unwrap_or(0))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::PLACES;

    #[test]
    fn a_code_is_known_unknown_or_malformed_and_known_ones_lie_where_the_post_says() {
        for (country, code, expected) in [
            ("US", "10001", "US-NY America/New_York"),
            ("US", "10001-1234", "US-NY America/New_York"),
            ("US", " 100011234 ", "US-NY America/New_York"),
            // One prefix, two zones, and the codes on either side.
            ("US", "79835", "US-TX America/Denver"),
            ("US", "79901", "US-TX America/Denver"),
            ("US", "79756", "US-TX America/Chicago"),
            ("US", "32401", "US-FL America/Chicago"),
            ("US", "32456", "US-FL America/Chicago,America/New_York"),
            ("US", "33101", "US-FL America/New_York"),
            ("US", "83814", "US-ID America/Los_Angeles"),
            ("US", "83702", "US-ID America/Boise"),
            ("US", "06390", "US-NY America/New_York"),
            ("US", "00901", "US-PR America/Puerto_Rico"),
            ("PR", "00901", "US-PR America/Puerto_Rico"),
            ("US", "96799", "US-AS Pacific/Pago_Pago"),
            // No code of the prefix is this one: it may be in whichever the prefix is.
            ("US", "42600", "US-KY,US-TN America/Chicago,America/New_York"),
            // A military post office may be anywhere.
            ("US", "09012", "unknown"),
            ("US", "00000", "unknown"),
            ("US", "1000", "malformed"),
            ("US", "1000A", "malformed"),
            ("US", "10001-12", "malformed"),
            ("US", "K1A 0B1", "malformed"),
            ("US", "１０００１", "malformed"),
            ("US", "10001 and a street and a town", "malformed"),
            ("US", "", "not_looked_up"),
            ("CA", "K1A 0B1", "CA-ON America/Toronto"),
            ("CA", "k1a0b1", "CA-ON America/Toronto"),
            ("CA", "P9N", "CA-ON America/Winnipeg"),
            ("CA", "P0T 1A0", "CA-ON America/Toronto,America/Winnipeg"),
            ("CA", "A2V 2K1", "CA-NL America/Goose_Bay"),
            ("CA", "G4T", "CA-QC America/Halifax"),
            ("CA", "S9V 0A1", "CA-SK America/Edmonton,America/Regina"),
            ("CA", "X0A 0H0", "CA-NU America/Coral_Harbour,America/Iqaluit,America/Rankin_Inlet"),
            ("CA", "D1A 1A1", "unknown"),
            ("CA", "K1A 0BB", "malformed"),
            ("CA", "10001", "malformed"),
            ("GB", "SW1A 1AA", "GB-ENG Europe/London"),
            ("GB", "m11aa", "GB-ENG Europe/London"),
            ("GB", "EH1", "GB-SCT Europe/London"),
            ("GB", "BT1 5GS", "GB-NIR Europe/London"),
            ("GB", "CF10 1AA", "GB-WLS Europe/London"),
            ("GB", "CH5 1AA", "GB-WLS Europe/London"),
            ("GB", "CH4 9AA", "GB-ENG,GB-WLS Europe/London"),
            ("GB", "JE2 3AB", "JE Europe/Jersey"),
            ("GG", "GY1 1AA", "GG Europe/Guernsey"),
            ("GB", "IM1 1AA", "IM Europe/Isle_of_Man"),
            ("GB", "XX1 1AA", "unknown"),
            ("GB", "SW1A 1A", "malformed"),
            ("GB", "1AA", "malformed"),
            ("FR", "75001", "not_looked_up"),
        ] {
            let (status, spot) = PLACES.postal.find(Place::new(country).unwrap(), code);
            let found = match spot.and_then(|spot| PLACES.spot(spot)) {
                Some(spot) => {
                    let places: Vec<_> = spot.places.iter().map(Place::as_str).collect();
                    let zones: Vec<_> = spot.zones.iter().map(|zone| zone.name()).collect();
                    format!("{} {}", places.join(","), zones.join(","))
                }
                None => status.as_str().to_owned(),
            };
            assert_eq!(found, expected, "{country} {code}");
        }
    }
}
