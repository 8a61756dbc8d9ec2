//! Where a called party may be, by the checker's own tables: places and time zones.

use chrono_tz::{America, Asia, Australia, Europe, Indian, Tz};

/// Candidate places and zones of one number of one contact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// `US`, `US-FL`, `CA`, `CA-ON`, `GB`, `FR`, `EU`, `AU`, `CN`, `US-STRICTEST` ...
    pub names: Vec<String>,
    /// Every zone the party may be in.
    pub zones: Vec<Tz>,
    /// Whether rules exist for every candidate.
    pub covered: bool,
    /// A US state beyond this checker's tables: what it knows of federal law is judged, hours and
    /// caps of that state are not, and no call is expected there.
    pub partly: bool,
}

impl Places {
    /// Whether `name` is among the candidates.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|candidate| candidate == name)
    }

    fn add(&mut self, name: String) {
        if !self.has(&name) {
            self.names.push(name);
        }
    }

    fn add_zones(&mut self, zones: &[Tz]) {
        for zone in zones {
            if !self.zones.contains(zone) {
                self.zones.push(*zone);
            }
        }
    }
}

const EASTERN_AND_CENTRAL: &[Tz] = &[America::New_York, America::Chicago];
const CENTRAL: &[Tz] = &[America::Chicago];
const MOUNTAIN: &[Tz] = &[America::Denver];
const EASTERN: &[Tz] = &[America::New_York];

/// Area codes of the covered part of +1: code, country, regions, zones (the union over the code).
type Area = (&'static [u16], &'static str, &'static [&'static str], &'static [Tz]);

const AREAS: &[Area] = &[
    (
        &[
            239, 305, 321, 324, 352, 386, 407, 561, 645, 656, 689, 727, 728, 754, 772, 786, 813,
            863, 904, 941, 954,
        ],
        "US",
        &["FL"],
        EASTERN,
    ),
    (&[850, 448], "US", &["FL"], EASTERN_AND_CENTRAL),
    (
        &[
            210, 214, 254, 281, 325, 346, 361, 409, 430, 432, 469, 512, 682, 713, 726, 737, 806,
            817, 830, 832, 903, 936, 940, 945, 956, 972, 979,
        ],
        "US",
        &["TX"],
        CENTRAL,
    ),
    (&[915], "US", &["TX"], MOUNTAIN),
    (
        &[226, 249, 289, 343, 365, 382, 416, 437, 519, 548, 613, 647, 683, 705, 742, 753, 905],
        "CA",
        &["ON"],
        &[America::Toronto],
    ),
    (&[807], "CA", &["ON"], &[America::Toronto, America::Winnipeg]),
    (&[263, 354, 367, 438, 450, 468, 514, 579, 581, 819, 873], "CA", &["QC"], &[America::Toronto]),
    (&[418], "CA", &["QC"], &[America::Toronto, America::Halifax]),
    (&[204, 431, 584], "CA", &["MB"], &[America::Winnipeg]),
    (&[306, 474, 639], "CA", &["SK"], &[America::Regina]),
    (&[902, 782], "CA", &["NS", "PE"], &[America::Halifax]),
    (&[506, 428], "CA", &["NB"], &[America::Moncton]),
    (&[709, 879], "CA", &["NL"], &[America::Halifax, America::St_Johns]),
    (&[403, 587, 780, 825, 368], "CA", &["AB"], &[America::Edmonton]),
    (&[236, 604, 672, 778, 257], "CA", &["BC"], &[America::Vancouver]),
    (&[250], "CA", &["BC"], &[America::Vancouver, America::Edmonton, America::Dawson_Creek]),
];

const TOLL_FREE: &[u16] = &[800, 888, 877, 866, 855, 844, 833, 822, 500, 900];

const AUSTRALIA: &[Tz] = &[
    Australia::Perth,
    Australia::Darwin,
    Australia::Adelaide,
    Australia::Brisbane,
    Australia::Sydney,
    Australia::Melbourne,
    Australia::Hobart,
    Australia::Lord_Howe,
    Indian::Christmas,
    Indian::Cocos,
];

/// Zones of a region, where the checker knows them.
fn region_zones(country: &str, region: &str) -> &'static [Tz] {
    match (country, region) {
        ("US", "FL") => EASTERN_AND_CENTRAL,
        ("US", "TX") => &[America::Chicago, America::Denver],
        ("CA", "ON") => &[America::Toronto, America::Winnipeg],
        ("CA", "QC") => &[America::Toronto, America::Halifax],
        ("CA", "MB") => &[America::Winnipeg],
        ("CA", "SK") => &[America::Regina],
        ("CA", "NS" | "PE") => &[America::Halifax],
        ("CA", "NB") => &[America::Moncton],
        ("CA", "NL") => &[America::St_Johns, America::Goose_Bay],
        ("AU", "NSW" | "ACT") => &[Australia::Sydney],
        ("AU", "VIC") => &[Australia::Melbourne],
        ("AU", "QLD") => &[Australia::Brisbane],
        ("AU", "SA") => &[Australia::Adelaide],
        ("AU", "WA") => &[Australia::Perth],
        ("AU", "TAS") => &[Australia::Hobart],
        ("AU", "NT") => &[Australia::Darwin],
        ("AU", _) => AUSTRALIA,
        ("GB", _) => &[Europe::London],
        ("FR", _) => &[Europe::Paris],
        ("CN", _) => &[Asia::Shanghai],
        _ => &[],
    }
}

