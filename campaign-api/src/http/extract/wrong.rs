//! What a parser says of a request, as sentences for people. Its texts are all that it gives, so
//! they are taken apart; whatever is not known is quoted, behind a sentence of ours.

use dialer_types::{Say, say};

use crate::{http::error::Fault, import::columns::masked};

/// What axum writes before the parser's text.
const BEFORE: [&str; 3] = [
    "Failed to deserialize the JSON body into the target type: ",
    "Failed to parse the request body as JSON: ",
    "Failed to deserialize query string: ",
];
/// How serde's own texts begin; any other is somebody's own.
const KINDS: [&str; 7] = [
    "missing field `",
    "unknown field `",
    "duplicate field `",
    "unknown variant `",
    "invalid type: ",
    "invalid value: ",
    "invalid length ",
];

/// The fault that a parser's text tells of.
pub(super) fn fault_of(text: &str) -> Fault {
    let text = BEFORE.iter().find_map(|before| text.strip_prefix(before)).unwrap_or(text);
    let (path, text) = parted(without_position(text));
    let (path, reason) = match KINDS.iter().find(|kind| text.starts_with(**kind)) {
        Some(_) => told(path, text),
        None => (path.to_owned(), own(text)),
    };
    let (line, field) = place(&path);
    Fault { line, field: masked(&field), reason }
}

/// Of an array's item: which, from 1, and the field in it. Of anything else: the field.
pub(super) fn place(path: &str) -> (Option<u64>, String) {
    let item = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let item = item.and_then(|(index, rest)| Some((index.parse::<u64>().ok()? + 1, rest)));
    let (line, field) = item.map_or((None, path), |(line, rest)| (Some(line), rest));
    let field = field.trim_start_matches('.');
    (line, if field.is_empty() { "body" } else { field }.to_owned())
}

/// The text before ` at line 1 column 2`.
fn without_position(text: &str) -> &str {
    let place = text.rsplit_once(" at line ");
    let is_place = |place: &str| place.chars().all(|c| c.is_ascii_digit() || "column ".contains(c));
    place.filter(|(_, place)| is_place(place)).map_or(text, |(before, _)| before)
}

/// The path to the value (empty: the whole), and what is said of it.
fn parted(text: &str) -> (&str, &str) {
    let begins = KINDS.iter().filter_map(|kind| match text.starts_with(kind) {
        true => Some(0),
        false => text.find(&format!(": {kind}")).map(|at| at + 2),
    });
    let split = match begins.min() {
        Some(0) => None,
        Some(at) => text.split_at_checked(at),
        None => text
            .find(": ")
            .and_then(|at| text.split_at_checked(at + 2))
            .filter(|(path, _)| !path.trim_end().contains(' ')),
    };
    let (path, said) = split.unwrap_or(("", text));
    (path.trim_end_matches(": ").trim_matches(['?', '.']), said)
}

/// One of serde's own texts.
fn told(path: &str, text: &str) -> (String, Say) {
    let mut quoted = text.split('`').skip(1).step_by(2);
    let name = quoted.next().unwrap_or_default();
    let known = || text.split('`').skip(3).step_by(2).collect::<Vec<_>>().join(", ");
    let here = path.to_owned();
    match text.split(['`', ':']).next().unwrap_or_default().trim() {
        "missing field" => (member(path, name), "is missing".into()),
        "duplicate field" => (member(path, name), say!("is given twice")),
        "unknown field" => {
            (member(path, name), say!("is not known here; known: {known}", known = known()))
        }
        "unknown variant" => (here, say!("must be one of {words}", words = known())),
        "invalid type" => (here, wrong_type(text)),
        "invalid value" => (here, wrong_value(text)),
        _ => (here, detail(text)),
    }
}

/// The path may end in the member's name already.
fn member(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

/// `invalid type: string "x", expected i32`. What was found is not repeated.
fn wrong_type(text: &str) -> Say {
    let found = text.strip_prefix("invalid type: ").unwrap_or_default();
    let expected = text.rsplit_once(", expected ").and_then(|(_, expected)| kind(expected));
    match (expected, kind(found)) {
        (Some(expected), Some(found)) => Say::of("must be {expected}, not {found}")
            .with("expected", expected)
            .with("found", found),
        (Some(expected), None) => Say::of("must be {expected}").with("expected", expected),
        _ => "is of another type than expected here".into(),
    }
}

/// `invalid value: integer `300`, expected i32`.
fn wrong_value(text: &str) -> Say {
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected);
    match expected {
        Some(expected) if is_whole(expected) => "is too large or too small".into(),
        Some(expected) => detail(&format!("expected {expected}")),
        None => "is of another type than expected here".into(),
    }
}

fn is_whole(kind: &str) -> bool {
    let bits = kind.strip_prefix(['i', 'u']);
    bits.is_some_and(|bits| ["8", "16", "32", "64", "128", "size"].contains(&bits))
}

