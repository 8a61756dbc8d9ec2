//! What passes for a payment card number. Such digits are never stored, logged or repeated, so this
//! errs towards finding one: length, check digit and the ranges that card schemes issue from.

/// The shortest and the longest card number (ISO/IEC 7812-1).
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;
/// Groups of digits of one run that are looked at together; a card has at most this many.
const MAX_GROUPS: usize = 19;

/// Ranges of the first digits: from, to (both of as many digits), shortest and longest number.
/// Sources: the schemes' published account ranges; where they differ, the wider one.
const RANGES: [(&str, &str, usize, usize); 30] = [
    ("1", "1", 15, 15), // UATP
    ("2131", "2131", 15, 15),
    ("1800", "1800", 15, 15),
    ("2014", "2014", 15, 15), // enRoute
    ("2149", "2149", 15, 15),
    ("2200", "2205", 16, 19), // Mir
    ("2221", "2720", 16, 16), // Mastercard
    ("300", "305", 14, 19),   // Diners Club
    ("3095", "3095", 14, 19),
    ("34", "34", 15, 15), // American Express
    ("35", "35", 16, 19), // JCB, RuPay
    ("36", "36", 14, 19), // Diners Club
    ("37", "37", 15, 15), // American Express
    ("38", "39", 14, 19), // Diners Club
    ("4", "4", 13, 13),   // Visa
    ("4", "4", 16, 16),
    ("4", "4", 18, 19),
    ("50", "50", 13, 19),     // Maestro, Verve, Elo, RuPay
    ("51", "55", 16, 16),     // Mastercard
    ("56", "58", 13, 19),     // Maestro
    ("60", "60", 13, 19),     // Discover, RuPay, Maestro
    ("61", "61", 13, 19),     // Maestro
    ("62", "62", 13, 19),     // UnionPay
    ("63", "63", 13, 19),     // Maestro, InstaPayment
    ("64", "65", 16, 19),     // Discover, Troy, RuPay
    ("66", "69", 13, 19),     // Maestro
    ("81", "82", 16, 19),     // UnionPay, RuPay
    ("86", "86", 16, 19),     // MNP and cards of Chinese banks
    ("9704", "9704", 16, 19), // Napas
    ("9792", "9792", 16, 16), // Troy
];

/// Whether a text holds digits that pass for a payment card number, written together or in groups
/// divided by blanks, dashes, dots and the like, in whatever digits.
pub(crate) fn holds_card(text: &str) -> bool {
    // Most cells end here.
    if text.len() < *LENGTHS.start() {
        return false;
    }
    let mut run = Run::default();
    for character in text.chars() {
        match kind(character) {
            Kind::Digit(digit) => run.push(digit),
            Kind::Between => run.close_group(),
            Kind::Nothing => {}
            Kind::Other => {
                if run.holds_card() {
                    return true;
                }
                run.clear();
            }
        }
    }
    run.holds_card()
}

/// Whether neighbouring cells of a row together are a card number written in its usual groups.
pub(crate) fn split_card<'a>(cells: impl Iterator<Item = &'a str>) -> Option<usize> {
    let mut run: Vec<(usize, Vec<u8>)> = Vec::new();
    for (index, cell) in cells.enumerate() {
        let digits: Option<Vec<u8>> = cell.trim().chars().map(digit).collect();
        match digits.filter(|digits| matches!(digits.len(), 3..=6)) {
            Some(digits) => run.push((index, digits)),
            None => run.clear(),
        }
        for shape in [&[4, 4, 4, 4][..], &[4, 6, 5], &[4, 4, 4, 4, 3]] {
            let Some(window) = run.len().checked_sub(shape.len()).and_then(|at| run.get(at..))
            else {
                continue;
            };
            let fits =
                window.iter().zip(shape).all(|((_, digits), length)| digits.len() == *length);
            let whole: Vec<u8> = window.iter().flat_map(|(_, digits)| digits.clone()).collect();
            if fits && is_card(&whole) {
                return window.first().map(|(index, _)| *index);
            }
        }
    }
    None
}

enum Kind {
    Digit(u8),
    Between,
    Nothing,
    Other,
}

fn kind(character: char) -> Kind {
    if let Some(digit) = digit(character) {
        return Kind::Digit(digit);
    }
    match character {
        '-'
        | '.'
        | '_'
        | ','
        | '/'
        | '('
        | ')'
        | '·'
        | '•'
        | '‐'..='―'
        | '−'
        | '－'
        | '．'
        | '。'
        | '，' => Kind::Between,
        '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}' => Kind::Nothing,
        space if space.is_whitespace() => Kind::Between,
        _ => Kind::Other,
    }
}