/// Candidate places of a number, with the contact's address (empty strings where unknown).
#[must_use]
pub fn places(number: &str, country: &str, region: &str, time_zone: &str) -> Places {
    let mut places = Places { covered: true, ..Places::default() };
    let mut states = 0;
    if !country.is_empty() {
        states += usize::from(country == "US" && !region.is_empty());
        add(&mut places, country, region);
        if time_zone.is_empty() {
            places.add_zones(region_zones(country, region));
        } else if let Ok(zone) = time_zone.parse::<Tz>() {
            places.add_zones(&[zone]);
        }
    }
    if let Some(national) = number.strip_prefix("+1") {
        states += area(&mut places, national);
    } else if country.is_empty() {
        let home = by_prefix(number);
        add(&mut places, home.0, "");
        places.add_zones(home.1);
    }
    if places.has("US") && states == 0 {
        places.add("US-STRICTEST".to_owned());
    }
    places
}

/// Adds what an area code says; returns how many US states it named.
fn area(places: &mut Places, national: &str) -> usize {
    let code: u16 = national.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
    if TOLL_FREE.contains(&code) {
        add(places, "US", "");
        return 0;
    }
    let Some((_, country, regions, zones)) = AREAS.iter().find(|(codes, ..)| codes.contains(&code))
    else {
        places.partly = true; // another state
        add(places, "US", "");
        return 1;
    };
    for region in *regions {
        add(places, country, region);
    }
    places.add_zones(zones);
    usize::from(*country == "US")
}

fn add(places: &mut Places, country: &str, region: &str) {
    places.partly |= country == "US" && !matches!(region, "" | "FL" | "TX");
    places.covered &= matches!(country, "US" | "CA" | "GB" | "FR" | "AU" | "CN");
    places.add(country.to_owned());
    if !region.is_empty() {
        places.add(format!("{country}-{region}"));
    }
    if country == "FR" {
        places.add("EU".to_owned());
    }
}

/// Country and zones of a number outside +1 without an address.
fn by_prefix(number: &str) -> (&'static str, &'static [Tz]) {
    const TABLE: &[(&str, &str, &[Tz])] = &[
        ("+44", "GB", &[Europe::London]),
        ("+33", "FR", &[Europe::Paris]),
        ("+86", "CN", &[Asia::Shanghai]),
        ("+612", "AU", &[Australia::Sydney]),
        ("+613", "AU", &[Australia::Melbourne, Australia::Hobart]),
        ("+617", "AU", &[Australia::Brisbane]),
        ("+618", "AU", &[Australia::Adelaide, Australia::Perth, Australia::Darwin]),
        ("+61", "AU", AUSTRALIA),
    ];
    TABLE
        .iter()
        .find(|(prefix, ..)| number.starts_with(prefix))
        .map_or(("?", &[]), |(_, country, zones)| (country, zones))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn area_code_and_address_both_count() {
        let places = places("+13055550123", "US", "TX", "");
        assert!(places.has("US-FL") && places.has("US-TX") && places.covered);
        assert!(places.zones.contains(&America::New_York));
        assert!(places.zones.contains(&America::Denver));
    }

    #[test]
    fn a_split_area_code_has_both_zones_and_a_named_zone_does_not_hide_them() {
        let places = places("+18505550123", "US", "FL", "America/New_York");
        assert_eq!(places.zones, vec![America::New_York, America::Chicago]);
    }

    #[test]
    fn other_states_are_known_in_part_and_other_countries_are_not_covered() {
        assert!(places("+12125550123", "", "", "").partly);
        assert!(places("+13055550123", "US", "NY", "").partly);
        assert!(!places("+13055550123", "US", "FL", "").partly);
        assert!(!places("+4930123456", "", "", "").covered);
        assert!(places("+442079460123", "", "", "").covered);
    }

    #[test]
    fn a_toll_free_number_has_no_zone_and_no_state() {
        let places = places("+18005550123", "", "", "");
        assert!(places.has("US-STRICTEST") && places.zones.is_empty());
    }

    #[test]
    fn a_zone_that_does_not_exist_leaves_none() {
        assert!(places("+61255501234", "AU", "NSW", "Australia/Atlantis").zones.is_empty());
    }
}
