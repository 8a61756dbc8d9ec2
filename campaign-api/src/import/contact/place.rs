//! Where the person of a row is.

use chrono_tz::Tz;
use dialer_types::{E164, say};

use crate::import::{
    phones::{self, Region},
    places,
    row::Fields,
};

pub(super) fn country(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.get("country")?;
    let Some(code) = places::country(text) else {
        fields.fault("country", "must be two capital letters (ISO 3166-1), like US");
        return None;
    };
    if code != text {
        fields.repair("country", say!("was written otherwise; it is taken for {code}", code));
    }
    Some(code.to_owned())
}

/// The region, and the country it is in. Where the row names none it is the country of the list, if
/// the number is of it too: a column of states alone is how most American lists are.
pub(super) fn region(
    fields: &mut Fields<'_>,
    country: Option<String>,
    list: Option<Region>,
    number: Option<&E164>,
) -> (Option<String>, Option<String>) {
    let Some(text) = fields.get("region") else { return (country, None) };
    let country = country.or_else(|| {
        let list = list.filter(|_| fields.get("country").is_none())?;
        number.filter(|number| phones::is_of(number, list)).map(|_| list.text().to_owned())
    });
    let Some(country) = country else {
        // Of a row without a number that can be read, and of one whose country is refused, enough is said.
        if fields.get("country").is_none() {
            match (list, number) {
                (Some(_), None) => {}
                (Some(list), Some(_)) => fields.fault("region", say!(
                    "is given, and country is empty, and the first number is not of {region}: give the row its country",
                    region = list.text()
                )),
                (None, _) => fields.fault("region", "is given, and country is empty: add a column country, or give the country of the file (region=US), which then holds for rows whose first number is of it"),
            }
        }
        return (None, None);
    };
    let code = match places::region(&country, text) {
        Ok(code) => code,
        Err(reason) => {
            fields.fault("region", reason);
            return (Some(country), None);
        }
    };
    if code != text {
        fields.repair("region", say!("was written otherwise; it is taken for {code}", code));
    }
    (Some(country), Some(code))
}

/// American codes have five digits, and spreadsheets drop the zeros they begin with.
pub(super) fn postal_code(fields: &mut Fields<'_>, country: Option<&str>) -> Option<String> {
    let code = fields.optional("postal_code", 20)?;
    let short = matches!(code.len(), 3 | 4) && code.bytes().all(|byte| byte.is_ascii_digit());
    if country == Some("US") && short {
        fields.repair("postal_code", "had lost the zeros it begins with");
        return Some(format!("{code:0>5}"));
    }
    Some(code)
}

pub(super) fn time_zone(fields: &mut Fields<'_>) -> Option<Tz> {
    let text = fields.get("time_zone")?;
    let zone = text.parse().ok();
    if zone.is_none() {
        fields.fault("time_zone", "is not an IANA time zone, like America/New_York");
    }
    zone
}
