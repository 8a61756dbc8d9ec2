//! `suppression`: a do-not-call entry, whatever the consent or relationship. An entry is about every
//! purpose unless it names one, and ends when it is withdrawn. Short of that only a consent that
//! names the entry lifts it, for the calls that the consent covers and while it is valid.

use dialer_types::{Say, say};

use crate::{
    Evidenced, Lift, Suppression, Wait,
    ask::{Ask, Notes, Ruling},
    kinds::unless::{Form, is_valid, note_end},
};

/// The entries that have begun.
fn begun<'a>(ask: &'a Ask<'_>) -> impl Iterator<Item = &'a Suppression> {
    ask.facts.suppressions.iter().filter(|entry| entry.added_at.0 <= ask.now)
}

fn is_about(entry: &Suppression, ask: &Ask<'_>) -> bool {
    entry.purpose.is_none_or(|purpose| purpose == ask.facts.call.purpose)
}

/// What lifts an entry for this call: a later consent that was given for just that.
fn lift<'a>(entry: &Suppression, ask: &'a Ask<'_>) -> Option<(&'a Lift, &'a crate::Consent)> {
    let facts = ask.facts;
    let named = facts.lifts.iter().filter(|lift| Some(lift.entry) == entry.event);
    named
        .filter_map(|lift| {
            let mut consents = facts.consents.iter();
            let consent = consents.find(|consent| consent.event == Some(lift.consent))?;
            Some((lift, consent))
        })
        .find(|(_, consent)| {
            is_valid(consent, Form::Any, ask)
                && consent.given_at > entry.added_at
                && consent.evidence.has(Evidenced::TO_LIFT)
        })
}

/// How many entries hold now.
pub(crate) fn holding(ask: &Ask<'_>) -> usize {
    begun(ask).filter(|entry| is_about(entry, ask) && lift(entry, ask).is_none()).count()
}

/// Notes the entries that would hold but for a lift, those about other purposes, and when that may
/// change. Once a judgement: every rule of this kind looks at the same entries.
pub(crate) fn note(ask: &Ask<'_>, notes: &mut Notes) {
    let coming = ask.facts.suppressions.iter().filter(|entry| entry.added_at.0 > ask.now);
    coming.for_each(|entry| notes.changes_at(entry.added_at.0));
    for entry in begun(ask) {
        if !is_about(entry, ask) {
            notes.other_purposes += 1;
        } else if let Some((lift, consent)) = lift(entry, ask) {
            notes.lifts.push(*lift);
            note_end(consent, notes);
        }
    }
}

/// The reason.
pub(crate) fn entries(count: usize) -> Say {
    say!("{count} do-not-call entries of this seller or of all", count)
}

