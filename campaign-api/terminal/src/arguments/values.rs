//! How single values of the command line are read.

use clap::builder::PossibleValuesParser;
use dialer_types::{Disposition, Purpose, Technology, say};

pub(super) fn known_zone(name: &str) -> Result<String, String> {
    crate::page::zone(name).map(|_| name.to_owned()).ok_or_else(|| {
        say!("no zone of that name; use one like America/New_York or UTC").to_string()
    })
}

/// A language by its tag or its locale. Another one is refused: English instead of French would
/// look like a mistake of ours.
pub(super) fn known_language(text: &str) -> Result<String, String> {
    let primary = text.split(['.', '@', '_', '-']).next().unwrap_or_default();
    let known = ["en", "zh"].iter().any(|tag| primary.eq_ignore_ascii_case(tag));
    known.then(|| text.to_owned()).ok_or_else(|| say!("possible: en, zh").to_string())
}

pub(super) fn purposes() -> PossibleValuesParser {
    PossibleValuesParser::new(Purpose::ALL.iter().map(|word| word.as_str()))
}

pub(super) fn technologies() -> PossibleValuesParser {
    PossibleValuesParser::new(Technology::ALL.iter().map(|word| word.as_str()))
}

pub(super) fn dispositions() -> PossibleValuesParser {
    PossibleValuesParser::new(Disposition::ALL.iter().map(|word| word.as_str()))
}

/// `30s`, `10m`, `4h`, `2d` or plain seconds.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 's')) => (text.get(..at), 1),
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 'h')) => (text.get(..at), 3600),
        Some((at, 'd')) => (text.get(..at), 86_400),
        _ => (Some(text), 1),
    };
    digits
        .and_then(|digits| digits.parse::<i64>().ok())
        .and_then(|count| count.checked_mul(unit))
        .filter(|seconds| *seconds >= 0)
        .ok_or_else(|| say!("write a time like 30s, 10m, 4h or 2d").to_string())
}

pub(super) fn retry(text: &str) -> Result<(String, i64), String> {
    let (word, time) =
        text.split_once('=').ok_or_else(|| say!("write it like busy=10m").to_string())?;
    let word: Disposition =
        word.parse().map_err(|error: dialer_types::UnknownWord| error.to_string())?;
    Ok((word.as_str().to_owned(), seconds(time)?))
}

pub(super) fn column(text: &str) -> Result<(String, String), String> {
    // A header may hold an equals sign, a field does not.
    match text.rsplit_once('=') {
        Some((header, field)) if !header.trim().is_empty() && !field.trim().is_empty() => {
            if header.contains(',') {
                return Err(say!("name a column whose header has no comma").to_string());
            }
            Ok((header.to_owned(), field.trim().to_owned()))
        }
        _ => Err(say!("write it like 'Their header=phone_1'").to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_columns_are_read_as_people_write_them() {
        for (text, expected) in
            [("30s", 30), ("10m", 600), ("4h", 14_400), ("2d", 172_800), ("7", 7)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for bad in ["", "m", "-5s", "1.5h", "9999999999999999d", "五m"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(retry("no_answer=4h"), Ok(("no_answer".to_owned(), 14_400)));
        assert!(retry("nobody=4h").is_err());
        assert_eq!(column("电话=phone_1"), Ok(("电话".to_owned(), "phone_1".to_owned())));
        assert_eq!(column("a=b=phone_1"), Ok(("a=b".to_owned(), "phone_1".to_owned())));
        assert!(column("=x").is_err());
    }

    #[test]
    fn a_language_that_nobody_speaks_is_refused_with_those_that_are_spoken() {
        for known in ["en", "zh", "zh_CN.UTF-8", "zh-Hans", "EN"] {
            assert!(known_language(known).is_ok(), "{known}");
        }
        for other in ["fr", "", "english"] {
            assert!(known_language(other).is_err_and(|why| why.contains("en, zh")), "{other}");
        }
    }
}
