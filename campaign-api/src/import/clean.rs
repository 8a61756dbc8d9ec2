//! What spreadsheets do to a cell, undone where it can be undone exactly, and refused where not.

use std::borrow::Cow;

use dialer_types::Say;

/// What a column holds, as far as cleaning goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Digits that mean something by themselves: telephone numbers, ids, postal codes.
    Digits,
    /// Words, dates and the like.
    Words,
    /// The file's own: kept as it is as far as possible.
    Own,
}

/// A cell after cleaning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cleaned<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) repairs: Vec<Say>,
}

/// Values that spreadsheets show for what they could not compute.
const ERRORS: [&str; 12] = [
    "#REF!",
    "#N/A",
    "#VALUE!",
    "#DIV/0!",
    "#NAME?",
    "#NULL!",
    "#NUM!",
    "#SPILL!",
    "#CALC!",
    "#FIELD!",
    "#BLOCKED!",
    "#GETTING_DATA",
];
/// Words that databases and scripts write for nothing.
const NOTHING: [&str; 7] = ["NULL", "null", "\\N", "NaN", "nan", "N/A", "n/a"];

/// Cleans a cell, or says why it cannot stand.
pub(crate) fn clean(text: &str, holds: Holds) -> Result<Cleaned<'_>, Say> {
    let mut repairs = Vec::new();
    let mut text = visible(text, holds, &mut repairs);
    if let Some(inner) = formula_text(&text) {
        repairs.push("was written as a formula, =\"...\"; the text in it is taken".into());
        text = Cow::Owned(inner);
    }
    if let Some(rest) = apostrophe(&text) {
        repairs.push("began with an apostrophe, which is left out".into());
        text = Cow::Owned(rest.to_owned());
    }
    if is_error(&text) {
        if holds == Holds::Own {
            repairs.push(
                "held an error of the spreadsheet instead of a value; nothing is kept".into(),
            );
            return Ok(Cleaned { text: "".into(), repairs });
        }
        return Err(
            "holds an error of the spreadsheet instead of a value (like #REF! or #N/A)".into()
        );
    }
    if holds != Holds::Own {
        if NOTHING.contains(&&*text) {
            repairs.push("held a word for nothing (like NULL); it is taken for empty".into());
            return Ok(Cleaned { text: "".into(), repairs });
        }
        if text.starts_with('=') {
            return Err("holds a formula instead of a value".into());
        }
        if text.chars().any(char::is_control) {
            return Err("holds a line break or another control character".into());
        }
    }
    if holds == Holds::Digits {
        text = digits(text, &mut repairs)?;
    }
    Ok(Cleaned { text, repairs })
}

/// Without what cannot be seen, and with plain letters and digits where wide ones stand.
fn visible<'a>(text: &'a str, holds: Holds, repairs: &mut Vec<Say>) -> Cow<'a, str> {
    let plain = text.trim_matches([' ', '\t']);
    if plain.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return plain.into();
    }
    let mut seen = String::with_capacity(plain.len());
    let (mut hidden, mut blanks, mut wide) = (false, false, false);
    for character in plain.chars() {
        match character {
            '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'
            | '\u{2066}'..='\u{2069}'
            | '\u{FEFF}'
            | '\u{AD}' => hidden = true,
            '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => {
                blanks = true;
                seen.push(' ');
            }
            '\u{FF01}'..='\u{FF5E}' if holds != Holds::Own => {
                wide = true;
                seen.extend(char::from_u32(u32::from(character) - 0xFEE0));
            }
            // In words a dash is a dash; among digits any of them divides.
            '‐'..='―' | '−' if holds == Holds::Digits => seen.push('-'),
            other => seen.push(other),
        }
    }
    let trimmed = seen.trim().to_owned();
    for (changed, what) in [
        (hidden, "held characters that cannot be seen; they are left out"),
        (blanks, "held non-breaking or wide blanks; they are taken for plain ones"),
        (wide, "was written in full-width characters; plain ones are taken"),
    ] {
        if changed {
            repairs.push(Say::of(what));
        }
    }
    trimmed.into()
}

