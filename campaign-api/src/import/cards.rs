//! What passes for a payment card number. Such digits are never stored, logged or repeated, so this
//! errs towards finding one: length, check digit and the ranges that card schemes issue from.

mod cells;
mod digits;
mod run;

pub(crate) use cells::split_card;
pub(crate) use digits::digit;
use digits::{Kind, blank, kind};
use run::Run;

/// The shortest and the longest card number (ISO/IEC 7812-1).
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

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

/// Ranges and lengths of nearly every card there is, for writings in which other numbers are frequent.
const COMMON: [(&str, &str, usize, usize); 14] = [
    ("2200", "2204", 16, 16), // Mir
    ("2221", "2720", 16, 16), // Mastercard
    ("300", "305", 14, 14),   // Diners Club
    ("34", "34", 15, 15),     // American Express
    ("3528", "3589", 16, 16), // JCB
    ("36", "36", 14, 14),     // Diners Club
    ("37", "37", 15, 15),     // American Express
    ("38", "39", 14, 14),     // Diners Club
    ("4", "4", 16, 16),       // Visa
    ("51", "55", 16, 16),     // Mastercard
    ("6011", "6011", 16, 16), // Discover
    ("62", "62", 16, 16),     // UnionPay
    ("644", "649", 16, 16),   // Discover
    ("65", "65", 16, 16),     // Discover
];

/// Whether a text holds digits that pass for a payment card number, written together or in groups
/// divided by anything that is neither letter nor digit, in whatever digits.
pub(crate) fn holds_card(text: &str) -> bool {
    // Most cells end here.
    if !many_digits(text) {
        return false;
    }
    if is_rounded_card(text) {
        return true;
    }
    let mut run = Run::default();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let after = if matches!(character, '&' | '%') { blank(rest) } else { None };
        let what = if after.is_some() { Kind::Between } else { kind(character) };
        rest = after.or_else(|| rest.get(character.len_utf8()..)).unwrap_or_default();
        let goes_on = match what {
            Kind::Digit(digit) => {
                run.push(digit);
                true
            }
            Kind::Between => run.divide(if after.is_some() { ' ' } else { character }),
            Kind::Nothing => true,
            Kind::Other => false,
        };
        if !goes_on {
            if run.holds_card() {
                return true;
            }
            run.clear();
        }
    }
    run.holds_card()
}

fn many_digits(text: &str) -> bool {
    let least = *LENGTHS.start();
    if text.len() < least {
        return false;
    }
    if text.is_ascii() {
        return text.bytes().filter(u8::is_ascii_digit).take(least).count() == least;
    }
    text.chars().filter(|c| digit(*c).is_some()).take(least).count() == least
}

/// `4.11111111111111E+15`: a spreadsheet keeps fifteen digits of a number, so no check digit is
/// left to look at, only where such a number would come from. Written out (`4111111111111110`) it
/// is a card only if the check digit agrees: every long number that ends in 0 would be one.
fn is_rounded_card(text: &str) -> bool {
    let bare = text.trim_matches(|c: char| !c.is_alphanumeric());
    let Some((mantissa, exponent)) = bare.split_once(['E', 'e']) else { return false };
    let Ok(exponent) = exponent.strip_prefix('+').unwrap_or(exponent).parse::<usize>() else {
        return false;
    };
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
    let all: Option<Vec<u8>> = [whole, fraction].concat().chars().map(digit).collect();
    let Some(mut all) = all.filter(|all| whole.len() == 1 && all.len() >= *LENGTHS.start()) else {
        return false;
    };
    let kept = all.len();
    if !LENGTHS.contains(&(exponent + 1)) || kept > exponent + 1 {
        return false;
    }
    all.resize(exponent + 1, 0);
    // Up to fifteen digits nothing was lost: zeros at the end are left out.
    if all.len() <= 15 || kept == all.len() { is_card(&all) } else { issued(&all, &RANGES) }
}

fn is_card(digits: &[u8]) -> bool {
    LENGTHS.contains(&digits.len()) && issued(digits, &RANGES) && luhn(digits)
}

