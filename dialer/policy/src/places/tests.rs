use dialer_types::Purpose;
use proptest::prelude::*;

use super::*;

type Told = Option<(&'static str, Option<&'static str>, Option<&'static str>)>;

fn call(number: &str, address: Told, postal_code: Option<&str>) -> Call {
    let mut call = Call::manual(number.parse().unwrap(), Purpose::Telemarketing);
    call.address = address.map(|(country, region, zone)| Address {
        country: country.to_owned(),
        region: region.map(str::to_owned),
        postal_code: postal_code.map(str::to_owned),
        time_zone: zone.map(str::to_owned),
    });
    call
}

fn candidates(number: &str, address: Told) -> Candidates {
    Candidates::of(&call(number, address, None), false)
}

fn texts(found: &Candidates) -> (String, String) {
    let places: Vec<_> = found.jurisdictions.iter().map(Place::as_str).collect();
    let zones: Vec<_> = found.zones.iter().map(|zone| zone.name()).collect();
    (places.join(" "), zones.join(" "))
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
        let (named, clocks) = texts(&candidates(number, address));
        assert_eq!((named.as_str(), clocks.as_str()), (places, zones), "{number}");
    }
    assert_eq!(candidates("+61491570156", None).zones.len(), 8);
    assert!(candidates("+447700900123", None).zones.contains(&Tz::Europe__London));
}

#[test]
fn a_postal_code_is_on_record_and_adds_what_it_contradicts() {
    let tx = Some(("US", Some("TX"), None));
    for (address, code, line) in [
        // It agrees: the zones of Texas stay two, whichever it says.
        (
            tx,
            "79901",
            "address US-TX America/Chicago America/Denver; postal_code US-TX America/Denver",
        ),
        (
            tx,
            "75201",
            "address US-TX America/Chicago America/Denver; postal_code US-TX America/Chicago",
        ),
        // Another state, another zone.
        (
            tx,
            "33101",
            "address US-TX America/Chicago America/Denver; postal_code US-FL America/New_York",
        ),
        // The zone that was stated is not the code's.
        (
            Some(("US", Some("TX"), Some("America/Chicago"))),
            "79901",
            "address US-TX; postal_code US-TX America/Denver; stated_zone America/Chicago",
        ),
        // Another name of the same clock.
        (
            Some(("US", Some("MI"), Some("America/Detroit"))),
            "48201",
            "address US-MI; postal_code US-MI America/Detroit; stated_zone America/Detroit",
        ),
        // No state is known but by the code: its rules apply beside those of a state not known.
        (
            Some(("US", None, Some("America/Chicago"))),
            "10001",
            "address US; postal_code US-NY America/New_York; stated_zone America/Chicago",
        ),
        (Some(("US", None, Some("Not/There"))), "10001", "address US; postal_code US-NY"),
        (tx, "7520l", "address US-TX America/Chicago America/Denver; postal_code malformed"),
        (tx, "00000", "address US-TX America/Chicago America/Denver; postal_code unknown"),
        (
            Some(("GB", Some("ENG"), None)),
            "JE2 3AB",
            "address GB-ENG Europe/Guernsey Europe/Isle_of_Man Europe/Jersey Europe/London; postal_code JE Europe/Jersey",
        ),
        (
            Some(("CA", Some("ON"), None)),
            "P9N 1A1",
            "address CA-ON America/Toronto America/Winnipeg; postal_code CA-ON America/Winnipeg",
        ),
        (Some(("FR", None, None)), "75001", "address FR Europe/Paris"),
    ] {
        let found = Candidates::of(&call("+18005550123", address, Some(code)), false);
        let said = found.grounds.line(&found.jurisdictions, &found.zones);
        assert_eq!(said, line, "{code}");
        assert!(!found.grounds.narrowed);
    }
    let unknown =
        Candidates::of(&call("+18005550123", Some(("US", None, None)), Some("10001")), false);
    assert_eq!(texts(&unknown).0, "US US-NY US-STRICTEST");
    let number = Candidates::of(&call("+12125550123", tx, Some("75201")), false);
    assert_eq!(
        number.grounds.line(&number.jurisdictions, &number.zones),
        "address US-TX America/Chicago America/Denver; postal_code US-TX America/Chicago; number US-NY America/New_York"
    );
    let country = Candidates::of(&call("+18005550123", Some(("US", None, None)), None), false);
    assert_eq!(country.grounds.line(&country.jurisdictions, &country.zones), "address US 42 zones");
}

