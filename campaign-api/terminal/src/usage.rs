//! What is wrong with the command line itself: text for people, a problem document for scripts.

use std::io::{self, Write as _};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use dialer_types::Say;

use crate::{arguments::Global, config, trouble::Trouble, words::Tongue};

/// Tells it (or prints the help that was asked for); gives the exit code.
pub(crate) fn complain(error: &clap::Error, tongue: Tongue) -> u8 {
    if !error.use_stderr() {
        error.print().unwrap_or_default();
        return u8::try_from(error.exit_code()).unwrap_or(2);
    }
    let trouble = Trouble::Usage(Say::raw(detail(error)));
    // Nothing was parsed, so the flag is looked for by hand.
    let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if json {
        let page = config::page(&Global::default(), tongue, true);
        let problem = format!("{}\n", trouble.json(&page));
        io::stderr().lock().write_all(problem.as_bytes()).unwrap_or_default();
    } else {
        error.print().unwrap_or_default();
        if let Some(tip) = tip(error) {
            writeln!(io::stderr().lock(), "\n  tip: {tip}").unwrap_or_default();
        }
    }
    trouble.exit_code()
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
    fn a_complaint_for_scripts_is_one_line_without_the_usage() {
        let unknown = detail(&refused(&["campaign", "list", "--nonsense"]));
        assert_eq!(unknown.split(';').next(), Some("unexpected argument '--nonsense' found"));
        assert!(!unknown.contains("Usage") && !unknown.contains('\n'), "{unknown}");
    }
}
