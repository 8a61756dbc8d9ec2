//! Telephone numbers in free text. The audit keeps reasons and sources for good, and no number.

use uuid::Uuid;

/// More dividers than this between two groups of digits: they do not belong together.
const GAP: usize = 3;
/// Characters of a UUID with its dashes: evidence is often named by one.
const UUID: usize = 36;

/// Whether a text holds what somebody would dial: a plus and seven digits, ten to fifteen digits
/// in a row, or digits grouped as numbers are (3-3-4, 3-4-4, 3-7, 3-8). Dates, times, UUIDs and
/// ticket numbers of up to nine digits are none.
pub(crate) fn holds_number(text: &str) -> bool {
    let mut run = Run::default();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let uuid = rest.get(..UUID).filter(|part| Uuid::try_parse(part).is_ok());
        if uuid.is_some() {
            rest = rest.get(UUID..).unwrap_or_default();
            if run.is_number() {
                return true;
            }
            run = Run::default();
            continue;
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        if character.is_numeric() {
            run.push();
        } else if is_divider(character) && run.gap < GAP {
            run.divide(character);
        } else if !is_invisible(character) {
            if run.is_number() {
                return true;
            }
            run = Run { plus: matches!(character, '+' | '＋'), ..Run::default() };
        }
    }
    run.is_number()
}

fn is_divider(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '-' | '.' | '/' | '(' | ')' | '·' | '‐'..='―' | '−' | '－' | '．' | '（' | '）'
        )
}

const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}')
}

/// Groups of digits with nothing but dividers between them.
#[derive(Debug, Default)]
struct Run {
    /// A plus stands right before it.
    plus: bool,
    groups: Vec<usize>,
    /// Dividers since the last digit.
    gap: usize,
}

impl Run {
    fn push(&mut self) {
        match self.groups.last_mut() {
            Some(digits) if self.gap == 0 => *digits += 1,
            _ => self.groups.push(1),
        }
        self.gap = 0;
    }

    fn divide(&mut self, by: char) {
        if self.groups.is_empty() {
            // A plus that stands alone is a sign, not the beginning of a number.
            self.plus &= matches!(by, '(' | '（');
        } else {
            self.gap += 1;
        }
    }

    fn is_number(&self) -> bool {
        let in_a_row = self.groups.iter().any(|digits| (10..=15).contains(digits));
        in_a_row
            || self.is_international()
            || self.groups.windows(3).any(|three| matches!(three, [3, 3 | 4, 4]))
            || self.groups.windows(2).any(|two| matches!(two, [3, 7 | 8]))
    }

    /// A country code has up to three digits; an offset from UTC before a date has four.
    fn is_international(&self) -> bool {
        let first = self.groups.first().copied().unwrap_or(0);
        self.plus && (first >= 7 || (first <= 3 && self.groups.iter().sum::<usize>() >= 7))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_however_they_are_written() {
        for text in [
            "+13055550123",
            "call +1 305-555-0123 instead",
            "+49 (0) 171 234567",
            "+(44) 20 7946 0958",
            "(305) 555-0123",
            "305-555-0123",
            "305.555.0123",
            "305 555 0123",
            "1-305-555-0123, ext 4",
            "tel:3055550123",
            "13055550123",
            "138 1234 5678",
            "010-12345678",
            "020 7946 0958",
            "305–555–0123",
            "３０５５５５０１２３",
            "3055\u{200B}550123",
            "asked on 2026-11-24, from 305-555-0123",
            "305-555-0123 550e8400-e29b-41d4-a716-446655440000",
            "550e8400-e29b-41d4-a716-446655440000 305-555-0123",
        ] {
            assert!(holds_number(text), "{text:?}");
        }
    }

    #[test]
    fn dates_times_and_tickets_are_not_numbers() {
        for text in [
            "",
            "asked on the phone",
            "2026-11-24",
            "24.11.2026 14:05",
            "11/24/2026",
            "2026-11-24T14:05:00.123Z",
            "2026-11-24T14:05:00+01:00",
            "at 14:05 +0100 2026-11-24",
            "ticket 123456789",
            "form 12, page 3 of 44",
            "a + 1234567",
            "case 2026-11-24/17",
            "https://example.com/consents/4711?day=20261124",
            "10.0.0.1",
            "consent 550e8400-e29b-41d4-a716-446655440000, signed",
            "https://example.com/550e8400-e29b-41d4-a716-446655440000",
        ] {
            assert!(!holds_number(text), "{text:?}");
        }
    }
}