pub(crate) fn judge(ask: &Ask<'_>) -> Ruling {
    match holding(ask) {
        0 => Ruling::Pass,
        count => Ruling::No { inputs: ask.say(|| entries(count)), waits_for: Wait::Suppression },
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::{EventId, Purpose, Technology, UnixMillis};

    use crate::{
        Consent, Evidenced, Lift, Piece, Suppression, SuppressionScope, Verdict,
        kinds::cases::{Case, calls, consent, instant},
    };

    const NOW: &str = "2026-12-01T16:00:00Z";

    fn entry(scope: SuppressionScope, added: &str) -> Suppression {
        let added_at = UnixMillis(instant(added));
        Suppression { scope, purpose: None, added_at, event: Some(EventId(7)) }
    }

    #[test]
    fn an_entry_of_either_scope_refuses_from_its_first_instant_and_always_has_a_rule() {
        for kind in ["kind = \"suppression\"", "kind = \"note\""] {
            for scope in [SuppressionScope::Seller, SuppressionScope::Global] {
                for (added, verdict) in [
                    ("2026-12-01T16:00:00Z", "refuse Suppression"),
                    ("2026-12-01T16:00:01Z", "permit"),
                ] {
                    let mut case = Case::rule(kind).call(calls::new_york());
                    case.facts.suppressions.push(entry(scope, added));
                    // A consent that does not name the entry changes nothing.
                    case.facts.consents.push(consent());
                    assert_eq!(case.at(NOW), verdict, "{kind} {scope:?} {added}");
                    let named = case.rules(instant("2026-12-01T16:00:02Z"));
                    let expected =
                        if kind.contains("note") { "house.suppression" } else { "test.rule" };
                    assert_eq!(named, [expected]);
                }
            }
        }
    }

    #[test]
    fn an_entry_about_a_purpose_binds_calls_of_that_purpose_only_and_the_verdict_says_so() {
        for (purpose, verdict, others) in [
            (None, "refuse Suppression", 0),
            (Some(Purpose::Telemarketing), "refuse Suppression", 0),
            (Some(Purpose::Delivery), "permit", 1),
        ] {
            let mut case = Case::rule("kind = \"suppression\"").call(calls::new_york());
            let opted_out = entry(SuppressionScope::Seller, "2026-11-01T00:00:00Z");
            case.facts.suppressions.push(Suppression { purpose, ..opted_out });
            assert_eq!(case.at(NOW), verdict, "{purpose:?}");
            let evidence = case.verdict(instant(NOW));
            assert_eq!(evidence.evidence().other_purposes, others, "{purpose:?}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn only_a_later_specific_evidenced_consent_that_names_the_entry_lifts_it() {
        let at = |text| UnixMillis(instant(text));
        let good = Consent {
            given_at: at("2026-11-20T00:00:00Z"),
            event: Some(EventId(9)),
            evidence: Evidenced::TO_LIFT,
            ..consent()
        };
        let names = vec![Lift { entry: EventId(7), consent: EventId(9) }];
        let entry = entry(SuppressionScope::Seller, "2026-11-10T00:00:00Z");
        let source = Evidenced::NONE.with(Piece::Source);
        for (what, consent, lifts, entries, verdict) in [
            ("it does", good, names.clone(), vec![entry], "permit"),
            (
                "a global one too",
                good,
                names.clone(),
                vec![Suppression { scope: SuppressionScope::Global, ..entry }],
                "permit",
            ),
            ("names none", good, vec![], vec![entry], "refuse Suppression"),
            (
                "names another entry",
                good,
                vec![Lift { entry: EventId(8), ..names[0] }],
                vec![entry],
                "refuse Suppression",
            ),
            (
                "another consent names it",
                good,
                vec![Lift { consent: EventId(8), ..names[0] }],
                vec![entry],
                "refuse Suppression",
            ),
            (
                "an entry without a name",
                good,
                names.clone(),
                vec![Suppression { event: None, ..entry }],
                "refuse Suppression",
            ),
            (
                "a consent without a name",
                Consent { event: None, ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "given at the same instant",
                Consent { given_at: entry.added_at, ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "given earlier",
                Consent { given_at: at("2026-11-09T00:00:00Z"), ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "not given yet",
                Consent { given_at: at("2026-12-01T16:00:01Z"), ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "revoked",
                Consent { revoked_at: Some(at(NOW)), ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "another seller's",
                Consent { same_seller: false, ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "another purpose",
                Consent { purpose: Purpose::Delivery, ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "another technology",
                Consent { technology: Some(Technology::AiVoice), ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "no wording",
                Consent { evidence: source, ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "no evidence",
                Consent { evidence: Evidenced::NONE, ..good },
                names.clone(),
                vec![entry],
                "refuse Suppression",
            ),
            (
                "a later entry stands",
                good,
                names.clone(),
                vec![entry, Suppression { event: Some(EventId(8)), ..entry }],
                "refuse Suppression",
            ),
        ] {
            let mut case = Case::rule("kind = \"suppression\"").call(calls::new_york());
            case.facts.consents.push(consent);
            (case.facts.lifts, case.facts.suppressions) = (lifts, entries);
            assert_eq!(case.at(NOW), verdict, "{what}");
        }
    }

    #[test]
    fn a_permit_that_used_a_lift_says_so_and_stands_no_longer_than_the_consent() {
        let mut case = Case::rule("kind = \"suppression\"").call(calls::new_york());
        let ends = UnixMillis(instant("2026-12-01T16:10:00Z"));
        let lift = Lift { entry: EventId(7), consent: EventId(9) };
        case.facts.suppressions.push(entry(SuppressionScope::Seller, "2026-10-01T00:00:00Z"));
        case.facts.lifts.push(lift);
        case.facts.consents.push(Consent {
            event: Some(EventId(9)),
            evidence: Evidenced::TO_LIFT,
            revoked_at: Some(ends),
            ..consent()
        });
        let Verdict::Permit(permit) = case.verdict(instant(NOW)) else { panic!("not permitted") };
        assert_eq!((permit.stands_until(), &*permit.evidence().lifts), (ends, &[lift][..]));
    }
}
