//! The people of the made world, campaign by campaign, with every kind of trouble in between.

use super::{dice::Dice, numbers::Numbers};

/// A row of a contact list; the fields are the columns of the API's template.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Row {
    pub(crate) external_id: String,
    pub(crate) phone_1: String,
    pub(crate) phone_2: String,
    pub(crate) phone_3: String,
    pub(crate) phone_4: String,
    pub(crate) line_1: String,
    pub(crate) line_2: String,
    pub(crate) line_3: String,
    pub(crate) line_4: String,
    pub(crate) country: String,
    pub(crate) region: String,
    pub(crate) postal_code: String,
    pub(crate) time_zone: String,
    pub(crate) account: String,
    pub(crate) party_type: String,
    pub(crate) party_role: String,
    pub(crate) relationship: String,
    pub(crate) relationship_since: String,
    pub(crate) consent_form: String,
    pub(crate) consent_purpose: String,
    pub(crate) consent_technology: String,
    pub(crate) consent_at: String,
    pub(crate) consent_source: String,
    pub(crate) consent_revoked_at: String,
}

/// Where somebody lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// Florida, Texas, Canada, the United Kingdom, France, Australia, China.
    Florida,
    Texas,
    Canada,
    Britain,
    France,
    Australia,
    China,
    /// A place without rules: nobody is called there.
    Germany,
}

const FLORIDA: &[&str] = &["305", "407", "561", "813", "904", "954", "239", "352"];
const TEXAS: &[&str] = &["214", "512", "713", "817", "210", "281", "972", "903"];
const ONTARIO: &[&str] = &["416", "647", "905", "613", "519"];
const QUEBEC: &[&str] = &["514", "438", "450", "819"];

/// Makes people.
#[derive(Debug)]
pub(crate) struct People {
    /// Chance.
    pub(crate) dice: Dice,
    numbers: Numbers,
    made: u64,
}