/// `="0305"` is how a text is kept from being read as a number.
fn formula_text(text: &str) -> Option<String> {
    let inner = text.strip_prefix("=\"")?.strip_suffix('"')?;
    (!inner.replace("\"\"", "").contains('"'))
        .then(|| inner.replace("\"\"", "\"").trim().to_owned())
}

/// An apostrophe does the same; before a letter it may be part of a name.
fn apostrophe(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['\'', '’', '`'])?;
    rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '(' | '-')).then_some(rest)
}

fn is_error(text: &str) -> bool {
    text.starts_with('#')
        && (ERRORS.iter().any(|error| text.eq_ignore_ascii_case(error))
            || (text.len() > 2 && text.bytes().all(|byte| byte == b'#')))
}

/// Digits that a spreadsheet took for a number or a date.
fn digits<'a>(text: Cow<'a, str>, repairs: &mut Vec<Say>) -> Result<Cow<'a, str>, Say> {
    if is_date(&text) {
        return Err("looks like a date that a spreadsheet made of it; the digits are lost".into());
    }
    if let Some(scientific) = Scientific::read(&text) {
        let whole = scientific.whole().ok_or_else(|| {
            Say::of("is a rounded number, like 3.05E+09: a spreadsheet lost its last digits")
        })?;
        repairs
            .push("was written as a power of ten, like 3.055551234E+09; no digit is lost".into());
        return Ok(whole.into());
    }
    if let Some((whole, fraction)) = text.split_once(['.', ','])
        && !whole.is_empty()
        && whole.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(fraction, "0" | "00")
    {
        repairs.push("ended in .0, as of a number; that is left out".into());
        return Ok(whole.to_owned().into());
    }
    Ok(text)
}

/// `3-May`, `May-05`, `2026-03-01`, `3/5/2026`, with or without a time: what spreadsheets make of
/// digits with a dash or a slash.
fn is_date(text: &str) -> bool {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let date = text.split([' ', 'T']).next().unwrap_or_default();
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let number = |part: &str, most: u32| {
        (1..=4).contains(&part.len())
            && part.parse().is_ok_and(|value: u32| (1..=most).contains(&value))
    };
    let month = |part: &str| MONTHS.iter().any(|month| part.eq_ignore_ascii_case(month));
    let year = |part: &str| part.len() == 4 && (part.starts_with("19") || part.starts_with("20"));
    match *parts {
        [a, b] => (month(a) && number(b, 2100)) || (number(a, 31) && month(b)),
        [a, b, c] if year(a) => number(b, 12) && number(c, 31),
        [a, b, c] if year(c) || (c.len() == 2 && date.contains('/')) => {
            (number(a, 31) && number(b, 31) || number(a, 31) && month(b)) && number(c, 2100)
        }
        _ => false,
    }
}

/// A number as a power of ten.
struct Scientific<'a> {
    whole: &'a str,
    fraction: &'a str,
    exponent: usize,
}

