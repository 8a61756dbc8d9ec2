//! `number_type`: what a look-up says about the line: how fresh it is, whose line it is, and whether
//! it agrees with what the contact's data say (a landline may have been ported to a mobile).

use std::sync::Arc;

use dialer_types::{LineType, Say, say};

use crate::{
    LineClass, Obligation, Wait,
    ask::{Ask, Notes, Ruling},
    kinds::{Head, count_cap::looser, on_unknown::OnUnknown},
    reader::Reader,
};

/// What the look-up of a line must say.
#[derive(Debug, Clone)]
pub(crate) struct NumberType {
    /// In days; an answer of exactly this age is fresh.
    max_age: Option<u32>,
    banned: Vec<LineClass>,
    unknown: OnUnknown,
    /// What a contact waits for who needs a fresh look-up.
    wait: Wait,
}

impl NumberType {
    pub(crate) fn read(from: &mut Reader<'_, '_>, head: Option<&Head>) -> Option<Self> {
        let max_age = from.number("max_age_days", 0..3661);
        let banned = from.words("bans", LineClass::from_word);
        if max_age.is_none() && banned.is_empty() {
            from.fault("max_age_days", "asks for nothing: expected max_age_days, bans or both");
        }
        let unknown = OnUnknown::read(from, "number_type", head);
        Some(Self { max_age, banned, unknown: unknown?, wait: Wait::Check("line".into()) })
    }

    /// A younger answer, and none denies; without `prove` another age.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        if let Some(days) = from.number("max_age_days", 0..3661) {
            match self.max_age {
                Some(most) if prove && days > most => looser(from, "max_age_days", most),
                _ => self.max_age = Some(days),
            }
        }
        self.unknown.change(from);
    }

    pub(crate) fn duty(&self, ask: &Ask<'_>) -> Option<&Arc<Obligation>> {
        self.unknown.duty().filter(|_| ask.facts.line_check.is_none())
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
        let look_again = || self.wait.clone();
        let Some(check) = &ask.facts.line_check else {
            return self.unknown.ruling(ask, || "nobody looked the line up".into(), look_again);
        };
        if self.banned.contains(&check.class) {
            let inputs = ask.say(|| {
                let class = Say::of(check.class.as_str());
                Say::of("the line is one for {class}").with("class", class)
            });
            return Ruling::No { inputs, waits_for: Wait::Contact };
        }
        let age = (ask.today - check.as_of).num_days();
        if self.max_age.is_some_and(|max| age > i64::from(max)) {
            let inputs = ask.say(|| say!("the line was looked up {age} days ago", age));
            return Ruling::No { inputs, waits_for: look_again() };
        }
        let said = ask.facts.call.line;
        let known = matches!(said, LineType::Landline | LineType::Voip);
        if known && check.line == LineType::Wireless {
            let inputs = ask.say(|| {
                Say::of("the look-up says {found}, the contact's data say {said}")
                    .with("found", Say::of(check.line.as_str()))
                    .with("said", Say::of(said.as_str()))
            });
            return Ruling::No { inputs, waits_for: Wait::Contact };
        }
        if self.max_age.is_some() {
            notes.changes_at(ask.tomorrow());
        }
        Ruling::Pass
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::LineType;

    use crate::{
        LineCheck, LineClass,
        kinds::cases::{Case, calls},
    };

    #[test]
    fn the_look_up_of_a_line_must_be_fresh_harmless_and_agree_with_the_contact() {
        use LineClass::{Emergency, Hospital, Ordinary};
        use LineType::{Landline, Unknown, Wireless};
        let rule =
            "kind = \"number_type\"\nmax_age_days = 15\nbans = [\"emergency\", \"hospital\"]";
        let stale = "refuse Check(\"line\")";
        for (as_of, line, class, said, verdict) in [
            ("2026-11-16", Landline, Ordinary, Landline, "permit"),
            ("2026-11-15", Landline, Ordinary, Landline, stale),
            ("2026-11-30", Landline, Emergency, Landline, "refuse Contact"),
            ("2026-11-30", Landline, Hospital, Landline, "refuse Contact"),
            ("2026-11-30", Landline, LineClass::Paging, Landline, "permit"),
            ("2026-11-30", Wireless, Ordinary, Landline, "refuse Contact"),
            ("2026-11-30", Wireless, Ordinary, Wireless, "permit"),
            ("2026-11-30", Wireless, Ordinary, Unknown, "permit"),
            ("2026-11-30", Unknown, Ordinary, Landline, "permit"),
            ("2026-11-30", Landline, Ordinary, Wireless, "permit"),
        ] {
            let mut case = Case::rule(rule).call(calls::new_york());
            case.facts.call.line = said;
            case.facts.line_check = Some(LineCheck { as_of: as_of.parse().unwrap(), line, class });
            assert_eq!(case.at("2026-12-01T16:00:00Z"), verdict, "{as_of} {line} {class:?} {said}");
        }
        assert_eq!(Case::rule(rule).at("2026-12-01T16:00:00Z"), stale, "never looked up");
        let oblige = rule.to_owned() + "\non_unknown = \"oblige\"";
        assert_eq!(Case::rule(&oblige).at("2026-12-01T16:00:00Z"), "permit", "a duty instead");
    }
}