/// A kind of value, by the beginning of serde's words for it.
fn kind(words: &str) -> Option<Say> {
    let of = |beginnings: &[&str]| beginnings.iter().any(|beginning| words.starts_with(beginning));
    Some(if of(&["string", "a string", "a borrowed string", "character"]) {
        Say::of("text")
    } else if of(&["integer"]) || is_whole(words) {
        "a whole number".into()
    } else if of(&["floating point", "f64", "f32"]) {
        "a number".into()
    } else if of(&["boolean", "a boolean"]) {
        "true or false".into()
    } else if of(&["sequence", "a sequence"]) {
        "a list".into()
    } else if of(&["map", "a map", "struct "]) {
        "an object".into()
    } else if of(&["null", "unit", "Option"]) {
        "nothing (null)".into()
    } else {
        return None;
    })
}

/// A text of our own types, of the standard library's numbers, or of nobody we know.
fn own(text: &str) -> Say {
    /// Sentences of ours that have a translation.
    const OURS: [&str; 3] = [
        "not a moment in RFC 3339, like 2026-11-23T14:05:00Z",
        "not an id: expected 26 characters of Crockford base 32",
        "not an id: expected 26 characters of Crockford base 32, '-' and the try",
    ];
    if let Some(ours) = OURS.iter().find(|ours| **ours == text) {
        return Say::of(ours);
    }
    match text {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            Say::of("must be {expected}").with("expected", Say::of("a whole number"))
        }
        "number too large to fit in target type" | "number too small to fit in target type" => {
            "is too large or too small".into()
        }
        "provided string was not `true` or `false`" => {
            Say::of("must be {expected}").with("expected", Say::of("true or false"))
        }
        // A word of a vocabulary that is no text.
        "expected value" => "is of another type than expected here".into(),
        other => detail(other),
    }
}

fn detail(text: &str) -> Say {
    say!("is not what is expected here: {reason}", reason = masked(text))
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;

    use super::*;
    use crate::words::in_language;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn what_a_parser_says_becomes_a_field_and_a_sentence_in_two_languages() {
        for (text, line, field, english, chinese) in [
            ("missing field `campaign`", None, "campaign", "is missing", "缺失"),
            ("[2]: missing field `at` at line 1 column 3", Some(3), "at", "is missing", "缺失"),
            (
                "nam: unknown field `nam`, expected `name` at line 1 column 6",
                None,
                "nam",
                "is not known here; known: name",
                "此处不支持；可用的有：name",
            ),
            (
                "unknown field `x`, expected one of `a`, `b`",
                None,
                "x",
                "is not known here; known: a, b",
                "此处不支持；可用的有：a, b",
            ),
            ("duplicate field `name`", None, "name", "is given twice", "重复给出"),
            (
                "purpose: unknown variant `selling`, expected one of `a`, `b`",
                None,
                "purpose",
                "must be one of a, b",
                "必须是以下之一：a, b",
            ),
            (
                "max_tries: invalid type: string \"a: b, expected c\", expected i16 at line 1 column 9",
                None,
                "max_tries",
                "must be a whole number, not text",
                "必须是整数，而不是文本",
            ),
            (
                "trunks[0]: invalid type: null, expected a string",
                None,
                "trunks[0]",
                "must be text, not nothing (null)",
                "必须是文本，而不是空值（null）",
            ),
            (
                "invalid type: map, expected a sequence",
                None,
                "body",
                "must be a list, not an object",
                "必须是列表，而不是对象",
            ),
            (
                "max_tries: invalid value: integer `99999`, expected i16",
                None,
                "max_tries",
                "is too large or too small",
                "数值过大或过小",
            ),
            (
                "[0].at: not a moment in RFC 3339, like 2026-11-23T14:05:00Z at line 1 column 30",
                Some(1),
                "at",
                "not a moment in RFC 3339, like 2026-11-23T14:05:00Z",
                "不是 RFC 3339 格式的时刻，例如 2026-11-23T14:05:00Z",
            ),
            (
                "seller: not an id: expected 26 characters of Crockford base 32",
                None,
                "seller",
                "not an id: expected 26 characters of Crockford base 32",
                "不是有效的编号：应为 26 个 Crockford 32 进制字符",
            ),
            (
                "Failed to deserialize query string: limit: invalid digit found in string",
                None,
                "limit",
                "must be a whole number",
                "必须是整数",
            ),
            (
                "something new of 13055550123",
                None,
                "body",
                "is not what is expected here: something new of 130555*****",
                "与此处要求的内容不符：something new of 130555*****",
            ),
        ] {
            let fault = fault_of(text);
            assert_eq!((fault.line, fault.field.as_str()), (line, field), "{text}");
            assert_eq!(in_language(&fault.reason, Language::English), english, "{text}");
            assert_eq!(in_language(&fault.reason, Language::Chinese), chinese, "{text}");
        }
    }
}
