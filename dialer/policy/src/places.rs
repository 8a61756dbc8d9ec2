//! Where the called party may be: candidate jurisdictions and zones (`VECTORS.md` section 3).
//!
//! The tables are `schema/places`: `numbers.txt` from libphonenumber, `regions.txt` from
//! `VECTORS.md`.

use std::{collections::HashMap, sync::LazyLock};

use chrono_tz::Tz;
use dialer_types::E164;
use smallvec::SmallVec;

use crate::{Call, Place};

const NUMBERS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/places/numbers.txt"));
const REGIONS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/places/regions.txt"));

static PLACES: LazyLock<Places> = LazyLock::new(|| Places::read(NUMBERS, REGIONS));

/// The longest prefix in the tables, in digits.
const LONGEST: u32 = 9;

#[derive(Debug, Default)]
struct Places {
    prefixes: HashMap<u64, Prefix>,
    /// Every zone of a country's calling code.
    countries: HashMap<Place, Vec<Tz>>,
    regions: HashMap<Place, Vec<Tz>>,
    members_of_eu: Vec<Place>,
}

#[derive(Debug)]
struct Prefix {
    places: Vec<Place>,
    zones: Vec<Tz>,
}

/// Where the called party may be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Candidates {
    pub(crate) countries: SmallVec<[Place; 4]>,
    /// Countries, their regions, unions, and the strictest state where none is known.
    pub(crate) jurisdictions: SmallVec<[Place; 8]>,
    pub(crate) zones: SmallVec<[Tz; 8]>,
}

fn add<T: PartialEq, const N: usize>(list: &mut SmallVec<[T; N]>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn zones(text: &str) -> Option<Vec<Tz>> {
    text.split(',').filter(|name| *name != "-").map(|name| name.parse().ok()).collect()
}

impl Places {
    /// Lines that cannot be read are left out, which leaves numbers without a place: denied. That
    /// there is none is tested.
    fn read(numbers: &str, regions: &str) -> Self {
        let mut places = Self::default();
        let mut everywhere: HashMap<String, Vec<Tz>> = HashMap::new();
        for line in numbers.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [key, value, names] = fields.as_slice() else {
                continue;
            };
            if let Some(country) = key.strip_prefix('=') {
                let (Some(country), Some(zones)) = (Place::new(country), zones(names)) else {
                    continue;
                };
                everywhere.insert((*value).to_owned(), zones.clone());
                places.countries.insert(country, zones);
            }
        }
        for line in numbers.lines().filter(|line| !line.starts_with(['#', '='])) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [key, value, names] = fields.as_slice() else {
                continue;
            };
            let all = || (1..4).find_map(|n| key.get(..n).and_then(|code| everywhere.get(code)));
            let found = if *names == "*" { all().cloned() } else { zones(names) };
            let at: Option<Vec<Place>> = value.split(',').map(Place::new).collect();
            if let (Ok(prefix), Some(zones), Some(at)) = (key.parse(), found, at) {
                places.prefixes.insert(prefix, Prefix { places: at, zones });
            }
        }
        for line in regions.lines().filter(|line| !line.starts_with('#')) {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["EU", members] => {
                    places.members_of_eu = members.split(',').filter_map(Place::new).collect();
                }
                [name, names] => {
                    if let (Some(region), Some(zones)) = (Place::new(name), zones(names)) {
                        places.regions.insert(region, zones);
                    }
                }
                _ => {}
            }
        }
        places
    }

    fn prefix(&self, number: E164) -> Option<&Prefix> {
        let mut digits = number.digits();
        while digits >= 10_u64.pow(LONGEST) {
            digits /= 10;
        }
        while digits > 0 {
            if let Some(found) = self.prefixes.get(&digits) {
                return Some(found);
            }
            digits /= 10;
        }
        None
    }
}

