//! `party_restriction`: who may be spoken to.

use dialer_types::{PartyRole, Say};

use crate::{
    Wait,
    ask::{Ask, Ruling},
    reader::Reader,
    rule::Mask,
};

/// The roles that may be spoken to.
#[derive(Debug, Clone)]
pub(crate) struct PartyRestriction(Mask);

impl PartyRestriction {
    pub(crate) fn read(from: &mut Reader<'_, '_>) -> Option<Self> {
        let roles = from.words("roles", |word| word.parse::<PartyRole>().ok());
        if roles.is_empty() {
            from.fault("roles", "is missing or names no role");
            return None;
        }
        Some(Self(Mask::of(roles.into_iter().map(PartyRole::code))))
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>) -> Ruling {
        let role = ask.facts.call.role;
        if self.0.has(role.code()) {
            return Ruling::Pass;
        }
        let inputs =
            ask.say(|| Say::of("the party's role is {role}").with("role", Say::of(role.as_str())));
        Ruling::No { inputs, waits_for: Wait::Contact }
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::PartyRole;

    use crate::kinds::cases::{Case, calls};

    #[test]
    fn only_the_named_roles_may_be_spoken_to() {
        let rule = "kind = \"party_restriction\"\nroles = [\"principal\", \"guarantor\"]";
        for role in PartyRole::ALL.iter().copied() {
            let mut case = Case::rule(rule).call(calls::new_york());
            case.facts.call.role = role;
            let allowed = matches!(role, PartyRole::Principal | PartyRole::Guarantor);
            let verdict = if allowed { "permit" } else { "refuse Contact" };
            assert_eq!(case.at("2026-12-01T16:00:00Z"), verdict, "{role}");
        }
    }
}