/// The value of a decimal digit in the scripts that spreadsheets hold.
pub(crate) fn digit(character: char) -> Option<u8> {
    const ZEROS: [char; 6] = ['0', '０', '\u{660}', '\u{6F0}', '\u{966}', '\u{9E6}'];
    ZEROS.iter().find_map(|zero| {
        let distance = u32::from(character).checked_sub(u32::from(*zero))?;
        u8::try_from(distance).ok().filter(|digit| *digit < 10)
    })
}

/// Digits with nothing but dividers between them.
#[derive(Default)]
struct Run {
    digits: Vec<u8>,
    /// Where groups begin, in ascending order; the end of `digits` may be among them.
    begins: Vec<usize>,
    open: bool,
}

impl Run {
    fn push(&mut self, digit: u8) {
        if !self.open {
            self.open = true;
            self.begins.push(self.digits.len());
        }
        self.digits.push(digit);
    }

    const fn close_group(&mut self) {
        self.open = false;
    }

    fn clear(&mut self) {
        self.digits.clear();
        self.begins.clear();
        self.open = false;
    }

    /// Looks at every row of whole groups that is as long as a card number.
    fn holds_card(&self) -> bool {
        if self.digits.len() < *LENGTHS.start() {
            return false;
        }
        self.begins.iter().enumerate().any(|(index, begin)| {
            let others = self.begins.iter().skip(index + 1).copied();
            others
                .chain(std::iter::once(self.digits.len()))
                .take(MAX_GROUPS)
                .any(|end| self.digits.get(*begin..end).is_some_and(is_card))
        })
    }
}

fn is_card(digits: &[u8]) -> bool {
    LENGTHS.contains(&digits.len()) && issued(digits) && luhn(digits)
}

fn issued(digits: &[u8]) -> bool {
    RANGES.iter().any(|(from, to, least, most)| {
        let Some(first) = digits.get(..from.len()) else { return false };
        let below = |a: &str, b: &[u8]| a.bytes().map(|byte| byte - b'0').le(b.iter().copied());
        let above = |a: &str, b: &[u8]| a.bytes().map(|byte| byte - b'0').ge(b.iter().copied());
        (*least..=*most).contains(&digits.len()) && below(from, first) && above(to, first)
    })
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            match (place % 2, digit * 2) {
                (0, _) => digit,
                (_, twice) if twice > 9 => twice - 9,
                (_, twice) => twice,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "digits are ASCII")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers that schemes publish for tests.
    const CARDS: [&str; 14] = [
        "4111111111111111",
        "4222222222222",
        "4000000000000000006",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "6011111111111117",
        "30569309025904",
        "38520000023237",
        "3530111333300000",
        "6200000000000005",
        "6304000000000000",
        "2200000000000004",
        "6759649826438453",
    ];

    #[test]
    fn cards_are_found_however_they_are_written() {
        for card in CARDS {
            let groups = |by: &str| {
                let parts: Vec<&str> = [(0, 4), (4, 8), (8, 12), (12, card.len())]
                    .iter()
                    .map(|(from, to)| &card[*from..*to])
                    .collect();
                parts.join(by)
            };
            for text in [
                card.to_owned(),
                format!("card: {card}!"),
                format!("'{card}"),
                format!("=\"{card}\""),
                format!("{card}.0"),
                format!("{card} 12/28 123"),
                groups(" "),
                groups("-"),
                groups("."),
                groups("\u{A0}"),
                groups(" - "),
                groups("\u{200B}"),
                groups("–"),
                card.chars().map(|c| char::from_u32(u32::from(c) + 0xFEE0).unwrap()).collect(),
                format!("{}.{}", &card[..1], &card[1..]),
            ] {
                assert!(holds_card(&text), "{card} as {text:?}");
            }
        }
    }

    #[test]
    fn other_digits_are_not_cards() {
        for text in [
            "",
            "4111111111111112",
            "411111111111",
            "+1 (305) 555-0123",
            "2026-11-24T01:35:17.123Z",
            "0000000000000000",
            "9999999999999995",
            "4111 1111 a 1111 1111",
            "100-200-300-400",
            "41111111111111111111111111111111",
        ] {
            assert!(!holds_card(text), "{text:?}");
        }
    }

    #[test]
    fn a_card_over_neighbouring_cells_is_found() {
        let row = |text: &'static str| split_card(text.split(','));
        assert_eq!(row("x,4111,1111,1111,1111"), Some(1));
        assert_eq!(row("3782,822463,10005,x"), Some(0));
        assert_eq!(row("4111,1111,x,1111,1111"), None);
        assert_eq!(row("4111,1111,1111,1112"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_a_panic(text in ".*") {
            holds_card(&text);
        }

        #[test]
        fn a_wrong_check_digit_is_no_card(digits in "4[0-9]{14}") {
            let found = (0..10).filter(|last| holds_card(&format!("{digits}{last}"))).count();
            prop_assert_eq!(found, 1);
        }
    }
}
