//! What is said of a file as a whole.

use dialer_types::{Say, say};

use super::told::named;
use crate::import::{contact::Sheet, decode};

/// How a file was read.
pub(super) fn remarks(sheet: &Sheet<'_>, delimiter: u8, blank: i64) -> Vec<Say> {
    let encoding = decode::of(&sheet.found).name().to_ascii_lowercase();
    let delimiter = named(delimiter);
    let mut remarks =
        vec![say!("read as {encoding}, with columns divided by {delimiter}", encoding, delimiter)];
    remarks.push(match &sheet.region {
        Some(region) => say!(
            "numbers without a country code are read as numbers of {region}, where the row names no country",
            region = region.text()
        ),
        None => "numbers without a country code are read only where the row names a country (or region= is given)".into(),
    });
    if let Some(region) = &sheet.region
        && sheet.plan.has("region")
    {
        remarks.push(say!(
            "states and provinces are of {region} where the row names no country and its first number is of {region}",
            region = region.text()
        ));
    }
    if sheet.plan.has("do_not_call") {
        remarks.push(
            "rows that say in do_not_call that nobody is to call are imported, and the person and their numbers are suppressed for the seller".into(),
        );
    }
    if sheet.by_number {
        remarks.push(
            "no column names the person: whoever has another number is another person".into(),
        );
    }
    let own: Vec<&str> = sheet.plan.own().collect();
    if !own.is_empty() {
        let columns = own.join(", ");
        remarks.push(say!("kept with the contact, encrypted: {columns}", columns));
    }
    if sheet.plan.has("consent_at") {
        remarks.push(
            "a consent dated to the day counts from the first moment of that day in the time zone of the row".into(),
        );
    }
    if blank > 0 {
        remarks.push(say!("blank rows, which are not counted: {blank}", blank));
    }
    remarks
}
