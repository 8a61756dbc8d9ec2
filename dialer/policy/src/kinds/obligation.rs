//! Kinds that do not gate: duties that go with a permitted call. What the build or the campaign
//! cannot carry out is refused (G5).

use std::sync::Arc;

use dialer_types::Say;

use crate::{
    Abilities, Ability, Obligation, Wait,
    ask::{Ask, Ruling},
    kinds::Head,
    reader::Reader,
};

/// A duty, and when it applies.
#[derive(Debug, Clone)]
pub(crate) struct Duty {
    pub(crate) obligation: Arc<Obligation>,
    when_recorded: bool,
}

const KINDS: [&str; 7] = [
    "announcement",
    "caller_id",
    "recording_consent",
    "call_timing",
    "ratio_cap",
    "retention",
    "data_rights",
];

/// A duty of a rule.
pub(crate) fn duty(head: &Head, kind: &'static str, requires: Abilities) -> Arc<Obligation> {
    let (rule, names) = (head.0.clone(), Arc::clone(&head.1));
    let (title, citation) = (Arc::clone(&names.title), Arc::clone(&names.citation));
    Arc::new(Obligation { rule, citation, title, names, kind, requires })
}

impl Duty {
    /// The kind's name, if it is one of duties.
    pub(crate) fn kind(word: &str) -> Option<&'static str> {
        KINDS.into_iter().find(|kind| *kind == word)
    }

    pub(crate) fn read(from: &mut Reader<'_, '_>, kind: &'static str, head: &Head) -> Self {
        let requires: Abilities = from.words("requires", Ability::from_word).into_iter().collect();
        let when_recorded = from.flag("when_recorded");
        Self { obligation: duty(head, kind, requires), when_recorded }
    }

    /// Whether this call has the duty.
    pub(crate) const fn applies(&self, ask: &Ask<'_>) -> bool {
        !self.when_recorded || ask.facts.call.recorded
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>) -> Ruling {
        let missing = self.obligation.requires.missing_from(ask.terms.abilities);
        let Some(first) = missing.iter().next().filter(|_| self.applies(ask)) else {
            return Ruling::Pass;
        };
        let inputs = ask.say(|| {
            let words = missing.iter().map(|ability| Say::of(ability.as_str()));
            let words = words.reduce(Say::and).unwrap_or_else(|| "".into());
            Say::of("cannot carry out: {abilities}").with("abilities", words)
        });
        Ruling::No { inputs, waits_for: Wait::Obligation(first.as_str()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Abilities, Ability, Verdict,
        kinds::cases::{Case, calls, instant},
    };

    const NOW: &str = "2026-12-01T16:00:00Z";

    #[test]
    fn a_duty_goes_with_the_permit_and_refuses_what_cannot_carry_it_out() {
        let rule = "kind = \"announcement\"\nrequires = [\"identity\", \"opt_out_key\"]";
        let all = Abilities::ALL;
        for (abilities, verdict) in [
            (all, "permit"),
            (all.without(Ability::MinRing), "permit"),
            (all.without(Ability::OptOutKey), "refuse Obligation(\"opt_out_key\")"),
            (Abilities::NONE, "refuse Obligation(\"identity\")"),
        ] {
            let mut case = Case::rule(rule).call(calls::new_york());
            case.abilities = abilities;
            assert_eq!(case.at(NOW), verdict, "{abilities:?}");
        }
        let case = Case::rule(rule).call(calls::new_york());
        let Verdict::Permit(permit) = case.verdict(instant(NOW)) else { panic!("not permitted") };
        assert_eq!(permit.obligations().len(), 1);
    }

    #[test]
    fn a_recording_notice_is_owed_only_if_the_call_is_recorded() {
        let rule =
            "kind = \"recording_consent\"\nrequires = [\"recording_notice\"]\nwhen_recorded = true";
        for (recorded, verdict) in
            [(false, "permit"), (true, "refuse Obligation(\"recording_notice\")")]
        {
            let mut case = Case::rule(rule).call(calls::new_york());
            case.abilities = Abilities::NONE;
            case.facts.call.recorded = recorded;
            assert_eq!(case.at(NOW), verdict, "{recorded}");
        }
    }
}