/// Of the schemes and lengths that most cards have.
fn common(digits: &[u8]) -> bool {
    issued(digits, &COMMON) && luhn(digits)
}

fn issued(digits: &[u8], ranges: &[(&str, &str, usize, usize)]) -> bool {
    ranges.iter().any(|(from, to, least, most)| {
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
    fn whatever_divides_the_groups_or_stands_around_them_hides_nothing() {
        let card = "4111111111111111";
        let groups = |by: &str| [&card[..4], &card[4..8], &card[8..12], &card[12..]].join(by);
        for sign in [
            "*",
            ":",
            "|",
            "+",
            "'",
            "`",
            "~",
            "\\",
            "#",
            "=",
            ";",
            "&",
            ">",
            "[",
            "]",
            "\u{FE63}",
            "\u{2024}",
            "\u{2219}",
            "\u{2800}",
            "\u{3164}",
            "ー",
            "…",
            "£",
            "&nbsp;",
            "&NBSP;",
            "%20",
            "%C2%A0",
            " * ",
            "> <",
            "\u{200B}-\u{200B}",
            "//",
            "    ",
            "\n",
            "\t",
            "\u{E0020}",
        ] {
            assert!(holds_card(&groups(sign)), "{sign:?}");
            assert!(holds_card(&format!("x{sign}{}{sign}y", groups(sign))), "{sign:?}");
        }
        let each: Vec<String> =
            card.chars().map(|digit| format!("{digit}\u{FE0F}\u{20E3}")).collect();
        assert!(holds_card(&each.concat()), "keycaps");
        assert!(holds_card(&each.join(" ")), "keycaps");
        for zero in
            ['\u{E50}', '\u{BE6}', '\u{1D7CE}', '\u{1D7F6}', '\u{FF10}', '\u{1FBF0}', '\u{966}']
        {
            let other = |digit: char| {
                char::from_u32(u32::from(zero) + digit.to_digit(10).unwrap()).unwrap()
            };
            let other: String = card.chars().map(other).collect();
            assert!(holds_card(&other), "{other}");
        }
    }

    #[test]
    fn a_card_with_more_digits_beside_it_or_fewer_of_them_is_found() {
        for text in [
            "0004111111111111111",
            "41111111111111111228",
            "41111111111111111228123",
            "411111111111111112282812",
            "4111111111111111122028",
            "12284111111111111111",
            "37828224631000512281234",
            "4111111111111111123",
            "a0004111111111111111b",
            "4.11111111111111E+15",
            "4,11111111111111E+15",
            "=\"4.11111111111111e15\"",
            "3.78282246310005E+14",
            "5.555555555554444E+15",
            "6.20000000000000E+15",
        ] {
            assert!(holds_card(text), "{text}");
        }
    }

    #[test]
    fn what_else_has_many_digits_is_no_card() {
        for text in [
            // What a spreadsheet made of a number of 16 digits, written out.
            "4111111111111110",
            "4.11111E+15",
            "4.11E+15",
            "1.23456789012345E+20",
            // Longer numbers of accounts that begin or end like a card, with something else beside it.
            "99994111111111111111",
            "41111111111111119999",
            "41111111111111111328",
            // Days and times, and telephone numbers, one after the other.
            "2026-11-24 01:35:17; 2026-11-25 02:36:18; 2026-11-26 03:37:19",
            "24.11.2026 10:15-11:45, 25.11.2026 10:15-11:45",
            "305-555-0123; 305-555-0124; 305-555-0125",
            "+1 (305) 555-0123 / +1 (305) 555-0124",
            "(401) 555-0123 | (402) 555-0124",
            "4111 **** **** 1111",
            "4111 -- -- 1111 1111 1111",
        ] {
            assert!(!holds_card(text), "{text:?}");
        }
        // Of every last digit: no telephone number of two passes with another.
        for last in 0..100 {
            let text = format!("+44 7911 1234{last:02}, +44 7911 123457");
            assert!(!holds_card(&text), "{text:?}");
        }
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
