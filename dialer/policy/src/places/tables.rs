//! The tables of `schema/places`, read once.

use std::{collections::HashMap, sync::LazyLock};

use chrono_tz::Tz;
use dialer_types::E164;

use super::postal::PostalCodes;
use crate::Place;

macro_rules! table {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/places/", $name))
    };
}

const NUMBERS: &str = table!("numbers.txt");
const REGIONS: &str = table!("regions.txt");
const POSTAL: &str = table!("postal.txt");

pub(super) static PLACES: LazyLock<Places> =
    LazyLock::new(|| Places::read(NUMBERS, REGIONS, POSTAL));

#[derive(Debug, Default)]
pub(super) struct Places {
    numbers: Numbers,
    spots: Vec<Spot>,
    pub(super) postal: PostalCodes,
    /// Every zone of a country's calling code.
    countries: HashMap<Place, Vec<Tz>>,
    regions: HashMap<Place, Vec<Tz>>,
    members_of_eu: Vec<Place>,
}

/// Where something with a prefix can be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) places: Vec<Place>,
    pub(super) zones: Vec<Tz>,
}

/// Prefixes of numbers, digit by digit: a look-up is one step a digit, with no hashing.
#[derive(Debug)]
struct Numbers {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Node {
    /// Where the prefix ends that leads here; 0 if none does.
    spot: u16,
    /// By the next digit; 0 if there is none.
    next: [u16; 10],
}

impl Default for Numbers {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Numbers {
    fn insert(&mut self, prefix: &str, spot: u16) -> Option<()> {
        let mut at = 0;
        for byte in prefix.bytes() {
            let new = u16::try_from(self.nodes.len()).ok()?;
            let digit = usize::from(byte.checked_sub(b'0')?);
            let next = self.nodes.get_mut(at)?.next.get_mut(digit)?;
            if *next == 0 {
                *next = new;
                self.nodes.push(Node::default());
                at = usize::from(new);
            } else {
                at = usize::from(*next);
            }
        }
        self.nodes.get_mut(at)?.spot = spot;
        Some(())
    }

    /// What the longest prefix of a number says.
    fn find(&self, number: E164) -> Option<u16> {
        let digits = number.digits();
        let mut divisor = 10_u64.checked_pow(digits.checked_ilog10()?)?;
        let (mut at, mut found) = (self.nodes.first()?, 0);
        while divisor > 0 {
            let digit = usize::try_from(digits / divisor % 10).ok()?;
            let next = at.next.get(digit).copied().unwrap_or(0);
            if next == 0 {
                break;
            }
            at = self.nodes.get(usize::from(next))?;
            found = if at.spot == 0 { found } else { at.spot };
            divisor /= 10;
        }
        (found > 0).then_some(found)
    }
}

fn zones(text: &str) -> Option<Vec<Tz>> {
    text.split(',').filter(|name| *name != "-").map(|name| name.parse().ok()).collect()
}

fn places(text: &str) -> Option<Vec<Place>> {
    text.split(',').map(Place::new).collect()
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let data = text.lines().filter(|line| !line.starts_with('#'));
    data.map(|line| line.split_whitespace().collect())
}

impl Places {
    /// Lines that cannot be read are left out, which leaves numbers without a place: denied. That
    /// there is none is tested.
    fn read(numbers: &str, regions: &str, postal: &str) -> Self {
        let mut tables = Self::default();
        let unread = tables.numbers(numbers) + tables.regions(regions) + tables.postal(postal);
        debug_assert_eq!(unread, 0, "lines of the tables that cannot be read");
        tables
    }

    /// The number of a spot: spots that are alike are kept once.
    fn number_of(&mut self, spot: Spot) -> Option<u16> {
        let held = self.spots.iter().rposition(|held| *held == spot);
        let at = held.unwrap_or(self.spots.len());
        if held.is_none() {
            self.spots.push(spot);
        }
        u16::try_from(at + 1).ok()
    }

    pub(super) fn spot(&self, number: u16) -> Option<&Spot> {
        self.spots.get(usize::from(number).checked_sub(1)?)
    }

