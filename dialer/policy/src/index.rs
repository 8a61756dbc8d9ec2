//! Which rules may be about a call: sets of rules, one bit each, to be cut with one another.

use dialer_types::{LineType, PartyType, Purpose, Technology};
use smallvec::SmallVec;

use crate::{Call, Place, rule::Rule};

/// A set of positions in the rules.
type Bits = Box<[u64]>;

/// Sets of rules by what a call is.
#[derive(Debug)]
pub(crate) struct Index {
    /// Sorted by place. Without [`Place::EVERYWHERE`].
    places: Vec<(Place, Bits)>,
    everywhere: Bits,
    /// By code.
    purposes: Vec<Bits>,
    technologies: Vec<Bits>,
    /// By codes of line and party.
    reach: Vec<Vec<Bits>>,
}

fn bits(rules: &[Rule], is_in: impl Fn(&Rule) -> bool) -> Bits {
    let word = |rules: &[Rule]| {
        let numbered = rules.iter().zip(0..);
        numbered.fold(0_u64, |word, (rule, bit)| word | u64::from(is_in(rule)) << bit)
    };
    rules.chunks(64).map(word).collect()
}

/// By code: codes start at 0 or 1 and are few.
fn by_code<T: Copy, S>(
    all: &[T],
    code: impl Fn(T) -> u8,
    set: impl Fn(T) -> S,
    none: impl Fn() -> S,
) -> Vec<S> {
    let most = all.iter().map(|value| code(*value)).max().unwrap_or_default();
    let known = |wanted: u8| all.iter().find(|value| code(**value) == wanted);
    (0..=most).map(|wanted| known(wanted).map_or_else(&none, |value| set(*value))).collect()
}

impl Index {
    pub(crate) fn of(rules: &[Rule]) -> Self {
        let mut places: Vec<Place> = rules.iter().map(|rule| rule.jurisdiction).collect();
        places.sort_unstable();
        places.dedup();
        places.retain(|place| *place != Place::EVERYWHERE);
        let of = |place: Place| bits(rules, |rule| rule.jurisdiction == place);
        let none = || bits(rules, |_| false);
        let purpose = |purpose: Purpose| bits(rules, |rule| rule.is_for(purpose));
        let technology = |by: Technology| bits(rules, |rule| rule.is_about_calls_by(by));
        let reach = |line: LineType| {
            let party = |party: PartyType| bits(rules, |rule| rule.reaches(line, party));
            by_code(PartyType::ALL, PartyType::code, party, none)
        };
        Self {
            everywhere: of(Place::EVERYWHERE),
            places: places.into_iter().map(|place| (place, of(place))).collect(),
            purposes: by_code(Purpose::ALL, Purpose::code, purpose, none),
            technologies: by_code(Technology::ALL, Technology::code, technology, none),
            reach: by_code(LineType::ALL, LineType::code, reach, Vec::new),
        }
    }

    fn place(&self, place: Place) -> Option<&Bits> {
        let at = self.places.binary_search_by(|(held, _)| held.cmp(&place)).ok()?;
        self.places.get(at).map(|(_, bits)| bits)
    }

    /// Positions of the rules that may be about a call, ascending.
    pub(crate) fn find(&self, call: &Call, places: &[Place]) -> impl Iterator<Item = usize> {
        let there = places.iter().filter_map(|place| self.place(*place)).chain([&self.everywhere]);
        let there: SmallVec<[&Bits; 12]> = there.collect();
        let purpose = self.purposes.get(usize::from(call.purpose.code()));
        let technology = self.technologies.get(usize::from(call.technology.code()));
        let lines = self.reach.get(usize::from(call.line.code()));
        let reach = lines.and_then(|line| line.get(usize::from(call.party.code())));
        let cut = purpose.zip(technology).zip(reach);
        let words = cut.into_iter().flat_map(|((purpose, technology), reach)| {
            purpose.iter().zip(technology).zip(reach).map(|((one, two), three)| one & two & three)
        });
        words.enumerate().flat_map(move |(at, cut)| {
            let there = there.iter().filter_map(|bits| bits.get(at));
            ones(at * 64, cut & there.fold(0, |all, word| all | word))
        })
    }
}

/// The positions of the bits that are set.
fn ones(first: usize, mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        usize::try_from(bit).ok().map(|bit| first + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Ruleset};

    #[test]
    fn what_is_found_is_what_every_rule_says_of_itself() {
        let rules = Ruleset::shipped(Options { house: true }).unwrap();
        let florida = ["US", "US-FL"].map(|name| Place::new(name).unwrap());
        let london = ["GB"].map(|name| Place::new(name).unwrap());
        let nowhere = [];
        let mut call = crate::kinds::cases::calls::new_york();
        let mut found = 0;
        for purpose in Purpose::ALL {
            for technology in Technology::ALL {
                for line in LineType::ALL {
                    for party in PartyType::ALL {
                        (call.purpose, call.technology) = (*purpose, *technology);
                        (call.line, call.party) = (*line, *party);
                        for places in [&florida[..], &london[..], &nowhere[..]] {
                            let about: Vec<&str> = rules
                                .rules_about(&call, places)
                                .map(|rule| rule.id.as_str())
                                .collect();
                            let there = |place: &Place| {
                                *place == Place::EVERYWHERE || places.contains(place)
                            };
                            let all = rules.rules.iter();
                            let expected: Vec<&str> = all
                                .filter(|rule| there(&rule.jurisdiction) && rule.is_about(&call))
                                .map(|rule| rule.id.as_str())
                                .collect();
                            assert_eq!(about, expected);
                            found += about.len();
                        }
                    }
                }
            }
        }
        assert!(found > 5000, "{found}");
    }
}
