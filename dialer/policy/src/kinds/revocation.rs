//! `revocation`: a revoked consent denies until another one is given.

use crate::{
    Wait,
    ask::{Ask, Notes, Ruling},
};

/// Denies when a consent of this seller and purpose was revoked and none was given since.
pub(crate) fn judge(ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
    let call = &ask.facts.call;
    let consents = ask.facts.consents.iter();
    let ours = consents.filter(|consent| consent.same_seller && consent.purpose == call.purpose);
    let mut revoked = None;
    let mut given = None;
    for consent in ours {
        if consent.given_at.0 <= ask.now {
            given = given.max(Some(consent.given_at));
        }
        match consent.revoked_at {
            Some(at) if at.0 <= ask.now => revoked = revoked.max(Some(at)),
            Some(at) => notes.changes_at(at.0),
            None => {}
        }
    }
    if revoked.is_none() || given > revoked {
        return Ruling::Pass;
    }
    let inputs = ask.say(|| "consent was revoked and not given again".into());
    Ruling::No { inputs, waits_for: Wait::Consent }
}

#[cfg(test)]
mod tests {
    use dialer_types::{Purpose, UnixMillis};

    use crate::{
        Consent,
        kinds::cases::{Case, calls, consent, instant},
    };

    #[test]
    fn a_revocation_denies_at_once_and_until_a_later_consent() {
        let at = |text| UnixMillis(instant(text));
        let revoked = Consent { revoked_at: Some(at("2026-11-10T00:00:00Z")), ..consent() };
        let again = |text| Consent { given_at: at(text), ..consent() };
        for (what, consents, verdict) in [
            ("none", vec![], "permit"),
            ("never revoked", vec![consent()], "permit"),
            ("revoked", vec![revoked], "refuse Consent"),
            ("an older one stays", vec![again("2026-11-09T00:00:00Z"), revoked], "refuse Consent"),
            (
                "given at the same instant",
                vec![revoked, again("2026-11-10T00:00:00Z")],
                "refuse Consent",
            ),
            ("given again", vec![revoked, again("2026-11-10T00:00:01Z")], "permit"),
            ("other purpose", vec![Consent { purpose: Purpose::Survey, ..revoked }], "permit"),
            ("other seller", vec![Consent { same_seller: false, ..revoked }], "permit"),
        ] {
            let mut case = Case::rule("kind = \"revocation\"").call(calls::new_york());
            case.facts.consents = consents;
            assert_eq!(case.at("2026-12-01T16:00:00Z"), verdict, "{what}");
        }
    }
}