    fn numbers(&mut self, text: &str) -> usize {
        let mut everywhere: HashMap<&str, Vec<Tz>> = HashMap::new();
        let mut country = |key: &str, code, names: &str| {
            let zones = zones(names)?;
            everywhere.insert(code, zones.clone());
            self.countries.insert(Place::new(key)?, zones);
            Some(())
        };
        let mut unread = 0;
        for line in lines(text) {
            if let [key, code, names] = line.as_slice()
                && let Some(key) = key.strip_prefix('=')
            {
                unread += usize::from(country(key, *code, names).is_none());
            }
        }
        for line in lines(text).filter(|line| !line.first().is_some_and(|key| key.starts_with('=')))
        {
            unread += usize::from(self.prefix(&line, &everywhere).is_none());
        }
        unread
    }

    fn prefix(&mut self, line: &[&str], everywhere: &HashMap<&str, Vec<Tz>>) -> Option<()> {
        let [key, at, names] = line else {
            return None;
        };
        let all = || (1..4).find_map(|n| key.get(..n).and_then(|code| everywhere.get(code)));
        let zones = if *names == "*" { all().cloned() } else { zones(names) };
        let number = self.number_of(Spot { places: places(at)?, zones: zones? })?;
        self.numbers.insert(key, number)
    }

    fn regions(&mut self, text: &str) -> usize {
        let mut take = |line: &[&str]| {
            match line {
                ["EU", members] => self.members_of_eu = places(members)?,
                [name, names] => {
                    self.regions.insert(Place::new(name)?, zones(names)?);
                }
                _ => return None,
            }
            Some(())
        };
        lines(text).filter(|line| take(line).is_none()).count()
    }

    fn postal(&mut self, text: &str) -> usize {
        let mut take = |line: &[&str]| {
            let [country, codes, at, names] = line else {
                return None;
            };
            let spot = Spot { places: places(at)?, zones: zones(names)? };
            let number = self.number_of(spot)?;
            self.postal.take(country, codes, number)
        };
        lines(text).filter(|line| take(line).is_none()).count()
    }

    /// What the longest prefix of a number says.
    pub(super) fn of_number(&self, number: E164) -> Option<&Spot> {
        self.spot(self.numbers.find(number)?)
    }

    /// The zones of a region; of one that is not listed, every zone of its country.
    pub(super) fn zones_of(&self, country: Option<Place>, region: Option<Place>) -> &[Tz] {
        let known = region.and_then(|region| self.regions.get(&region));
        let known = known.or_else(|| self.countries.get(&country?));
        known.map_or(&[], Vec::as_slice)
    }

    /// Whether it is a country (ISO 3166-1 alpha-2) that has telephone numbers.
    pub(super) fn is_country(&self, place: Place) -> bool {
        self.countries.contains_key(&place)
    }

    pub(super) fn is_in_eu(&self, country: Place) -> bool {
        self.members_of_eu.contains(&country)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_understood() {
        let mut tables = Places::default();
        assert_eq!(tables.numbers(NUMBERS), 0);
        assert_eq!(tables.regions(REGIONS), 0);
        assert_eq!(tables.postal(POSTAL), 0);
        assert_eq!(tables.regions.len() + 1, lines(REGIONS).count());
        let prefixes = tables.numbers.nodes.iter().filter(|node| node.spot > 0).count();
        assert_eq!(prefixes + tables.countries.len(), lines(NUMBERS).count());
        assert_eq!(tables.members_of_eu.len(), 27);
        for (wrong, unread) in [("US 01x US-NY America/New_York", 1), ("US 010 US-NY No/Zone", 1)] {
            assert_eq!(tables.postal(wrong), unread, "{wrong}");
        }
    }

    #[test]
    fn the_longest_prefix_of_a_number_holds() {
        let tables = &*PLACES;
        let mut prefixes: std::collections::BTreeMap<u64, Vec<&str>> = Default::default();
        for line in lines(NUMBERS).filter(|line| !line[0].starts_with('=')) {
            prefixes.insert(line[0].parse().unwrap(), line);
        }
        // Every prefix, followed by what is in no table, and one digit short of it.
        for prefix in prefixes.keys() {
            for digits in [format!("{prefix}00000"), format!("{}9999", prefix / 10)] {
                let Ok(number) = format!("+{digits}").parse::<E164>() else { continue };
                let longest = (1..=digits.len())
                    .rev()
                    .find_map(|length| prefixes.get(&digits.get(..length)?.parse::<u64>().ok()?));
                let found = tables.of_number(number).map(|spot| spot.places.clone());
                assert_eq!(found, longest.map(|line| places(line[1]).unwrap()), "{digits}");
            }
        }
    }
}