impl<'a> Scientific<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['E', 'e'])?;
        let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
        let mantissa = mantissa.strip_prefix('+').unwrap_or(mantissa);
        let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = whole.len() == 1 && digits(whole) && digits(fraction) && fraction.len() <= 30;
        if !fits || exponent.is_empty() || exponent.len() > 2 || !digits(exponent) {
            return None;
        }
        // `1E5` without a point is how people name things, until it has two digits of exponent.
        if fraction.is_empty() && !text.contains(['+', '.', ',']) {
            return None;
        }
        Some(Self { whole, fraction, exponent: exponent.parse().ok()? })
    }

    /// The digits, if every one of them is there.
    fn whole(&self) -> Option<String> {
        (self.fraction.len() == self.exponent && self.exponent > 0)
            .then(|| format!("{}{}", self.whole, self.fraction))
    }
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "digits are ASCII")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_spreadsheets_do_is_undone_exactly_or_refused() {
        // The cell, what it becomes (or what the refusal says), whether that is a repair.
        let cases = [
            ("3055550123", Ok("3055550123"), false),
            ("  3055550123\t", Ok("3055550123"), false),
            ("3055550123\u{A0}", Ok("3055550123"), true),
            ("\u{200B}3055550123", Ok("3055550123"), true),
            ("\u{202D}+13055550123\u{202C}", Ok("+13055550123"), true),
            ("３０５５５５０１２３", Ok("3055550123"), true),
            ("=\"03055550123\"", Ok("03055550123"), true),
            ("'03055550123", Ok("03055550123"), true),
            ("3055550123.0", Ok("3055550123"), true),
            ("3.055551234E+09", Ok("3055551234"), true),
            ("3,055551234E+09", Ok("3055551234"), true),
            ("3.05E+09", Err("rounded"), false),
            ("3.05556E+09", Err("rounded"), false),
            ("3E+09", Err("rounded"), false),
            ("1.3055550123E+10", Ok("13055550123"), true),
            ("#REF!", Err("error of the spreadsheet"), false),
            ("#N/A", Err("error of the spreadsheet"), false),
            ("########", Err("error of the spreadsheet"), false),
            ("5-Mar", Err("date"), false),
            ("Mar-05", Err("date"), false),
            ("2026-03-01", Err("date"), false),
            ("3/5/2026", Err("date"), false),
            ("03/05/26 0:00", Err("date"), false),
            ("=A1+B2", Err("formula"), false),
            ("30\n55", Err("line break"), false),
            ("NULL", Ok(""), true),
            ("305-555-0123", Ok("305-555-0123"), false),
            ("305.555.0123", Ok("305.555.0123"), false),
            ("A-12", Ok("A-12"), false),
            ("1E5", Ok("1E5"), false),
            ("12.34.56.78", Ok("12.34.56.78"), false),
        ];
        for (cell, expected, repaired) in cases {
            match (clean(cell, Holds::Digits), expected) {
                (Ok(cleaned), Ok(text)) => {
                    assert_eq!(cleaned.text, text, "{cell:?}");
                    assert_eq!(!cleaned.repairs.is_empty(), repaired, "{cell:?}");
                }
                (Err(reason), Err(text)) => {
                    assert!(reason.to_string().contains(text), "{cell:?}: {reason}");
                }
                (found, _) => panic!("{cell:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_columns_of_the_file_itself_are_kept_as_they_are() {
        for text in ["1,5E+03", "=A1", "5-Mar", "two\nlines", "ＡＢＣ", "'t Hooft", "NULL"] {
            assert_eq!(clean(text, Holds::Own).unwrap().text, text);
        }
        assert_eq!(clean("#REF!", Holds::Own).unwrap().text, "");
    }

    proptest! {
        #[test]
        fn a_power_of_ten_is_undone_only_where_it_says_the_same_number(
            digits in "[1-9][0-9]{8,14}", kept in 1..15_usize,
        ) {
            let kept = kept.min(digits.len() - 1);
            let exact = kept == digits.len() - 1;
            let cell = format!("{}.{}E+{:02}", &digits[..1], &digits[1..=kept], digits.len() - 1);
            match clean(&cell, Holds::Digits) {
                Ok(cleaned) => prop_assert!(exact && cleaned.text == digits),
                Err(_) => prop_assert!(!exact),
            }
        }

        #[test]
        fn any_cell_is_cleaned_without_a_panic(text in "\\PC*|[-+.,'=\"#eE0-9/ ]*") {
            for holds in [Holds::Digits, Holds::Words, Holds::Own] {
                let _read = clean(&text, holds).is_ok();
            }
        }
    }
}
