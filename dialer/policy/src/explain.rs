//! One sentence per denial, for a campaign manager, in every language.

use chrono_tz::Tz;
use dialer_types::{Language, Say, UnixMillis, say};

use crate::{Ability, Denial, Obligation, Wait, check::instant_text, in_language, local_time};

/// Why a rule denies and what would change it, in one sentence without numbers or names.
#[must_use]
pub fn explain(denial: &Denial, language: Language) -> String {
    let zones: Vec<Tz> = denial.local_times.iter().map(|at| at.tz).collect();
    let here = denial.local_times.iter().map(|at| at.text_in(language));
    let it_is = match joined(&zones, here) {
        Some(times) => Say::of(" (it is {times})").with("times", times),
        None => "".into(),
    };
    let then = match (&denial.waits_for, denial.first_lawful) {
        (Some(wait), _) => remedy(wait),
        (None, Some(at)) => opens(at, &zones, language),
        (None, None) => remedy(&Wait::Never),
    };
    let said = say!(
        "{title}: {inputs}{it_is}; {then} ({rule}, {citation}).",
        title = denial.title_in(language),
        rule = denial.rule,
        citation = denial.citation_in(language)
    );
    let said = said.with("inputs", denial.inputs.clone()).with("it_is", it_is);
    in_language(&said.with("then", then), language)
}

/// The first lawful moment, for the party and in UTC.
fn opens(at: UnixMillis, zones: &[Tz], language: Language) -> Say {
    let utc = instant_text(at);
    let there = zones.iter().map(|zone| local_time(*zone, at, language));
    match joined(zones, there) {
        Some(times) => say!("this rule allows the call from {utc} on, which is {times}", utc)
            .with("times", times),
        None => say!("this rule allows the call from {utc} on", utc),
    }
}

/// Times with their zones; zones in which it is the same time stand together.
fn joined(zones: &[Tz], times: impl Iterator<Item = String>) -> Option<Say> {
    let mut groups: Vec<(String, String)> = Vec::new();
    for (zone, time) in zones.iter().zip(times) {
        match groups.iter_mut().find(|(held, _)| *held == time) {
            Some((_, names)) => *names = format!("{names}, {}", zone.name()),
            None => groups.push((time, zone.name().to_owned())),
        }
    }
    groups.into_iter().map(|(time, zone)| say!("{time} in {zone}", time, zone)).reduce(Say::and)
}

/// What a refused call waits for, as a sentence of its own.
#[must_use]
pub fn waits_sentence(wait: &Wait, language: Language) -> String {
    let text = in_language(&remedy(wait), language);
    let mut characters = text.chars();
    match (language, characters.next()) {
        (Language::English, Some(first)) => {
            format!("{}{}.", first.to_uppercase(), characters.as_str())
        }
        _ => format!("{text}。"),
    }
}

/// What an obligation asks of the campaign or the build, as a sentence; its title where the rule
/// asks for nothing that is checked.
#[must_use]
pub fn obligation_sentence(duty: &Obligation, language: Language) -> String {
    let needs = duty.requires.iter().map(ability).reduce(Say::and);
    let said = match needs {
        Some(needs) => say!("{title}: this call needs {needs}.", title = duty.title_in(language))
            .with("needs", needs),
        None => say!("{title}: a duty of the caller.", title = duty.title_in(language)),
    };
    in_language(&said, language)
}

fn remedy(wait: &Wait) -> Say {
    match wait {
        Wait::Consent => "it takes a consent that covers the call".into(),
        Wait::List(list) => {
            say!("it takes a fresh copy of {list} without the number, or an exemption", list)
        }
        Wait::Suppression => "nobody calls as long as the entry stands".into(),
        Wait::Address => "it takes an address or a time zone".into(),
        Wait::Pack => "it takes another rule pack or calendar".into(),
        Wait::Feed => "it takes a fresh emergency feed without an emergency for the place".into(),
        Wait::Obligation(word) => {
            let needed = match Ability::from_word(word) {
                Some(needed) => ability(needed),
                None => "something this build cannot do".into(),
            };
            Say::of("it takes {ability}").with("ability", needed)
        }
        Wait::Contact => "it takes another party or line".into(),
        Wait::Never => "no later time changes that".into(),
    }
}

/// What a campaign or build needs for an ability.
fn ability(ability: Ability) -> Say {
    match ability {
        Ability::Identity => "a prompt that says at its beginning who calls",
        Ability::PurposeStatement => "a prompt that says why you call",
        Ability::CallbackNumber => "a prompt that gives a number to call back",
        Ability::OptOutKey => "a key press that opts out during the message",
        Ability::AiDisclosure => "a prompt that says that a machine speaks",
        Ability::RecordingNotice => "a prompt that announces the recording",
        Ability::CallerId => "a caller ID that can be called back",
        Ability::CallerIdRange => "a caller ID from the range reserved for such calls",
        Ability::MinRing => "letting unanswered calls ring for 15 seconds",
        Ability::AbandonMessage => "a message for people whom no agent answers in time",
        Ability::AbandonmentControl => "pacing that keeps the abandonment limit",
        Ability::Retention => "records kept as long as the law asks",
        Ability::ReassignedNumbers => "a look-up of reassigned numbers",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use dialer_types::Language;

    use crate::{
        explain,
        kinds::cases::{Case, instant},
    };

    #[test]
    fn a_denial_is_told_in_one_sentence_with_rule_reason_time_and_remedy() {
        let hours = "kind = \"time_window\"\nallow = [{ days = [\"tue\"], from = \"10:00\", to = \"12:00\" }]";
        let verdict = Case::rule(hours).verdict(instant("2026-12-01T14:00:00Z"));
        let told: Vec<String> =
            verdict.denials().iter().map(|denial| explain(denial, Language::English)).collect();
        assert_eq!(
            told,
            [
                "T: outside the hours in 1 of 1 candidate zones (it is Tue 2026-12-01 09:00:00 in America/New_York); this rule allows the call from 2026-12-01T15:00:00Z on, which is Tue 2026-12-01 10:00:00 in America/New_York (test.rule, C)."
            ]
        );
        let consent = "kind = \"consent_required\"\nneeds = \"any\"";
        let verdict = Case::rule(consent).verdict(instant("2026-12-01T14:00:00Z"));
        let told: Vec<String> =
            verdict.denials().iter().map(|denial| explain(denial, Language::English)).collect();
        assert_eq!(
            told,
            [
                "T: no valid consent for this seller and purpose; 0 on file; it takes a consent that covers the call (test.rule, C)."
            ]
        );
    }
}
