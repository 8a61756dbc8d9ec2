//! `suppression`: a do-not-call entry, whatever the purpose, consent or relationship.

use dialer_types::{Say, say};

use crate::{
    Wait,
    ask::{Ask, Notes, Ruling},
};

/// How many entries hold now.
pub(crate) fn holding(ask: &Ask<'_>) -> usize {
    ask.facts.suppressions.iter().filter(|entry| entry.added_at.0 <= ask.now).count()
}

/// The reason.
pub(crate) fn entries(count: usize) -> Say {
    say!("{count} do-not-call entries of this seller or of all", count)
}

pub(crate) fn judge(ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
    let count = holding(ask);
    if count > 0 {
        return Ruling::No { inputs: ask.say(|| entries(count)), waits_for: Wait::Suppression };
    }
    ask.facts.suppressions.iter().for_each(|entry| notes.changes_at(entry.added_at.0));
    Ruling::Pass
}

#[cfg(test)]
mod tests {
    use dialer_types::UnixMillis;

    use crate::{
        Suppression, SuppressionScope,
        kinds::cases::{Case, calls, instant},
    };

    #[test]
    fn an_entry_of_either_scope_refuses_from_its_first_instant_and_always_has_a_rule() {
        for kind in ["kind = \"suppression\"", "kind = \"note\""] {
            for scope in [SuppressionScope::Seller, SuppressionScope::Global] {
                for (added, verdict) in [
                    ("2026-12-01T16:00:00Z", "refuse Suppression"),
                    ("2026-12-01T16:00:01Z", "permit"),
                ] {
                    let mut case = Case::rule(kind).call(calls::new_york());
                    let added_at = UnixMillis(instant(added));
                    case.facts.suppressions.push(Suppression { scope, added_at });
                    assert_eq!(
                        case.at("2026-12-01T16:00:00Z"),
                        verdict,
                        "{kind} {scope:?} {added}"
                    );
                    let named = case.rules(instant("2026-12-01T16:00:02Z"));
                    let expected =
                        if kind.contains("note") { "house.suppression" } else { "test.rule" };
                    assert_eq!(named, [expected]);
                }
            }
        }
    }
}