#[test]
fn a_verified_address_whose_parts_agree_takes_the_numbers_place_and_no_other_does() {
    let fl = Some(("US", Some("FL"), None));
    let zoned = |zone| Some(("US", Some("FL"), Some(zone)));
    for (address, code, narrowed) in [
        (fl, None, Some("America/New_York America/Chicago")),
        (fl, Some("33101"), Some("America/New_York")),
        (fl, Some("32401"), Some("America/Chicago")),
        (fl, Some("32456"), Some("America/Chicago America/New_York")),
        (zoned("America/Chicago"), Some("32401"), Some("America/Chicago")),
        (zoned("US/Central"), Some("32401"), Some("US/Central")),
        (zoned("America/New_York"), None, Some("America/New_York")),
        // The parts do not agree, or one says nothing that is understood.
        (zoned("America/New_York"), Some("32401"), None),
        (zoned("America/Denver"), None, None),
        (zoned("Not/There"), None, None),
        (fl, Some("75201"), None),
        (fl, Some("7520l"), None),
        (fl, Some("00000"), None),
        (Some(("US", None, None)), Some("33101"), None),
        (None, None, None),
    ] {
        let mut call = call("+12135550123", address, code);
        let plain = Candidates::of(&call, true);
        assert!(!plain.grounds.narrowed, "not verified: {address:?} {code:?}");
        call.address_basis = AddressBasis::Verified;
        assert_eq!(Candidates::of(&call, false), plain, "not chosen: {address:?} {code:?}");
        let found = Candidates::of(&call, true);
        assert_eq!(found.grounds.narrowed, narrowed.is_some(), "{address:?} {code:?}");
        match narrowed {
            Some(zones) => {
                assert_eq!(texts(&found), ("US US-FL".to_owned(), zones.to_owned()));
                let line = found.grounds.line(&found.jurisdictions, &found.zones);
                assert!(line.ends_with("; narrowed by verified address"), "{line}");
            }
            None => assert_eq!(found, plain),
        }
    }
}

fn code() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{5}",
        "[0-9]{5}-[0-9]{4}",
        "[A-Z][0-9][A-Z] [0-9][A-Z][0-9]",
        "[A-Z]{1,2}[0-9]{1,2} [0-9][A-Z]{2}",
        ".{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_postal_code_never_takes_a_candidate_away(
        country in proptest::sample::select(vec!["US", "CA", "GB", "PR", "FR", "AU", ""]),
        region in proptest::option::of(proptest::sample::select(vec!["TX", "NY", "ON", "ENG", "QLD", "", "XX"])),
        zone in proptest::option::of(proptest::sample::select(vec!["America/Denver", "Europe/London", "Not/There"])),
        number in proptest::sample::select(vec!["+12125550123", "+18005550123", "+18505550134", "+33199001234", "+447700900123"]),
        code in code(),
    ) {
        let with = Candidates::of(&call(number, Some((country, region, zone)), Some(&code)), false);
        let without = candidates(number, Some((country, region, zone)));
        prop_assert!(without.jurisdictions.iter().all(|place| with.jurisdictions.contains(place)));
        prop_assert!(without.zones.iter().all(|zone| with.zones.contains(zone)));
        prop_assert!(without.countries.iter().all(|place| with.countries.contains(place)));
        prop_assert!(with.countries.iter().all(|place| place.country() == *place));
        // What is added is on record as the code's.
        for (at, place) in with.jurisdictions.iter().enumerate() {
            if !without.jurisdictions.contains(place) && *place != Place::EU && *place != Place::US_STRICTEST {
                prop_assert!(with.grounds.place_has(Basis::PostalCode, at));
            }
        }
        for (at, zone) in with.zones.iter().enumerate() {
            prop_assert!(without.zones.contains(zone) || with.grounds.zone_has(Basis::PostalCode, at));
            prop_assert!(Basis::ALL.iter().any(|basis| with.grounds.zone_has(*basis, at)));
        }
    }
}

#[test]
fn a_region_that_is_no_state_leaves_the_state_unknown_and_what_is_no_country_says_nothing() {
    let strictest = |country: &str, region: Option<&str>| {
        let mut call = Call::manual("+18005550123".parse().unwrap(), Purpose::Telemarketing);
        call.address = Some(Address {
            country: country.into(),
            region: region.map(Into::into),
            postal_code: None,
            time_zone: Some("America/New_York".into()),
        });
        Candidates::of(&call, false).jurisdictions.contains(&Place::US_STRICTEST)
    };
    for unknown in [None, Some("Florida"), Some("ZZ"), Some("AE"), Some("UM"), Some("")] {
        assert!(strictest("US", unknown), "{unknown:?}");
    }
    assert!(!strictest("US", Some("fl")) && !strictest("US", Some("DC")));
    // The number says where the party is, and not in which state.
    assert!(strictest("USA", Some("FL")) && strictest("", None));
    for (name, is) in [
        ("US", true),
        ("US-FL", true),
        ("EU", true),
        ("*", true),
        ("US-STRICTEST", true),
        ("CA-ON", true),
        ("Florida", false),
        ("UK", false),
        ("US-ZZ", false),
        ("USA", false),
    ] {
        assert_eq!(Place::new(name).is_some_and(is_jurisdiction), is, "{name}");
    }
}
