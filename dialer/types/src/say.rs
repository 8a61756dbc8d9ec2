//! Sentences for people, in their language: an English template with named places, and what fills
//! them. Translations are found by the template, so that no sentence needs a key of its own.

use std::fmt;

use serde::Serialize;

/// A language that sentences are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English: of the templates themselves, and what is fallen back to.
    #[default]
    English,
    /// Chinese in simplified characters.
    Chinese,
}

impl Language {
    /// The language to answer in, by an `Accept-Language` header (RFC 9110 section 12.5.4): the one
    /// with the greatest weight, the first among equals; English where neither is asked for.
    #[must_use]
    pub fn of_accept(header: &str) -> Self {
        let mut best = (Self::English, 0);
        for range in header.split(',').take(32) {
            let mut parts = range.split(';').map(str::trim);
            let Some(language) = parts.next().and_then(Self::of_tag) else { continue };
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }

    /// The language of a POSIX locale such as `zh_CN.UTF-8`; English where it is another.
    #[must_use]
    pub fn of_locale(locale: &str) -> Self {
        let tag = locale.split(['.', '@']).next().unwrap_or_default();
        Self::of_tag(&tag.replace('_', "-")).unwrap_or_default()
    }

    /// `*` is English.
    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("zh") {
            Some(Self::Chinese)
        } else if primary.eq_ignore_ascii_case("en") || tag == "*" {
            Some(Self::English)
        } else {
            None
        }
    }

    /// The tag for `Content-Language`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }
}

/// `0.8` as 800; what is not understood weighs nothing.
fn thousandths(weight: &str) -> u16 {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    let mut digits = part.bytes().chain(std::iter::repeat(b'0')).take(3);
    let part = digits.try_fold(0_u16, |sum, digit| {
        Some(sum * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?))
    });
    match (whole, part) {
        ("0", Some(part)) => part,
        ("1", Some(_)) => 1000,
        _ => 0,
    }
}

/// What fills a place of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Filling {
    /// The same in every language: a number, a name, a word of the API.
    Text(String),
    /// A sentence of its own.
    Said(Say),
}

/// A sentence. Made by [`say!`](crate::say) or from a literal without places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Say {
    /// English, with places like `{most}`. Empty for text that has no translation.
    #[serde(rename = "say")]
    template: String,
    /// By name of the place.
    with: Vec<(String, Filling)>,
}

impl Say {
    /// A sentence from its template; fill its places with [`Say::with`]. Written as [`say!`](crate::say).
    #[must_use]
    pub fn of(template: &str) -> Self {
        Self { template: template.to_owned(), with: Vec::new() }
    }

    /// Text of others (a parser's message, say), the same in every language.
    #[must_use]
    pub fn raw(text: impl Into<String>) -> Self {
        Self::of("{text}").with("text", Filling::Text(text.into()))
    }

    /// Fills a place.
    #[must_use]
    pub fn with(mut self, name: &str, filling: impl Into<Filling>) -> Self {
        self.with.push((name.to_owned(), filling.into()));
        self
    }

    /// This and another, as a list: `{one}, {other}`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::of("{one}, {other}").with("one", self).with("other", other)
    }

    /// The template, by which a translation is found.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// What fills its places.
    #[must_use]
    pub fn fillings(&self) -> &[(String, Filling)] {
        &self.with
    }

    /// The text, with each template replaced by what `translate` has for it; where it has nothing
    /// the English stands.
    #[must_use]
    pub fn text<'a>(&self, translate: &dyn Fn(&str) -> Option<&'a str>) -> String {
        let mut rest = translate(&self.template).unwrap_or(&self.template);
        let mut text = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            text += before;
            let filled = after.split_once('}').and_then(|(name, after)| {
                let (_, filling) = self.with.iter().find(|(held, _)| held == name)?;
                Some((filling, after))
            });
            match filled {
                Some((Filling::Text(value), after)) => {
                    text += value;
                    rest = after;
                }
                Some((Filling::Said(say), after)) => {
                    text += &say.text(translate);
                    rest = after;
                }
                None => {
                    text.push('{');
                    rest = after;
                }
            }
        }
        text + rest
    }
}

/// English.
impl fmt::Display for Say {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&|_| None))
    }
}

impl From<&'static str> for Say {
    fn from(template: &'static str) -> Self {
        Self::of(template)
    }
}

impl From<Say> for Filling {
    fn from(say: Say) -> Self {
        Self::Said(say)
    }
}

impl<T: fmt::Display + ?Sized> From<&T> for Filling {
    fn from(value: &T) -> Self {
        Self::Text(value.to_string())
    }
}

/// A sentence with places: `say!("has more than {most} characters", most)` or
/// `say!("of {all}", all = rows.len())`. A value that is a [`Say`] itself goes in with
/// [`Say::with`] and is translated with the rest.
#[macro_export]
macro_rules! say {
    ($template:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {
        $crate::Say::of($template)$(.with(stringify!($name), &$crate::say!(@ $name $(= $value)?)))*
    };
    (@ $name:ident) => { $name };
    (@ $name:ident = $value:expr) => { $value };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_every_language_and_in_any_order() {
        let most = 5;
        let said = say!("{what} has more than {most} characters", most, what = "x");
        assert_eq!(said.to_string(), "x has more than 5 characters");
        let zh = |template: &str| {
            (template == "{what} has more than {most} characters")
                .then_some("最多 {most} 个字符，{what} 超出了")
        };
        assert_eq!(said.text(&zh), "最多 5 个字符，x 超出了");
        let outer = Say::of("no: {why}").with("why", said);
        assert_eq!(outer.text(&zh), "no: 最多 5 个字符，x 超出了");
    }

    #[test]
    fn braces_in_what_fills_a_place_are_text() {
        assert_eq!(say!("{a}{b}", a = "{b}", b = 1).to_string(), "{b}1");
        assert_eq!(Say::raw("{x} {").to_string(), "{x} {");
        assert_eq!(Say::of("{").to_string(), "{");
    }

    #[test]
    fn the_language_with_the_greatest_weight_is_spoken() {
        let cases = [
            ("", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en;q=0.5, zh;q=0.50", Language::English),
            ("en;q=0.5, ZH-Hans;q=0.501", Language::Chinese),
            ("zh;q=0", Language::English),
            ("fr, de", Language::English),
            ("fr, zh;q=0.1", Language::Chinese),
            ("zh;q=x", Language::English),
            ("*, zh;q=0.9", Language::English),
        ];
        for (header, expected) in cases {
            assert_eq!(Language::of_accept(header), expected, "{header}");
        }
        assert_eq!(Language::of_locale("zh_CN.UTF-8"), Language::Chinese);
        assert_eq!(Language::of_locale("C"), Language::English);
    }
}
