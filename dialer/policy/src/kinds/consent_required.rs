//! `consent_required`: nobody is called without a consent of the right form.

use chrono::Months;
use dialer_types::{Say, say};

use crate::{
    Consent, Evidenced, Piece, Place, Wait,
    ask::{Ask, Notes, Ruling},
    kinds::{
        count_cap::looser,
        unless::{Form, is_valid, note_end},
    },
    reader::Reader,
    zone::utc_date,
};

/// The consent a rule asks for.
#[derive(Debug, Clone)]
pub(crate) struct ConsentRequired {
    needs: Form,
    /// The consent must name the technology (PECR reg. 19).
    names_technology: bool,
    /// A consent is good for so many months from the day it was given; `None`: without end.
    valid_months: Option<u32>,
    /// What must be on file of how it was given.
    evidence: Evidenced,
    /// The form is asked for outside the US too: where a pack of one's own asks for more.
    everywhere: bool,
}

impl ConsentRequired {
    pub(crate) fn read(from: &mut Reader<'_, '_>) -> Option<Self> {
        if !from.has("needs") {
            from.fault("needs", "is missing: prior_express, prior_express_written or any");
        }
        let needs = from.word("needs", Form::from_word);
        let names_technology = from.flag("names_technology");
        let valid_months = from.number("valid_months", 1..1201);
        let evidence = read_evidence(from);
        Some(Self { needs: needs?, names_technology, valid_months, evidence, everywhere: false })
    }

    /// Another form, another age, other evidence; with `prove` only a form that fewer consents have, no
    /// longer life and no less evidence. What is asked for by a pack of one's own is asked for
    /// everywhere.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        if let Some(needs) = from.word("needs", Form::from_word) {
            if prove && !needs.is_within(self.needs) {
                from.fault(
                    "needs",
                    "more consents have this form: a pack of your own only tightens",
                );
            } else {
                self.everywhere |= prove;
                self.needs = needs;
            }
        }
        if let Some(months) = from.number("valid_months", 1..1201) {
            match self.valid_months {
                Some(most) if prove && months > most => looser(from, "valid_months", most),
                _ => self.valid_months = Some(months),
            }
        }
        self.names_technology |= prove && from.flag("names_technology");
        if from.has("evidence") {
            let evidence = read_evidence(from);
            if prove && !evidence.has(self.evidence) {
                from.fault("evidence", "leaves out what the rule asks for: name all of it");
            } else {
                self.evidence = evidence;
            }
        }
    }

    /// Not older than the rule lets it become: its last day is that date so many months on (UTC).
    fn is_young(&self, consent: &Consent, ask: &Ask<'_>) -> bool {
        let Some(months) = self.valid_months else { return true };
        let last = utc_date(consent.given_at.0).checked_add_months(Months::new(months));
        last.is_some_and(|last| ask.today <= last)
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, place: Place, notes: &mut Notes) -> Ruling {
        // Outside the US any form will do (VECTORS.md section 7).
        let as_written = self.everywhere || place.country().as_str() == "US";
        let form = if as_written { self.needs } else { Form::Any };
        let found = ask.facts.consents.iter().find(|consent| {
            is_valid(consent, form, ask)
                && (!self.names_technology || consent.technology.is_some())
                && self.is_young(consent, ask)
                && consent.evidence.has(self.evidence)
        });
        if let Some(consent) = found {
            note_end(consent, notes);
            if self.valid_months.is_some() {
                notes.changes_at(ask.tomorrow());
            }
            return Ruling::Pass;
        }
        let inputs = ask.say(|| {
            let form = match form {
                Form::Any => "consent",
                Form::Express => "prior express consent",
                Form::Written => "prior express written consent",
            };
            let on_file = ask.facts.consents.len();
            let said =
                say!("no valid {form} for this seller and purpose; {on_file} on file", on_file)
                    .with("form", Say::of(form));
            if self.evidence == Evidenced::NONE {
                return said;
            }
            let evidence: Vec<&str> = self.evidence.iter().map(Piece::as_str).collect();
            say!("{said}; evidence asked for: {evidence}", evidence = evidence.join(", "))
                .with("said", said)
        });
        Ruling::No { inputs, waits_for: Wait::Consent }
    }
}