impl People {
    /// For a seed.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed, "people"), numbers: Numbers::default(), made: 0 }
    }

    /// Somebody at home somewhere, with one number or more.
    pub(crate) fn person(&mut self, prefix: &str, home: Home) -> Row {
        self.made += 1;
        let mut row = Row {
            external_id: format!("{prefix}-{:06}", self.made),
            party_type: "consumer".to_owned(),
            party_role: "principal".to_owned(),
            ..Row::default()
        };
        let mobile = self.dice.percent(55);
        row.line_1 = self.line(home, mobile).to_owned();
        row.phone_1 = self.at_home(&mut row, home, mobile);
        match self.dice.below(100) {
            // A second number in the same place.
            0..=17 => {
                row.line_2 = if mobile { "landline" } else { "wireless" }.to_owned();
                row.phone_2 = self.number(home, !mobile);
            }
            // Two states: both states' rules hold for either number where they differ.
            18..=23 if matches!(home, Home::Florida | Home::Texas) => {
                let other = if home == Home::Florida { Home::Texas } else { Home::Florida };
                row.line_2 = "wireless".to_owned();
                row.phone_2 = self.number(other, true);
            }
            24..=26 => {
                for (phone, line) in
                    [(&mut row.phone_2, &mut row.line_2), (&mut row.phone_3, &mut row.line_3)]
                {
                    "landline".clone_into(line);
                    *phone = number(&mut self.dice, &mut self.numbers, home, false);
                }
            }
            _ => {}
        }
        row
    }

    fn line(&mut self, home: Home, mobile: bool) -> &'static str {
        match (mobile, home) {
            (_, Home::Australia) => "landline",
            (true, _) if self.dice.percent(6) => "unknown",
            (true, _) => "wireless",
            (false, _) => "landline",
        }
    }

    /// Fills in the address; returns the number.
    fn at_home(&mut self, row: &mut Row, home: Home, mobile: bool) -> String {
        let (country, region, zone) = match home {
            Home::Florida => ("US", "FL", "America/New_York"),
            Home::Texas => ("US", "TX", "America/Chicago"),
            Home::Canada => return self.in_canada(row, mobile),
            Home::Britain => ("GB", "", "Europe/London"),
            Home::France => ("FR", "", "Europe/Paris"),
            Home::Australia => return self.in_australia(row),
            Home::China => ("CN", "", "Asia/Shanghai"),
            Home::Germany => ("DE", "", "Europe/Berlin"),
        };
        country.clone_into(&mut row.country);
        region.clone_into(&mut row.region);
        zone.clone_into(&mut row.time_zone);
        let us = country == "US";
        match self.dice.below(100) {
            // No zone given: every zone of the state has to allow.
            0..=5 if us => row.time_zone.clear(),
            // A number and nothing else.
            6..=9 if us => {
                row.country.clear();
                row.region.clear();
                row.time_zone.clear();
            }
            // An area code that two zones share.
            10..=12 if home == Home::Florida => return self.numbers.north_america("850"),
            // The western end of Texas.
            10..=12 if home == Home::Texas => {
                "America/Denver".clone_into(&mut row.time_zone);
                return self.numbers.north_america("915");
            }
            // Moved, and kept the number.
            13..=16 if home == Home::Florida => return self.number(Home::Texas, mobile),
            13..=16 if home == Home::Texas => return self.number(Home::Florida, mobile),
            _ => {}
        }
        self.number(home, mobile)
    }

    fn in_canada(&mut self, row: &mut Row, mobile: bool) -> String {
        const PLACES: &[(u64, (&str, &str, &str))] = &[
            (10, ("ON", "America/Toronto", "")),
            (6, ("QC", "America/Toronto", "")),
            (1, ("SK", "America/Regina", "306")),
            (1, ("NS", "America/Halifax", "902")),
            (1, ("NL", "America/St_Johns", "709")),
            (1, ("ON", "America/Winnipeg", "807")),
        ];
        let (region, zone, area) =
            self.dice.weighted(PLACES).unwrap_or(("ON", "America/Toronto", "416"));
        "CA".clone_into(&mut row.country);
        region.clone_into(&mut row.region);
        zone.clone_into(&mut row.time_zone);
        match (area, region) {
            ("", "QC") => {
                let area = self.dice.one_of(QUEBEC).unwrap_or("514");
                self.numbers.north_america(area)
            }
            ("", _) => self.number(Home::Canada, mobile),
            (area, _) => self.numbers.north_america(area),
        }
    }

    fn in_australia(&mut self, row: &mut Row) -> String {
        let (region, digit) = self
            .dice
            .one_of(&[("NSW", '2'), ("VIC", '3'), ("QLD", '7'), ("SA", '8'), ("WA", '8')])
            .unwrap_or(("NSW", '2'));
        "AU".clone_into(&mut row.country);
        region.clone_into(&mut row.region);
        self.numbers.abroad("AU", false, digit)
    }

    fn number(&mut self, home: Home, mobile: bool) -> String {
        number(&mut self.dice, &mut self.numbers, home, mobile)
    }
}

fn number(dice: &mut Dice, numbers: &mut Numbers, home: Home, mobile: bool) -> String {
    let area = |dice: &mut Dice, areas: &[&'static str]| dice.one_of(areas).unwrap_or("305");
    match home {
        Home::Florida => numbers.north_america(area(dice, FLORIDA)),
        Home::Texas => numbers.north_america(area(dice, TEXAS)),
        Home::Canada => numbers.north_america(area(dice, ONTARIO)),
        Home::Britain => numbers.abroad("GB", mobile, '0'),
        Home::France => numbers.abroad("FR", mobile, '0'),
        Home::Australia => numbers.abroad("AU", mobile, '2'),
        Home::China => numbers.abroad("CN", mobile, '0'),
        Home::Germany => numbers.abroad("DE", mobile, '0'),
    }
}
