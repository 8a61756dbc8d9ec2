//! The telephone numbers of a row, and what kind of line each is.

use dialer_types::{E164, LineType, say};

use super::one_of;
use crate::import::{
    phones::{self, Region},
    row::Fields,
};

/// Numbers of one contact.
const PHONES: [(&str, &str); 4] =
    [("phone_1", "line_1"), ("phone_2", "line_2"), ("phone_3", "line_3"), ("phone_4", "line_4")];

/// The numbers of a row, each once.
pub(super) fn read(fields: &mut Fields<'_>, plan: Option<Region>) -> Vec<(E164, LineType)> {
    let mut numbers: Vec<(E164, LineType)> = Vec::new();
    let mut given = false;
    for (phone, line) in PHONES {
        let text = fields.get(phone);
        if phone != "phone_1" && text.is_some_and(is_nothing) {
            fields.repair(phone, "held a word for nothing (like NULL); it is taken for empty");
            continue;
        }
        let number = text.and_then(|text| match phones::read(text, plan) {
            Ok(read) => {
                if let Some(what) = read.repair {
                    fields.repair(phone, what);
                }
                Some(read.number)
            }
            Err(reason) => {
                fields.fault(phone, reason);
                None
            }
        });
        given |= text.is_some();
        let kind = line_type(fields, line);
        if kind.is_some() && text.is_none() {
            fields.fault(line, say!("is given, and {phone} is empty", phone));
        }
        if let Some(number) = number
            && !numbers.iter().any(|(held, _)| *held == number)
        {
            numbers.push((number, kind.unwrap_or(LineType::Unknown)));
        }
    }
    if !given {
        fields.fault("phone_1", "is missing: a contact needs a number");
    }
    numbers
}

/// What people write into a column of numbers that stays empty. In the first it is a mistake: a
/// contact without a number is none.
fn is_nothing(text: &str) -> bool {
    const WORDS: [&str; 14] = [
        "0", "none", "no", "nil", "n/a", "na", "n.a.", "k.a.", "k. a.", "keine", "unknown", "无",
        "没有", "暂无",
    ];
    text.chars().all(|c| matches!(c, '-' | '.' | '/' | '_' | '—' | '–'))
        || WORDS.contains(&text.to_lowercase().as_str())
}

/// What kind of line it is, in our words or in those that spreadsheets have for it.
fn line_type(fields: &mut Fields<'_>, column: &str) -> Option<LineType> {
    const MOBILE: [&str; 8] =
        ["mobile", "cell", "cellular", "cell phone", "mobile phone", "mob", "手机", "移动电话"];
    const FIXED: [&str; 5] = ["fixed", "fixed line", "fixed-line", "land line", "固定电话"];
    // Whose it is says nothing of the line.
    const EITHER: [&str; 6] = ["home", "work", "office", "business", "main", "other"];
    let word = fields.get(column)?.to_lowercase();
    if MOBILE.contains(&word.as_str()) {
        return Some(LineType::Wireless);
    }
    if FIXED.contains(&word.as_str()) {
        return Some(LineType::Landline);
    }
    if EITHER.contains(&word.as_str()) {
        return Some(LineType::Unknown);
    }
    one_of(fields, column, LineType::ALL)
}
