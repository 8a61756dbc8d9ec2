//! What is wrong with the command line itself: text for people, a problem document for scripts.

use std::io::{self, Write as _};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use dialer_types::{Language, Say, say};

use crate::{arguments::Global, config, trouble::Trouble, words::Tongue};

/// Tells it (or prints the help that was asked for); gives the exit code.
pub(crate) fn complain(error: &clap::Error, tongue: Tongue) -> u8 {
    if !error.use_stderr() {
        error.print().unwrap_or_default();
        return u8::try_from(error.exit_code()).unwrap_or(2);
    }
    // clap speaks English only.
    let chinese = (tongue.0 == Language::Chinese).then(|| sentence(error, tongue)).flatten();
    let trouble = Trouble::Usage(chinese.clone().unwrap_or_else(|| Say::raw(detail(error))));
    let page = config::page(&Global::default(), tongue, true);
    // Nothing was parsed, so the flag is looked for by hand.
    let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if json {
        let problem = format!("{}\n", trouble.json(&page));
        io::stderr().lock().write_all(problem.as_bytes()).unwrap_or_default();
    } else if chinese.is_some() {
        let mut text = trouble.render(&page);
        if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
            text.push_str(&format!("\n{usage}\n"));
        }
        io::stderr().lock().write_all(text.as_bytes()).unwrap_or_default();
    } else {
        error.print().unwrap_or_default();
        if let Some(tip) = tip(error) {
            writeln!(io::stderr().lock(), "\n  tip: {tip}").unwrap_or_default();
        }
    }
    trouble.exit_code()
}

/// The language that the command line asks for: where it cannot be parsed, by looking for the flag.
pub(crate) fn asked_language() -> Option<String> {
    let mut words = std::env::args().take_while(|word| word != "--");
    while let Some(word) = words.next() {
        if word == "--language" {
            return words.next();
        }
        if let Some(language) = word.strip_prefix("--language=") {
            return Some(language.to_owned());
        }
    }
    None
}

/// The complaint as a sentence of ours; `None` for what is seldom said.
fn sentence(error: &clap::Error, tongue: Tongue) -> Option<Say> {
    let of = |kind| error.get(kind).map(listed);
    let argument = of(ContextKind::InvalidArg);
    let value = of(ContextKind::InvalidValue).unwrap_or_default();
    Some(match error.kind() {
        ErrorKind::InvalidValue => match of(ContextKind::ValidValue).filter(|it| !it.is_empty()) {
            Some(possible) => {
                say!(
                    "{argument} cannot be {value}; possible: {possible}",
                    argument = argument?,
                    value,
                    possible
                )
            }
            None => say!("{argument} cannot be {value}", argument = argument?, value),
        },
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map(ToString::to_string);
            let reason = tongue.tell(&Say::of(&reason.unwrap_or_default()));
            say!("{argument} cannot be {value}: {reason}", argument = argument?, value, reason)
        }
        ErrorKind::UnknownArgument => {
            say!("there is no {argument} here; --help shows what there is", argument = argument?)
        }
        ErrorKind::InvalidSubcommand => say!(
            "there is no {word} here; --help shows what there is",
            word = of(ContextKind::InvalidSubcommand)?
        ),
        ErrorKind::MissingRequiredArgument => {
            say!("missing: {argument}; --help shows what each word takes", argument = argument?)
        }
        ErrorKind::ArgumentConflict => say!(
            "{argument} does not go with {other}",
            argument = argument?,
            other = of(ContextKind::PriorArg).unwrap_or_default()
        ),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            say!("the command is not whole; --help shows how it goes on")
        }
        _ => return None,
    })
}

fn listed(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(all) => all.join(", "),
        other => other.to_string(),
    }
}

/// The complaint in one line, without the usage below it.
fn detail(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let ends = ["\n\nUsage:", "\n\nFor more information"];
    let end = ends.iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    let said = text.get(..end).unwrap_or(&text);
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let mut detail = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(tip) = tip(error) {
        detail = format!("{detail}; {tip}");
    }
    detail
}

/// What clap cannot say: a number alone is a target elsewhere, and not for a consent.
fn tip(error: &clap::Error) -> Option<&'static str> {
    let missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing))
            if error.kind() == ErrorKind::MissingRequiredArgument =>
        {
            missing
        }
        _ => return None,
    };
    missing.iter().any(|name| name.starts_with("--person ")).then_some(
        "a consent is a person's: --person ID names whose; a NUMBER beside it means this number only",
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::Arguments;

    fn refused(words: &[&str]) -> clap::Error {
        Arguments::try_parse_from([&["ringfence"], words].concat()).unwrap_err()
    }

    #[test]
    fn who_names_nobody_is_told_every_way_to_name_somebody() {
        let why = detail(&refused(&["why", "--campaign", "c"]));
        for way in ["NUMBER", "--person", "--contact"] {
            assert!(why.contains(way), "{way} in {why}");
        }
        let suppress = detail(&refused(&["suppress", "--reason", "asked"]));
        assert!(suppress.contains("NUMBER") && suppress.contains("--person"), "{suppress}");
        let consent =
            ["consent", "grant", "--seller", "s", "--purpose", "telemarketing", "--source", "x"];
        let consent = detail(&refused(&consent));
        assert!(consent.contains("--person") && consent.contains("NUMBER"), "{consent}");
    }

    #[test]
    fn complaints_are_told_in_chinese() {
        let tongue = Tongue(Language::Chinese);
        let told = |words: &[&str]| tongue.tell(&sentence(&refused(words), tongue).unwrap());
        for (words, parts) in [
            (&["campaign", "list", "--nonsense"] as &[&str], ["--nonsense", "没有"]),
            (&["nonsense"], ["nonsense", "没有"]),
            (&["why", "--campaign", "c"], ["NUMBER", "缺少"]),
            (
                &["suppress", "+1", "--reason", "x", "--seller", "s", "--everyone"],
                ["--everyone", "不能"],
            ),
            (&["list", "faults", "x", "--about", "y"], ["rejected", "可选"]),
        ] {
            let told = told(words);
            for part in parts {
                assert!(told.contains(part), "{part} in {told}");
            }
        }
        let retry = ["campaign", "create", "c", "--retry", "busy=5x"];
        assert!(told(&retry).contains("请写成"), "{}", told(&retry));
    }

    #[test]
    fn a_complaint_for_scripts_is_one_line_without_the_usage() {
        let unknown = detail(&refused(&["campaign", "list", "--nonsense"]));
        assert_eq!(unknown.split(';').next(), Some("unexpected argument '--nonsense' found"));
        assert!(!unknown.contains("Usage") && !unknown.contains('\n'), "{unknown}");
    }
}
