//! Decimal digits of every script, and what else characters are to a card number.

/// The zero of each row of ten decimal digits (general category Nd of Unicode 16), ascending. The
/// mathematical ones are five rows that follow each other.
const ZEROS: [u32; 76] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66,
    0xDE6, 0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90,
    0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
    0x104A0, 0x10D30, 0x10D40, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0,
    0x11650, 0x116C0, 0x116D0, 0x116DA, 0x11730, 0x118E0, 0x11950, 0x11BF0, 0x11C50, 0x11D50,
    0x11DA0, 0x11F50, 0x16130, 0x16A60, 0x16AC0, 0x16B50, 0x16D70, 0x1CCF0, 0x1D7CE, 0x1D7D8,
    0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E5F1, 0x1E950, 0x1FBF0,
];

/// What a character is to a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Digit(u8),
    /// Neither letter nor digit: it may stand between groups of digits.
    Between,
    /// Not seen: it may stand anywhere.
    Nothing,
    /// A letter: the number ends.
    Other,
}

pub(super) fn kind(character: char) -> Kind {
    if let Some(digit) = digit(character) {
        return Kind::Digit(digit);
    }
    match character {
        // The two behind the digit of a keycap are among them, and blanks that count as letters.
        '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2069}'
        | '\u{FEFF}'
        | '\u{AD}'
        | '\u{34F}'
        | '\u{61C}'
        | '\u{180E}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{20E3}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{FFA0}'
        | '\u{E0000}'..='\u{E007F}' => Kind::Nothing,
        // Letters by their category, and dashes to whoever types them.
        'ー' | 'ｰ' | '\u{640}' => Kind::Between,
        other if other.is_alphanumeric() => Kind::Other,
        _ => Kind::Between,
    }
}

/// The value of a decimal digit of any script.
pub(crate) fn digit(character: char) -> Option<u8> {
    if character.is_ascii() {
        return u8::try_from(character).ok()?.checked_sub(b'0').filter(|digit| *digit < 10);
    }
    let code = u32::from(character);
    let zero = ZEROS.get(ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?)?;
    u8::try_from(code - zero).ok().filter(|digit| *digit < 10)
}

/// What web pages and addresses write for a blank; the rest of the text after it.
pub(super) fn blank(text: &str) -> Option<&str> {
    const BLANKS: [&str; 6] = ["&nbsp;", "&#160;", "&#xA0;", "%20", "%C2%A0", "%A0"];
    BLANKS.iter().find_map(|blank| {
        let head = text.get(..blank.len())?;
        head.eq_ignore_ascii_case(blank).then(|| text.get(blank.len()..))?
    })
}
