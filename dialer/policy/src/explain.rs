//! One English sentence per denial, for a campaign manager.

use crate::{Ability, Denial, Wait, check::instant_text};

/// Why a rule denies and what would change it, in one sentence without numbers or names.
#[must_use]
pub fn explain(denial: &Denial) -> String {
    let mut text = format!("{}: {}", denial.title, denial.inputs);
    let times: Vec<String> =
        denial.local_times.iter().map(|at| format!("{} in {}", at.text, at.zone)).collect();
    if !times.is_empty() {
        text += &format!(" (it is {})", times.join(", "));
    }
    let then = match (&denial.waits_for, denial.first_lawful) {
        (Some(wait), _) => remedy(wait),
        (None, Some(at)) => format!("this rule allows the call from {} on", instant_text(at)),
        (None, None) => "no later time changes that".to_owned(),
    };
    format!("{text}; {then} ({}, {}).", denial.rule, denial.citation)
}

fn remedy(wait: &Wait) -> String {
    match wait {
        Wait::Consent => "it takes a consent that covers the call".to_owned(),
        Wait::List(list) => {
            format!("it takes a fresh copy of {list} without the number, or an exemption")
        }
        Wait::Suppression => "nobody calls as long as the entry stands".to_owned(),
        Wait::Address => "it takes an address or a time zone".to_owned(),
        Wait::Pack => "it takes another rule pack or calendar".to_owned(),
        Wait::Feed => {
            "it takes a fresh emergency feed without an emergency for the place".to_owned()
        }
        Wait::Obligation(word) => format!("it takes {}", ability(word)),
        Wait::Contact => "it takes another party or line".to_owned(),
        Wait::Never => "no later time changes that".to_owned(),
    }
}

fn ability(word: &str) -> &'static str {
    match Ability::from_word(word) {
        Some(Ability::Identity) => "a prompt that says at its beginning who calls",
        Some(Ability::PurposeStatement) => "a prompt that says why you call",
        Some(Ability::CallbackNumber) => "a prompt that gives a number to call back",
        Some(Ability::OptOutKey) => "a key press that opts out during the message",
        Some(Ability::AiDisclosure) => "a prompt that says that a machine speaks",
        Some(Ability::RecordingNotice) => "a prompt that announces the recording",
        Some(Ability::CallerId) => "a caller ID that can be called back",
        Some(Ability::CallerIdRange) => "a caller ID from the range reserved for such calls",
        Some(Ability::MinRing) => "letting unanswered calls ring for 15 seconds",
        Some(Ability::AbandonMessage) => "a message for people whom no agent answers in time",
        Some(Ability::AbandonmentControl) => "pacing that keeps the abandonment limit",
        Some(Ability::Retention) => "records kept as long as the law asks",
        Some(Ability::ReassignedNumbers) => "a look-up of reassigned numbers",
        None => "something this build cannot do",
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        explain,
        kinds::cases::{Case, instant},
    };

    #[test]
    fn a_denial_is_told_in_one_sentence_with_rule_reason_time_and_remedy() {
        let hours = "kind = \"time_window\"\nallow = [{ days = [\"tue\"], from = \"10:00\", to = \"12:00\" }]";
        let verdict = Case::rule(hours).verdict(instant("2026-12-01T14:00:00Z"));
        let told: Vec<String> = verdict.denials().iter().map(explain).collect();
        assert_eq!(
            told,
            [
                "T: outside the hours in 1 of 1 candidate zones (it is Tue 2026-12-01 09:00:00 in America/New_York); this rule allows the call from 2026-12-01T15:00:00Z on (test.rule, C)."
            ]
        );
        let consent = "kind = \"consent_required\"\nneeds = \"any\"";
        let verdict = Case::rule(consent).verdict(instant("2026-12-01T14:00:00Z"));
        let told: Vec<String> = verdict.denials().iter().map(explain).collect();
        assert_eq!(
            told,
            [
                "T: no valid consent for this seller and purpose; 0 on file; it takes a consent that covers the call (test.rule, C)."
            ]
        );
    }
}