impl Candidates {
    /// The candidates of a call.
    pub(crate) fn of(call: &Call) -> Self {
        let tables = &*PLACES;
        let mut found = Self::default();
        let mut zone_unknown = false;
        if let Some(address) = &call.address {
            let country = Place::new(address.country.trim());
            let region = address.region.as_deref().filter(|region| !region.trim().is_empty());
            let region = region.and_then(|region| Place::region(&address.country, region));
            found.place(country, region);
            match &address.time_zone {
                Some(name) => match name.parse() {
                    Ok(zone) => add(&mut found.zones, zone),
                    Err(_) => zone_unknown = true,
                },
                None => {
                    let known = region.and_then(|region| tables.regions.get(&region));
                    let known = known.or_else(|| tables.countries.get(&country?));
                    known.into_iter().flatten().for_each(|zone| add(&mut found.zones, *zone));
                }
            }
        }
        let digits = call.number.digits();
        let plus_one = digits.checked_ilog10().is_some_and(|more| digits / 10_u64.pow(more) == 1);
        if let Some(prefix) = tables.prefix(call.number) {
            let geographic = plus_one && !prefix.zones.is_empty();
            if call.address.is_none() || geographic {
                for place in &prefix.places {
                    let country = place.country();
                    found.place(Some(country), (country != *place).then_some(*place));
                }
                prefix.zones.iter().for_each(|zone| add(&mut found.zones, *zone));
            }
        }
        // A zone was stated and nobody knows which: no zone is safe.
        if zone_unknown {
            found.zones.clear();
        }
        found.unions(tables);
        found
    }

    fn place(&mut self, country: Option<Place>, region: Option<Place>) {
        if let Some(country) = country {
            add(&mut self.countries, country);
            add(&mut self.jurisdictions, country);
        }
        if let Some(region) = region {
            add(&mut self.jurisdictions, region);
        }
    }

    fn unions(&mut self, tables: &Places) {
        if self.countries.iter().any(|country| tables.members_of_eu.contains(country)) {
            add(&mut self.jurisdictions, Place::EU);
        }
        let in_us = self.countries.iter().any(|country| country.as_str() == "US");
        if in_us && !self.jurisdictions.iter().any(|place| place.as_str().starts_with("US-")) {
            add(&mut self.jurisdictions, Place::US_STRICTEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::Purpose;

    use super::*;
    use crate::Address;

    fn candidates(number: &str, address: Option<(&str, Option<&str>, Option<&str>)>) -> Candidates {
        let mut call = Call::manual(number.parse().unwrap(), Purpose::Telemarketing);
        call.address = address.map(|(country, region, zone)| Address {
            country: country.to_owned(),
            region: region.map(str::to_owned),
            postal_code: None,
            time_zone: zone.map(str::to_owned),
        });
        Candidates::of(&call)
    }

    #[test]
    fn every_line_of_the_tables_is_understood() {
        let tables = Places::read(NUMBERS, REGIONS);
        let lines = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(tables.prefixes.len() + tables.countries.len(), lines(NUMBERS));
        assert_eq!(tables.regions.len() + 1, lines(REGIONS));
        assert_eq!(tables.members_of_eu.len(), 27);
        assert!(tables.prefixes.keys().all(|prefix| *prefix < 10_u64.pow(LONGEST)));
    }

    #[test]
    fn places_and_zones_follow_section_3() {
        let us = Some(("US", Some("CA"), None));
        for (number, address, places, zones) in [
            ("+13055550123", None, "US US-FL", "America/New_York"),
            ("+18505550134", None, "US US-FL", "America/Chicago America/New_York"),
            ("+17095550123", None, "CA CA-NL", "America/Halifax America/St_Johns"),
            ("+18005550123", None, "US US-STRICTEST", ""),
            ("+12125550123", us, "US US-CA US-NY", "America/Los_Angeles America/New_York"),
            ("+18005550123", us, "US US-CA", "America/Los_Angeles"),
            ("+18005550123", Some(("US", None, Some("Not/There"))), "US US-STRICTEST", ""),
            ("+33199001234", None, "FR EU", "Europe/Paris"),
            ("+34600120000", None, "ES EU", "Atlantic/Canary Europe/Madrid"),
            ("+34911230000", None, "ES EU", "Europe/Madrid"),
            ("+61255501234", None, "AU", "Australia/Sydney"),
            ("+861060000000", None, "CN", "Asia/Shanghai"),
            ("+262262000000", None, "RE", "Indian/Mayotte Indian/Reunion"),
            ("+447700900123", Some(("AU", Some("QLD"), None)), "AU AU-QLD", "Australia/Brisbane"),
        ] {
            let found = candidates(number, address);
            let text = |place: &Place| place.to_string();
            let named: Vec<_> = found.jurisdictions.iter().map(text).collect();
            assert_eq!(named.join(" "), places, "{number}");
            let named: Vec<_> = found.zones.iter().map(|zone| zone.name()).collect();
            assert_eq!(named.join(" "), zones, "{number}");
        }
        assert_eq!(candidates("+61491570156", None).zones.len(), 8);
        assert!(candidates("+447700900123", None).zones.contains(&Tz::Europe__London));
    }
}
