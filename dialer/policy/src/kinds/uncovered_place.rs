//! `uncovered_place`: the house calls nobody who may be where no loaded pack knows the law.

use dialer_types::say;

use crate::{
    Place, Wait,
    ask::{Ask, Ruling},
};

/// The countries that packs cover; filled when all packs are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uncovered {
    pub(crate) covered: Vec<Place>,
}

impl Uncovered {
    pub(crate) fn judge(&self, ask: &Ask<'_>) -> Ruling {
        let countries = &ask.places.countries;
        if countries.is_empty() {
            let inputs = ask.say(|| "nobody knows where the party is".into());
            return Ruling::No { inputs, waits_for: Wait::Address };
        }
        let missing = countries.iter().find(|country| !self.covered.contains(country));
        match missing {
            Some(country) => {
                let inputs = ask.say(|| say!("no loaded pack covers {country}", country));
                Ruling::No { inputs, waits_for: Wait::Pack }
            }
            None => Ruling::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::kinds::cases::Case;

    #[test]
    fn a_country_without_a_pack_is_not_called() {
        for (number, verdict) in [
            ("+13055550123", "permit"),
            ("+33199001234", "refuse Pack"),
            ("+12425550123", "refuse Pack"),
            ("+9990000000", "refuse Address"),
        ] {
            let mut case = Case::rule("kind = \"uncovered_place\"\njurisdiction = \"*\"");
            case.facts.call.number = number.parse().unwrap();
            assert_eq!(case.at("2026-12-01T16:00:00Z"), verdict, "{number}");
        }
    }
}
