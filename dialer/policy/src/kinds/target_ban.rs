//! `target_ban`: some lines may not be called at all, except where the rule is lifted.

use dialer_types::Say;

use crate::{
    Wait,
    ask::{Ask, Notes, Ruling},
    kinds::Unless,
};

pub(crate) fn judge(unless: &Unless, ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
    if unless.lifts(ask, notes) {
        return Ruling::Pass;
    }
    let inputs = ask.say(|| {
        let line = Say::of(ask.facts.call.line.as_str());
        Say::of("the line is {line}").with("line", line)
    });
    Ruling::No { inputs, waits_for: Wait::Consent }
}

#[cfg(test)]
mod tests {
    use dialer_types::LineType;

    use crate::kinds::cases::{Case, calls, consent};

    #[test]
    fn a_ban_holds_for_its_lines_until_a_consent_lifts_it() {
        let rule =
            "kind = \"target_ban\"\nunless_consent = \"any\"\nreach = [{ line = \"wireless\" }]";
        for (line, consented, verdict) in [
            (LineType::Wireless, false, "refuse Consent"),
            (LineType::Unknown, false, "refuse Consent"),
            (LineType::Landline, false, "permit"),
            (LineType::Voip, false, "permit"),
            (LineType::Wireless, true, "permit"),
        ] {
            let mut case = Case::rule(rule).call(calls::new_york());
            case.facts.call.line = line;
            case.facts.consents.extend(consented.then(consent));
            assert_eq!(case.at("2026-12-01T16:00:00Z"), verdict, "{line} {consented}");
        }
    }
}