fn read_evidence(from: &mut Reader<'_, '_>) -> Evidenced {
    let pieces = from.words("evidence", Piece::from_word);
    pieces.into_iter().fold(Evidenced::NONE, Evidenced::with)
}

#[cfg(test)]
mod tests {
    use dialer_types::{Purpose, Technology, UnixMillis};

    use crate::{
        Consent, ConsentForm, Evidenced, Piece,
        kinds::cases::{Case, calls, consent, instant},
    };

    const NOW: &str = "2026-12-01T16:00:00Z";

    fn verdict(needs: &str, consent: Consent) -> String {
        let mut case = Case::rule(&format!("kind = \"consent_required\"\n{needs}"));
        case = case.call(calls::new_york());
        case.facts.consents.push(consent);
        case.at(NOW)
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn a_consent_counts_if_its_form_scope_and_time_are_right() {
        let (express, written, any) =
            ("needs = \"prior_express\"", "needs = \"prior_express_written\"", "needs = \"any\"");
        let named = "needs = \"any\"\nnames_technology = true";
        let at = |text| UnixMillis(instant(text));
        let with = |form| Consent { form, ..consent() };
        for (what, needs, consent, permitted) in [
            ("written for express", express, consent(), true),
            ("express for express", express, with(ConsentForm::PriorExpress), true),
            ("opt-in for express", express, with(ConsentForm::OptIn), false),
            ("express for written", written, with(ConsentForm::PriorExpress), false),
            ("written for written", written, consent(), true),
            ("opt-in for any", any, with(ConsentForm::OptIn), true),
            ("other seller", any, Consent { same_seller: false, ..consent() }, false),
            ("other purpose", any, Consent { purpose: Purpose::Survey, ..consent() }, false),
            (
                "this technology",
                any,
                Consent { technology: Some(Technology::Manual), ..consent() },
                true,
            ),
            (
                "other technology",
                any,
                Consent { technology: Some(Technology::AiVoice), ..consent() },
                false,
            ),
            ("no technology named", named, consent(), false),
            ("named", named, Consent { technology: Some(Technology::Manual), ..consent() }, true),
            ("given now", any, Consent { given_at: at(NOW), ..consent() }, true),
            (
                "given later",
                any,
                Consent { given_at: at("2026-12-01T16:00:01Z"), ..consent() },
                false,
            ),
            ("revoked now", any, Consent { revoked_at: Some(at(NOW)), ..consent() }, false),
            (
                "revoked later",
                any,
                Consent { revoked_at: Some(at("2026-12-01T16:00:01Z")), ..consent() },
                true,
            ),
            (
                "on its last day",
                "needs = \"any\"\nvalid_months = 3",
                Consent { given_at: at("2026-09-01T23:59:59Z"), ..consent() },
                true,
            ),
            (
                "a day later",
                "needs = \"any\"\nvalid_months = 3",
                Consent { given_at: at("2026-08-31T23:59:59Z"), ..consent() },
                false,
            ),
            (
                "all the evidence",
                "needs = \"any\"\nevidence = [\"wording\", \"channel\"]",
                Consent {
                    evidence: Evidenced::NONE.with(Piece::Channel).with(Piece::Wording),
                    ..consent()
                },
                true,
            ),
            (
                "a piece is missing",
                "needs = \"any\"\nevidence = [\"wording\", \"channel\"]",
                Consent { evidence: Evidenced::TO_LIFT, ..consent() },
                false,
            ),
        ] {
            let expected = if permitted { "permit" } else { "refuse Consent" };
            assert_eq!(verdict(needs, consent), expected, "{what}");
        }
    }
}
