//! What a campaign can do: announced by its prompt, or done by this build.

use std::time::Duration;

use dialer_policy::{Abilities, Ability};

/// The law's shortest ringing (`min_ring`).
const MIN_RING: Duration = Duration::from_secs(15);

/// Caller IDs that a country reserves for automated calls. Of the covered countries only France
/// does (ARCEP dec. 2022-1583); calls to the others that do are refused as uncovered.
const RESERVED_RANGES: [&str; 12] = [
    "+33162", "+33163", "+33270", "+33271", "+33377", "+33378", "+33424", "+33425", "+33568",
    "+33569", "+33948", "+33949",
];

/// What the campaign's prompt announces, and what this build can do for it. A key press, an
/// abandonment message and lookups of reassigned numbers it cannot do, whatever is asked.
#[must_use]
pub fn abilities(announces: &[String], caller_id: &str, ring_timeout: Duration) -> Abilities {
    const ANNOUNCED: [Ability; 5] = [
        Ability::Identity,
        Ability::PurposeStatement,
        Ability::CallbackNumber,
        Ability::AiDisclosure,
        Ability::RecordingNotice,
    ];
    let mut abilities: Abilities = announces
        .iter()
        .filter_map(|word| match word.as_str() {
            "purpose" => Some(Ability::PurposeStatement),
            word => Ability::from_word(word),
        })
        .filter(|ability| ANNOUNCED.contains(ability))
        .collect();
    abilities = abilities.with(Ability::CallerId).with(Ability::Retention);
    if RESERVED_RANGES.iter().any(|range| caller_id.starts_with(range)) {
        abilities = abilities.with(Ability::CallerIdRange);
    }
    if ring_timeout >= MIN_RING {
        abilities = abilities.with(Ability::MinRing);
    }
    abilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_abilities_and_what_media_cannot_do_is_none() {
        let words =
            ["identity", "purpose", "callback_number", "opt_out_key", "abandon_message", "song"];
        let announces: Vec<_> = words.iter().map(ToString::to_string).collect();
        let found = abilities(&announces, "+33612345678", Duration::from_secs(15));
        for ability in Ability::ALL {
            let expected = matches!(
                ability,
                Ability::Identity
                    | Ability::PurposeStatement
                    | Ability::CallbackNumber
                    | Ability::CallerId
                    | Ability::MinRing
                    | Ability::Retention
            );
            assert_eq!(found.has(*ability), expected, "{}", ability.as_str());
        }
        assert!(!abilities(&[], "", Duration::from_millis(14_999)).has(Ability::MinRing));
        let french = abilities(&[], "+33162000100", Duration::ZERO);
        assert!(french.has(Ability::CallerIdRange));
    }
}
